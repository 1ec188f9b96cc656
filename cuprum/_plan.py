"""What one run was told, resolved once from options, context and scope."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from cuprum._options import ExecutionContext, RunOutputOptions
from cuprum.context import current_context, resolve_env

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum._command import SafeCmd
    from cuprum.pump import PumpOptions

__all__ = ["OUTPUT_GRACE", "RunPlan", "make_plan"]

OUTPUT_GRACE = 0.25
"""Seconds in which output may still reach its end once a run was stopped.

What a dead child had written lies in the pipe and is read in no time; only a
grandchild that keeps the pipe open makes us wait, and must not make us wait long.
"""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Settled parameters of a run; see `ExecutionContext` for their meaning.

    ``env`` is a child's whole environment, or None to inherit; ``timeout`` the
    effective limit; a sink is None where nothing is echoed.
    """

    capture: bool
    echo: bool
    stdout_sink: IO[str] | None
    stderr_sink: IO[str] | None
    encoding: str
    errors: str
    env: dict[str, str] | None
    cwd: str | None
    cancel_grace: float
    timeout: float | None
    pump: PumpOptions

    @property
    def reads_output(self) -> bool:
        """Whether output goes through us at all, or to /dev/null."""
        return self.capture or self.echo


def make_plan(
    commands: Sequence[SafeCmd],
    output: RunOutputOptions | None,
    timeout: float | None,
    context: ExecutionContext | None,
) -> RunPlan:
    """Check ``commands`` against the active context and settle the parameters.

    The limit is the first that is set of: the call's, the execution context's, the
    active context's. The environment is read now, so make the plan right before
    the first child starts.

    Raises:
        ForbiddenProgramError: the active context denies a program.
    """
    active = current_context()
    for command in commands:
        active.check_allowed(command.program)
    output = output or RunOutputOptions()
    context = context or ExecutionContext()
    limits = (timeout, context.timeout, active.timeout)
    return RunPlan(
        capture=output.capture,
        echo=output.echo,
        stdout_sink=_sink(context.stdout_sink, sys.stdout) if output.echo else None,
        stderr_sink=_sink(context.stderr_sink, sys.stderr) if output.echo else None,
        encoding=context.encoding,
        errors=context.errors,
        env=resolve_env(active.env_overlay, context.env),
        cwd=None if context.cwd is None else str(context.cwd),
        cancel_grace=context.cancel_grace,
        timeout=next((limit for limit in limits if limit is not None), None),
        pump=context.pump,
    )


def _sink(given: IO[str] | None, default: IO[str] | None) -> IO[str] | None:
    # sys.stdout is None where the interpreter was started without one.
    return default if given is None else given
