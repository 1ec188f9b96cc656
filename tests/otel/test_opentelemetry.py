"""What OpenTelemetry's own SDK makes of events.

Not part of the suite ``package``, for the SDK is not among Debian's packages.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import doctest
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from cuprum import observe
from cuprum.adapters import opentelemetry_adapter
from cuprum.adapters.opentelemetry_adapter import (
    OpenTelemetryMetrics,
    opentelemetry_metrics_hook,
    opentelemetry_tracing_hook,
)
from cuprum.events import new_exec_id
from tests.support.exec_events import event
from tests.support.paths import TOP
from tests.support.stages import cat, shell
from tests.support.threads import THREADS, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer


class Traces:
    """A tracer of the SDK, and the spans it has exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = self.provider.get_tracer("tests")

    def exported(self) -> dict[str, ReadableSpan]:
        """Return the spans that have ended, by their names."""
        spans = self._exporter.get_finished_spans()
        named = {span.name: span for span in spans}
        assert len(named) == len(spans)
        return named


class Metrics:
    """A meter of the SDK, and what it has collected."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])
        self.meter: Meter = self.provider.get_meter("tests")

    def collected(self) -> dict[str, Metric]:
        """Return the metrics by their names."""
        data = self._reader.get_metrics_data()
        assert data is not None
        (resource,) = data.resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}


@pytest.fixture
def traces() -> Iterator[Traces]:
    """Return where spans go."""
    traces = Traces()
    yield traces
    traces.provider.shutdown()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """Return where metrics go."""
    metrics = Metrics()
    yield metrics
    metrics.provider.shutdown()


# --- Spans ----------------------------------------------------------------------------


def test_a_command_that_fails_is_a_span_with_an_error(traces: Traces) -> None:
    hook = opentelemetry_tracing_hook(traces.tracer)
    exec_id = new_exec_id()
    for phase in ("plan", "start", "stdout", "stdin_error", "exit"):
        assert traces.exported() == {}
        hook(event(phase, exec_id=exec_id))
    span = traces.exported()["cuprum.exec sort"]
    assert span.attributes == {
        "cuprum.program": "sort",
        "cuprum.argv": ("sort", "-u"),
        "cuprum.pid": 7,
        "cuprum.project": "tests",
        "cuprum.exit_code": 3,
        "cuprum.duration_s": 0.25,
    }
    assert [(one.name, one.attributes) for one in span.events] == [
        ("cuprum.stdout", {"line": "it's"}),
        (
            "cuprum.stdin_error",
            {
                "operation": "write",
                "error_type": "BrokenPipeError",
                "note": "BrokenPipeError: gone",
            },
        ),
    ]
    assert span.status.status_code is StatusCode.ERROR


def test_a_command_that_succeeds_leaves_the_status_to_the_application(
    traces: Traces,
) -> None:
    hook = opentelemetry_tracing_hook(traces.tracer, record_output=False)
    exec_id = new_exec_id()
    for phase in ("start", "stdout"):
        hook(event(phase, exec_id=exec_id))
    hook(event("exit", exec_id=exec_id, exit_code=0))
    (span,) = traces.exported().values()
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())


def test_a_hop_is_a_span_with_its_report(traces: Traces) -> None:
    hook = opentelemetry_tracing_hook(traces.tracer)
    exec_id = new_exec_id()
    hook(event("hop_start", exec_id=exec_id))
    hook(event("hop_end", exec_id=exec_id))
    span = traces.exported()["cuprum.hop 1"]
    assert span.attributes is not None
    expected = {
        "cuprum.program": "sort",
        "cuprum.argv": ("sort", "-u"),
        "cuprum.project": "tests",
        "cuprum.hop_index": 1,
        "cuprum.bytes_read": 100,
        "cuprum.bytes_written": 90,
        "cuprum.bytes_discarded": 10,
        "cuprum.engine": "splice",
        "cuprum.broken_pipe": True,
        "cuprum.drain": "eof",
        "cuprum.elapsed": 2.0,
        "cuprum.waited_for_input": 1.25,
        "cuprum.waited_for_output": 0.5,
    }
    assert span.attributes.items() >= expected.items()
    assert span.status.status_code is StatusCode.UNSET


def test_text_that_is_not_unicode_does_not_lose_the_span(
    traces: Traces, caplog: pytest.LogCaptureFixture
) -> None:
    """Exporters encode as UTF-8, and drop all spans of a batch where they cannot."""
    hook = opentelemetry_tracing_hook(traces.tracer)
    exec_id = new_exec_id()
    odd = {"program": "\udcff", "argv": ("\udcff", "é"), "tags": {"project": ("a", 1)}}
    hook(event("start", exec_id=exec_id, **odd))
    hook(event("stdout", exec_id=exec_id, line="\udc80"))
    hook(event("exit", exec_id=exec_id))
    span = traces.exported()["cuprum.exec \\udcff"]
    assert span.attributes is not None
    assert span.attributes["cuprum.argv"] == ("\\udcff", "é")
    assert span.attributes["cuprum.project"] == "('a', 1)"
    assert span.events[0].attributes == {"line": "\\udc80"}
    assert caplog.records == []


# --- Metrics --------------------------------------------------------------------------


def test_metrics_have_units_labels_and_buckets_for_seconds(metrics: Metrics) -> None:
    hook = opentelemetry_metrics_hook(metrics.meter)
    for phase in ("start", "stdout", "stderr", "stdin", "stdin_error", "exit"):
        hook(event(phase))
        hook(event(phase))
    hook(event("hop_end"))
    collected = metrics.collected()
    found: dict[str, tuple[str | None, float, dict[str, object]]] = {}
    for name, metric in collected.items():
        (point,) = metric.data.data_points
        if isinstance(point, HistogramDataPoint):
            value = point.sum
            assert point.explicit_bounds[0] < 0.01
            assert point.explicit_bounds[-1] > 600
        else:
            assert isinstance(point, NumberDataPoint)
            value = point.value
        found[name] = (metric.unit, value, dict(point.attributes or {}))
    of_command = {"program": "sort", "project": "tests"}
    of_hop = {**of_command, "hop": "1"}
    assert found == {
        "cuprum_executions_total": ("1", 2, of_command),
        "cuprum_stdout_lines_total": ("1", 2, of_command),
        "cuprum_stderr_lines_total": ("1", 2, of_command),
        "cuprum_stdin_bytes_total": ("By", 24, of_command),
        "cuprum_stdin_errors_total": ("1", 2, of_command),
        "cuprum_failures_total": ("1", 2, of_command),
        "cuprum_duration_seconds": ("s", 0.5, of_command),
        "cuprum_hop_bytes_total": ("By", 90, of_hop),
        "cuprum_hop_discarded_bytes_total": ("By", 10, of_hop),
        "cuprum_hop_starved_seconds": ("s", 1.25, of_hop),
        "cuprum_hop_blocked_seconds": ("s", 0.5, of_hop),
    }


def test_instruments_are_made_once_however_many_threads_ask(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    collector = OpenTelemetryMetrics(metrics.meter)

    def work() -> None:
        for _ in range(100):
            collector.inc_counter("count", 1, {})
            collector.observe_histogram("seconds", 0.5, {})

    in_threads(work)
    collected = metrics.collected()
    (count,) = collected["count"].data.data_points
    (seconds,) = collected["seconds"].data.data_points
    assert isinstance(count, NumberDataPoint)
    assert isinstance(seconds, HistogramDataPoint)
    assert (count.value, seconds.count) == (THREADS * 100, THREADS * 100)
    assert caplog.records == []  # the SDK warns of those that are made twice


# --- Real runs ------------------------------------------------------------------------


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_is_spans_under_the_one_that_is_current(traces: Traces) -> None:
    pipeline = shell("printf 12345; exit 0") | cat()
    hook = opentelemetry_tracing_hook(traces.tracer)
    with traces.tracer.start_as_current_span("outer") as outer, observe(hook):
        assert pipeline.run_sync().stdout == "12345"
    exported = traces.exported()
    assert set(exported) == {
        "outer",
        "cuprum.exec sh",
        "cuprum.exec cat",
        "cuprum.hop 0",
    }
    outer_id = exported.pop("outer").get_span_context()
    for span in exported.values():
        assert span.parent == outer_id == outer.get_span_context()
        assert span.status.status_code is StatusCode.UNSET
    hop = exported["cuprum.hop 0"]
    assert hop.attributes is not None
    assert hop.attributes["cuprum.bytes_written"] == 5
    (event,) = exported["cuprum.exec cat"].events
    assert (event.name, event.attributes) == ("cuprum.stdout", {"line": "12345"})


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_is_counted(metrics: Metrics) -> None:
    pipeline = shell("printf 12345") | shell("cat; exit 3")
    with observe(opentelemetry_metrics_hook(metrics.meter)):
        assert pipeline.run_sync().final.exit_code == 3
    collected = metrics.collected()
    (moved,) = collected["cuprum_hop_bytes_total"].data.data_points
    (failures,) = collected["cuprum_failures_total"].data.data_points
    assert isinstance(moved, NumberDataPoint)
    assert isinstance(failures, NumberDataPoint)
    assert (moved.value, failures.value) == (5, 1)
    (durations,) = collected["cuprum_duration_seconds"].data.data_points
    assert isinstance(durations, HistogramDataPoint)
    assert durations.count == 2


# --- The global providers -------------------------------------------------------------

GLOBAL = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cuprum import ECHO, observe, sh
from cuprum.adapters.opentelemetry_adapter import (
    opentelemetry_metrics_hook,
    opentelemetry_tracing_hook,
)

hooks = opentelemetry_tracing_hook(), opentelemetry_metrics_hook()
exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
metrics.set_meter_provider(MeterProvider([reader]))
with observe(hooks[0]), observe(hooks[1]):
    sh.make(ECHO)("hello").run_sync()
for span in exporter.get_finished_spans():
    print(span.instrumentation_scope.name, span.name)
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        print(scope.scope.name, *(metric.name for metric in scope.metrics))
"""


def test_the_global_providers_are_used_even_if_they_are_set_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GLOBAL], cwd=TOP, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "cuprum cuprum.exec echo",
        "cuprum cuprum_executions_total cuprum_stdout_lines_total "
        "cuprum_duration_seconds",
    ]


def test_the_examples_are_true() -> None:
    found = doctest.testmod(opentelemetry_adapter)
    assert (found.failed, found.attempted > 0) == (0, True)
