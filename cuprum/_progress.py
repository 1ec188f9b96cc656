"""Telling a callback, again and again, how far the hops have come."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cuprum._plan import ProgressCallback, RunPlan
    from cuprum.pump import HopReport

__all__ = ["watch_progress"]


@contextmanager
def watch_progress(
    reports: Callable[[], tuple[HopReport, ...]], plan: RunPlan
) -> Generator[asyncio.Task[None] | None, None, None]:
    """Call back at the plan's interval, and once more when the body has ended well.

    Yields:
        The task that does so, which fails with what the callback raised; None if
        there is no callback.
    """
    if plan.on_progress is None:
        yield None
        return
    task = asyncio.create_task(_tick(reports, plan.on_progress, plan.progress_interval))
    try:
        yield task
    finally:
        task.cancel()
    plan.on_progress(reports())


async def _tick(
    reports: Callable[[], tuple[HopReport, ...]],
    callback: ProgressCallback,
    interval: float,
) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        # Keep to the grid; skip what was missed, as when the loop was held up.
        due += interval * (1 + max(0, (loop.time() - due) // interval))
        await asyncio.sleep(due - loop.time())
        callback(reports())
