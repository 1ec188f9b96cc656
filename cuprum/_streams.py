"""The Python side's own streaming: the pump in pure Python, and reading to the end.

Both work on non-blocking descriptors: a call is tried first, and the event loop
asked only where it would have blocked.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Literal

from cuprum._descriptors import (
    CHUNKS_PER_TURN,
    Descriptor,
    read_chunk,
    wake,
    writable,
)
from cuprum._hops import HopOutcome, HopOutcomes, Side
from cuprum._tasks import settle
from cuprum.pump import HopReport, PumpOptions

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["PythonPump", "consume", "write_all"]

_AUTO_PIPE_AFTER = 1 << 20
_AUTO_PIPE_SIZE = 256 << 10


async def consume(source: Descriptor, receive: Callable[[bytes], None]) -> None:
    """Read a non-blocking descriptor to its end, handing over every chunk.

    Raises:
        OSError: the read failed.
    """
    for count in itertools.count(1):
        chunk = await read_chunk(source.fileno())
        if not chunk:
            return
        receive(chunk)
        if count % CHUNKS_PER_TURN == 0:
            await asyncio.sleep(0)


async def write_all(sink: Descriptor, data: bytes) -> None:
    """Write all of ``data`` to a non-blocking descriptor.

    Raises:
        OSError: the write failed; BrokenPipeError if the reader has gone.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(sink.fileno(), rest) :]
        except BlockingIOError:
            await writable(sink.fileno())


class PythonPump:
    """The pump as coroutines: one task per hop, on the event loop.

    Args:
        pairs: for each hop the descriptor to read and the one to write, which the
            pump makes non-blocking and closes when the hop is over.
        options: what applies of them; the engine does not.

    Attributes:
        outcomes: how the hops ended.
    """

    def __init__(
        self, pairs: Sequence[tuple[Descriptor, Descriptor]], options: PumpOptions
    ) -> None:
        self.outcomes = HopOutcomes(len(pairs))
        self._hops = [_Hop(source, sink, options) for source, sink in pairs]
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
        self.outcomes.close()

    async def _run(self, index: int, hop: _Hop) -> None:
        self.outcomes.record(index, await hop.run())


class _HopFailure(Exception):
    def __init__(self, side: Side, error: OSError) -> None:
        super().__init__(side, error)
        self.side: Side = side
        self.errno = error.errno or errno.EIO


class _Hop:
    """One hop: its two descriptors, its buffer and its counts."""

    def __init__(
        self, source: Descriptor, sink: Descriptor, options: PumpOptions
    ) -> None:
        self._source = source
        self._sink = sink
        self._options = options
        self._read = self._written = self._discarded = 0
        self._starved = self._blocked = 0.0
        self._reader_gone = False
        self._input_waiter: asyncio.Future[None] | None = None
        self._drain_until: float | None = None
        self.following: _Hop | None = None

    async def run(self) -> HopOutcome:
        """Pump until the input ends, or its reader has gone and been drained."""
        began = monotonic()
        drain: Literal["eof", "timeout", "closed"] | None = None
        failure: _HopFailure | None = None
        with ExitStack() as owned:
            owned.callback(self._source.close)
            owned.callback(self._sink.close)
            os.set_blocking(self._source.fileno(), False)
            os.set_blocking(self._sink.fileno(), False)
            buffer = memoryview(bytearray(self._options.buffer_size))
            try:
                with self._watched_reader():
                    await self._forward(buffer)
                self._sink.close()
                if self._reader_gone:
                    drain = await self._drain(buffer)
            except _HopFailure as error:
                failure = error
        report = HopReport(
            bytes_read=self._read,
            bytes_written=self._written,
            bytes_discarded=self._discarded,
            engine="python",
            broken_pipe=self._reader_gone,
            drain=drain,
            elapsed=monotonic() - began,
            waited_for_input=self._starved,
            waited_for_output=self._blocked,
        )
        if failure is None:
            return HopOutcome(report)
        return HopOutcome(report, failure.errno, failure.side)

    async def _forward(self, buffer: memoryview) -> None:
        if isinstance(self._options.pipe_size, int):
            self._grow_pipes(self._options.pipe_size)
        grow_later = self._options.pipe_size == "auto"
        for count in itertools.count(1):
            size = await self._fill(buffer)
            if size == 0:
                return
            await self._write(buffer[:size])
            if grow_later and self._written >= _AUTO_PIPE_AFTER:
                self._grow_pipes(_AUTO_PIPE_SIZE)
                grow_later = False
            if count % CHUNKS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _fill(self, buffer: memoryview) -> int:
        """Read once; return 0 at the end of file or when the reader has gone."""
        while not self._reader_gone:
            try:
                return self._take(buffer)
            except BlockingIOError:
                since = monotonic()
                await self._input()
                self._starved += monotonic() - since
        return 0

    def _take(self, buffer: memoryview) -> int:
        try:
            size = os.readv(self._source.fileno(), (buffer,))
        except BlockingIOError:
            raise
        except OSError as error:
            raise _HopFailure("read", error) from error
        self._read += size
        return size

    async def _write(self, data: memoryview) -> None:
        while data:
            try:
                size = os.write(self._sink.fileno(), data)
            except BlockingIOError:
                since = monotonic()
                await writable(self._sink.fileno())
                self._blocked += monotonic() - since
            except OSError as error:
                self._discarded += len(data)
                if not isinstance(error, BrokenPipeError | ConnectionResetError):
                    raise _HopFailure("write", error) from error
                self._reader_gone = True
                return
            else:
                self._written += size
                data = data[size:]

    async def _drain(self, buffer: memoryview) -> Literal["eof", "timeout", "closed"]:
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
        loop = asyncio.get_running_loop()
        fd = self._source.fileno()
        self._input_waiter = loop.create_future()
        loop.add_reader(fd, wake, self._input_waiter)
        try:
            await self._input_waiter
        finally:
            loop.remove_reader(fd)
            self._input_waiter = None

    @contextmanager
    def _watched_reader(self) -> Generator[None, None, None]:
        """Notice a reader that goes while there is nothing to write.

        epoll(7) and poll(2) report an error condition on a pipe's write end as soon
        as nobody can read it. A write end is never readable otherwise, so the loop
        calls back once at most. (Elsewhere the next write tells.)
        """
        if sys.platform != "linux":
            yield
            return
        loop = asyncio.get_running_loop()
        fd = self._sink.fileno()
        loop.add_reader(fd, self._on_reader_gone, loop, fd)
        try:
            yield
        finally:
            loop.remove_reader(fd)

    def _on_reader_gone(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        loop.remove_reader(fd)
        self._reader_gone = True
        if self._input_waiter is not None:
            wake(self._input_waiter)

    def _grow_pipes(self, size: int) -> None:
        """Ask for larger pipes; a refusal is no error, and nothing ever shrinks."""
        if sys.platform == "linux":
            for end in (self._source.fileno(), self._sink.fileno()):
                with suppress(OSError):
                    if fcntl.fcntl(end, fcntl.F_GETPIPE_SZ) < size:
                        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, size)
