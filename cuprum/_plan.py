"""What one run was told, resolved once from options, context and scope."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from cuprum._checks import check_seconds, check_type
from cuprum._options import ExecutionContext, RunOutputOptions, StdinInput
from cuprum.context import current_context, merge_env_overlays, resolve_env
from cuprum.pump import HopReport, Tap, check_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cuprum._command import SafeCmd
    from cuprum._options import LineCallback, Redirect
    from cuprum.context import AfterHook, BeforeHook
    from cuprum.events import ExecHook
    from cuprum.pump import PumpOptions

__all__ = ["OUTPUT_GRACE", "ProgressCallback", "RunPlan", "StreamPlan", "make_plan"]

OUTPUT_GRACE = 0.25
"""Seconds in which output may still reach its end once a run was stopped.

What a dead child had written lies in the pipe and is read in no time; only somebody
we could not end, and who keeps the pipe open, makes us wait, and not for long.
"""

ProgressCallback: TypeAlias = Callable[[tuple[HopReport, ...]], None]
"""Called with one report per hop."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What happens to an output stream.

    Attributes:
        keep: it will be in the result.
        sink: where to echo it.
        on_line: called with its lines.
        target: a file that it goes to instead, or ``"stdout"``.
    """

    keep: bool
    sink: IO[str] | None
    on_line: LineCallback | None
    target: Redirect | Literal["stdout"] | None

    @property
    def is_read(self) -> bool:
        """Whether it goes through us at all."""
        return self.keep or self.sink is not None or self.on_line is not None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Settled parameters of a run; see `ExecutionContext` for their meaning.

    ``stdin`` is None where there is none to feed, ``payload`` what its text or data
    is in bytes; ``overlay`` what is laid over the environment; ``timeout`` the
    effective limit.
    """

    stdin: StdinInput | None
    payload: bytes | None
    stdout: StreamPlan
    stderr: StreamPlan
    text: bool
    encoding: str
    errors: str
    capture: bool
    echo: bool
    overlay: Mapping[str, str] | None
    cwd: str | None
    cancel_grace: float
    linger: float | None
    timeout: float | None
    pump: PumpOptions
    fail_fast: bool
    tags: Mapping[str, object] | None
    before_hooks: tuple[BeforeHook, ...]
    after_hooks: tuple[AfterHook, ...]
    observe_hooks: tuple[ExecHook, ...]
    taps: tuple[Tap, ...] = ()
    on_progress: ProgressCallback | None = None
    progress_interval: float = 0.5

    def child_env(self) -> dict[str, str] | None:
        """Return a child's whole environment as of now; None to inherit ours."""
        return resolve_env(self.overlay)


def make_plan(
    commands: Sequence[SafeCmd],
    output: RunOutputOptions[str | bytes] | None,
    timeout: float | None,
    context: ExecutionContext | None,
    stdin: StdinInput | None,
    *,
    taps: Sequence[Tap] = (),
    on_progress: ProgressCallback | None = None,
    progress_interval: float = 0.5,
) -> RunPlan:
    """Check ``commands`` against the active context and settle the parameters.

    The limit is the first that is set of: the call's, the execution context's, the
    active context's. So are hooks: what is registered later is for later runs.

    Raises:
        ForbiddenProgramError: the active context denies a program.
        UnicodeEncodeError, LookupError: see `StdinInput.resolve`.
        TypeError: a parameter is not of its type, or the callback not ordinary.
        ValueError: the interval is not above 0, or too long; or the limit is no number.
    """
    check_type("output", output, RunOutputOptions | None, "RunOutputOptions")
    check_type("context", context, ExecutionContext | None, "an ExecutionContext")
    check_type("stdin", stdin, StdinInput | None, "a StdinInput")
    check_type("taps", taps, Sequence, "a sequence of Tap")
    for tap in taps:
        check_type("taps", tap, Tap, "a sequence of Tap")
    check_type("on_progress", on_progress, Callable | None, "a function")
    if iscoroutinefunction(on_progress):
        raise TypeError("on_progress takes an ordinary function, not a coroutine's")
    active = current_context()
    for command in commands:
        active.check_allowed(command.program)
    check_interval("progress_interval", progress_interval)
    output = output or RunOutputOptions()
    context = context or ExecutionContext()
    limits = (timeout, context.timeout, active.timeout)
    limit = next((limit for limit in limits if limit is not None), None)
    if limit is not None:
        check_seconds("timeout", limit)
    return RunPlan(
        stdin=stdin,
        payload=stdin and stdin.resolve(context),
        stdout=_stream(
            output,
            output.stdout,
            _sink(context.stdout_sink, sys.stdout),
            output.on_stdout_line,
        ),
        stderr=_stream(
            output,
            output.stderr,
            _sink(context.stderr_sink, sys.stderr),
            output.on_stderr_line,
        ),
        text=output.text,
        encoding=context.encoding,
        errors=context.errors,
        capture=output.capture,
        echo=output.echo,
        overlay=merge_env_overlays(active.env_overlay, context.env),
        cwd=None if context.cwd is None else str(context.cwd),
        cancel_grace=context.cancel_grace,
        linger=context.linger,
        timeout=limit,
        pump=context.pump,
        fail_fast=context.fail_fast,
        tags=context.tags,
        before_hooks=active.before_hooks,
        after_hooks=active.after_hooks,
        observe_hooks=active.observe_hooks,
        taps=tuple(taps),
        on_progress=on_progress,
        progress_interval=progress_interval,
    )


def _stream(
    output: RunOutputOptions[str | bytes],
    target: Redirect | Literal["stdout"] | None,
    sink: IO[str] | None,
    on_line: LineCallback | None,
) -> StreamPlan:
    return StreamPlan(
        keep=output.capture and target is None,
        sink=sink if output.echo and target is None else None,
        on_line=on_line,
        target=target,
    )


def _sink(given: IO[str] | None, default: IO[str] | None) -> IO[str] | None:
    # sys.stdout is None where the interpreter was started without one.
    return default if given is None else given
