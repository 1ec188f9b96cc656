"""A command that runs: its process and the output that we read of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cuprum._descriptors import make_pipe
from cuprum._process import Process
from cuprum._results import CommandResult
from cuprum._stdio import Output

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from contextlib import ExitStack
    from typing import IO

    from cuprum._command import SafeCmd
    from cuprum._descriptors import Descriptor
    from cuprum._plan import RunPlan

__all__ = ["Child", "output_tasks", "spawn_child", "wait_all"]


@dataclass(frozen=True, slots=True)
class Child:
    """A running command; an output is None where we do not read it."""

    command: SafeCmd
    process: Process
    stdout: Output | None
    stderr: Output | None

    def result(self) -> CommandResult:
        """Build the result, once the process and its outputs have ended.

        Raises:
            UnicodeDecodeError, LookupError: see `Output.text`.
        """
        assert self.process.returncode is not None
        return CommandResult(
            program=self.command.program,
            argv=self.command.argv,
            exit_code=self.process.returncode,
            pid=self.process.pid,
            stdout=self.stdout and self.stdout.text(),
            stderr=self.stderr and self.stderr.text(),
        )


def spawn_child(
    command: SafeCmd,
    plan: RunPlan,
    owner: ExitStack,
    *,
    stdin: int | None,
    stdout: Descriptor | None = None,
) -> Child:
    """Start ``command`` and begin to read its output.

    Args:
        command: what to run.
        plan: how to run it.
        owner: kills the process and closes the pipes at the latest.
        stdin: descriptor, `subprocess.DEVNULL`, or None to inherit.
        stdout: where standard output goes; None: to us, if the plan wants it.

    Raises:
        OSError: the command cannot be started.
    """
    out = make_pipe(owner) if plan.reads_output and stdout is None else None
    err = make_pipe(owner) if plan.reads_output else None
    process = Process.spawn(
        command.argv_with_program,
        owner,
        stdin=stdin,
        stdout=_number(stdout or (out and out.writer)),
        stderr=_number(err and err.writer),
        env=plan.env,
        cwd=plan.cwd,
    )
    for pipe in (out, err):
        if pipe is not None:
            pipe.writer.close()

    def reading(reader: Descriptor | None, sink: IO[str] | None) -> Output | None:
        return None if reader is None else Output(reader, plan, sink)

    return Child(
        command,
        process,
        reading(out and out.reader, plan.stdout_sink),
        reading(err and err.reader, plan.stderr_sink),
    )


def _number(end: Descriptor | None) -> int:
    return subprocess.DEVNULL if end is None else end.fileno()


def output_tasks(children: Sequence[Child]) -> list[asyncio.Task[None]]:
    """Return the reading tasks, stdout before stderr, in the children's order."""
    outputs = [out for child in children for out in (child.stdout, child.stderr)]
    return [output.task for output in outputs if output is not None]


async def wait_all(children: Sequence[Child]) -> None:
    """Wait until every process has exited."""
    for child in children:
        await child.process.wait()
