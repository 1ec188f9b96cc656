"""Be the client of a pump that serves jobs (helper.md, section 2)."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import SimpleNamespace, TracebackType

import records
from harness import PROGRAM, expect, reaped, spawn, wait

CONTROL = 3  # the socket's number in the server


def pipe() -> tuple[int, int]:
    """Reader and writer."""
    return os.pipe()


def filled(data: bytes) -> int:
    """The reading end of a pipe that holds just these bytes."""
    reader, writer = os.pipe()
    if len(data) > 65536:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, len(data))
    os.write(writer, data)
    os.close(writer)
    return reader


def stored(data: bytes) -> int:
    """A regular file with these bytes, at its beginning."""
    fd = os.memfd_create("stored")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def null() -> int:
    return os.open(os.devnull, os.O_RDWR)


def take(fd: int, limit: float = 5.0) -> bytes:
    """Everything up to the end, which must come in time; closes it."""
    deadline = time.monotonic() + limit
    data = b""
    try:
        while True:
            left = deadline - time.monotonic()
            expect(select.select([fd], [], [], max(0.0, left))[0], "no end of file")
            chunk = os.read(fd, 1 << 20)
            if not chunk:
                return data
            data += chunk
    finally:
        os.close(fd)


def at_end(fd: int) -> bool:
    """Whether end of file is there to be read, now."""
    return bool(select.select([fd], [], [], 0)[0]) and os.read(fd, 1) == b""


def payload(*options: str) -> bytes:
    return "".join(f"{option}\0" for option in options).encode() or b"\0"


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        expect(time.monotonic() < deadline, f"not in time: {what}")
        time.sleep(0.002)


class Job:
    """What a job says of itself."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.text = b""

    def read(self, limit: float = 5.0) -> bool:
        """More of its records; False at the end of file."""
        ready = select.select([self.status], [], [], limit)[0]
        expect(ready, f"no more records after {self.text!r}")
        chunk = os.read(self.status, 1 << 16)
        self.text += chunk
        return chunk != b""

    def wait_for(self, event: str) -> Job:
        while f'"event":"{event}"' not in self.text.decode():
            expect(self.read(), f"no {event} record: {self.text!r}")
        return self

    def finish(self) -> Job:
        """All its records, up to the end of file; they must be well-formed."""
        while self.read():
            pass
        os.close(self.status)
        if self.records and not self.is_refusal:
            records.check_stream(self.records)
        return self

    @property
    def records(self) -> list[SimpleNamespace]:
        return records.parse(self.text)

    @property
    def is_refusal(self) -> bool:
        found = self.records
        return len(found) == 1 and found[0].event == "end" and found[0].errno != 0

    @property
    def end(self) -> SimpleNamespace:
        expect(self.records, "no records")
        expect(self.records[-1].event == "end", f"no end record: {self.text!r}")
        return self.records[-1]

    @property
    def hops(self) -> list[SimpleNamespace]:
        found = (r for r in self.records if r.event == "hop")
        return sorted(found, key=lambda record: record.hop)


class Server:
    """A pump that serves jobs; must have been stopped when the block ends.

    `passing`: a socket option to set on its end, such as SO_PASSCRED.
    """

    def __init__(
        self,
        *options: str,
        environment: dict[str, str] | None = None,
        passing: int | None = None,
        program: str = PROGRAM,
    ) -> None:
        self.options = options
        self.environment = environment
        self.passing = passing
        self.program = program
        self.errors = ""

    def __enter__(self) -> Server:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if self.passing is not None:
            theirs.setsockopt(socket.SOL_SOCKET, self.passing, 1)
        self.stderr, stderr_end = os.pipe()
        fd = null()
        self.pid = spawn(
            ["-c", str(CONTROL), *self.options],
            {0: fd, 1: fd, 2: stderr_end, CONTROL: theirs.fileno()},
            program=self.program,
            environment=self.environment,
        )
        self.stack = ExitStack()
        self.ended = self.stack.enter_context(reaped(self.pid))
        for number in (fd, stderr_end):
            os.close(number)
        theirs.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running = self.is_running()
        self.stack.close()
        self.socket.close()
        errors = take(self.stderr).decode()
        if error is None:
            expect(not running, f"the test left the server running: {errors}")
        else:
            error.add_note(f"standard error: {self.errors}{errors}")

    def is_running(self) -> bool:
        return wait(self.ended, 0) is None

    # --- jobs -----------------------------------------------------------

    def send(self, data: bytes, descriptors: Sequence[int]) -> None:
        """A datagram; the descriptors are the server's from here on."""
        try:
            socket.send_fds(self.socket, [data], list(descriptors))
        finally:
            for fd in set(descriptors):
                os.close(fd)

    def begin(
        self, *options: str, hops: Sequence[int], data: bytes | None = None
    ) -> Job:
        """Send a job with in0, out0, in1, ...; do not wait for anything."""
        reader, writer = os.pipe()
        job = Job(reader)
        self.send(payload(*options) if data is None else data, [writer, *hops])
        return job

    def run(self, *options: str, hops: Sequence[int], data: bytes | None = None) -> Job:
        return self.begin(*options, hops=hops, data=data).finish()

    def refuses(
        self,
        error: str | None,
        culprit: str,
        *options: str,
        hops: Sequence[int] | None = None,
        data: bytes | None = None,
    ) -> None:
        """The job is refused with this error; nothing of it stays, nothing moves."""
        before = self.descriptors_when_idle()
        unread = filled(b"unread")
        kept = os.dup(unread)
        reader, writer = os.pipe()
        job = self.run(
            *options, hops=[unread, writer] if hops is None else hops, data=data
        )
        if hops is not None:
            os.close(writer)
            os.close(unread)
        expect(take(reader) == b"", "a refused job has moved bytes")
        expect(take(kept) == b"unread", "a refused job has taken bytes")
        if error is None:
            expect(job.text == b"", f"records from nowhere: {job.text!r}")
        else:
            expect(job.is_refusal, f"not refused: {job.text!r}")
            expect(job.end.error == error, f"{job.end.error} instead of {error}")
        self.says(culprit)
        expect(self.is_running(), "the server has ended")
        eventually(
            lambda: self.descriptors() == before,
            f"{self.descriptors()} descriptors as before, {before}",
        )

    def works(self) -> None:
        """An ordinary job is served."""
        reader, writer = os.pipe()
        job = self.run(hops=[filled(b"works"), writer])
        expect(job.end.errno == 0, f"no longer serves: {job.text!r}")
        expect(take(reader) == b"works", "no longer moves bytes")

    # --- the process ----------------------------------------------------

    def descriptors_when_idle(self) -> int:
        self.works()  # until then it may still be starting
        return self.descriptors()

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def is_idle(self) -> bool:
        """Asleep, as it is between jobs."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    def says(self, *words: str) -> None:
        """One more line on standard error, with these words in it."""
        ready = select.select([self.stderr], [], [], 5)[0]
        expect(ready, f"nothing on standard error, expected {words}")
        line = os.read(self.stderr, 4096).decode()
        self.errors += line
        expect(line.startswith("cuprum-pump: ") and line.count("\n") == 1, repr(line))
        for word in words:
            expect(word in line, f"{word!r} is not in {line!r}")

    def stop(self) -> None:
        """Close the socket; it must exit with 0."""
        self.socket.close()
        self.exits(0)

    def exits(self, status: int, limit: float = 5.0) -> None:
        seen = wait(self.ended, limit)
        expect(seen == status, f"exit status {seen}, expected {status}")
