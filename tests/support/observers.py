"""Hooks for the tests: one that keeps all events, and others that fail."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cuprum import after, observe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cuprum import CommandResult, ExecEvent, ExecHook, SafeCmd


class HookError(Exception):
    """What a hook raises."""


@contextlib.contextmanager
def recorded() -> Iterator[list[ExecEvent]]:
    """Collect the events of what is run."""
    events: list[ExecEvent] = []
    with observe(events.append):
        yield events


@contextlib.contextmanager
def finished() -> Iterator[list[CommandResult]]:
    """Collect the results that an after hook is given."""
    results: list[CommandResult] = []

    def keep(_: SafeCmd, result: CommandResult) -> None:
        results.append(result)

    with after(keep):
        yield results


def phases(events: Sequence[ExecEvent]) -> list[str]:
    """Return the phases, each with the stage's number in a pipeline."""
    return [f"{e.phase}{e.tags.get('pipeline_stage_index', '')}" for e in events]


def only(events: Sequence[ExecEvent], *chosen: str) -> list[ExecEvent]:
    """Return the events of these phases."""
    return [event for event in events if event.phase in chosen]


def lines(events: Sequence[ExecEvent], phase: str = "stdout") -> list[str | None]:
    """Return the lines that were told."""
    return [event.line for event in only(events, phase)]


def failing_on(*chosen: str, error: Exception | None = None) -> ExecHook:
    """Return a hook that raises on these phases, by default `HookError` of them."""

    def fail(event: ExecEvent) -> None:
        if event.phase in chosen:
            raise error or HookError(event.phase)

    return fail


def expect_exits(events: Sequence[ExecEvent]) -> None:
    """See that each start, also of a hop, is followed by one end, and no other is."""
    for begin, end in (("start", "exit"), ("hop_start", "hop_end")):
        begun = [event.exec_id for event in only(events, begin)]
        ended = [event.exec_id for event in only(events, end)]
        assert sorted(map(str, begun)) == sorted(map(str, ended)), phases(events)
        assert len(set(begun)) == len(begun)
    for event in events:
        if event.exit_code is not None:
            assert event.phase == "exit"
            assert event is [e for e in events if e.exec_id == event.exec_id][-1]
