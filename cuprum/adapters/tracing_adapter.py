"""Events as spans: one per command, one per stage and per hop of a pipeline.

>>> from cuprum import ECHO, observe, sh
>>> tracer = InMemoryTracer()
>>> with observe(tracing_hook(tracer)):
...     _ = sh.make(ECHO)("hello").run_sync()
>>> [(span.name, span.status_ok, span.events) for span in tracer.spans]
[('cuprum.exec echo', True, [('cuprum.stdout', {'line': 'hello'})])]
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from cuprum.adapters.tracing_memory import InMemorySpan, InMemoryTracer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cuprum.events import ExecEvent, ExecId

__all__ = [
    "InMemorySpan",
    "InMemoryTracer",
    "Span",
    "Tracer",
    "TracingHook",
    "tracing_hook",
]

_logger = logging.getLogger("cuprum.adapters")

_TAGS = ("project", "pipeline_stage_index", "pipeline_stages")


class Span(Protocol):
    """Something that takes time."""

    def set_attribute(self, key: str, value: object) -> None:
        """Set an attribute: a string, a number, or a list of these."""

    def add_event(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> None:
        """Add something that happens at a moment."""

    def set_status(self, *, ok: bool) -> None:
        """Say whether it went well."""

    def end(self) -> None:
        """End it; called once."""


class Tracer(Protocol):
    """What makes spans; what it raises ends the run."""

    def start_span(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> Span:
        """Return a span that begins now."""
        ...


class TracingHook:
    """A hook that makes spans of events; safe with threads.

    ``cuprum.exec <program>`` goes from a command's ``start`` to its ``exit``,
    ``cuprum.hop <index>`` from ``hop_start`` to ``hop_end``. Attributes are those of
    `ExecEvent`, such as ``cuprum.exit_code``, and of `HopReport`, such as
    ``cuprum.bytes_written``. A hop is ok if its end is known and has no ``note``.

    Args:
        tracer: what makes the spans.
        record_output: add an event for each line of output.

    >>> from cuprum import ECHO, observe, sh
    >>> tracer = InMemoryTracer()
    >>> with observe(TracingHook(tracer, record_output=False)):
    ...     _ = sh.make(ECHO)("hello").run_sync()
    >>> tracer.spans[0].attributes["cuprum.exit_code"], tracer.spans[0].events
    (0, [])
    """

    def __init__(self, tracer: Tracer, *, record_output: bool = True) -> None:
        self._tracer = tracer
        self._record_output = record_output
        self._spans: dict[ExecId, Span] = {}
        self._lock = threading.Lock()

    def __call__(self, event: ExecEvent) -> None:
        """Start, add to, or end the span that ``event`` is about.

        Raises:
            Exception: what the tracer or a span raised.
        """
        if event.exec_id is None:
            return
        match event.phase:
            case "plan" | "stdin":
                pass
            case "start":
                self._start(event.exec_id, f"cuprum.exec {event.program}", event)
            case "hop_start":
                self._start(event.exec_id, f"cuprum.hop {event.hop_index}", event)
            case "stdout" | "stderr":
                if self._record_output:
                    self._add(event.exec_id, event)
            case "stdin_error":
                self._add(event.exec_id, event)
            case "exit":
                values = {"exit_code": event.exit_code, "duration_s": event.duration_s}
                self._end(event.exec_id, values, ok=not event.exit_code)
            case "hop_end":
                values = {} if event.hop is None else asdict(event.hop)
                is_ok = event.hop is not None and event.note is None
                self._end(event.exec_id, {**values, **_details(event)}, ok=is_ok)
            case _:
                _logger.debug("no span is made of phase %s", event.phase)

    def _start(self, exec_id: ExecId, name: str, event: ExecEvent) -> None:
        values: dict[str, object] = {
            "program": event.program,
            "argv": list(event.argv),
            "pid": event.pid,
            "cwd": event.cwd and str(event.cwd),
            "hop_index": event.hop_index,
        }
        values |= {tag: event.tags.get(tag) for tag in _TAGS}
        span = self._tracer.start_span(name, _known(values, "cuprum."))
        with self._lock:
            replaced = self._spans.pop(exec_id, None)
            self._spans[exec_id] = span
        if replaced is not None:
            replaced.set_status(ok=False)
            replaced.end()

    def _add(self, exec_id: ExecId, event: ExecEvent) -> None:
        with self._lock:
            span = self._spans.get(exec_id)
        if span is not None:
            values = {"line": event.line, **_details(event)}
            span.add_event(f"cuprum.{event.phase}", _known(values))

    def _end(self, exec_id: ExecId, values: Mapping[str, object], *, ok: bool) -> None:
        with self._lock:
            span = self._spans.pop(exec_id, None)
        if span is not None:
            for key, value in _known(values, "cuprum.").items():
                span.set_attribute(key, value)
            span.set_status(ok=ok)
            span.end()


def _details(event: ExecEvent) -> dict[str, object]:
    names = ("operation", "error_type", "note")
    return {name: getattr(event, name) for name in names}


def _known(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    return {prefix + name: value for name, value in values.items() if value is not None}


def tracing_hook(tracer: Tracer, *, record_output: bool = True) -> TracingHook:
    """Return a hook that makes spans of events; see `TracingHook`.

    >>> isinstance(tracing_hook(InMemoryTracer()), TracingHook)
    True
    """
    return TracingHook(tracer, record_output=record_output)
