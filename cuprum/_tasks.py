"""Tasks that end when they should: teardown to its end, waits with a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

__all__ = [
    "abandon",
    "finish",
    "has_failed",
    "raise_first",
    "run_to_end",
    "settle",
]

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
        if asyncio._get_running_loop() is not None:
            told = "await run(), or run_concurrent(), instead"
            raise RuntimeError(f"in a running event loop: {told}")
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


async def settle(ends: Collection[asyncio.Future[None]], *, within: float) -> None:
    """Give ``ends`` some seconds to come, then cancel and collect what is left.

    Errors stay in them, for the caller to raise or to leave.
    """
    if not ends:
        return
    _, late = await asyncio.wait(ends, timeout=within)
    for end in late:
        end.cancel()
    if late:
        await asyncio.wait(late)
    for end in ends:
        if not end.cancelled():
            end.exception()  # looked at: no complaint when it is dropped


def abandon(end: asyncio.Future[None]) -> None:
    """Cancel ``end`` without waiting; nothing, if it has come or its loop has gone."""
    if not end.get_loop().is_closed():
        end.cancel()


def has_failed(end: asyncio.Future[None]) -> bool:
    """Tell whether it has ended with an error.

    A `CancelledError` is one, too, unless it was us who cancelled the task.
    """
    if not end.done():
        return False
    if end.cancelled():
        return isinstance(end, asyncio.Task) and not end.cancelling()
    return end.exception() is not None


def raise_first(ends: Collection[asyncio.Future[None]]) -> None:
    """Raise the error of the first that has failed, if one has."""
    for end in ends:
        if has_failed(end):
            end.result()
