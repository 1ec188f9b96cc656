"""Events as spans: from start to end, one each, and each ended once."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from cuprum.adapters import tracing_adapter, tracing_memory
from cuprum.adapters.tracing_adapter import (
    InMemorySpan,
    InMemoryTracer,
    TracingHook,
    tracing_hook,
)
from cuprum.events import ExecId, new_exec_id
from tests.support.exec_events import CWD, REPORT, event
from tests.support.threads import THREADS, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMAND = {"cuprum.program": "sort", "cuprum.argv": ["sort", "-u"]}


@pytest.fixture
def tracer() -> InMemoryTracer:
    """Return a tracer that remembers its spans."""
    return InMemoryTracer()


@pytest.fixture
def exec_id() -> ExecId:
    """Return the id of the one execution that a test is about."""
    return new_exec_id()


# --- Spans of commands ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        ({}, {"cuprum.pid": 7, "cuprum.project": "tests"}),
        (
            {"cwd": CWD, "pid": None},
            {"cuprum.cwd": str(CWD), "cuprum.project": "tests"},
        ),
        (
            {"tags": {"pipeline_stage_index": 0, "pipeline_stages": 2, "mine": 1}},
            {
                "cuprum.pid": 7,
                "cuprum.pipeline_stage_index": 0,
                "cuprum.pipeline_stages": 2,
            },
        ),
    ],
)
def test_start_opens_a_span_that_says_what_is_run(
    tracer: InMemoryTracer, fields: dict[str, object], attributes: dict[str, object]
) -> None:
    tracing_hook(tracer)(event("start", **fields))
    assert tracer.spans == [InMemorySpan("cuprum.exec sort", COMMAND | attributes)]


@pytest.mark.parametrize(
    ("fields", "attributes", "ok"),
    [
        ({}, {"cuprum.exit_code": 3, "cuprum.duration_s": 0.25}, False),
        (
            {"exit_code": 0, "duration_s": 0.0},
            {"cuprum.exit_code": 0, "cuprum.duration_s": 0.0},
            True,
        ),
        ({"exit_code": -15, "duration_s": None}, {"cuprum.exit_code": -15}, False),
        ({"exit_code": None, "duration_s": None}, {}, True),
    ],
)
def test_exit_says_how_it_ended_and_ends_the_span(
    tracer: InMemoryTracer,
    exec_id: ExecId,
    fields: dict[str, object],
    attributes: dict[str, object],
    ok: bool,
) -> None:
    hook = tracing_hook(tracer)
    hook(event("start", exec_id=exec_id))
    (span,) = tracer.spans
    at_start = dict(span.attributes)
    hook(event("exit", exec_id=exec_id, **fields))
    assert span.attributes == at_start | attributes
    assert (span.status_ok, span.ended) == (ok, True)


def test_an_execution_that_has_ended_is_forgotten(
    tracer: InMemoryTracer, exec_id: ExecId
) -> None:
    hook = tracing_hook(tracer)
    hook(event("start", exec_id=exec_id))
    hook(event("exit", exec_id=exec_id, exit_code=0))
    for phase in ("stdout", "stdin_error", "exit", "hop_end"):
        hook(event(phase, exec_id=exec_id))
    (span,) = tracer.spans
    assert (span.events, span.status_ok) == ([], True)


LINES = [("cuprum.stdout", {"line": "it's"}), ("cuprum.stderr", {"line": ""})]


@pytest.mark.parametrize(("record_output", "lines"), [(True, LINES), (False, [])])
def test_what_happens_meanwhile_is_added(
    tracer: InMemoryTracer,
    exec_id: ExecId,
    record_output: bool,
    lines: list[tuple[str, dict[str, object]]],
) -> None:
    hook = tracing_hook(tracer, record_output=record_output)
    for phase in ("plan", "start", "stdin", "stdout", "stderr", "stdin_error"):
        hook(event(phase, exec_id=exec_id))
    hook(event("stdin_error", exec_id=exec_id, note=None, error_type=None))
    (span,) = tracer.spans
    error = {
        "operation": "write",
        "error_type": "BrokenPipeError",
        "note": "BrokenPipeError: gone",
    }
    assert span.events == [
        *lines,
        ("cuprum.stdin_error", error),
        ("cuprum.stdin_error", {"operation": "write"}),
    ]
    assert (span.status_ok, span.ended) == (None, False)


def test_executions_are_told_apart_by_their_ids_and_not_by_process_number(
    tracer: InMemoryTracer,
) -> None:
    hook = tracing_hook(tracer)
    ids = [new_exec_id(), new_exec_id()]
    for exec_id in ids:
        hook(event("start", exec_id=exec_id, pid=7))
    hook(event("stdout", exec_id=ids[1], pid=7, line="second"))
    hook(event("exit", exec_id=ids[0], pid=8, exit_code=0))
    first, second = tracer.spans
    assert (first.ended, first.events) == (True, [])
    assert (second.ended, second.events) == (
        False,
        [("cuprum.stdout", {"line": "second"})],
    )


@pytest.mark.parametrize(
    "phase",
    ["plan", "start", "stdin", "stdin_error", "stdout", "exit", "hop_start", "new"],
)
def test_events_of_no_execution_are_ignored(
    tracer: InMemoryTracer, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.adapters")
    tracing_hook(tracer)(event(phase, exec_id=None))
    assert (tracer.spans, caplog.records) == ([], [])


def test_a_phase_that_nobody_knows_is_logged_and_harmless(
    tracer: InMemoryTracer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.adapters")
    tracing_hook(tracer)(event("new"))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("cuprum.adapters", logging.DEBUG)
    assert "new" in record.getMessage()
    assert tracer.spans == []


# --- Spans of hops --------------------------------------------------------------------


def test_a_hop_has_a_span_with_what_it_moved(
    tracer: InMemoryTracer, exec_id: ExecId
) -> None:
    hook = tracing_hook(tracer)
    tags = {"project": "tests", "pipeline_stage_index": 1, "pipeline_stages": 3}
    hook(event("hop_start", exec_id=exec_id, tags=tags))
    (span,) = tracer.spans
    started = {
        **COMMAND,
        "cuprum.hop_index": 1,
        "cuprum.project": "tests",
        "cuprum.pipeline_stage_index": 1,
        "cuprum.pipeline_stages": 3,
    }
    assert span == InMemorySpan("cuprum.hop 1", started)
    hook(event("hop_end", exec_id=exec_id, tags=tags))
    moved = {f"cuprum.{name}": value for name, value in asdict(REPORT).items()}
    assert moved.pop("cuprum.waiting") is None
    assert span.attributes == started | moved
    assert (span.status_ok, span.ended) == (True, True)


def test_a_hop_whose_end_is_not_known_has_failed(
    tracer: InMemoryTracer, exec_id: ExecId
) -> None:
    hook = tracing_hook(tracer)
    hook(event("hop_start", exec_id=exec_id))
    hook(event("hop_end", exec_id=exec_id, hop=None))
    (span,) = tracer.spans
    assert "cuprum.bytes_written" not in span.attributes
    assert (span.status_ok, span.ended) == (False, True)


def test_a_hop_that_failed_says_why(tracer: InMemoryTracer, exec_id: ExecId) -> None:
    hook = tracing_hook(tracer)
    hook(event("hop_start", exec_id=exec_id))
    error = {
        "operation": "write",
        "error_type": "ENOSPC",
        "note": "No space left on device",
    }
    hook(event("hop_end", exec_id=exec_id, **error))
    (span,) = tracer.spans
    assert span.attributes["cuprum.bytes_written"] == 90
    for name, value in error.items():
        assert span.attributes[f"cuprum.{name}"] == value
    assert (span.status_ok, span.ended) == (False, True)


# --- The same execution started twice -------------------------------------------------


class Watched(InMemorySpan):
    """A span that writes down the calls that end it, and calls back from there."""

    def __init__(self, name: str, calls: list[str], then: Callable[[], None]) -> None:
        super().__init__(name)
        self._calls = calls
        self._then = then

    def set_status(self, *, ok: bool) -> None:
        """Write it down."""
        self._calls.append(f"{self.name}: {'ok' if ok else 'failed'}")
        self._then()

    def end(self) -> None:
        """Write it down."""
        self._calls.append(f"{self.name}: end")
        self._then()


class WatchedTracer:
    """A tracer of numbered watched spans, which calls back as well."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.then: Callable[[], None] = lambda: None
        self._count = 0

    def start_span(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> Watched:
        """Return the next span."""
        del name, attributes
        self._count += 1
        self.then()
        return Watched(str(self._count), self.calls, lambda: self.then())


def test_a_second_start_replaces_the_span_and_ends_the_first_once(
    exec_id: ExecId,
) -> None:
    tracer = WatchedTracer()
    hook = tracing_hook(tracer)
    hook(event("start", exec_id=exec_id))
    hook(event("start", exec_id=exec_id))
    assert tracer.calls == ["1: failed", "1: end"]
    hook(event("exit", exec_id=exec_id, exit_code=0))
    assert tracer.calls == ["1: failed", "1: end", "2: ok", "2: end"]
    hook(event("exit", exec_id=exec_id, exit_code=0))
    assert len(tracer.calls) == 4


def test_tracer_and_spans_are_called_outside_the_lock(exec_id: ExecId) -> None:
    """They may use the hook, from whatever thread: nobody would wait for them."""
    tracer = WatchedTracer()
    hook = TracingHook(tracer)
    called: list[None] = []
    probe = event("stdout", exec_id=new_exec_id())

    def use_the_hook() -> None:
        assert hook._lock.acquire(timeout=5)
        hook._lock.release()
        hook(probe)
        called.append(None)

    tracer.then = use_the_hook
    for phase in ("start", "start", "exit"):
        hook(event(phase, exec_id=exec_id))
    assert len(called) == 6  # two starts, and two calls that end each span


class Interrupted(uuid.UUID):
    """An id in the middle of whose use another thread has its turn."""

    def __hash__(self) -> int:
        """Give way, then return the same as ever."""
        time.sleep(0)
        return super().__hash__()


def test_however_many_threads_start_and_end_it_each_span_is_ended_once() -> None:
    exec_id = ExecId(Interrupted(int=1))
    tracer = WatchedTracer()
    hook = tracing_hook(tracer)
    start, end = event("start", exec_id=exec_id), event("exit", exec_id=exec_id)
    times = 200

    def work() -> None:
        for _ in range(times):
            hook(start)
            hook(end)

    in_threads(work)
    ends = [call for call in tracer.calls if call.endswith(": end")]
    assert len(ends) == THREADS * times
    hook(end)
    assert len(tracer.calls) == 2 * THREADS * times


# --- Failures -------------------------------------------------------------------------


class Broken(InMemoryTracer):
    """A tracer that makes nothing."""

    def start_span(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> InMemorySpan:
        """Fail."""
        raise ConnectionError(name)


def test_what_the_tracer_raises_gets_out(exec_id: ExecId) -> None:
    hook = tracing_hook(Broken())
    with pytest.raises(ConnectionError, match=r"cuprum\.exec sort"):
        hook(event("start", exec_id=exec_id))
    hook(event("exit", exec_id=exec_id))


# --- In memory ------------------------------------------------------------------------


def test_the_memory_is_found_in_both_modules() -> None:
    assert tracing_adapter.InMemorySpan is tracing_memory.InMemorySpan
    assert tracing_adapter.InMemoryTracer is tracing_memory.InMemoryTracer


def test_spans_share_nothing_with_what_they_were_given(
    tracer: InMemoryTracer,
) -> None:
    given: dict[str, object] = {"a": 1}
    span = tracer.start_span("one", given)
    span.add_event("event", given)
    span.add_event("bare")
    span.set_attribute("b", 2)
    given["a"] = 0
    assert span.attributes == {"a": 1, "b": 2}
    assert span.events == [("event", {"a": 1}), ("bare", {})]
    assert tracer.start_span("two").attributes == {}
    assert not hasattr(span, "__dict__")
    tracer.reset()
    assert tracer.spans == []


def test_in_memory_loses_no_span_under_threads(tracer: InMemoryTracer) -> None:
    hook = tracing_hook(tracer)
    times = 200

    def work() -> None:
        for _ in range(times):
            exec_id = new_exec_id()
            for phase in ("start", "stdout", "stderr", "exit"):
                hook(event(phase, exec_id=exec_id))

    in_threads(work)
    assert len(tracer.spans) == THREADS * times
    for span in tracer.spans:
        assert (span.events, span.status_ok, span.ended) == (LINES, False, True)
