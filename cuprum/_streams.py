"""The pump in pure Python, for where there is no helper.

It works on non-blocking descriptors: a call is tried first, and the event loop asked
only where it would have blocked.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import select
import stat
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Literal

from cuprum._descriptors import (
    CHUNKS_PER_TURN,
    Descriptor,
    readable,
    reader_watch,
    unread,
    wake,
    writable,
)
from cuprum._hops import HopEnds, HopOutcome, HopOutcomes, Side
from cuprum._pipe_size import AUTO_PIPE_AFTER, AUTO_PIPE_SIZE, grow_pipe
from cuprum._tasks import abandon, settle
from cuprum.pump import HopReport, PumpOptions, TapReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["PythonPump", "write_all"]

_TERMINAL_ROOM = 32
"""Bytes that a terminal has room for if it has any; see ``sink.c`` of the helper."""


async def write_all(sink: Descriptor, data: bytes) -> None:
    """Write all of ``data`` to a non-blocking descriptor.

    Raises:
        OSError: the write failed; BrokenPipeError if the reader has gone.
    """
    rest = memoryview(data).cast("B")  # it may be of larger items than bytes
    while rest:
        try:
            rest = rest[os.write(sink.fileno(), rest) :]
        except BlockingIOError:
            await writable(sink)


class PythonPump:
    """The pump as coroutines: one task per hop, on the event loop.

    Args:
        hops: what to pump, see `HopEnds`; made non-blocking, and closed when the hop
            is over.
        options: what applies of them; the engine does not.
        outcomes: where the ends of the hops are noted.
    """

    pid = None

    def __init__(
        self, hops: Sequence[HopEnds], options: PumpOptions, outcomes: HopOutcomes
    ) -> None:
        self._outcomes = outcomes
        self._hops = [
            _Hop(ends, options, ends.tap and _Tap(index, ends.tap, outcomes))
            for index, ends in enumerate(hops)
        ]
        for hop, following in itertools.pairwise(self._hops):
            hop.following = following
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to pump."""
        self._tasks = [
            asyncio.create_task(self._run(index, hop))
            for index, hop in enumerate(self._hops)
        ]

    async def wait(self) -> None:
        """Wait until every hop is over."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """End every hop that is still open."""
        await settle(self._tasks, within=0)

    def abandon(self) -> None:
        """Have every hop end that is still open, without waiting for it."""
        for task in self._tasks:
            abandon(task)

    def release(self, hop: int) -> None:
        """Have a hop end with what lies in its input, if others could still write."""
        if not self._tasks[hop].done():
            self._hops[hop].release()

    def report(self, hop: int) -> HopReport:
        """Return what the hop has moved so far."""
        return self._hops[hop].report()

    async def _run(self, index: int, hop: _Hop) -> None:
        self._outcomes.record(index, await hop.run())


class _HopFailure(Exception):
    def __init__(self, side: Side, error: OSError) -> None:
        super().__init__(side, error)
        self.side: Side = side
        self.errno = error.errno or errno.EIO


class _Hop:
    """One hop: its two descriptors, its buffer and its counts."""

    def __init__(self, ends: HopEnds, options: PumpOptions, tap: _Tap | None) -> None:
        self._source = ends.source
        self._sink = ends.sink
        self._tap = tap
        self._options = options
        self._began = monotonic()
        self._read = self._written = self._discarded = 0
        self._starved = self._blocked = 0.0
        self._waiting: Literal["input", "output"] | None = None
        self._waiting_since = 0.0
        self._reader_gone = False
        self._drain: Literal["eof", "timeout", "closed"] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain_until: float | None = None
        self._still_to_read: int | None = None
        self.following: _Hop | None = None

    async def run(self) -> HopOutcome:
        """Pump until the input ends, or its reader has gone and been drained."""
        self._began = monotonic()
        failure: _HopFailure | None = None
        with ExitStack() as owned:
            owned.callback(self._source.close)
            owned.callback(self._sink.close)
            os.set_blocking(self._source.fileno(), False)
            os.set_blocking(self._sink.fileno(), False)
            buffer = memoryview(bytearray(self._options.buffer_size))
            try:
                try:
                    with reader_watch(self._sink, self._on_reader_gone):
                        await self._forward(buffer)
                finally:
                    if self._tap is not None:
                        self._tap.end()
                self._sink.close()
                if self._reader_gone:
                    self._drain = await self._discard(buffer)
            except _HopFailure as error:
                failure = error
        if failure is None:
            return HopOutcome(self.report())
        return HopOutcome(self.report(), failure.errno, failure.side)

    def report(self) -> HopReport:
        """Return what has been moved so far."""
        now = monotonic()
        waited = now - self._waiting_since
        return HopReport(
            bytes_read=self._read,
            bytes_written=self._written,
            bytes_discarded=self._discarded,
            engine="python",
            broken_pipe=self._reader_gone,
            drain=self._drain,
            elapsed=now - self._began,
            waited_for_input=self._starved + waited * (self._waiting == "input"),
            waited_for_output=self._blocked + waited * (self._waiting == "output"),
            waiting=self._waiting,
            released=self._still_to_read is not None,
        )

    def release(self) -> None:
        """Take what lies in the input, and no more, unless its end will come."""
        if self._still_to_read is None:
            self._still_to_read = unread(self._source.fileno())
            if self._waiter is not None:
                wake(self._waiter)

    async def _forward(self, buffer: memoryview) -> None:
        if isinstance(self._options.pipe_size, int):
            self._grow_pipes(self._options.pipe_size)
        grow_later = self._options.pipe_size == "auto"
        for count in itertools.count(1):
            size = await self._fill(buffer)
            if size == 0:
                return
            if self._tap is not None:
                await self._tap.write(buffer[:size], self._room)
            await self._write(buffer[:size])
            if grow_later and self._written >= AUTO_PIPE_AFTER:
                self._grow_pipes(AUTO_PIPE_SIZE)
                grow_later = False
            if count % CHUNKS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _fill(self, buffer: memoryview) -> int:
        """Read once; return 0 at the end of file or when the reader has gone."""
        while not self._reader_gone:
            try:
                return self._take(buffer)
            except BlockingIOError:
                self._wait("input")
                await self._input()
                self._go_on()
        return 0

    def _take(self, buffer: memoryview) -> int:
        """Read once; return 0 at the end of file, or of what is still to be read."""
        if self._still_to_read == 0:
            return 0
        try:
            size = os.readv(self._source.fileno(), (buffer[: self._still_to_read],))
        except BlockingIOError:
            if self._still_to_read is not None:
                return 0  # others have taken the rest
            raise
        except OSError as error:
            raise _HopFailure("read", error) from error
        self._read += size
        if self._still_to_read is not None:
            self._still_to_read -= size
        return size

    async def _write(self, data: memoryview) -> None:
        while data:
            try:
                size = os.write(self._sink.fileno(), data)
            except BlockingIOError:
                await self._room(self._sink)
            except OSError as error:
                self._discarded += len(data)
                if not isinstance(error, BrokenPipeError | ConnectionResetError):
                    raise _HopFailure("write", error) from error
                self._reader_gone = True
                return
            else:
                self._written += size
                data = data[size:]

    async def _discard(self, buffer: memoryview) -> Literal["eof", "timeout", "closed"]:
        """Read and discard for as long as the options say."""
        if self._options.drain == 0:
            return "closed"
        self._drain_until = self._drain_end()
        try:
            async with asyncio.timeout_at(self._drain_until):
                for count in itertools.count(1):
                    try:
                        size = self._take(buffer)
                    except BlockingIOError:
                        await self._input()
                        continue
                    if size == 0:
                        break
                    self._discarded += size
                    if count % CHUNKS_PER_TURN == 0:
                        await asyncio.sleep(0)
        except TimeoutError:
            return "timeout"
        return "eof"

    def _drain_end(self) -> float | None:
        """Return the loop's time at which the drain is over; None for no limit.

        One drain for the whole pipeline: it began where the first reader left.
        """
        if self._options.drain is None:
            return None
        end = asyncio.get_running_loop().time() + self._options.drain
        first = self.following._drain_until if self.following else None
        return end if first is None else min(end, first)

    async def _input(self) -> None:
        """Wait for input, or for the news that there is no reader for it."""
        self._waiter = asyncio.get_running_loop().create_future()
        await readable(self._source, self._waiter)

    def _on_reader_gone(self) -> None:
        self._reader_gone = True
        if self._waiter is not None:
            wake(self._waiter)

    async def _room(self, sink: Descriptor) -> bool:
        """Wait for room to write; False if there is no reader any more."""
        self._wait("output")
        self._waiter = asyncio.get_running_loop().create_future()
        await writable(sink, self._waiter)
        self._go_on()
        return not self._reader_gone

    def _wait(self, side: Literal["input", "output"]) -> None:
        self._waiting, self._waiting_since = side, monotonic()

    def _go_on(self) -> None:
        """Count the wait that is over."""
        waited = monotonic() - self._waiting_since
        if self._waiting == "input":
            self._starved += waited
        else:
            self._blocked += waited
        self._waiting = None

    def _grow_pipes(self, size: int) -> None:
        grow_pipe(self._source.fileno(), size)
        grow_pipe(self._sink.fileno(), size)


class _Tap:
    """The copy of one hop: written until it fails, or the flow ends."""

    def __init__(self, hop: int, sink: Descriptor, outcomes: HopOutcomes) -> None:
        self._hop = hop
        self._sink = sink
        self._outcomes = outcomes
        self._written = 0
        self._is_open = True
        # A file never has to be waited for; with pipes and sockets we must be able to.
        mode = os.fstat(sink.fileno()).st_mode
        self._may_be_full = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._terminal: select.poll | None = None
        if os.isatty(sink.fileno()):
            self._terminal = select.poll()
            self._terminal.register(sink.fileno(), select.POLLOUT)

    async def write(
        self, data: memoryview, room: Callable[[Descriptor], Awaitable[bool]]
    ) -> None:
        """Write all of ``data``, unless the tap fails or nobody reads the hop.

        ``room`` waits until there is some; False means that there is no need to.
        """
        if not self._is_open:
            return
        fd = self._sink.fileno()
        if self._may_be_full:
            os.set_blocking(fd, False)
        try:
            while data:
                try:
                    size = self._put(fd, data)
                except BlockingIOError:
                    if not await room(self._sink):
                        return
                else:
                    self._written += size
                    data = data[size:]
        except OSError as error:
            self.end(error.errno or errno.EIO)

    def _put(self, fd: int, data: memoryview) -> int:
        """Write what there is room for; BlockingIOError if that is nothing."""
        if self._terminal is not None:  # whose flags are its shell's as well
            if not self._terminal.poll(0):
                raise BlockingIOError
            data = data[:_TERMINAL_ROOM]
        return os.write(fd, data)

    def end(self, number: int = 0) -> None:
        """Close the copy and report it, unless that has happened."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._sink.close()
        except OSError as error:
            number = number or error.errno or errno.EIO
        self._outcomes.record_tap(TapReport(self._hop, self._written, number))
