"""Logs, metrics and traces of real commands and pipelines, however they end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    PumpError,
    StdinInput,
    TimeoutExpired,
    observe,
)
from cuprum.adapters.logging_adapter import (
    JsonLoggingFormatter,
    structured_logging_hook,
)
from cuprum.adapters.metrics_adapter import InMemoryMetrics, metrics_hook
from cuprum.adapters.tracing_adapter import (
    InMemorySpan,
    InMemoryTracer,
    tracing_hook,
)
from tests.support.fake_helper import END, HOP, install
from tests.support.stages import cat, command, missing, python, shell, sleep
from tests.support.striker import Striker
from tests.support.threads import THREADS, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cuprum.events import ExecEvent

each_backend = pytest.mark.usefixtures("stream_backend")


@contextmanager
def traced() -> Iterator[InMemoryTracer]:
    """Trace what is run; whatever comes of it, each span has to end, with a status."""
    tracer = InMemoryTracer()
    with observe(tracing_hook(tracer)):
        yield tracer
    for span in tracer.spans:
        assert span.ended, span
        assert span.status_ok is not None, span


@contextmanager
def counted() -> Iterator[InMemoryMetrics]:
    """Count what is run."""
    metrics = InMemoryMetrics()
    with observe(metrics_hook(metrics)):
        yield metrics


def by_name(tracer: InMemoryTracer) -> dict[str, InMemorySpan]:
    """Return the spans by their names, which have to differ."""
    named = {span.name: span for span in tracer.spans}
    assert len(named) == len(tracer.spans)
    return named


# --- Logs -----------------------------------------------------------------------------


@each_backend
def test_each_event_of_a_pipeline_is_a_line_of_json() -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    handler.setFormatter(JsonLoggingFormatter())
    logger = logging.Logger("own", level=logging.DEBUG)
    logger.addHandler(handler)
    events: list[ExecEvent] = []
    with observe(structured_logging_hook(logger=logger)), observe(events.append):
        (shell("echo out; echo err >&2") | cat()).run_sync(
            context=ExecutionContext(tags={"job": ("nightly", 7)})
        )
    records = [json.loads(line) for line in lines]
    assert [(one["cuprum_phase"], one["cuprum_program"]) for one in records] == [
        (event.phase, event.program) for event in events
    ]
    phases = [event.phase for event in events]
    assert set(phases) == {
        "plan",
        "start",
        "hop_start",
        "hop_end",
        "stdout",
        "stderr",
        "exit",
    }
    assert all(one["cuprum_tags"]["job"] == ["nightly", 7] for one in records)
    assert records[phases.index("stderr")]["cuprum_line"] == "err"
    assert records[phases.index("hop_end")]["cuprum_hop"]["bytes_written"] == 4
    assert records[-1]["cuprum_exit_code"] == 0


# --- Metrics --------------------------------------------------------------------------


def test_a_command_that_fails_is_counted() -> None:
    with counted() as metrics:
        shell("echo 1; echo 2; echo 3 >&2; exit 3").run_sync()
    assert metrics.counters == {
        "cuprum_executions_total": 1,
        "cuprum_stdout_lines_total": 2,
        "cuprum_stderr_lines_total": 1,
        "cuprum_failures_total": 1,
    }
    ((name, (duration,)),) = metrics.histograms.items()
    assert (name, 0 < duration < 20) == ("cuprum_duration_seconds", True)


def test_standard_input_is_counted() -> None:
    with counted() as metrics:
        command("true").run_sync(stdin=StdinInput(data=b""))
        cat().run_sync(stdin=StdinInput(data=b"12345"))
    assert metrics.counters["cuprum_stdin_bytes_total"] == 5
    assert "cuprum_stdin_errors_total" not in metrics.counters


@each_backend
def test_the_bytes_of_hops_are_counted() -> None:
    with counted() as metrics:
        pipeline = shell("head -c 300000 /dev/zero") | cat() | shell("cat >/dev/null")
        result = pipeline.run_sync()
    moved = sum(hop.bytes_written for hop in result.hops)
    assert moved == 600000
    assert metrics.counters["cuprum_hop_bytes_total"] == moved
    assert "cuprum_hop_discarded_bytes_total" not in metrics.counters
    starved = metrics.histograms["cuprum_hop_starved_seconds"]
    blocked = metrics.histograms["cuprum_hop_blocked_seconds"]
    assert sorted(starved) == sorted(hop.waited_for_input for hop in result.hops)
    assert sorted(blocked) == sorted(hop.waited_for_output for hop in result.hops)


@each_backend
def test_bytes_that_nobody_wanted_are_counted() -> None:
    with counted() as metrics:
        result = (shell("head -c 300000 /dev/zero") | shell("head -c 1")).run_sync()
    (hop,) = result.hops
    assert hop.bytes_discarded > 0
    counters = metrics.counters
    assert counters["cuprum_hop_bytes_total"] == hop.bytes_written
    assert counters["cuprum_hop_discarded_bytes_total"] == hop.bytes_discarded


def test_the_callers_tags_win_in_labels() -> None:
    seen: list[Mapping[str, str]] = []

    class Labels(InMemoryMetrics):
        def inc_counter(
            self, name: str, value: float, labels: Mapping[str, str]
        ) -> None:
            seen.append(labels)

    with observe(metrics_hook(Labels())):
        command("true").run_sync()
        command("true").run_sync(context=ExecutionContext(tags={"project": "mine"}))
    assert seen == [
        {"program": "true", "project": "tests"},
        {"program": "true", "project": "mine"},
    ]


@each_backend
@pytest.mark.parametrize("fails_at", ["executions", "stdout_lines", "failures"])
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_a_collector_that_fails_ends_the_run(fails_at: str, kind: str) -> None:
    class Broken(InMemoryMetrics):
        def inc_counter(
            self, name: str, value: float, labels: Mapping[str, str]
        ) -> None:
            if name == f"cuprum_{fails_at}_total":
                raise ConnectionError(name)

    failing = shell("echo out; exit 3")
    run = failing if kind == "command" else cat() | failing
    with observe(metrics_hook(Broken())), pytest.raises(ConnectionError):
        run.run_sync()


# --- Traces ---------------------------------------------------------------------------


@each_backend
def test_a_pipeline_is_a_span_for_each_stage_and_each_hop(tmp_path: Path) -> None:
    with traced() as tracer:
        result = (
            shell("printf 12345")
            | command("cat")
            | python("import sys; print(len(sys.stdin.read()))")
        ).run_sync(context=ExecutionContext(cwd=tmp_path))
    assert result.ok
    stages = [span for span in tracer.spans if span.name.startswith("cuprum.exec ")]
    for index, (stage, span) in enumerate(zip(result.stages, stages, strict=True)):
        assert span.name == f"cuprum.exec {stage.program}"
        assert span.attributes.pop("cuprum.duration_s") != 0
        assert span.attributes == {
            "cuprum.program": stage.program,
            "cuprum.argv": [stage.program, *stage.argv],
            "cuprum.pid": stage.pid,
            "cuprum.cwd": str(tmp_path),
            "cuprum.project": "tests",
            "cuprum.pipeline_stage_index": index,
            "cuprum.pipeline_stages": 3,
            "cuprum.exit_code": 0,
        }
        assert span.status_ok
    assert [span.events for span in stages] == [
        [],
        [],
        [("cuprum.stdout", {"line": "5"})],
    ]
    hops = [span for span in tracer.spans if span not in stages]
    for index, (hop, span) in enumerate(zip(result.hops, hops, strict=True)):
        assert span.name == f"cuprum.hop {index}"
        assert span.attributes["cuprum.hop_index"] == index
        assert span.attributes["cuprum.pipeline_stage_index"] == index
        assert span.attributes["cuprum.program"] == result.stages[index].program
        assert span.attributes["cuprum.bytes_written"] == hop.bytes_written == 5
        assert span.attributes["cuprum.engine"] == hop.engine
        assert span.attributes["cuprum.broken_pipe"] is False
        assert span.attributes["cuprum.waited_for_input"] == hop.waited_for_input
        assert span.status_ok


def test_standard_input_that_cannot_be_fed_is_told_in_the_span() -> None:
    with traced() as tracer:
        command("true").run_sync(stdin=StdinInput(data=bytes(1 << 20)))
    (span,) = tracer.spans
    name, details = span.events[0]
    assert name == "cuprum.stdin_error"
    assert details["operation"] == "write"
    assert details["error_type"] == "BrokenPipeError"
    assert span.status_ok


def test_commands_that_run_at_once_are_told_apart() -> None:
    async def run_all() -> None:
        await asyncio.gather(*(shell(f"echo {i}; exit {i}").run() for i in range(9)))

    with traced() as tracer:
        asyncio.run(run_all())
    assert sorted(
        (span.events[0][1]["line"], span.attributes["cuprum.exit_code"])
        for span in tracer.spans
    ) == [(str(i), i) for i in range(9)]


def test_threads_may_share_the_hooks() -> None:
    tracer, metrics = InMemoryTracer(), InMemoryMetrics()
    hooks = tracing_hook(tracer), metrics_hook(metrics)

    def work() -> None:
        with ExitStack() as stack:
            for hook in hooks:
                stack.enter_context(observe(hook))
            assert shell("echo out").run_sync().ok

    in_threads(work)
    assert metrics.counters["cuprum_executions_total"] == THREADS
    assert metrics.counters["cuprum_stdout_lines_total"] == THREADS
    assert [span.ended for span in tracer.spans] == [True] * THREADS


# --- Runs that do not end well --------------------------------------------------------


def test_a_timeout_of_a_command_ends_its_span() -> None:
    with traced() as tracer, counted() as metrics, pytest.raises(TimeoutExpired):
        sleep(60).run_sync(timeout=0.1)
    (span,) = tracer.spans
    assert (span.status_ok, span.attributes["cuprum.exit_code"]) == (False, -15)
    assert metrics.counters["cuprum_failures_total"] == 1
    (duration,) = metrics.histograms["cuprum_duration_seconds"]
    assert 0.1 <= duration < 20


@each_backend
def test_a_timeout_of_a_pipeline_ends_all_its_spans() -> None:
    pipeline = shell("echo out; exec sleep 60") | cat()
    with traced() as tracer, counted() as metrics, pytest.raises(TimeoutExpired):
        pipeline.run_sync(timeout=0.3)
    spans = by_name(tracer)
    assert set(spans) == {"cuprum.exec sh", "cuprum.hop 0", "cuprum.exec cat"}
    assert spans["cuprum.exec sh"].attributes["cuprum.exit_code"] == -15
    assert spans["cuprum.hop 0"].attributes["cuprum.bytes_written"] == 4
    # The last stage may come to its end of file before its signal.
    failed = [span for span in tracer.spans if not span.status_ok]
    assert metrics.counters["cuprum_failures_total"] == len(failed)
    assert metrics.counters["cuprum_hop_bytes_total"] == 4


@each_backend
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_cancelling_ends_all_spans(kind: str) -> None:
    slow = shell("echo out; exec sleep 60")
    run = slow if kind == "command" else slow | cat()

    async def cancel() -> None:
        seen = asyncio.Event()
        phase = "stdout"

        def note(event: ExecEvent) -> None:
            if event.phase == phase:
                seen.set()

        with observe(note):
            task = asyncio.create_task(run.run())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with traced() as tracer:
        asyncio.run(cancel())
    assert len(tracer.spans) == (1 if kind == "command" else 3)
    assert by_name(tracer)["cuprum.exec sh"].status_ok is False


@each_backend
def test_fail_fast_ends_all_spans() -> None:
    with traced() as tracer, counted() as metrics:
        (command("false") | sleep(60)).run_sync()
    spans = by_name(tracer)
    assert spans["cuprum.exec false"].attributes["cuprum.exit_code"] == 1
    assert spans["cuprum.exec sleep"].attributes["cuprum.exit_code"] == -15
    assert spans["cuprum.hop 0"].attributes["cuprum.bytes_written"] == 0
    assert metrics.counters["cuprum_failures_total"] == 2


@each_backend
def test_a_stage_that_cannot_be_started_ends_the_spans_of_the_others(
    tmp_path: Path,
) -> None:
    with traced() as tracer, pytest.raises(FileNotFoundError):
        (sleep(60) | missing(tmp_path)).run_sync()
    assert [span.name for span in tracer.spans] == ["cuprum.exec sleep"]


@each_backend
def test_a_callback_that_fails_ends_all_spans() -> None:
    def fail(event: ExecEvent) -> None:
        if event.phase == "stdout":
            raise ValueError(event.line)

    pipeline = shell("echo out") | cat()
    with traced() as tracer, observe(fail), pytest.raises(ValueError, match=r"^out$"):
        pipeline.run_sync()
    assert len(tracer.spans) == 3


@pytest.fixture
def helper_alone(either_way: pytest.MonkeyPatch, helper_path: Path) -> None:
    """Have the helper move what crosses hops."""
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")


@pytest.mark.usefixtures("helper_alone")
def test_a_helper_that_is_killed_ends_all_spans(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    last = shell('head -c 9 >/dev/null; echo $$ >"$1"; exec cat >/dev/null', str(pid))
    striker = Striker(pid, signal.SIGKILL)
    with traced() as tracer, pytest.raises(PumpError):
        (command("yes") | last).run_sync(timeout=15)
    striker.join()
    assert striker.hit
    assert by_name(tracer)["cuprum.hop 0"].status_ok is False


def test_a_hop_that_fails_says_so_in_its_span(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both stages exit with 0: nothing else would tell."""
    failed = HOP.replace('"errno":0', '"errno":28').replace(
        '"side":null', '"side":"write"'
    )
    helper = install(tmp_path, after=[failed, END.replace('"errno":0', '"errno":28')])
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    fresh_backend.setenv("CUPRUM_PUMP", str(helper))
    fresh_backend.setenv("CUPRUM_PUMP_WARM", "0")
    with traced() as tracer, pytest.raises(PumpError):
        (shell("printf 12345") | cat()).run_sync()
    span = by_name(tracer)["cuprum.hop 0"]
    assert span.status_ok is False
    assert span.attributes["cuprum.bytes_written"] == 5
    assert span.attributes["cuprum.note"] == os.strerror(28)
