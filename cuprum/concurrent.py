"""Running many commands at once, with a limit, to the end or to the first failure.

>>> from cuprum import ECHO, ConcurrentConfig, run_concurrent_sync, sh
>>> echo = sh.make(ECHO)
>>> batch = run_concurrent_sync(
...     *(echo("-n", word) for word in "abc"), config=ConcurrentConfig(concurrency=2)
... )
>>> batch.ok, [result.stdout for result in batch.results]
(True, ['a', 'b', 'c'])
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cuprum._checks import check_type
from cuprum._command import SafeCmd
from cuprum._options import ExecutionContext, RunOutputOptions
from cuprum._results import CommandResult
from cuprum._tasks import run_to_end
from cuprum.context import current_context

__all__ = [
    "ConcurrentConfig",
    "ConcurrentResult",
    "run_concurrent",
    "run_concurrent_sync",
]


@dataclass(frozen=True, slots=True)
class ConcurrentConfig:
    """How a batch is run.

    Attributes:
        concurrency: how many commands may run at once; None sets no limit.
        capture: see `RunOutputOptions`.
        echo: likewise.
        context: parameters of each run; the limit in time is each command's.
        fail_fast: end all others once a command has failed.

    Raises:
        TypeError: ``concurrency`` is no int.
        ValueError: it is less than 1.

    >>> ConcurrentConfig(concurrency=4, fail_fast=True).capture
    True
    """

    concurrency: int | None = None
    capture: bool = True
    echo: bool = False
    context: ExecutionContext | None = None
    fail_fast: bool = False

    def __post_init__(self) -> None:
        check_type("concurrency", self.concurrency, int | None, "an int", but=bool)
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be >= 1, got {self.concurrency}")


@dataclass(frozen=True, slots=True)
class ConcurrentResult:
    """How the commands of a batch ended.

    Attributes:
        results: of the commands that ended by themselves, in the order of submission.
        failures: positions in ``results`` of those with a status other than 0.
        submission_indices: for each result, which of the submitted commands it is
            of; by default 0, 1 and so on.

    Raises:
        ValueError: there are more or fewer indices than results.

    >>> from cuprum import ECHO, LS, sh
    >>> batch = run_concurrent_sync(sh.make(ECHO)("a"), sh.make(LS)("/no/such"))
    >>> batch.ok, batch.failures, batch.first_failure.program
    (False, (1,), 'ls')
    """

    results: tuple[CommandResult, ...]
    failures: tuple[int, ...] = ()
    submission_indices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.submission_indices is None:
            object.__setattr__(
                self, "submission_indices", tuple(range(len(self.results)))
            )
        elif len(self.submission_indices) != len(self.results):
            raise ValueError(
                f"submission_indices length ({len(self.submission_indices)}) "
                f"must match results length ({len(self.results)})"
            )

    @property
    def ok(self) -> bool:
        """Whether none failed."""
        return not self.failures

    @property
    def first_failure(self) -> CommandResult | None:
        """The result of the failed command that was submitted first."""
        return self.results[self.failures[0]] if self.failures else None

    @property
    def failure_submission_indices(self) -> tuple[int, ...]:
        """Which of the submitted commands failed."""
        indices = self.submission_indices or ()
        return tuple(indices[failure] for failure in self.failures)


async def run_concurrent(
    *commands: SafeCmd, config: ConcurrentConfig | None = None
) -> ConcurrentResult:
    """Run commands at once and wait for all of them.

    A command that fails is in the result. With ``fail_fast`` it ends all others, as
    a cancellation does; what was ended has no result.

    Args:
        commands: at least one.
        config: see there; by default all at once, captured, to the end.

    Raises:
        TypeError: what is given is none, or the configuration not one.
        ValueError: there is no command.
        ForbiddenProgramError: a program is not allowed; nothing was started.
        Exception: what `SafeCmd.run` raised, of several that of the command that was
            submitted first, when all have ended.
        ExceptionGroup: with ``fail_fast``, at once, what commands have raised.

    >>> import asyncio
    >>> from cuprum import ECHO, sh
    >>> echo = sh.make(ECHO)
    >>> asyncio.run(run_concurrent(echo("a"), echo("b"))).ok
    True
    """
    if not commands:
        raise ValueError("At least one command must be provided")
    check_type("config", config, ConcurrentConfig | None, "a ConcurrentConfig")
    active = current_context()
    for command in commands:
        check_type("run_concurrent", command, SafeCmd, "commands")
        active.check_allowed(command.program)
    config = config or ConcurrentConfig()
    output = RunOutputOptions(config.capture, config.echo)
    gate = asyncio.Semaphore(config.concurrency or len(commands))
    results: dict[int, CommandResult] = {}
    errors: dict[int, BaseException] = {}
    tasks: list[asyncio.Task[None]] = []

    async def run(index: int, command: SafeCmd) -> None:
        try:
            async with gate:
                result = await command.run(output=output, context=config.context)
        except (Exception, asyncio.CancelledError) as error:
            if config.fail_fast:
                raise
            errors[index] = error
            return
        results[index] = result
        if config.fail_fast and not result.ok:
            for task in tasks:
                if task is not asyncio.current_task():
                    task.cancel()

    async with asyncio.TaskGroup() as group:
        tasks += [group.create_task(run(i, cmd)) for i, cmd in enumerate(commands)]
    if errors:
        raise errors[min(errors)]
    indices = tuple(sorted(results))
    ended = tuple(results[index] for index in indices)
    failures = tuple(i for i, result in enumerate(ended) if not result.ok)
    return ConcurrentResult(ended, failures, indices)


def run_concurrent_sync(
    *commands: SafeCmd, config: ConcurrentConfig | None = None
) -> ConcurrentResult:
    """Do what `run_concurrent` does, on an event loop of its own.

    Raises:
        RuntimeError: an event loop is running in this thread.
        Exception: see `run_concurrent`.

    >>> from cuprum import ECHO, sh
    >>> echo = sh.make(ECHO)
    >>> run_concurrent_sync(echo("a"), echo("b")).submission_indices
    (0, 1)
    """
    return run_to_end(run_concurrent(*commands, config=config))
