"""One output stream of a child: read to its end, kept, echoed, cut into lines."""

from __future__ import annotations

import asyncio
import codecs
import errno
import io
import os
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, cast

from cuprum._descriptors import (
    CHUNK_SIZE,
    CHUNKS_PER_TURN,
    readable,
    unread,
    wake,
)
from cuprum._lines import LineSplitter
from cuprum._pipe_size import AUTO_PIPE_AFTER, AUTO_PIPE_SIZE, grow_pipe

if TYPE_CHECKING:
    from collections.abc import Callable

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
        observer: told of each line; it never raises.

    Attributes:
        ended: done at the end of file; fails with what a line callback raised, or the
            codec for it. Cancelling it ends the reading.
        is_truncated: it was given up before the end of file.
    """

    def __init__(
        self,
        source: Descriptor,
        stream: StreamPlan,
        plan: RunPlan,
        observer: Callable[[str], None] | None = None,
    ) -> None:
        os.set_blocking(source.fileno(), False)
        self._source = source
        self._waiter: asyncio.Future[None] | None = None
        self._still_to_read: int | None = None
        self._total = 0
        self._plan = plan
        self._kept = io.BytesIO() if stream.keep else None
        self._echo = None if stream.sink is None else _Echo(stream.sink, plan)
        self._callback = stream.on_line
        self._observer = observer
        self._sink_error: Exception | None = None
        self.is_truncated = False
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None]
        if self._callback is None and observer is None:
            # No task: a short run would feel each turn of the loop that it takes.
            self.ended = loop.create_future()
            self.ended.add_done_callback(self._close)
            source.add_reader(self._on_readable)
        else:
            self.ended = loop.create_task(self._read_lines())

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
        if self._still_to_read is not None:
            return
        self._still_to_read = unread(self._source.fileno())
        if self._still_to_read is not None:
            self.is_truncated = True
            if self._waiter is not None:
                wake(self._waiter)
            elif not isinstance(self.ended, asyncio.Task):
                self._on_readable()

    @property
    def _codec(self) -> tuple[str, str]:
        return self._plan.encoding, self._plan.errors

    def _on_readable(self) -> None:
        if self.ended.done():
            return
        try:
            for _ in range(CHUNKS_PER_TURN):
                if not self._take():
                    self._close()
                    self.ended.set_result(None)
                    return
        except BlockingIOError:
            pass
        except Exception as error:
            self.ended.set_exception(error)

    async def _read_lines(self) -> None:
        lines: _Lines | None = None
        is_decodable = True
        chunk = None
        try:
            while chunk != b"":
                try:
                    chunk = self._take()
                except BlockingIOError:
                    await self._readable()
                    continue
                if is_decodable:
                    try:
                        lines = lines or self._new_lines()
                        await lines.feed(chunk)
                    except Exception as error:
                        if self._callback is not None:
                            raise
                        # Merely observed: read on, and raise when it has ended.
                        self._sink_error = self._sink_error or error
                        is_decodable = False
                await asyncio.sleep(0)
        finally:
            self._close()

    def _new_lines(self) -> _Lines:
        return _Lines(self._callback, self._observer, LineSplitter(*self._codec))

    def _take(self) -> bytes:
        """Read once and keep it; nothing at the end, or of what is still to be read.

        Raises:
            BlockingIOError: there is nothing now.
        """
        size = CHUNK_SIZE if self._total < AUTO_PIPE_AFTER else AUTO_PIPE_SIZE
        if self._still_to_read is not None:
            size = min(size, self._still_to_read)
        try:
            chunk = os.read(self._source.fileno(), size) if size else b""
        except BlockingIOError:
            if self._still_to_read is None:
                raise
            chunk = b""  # others have taken the rest
        if self._still_to_read is not None:
            self._still_to_read -= len(chunk)
        if self._kept is not None:
            self._kept.write(chunk)
        self._pass_on(chunk)
        self._total += len(chunk)
        if self._total - len(chunk) < AUTO_PIPE_AFTER <= self._total:
            grow_pipe(self._source.fileno(), AUTO_PIPE_SIZE)
        return chunk

    def _close(self, _: object = None) -> None:
        self._still_to_read = 0
        self._source.close()

    async def _readable(self) -> None:
        """Wait until there is something to read, or nothing any more."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await readable(self._source, self._waiter)
        finally:
            self._waiter = None

    def _pass_on(self, chunk: bytes) -> None:
        if self._echo is None or self._sink_error is not None:
            return
        try:
            self._echo.write(chunk, final=not chunk)
        except Exception as error:
            self._sink_error = error


class _Lines:
    """Who is told of lines, and what cuts them."""

    def __init__(
        self,
        callback: LineCallback | None,
        observer: Callable[[str], None] | None,
        splitter: LineSplitter,
    ) -> None:
        self._callback = callback
        self._observer = observer
        self._splitter = splitter

    async def feed(self, chunk: bytes) -> None:
        """Tell of every line that is complete now; at the end, of the last as well."""
        callback, observer = self._callback, self._observer
        turn_over = monotonic() + _TURN_SECONDS
        for line in self._splitter.feed(chunk, final=not chunk):
            if observer is not None:
                observer(line)
            if callback is not None:
                waiting = callback(line)
                if waiting is not None:
                    await waiting
            if monotonic() > turn_over:
                await asyncio.sleep(0)
                turn_over = monotonic() + _TURN_SECONDS


class _Echo:
    """A sink: raw bytes where it has a buffer, else text decoded as it comes."""

    def __init__(self, sink: IO[str], plan: RunPlan) -> None:
        self._sink = sink
        self._buffer: IO[bytes] | None = getattr(sink, "buffer", None)
        self._encoding = plan.encoding
        self._errors = plan.errors
        self._decoder: codecs.IncrementalDecoder | None = None

    def write(self, chunk: bytes, *, final: bool) -> None:
        if self._buffer is None:
            self._write_text(chunk, final=final)
        elif chunk:
            self._write_bytes(self._buffer, chunk)

    def _write_bytes(self, buffer: IO[bytes], chunk: bytes) -> None:
        # Text written to the sink before the run must not come out after it.
        if hasattr(self._sink, "flush"):
            self._sink.flush()
        rest = memoryview(chunk)
        while rest:
            # An unbuffered stream may take less than all of it, or say None where
            # a non-blocking one would have to wait. Others say what they like.
            size = cast("int | None", buffer.write(bytes(rest)))
            if size is None and isinstance(buffer, io.RawIOBase):
                raise BlockingIOError(errno.EAGAIN, "the sink takes no more output")
            rest = rest[len(rest) if size is None else size :]
        buffer.flush()

    def _write_text(self, chunk: bytes, *, final: bool) -> None:
        if self._decoder is None:
            if not chunk:
                return
            # Made here and not before: an unknown codec is an error of the stream.
            self._decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)
        text = self._decoder.decode(chunk, final)
        if text:
            self._sink.write(text)
            self._sink.flush()
