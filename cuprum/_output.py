"""One output stream of a child: read to its end, kept, echoed, cut into lines."""

from __future__ import annotations

import asyncio
import codecs
import errno
import io
import itertools
import os
import select
import sys
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, cast

from cuprum._descriptors import CHUNK_SIZE, CHUNKS_PER_TURN, readable, wake
from cuprum._lines import LineSplitter
from cuprum._pipe_size import AUTO_PIPE_AFTER, AUTO_PIPE_SIZE, grow_pipe

if sys.platform != "win32":
    import fcntl
    import termios

if TYPE_CHECKING:
    from cuprum._descriptors import Descriptor
    from cuprum._options import LineCallback
    from cuprum._plan import RunPlan, StreamPlan

__all__ = ["Output"]

_TURN_SECONDS = 0.005
"""Time for lines before the event loop gets a turn: a chunk may have thousands."""


class Output:
    """What comes out of a child's standard output, or standard error.

    Reading goes on after an error of the sink, or a child with much to say would
    block for ever; but not after one of a line callback, which ends the run.

    Args:
        source: read end of the pipe, closed at its end of file.
        stream: what to do with it.
        plan: codec and the like.

    Attributes:
        task: the reading; fails with what a line callback raised, or the codec for it.
        is_truncated: it was given up before the end of file.
    """

    def __init__(self, source: Descriptor, stream: StreamPlan, plan: RunPlan) -> None:
        os.set_blocking(source.fileno(), False)
        self._source = source
        self._waiter: asyncio.Future[None] | None = None
        self._still_to_read: int | None = None
        self._plan = plan
        self._kept = io.BytesIO() if stream.keep else None
        self._echo = None if stream.sink is None else _Echo(stream.sink, plan)
        self._callback = stream.on_line
        self._sink_error: Exception | None = None
        self.is_truncated = False
        self.task = asyncio.create_task(self._run())

    def value(self) -> Any:  # noqa: ANN401  str or bytes, as the plan says
        """Return what was captured, text or bytes; None if not capturing.

        Raises:
            UnicodeDecodeError: the policy is strict and the output not in the codec.
            LookupError: there is no such codec or policy.
            Exception: what the sink raised first.
        """
        if self._sink_error is not None:
            raise self._sink_error
        if self._kept is None:
            return None
        # A look at the buffer, not a copy: there may be gigabytes.
        data = self._kept.getvalue()
        return data.decode(*self._codec) if self._plan.text else data

    def partial_value(self) -> Any:  # noqa: ANN401  likewise
        """Return what was captured before the run was stopped.

        A character that was cut in two at the end is no error, and neither is
        anything else that a strict policy would find: the run's own error is the
        one to raise.
        """
        if self._kept is None:
            return None
        data = self._kept.getvalue()
        if not self._plan.text:
            return data
        try:
            decoder = codecs.getincrementaldecoder(self._plan.encoding)
            return decoder(self._plan.errors).decode(data)
        except UnicodeDecodeError:
            return data.decode(self._plan.encoding, "replace")
        except LookupError:  # no such codec, or no such error policy
            return data.decode("utf-8", "replace")

    def give_up(self) -> None:
        """If others can still write, read what they have written, but no more.

        Nothing is cut short because a line callback takes its time.
        """
        if self._still_to_read is None and _has_writer(self._source.fileno()):
            self.is_truncated = True
            self._still_to_read = _fill_level(self._source.fileno())
            if self._waiter is not None:
                wake(self._waiter)

    @property
    def _codec(self) -> tuple[str, str]:
        return self._plan.encoding, self._plan.errors

    async def _run(self) -> None:
        lines = None
        if self._callback is not None:
            lines = _Lines(self._callback, LineSplitter(*self._codec))
        buffer = memoryview(bytearray(CHUNK_SIZE))
        size = total = 0
        try:
            for count in itertools.count(1):
                size = await self._read_into(buffer)
                if size == 0:
                    break
                total += size
                chunk = buffer[:size]
                if self._kept is not None:
                    self._kept.write(chunk)
                self._pass_on(chunk)
                if lines is not None:
                    await lines.feed(chunk)
                elif count % CHUNKS_PER_TURN == 0:
                    await asyncio.sleep(0)
                if total - size < AUTO_PIPE_AFTER <= total:
                    grow_pipe(self._source.fileno(), AUTO_PIPE_SIZE)
        finally:
            self._still_to_read = 0
            self._source.close()
        self._pass_on(buffer[:0], final=True)
        if lines is not None:
            await lines.feed(b"", final=True)

    async def _read_into(self, buffer: memoryview) -> int:
        """Read once; return 0 at the end of file, or of what is still to be read."""
        while self._still_to_read != 0:
            try:
                size = os.readv(self._source.fileno(), (buffer[: self._still_to_read],))
            except BlockingIOError:
                await self._readable()
            else:
                if self._still_to_read is not None:
                    self._still_to_read -= size
                return size
        return 0

    async def _readable(self) -> None:
        """Wait until there is something to read, or nothing any more."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await readable(self._source, self._waiter)
        finally:
            self._waiter = None

    def _pass_on(self, chunk: memoryview, *, final: bool = False) -> None:
        if self._echo is None or self._sink_error is not None:
            return
        try:
            self._echo.write(chunk, final=final)
        except Exception as error:
            self._sink_error = error


def _has_writer(fd: int) -> bool:
    """Tell whether somebody has the other end of the pipe ``fd`` open."""
    poll = select.poll()
    poll.register(fd, 0)
    return not any(events & select.POLLHUP for _, events in poll.poll(0))


def _fill_level(fd: int) -> int:
    """Return how many bytes lie in the pipe ``fd``."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


class _Lines:
    """A callback for lines, and what cuts them."""

    def __init__(self, callback: LineCallback, splitter: LineSplitter) -> None:
        self._callback = callback
        self._splitter = splitter

    async def feed(self, chunk: bytes | memoryview, *, final: bool = False) -> None:
        """Call back with every line that is complete now."""
        callback = self._callback
        turn_over = monotonic() + _TURN_SECONDS
        for line in self._splitter.feed(chunk, final=final):
            waiting = callback(line)
            if waiting is not None:
                await waiting
            if monotonic() > turn_over:
                await asyncio.sleep(0)
                turn_over = monotonic() + _TURN_SECONDS
        await asyncio.sleep(0)


class _Echo:
    """A sink: raw bytes where it has a buffer, else text decoded as it comes."""

    def __init__(self, sink: IO[str], plan: RunPlan) -> None:
        self._sink = sink
        self._buffer: IO[bytes] | None = getattr(sink, "buffer", None)
        self._encoding = plan.encoding
        self._errors = plan.errors
        self._decoder: codecs.IncrementalDecoder | None = None

    def write(self, chunk: memoryview, *, final: bool) -> None:
        if self._buffer is None:
            self._write_text(chunk, final=final)
        elif chunk:
            self._write_bytes(self._buffer, chunk)

    def _write_bytes(self, buffer: IO[bytes], chunk: memoryview) -> None:
        # Text written to the sink before the run must not come out after it.
        if hasattr(self._sink, "flush"):
            self._sink.flush()
        rest = chunk
        while rest:
            # An unbuffered stream may take less than all of it, or say None where
            # a non-blocking one would have to wait. Others say what they like.
            size = cast("int | None", buffer.write(bytes(rest)))
            if size is None and isinstance(buffer, io.RawIOBase):
                raise BlockingIOError(errno.EAGAIN, "the sink takes no more output")
            rest = rest[len(rest) if size is None else size :]
        buffer.flush()

    def _write_text(self, chunk: memoryview, *, final: bool) -> None:
        if self._decoder is None:
            if not chunk:
                return
            # Made here and not before: an unknown codec is an error of the stream.
            self._decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)
        text = self._decoder.decode(chunk, final)
        if text:
            self._sink.write(text)
            self._sink.flush()
