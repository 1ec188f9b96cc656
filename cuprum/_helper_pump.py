"""The pump as a cuprum-pump process, followed through its status records."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cuprum._descriptors import CHUNK_SIZE, read_chunk
from cuprum._helper_backend import require_helper
from cuprum._helper_pool import MAX_DESCRIPTORS, WarmJob, is_enabled
from cuprum._helper_process import OwnHelper, job_options
from cuprum._process import LOST_STATUS
from cuprum._status_log import StatusError, StatusLog
from cuprum.pump import PumpOptions, PumpUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from cuprum._helper_process import Job
    from cuprum._hops import HopEnds, HopOutcomes
    from cuprum.pump import HopReport

__all__ = ["HelperPump"]

_START_SECONDS = 10.0
"""``start`` comes within a millisecond; a helper that was stopped never sends it."""

_MIN_PROGRESS = 0.001
"""The shortest interval that cuprum-pump takes."""


class HelperPump:
    """One cuprum-pump process for all hops of a pipeline.

    Making it hands over the work. The given descriptors stay open and the caller's
    until `start` has returned, so that another pump can take them over if it fails.

    Args:
        hops: what to pump, see `HopEnds`.
        options: passed on to the helper.
        outcomes: where the ends of the hops are noted.
        owner: ends the process, or its work for us, at the latest.
        progress: seconds between looks at what has been moved, if there are any.

    Raises:
        PumpUnavailableError: there is no helper, or it cannot be executed.
    """

    def __init__(
        self,
        hops: Sequence[HopEnds],
        options: PumpOptions,
        outcomes: HopOutcomes,
        owner: ExitStack,
        *,
        progress: float | None = None,
    ) -> None:
        self._hops = hops
        self._options = options
        self._owner = owner
        self._progress = progress
        self._outcomes = outcomes
        self._taps = {i: hop.tap for i, hop in enumerate(hops) if hop.tap is not None}
        self._log = self._new_log()
        self._nonsense: str | None = None
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
            self._log = self._new_log()
            self._job = self._submit(fresh=True)
            await self._await_start()
        for hop in self._hops:
            hop.source.close()
            hop.sink.close()

    async def wait(self) -> None:
        """Wait until the helper has reported everything, and is gone or free."""
        try:
            await self._read_until(lambda: self._log.ended)
        except OSError as error:
            self._fail(error.errno or errno.EIO, f"status pipe: {error}")
        if self._log.ended and self._nonsense is None:
            await self._await_exit()
        else:
            fate = f"cuprum-pump ended with status {await self._job.end()}"
            self._fail(errno.EIO, f"{fate} before its work was done")

    async def stop(self) -> None:
        """End the helper, in whatever state it is, unless it is done with us."""
        if not self._log.ended or self._nonsense is not None:
            await self._job.end()
            self._read_available()

    def release(self, hop: int) -> None:
        """Have a hop end with what lies in its input, if others could still write."""
        with suppress(OSError):  # whether it lives, its records tell
            os.write(self._job.status.fileno(), b"%d\n" % hop)

    def report(self, hop: int) -> HopReport | None:
        """Return what a hop that has not ended had moved when last heard of."""
        return self._log.progress.get(hop)

    def _new_log(self) -> StatusLog:
        return StatusLog(len(self._hops), list(self._taps))

    def _submit(self, *, fresh: bool = False) -> Job:
        try:
            return self._hand_over(fresh=fresh)
        except OSError as error:
            raise PumpUnavailableError(f"cannot run cuprum-pump: {error}") from error

    def _hand_over(self, *, fresh: bool) -> Job:
        path = require_helper()
        options = job_options(
            self._options,
            taps=list(self._taps),
            # More often than asked for, so that what is shown is fresh.
            progress=self._progress and max(self._progress / 4, _MIN_PROGRESS),
        )
        ends = [end for hop in self._hops for end in (hop.source, hop.sink)]
        numbers = [end.fileno() for end in (*ends, *self._taps.values())]
        if not is_enabled() or len(numbers) >= MAX_DESCRIPTORS:
            job: Job = OwnHelper(path, options, numbers, self._owner)
        else:
            job = WarmJob(path, options, numbers, self._owner, fresh=fresh)
        os.set_blocking(job.status.fileno(), False)
        return job

    async def _await_start(self) -> None:
        """Read up to ``start``; PumpUnavailableError if it does not come."""
        self._read_available()  # mostly it is there: spawning the stages took longer
        if self._log.started:
            return
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._read_until(lambda: self._log.started or self._log.ended)
        except TimeoutError:
            self._read_available()  # a loop that stood still sees the time first
            if not self._log.started:
                await self._refuse(f"no record came within {_START_SECONDS:g} s")
        except OSError as error:
            await self._refuse(f"status pipe: {error}")
        if self._log.started:
            return
        if self._nonsense is not None:
            await self._refuse(self._nonsense)
        if self._log.ended:
            await self._refuse(f"cuprum-pump: {os.strerror(self._log.errno)}")
        status = await self._job.end()
        await self._refuse(
            f"cuprum-pump ended with status {status} before it had started"
        )

    async def _refuse(self, message: str) -> None:
        message = f"{require_helper()}: {message}{self._job.last_words()}"
        await self._job.end()
        self._read_available()
        # What started after all, or talks nonsense, may have moved something.
        is_final = self._log.started or self._nonsense is not None
        raise PumpUnavailableError(message, is_final=is_final)

    async def _read_until(self, is_enough: Callable[[], bool]) -> None:
        """Read records; the end of file and what is not a record end it as well."""
        while self._nonsense is None and not is_enough():
            try:
                data = await read_chunk(self._job.status)
            except ConnectionResetError:  # gone with something unread
                return
            if not data:
                return
            self._feed(data)

    def _read_available(self) -> None:
        """Take in what the helper has said so far."""
        with suppress(OSError):
            while data := os.read(self._job.status.fileno(), CHUNK_SIZE):
                self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Take in records, and pass on what is new in them."""
        try:
            self._log.feed(data)
        except StatusError as error:
            self._nonsense = f"cuprum-pump reported {error}"
        for hop, tap in self._log.taps.items():
            if hop not in self._outcomes.taps:
                self._outcomes.record_tap(tap)
                self._taps[hop].close()
        for hop, outcome in self._log.outcomes.items():
            if not self._outcomes.hops[hop].done():
                self._outcomes.record(hop, outcome)
        if self._nonsense is not None and self._log.started:
            self._fail(errno.EPROTO, self._nonsense)

    async def _await_exit(self) -> None:
        """See what becomes of the helper after ``end``, and that it agrees."""
        status = await self._job.release()
        if any(tap.errno for tap in self._log.taps.values()):
            return  # status and errno are the tap's, unless a hop's record says more
        if self._log.errno:
            reason = os.strerror(self._log.errno)
            self._fail(self._log.errno, f"cuprum-pump: {reason}")
        elif status and status != LOST_STATUS:  # lost: the records are the proof
            fate = f"cuprum-pump ended with status {status}"
            self._fail(errno.EIO, f"{fate}, which its records do not say")

    def _fail(self, number: int, message: str) -> None:
        """Note the first failure."""
        if not self._outcomes.failure.done():
            self._outcomes.fail(number, message + self._job.last_words())
