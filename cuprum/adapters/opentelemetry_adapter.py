"""Spans and metrics for OpenTelemetry; needs ``opentelemetry-api`` 1.30 or newer.

>>> from cuprum import ECHO, observe, sh
>>> with observe(opentelemetry_tracing_hook()), observe(opentelemetry_metrics_hook()):
...     sh.make(ECHO)("hello").run_sync().ok
True
"""

# Without the package, which nothing else here needs, its types are not known.
# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

from cuprum.adapters.metrics_adapter import MetricsHook
from cuprum.adapters.tracing_adapter import TracingHook

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    raise ImportError(f"{__name__} needs the package opentelemetry-api") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from cuprum.adapters.tracing_adapter import Span

__all__ = [
    "OpenTelemetryMetrics",
    "OpenTelemetryTracer",
    "opentelemetry_metrics_hook",
    "opentelemetry_tracing_hook",
]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Bounds of a histogram's buckets; OpenTelemetry's own are for milliseconds."""


class OpenTelemetryTracer:
    """A `Tracer` that makes spans of OpenTelemetry.

    A span's parent is the one that is current where the command is run.

    Args:
        tracer: what makes the spans.

    >>> tracer = OpenTelemetryTracer(trace.get_tracer("example"))
    >>> tracer.start_span("work").end()
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> Span:
        """Return a span that begins now."""
        return _Span(
            self._tracer.start_span(_text(name), attributes=_clean(attributes))
        )


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set_attribute(self, key: str, value: object) -> None:
        self._span.set_attributes(_clean({key: value}))

    def add_event(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> None:
        self._span.add_event(name, _clean(attributes))

    def set_status(self, *, ok: bool) -> None:
        # That it is OK, by OpenTelemetry's rules, is for the application to say.
        if not ok:
            self._span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class OpenTelemetryMetrics:
    """A `MetricsCollector` that makes counters and histograms of OpenTelemetry.

    Each is made once, with the unit that its name tells: ``s``, ``By`` or ``1``.

    Args:
        meter: what makes them.

    >>> collector = OpenTelemetryMetrics(metrics.get_meter("example"))
    >>> collector.inc_counter("runs_total", 1, {"program": "echo"})
    """

    def __init__(self, meter: metrics.Meter) -> None:
        self._meter = meter
        self._counters: dict[str, metrics.Counter] = {}
        self._histograms: dict[str, metrics.Histogram] = {}
        self._lock = threading.Lock()

    def inc_counter(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add ``value`` to the counter ``name``."""
        with self._lock:
            if name not in self._counters:
                unit = "By" if name.endswith("_bytes_total") else "1"
                self._counters[name] = self._meter.create_counter(name, unit)
        self._counters[name].add(value, _clean(labels))

    def observe_histogram(
        self, name: str, value: float, labels: Mapping[str, str]
    ) -> None:
        """Record ``value`` in the histogram ``name``."""
        with self._lock:
            if name not in self._histograms:
                self._histograms[name] = self._meter.create_histogram(
                    name, "s", explicit_bucket_boundaries_advisory=_SECONDS
                )
        self._histograms[name].record(value, _clean(labels))


def _text(value: object) -> str:
    """Return a string that can be UTF-8: exporters lose those that cannot."""
    return str(value).encode(errors="backslashreplace").decode()


def _clean(attributes: Mapping[str, object] | None) -> dict[str, AttributeValue]:
    cleaned: dict[str, AttributeValue] = {}
    for key, value in (attributes or {}).items():
        if isinstance(value, list):
            cleaned[key] = [_text(item) for item in cast("list[object]", value)]
        else:
            cleaned[key] = value if isinstance(value, int | float) else _text(value)
    return cleaned


def opentelemetry_tracing_hook(
    tracer: trace.Tracer | None = None, *, record_output: bool = True
) -> TracingHook:
    """Return a hook that makes spans of events; see `TracingHook`.

    Args:
        tracer: what makes the spans; unless given, one of the global provider.
        record_output: add an event for each line of output.

    >>> isinstance(opentelemetry_tracing_hook(record_output=False), TracingHook)
    True
    """
    chosen = tracer or trace.get_tracer("cuprum")
    return TracingHook(OpenTelemetryTracer(chosen), record_output=record_output)


def opentelemetry_metrics_hook(meter: metrics.Meter | None = None) -> MetricsHook:
    """Return a hook that counts events; see `MetricsHook`.

    Args:
        meter: what makes counters and histograms; unless given, one of the global
            provider.

    >>> isinstance(opentelemetry_metrics_hook(), MetricsHook)
    True
    """
    return MetricsHook(OpenTelemetryMetrics(meter or metrics.get_meter("cuprum")))
