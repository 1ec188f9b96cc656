"""A child's standard streams as we serve them: output read, input fed."""

from __future__ import annotations

import asyncio
import codecs
import errno
import io
import logging
import os
from typing import IO, TYPE_CHECKING, cast

from cuprum._streams import consume, write_all

if TYPE_CHECKING:
    from cuprum._descriptors import Descriptor
    from cuprum._plan import RunPlan

__all__ = ["Output", "feed"]

_stdin_logger = logging.getLogger("cuprum.stdin")


class Output:
    """One output stream of a child: read to its end, kept, echoed.

    Reading goes on after an error of the sink, or a child with much to say would
    block for ever; the first error is the task's, in the end.

    Args:
        source: read end of the pipe, closed at its end of file.
        plan: what to do with the output.
        sink: where to echo it, or None.

    Attributes:
        task: the reading; holds the first error of the sink or the codec.
    """

    def __init__(self, source: Descriptor, plan: RunPlan, sink: IO[str] | None) -> None:
        os.set_blocking(source.fileno(), False)
        self._source = source
        self._plan = plan
        self._kept = bytearray() if plan.capture else None
        self._echo = None if sink is None else _Echo(sink, plan)
        self._error: Exception | None = None
        self.task = asyncio.create_task(self._run())

    def text(self) -> str | None:
        """Return what was captured, whole; None if not capturing.

        Raises:
            UnicodeDecodeError: the policy is strict and the output not in the codec.
            LookupError: there is no such codec or policy.
        """
        if self._kept is None:
            return None
        return self._kept.decode(self._plan.encoding, self._plan.errors)

    def partial_text(self) -> str | None:
        """Return what was captured before the run was stopped.

        A character that was cut in two at the end is no error, and neither is
        anything else that a strict policy would find: the run's own error is the
        one to raise.
        """
        if self._kept is None:
            return None
        try:
            decoder = codecs.getincrementaldecoder(self._plan.encoding)
            return decoder(self._plan.errors).decode(bytes(self._kept))
        except UnicodeDecodeError:
            return self._kept.decode(self._plan.encoding, "replace")
        except LookupError:  # no such codec, or no such error policy
            return self._kept.decode("utf-8", "replace")

    async def _run(self) -> None:
        await consume(self._source, self._receive)
        self._source.close()
        self._pass_on(b"", final=True)
        if self._error is not None:
            raise self._error

    def _receive(self, chunk: bytes) -> None:
        if self._kept is not None:
            self._kept += chunk
        self._pass_on(chunk)

    def _pass_on(self, chunk: bytes, *, final: bool = False) -> None:
        if self._echo is None or self._error is not None:
            return
        try:
            self._echo.write(chunk, final=final)
        except Exception as error:
            self._error = error


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
            size = cast("int | None", buffer.write(rest))
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


async def feed(sink: Descriptor, payload: bytes, pid: int) -> None:
    """Write ``payload`` to a child's standard input, then close it.

    A child that does not want it all is no failure of the run; it is logged.
    """
    os.set_blocking(sink.fileno(), False)
    try:
        await write_all(sink, payload)
    except OSError as error:
        _log_failure("write", pid, error)
    try:
        sink.close()
    except OSError as error:
        _log_failure("close", pid, error)


def _log_failure(operation: str, pid: int, error: OSError) -> None:
    _stdin_logger.error(
        "stdin_%s_failed pid=%s error=%s",
        operation,
        pid,
        error,
        exc_info=error,
        extra={
            "cuprum_pid": pid,
            "cuprum_stdin_operation": operation,
            "cuprum_error_type": type(error).__name__,
        },
    )
