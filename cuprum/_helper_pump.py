"""The pump as a cuprum-pump process, followed through its status records."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

from cuprum._descriptors import Descriptor, read_chunk
from cuprum._helper_backend import require_helper
from cuprum._helper_process import (
    EXIT_SECONDS,
    StatusError,
    StatusLog,
    start_helper,
)
from cuprum._hops import HopOutcomes
from cuprum._process import LOST_STATUS, Process
from cuprum._tasks import settle
from cuprum.pump import PumpOptions, PumpUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

__all__ = ["HelperPump"]

_START_SECONDS = 10.0
"""``start`` comes within a millisecond; a helper that was stopped never sends it."""


class HelperPump:
    """One cuprum-pump process for all hops of a pipeline.

    Making it starts the process. The given descriptors stay open and the caller's
    until `start` has returned, so that another pump can take them over if it fails.

    Args:
        pairs: for each hop the descriptor to read and the one to write.
        options: given to the helper on its command line.
        owner: ends the process and closes its pipes at the latest.

    Attributes:
        outcomes: how the hops ended.

    Raises:
        PumpUnavailableError: there is no helper, or it cannot be executed.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Descriptor, Descriptor]],
        options: PumpOptions,
        owner: ExitStack,
    ) -> None:
        self._pairs = pairs
        try:
            self._helper = start_helper(require_helper(), options, pairs, owner)
        except OSError as error:
            raise PumpUnavailableError(f"cannot run cuprum-pump: {error}") from error
        self._process = Process(self._helper.popen, owner)
        os.set_blocking(self._helper.status.fileno(), False)
        self._log = StatusLog(len(pairs))
        self._refusal: PumpUnavailableError | None = None
        self._start_known = asyncio.Event()
        self.outcomes = HopOutcomes(len(pairs))
        self._following = asyncio.create_task(self._follow())

    async def start(self) -> None:
        """Wait until the helper has taken over; then close our copies.

        Raises:
            PumpUnavailableError: it has not; and if it did not even speak the
                protocol, it may have moved bytes, and the error is final.
        """
        loop = asyncio.get_running_loop()
        watchdog = loop.call_later(_START_SECONDS, self._process.kill)
        try:
            await self._start_known.wait()
        finally:
            watchdog.cancel()
        if self._refusal is not None:
            raise self._refusal
        for pair in self._pairs:
            for end in pair:
                end.close()

    async def wait(self) -> None:
        """Wait until the helper has reported everything and is gone."""
        await asyncio.wait((self._following,))
        self._following.result()

    async def stop(self) -> None:
        """End the helper, in whatever state it is, and reap it."""
        self._process.kill()
        await self._process.wait()
        # It may have spoken before it went: what lies in the pipe is read first.
        await settle((self._following,), within=EXIT_SECONDS)
        self.outcomes.close()

    async def _follow(self) -> None:
        try:
            await self._read_records()
        except StatusError as error:
            self._fail(errno.EPROTO, f"cuprum-pump reported {error}", is_final=True)
        except OSError as error:
            self._fail(error.errno or errno.EIO, f"status pipe: {error}")
        if self._log.ended:
            await self._await_exit()
        else:
            self._process.kill()
            fate = f"cuprum-pump ended with status {await self._process.wait()}"
            missed = "its work was done" if self._log.started else "it had started"
            self._fail(errno.EIO, f"{fate} before {missed}")
        self._start_known.set()
        self.outcomes.close()

    async def _read_records(self) -> None:
        while not self._log.ended:
            data = await read_chunk(self._helper.status.fileno())
            if not data:
                return
            try:
                self._log.feed(data)
            finally:
                self._publish()

    def _publish(self) -> None:
        """Pass on what is new in the log."""
        for hop, outcome in self._log.outcomes.items():
            if not self.outcomes.hops[hop].done():
                self.outcomes.record(hop, outcome)
        if self._log.started:
            self._start_known.set()

    async def _await_exit(self) -> None:
        """Wait for the exit that follows ``end``, and see that it agrees."""
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                status = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            status = 0  # that it would not go says nothing of the data
        if status == LOST_STATUS:
            status = 0  # somebody else has reaped it; the records are the proof
        if self._log.errno:
            reason = os.strerror(self._log.errno)
            self._fail(self._log.errno, f"cuprum-pump: {reason}")
        elif status or not self._log.started:
            fate = f"cuprum-pump ended with status {status}"
            self._fail(errno.EIO, f"{fate}, which its records do not say")

    def _fail(self, number: int, message: str, *, is_final: bool = False) -> None:
        """Note the first failure: of the run, or before ``start`` of the helper."""
        if self._refusal is not None or self.outcomes.failed:
            return
        message += self._helper.last_words()
        if self._log.started:
            self.outcomes.fail(number, message)
        else:
            self._refusal = PumpUnavailableError(message, is_final=is_final)
