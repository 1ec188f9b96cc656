"""What a run has brought about beside its stages: found, signalled, watched.

The stages share the caller's process group, or programs that ask on the terminal
could not. So their descendants are looked up in /proc, each time anew, and held by
pidfds, so that no signal ever goes to a process that was given a used number.

A relative of the run is a process that started after it and

- descends from a stage, or from a relative that is known already; or
- holds one of the run's own pipes open, or descends from one that does: its
  parent has exited, and whoever adopted it says nothing about where it came from.

Not found is an orphan that has redirected all it was given, as daemons do, unless
it was found while its parent ran. Left alone are processes of other users (what
sudo starts); the pumps, which the caller names; and whatever holds a pipe but has
not come from a stage. That is a process older than the run, which was handed the
pipe (as ssh's connection master is), and a copy of the calling process: a fork,
made while the pipe was open, that has not executed a program. It looks like us in
memory; whatever did execute one has lost our pipes with that, stages excepted.
Whose child it is does not tell: orphans are ours where we are the first process of
a container.

A look holds up the event loop, by some 13 microseconds for each process of the
system and 20 more for each that is younger than the run: 1.4 ms with 130 processes,
15 with 1000 older ones besides, 39 with 1000 younger ones (the least of 40 looks;
two cores, Linux 6.18). It is taken when something has to be ended, not otherwise.

Linux only: elsewhere, and where /proc or pidfds are not to be had, nothing is found.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from cuprum._descriptors import Descriptor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import ExitStack

__all__ = ["Tree"]

_PROC = b"/proc"

_JOIN_SECONDS = 0.5
"""The longest that a killed process is waited for: the kernel may be busy with it."""

_LOOKS = 300
"""At a process that is just executing a program, at most: some 10 ms."""


class Tree:
    """The processes that a run has brought about beside its stages.

    Make it on the running loop's thread, before the first stage starts. To end a
    run: `find` relatives, signal the stages, `signal` the relatives, `wait` as long
    as the grace lasts; then SIGKILL in the same order, and again until `signal`
    finds nobody, for there may be some that were forked meanwhile.

    ``find`` before, because an exited stage leads to nobody any more. The stages
    first, because a shell whose child dies goes on to its next command.

    Args:
        owner: closes all pidfds at the latest.
    """

    def __init__(self, owner: ExitStack) -> None:
        owner.callback(self._close)
        self._loop = asyncio.get_running_loop()
        self._since = _now()
        self._known: dict[_Identity, Descriptor] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def find(
        self,
        *,
        roots: Collection[int],
        pipes: Collection[int],
        spare: Collection[int] = (),
    ) -> None:
        """Look for relatives, and keep those that are new.

        Args:
            roots: process numbers of stages that have not been reaped.
            pipes: inode numbers of the run's pipes; without any, descriptors are
                not looked at.
            spare: process numbers that are not to be found: the pumps'.
        """
        if not (roots or pipes or self._known):
            return
        ourselves = _read_stat(b"self")
        if ourselves is None or ourselves.pid != os.getpid():
            return  # no /proc, or one whose numbers mean others than ours
        related = {*roots, *(pid for _, pid in self._alive())}
        left_alone = {ourselves.pid, *spare}
        links = {b"pipe:[%d]" % inode for inode in pipes}
        # The eldest first, so that parents come before their children.
        for process in sorted(_processes(since=self._since)):
            if process.pid in left_alone:
                continue
            if process.parent in related or (
                links and _has_come_by(process, links, ourselves)
            ):
                related.add(process.pid)
                if process.pid not in roots:
                    self._keep(process)

    def signal(
        self,
        number: signal.Signals,
        *,
        roots: Collection[int],
        pipes: Collection[int],
        spare: Collection[int] = (),
    ) -> int:
        """Look for relatives, then send ``number`` to all that are alive.

        Args:
            number: which signal.
            roots: see `find`.
            pipes: likewise.
            spare: likewise.

        Returns:
            How many were alive and have got it.
        """
        self.find(roots=roots, pipes=pipes, spare=spare)
        for identity in sorted(self._known):  # parents first, as above
            if not _send(self._known[identity].fileno(), number):
                self._forget(identity)
        return len(self._known)

    def is_gone(self) -> bool:
        """Tell whether every known relative has exited."""
        return not self._alive()

    async def wait(self) -> None:
        """Wait until every known relative has exited, later ones included."""
        while self._known:
            await self._empty.wait()

    def join(self) -> None:
        """Do as `wait` does, without the event loop, of which it holds up the thread.

        Those who do not go, as they may if they were not killed, are given up soon.
        """
        for pidfd in self._known.values():
            _has_exited(pidfd.fileno(), within=_JOIN_SECONDS)

    def _alive(self) -> list[_Identity]:
        return [
            identity
            for identity, pidfd in self._known.items()
            if not _has_exited(pidfd.fileno())
        ]

    def _keep(self, process: _Stat) -> None:
        if process.identity in self._known:
            return
        pidfd = _open(process)
        if pidfd is not None:
            self._known[process.identity] = pidfd
            self._empty.clear()
            if not self._loop.is_closed():
                self._loop.add_reader(pidfd.fileno(), self._forget, process.identity)

    def _forget(self, identity: _Identity) -> None:
        pidfd = self._known.pop(identity)
        self._loop.remove_reader(pidfd.fileno())
        pidfd.close()
        if not self._known:
            self._empty.set()

    def _close(self) -> None:
        for identity in list(self._known):
            self._forget(identity)


class _Identity(NamedTuple):
    """What no two processes share; in the order of age."""

    started: int
    pid: int


class _Stat(NamedTuple):
    """What /proc/PID/stat says (proc_pid_stat(5)); ``started`` in clock ticks."""

    started: int
    pid: int
    parent: int
    layout: tuple[bytes, bytes, bytes]
    """Where its code begins and ends, and where its stack begins.

    Every program that is executed gets another stack. It is 0 for a process that we
    may not look into; and for one that is just executing a program, until the
    descriptors are closed that it must not inherit.
    """

    @property
    def identity(self) -> _Identity:
        return _Identity(self.started, self.pid)


def _now() -> int:
    """Return what the start time of a process would be that started now."""
    if sys.platform != "linux":
        return 0
    ticks = os.sysconf("SC_CLK_TCK")
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * ticks // 10**9


def _processes(*, since: int) -> Iterator[_Stat]:
    with suppress(OSError):
        for name in os.listdir(_PROC):
            stat = _read_stat(name) if name.isdigit() else None
            if stat is not None and stat.started >= since:
                yield stat


def _read_stat(name: bytes) -> _Stat | None:
    """Return the status of a process; None if it is gone, or hidden from us."""
    try:
        fd = os.open(b"%b/%b/stat" % (_PROC, name), os.O_RDONLY)
        try:
            line = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return None
    # The name in parentheses may have spaces and parentheses of its own.
    before, _, after = line.rpartition(b") ")
    fields = after.split()
    return _Stat(
        started=int(fields[19]),
        pid=int(before.partition(b" ")[0]),
        parent=int(fields[1]),
        layout=(fields[23], fields[24], fields[25]),
    )


def _has_come_by(process: _Stat, links: Collection[bytes], ourselves: _Stat) -> bool:
    """Tell whether a process has one of ``links`` open, and not as a copy of us."""
    stat: _Stat | None = process
    for _ in range(_LOOKS):
        if stat is None or stat.layout == ourselves.layout:
            return False
        if not _holds(stat.pid, links):
            return False
        if stat.layout[-1] != b"0":
            return True
        os.sched_yield()  # it is just executing a program: microseconds
        stat = _read_stat(b"%d" % process.pid)
    return False


def _holds(pid: int, links: Collection[bytes]) -> bool:
    """Tell whether a process has one of ``links`` open, as far as we may know."""
    directory = b"%b/%d/fd" % (_PROC, pid)
    with suppress(OSError):
        for name in os.listdir(directory):
            with suppress(OSError):  # just closed
                if os.readlink(directory + b"/" + name) in links:
                    return True
    return False


def _open(process: _Stat) -> Descriptor | None:
    """Return a pidfd of ``process``; None if it is gone, or there are no pidfds."""
    try:
        pidfd = Descriptor(os.pidfd_open(process.pid))
    except (AttributeError, OSError):
        return None
    # The number was this process's before and is after: it was all the while.
    stat = _read_stat(b"%d" % process.pid)
    if stat is not None and stat.identity == process.identity:
        return pidfd
    pidfd.close()
    return None


def _has_exited(pidfd: int, *, within: float = 0) -> bool:
    """Tell whether all of a process has, or does in time, reaped or not."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def _send(pidfd: int, number: signal.Signals) -> bool:
    """Tell whether the process is alive and ours to signal, and has been sent it."""
    if _has_exited(pidfd):
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except OSError:  # gone; or another user's
        return False
    return True
