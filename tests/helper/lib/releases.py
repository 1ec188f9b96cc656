"""Talk to a pump over its status descriptor, a socket: hops are released by it."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence

import harness
from harness import PROGRAM, expect, reaped, spawn, wait
from jobs import Job, Server, eventually, payload, pipe

STATUS = 3  # its number in a pump of our own


def sockets() -> tuple[int, int]:
    """Reader and writer, like `pipe`."""
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def wide_pipe() -> tuple[int, int]:
    """Reader and writer of one that holds a mebibyte."""
    reader, writer = pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    return reader, writer


def unread(fd: int) -> int:
    """How many bytes lie in the pipe or socket, seen from either end of a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def fill(fd: int) -> bytes:
    """Write until there is no room; what that was."""
    os.set_blocking(fd, False)
    data = harness.sample(1 << 22)
    total = 0
    try:
        while True:
            total += os.write(fd, data[total : total + (1 << 16)])
    except BlockingIOError:
        return data[:total]


class Talk(Job):
    """A pump with `count` hops, each end of them in our hands.

    `feeds` go into the hops, `ends` come out of them, `copies` out of their taps.
    With a `server` it is a job of that one.
    """

    def __init__(
        self,
        *options: str,
        count: int = 1,
        tapped: bool = False,
        make: Callable[[], tuple[int, int]] = pipe,
        server: Server | None = None,
        program: str = PROGRAM,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        status, ours = sockets()
        super().__init__(ours)
        given = [status]
        self.feeds: list[int] = []
        self.ends: list[int] = []
        self.copies: list[int] = []
        for _ in range(count):
            source, feed = make()
            end, sink = pipe()
            given += [source, sink]
            self.feeds.append(feed)
            self.ends.append(end)
        words = ["--release", *options]
        for hop in range(count if tapped else 0):
            words.append(f"--tap={hop}")
            copy, tap = pipe()
            given.append(tap)
            self.copies.append(copy)
        if server is not None:
            self.pid = server.pid
            server.send(payload(*words), given)
        else:
            theirs = dict(enumerate(given, STATUS))
            operands = [str(number) for number in theirs if number != STATUS]
            words += ["-s", str(STATUS), *operands]
            self.pid = spawn(words, theirs, program=program, environment=environment)
            for fd in given:
                os.close(fd)
        self.wait_for("start")

    def read(self, limit: float = 5.0) -> bool:
        """More of its records; False at the end, also if it has left us unheard."""
        try:
            return super().read(limit)
        except ConnectionResetError:
            return False

    def ask(self, text: str) -> None:
        """Say it, and wait until it was heard."""
        os.write(self.status, text.encode())
        left = array.array("i", [0])

        def is_heard() -> bool:
            # Of a socket, what the other end has not read yet.
            fcntl.ioctl(self.status, termios.TIOCOUTQ, left)
            return left[0] == 0

        eventually(is_heard, f"{text!r} read")

    def passes(self, data: bytes, hop: int = 0) -> None:
        """The hop goes on."""
        os.write(self.feeds[hop], data)
        got = os.read(self.ends[hop], len(data))
        expect(got == data, f"{got!r} instead of {data!r} through hop {hop}")


def talks(
    *options: str,
    engines: Sequence[str] = tuple(harness.engines()),
    count: int = 1,
    tapped: bool = False,
    make: Callable[[], tuple[int, int]] = pipe,
) -> Iterator[Talk]:
    """One for each engine, alone and as a job; they have to end well."""
    for engine in engines:
        words = ("-e", engine, *options)
        talk = Talk(*words, count=count, tapped=tapped, make=make)
        with reaped(talk.pid) as ended:
            yield talk
            expect(wait(ended) == 0, talk.text)
        with Server() as server:
            yield Talk(*words, count=count, tapped=tapped, make=make, server=server)
            server.works()
            server.stop()
