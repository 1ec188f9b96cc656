"""Events: which fields there are, and which phases."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import assert_never, assert_type

from cuprum import ExecEvent, ExecHook, HopReport, Program
from cuprum.events import ExecId, ExecPhase, new_exec_id


def fields(event: ExecEvent) -> None:
    assert_type(event.phase, ExecPhase)
    assert_type(event.program, Program)
    assert_type(event.argv, tuple[str, ...])
    assert_type(event.cwd, Path | None)
    assert_type(event.env, Mapping[str, str] | None)
    assert_type(event.pid, int | None)
    assert_type(event.timestamp, float)
    assert_type(event.line, str | None)
    assert_type(event.exit_code, int | None)
    assert_type(event.duration_s, float | None)
    assert_type(event.tags, Mapping[str, object])
    assert_type(event.note, str | None)
    assert_type(event.byte_count, int | None)
    assert_type(event.operation, str | None)
    assert_type(event.error_type, str | None)
    assert_type(event.exec_id, ExecId | None)
    assert_type(event.hop, HopReport | None)
    assert_type(event.hop_index, int | None)

    event.phase = "exit"  # pyright: ignore[reportAttributeAccessIssue]
    event.tags["mine"] = 1  # pyright: ignore[reportIndexIssue]


def phases(phase: ExecPhase) -> None:
    """Every phase is one of these: a new one breaks such a match."""
    match phase:
        case "plan" | "start" | "stdout" | "stderr" | "exit" | "stdin" | "stdin_error":
            pass
        case "hop_start" | "hop_end":
            pass
        case _:
            assert_never(phase)

    _: ExecPhase = "end"  # pyright: ignore[reportAssignmentType]


def ids() -> None:
    assert_type(new_exec_id(), ExecId)
    _0: uuid.UUID = new_exec_id()
    _1: ExecId = uuid.uuid4()  # pyright: ignore[reportAssignmentType]


def hooks(hook: ExecHook, plain: Callable[[ExecEvent], Awaitable[None] | None]) -> None:
    _0: Callable[[ExecEvent], Awaitable[None] | None] = hook
    _1: ExecHook = plain
    _2: Callable[[ExecEvent], None] = hook  # pyright: ignore[reportAssignmentType]
