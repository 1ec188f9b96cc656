"""The ways in which a run comes to an end before its stages would.

Each one waits until the stages are ready, which they say on standard error and by
files, and tells how the run ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cuprum import (
    ExecutionContext,
    Pipeline,
    RunOutputOptions,
    StdinInput,
    TimeoutExpired,
)
from tests.support.processes import wait_until
from tests.support.stages import shell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from cuprum import CommandResult, HopReport, PipelineResult, SafeCmd

__all__ = ["ALL", "FOR_COMMANDS", "CallerError", "Ended", "Ending", "Stages"]

READY = "ready"


class CallerError(Exception):
    """What a callback raises."""


@dataclass(frozen=True)
class Stages:
    """Stages that go on for long; the files that each one makes when it is ready.

    They also write a line with `READY`, and nothing else, to standard error.
    """

    commands: Sequence[SafeCmd]
    files: Sequence[Path]
    context: ExecutionContext = field(default=ExecutionContext(linger=60))

    def are_ready(self) -> bool:
        """Tell whether all files are there, and whole."""
        return all(p.exists() and p.read_text().endswith("\n") for p in self.files)

    def runnable(self, *before: SafeCmd) -> SafeCmd | Pipeline:
        """Return the command, or the pipeline, of all of them."""
        commands = (*before, *self.commands)
        return commands[0] if len(commands) == 1 else Pipeline(commands)


@dataclass(frozen=True)
class Ended:
    """How a run was ended."""

    outcome: BaseException | CommandResult | PipelineResult
    took: float
    """Seconds since that began."""


Ending = Callable[[Stages], Ended]


def by_timeout(stages: Stages) -> Ended:
    """Let the time run out; again with more of it if the stages were not ready."""
    for limit in (0.3, 1, 4, 16):
        for path in stages.files:
            path.unlink(missing_ok=True)
        began = time.monotonic()
        outcome = _outcome(
            lambda limit=limit: stages.runnable().run_sync(
                timeout=limit, context=stages.context
            )
        )
        if stages.are_ready():
            break
    assert isinstance(outcome, TimeoutExpired)
    return Ended(outcome, time.monotonic() - began - limit)


def by_cancellation(stages: Stages) -> Ended:
    """Cancel the task."""
    ending = _Moment(stages)

    async def main() -> None:
        run = asyncio.create_task(stages.runnable().run(context=stages.context))
        await asyncio.to_thread(ending.wait)
        run.cancel()
        await run

    return ending.come(lambda: asyncio.run(main()))


def by_fail_fast(stages: Stages) -> Ended:
    """Put a stage before them that fails."""
    waiting = " && ".join(f"[ -s '{path}' ]" for path in stages.files)
    # The line has to reach us before the exit does, to which nothing binds it.
    failing = shell(
        f"until {waiting}; do sleep .02; done; echo {READY} >&2; sleep .1; exit 3"
    )
    ending = _Moment(stages)
    return ending.come(
        lambda: stages.runnable(failing).run_sync(
            context=stages.context,
            output=RunOutputOptions(on_stderr_line=lambda _: ending.begin()),
        )
    )


def by_line_callback(stages: Stages) -> Ended:
    """Raise at the last line that tells that a stage is ready."""
    ending = _Moment(stages)
    lines: list[str] = []

    def read(line: str) -> None:
        lines.append(line)
        if lines.count(READY) == len(stages.commands):
            ending.raise_error()

    return ending.come(
        lambda: stages.runnable().run_sync(
            context=stages.context, output=RunOutputOptions(on_stderr_line=read)
        )
    )


def by_progress_callback(stages: Stages) -> Ended:
    """Raise where progress is told."""
    ending = _Moment(stages)

    def look(_: tuple[HopReport, ...]) -> None:
        if stages.are_ready():
            ending.raise_error()

    pipeline = stages.runnable()
    assert isinstance(pipeline, Pipeline)
    return ending.come(
        lambda: pipeline.run_sync(
            context=stages.context, on_progress=look, progress_interval=0.02
        )
    )


def by_source(stages: Stages) -> Ended:
    """Raise where standard input comes from."""
    ending = _Moment(stages)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first\n"
        await asyncio.to_thread(ending.wait)
        ending.raise_error()

    return ending.come(
        lambda: stages.runnable().run_sync(
            context=stages.context, stdin=StdinInput(chunks=chunks())
        )
    )


FOR_COMMANDS: dict[str, Ending] = {
    "timeout": by_timeout,
    "cancellation": by_cancellation,
    "line callback": by_line_callback,
    "source of stdin": by_source,
}

ALL: dict[str, Ending] = {
    **FOR_COMMANDS,
    "progress callback": by_progress_callback,
    "fail-fast": by_fail_fast,
}


class _Moment:
    """When the end began, and what came of it."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._began = 0.0

    def wait(self) -> None:
        wait_until(self._stages.are_ready, what="the stages are ready", within=15)
        self.begin()

    def begin(self) -> None:
        self._began = time.monotonic()

    def raise_error(self) -> None:
        self.begin()
        raise CallerError

    def come(self, run: Callable[[], CommandResult | PipelineResult | None]) -> Ended:
        outcome = _outcome(run)
        return Ended(outcome, time.monotonic() - self._began)


def _outcome(
    run: Callable[[], CommandResult | PipelineResult | None],
) -> BaseException | CommandResult | PipelineResult:
    try:
        result = run()
    except (TimeoutExpired, CallerError, asyncio.CancelledError) as error:
        return error
    assert result is not None
    return result
