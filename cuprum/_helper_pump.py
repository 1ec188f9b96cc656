"""The pump as a cuprum-pump process, followed through its status records."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

from cuprum._descriptors import CHUNK_SIZE, Descriptor, read_chunk
from cuprum._helper_backend import require_helper
from cuprum._helper_pool import MAX_DESCRIPTORS, WarmJob, is_enabled
from cuprum._helper_process import OwnHelper, job_options
from cuprum._hops import HopOutcomes
from cuprum._process import LOST_STATUS
from cuprum._status_log import StatusError, StatusLog
from cuprum.pump import PumpOptions, PumpUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from cuprum._helper_process import Job

__all__ = ["EXIT_SECONDS", "HelperPump"]

_START_SECONDS = 10.0
"""``start`` comes within a millisecond; a helper that was stopped never sends it."""

EXIT_SECONDS = 1.0
"""After ``end`` a helper of one's own has nothing left to do but exit."""


class HelperPump:
    """One cuprum-pump process for all hops of a pipeline.

    Making it hands over the work. The given descriptors stay open and the caller's
    until `start` has returned, so that another pump can take them over if it fails.

    Args:
        pairs: for each hop the descriptor to read and the one to write.
        options: passed on to the helper.
        owner: ends the process, or its work for us, at the latest.

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
        self._options = options
        self._owner = owner
        self.outcomes = HopOutcomes(len(pairs))
        self._log = StatusLog(len(pairs))
        self._job = self._submit()

    @property
    def pid(self) -> int:
        """The helper's process number."""
        return self._job.pid

    async def start(self) -> None:
        """Wait until the helper has taken over; then close our copies.

        Raises:
            PumpUnavailableError: it has not; and if it did not even speak the
                protocol, it may have moved bytes, and the error is final.
        """
        try:
            await self._await_start()
        except PumpUnavailableError as error:
            if error.is_final or not self._job.may_be_stale:
                raise
            # It left, or was killed, while it was idle: no fault of helpers as such.
            self._log = StatusLog(len(self._pairs))
            self._job = self._submit(fresh=True)
            await self._await_start()
        for pair in self._pairs:
            for end in pair:
                end.close()

    async def wait(self) -> None:
        """Wait until the helper has reported everything, and is gone or free."""
        try:
            await self._read_records()
        except StatusError as error:
            self._fail(errno.EPROTO, f"cuprum-pump reported {error}")
        except OSError as error:
            self._fail(error.errno or errno.EIO, f"status pipe: {error}")
        if self._log.ended:
            await self._await_exit()
        else:
            fate = f"cuprum-pump ended with status {await self._job.end()}"
            self._fail(errno.EIO, f"{fate} before its work was done")
        self.outcomes.close()

    async def stop(self) -> None:
        """End the helper, in whatever state it is, unless it is done with us."""
        if not self._log.ended:
            await self._job.end()
            self._read_rest()
        self.outcomes.close()

    def _submit(self, *, fresh: bool = False) -> Job:
        try:
            return self._hand_over(fresh=fresh)
        except OSError as error:
            raise PumpUnavailableError(f"cannot run cuprum-pump: {error}") from error

    def _hand_over(self, *, fresh: bool) -> Job:
        path = require_helper()
        options = job_options(self._options)
        numbers = [end.fileno() for pair in self._pairs for end in pair]
        if not is_enabled() or len(numbers) >= MAX_DESCRIPTORS:
            job: Job = OwnHelper(path, options, numbers, self._owner)
        else:
            try:
                job = WarmJob(path, options, numbers, self._owner, fresh=fresh)
            except (BrokenPipeError, ConnectionResetError):  # it has just left
                job = WarmJob(path, options, numbers, self._owner, fresh=True)
        os.set_blocking(job.status.fileno(), False)
        return job

    async def _await_start(self) -> None:
        """Read up to ``start``; PumpUnavailableError if it does not come."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not self._log.started and not self._log.ended:
                    data = await read_chunk(self._job.status.fileno())
                    if not data:
                        break
                    self._feed(data)
        except StatusError as error:
            await self._refuse(f"cuprum-pump reported {error}", is_final=True)
        except OSError as error:  # a TimeoutError is one, too
            await self._refuse(f"status pipe: {str(error) or 'no record came'}")
        if self._log.started:
            return
        if not self._log.ended:
            status = await self._job.end()
            await self._refuse(
                f"cuprum-pump ended with status {status} before it had started"
            )
        await self._refuse(f"cuprum-pump: {os.strerror(self._log.errno)}")

    async def _refuse(self, message: str, *, is_final: bool = False) -> None:
        message += self._job.last_words()
        await self._job.end()
        raise PumpUnavailableError(message, is_final=is_final)

    async def _read_records(self) -> None:
        while not self._log.ended:
            data = await read_chunk(self._job.status.fileno())
            if not data:
                return
            self._feed(data)

    def _read_rest(self) -> None:
        """Take in what the helper had said before it was ended."""
        try:
            while data := os.read(self._job.status.fileno(), CHUNK_SIZE):
                self._feed(data)
        except (OSError, StatusError):
            return  # the end that is being reported is another one

    def _feed(self, data: bytes) -> None:
        """Take in records, and pass on what is new in them."""
        try:
            self._log.feed(data)
        finally:
            for hop, outcome in self._log.outcomes.items():
                if not self.outcomes.hops[hop].done():
                    self.outcomes.record(hop, outcome)

    async def _await_exit(self) -> None:
        """See what becomes of the helper after ``end``, and that it agrees."""
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                status = await self._job.release()
        except TimeoutError:
            await self._job.end()
            status = None  # that it would not go says nothing of the data
        if self._log.errno:
            reason = os.strerror(self._log.errno)
            self._fail(self._log.errno, f"cuprum-pump: {reason}")
        elif status and status != LOST_STATUS:  # lost: the records are the proof
            fate = f"cuprum-pump ended with status {status}"
            self._fail(errno.EIO, f"{fate}, which its records do not say")

    def _fail(self, number: int, message: str) -> None:
        """Note the first failure."""
        if not self.outcomes.failed:
            self.outcomes.fail(number, message + self._job.last_words())
