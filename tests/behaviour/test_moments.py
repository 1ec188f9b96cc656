"""A run that is ended at any moment of its life, from before the start to the end.

Each time it ends with the right result or the right exception, and nothing is left.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import TimeoutExpired, partial_output
from tests.support.leak_guard import open_descriptors
from tests.support.processes import child_pids, helper_pids
from tests.support.stages import command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cuprum import PipelineResult

MOMENTS = 50
LAST = "999\n"
PIPELINE = command("seq", 5_000) | command("sort") | command("tail", "-n", 1)


def moments(whole: float) -> list[float]:
    """Return times from nothing to a bit more than a *whole* run; half are early."""
    numbers = random.Random(MOMENTS)
    late = [1.3 * whole * numbers.random() for _ in range(MOMENTS // 2)]
    early = [whole * 100 ** (numbers.random() - 1) for _ in range(MOMENTS // 2)]
    return [0, *early, *late, 60]


def check(result: PipelineResult) -> None:
    """See that a run that was not ended is as good as any."""
    assert (result.ok, result.stdout) == (True, LAST)


def check_error(error: BaseException) -> None:
    """See that what had been captured is all or nothing: it is but one line."""
    told = partial_output(error)
    assert told is None or told.stdout in {"", LAST}


async def at_each_moment(end: Callable[[float], Awaitable[bool]]) -> None:
    """Have runs ended, one after the other, and look at what is left after each."""
    check(await PIPELINE.run())  # what is done once is done now
    began = time.monotonic()
    check(await PIPELINE.run())
    whole = time.monotonic() - began
    children = child_pids() - helper_pids()
    descriptors = len(open_descriptors())
    was_ended: list[bool] = []
    for moment in moments(whole):
        was_ended.append(await end(moment))
        assert child_pids() - helper_pids() == children
        assert len(asyncio.all_tasks()) == 1
        # A warm helper is two descriptors here, and it does not survive all this.
        assert len(open_descriptors()) <= descriptors + 2 * len(helper_pids())
    assert was_ended[0]
    assert not was_ended[-1]


@pytest.mark.usefixtures("stream_backend")
class TestAnyMoment:
    """Fifty of them, and the first and the last."""

    def test_of_a_timeout(self) -> None:
        async def end(moment: float) -> bool:
            try:
                check(await PIPELINE.run(timeout=moment))
            except TimeoutExpired as error:
                check_error(error)
                return True
            return False

        asyncio.run(at_each_moment(end))

    def test_of_a_cancellation(self) -> None:
        often = itertools.cycle([1, 3])

        async def end(moment: float) -> bool:
            run = asyncio.create_task(PIPELINE.run())
            loop = asyncio.get_running_loop()
            timers = [
                loop.call_later(moment + 0.0005 * number, run.cancel)
                for number in range(next(often))
            ]
            try:
                check(await run)
            except asyncio.CancelledError as error:
                check_error(error)
                return True
            finally:
                for timer in timers:
                    timer.cancel()
            return False

        asyncio.run(at_each_moment(end))
