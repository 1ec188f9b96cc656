"""Commands and pipelines: immutable descriptions that know how to run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cuprum._options import RunOutputOptions
from cuprum._plan import make_plan
from cuprum._run import run_stages
from cuprum._tasks import run_to_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum._options import ExecutionContext, StdinInput
    from cuprum._plan import ProgressCallback
    from cuprum._results import Captured, CommandResult, PipelineResult
    from cuprum.catalogue import ProjectSettings
    from cuprum.program import Program
    from cuprum.pump import Tap

__all__ = ["Pipeline", "SafeCmd"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SafeCmd:
    """A command whose program a catalogue has approved.

    Attributes:
        program: what to run.
        argv: its arguments, without the program.
        project: the project that owns the program.

    >>> from cuprum import ECHO, sh
    >>> command = sh.make(ECHO)("-n", "hello")
    >>> command.argv_with_program
    ('echo', '-n', 'hello')
    >>> command.run_sync().stdout
    'hello'
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
        output: RunOutputOptions[Captured] | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
    ) -> CommandResult[Captured]:
        """Run the command and wait until it has exited and its output has ended.

        A non-zero exit status is no exception. Cancellation ends the command and what
        it has started, as a timeout does: SIGTERM, and SIGKILL after
        ``context.cancel_grace``. `partial_output` has what was captured until then.

        Args:
            output: what to capture, echo, redirect; by default captured as text.
            timeout: limit in seconds; by default that of ``context``, then of the
                scope. With 0 or less the command is started and ended at once.
            context: environment, directory, codec and the like.
            stdin: what the command reads; by default our own standard input.

        Raises:
            ForbiddenProgramError: the active context denies the program.
            UnicodeEncodeError: the text for stdin is not in the codec.
            UnicodeDecodeError: the output is not, and the policy is strict.
            OSError: the program cannot be started, or a file not be opened.
            TimeoutExpired: the limit was exceeded.
            NotImplementedError: the system is not POSIX.
            Exception: what a hook, a callback, a sink or the source of stdin raised.

        >>> import asyncio
        >>> from cuprum import Program, ProgramCatalogue, ProjectSettings, sh
        >>> from cuprum.sh import StdinInput
        >>> tools = ProjectSettings("tools", (Program("cat"),), (), ())
        >>> cat = sh.make(Program("cat"), catalogue=ProgramCatalogue(projects=[tools]))
        >>> asyncio.run(cat().run(stdin=StdinInput(text="hello"), timeout=10)).stdout
        'hello'
        """
        plan = partial(make_plan, (self,), output, timeout, context, stdin)
        return (await run_stages((self,), plan)).final

    def run_sync(
        self,
        *,
        output: RunOutputOptions[Captured] | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
    ) -> CommandResult[Captured]:
        """Do what `run` does, on an event loop of its own.

        Raises:
            RuntimeError: an event loop is running in this thread.
            Exception: see `run`.
        """
        plan = partial(make_plan, (self,), output, timeout, context, stdin)
        return run_to_end(run_stages((self,), plan)).final


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Two or more commands, each reading what the one before writes.

    Attributes:
        parts: the stages, in order.

    Raises:
        ValueError: there are fewer than two.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
    >>> len(pipeline.parts), pipeline.run_sync().ok
    (2, True)
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
        output: RunOutputOptions[Captured] | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
        taps: Sequence[Tap] = (),
        on_progress: ProgressCallback | None = None,
        progress_interval: float = 0.5,
        **deprecated: bool,
    ) -> PipelineResult[Captured]:
        """Run all stages at once and wait until the last of them has ended.

        When a stage other than the last fails, the others are ended. A non-zero exit
        status is no exception. Cancellation ends all stages and what they have
        started, as a timeout does.

        Args:
            output: what to capture, echo or redirect of the last stage's output and
                all stages' errors; by default captured as text.
            timeout: limit in seconds for the whole; see `SafeCmd.run`.
            context: environment, directory, codec, pump and the like, for all.
            stdin: what the first stage reads; by default nothing.
            taps: copies to be made of what crosses a hop, one a hop at most.
            on_progress: called with a report per hop every ``progress_interval``
                seconds, also while nothing moves, and once at the end. If it raises,
                the run ends with that.
            progress_interval: seconds, more than 0. Half a second is what people
                take for live.
            deprecated: ``capture`` and ``echo``, which ``output`` has replaced.

        Raises:
            TypeError: an unknown keyword was given.
            ValueError: a deprecated keyword beside ``output``; no such hop to tap;
                or ``CUPRUM_STREAM_BACKEND`` has no known value.
            ForbiddenProgramError: the active context denies a program.
            PumpUnavailableError: the helper has to be used and cannot be.
            PumpError: the data did not get through whole; all stages were ended.
            TapError: a required tap could not be written; likewise.
            UnicodeDecodeError: output is not in the codec, the policy is strict.
            OSError: a program cannot be started, or a file not be opened.
            TimeoutExpired: the limit was exceeded.
            NotImplementedError: the system is not POSIX.
            Exception: what a hook, a callback, a sink or the source of stdin raised.
            BaseExceptionGroup: one of these, and what an asynchronous hook raised.

        >>> import asyncio
        >>> from cuprum import TAR, sh
        >>> tar = sh.make(TAR)
        >>> pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
        >>> seen = []
        >>> result = asyncio.run(pipeline.run(on_progress=seen.append))
        >>> result.hops[0].bytes_written, seen[-1] == result.hops
        (10240, True)
        """
        plan = partial(
            make_plan,
            self.parts,
            _merge_deprecated(output, deprecated),
            timeout,
            context,
            stdin,
            taps=taps,
            on_progress=on_progress,
            progress_interval=progress_interval,
        )
        return await run_stages(self.parts, plan)

    def run_sync(
        self,
        *,
        output: RunOutputOptions[Captured] | None = None,
        timeout: float | None = None,
        context: ExecutionContext | None = None,
        stdin: StdinInput | None = None,
        taps: Sequence[Tap] = (),
        on_progress: ProgressCallback | None = None,
        progress_interval: float = 0.5,
        **deprecated: bool,
    ) -> PipelineResult[Captured]:
        """Do what `run` does, on an event loop of its own.

        Raises:
            RuntimeError: an event loop is running in this thread.
            Exception: see `run`.
        """
        plan = partial(
            make_plan,
            self.parts,
            _merge_deprecated(output, deprecated),
            timeout,
            context,
            stdin,
            taps=taps,
            on_progress=on_progress,
            progress_interval=progress_interval,
        )
        return run_to_end(run_stages(self.parts, plan))


def _is_stage(operand: object) -> bool:
    return isinstance(operand, SafeCmd | Pipeline)


def _stages(part: SafeCmd | Pipeline) -> tuple[SafeCmd, ...]:
    return part.parts if isinstance(part, Pipeline) else (part,)


def _merge_deprecated(
    output: RunOutputOptions[str | bytes] | None,
    flags: dict[str, bool],
) -> RunOutputOptions[str | bytes] | None:
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
