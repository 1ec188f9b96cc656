"""Waiting for descriptors, where something else comes at the same moment."""

from __future__ import annotations

import asyncio

from cuprum._descriptors import wake


class Struck(asyncio.Future[None]):
    """A waiter that a signal handler cancels as soon as somebody looks at it."""

    def done(self) -> bool:
        was_done = super().done()
        self.cancel()
        return was_done


def test_a_waiter_that_is_cancelled_at_that_moment_stays_cancelled() -> None:
    async def main() -> None:
        for waiter in (Struck(), asyncio.Future[None]()):
            waiter.done()
            wake(waiter)
            wake(waiter)
            assert waiter.cancelled() is isinstance(waiter, Struck)

    asyncio.run(main())
