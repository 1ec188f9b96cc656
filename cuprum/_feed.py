"""The first child's standard input: inherited, a file, or fed by us."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import AsyncGenerator, AsyncIterable
from errno import EPIPE
from typing import TYPE_CHECKING, NamedTuple

from cuprum._descriptors import Descriptor, make_pipe, reader_watch
from cuprum._files import open_input
from cuprum._streams import write_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import ExitStack

    from cuprum._observability import Observation
    from cuprum._plan import RunPlan

__all__ = ["Inlet", "tell_failure"]

_logger = logging.getLogger("cuprum.stdin")


class Inlet(NamedTuple):
    """Where a child's input comes from.

    Attributes:
        number: what `Process.spawn` takes.
        ours: our copy of the end that the child is given.
        sink: where we write, if it is fed by us.
        source: what we write.
    """

    number: int | None
    ours: Descriptor | None = None
    sink: Descriptor | None = None
    source: Iterable[bytes] | AsyncIterable[bytes] = ()

    @classmethod
    def open(cls, plan: RunPlan, owner: ExitStack, *, is_piped: bool) -> Inlet:
        """Open what the plan says; OSError if that cannot be.

        Args:
            plan: see `RunPlan`.
            owner: closes what is opened here, at the latest.
            is_piped: the child is a pipeline's, which reads nothing if not told to.
        """
        stdin = plan.stdin
        if stdin is None or stdin.is_empty:
            return cls(subprocess.DEVNULL if is_piped else None)
        file = stdin.file if stdin.path is None else stdin.path
        if file is not None:
            ours = open_input(file, owner)
            return cls(ours.fileno(), ours)
        pipe = make_pipe(owner)
        source = (plan.payload or b"",) if stdin.chunks is None else stdin.chunks
        return cls(pipe.reader.fileno(), pipe.reader, pipe.writer, source)

    def close(self) -> None:
        """Close our copy of the child's end."""
        if self.ours is not None:
            self.ours.close()

    def begin(self, pid: int, observation: Observation) -> asyncio.Task[None] | None:
        """Begin to feed the child with that number, if it is fed by us."""
        if self.sink is None:
            return None
        return asyncio.create_task(_feed(self.sink, self.source, pid, observation))


async def _feed(
    sink: Descriptor,
    source: Iterable[bytes] | AsyncIterable[bytes],
    pid: int,
    observation: Observation,
) -> None:
    """Write all chunks of ``source`` to a child's standard input, then close it.

    A child that does not want it all is no failure of the run; it is logged.

    Raises:
        TypeError: a chunk is not bytes.
        Exception: whatever ``source`` raised.
    """
    os.set_blocking(sink.fileno(), False)
    count = 0
    try:
        if isinstance(source, AsyncIterable):
            count = await _feed_as_it_comes(sink, aiter(source))
        else:
            for chunk in source:
                count += await _put(sink, chunk)
                await asyncio.sleep(0)
    except _ChildGoneError as gone:
        tell_failure("write", pid, gone.reason, observation)
    else:
        observation.stdin(byte_count=count)
    finally:
        try:
            sink.close()
        except OSError as error:
            tell_failure("close", pid, error, observation)


class _ChildGoneError(Exception):
    """The child reads no more. Not an OSError, for the source may raise those."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


async def _feed_as_it_comes(sink: Descriptor, chunks: AsyncIterator[bytes]) -> int:
    """Feed, and notice a child that goes while there is nothing to write."""
    count = 0
    it_reads = asyncio.timeout(None)  # runs out when somebody says so
    try:
        async with it_reads:
            with reader_watch(sink, lambda: it_reads.reschedule(0)):
                async for chunk in chunks:
                    count += await _put(sink, chunk)
    except TimeoutError:
        if not it_reads.expired():
            raise
        raise _ChildGoneError(BrokenPipeError(EPIPE, os.strerror(EPIPE))) from None
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()  # or the loop would, some time after the run
    return count


async def _put(sink: Descriptor, chunk: bytes) -> int:
    """Write a chunk; return its size in bytes."""
    if not isinstance(chunk, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"chunks must yield bytes, not {type(chunk).__name__}")
    try:
        await write_all(sink, chunk)
    except OSError as error:
        raise _ChildGoneError(error) from None
    return memoryview(chunk).nbytes


def tell_failure(
    operation: str, pid: int, error: OSError, observation: Observation
) -> None:
    """Log that standard input was not taken as it should be, and tell of it."""
    kind = type(error).__name__
    _logger.error(
        "stdin_%s_failed pid=%s error=%s",
        operation,
        pid,
        error,
        exc_info=error,
        extra={
            "cuprum_pid": pid,
            "cuprum_stdin_operation": operation,
            "cuprum_error_type": kind,
        },
    )
    observation.stdin(operation=operation, error_type=kind, note=f"{kind}: {error}")
