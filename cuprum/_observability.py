"""Telling hooks of a run: events, and what comes before and after a command."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from dataclasses import fields
from errno import EIO, errorcode
from functools import partial
from pathlib import Path
from time import monotonic, time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cuprum._tasks import finish
from cuprum.events import ExecEvent, ExecPhase, new_exec_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cuprum._command import SafeCmd
    from cuprum._hops import HopOutcome
    from cuprum._plan import RunPlan
    from cuprum._results import CommandResult
    from cuprum.pump import HopReport

__all__ = ["Observation"]

_logger = logging.getLogger(__name__)


class Observation:
    """The hooks of one run, as they were when it began, and what they are told.

    A hook that raises before the run has come to its end ends it. Between a start
    and its exit that has to wait: the command is let end by itself, and what a hook
    raised first is kept for `check`.

    Args:
        commands: one per stage.
        plan: has the hooks.
    """

    def __init__(self, commands: Sequence[SafeCmd], plan: RunPlan) -> None:
        self._commands = commands
        self._plan = plan
        self._hooks = plan.observe_hooks
        self._error: Exception | None = None
        self._tasks: dict[asyncio.Future[None], ExecEvent] = {}
        self._started: dict[int, tuple[int, float]] = {}
        self._open_hops: set[int] = set()
        if self._hooks:
            self._stages = [self._template(i) for i in range(len(commands))]
            # A hop is none of its stages: they have spans of their own.
            self._hops = [
                partial(stage, exec_id=new_exec_id(), hop_index=hop)
                for hop, stage in enumerate(self._stages[:-1])
            ]

    def _template(self, stage: int) -> partial[ExecEvent]:
        plan, command = self._plan, self._commands[stage]
        tags: dict[str, object] = {
            "project": command.project.name,
            "capture": plan.capture,
            "echo": plan.echo,
        }
        if len(self._commands) > 1:
            tags["pipeline_stage_index"] = stage
            tags["pipeline_stages"] = len(self._commands)
        return partial(
            ExecEvent,
            program=command.program,
            argv=command.argv_with_program,
            cwd=None if plan.cwd is None else Path(plan.cwd),
            env=plan.overlay,
            pid=None,
            line=None,
            exit_code=None,
            duration_s=None,
            tags=MappingProxyType({**tags, **(plan.tags or {})}),
            exec_id=new_exec_id(),
        )

    def plan(self) -> None:
        """Tell that the commands are going to be started, and call before hooks."""
        for stage, command in enumerate(self._commands):
            if self._hooks:
                self._tell(self._stages[stage]("plan", timestamp=time()))
            for hook in self._plan.before_hooks:
                hook(command)

    def start(self, stage: int, pid: int) -> None:
        """Tell that a stage has started."""
        if self._hooks:
            self._started[stage] = pid, monotonic()
            self._tell(self._stages[stage]("start", pid=pid, timestamp=time()))

    def lines(self, phase: ExecPhase, stage: int) -> Callable[[str], None] | None:
        """Return what tells of each line of a stage that has started; it never raises.

        There may be millions, so that nothing is looked up that is always the same.
        """
        if not self._hooks:
            return None
        pid, _ = self._started[stage]
        event = self._stages[stage](phase, pid=pid, timestamp=0.0)
        program, argv, cwd, env = event.program, event.argv, event.cwd, event.env
        tags, exec_id = event.tags, event.exec_id
        hooks, has_failed = self._hooks, False

        def on_line(line: str) -> None:
            nonlocal has_failed
            if has_failed:
                return
            # Every member, each stored as fast as can be; see _Draft.
            draft = _Draft()
            draft.phase, draft.program, draft.argv = phase, program, argv
            draft.cwd, draft.env, draft.pid = cwd, env, pid
            draft.timestamp, draft.line = time(), line
            draft.exit_code = draft.duration_s = None
            draft.tags = tags
            draft.note = draft.byte_count = draft.operation = draft.error_type = None
            draft.exec_id = exec_id
            draft.hop = draft.hop_index = None
            draft.__class__ = ExecEvent  # type: ignore[assignment]
            event: Any = draft
            try:  # as in _tell, without a call
                for hook in hooks:
                    waiting = hook(event)
                    if waiting is not None:
                        self._await(waiting, event)
            except Exception as error:
                has_failed = True
                _log_failure(event, error)
                self._error = self._error or error

        return on_line

    def stdin(self, **details: Any) -> None:  # noqa: ANN401  fields of an event
        """Tell how feeding the first stage has ended."""
        phase: ExecPhase = "stdin_error" if "note" in details else "stdin"
        if self._hooks:
            pid, _ = self._started[0]
            event = self._stages[0](phase, pid=pid, timestamp=time(), **details)
            self._tell_or_keep(event)

    def hop_start(self, reports: Sequence[HopReport]) -> None:
        """Tell that the pump is at work."""
        if self._hooks:
            for hop, report in enumerate(reports):
                self._open_hops.add(hop)
                event = self._hops[hop]("hop_start", timestamp=time(), hop=report)
                self._tell_or_keep(event)

    def hop_end(self, hop: int, outcome: HopOutcome | None) -> None:
        """Tell that a hop has ended, once; None if nobody knows how."""
        if hop not in self._open_hops:
            return
        self._open_hops.remove(hop)
        event = partial(self._hops[hop], "hop_end", timestamp=time())
        if outcome is not None:
            event = partial(event, hop=outcome.report)
        if outcome is None or outcome.errno:
            number = EIO if outcome is None else outcome.errno
            event = partial(
                event,
                operation=outcome and outcome.side,
                error_type=errorcode.get(number),
                note=os.strerror(number),
            )
        self._tell_or_keep(event())

    def check(self) -> None:
        """Raise what a hook has raised between a start and its exit."""
        if self._error is not None:
            raise self._error

    def exit(self, stage: int, exit_code: int) -> None:
        """Tell that a stage has exited, once, if its start was told of."""
        if stage in self._started:
            pid, began = self._started.pop(stage)
            template = self._stages[stage]
            self._tell(
                template(
                    "exit",
                    pid=pid,
                    timestamp=time(),
                    exit_code=exit_code,
                    duration_s=monotonic() - began,
                )
            )

    def after(self, results: Sequence[CommandResult[Any]]) -> None:
        """Call the after hooks of every stage."""
        for command, result in zip(self._commands, results, strict=True):
            for hook in self._plan.after_hooks:
                hook(command, result)

    async def finish(self, error: BaseException | None) -> None:
        """Wait for what asynchronous hooks have begun.

        Args:
            error: what the run is about to raise.

        Raises:
            Exception: what the first of them that failed has raised; of a pipeline
                that raises something itself, both in an ExceptionGroup. None of it
                if the run was cancelled.
        """
        if not self._tasks:
            return
        await finish(asyncio.wait(list(self._tasks)))
        # In the order of their events. (Most that went well have left by now.)
        errors = (
            None if task.cancelled() else task.exception() for task in self._tasks
        )
        failure = next(filter(None, errors), None)
        if failure is None or isinstance(error, asyncio.CancelledError):
            return  # logged; a cancellation has to arrive as one
        if error is None or len(self._commands) == 1:
            raise failure
        raise BaseExceptionGroup("pipeline finalization failed", (error, failure))

    def _tell_or_keep(self, event: ExecEvent) -> None:
        try:
            self._tell(event)
        except Exception as error:
            self._error = self._error or error

    def _tell(self, event: ExecEvent) -> None:
        try:
            for hook in self._hooks:
                waiting = hook(event)
                if waiting is not None:
                    self._await(waiting, event)
        except Exception as error:
            _log_failure(event, error)
            raise

    def _await(self, waiting: object, event: ExecEvent) -> None:
        if inspect.isawaitable(waiting):
            task = asyncio.ensure_future(waiting)
            self._tasks[task] = event
            task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Future[None]) -> None:
        """Forget a task that went well: there may be one per line."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._tasks.pop(task, None)  # a hook may return the same one twice
            return
        event = self._tasks[task]
        _logger.error(
            "observe_hook_task_failed phase=%s program=%s error=%s",
            event.phase,
            event.program,
            error,
            exc_info=error,
        )


def _log_failure(event: ExecEvent, error: Exception) -> None:
    _logger.warning(
        "observe_hook_failed phase=%s program=%s error=%s",
        event.phase,
        event.program,
        error,
    )


class _Draft:
    """An `ExecEvent` that is being filled in.

    Making a frozen dataclass takes 1.6 microseconds, as each member is stored by a
    call; a twin with the same slots is filled in at once and then declared to be
    one: 0.35.
    """

    __slots__ = tuple(field.name for field in fields(ExecEvent))
    phase: ExecPhase
    program: Any
    argv: Any
    cwd: Any
    env: Any
    pid: int
    timestamp: float
    line: str
    exit_code: None
    duration_s: None
    tags: Any
    note: None
    byte_count: None
    operation: None
    error_type: None
    exec_id: Any
    hop: None
    hop_index: None
