"""What happens in a run, as events for `cuprum.observe`.

>>> from cuprum import ECHO, observe, sh
>>> phases = []
>>> with observe(lambda event: phases.append(event.phase)):
...     _ = sh.make(ECHO)("hello").run_sync()
>>> phases
['plan', 'start', 'stdout', 'exit']
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NewType, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum.program import Program
    from cuprum.pump import HopReport

__all__ = ["ExecEvent", "ExecHook", "ExecId", "ExecPhase", "new_exec_id"]

ExecPhase: TypeAlias = Literal[
    "plan",
    "start",
    "stdout",
    "stderr",
    "exit",
    "stdin",
    "stdin_error",
    "hop_start",
    "hop_end",
]
"""What an event tells of; the last two are about a hop, not a process."""

ExecId = NewType("ExecId", uuid.UUID)
"""Names one execution of a command, or one hop: all its events have the same."""

ExecHook: TypeAlias = Callable[["ExecEvent"], Awaitable[None] | None]
"""Called with each event; what it returns, if anything, is awaited by the run."""


def new_exec_id() -> ExecId:
    """Return an id that no other execution has (a random UUID).

    >>> new_exec_id() == new_exec_id()
    False
    """
    return ExecId(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class ExecEvent:
    """One thing that happened to a command, to a pipeline's stage, or to a hop.

    Attributes:
        phase: what happened.
        program: the program; of a hop, that of the stage before it.
        argv: program and arguments.
        cwd: the working directory, or None for ours.
        env: the variables laid over the environment, never all of it; or None.
        pid: process number; None before the start, and of a hop.
        timestamp: seconds since the epoch.
        line: the line, without its end, of ``stdout`` and ``stderr``.
        exit_code: of ``exit``: status, or minus a signal's number.
        duration_s: of ``exit``: seconds from the start to the end of the output.
        tags: ``project``, ``capture``, ``echo``; in pipelines also
            ``pipeline_stage_index`` and ``pipeline_stages``; and the caller's own.
        note: of ``stdin_error``, and of a hop that failed: the error in words.
        byte_count: of ``stdin``: bytes that were written.
        operation: of ``stdin_error``: ``"write"`` or ``"close"``; of a hop that
            failed: ``"read"`` or ``"write"``.
        error_type: of ``stdin_error``: the name of the error's class; of a hop that
            failed: that of its errno.
        exec_id: which execution this is about; a hop has one of its own.
        hop: of ``hop_start`` and ``hop_end``: what the hop has moved; None at an end
            of which nobody knows, as when the helper was killed.
        hop_index: likewise: hop *i* lies between stages *i* and *i* + 1.

    >>> from cuprum import ECHO, observe, sh
    >>> events = []
    >>> with observe(events.append):
    ...     _ = sh.make(ECHO)("hello").run_sync()
    >>> [event.line for event in events if event.phase == "stdout"]
    ['hello']
    >>> len({event.exec_id for event in events})
    1
    """

    phase: ExecPhase
    program: Program
    argv: tuple[str, ...]
    cwd: Path | None
    env: Mapping[str, str] | None
    pid: int | None
    timestamp: float
    line: str | None
    exit_code: int | None
    duration_s: float | None
    tags: Mapping[str, object]
    note: str | None = None
    byte_count: int | None = None
    operation: str | None = None
    error_type: str | None = None
    exec_id: ExecId | None = None
    hop: HopReport | None = field(default=None, kw_only=True)
    hop_index: int | None = field(default=None, kw_only=True)
