"""Descriptors with one owner each, and waiting for them on the event loop."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if sys.platform != "win32":
    import fcntl
    import termios

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import ExitStack

__all__ = [
    "CHUNKS_PER_TURN",
    "CHUNK_SIZE",
    "Descriptor",
    "Pipe",
    "above_stdio",
    "duplicate",
    "make_channel",
    "make_pipe",
    "read_chunk",
    "readable",
    "reader_watch",
    "require_posix",
    "unread",
    "wake",
    "writable",
]

CHUNK_SIZE = 65536
"""Bytes per read: a pipe's usual capacity, so that one read can empty it."""

CHUNKS_PER_TURN = 16
"""Chunks moved before the event loop gets a turn: about 1 MiB, well under 1 ms."""

_FIRST_FREE = 3
"""The lowest number that no child uses for its standard streams."""


def require_posix() -> None:
    """Raise NotImplementedError, in words, on systems without POSIX pipes."""
    if sys.platform == "win32":
        raise NotImplementedError("cuprum runs commands on POSIX systems only")


_open: set[Descriptor] = set()
"""For the child after `os.fork`, which is none of ours and must hold none."""


def _close_in_child() -> None:
    for descriptor in list(_open):
        descriptor.close_in_child()


if sys.platform != "win32":
    # A copy of a write end in somebody's child would keep its reader waiting for
    # an end of file. `subprocess` does not come by here: its children close all.
    os.register_at_fork(after_in_child=_close_in_child)


class Descriptor:
    """A file descriptor and the only object that may close it.

    An event loop watches it through this object as well, so that it does not go on
    when the number is closed, and soon somebody else's. Some loops abort at that.
    """

    __slots__ = ("_fd", "_loop")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop: asyncio.AbstractEventLoop | None = None
        _open.add(self)

    def fileno(self) -> int:
        """Return the number; ValueError once closed, as files do."""
        if self._fd < 0:
            raise ValueError("descriptor is closed")
        return self._fd

    def close(self) -> None:
        """Close it; further calls do nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _open.discard(self)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(fd)
                self._loop.remove_writer(fd)
            os.close(fd)

    def close_in_child(self) -> None:
        """Close it after a fork, and no more: the parent goes on with all the rest."""
        self._loop = None
        Descriptor.close(self)

    def add_reader(self, callback: Callable[..., object], *args: object) -> None:
        """Call back, on the running loop, whenever a read would not block."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.fileno(), callback, *args)

    def remove_reader(self) -> None:
        """Have that stopped, unless it is closed and has stopped by that."""
        if self._fd >= 0 and self._loop is not None:
            self._loop.remove_reader(self._fd)

    def add_writer(self, callback: Callable[..., object], *args: object) -> None:
        """Call back, on the running loop, whenever a write would not block."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_writer(self.fileno(), callback, *args)

    def remove_writer(self) -> None:
        """See `remove_reader`."""
        if self._fd >= 0 and self._loop is not None:
            self._loop.remove_writer(self._fd)


class Pipe(NamedTuple):
    """The two ends of a pipe."""

    reader: Descriptor
    writer: Descriptor

    def close(self) -> None:
        """Close both."""
        self.reader.close()
        self.writer.close()


def make_pipe(owner: ExitStack) -> Pipe:
    """Open a close-on-exec pipe whose ends ``owner`` closes at the latest.

    Neither end gets a number below 3, even where the caller runs with its standard
    streams closed: a child's standard streams would overwrite it.
    """
    return _own(*os.pipe(), owner)


def make_channel(owner: ExitStack) -> Pipe:
    """Open two connected sockets as `make_pipe` does a pipe; either end can both."""
    ours, theirs = socket.socketpair()
    return _own(ours.detach(), theirs.detach(), owner)


def _own(reader: int, writer: int, owner: ExitStack) -> Pipe:
    pipe = Pipe(Descriptor(reader), Descriptor(writer))
    owner.callback(pipe.close)
    if reader >= _FIRST_FREE and writer >= _FIRST_FREE:
        return pipe
    return Pipe(above_stdio(pipe.reader, owner), above_stdio(pipe.writer, owner))


def above_stdio(descriptor: Descriptor, owner: ExitStack) -> Descriptor:
    """Return ``descriptor``, or in its place one with a number of 3 or more."""
    if descriptor.fileno() >= _FIRST_FREE:
        return descriptor
    moved = duplicate(descriptor.fileno(), owner)
    descriptor.close()
    return moved


def duplicate(
    fd: int, owner: ExitStack, kind: type[Descriptor] = Descriptor
) -> Descriptor:
    """Duplicate ``fd``, close-on-exec, to a number above the standard streams.

    Raises:
        OSError: ``EBADF``, ``fd`` is not open.
    """
    copy = kind(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
    owner.callback(copy.close)
    return copy


def unread(fd: int) -> int | None:
    """Return how many bytes lie in the pipe ``fd``; None if nobody can add to them."""
    poll = select.poll()
    poll.register(fd, 0)
    if any(events & select.POLLHUP for _, events in poll.poll(0)):
        return None
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


async def readable(
    source: Descriptor, ready: asyncio.Future[None] | None = None
) -> None:
    """Wait until a read would not block, or somebody resolves ``ready``."""
    ready = ready or asyncio.get_running_loop().create_future()
    source.add_reader(wake, ready)
    try:
        await ready
    finally:
        source.remove_reader()


async def writable(sink: Descriptor, ready: asyncio.Future[None] | None = None) -> None:
    """Wait until a write would not block, or the reader has gone.

    Or until somebody resolves ``ready``.
    """
    ready = ready or asyncio.get_running_loop().create_future()
    sink.add_writer(wake, ready)
    try:
        await ready
    finally:
        sink.remove_writer()


def wake(waiter: asyncio.Future[None]) -> None:
    """Resolve ``waiter`` unless that has happened, or it was cancelled."""
    # No look before: a signal handler may cancel it between the two.
    with suppress(asyncio.InvalidStateError):
        waiter.set_result(None)


@contextmanager
def reader_watch(
    sink: Descriptor, on_gone: Callable[[], None]
) -> Generator[None, None, None]:
    """Call back, once at most, when nobody reads the pipe behind ``sink`` any more.

    epoll(7) and poll(2) report an error condition on a pipe's write end as soon as
    nobody can read it, and a write end is never readable otherwise. (On systems other
    than Linux the next write tells.)
    """
    if sys.platform != "linux":
        yield
        return

    def notice() -> None:
        sink.remove_reader()
        on_gone()

    sink.add_reader(notice)
    try:
        yield
    finally:
        sink.remove_reader()


async def read_chunk(source: Descriptor, size: int = CHUNK_SIZE) -> bytes:
    """Read up to ``size`` bytes of a non-blocking descriptor; empty at its end."""
    while True:
        try:
            return os.read(source.fileno(), size)
        except BlockingIOError:
            await readable(source)
