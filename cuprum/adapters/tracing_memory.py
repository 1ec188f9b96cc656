"""A tracer that keeps its spans in memory, for tests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InMemorySpan", "InMemoryTracer"]


@dataclass(slots=True)
class InMemorySpan:
    """A span, to be looked at.

    Attributes:
        name: the span's name.
        attributes: what is known of it.
        events: name and attributes of each event, in order.
        status_ok: whether it went well; None until that is known.
        ended: whether it has ended.

    >>> span = InMemorySpan("work")
    >>> span.set_status(ok=True)
    >>> span.status_ok, span.ended
    (True, False)
    """

    name: str
    attributes: dict[str, object] = field(default_factory=dict[str, object])
    events: list[tuple[str, dict[str, object]]] = field(
        default_factory=list[tuple[str, dict[str, object]]]
    )
    status_ok: bool | None = None
    ended: bool = False

    def set_attribute(self, key: str, value: object) -> None:
        """Set an attribute."""
        self.attributes[key] = value

    def add_event(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> None:
        """Add an event."""
        self.events.append((name, dict(attributes or {})))

    def set_status(self, *, ok: bool) -> None:
        """Say whether it went well."""
        self.status_ok = ok

    def end(self) -> None:
        """End the span."""
        self.ended = True


class InMemoryTracer:
    """A tracer that keeps the spans it has started; safe with threads.

    Attributes:
        spans: the spans in the order of their start, whether they have ended or not.

    >>> tracer = InMemoryTracer()
    >>> tracer.start_span("work").end()
    >>> [(span.name, span.ended) for span in tracer.spans]
    [('work', True)]
    """

    def __init__(self) -> None:
        self.spans: list[InMemorySpan] = []
        self._lock = threading.Lock()

    def start_span(
        self, name: str, attributes: Mapping[str, object] | None = None
    ) -> InMemorySpan:
        """Return a new span."""
        span = InMemorySpan(name, dict(attributes or {}))
        with self._lock:
            self.spans.append(span)
        return span

    def reset(self) -> None:
        """Forget all spans."""
        with self._lock:
            self.spans.clear()
