"""A command that runs: its process and the output that we read of it."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cuprum._descriptors import make_pipe
from cuprum._files import open_output
from cuprum._options import Redirect
from cuprum._output import Output
from cuprum._process import Process
from cuprum._results import CommandResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from cuprum._command import SafeCmd
    from cuprum._descriptors import Descriptor
    from cuprum._plan import RunPlan, StreamPlan
    from cuprum.pump import HopReport

__all__ = ["Child", "Outlet", "spawn"]

_MAX_LINE = 400
"""Characters of a command line that a note repeats."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running command; an output is None where we do not read it."""

    command: SafeCmd
    process: Process
    stdout: Output | None
    stderr: Output | None

    @property
    def outputs(self) -> list[Output]:
        """What is read of it."""
        return [out for out in (self.stdout, self.stderr) if out is not None]

    def result(self, hop: HopReport | None) -> CommandResult[Any]:
        """Build the result, once the process and its outputs have ended.

        Args:
            hop: what became of its standard output; None if we had that ourselves.

        Raises:
            Exception: see `Output.value`.
        """
        assert self.process.returncode is not None
        return CommandResult(
            program=self.command.program,
            argv=self.command.argv,
            exit_code=self.process.returncode,
            pid=self.process.pid,
            stdout=self.stdout and self.stdout.value(),
            stderr=self.stderr and self.stderr.value(),
            is_truncated=(hop is not None and hop.released)
            or any(output.is_truncated for output in self.outputs),
        )


class Outlet(NamedTuple):
    """Where a child's output goes: the end it is given, and ours if we read it.

    Both are None for /dev/null.
    """

    writer: Descriptor | None
    reader: Descriptor | None = None
    is_path: bool = False

    @classmethod
    def open(cls, stream: StreamPlan, owner: ExitStack) -> Outlet:
        """Open the file that ``stream`` names, or make a pipe if it is read.

        Raises:
            OSError: that cannot be.
        """
        if isinstance(stream.target, Redirect):
            target, append = stream.target.target, stream.target.append
            writer = open_output(target, owner, append=append)
            return cls(writer, is_path=isinstance(target, str | Path))
        if not stream.is_read:
            return cls(None)
        pipe = make_pipe(owner)
        return cls(pipe.writer, pipe.reader)

    def is_same_path(self, other: Outlet) -> bool:
        """Tell whether we opened the same file twice, which would overwrite itself."""
        if not (self.is_path and other.is_path and self.writer and other.writer):
            return False
        return os.path.sameopenfile(self.writer.fileno(), other.writer.fileno())

    @property
    def number(self) -> int:
        """What `Process.spawn` takes."""
        return subprocess.DEVNULL if self.writer is None else self.writer.fileno()

    def close(self) -> None:
        """Close our copy of the child's end."""
        if self.writer is not None:
            self.writer.close()

    def read(
        self,
        stream: StreamPlan,
        plan: RunPlan,
        observer: Callable[[str], None] | None,
    ) -> Output | None:
        """Begin to read what comes out, if it comes to us."""
        if self.reader is None:
            return None
        return Output(self.reader, stream, plan, observer)


def spawn(
    command: SafeCmd,
    stage: int,
    plan: RunPlan,
    owner: ExitStack,
    *,
    stdin: int | None,
    stdout: int,
    stderr: int,
) -> Process:
    """Start ``command``, which is the stage of that index; see `Process.spawn`.

    Raises:
        OSError: it cannot be started; a note says which it is, as with the others.
        TypeError, ValueError: an argument or the environment is not what the system
            takes: NUL, an ``=`` in a name, a character that cannot be encoded.
    """
    argv = command.argv_with_program
    try:
        return Process.spawn(
            argv,
            owner,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=plan.child_env(),
            cwd=plan.cwd,
        )
    except (OSError, TypeError, ValueError) as error:
        line = shlex.join(argv)
        if len(line) > _MAX_LINE:  # E2BIG comes with megabytes
            line = f"{line[:_MAX_LINE]}..."
        error.add_note(f"stage {stage} could not be started: {line}")
        raise
