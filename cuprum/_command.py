"""Commands and pipelines: immutable descriptions that know how to run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cuprum._options import ExecutionContext, RunOutputOptions
from cuprum._plan import make_plan
from cuprum._run_command import run_command
from cuprum._run_pipeline import run_pipeline
from cuprum._tasks import run_to_end

if TYPE_CHECKING:
    from cuprum._options import StdinInput
    from cuprum._results import CommandResult, PipelineResult
    from cuprum.catalogue import ProjectSettings
    from cuprum.program import Program

__all__ = ["Pipeline", "SafeCmd"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SafeCmd:
    """A command whose program a catalogue has approved.

    Attributes:
        program: what to run.
        argv: its arguments, without the program.
        project: the project that owns the program.
    """

    program: Program
    argv: tuple[str, ...]
    project: ProjectSettings

    @property
    def argv_with_program(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return (str(self.program), *self.argv)

    def __or__(self, other: SafeCmd | Pipeline) -> Pipeline:
        """Let ``other`` read what this command writes."""
        if not _is_stage(other):
            return NotImplemented
        return Pipeline.concat(self, other)

    async def run(
        self,
        *,
        output: RunOutputOptions | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as in subprocess.run
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
    ) -> CommandResult:
        """Run the command and wait until it has exited and its output has ended.

        A non-zero exit status is no exception. Cancellation ends the command as a
        timeout does: SIGTERM, and SIGKILL after ``context.cancel_grace``.

        Args:
            output: whether to capture and to echo; by default captured only.
            timeout: limit in seconds; by default that of ``context``, then of the
                scope. With 0 or less the command is started and ended at once.
            context: environment, directory, codec and the like.
            stdin: what the command reads; by default our own standard input.

        Raises:
            ForbiddenProgramError: the active context denies the program.
            UnicodeEncodeError: the text for stdin is not in the codec.
            UnicodeDecodeError: the output is not, and the policy is strict.
            OSError: the program cannot be started.
            TimeoutExpired: the limit was exceeded.
            NotImplementedError: the system is not POSIX.
        """
        context = context or ExecutionContext()
        plan = make_plan((self,), output, timeout, context)
        payload = None if stdin is None else stdin.resolve(context)
        return await run_command(self, plan, payload)

    def run_sync(
        self,
        *,
        output: RunOutputOptions | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
    ) -> CommandResult:
        """Do what `run` does, on an event loop of its own.

        Raises:
            RuntimeError: an event loop is running in this thread.
            Exception: see `run`.
        """
        return run_to_end(
            self.run(output=output, timeout=timeout, context=context, stdin=stdin)
        )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Two or more commands, each reading what the one before writes.

    Attributes:
        parts: the stages, in order.

    Raises:
        ValueError: there are fewer than two.
    """

    parts: tuple[SafeCmd, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise ValueError("Pipeline must contain at least two stages")

    @classmethod
    def concat(cls, left: SafeCmd | Pipeline, right: SafeCmd | Pipeline) -> Pipeline:
        """Join two commands or pipelines into one flat pipeline."""
        return cls((*_stages(left), *_stages(right)))

    def __or__(self, other: SafeCmd | Pipeline) -> Pipeline:
        """Let ``other`` read what this pipeline writes."""
        if not _is_stage(other):
            return NotImplemented
        return Pipeline.concat(self, other)

    async def run(
        self,
        *,
        output: RunOutputOptions | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as in subprocess.run
        context: ExecutionContext | None = None,
        **deprecated: bool,
    ) -> PipelineResult:
        """Run all stages at once and wait until the last of them has ended.

        The first stage reads /dev/null. When a stage other than the last fails, the
        others are ended. A non-zero exit status is no exception. Cancellation ends
        all stages as a timeout does.

        Args:
            output: whether to capture and echo the last stage's output and all
                stages' errors; by default captured only.
            timeout: limit in seconds for the whole; see `SafeCmd.run`.
            context: environment, directory, codec, pump and the like, for all.
            deprecated: ``capture`` and ``echo``, which ``output`` has replaced.

        Raises:
            TypeError: an unknown keyword was given.
            ValueError: a deprecated keyword beside ``output``; or
                ``CUPRUM_STREAM_BACKEND`` has no known value.
            ForbiddenProgramError: the active context denies a program.
            PumpUnavailableError: the helper has to be used and cannot be.
            PumpError: the data did not get through whole; all stages were ended.
            UnicodeDecodeError: output is not in the codec, the policy is strict.
            OSError: a program cannot be started.
            TimeoutExpired: the limit was exceeded.
            NotImplementedError: the system is not POSIX.
        """
        output = _merge_deprecated(output, deprecated)
        return await run_pipeline(
            self.parts, make_plan(self.parts, output, timeout, context)
        )

    def run_sync(
        self,
        *,
        output: RunOutputOptions | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        **deprecated: bool,
    ) -> PipelineResult:
        """Do what `run` does, on an event loop of its own.

        Raises:
            RuntimeError: an event loop is running in this thread.
            Exception: see `run`.
        """
        output = _merge_deprecated(output, deprecated)
        return run_to_end(self.run(output=output, timeout=timeout, context=context))


def _is_stage(operand: object) -> bool:
    return isinstance(operand, SafeCmd | Pipeline)


def _stages(part: SafeCmd | Pipeline) -> tuple[SafeCmd, ...]:
    return part.parts if isinstance(part, Pipeline) else (part,)


def _merge_deprecated(
    output: RunOutputOptions | None, flags: dict[str, bool]
) -> RunOutputOptions | None:
    """Turn the flags of old into options, warning at the line of run's caller."""
    unknown = sorted(flags.keys() - {"capture", "echo"})
    if unknown:
        raise TypeError(
            "Pipeline.run/run_sync got unexpected keyword arguments: "
            + ", ".join(unknown)
        )
    if not flags:
        return output
    if output is not None:
        raise ValueError(
            "Pass either 'output' or the deprecated 'capture'/'echo' flags, not both"
        )
    warnings.warn(
        "capture= and echo= are deprecated; pass output=RunOutputOptions(...)",
        DeprecationWarning,
        stacklevel=3,
    )
    return RunOutputOptions(
        capture=flags.get("capture", True), echo=flags.get("echo", False)
    )
