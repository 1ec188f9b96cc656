"""One child process: started, watched until it exits, ended if need be."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack

__all__ = ["LOST_STATUS", "Process", "unreaped"]

_logger = logging.getLogger(__name__)

LOST_STATUS = 255
"""Reported where somebody else reaped our child; never mistaken for success."""

unreaped: set[subprocess.Popen[bytes]] = set()
"""Kept until they are reaped. A run that has lost its event loop is garbage, whose
parts are collected in any order, and `subprocess.Popen` complains if it comes first."""

if sys.platform != "win32":
    os.register_at_fork(after_in_child=unreaped.clear)


class Process:
    """A running `subprocess.Popen`, taken over to be watched and reaped.

    The exit is watched by a pidfd on the event loop, so there is no thread per
    child, no child watcher and no reused process number (pidfd_open(2)); where the
    system has none, by a thread. Make it on the running loop's thread.

    Args:
        popen: the process; nobody else may wait for it.
        owner: kills and reaps the process at the latest when it closes.

    Attributes:
        exited: done when the process has exited; not to be awaited without a shield.
        is_ours: whether we may signal it, as far as we have tried; what sudo starts
            is root's. Only then it can live on after ``owner`` has closed.
        pid: process number.
        returncode: exit status, or minus a signal's number; None while it runs.
        on_exit: called on the event loop when the process has exited.
    """

    def __init__(self, popen: subprocess.Popen[bytes], owner: ExitStack) -> None:
        owner.callback(self._close)
        unreaped.add(popen)
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = None
        self._thread: threading.Thread | None = None
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.is_ours = True
        self.pid = popen.pid
        self.returncode: int | None = None
        self.on_exit: Callable[[], None] | None = None

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        owner: ExitStack,
        *,
        stdin: int | None,
        stdout: int,
        stderr: int,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Process:
        """Start ``argv``; a bare name is searched on the child's own ``PATH``.

        Args:
            argv: program and arguments.
            owner: see the class.
            stdin: descriptor, `subprocess.DEVNULL`, or None to inherit.
            stdout: descriptor or `subprocess.DEVNULL`.
            stderr: likewise.
            env: the whole environment; None inherits.
            cwd: working directory; None inherits.

        Raises:
            OSError: the program cannot be started.
        """
        popen = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd
        )
        return cls(popen, owner)

    async def wait(self) -> int:
        """Wait for the exit and return the status."""
        self.watch()
        if not self.exited.done():
            await asyncio.wait((self.exited,))
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """Send SIGKILL unless the process has exited."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal unless the process has exited, or is not ours."""
        # Until it is reaped, and only _settle says so, the number is the child's.
        # (The watching thread reaps a moment before that.)
        if self.returncode is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass
            except PermissionError:
                self.is_ours = False

    def watch(self) -> None:
        """Begin to watch for the exit, which `wait` does as well."""
        if self._pidfd is not None or self._thread is not None or self.exited.done():
            return
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            thread = threading.Thread(
                target=self._wait_in_thread, name=f"cuprum-wait-{self.pid}", daemon=True
            )
            thread.start()
            self._thread = thread  # one that could not start is not joined
        else:
            self._loop.add_reader(self._pidfd, self._reap, os.WNOHANG)

    def _wait_in_thread(self) -> None:
        self._popen.returncode = _wait_status(self.pid, 0)
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle)

    def _reap(self, flags: int) -> None:
        self._popen.returncode = _wait_status(self.pid, flags)
        if self._popen.returncode is not None:
            self._settle()

    def _settle(self) -> None:
        self.returncode = self._popen.returncode
        unreaped.discard(self._popen)
        self._unwatch()
        if not self._loop.is_closed():
            self.exited.set_result(None)
            if self.on_exit is not None:
                self.on_exit()

    def _unwatch(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _close(self) -> None:
        if self.returncode is not None:
            return
        self.kill()
        if not self.is_ours:
            unreaped.discard(self._popen)  # for `subprocess` to reap, some time
            self._unwatch()
        elif self._thread is not None:
            self._thread.join()
            self._settle()
        else:
            self._reap(0)


def _wait_status(pid: int, flags: int) -> int | None:
    """Reap ``pid``; None if ``flags`` say not to wait and it still runs.

    Not `subprocess.Popen.poll`, which takes a status that somebody else reaped (or
    that the kernel dropped, where SIGCHLD is ignored) for success.
    """
    try:
        reaped, status = os.waitpid(pid, flags)
    except ChildProcessError:
        _logger.warning("exit status of process %d was lost", pid)
        return LOST_STATUS
    return os.waitstatus_to_exitcode(status) if reaped else None
