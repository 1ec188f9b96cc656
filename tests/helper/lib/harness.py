"""Run a pump between pipes: feed it, read what comes out, keep its records.

Tests import this: `Pump` for the hops of a command line, `spawn` for the rest.
A child has the descriptors that it was given, under the numbers that the test
chose, and no other.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import records

PROGRAM = os.environ["PUMP"]
FIRST = 3  # the number of the first hop's input in the child
CHUNK = 1 << 16


def expect(condition: object, complaint: object) -> None:
    """Fail with what was seen, which `assert` would not show."""
    if not condition:
        raise AssertionError(complaint)


@cache
def sample(size: int, number: int = 0) -> bytes:
    """Bytes that no misplaced or repeated block would leave unchanged."""
    return random.Random(f"{size}.{number}").randbytes(size)


def engines() -> list[str]:
    """What this build can be told to use."""
    with os.popen(f"'{PROGRAM}' --version") as version:
        return ["copy", "splice"] if "+splice" in version.read() else ["copy"]


def spawn(
    arguments: Sequence[str],
    descriptors: Mapping[int, int],
    *,
    program: str = PROGRAM,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a program with {its number: our descriptor}; the process id."""
    # Out of the way of each other: a number may be another's descriptor.
    base = max(descriptors) + 1
    high = {
        number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, base)
        for number, fd in descriptors.items()
    }
    try:
        return os.posix_spawnp(
            program,
            [program, *arguments],
            {**os.environ, **(environment or {})},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in high.items()],
            # Python ignores these two, and a child would inherit that.
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    finally:
        for fd in high.values():
            os.close(fd)


@contextmanager
def reaped(pid: int) -> Iterator[int]:
    """See that the process is gone in the end; a descriptor for its end."""
    ended = os.pidfd_open(pid)
    try:
        yield ended
    finally:
        # Without a result it is still ours: not waited for, so not another's.
        if os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            signal.pidfd_send_signal(ended, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ended)


def wait(ended: int, limit: float = 5.0) -> int | None:
    """Exit status of a process, negative for a signal; None: it still runs."""
    if not select.select([ended], [], [], limit)[0]:
        return None
    result = os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOWAIT)
    assert result is not None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; exact, unlike VmRSS (proc(5))."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        for line in lines:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no Rss in smaps_rollup")


@dataclass
class Outcome:
    """What a pump left behind."""

    status: int | None  # negative: a signal; None: killed after the limit
    sinks: list[bytes]
    taps: list[bytes]
    text: bytes  # of the records, as they came
    errors: str  # standard error

    @property
    def records(self) -> list[SimpleNamespace]:
        return records.parse(self.text)

    @property
    def hops(self) -> list[SimpleNamespace]:
        found = (r for r in self.records if r.event == "hop")
        return sorted(found, key=lambda record: record.hop)

    @property
    def tap_records(self) -> list[SimpleNamespace]:
        found = (r for r in self.records if r.event == "tap")
        return sorted(found, key=lambda record: record.hop)

    @property
    def end(self) -> SimpleNamespace | None:
        found = self.records
        return found[-1] if found and found[-1].event == "end" else None

    def check_complete(self, *, sided: bool = True) -> None:
        """Records from start to end, and each hop's count is its sink's size."""
        found = self.records
        records.check_stream(found, sided=sided)
        expect(found[-1].event == "end", "no end record")
        sizes = [len(sink) for sink in self.sinks]
        written = [hop.written for hop in self.hops]
        expect(written == sizes, f"written {written}, at the sinks {sizes}")
        sizes = [len(tap) for tap in self.taps]
        written = [tap.written for tap in self.tap_records]
        expect(written == sizes, f"written {written}, at the taps {sizes}")

    def check_prefix(self, sources: Sequence[bytes]) -> None:
        for number, (sink, source) in enumerate(zip(self.sinks, sources, strict=True)):
            expect(source.startswith(sink), f"hop {number}: not what was sent")
        for number, tap in enumerate(self.taps):
            copied = sources[number].startswith(tap)
            expect(copied, f"tap {number}: not what was sent")

    def __str__(self) -> str:
        sizes = [len(sink) for sink in self.sinks]
        taps = [len(tap) for tap in self.taps]
        return (
            f"status {self.status}, at the sinks {sizes}, taps {taps}, standard error "
            f"{self.errors!r}, records:\n{self.text.decode(errors='replace')}"
        )


@dataclass
class Pump:
    """A pump with `count` hops between pipes, each end of them in our hands.

    `tapped`: with a pipe as tap for each.
    """

    options: Sequence[str] = ()
    count: int = 1
    program: str = PROGRAM
    environment: Mapping[str, str] | None = None
    # Given the pump's data descriptors: what to run it under.
    wrapper: Callable[[Sequence[int]], Sequence[str]] = lambda _: ()
    tapped: bool = False
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    taps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        status = FIRST + 2 * self.count
        null = os.open(os.devnull, os.O_RDWR)
        self.status, status_end = os.pipe()
        self.stderr, stderr_end = os.pipe()
        theirs = {0: null, 1: null, 2: stderr_end, status: status_end}
        for hop in range(self.count):
            number = FIRST + 2 * hop
            theirs[number], ours = os.pipe()
            self.inputs.append(ours)
            ours, theirs[number + 1] = os.pipe()
            self.outputs.append(ours)
        operands = [str(FIRST + i) for i in range(2 * self.count)]
        options = list(self.options)
        for hop in range(self.count if self.tapped else 0):
            number = status + 1 + hop
            ours, theirs[number] = os.pipe()
            self.taps.append(ours)
            operands.append(str(number))
            options.append(f"--tap={hop}")
        data = [theirs[FIRST + i] for i in range(2 * self.count)]
        command = [*self.wrapper(data), self.program, *options]
        self.pid = spawn(
            [*command[1:], "-s", str(status), *operands],
            theirs,
            program=command[0],
            environment=self.environment,
        )
        for fd in set(theirs.values()):
            os.close(fd)

    def send(self, number: int) -> None:
        """Send it a signal; it may have ended, but is not reaped yet."""
        os.kill(self.pid, number)

    def run(
        self,
        sources: Sequence[bytes],
        *,
        limit: float = 2.0,
        slow: bool = False,
        meanwhile: Callable[[float], None] = lambda _: None,
    ) -> Outcome:
        """Feed the hops and empty their outputs until the pump has ended.

        `slow`: outputs are read in small pieces with pauses. `meanwhile` is
        called again and again with the seconds since the start.
        """
        with reaped(self.pid) as ended:
            return _Exchange(self, sources, slow, ended).run(limit, meanwhile)


class _Exchange:
    """All descriptors of one pump in one poll loop."""

    def __init__(
        self, pump: Pump, sources: Sequence[bytes], slow: bool, ended: int
    ) -> None:
        self.pump = pump
        self.slow = slow
        self.ended = ended
        self.left = {
            fd: memoryview(source)
            for fd, source in zip(pump.inputs, sources, strict=True)
        }
        ends = (*pump.outputs, *pump.taps, pump.status, pump.stderr)
        self.got = {fd: bytearray() for fd in ends}
        self.poll = select.poll()
        self.open = {*self.left, *self.got}
        for fd in self.open:
            os.set_blocking(fd, False)
            self.poll.register(fd, select.POLLOUT if fd in self.left else select.POLLIN)

    def close(self, fd: int) -> None:
        if fd in self.open:
            self.open.remove(fd)
            self.poll.unregister(fd)
            os.close(fd)

    def feed(self, fd: int) -> None:
        try:
            self.left[fd] = self.left[fd][os.write(fd, self.left[fd][:CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close(fd)
            return
        if not self.left[fd]:
            self.close(fd)

    def read(self, fd: int) -> None:
        size = CHUNK // 4 if self.slow and fd in self.pump.outputs else CHUNK
        try:
            chunk = os.read(fd, size)
        except BlockingIOError:
            return
        self.got[fd] += chunk
        if not chunk:
            self.close(fd)

    def turn(self) -> None:
        for fd, _ in self.poll.poll(5):
            if fd in self.left:
                self.feed(fd)
            else:
                self.read(fd)
        if self.slow:
            time.sleep(0.001)

    def run(self, limit: float, meanwhile: Callable[[float], None]) -> Outcome:
        began = time.monotonic()
        # Its own ends are closed when it has ended: then all readers see it.
        while not self.open.isdisjoint(self.got):
            passed = time.monotonic() - began
            if passed > limit:
                break
            meanwhile(passed)
            self.turn()
        status = wait(self.ended, max(0.0, began + limit - time.monotonic()))
        for fd in list(self.open):
            self.close(fd)
        return Outcome(
            status,
            [bytes(self.got[fd]) for fd in self.pump.outputs],
            [bytes(self.got[fd]) for fd in self.pump.taps],
            bytes(self.got[self.pump.status]),
            self.got[self.pump.stderr].decode(errors="replace"),
        )


def _give_up(number: int, _frame: object) -> None:
    sys.exit(128 + number)  # so that `reaped` does its work


signal.signal(signal.SIGTERM, _give_up)
