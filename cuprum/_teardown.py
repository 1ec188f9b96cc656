"""Ending a run: SIGTERM to all of it, SIGKILL after the grace, nothing left."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from cuprum._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import ExitStack

    from cuprum._process import Process

__all__ = ["Teardown"]

_MAX_HUNTS = 20
"""Rounds after which we no longer try to outrun something that forks on and on."""


class Teardown:
    """The end of a run's stages and of what they have started.

    Make it before the first stage starts.

    Args:
        stages: the processes; more may be appended until `begin`.
        grace: seconds between SIGTERM and SIGKILL.
        pipes: inode numbers of the run's pipes; likewise.
        spare: returns the process numbers of the pumps.
        owner: see `Tree`.
    """

    def __init__(
        self,
        stages: Collection[Process],
        grace: float,
        *,
        pipes: Collection[int],
        spare: Callable[[], Collection[int]],
        owner: ExitStack,
    ) -> None:
        self._stages = stages
        self._grace = max(0.0, grace)
        self._pipes = pipes
        self._spare = spare
        self._tree = Tree(owner)
        self._killing: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Send SIGTERM to all that runs, and see to it that SIGKILL follows.

        Nothing has to be awaited for the second step to happen, so no cancellation
        can prevent it. Repeated calls do nothing.
        """
        if self._killing is None:
            loop = asyncio.get_running_loop()
            self._killing = loop.call_later(self._grace, self._kill)
            self._signal(signal.SIGTERM)

    async def wait(self) -> None:
        """Wait until everything has ended; `begin` must have been called.

        A stage that is not ours to signal has the grace to end by itself, and is then
        left alone.
        """
        assert self._killing is not None
        for stage in self._stages:
            stage.watch()
            patience = None if stage.is_ours else self._grace
            await asyncio.wait((stage.exited,), timeout=patience)
        await self._tree.wait()
        # What was forked between a look and its signal holds the pipes, mostly.
        for _ in range(_MAX_HUNTS):
            if not self._signal(signal.SIGKILL):
                break
            await self._tree.wait()
        self._killing.cancel()

    def kill(self) -> None:
        """Kill all that runs, and do not return before it has gone.

        For when the event loop goes, and nothing can be awaited: there is no grace.
        The stages themselves are left to be reaped.
        """
        if self._killing is not None:
            self._killing.cancel()
        for _ in range(_MAX_HUNTS):
            if not self._signal(signal.SIGKILL):
                break
            self._tree.join()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> int:
        """Signal everything; return how many beside the stages have got it."""
        roots = [stage.pid for stage in self._stages if stage.returncode is None]
        pipes, spare = self._pipes, self._spare()
        self._tree.find(roots=roots, pipes=pipes, spare=spare)
        for stage in self._stages:
            stage.send(number)
        return self._tree.signal(number, roots=roots, pipes=pipes, spare=spare)
