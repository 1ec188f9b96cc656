"""What a run hands back, and the error of one that took too long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeVar

    from cuprum.program import Program
    from cuprum.pump import HopReport, TapReport

    Captured = TypeVar("Captured", bound=str | bytes, default=str, covariant=True)
else:
    Captured = TypeVar("Captured", bound=str | bytes, covariant=True)

__all__ = [
    "Captured",
    "CommandResult",
    "PartialOutput",
    "PipelineResult",
    "TimeoutExpired",
    "attach_output",
    "is_sigpipe",
    "partial_output",
]

_SIGPIPE_STATUSES = (-13, 128 + 13)
"""Death by SIGPIPE (13 on every POSIX system), and how a shell passes that on."""


def is_sigpipe(exit_code: int) -> bool:
    """Tell whether the status is that of a writer whose reader had gone."""
    return exit_code in _SIGPIPE_STATUSES


@dataclass(frozen=True, slots=True)
class CommandResult(Generic[Captured]):
    """How one command ended.

    Attributes:
        program: the program that ran.
        argv: its arguments, without the program.
        exit_code: exit status, or minus the number of the signal that killed it.
        pid: process number, -1 if unknown.
        stdout: what was captured, `str` or `bytes`; None if nothing was to be.
        stderr: likewise.
        is_truncated: a descendant that the command left behind still held its output
            open when the time for that was over; what it wrote then is not here, nor
            did the next stage get it.

    >>> from cuprum import ECHO, sh
    >>> result = sh.make(ECHO)("-n", "hello").run_sync()
    >>> result.ok, result.exit_code, result.stdout, result.stderr
    (True, 0, 'hello', '')
    """

    program: Program
    argv: tuple[str, ...]
    exit_code: int
    pid: int
    stdout: Captured | None
    stderr: Captured | None
    is_truncated: bool = False

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.exit_code == 0


@dataclass(frozen=True, slots=True)
class PipelineResult(Generic[Captured]):
    """How a pipeline ended.

    Attributes:
        stages: one result per stage, in order.
        failure_index: index of the stage that was the first to fail, if any.
        hops: one report per hop; hop *i* lies between stages *i* and *i* + 1.
        bottleneck: index of the stage that the others waited for; None where
            nothing waited long enough to say.
        taps: one report per tap, in the order in which they were given.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> result = (tar("-cf", "-", "/dev/null") | tar("-tf", "-")).run_sync()
    >>> result.ok, [stage.exit_code for stage in result.stages], len(result.hops)
    (True, [0, 0], 1)
    """

    stages: tuple[CommandResult[Captured], ...]
    failure_index: int | None = None
    hops: tuple[HopReport, ...] = ()
    bottleneck: int | None = None
    taps: tuple[TapReport, ...] = ()

    @property
    def final(self) -> CommandResult[Captured]:
        """The last stage's result."""
        return self.stages[-1]

    @property
    def failure(self) -> CommandResult[Captured] | None:
        """The result of the stage that was the first to fail."""
        return None if self.failure_index is None else self.stages[self.failure_index]

    @property
    def ok(self) -> bool:
        """Whether no stage failed.

        A stage that died of SIGPIPE because its reader had closed early
        (``yes | head -1``) did not fail, though its exit code says -13.
        """
        return all(
            stage.ok or (is_sigpipe(stage.exit_code) and self._closed_early(index))
            for index, stage in enumerate(self.stages)
        )

    @property
    def stdout(self) -> Captured | None:
        """What was captured of the last stage's output."""
        return self.final.stdout

    def _closed_early(self, index: int) -> bool:
        return index < len(self.hops) and self.hops[index].broken_pipe


@dataclass(frozen=True, slots=True)
class PartialOutput:
    """What had been captured of a run that did not come to its end.

    Attributes:
        stdout: of the last stage; None if not capturing.
        stderr: of all stages, in their order; None if not capturing.

    >>> from cuprum import ECHO, sh
    >>> try:
    ...     sh.make(ECHO)("hello").run_sync(timeout=0)
    ... except TimeoutExpired as error:
    ...     partial_output(error).stderr
    ''
    """

    stdout: str | bytes | None
    stderr: str | bytes | None


def attach_output(error: BaseException, output: PartialOutput) -> None:
    """Let `partial_output` find ``output`` by the exception that ended the run."""
    error.__cuprum_output__ = output  # type: ignore[attr-defined]


def partial_output(error: BaseException) -> PartialOutput | None:
    """Return what had been captured of the run that ``error`` ended.

    Any exception that leaves ``run`` once its commands were started has it: that of
    a timeout, a cancellation, a ``KeyboardInterrupt``, a callback, the pump.

    Args:
        error: the exception, or one raised while that one was handled, or a group
            with it.

    Returns:
        The output, in a group that of the first run; None if the exception comes
        from elsewhere.

    >>> from cuprum import ECHO, RunOutputOptions, sh
    >>> options = RunOutputOptions(on_stdout_line=float)
    >>> try:
    ...     sh.make(ECHO)("-n", "hello").run_sync(output=options)
    ... except ValueError as error:
    ...     partial_output(error).stdout
    'hello'
    """
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    for link in links:  # it grows meanwhile
        if link is None or id(link) in seen:
            continue
        output = getattr(link, "__cuprum_output__", None)
        if isinstance(output, PartialOutput):
            return output
        seen.add(id(link))
        if isinstance(link, BaseExceptionGroup):
            links += link.exceptions  # pyright: ignore[reportUnknownMemberType]
        links.append(link.__cause__ or link.__context__)
    return None


class TimeoutExpired(TimeoutError):
    """A run exceeded its limit and was ended.

    Attributes:
        cmd: program and arguments; of a pipeline, a tuple of these.
        timeout: the limit in seconds, as it was given.
        output: what had been captured of standard output; None if not capturing.
        stderr: likewise; of a pipeline, all stages' in order.

    >>> from cuprum import ECHO, sh
    >>> sh.make(ECHO)("hello").run_sync(timeout=0)
    Traceback (most recent call last):
    cuprum._results.TimeoutExpired: Command ('echo', 'hello') timed out after 0 seconds
    """

    def __init__(
        self,
        *,
        cmd: tuple[str, ...] | tuple[tuple[str, ...], ...],
        timeout: float,
        output: str | bytes | None = None,
        stderr: str | bytes | None = None,
    ) -> None:
        super().__init__(f"Command {cmd!r} timed out after {timeout} seconds")
        self.cmd = cmd
        self.timeout = timeout
        self.output = output
        self.stderr = stderr

    def __reduce__(self) -> tuple[Callable[..., TimeoutExpired], tuple[()]]:
        """Pickle the attributes instead of the message."""
        again = partial(
            type(self),
            cmd=self.cmd,
            timeout=self.timeout,
            output=self.output,
            stderr=self.stderr,
        )
        return again, ()

    @property
    def stdout(self) -> str | bytes | None:
        """Another name of ``output``."""
        return self.output
