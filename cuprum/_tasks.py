"""Tasks that end when they should: teardown to its end, waits with a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

__all__ = ["abandon", "finish", "raise_first", "run_to_end", "settle"]

T = TypeVar("T")


def run_to_end(work: Coroutine[object, object, T]) -> T:
    """Run ``work`` on an event loop of its own.

    The result is kept out of the task: `asyncio.run` puts the main task's repr, and
    with it that of the result, into an error that it makes and drops while it
    handles signals. For a large captured output that would take seconds.

    Raises:
        RuntimeError: an event loop is running in this thread.
    """
    results: list[T] = []

    async def keep_result() -> None:
        results.append(await work)

    main = keep_result()
    try:
        asyncio.run(main)
    finally:
        main.close()  # refused above: nobody is going to await them
        work.close()
    return results[0]


async def finish(work: Coroutine[object, object, T]) -> T:
    """Await ``work`` to its end, however often the caller is cancelled meanwhile.

    A cancellation that came meanwhile is raised afterwards.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at: the cancellation takes precedence
        raise cancelled
    return task.result()


async def settle(tasks: Collection[asyncio.Task[None]], *, within: float) -> None:
    """Give ``tasks`` some seconds to end, then cancel and collect what is left.

    Errors stay in the tasks, for the caller to raise or to leave.
    """
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=within)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at: no complaint when it is dropped


def abandon(task: asyncio.Task[None]) -> None:
    """Cancel ``task`` without waiting; nothing, if it has ended or its loop has."""
    if not task.get_loop().is_closed():
        task.cancel()


def raise_first(tasks: Collection[asyncio.Task[None]]) -> None:
    """Raise the exception of the first task that has failed, if one has.

    A `CancelledError` is one, too, unless it was us who cancelled the task.
    """
    for task in tasks:
        if task.done() and not (task.cancelled() and task.cancelling()):
            task.result()
