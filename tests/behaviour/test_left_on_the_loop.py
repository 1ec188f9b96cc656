"""What a run leaves on an event loop that goes on: no task, no timer, no complaint."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from cuprum import ExecutionContext, RunOutputOptions, StdinInput, TimeoutExpired
from tests.support.processes import reap_orphans
from tests.support.stages import cat, command, false, shell, sleep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Run = Callable[[Any], Awaitable[object]]

pytestmark = pytest.mark.usefixtures("stream_backend")

#: Timers that nobody cancels would stay for as long.
PATIENT = ExecutionContext(linger=60, cancel_grace=60)
INPUT = StdinInput(text="one\ntwo\n")


class Callback:
    """A callback for lines, or for progress, of which one can tell who keeps it."""

    def __call__(self, news: object) -> None:
        """Do nothing."""


def lines(callback: Callback) -> RunOutputOptions[str]:
    """Return options that let a run keep *callback*."""
    return RunOutputOptions(on_stdout_line=callback)


async def cancelled(work: Awaitable[object]) -> None:
    """Cancel *work* in the middle of it."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.2)
    task.cancel()
    await task


RUNS: dict[str, tuple[type[BaseException] | None, Run]] = {
    "command": (None, lambda callback: cat().run(output=lines(callback), stdin=INPUT)),
    "pipeline": (
        None,
        lambda callback: (cat() | cat()).run(
            output=lines(callback), on_progress=callback, stdin=INPUT, context=PATIENT
        ),
    ),
    "early close": (
        None,
        lambda callback: (command("yes") | command("head", "-1")).run(
            output=lines(callback), on_progress=callback, context=PATIENT
        ),
    ),
    "failed stage": (
        None,
        lambda callback: (false() | sleep(60)).run(
            output=lines(callback), on_progress=callback, context=PATIENT
        ),
    ),
    "timeout": (
        TimeoutExpired,
        lambda callback: (sleep(60) | cat()).run(
            output=lines(callback), on_progress=callback, context=PATIENT, timeout=0.2
        ),
    ),
    "timeout of what lingers": (
        TimeoutExpired,
        lambda callback: (cat() | shell("sleep 60 &")).run(
            output=lines(callback), on_progress=callback, context=PATIENT, timeout=0.3
        ),
    ),
    "cancelled": (
        asyncio.CancelledError,
        lambda callback: cancelled(
            (sleep(60) | cat()).run(output=lines(callback), context=PATIENT)
        ),
    ),
}


@pytest.mark.parametrize(("expected", "run"), RUNS.values(), ids=RUNS.keys())
def test_no_task_and_no_timer(expected: type[BaseException] | None, run: Run) -> None:
    async def main() -> None:
        callback = Callback()
        is_kept = weakref.ref(callback)
        with pytest.raises(expected) if expected else nullcontext():
            await run(callback)
        assert len(asyncio.all_tasks()) == 1
        del callback
        await asyncio.sleep(0)  # what is just being called back is no timer
        gc.collect()
        assert is_kept() is None

    asyncio.run(main())
    reap_orphans()  # what was left behind is ended, but not ours to wait for


@pytest.mark.parametrize("pause", [0, 0.1], ids=["at once", "later"])
def test_a_coroutine_that_is_closed_leaves_a_loop_that_works(pause: float) -> None:
    async def main() -> None:
        for runnable in (sleep(60), sleep(60) | cat()):
            work = runnable.run(
                context=PATIENT,
                output=RunOutputOptions(on_stdout_line=Callback()),
                stdin=StdinInput(data=b"more than a pipe holds" * 10_000),
            )
            work.send(None)
            await asyncio.sleep(pause)
            work.close()
            # The numbers of its descriptors are taken again by these.
            pipeline = command("printf", "hi") | cat()
            others = (pipeline.run(timeout=10) for _ in range(5))
            results = await asyncio.gather(*others)
            assert [result.stdout for result in results] == ["hi"] * 5
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def too_late(_: object) -> None:
    """Hold the event loop up until the run has timed out, then fail."""
    time.sleep(0.4)
    raise ValueError


# That nothing complains of an exception that was never retrieved, the guard sees.
def test_no_complaint_of_lines_that_fail_with_a_timeout() -> None:
    with pytest.raises(TimeoutExpired):
        # It exits meanwhile, so that nothing of it is left to be ended.
        shell("echo; sleep .1").run_sync(
            output=RunOutputOptions(on_stdout_line=too_late), timeout=0.2
        )


def test_no_complaint_of_progress_that_fails_with_a_timeout() -> None:
    with pytest.raises(TimeoutExpired):
        (sleep(60) | cat()).run_sync(
            on_progress=too_late, progress_interval=0.1, timeout=0.2
        )
