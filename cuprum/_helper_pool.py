"""Warm helpers: started once, and lent to one pipeline after the other.

Starting a process takes half a millisecond, which a pipeline of two short commands
would feel. A helper that serves jobs is told of the next one by a message that
carries the descriptors (SCM_RIGHTS, unix(7)).
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from cuprum._descriptors import Descriptor, duplicate, make_channel
from cuprum._helper_process import HelperProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["MAX_DESCRIPTORS", "WarmJob", "close_pool", "is_enabled"]

MAX_DESCRIPTORS = 253
"""The most that one message carries (SCM_MAX_FD, unix(7)): status and 126 hops."""

_VARIABLE = "CUPRUM_PUMP_WARM"

_MAX_IDLE = 2
"""What stays warm: enough for a program that runs one pipeline after the other."""

_IDLE_SECONDS = 10.0
"""An idle helper leaves after this; it costs a megabyte, and a new one 0.5 ms."""


def is_enabled() -> bool:
    """Tell whether helpers are kept warm here.

    Not where the system lacks SOCK_SEQPACKET, nor where the user says so.
    """
    return sys.platform != "darwin" and os.environ.get(_VARIABLE) != "0"


def _origin(path: Path) -> tuple[Path, int]:
    """Return what a helper must share with those it serves: binary and user."""
    return path, os.geteuid()


class _WarmHelper(HelperProcess):
    """A helper that serves jobs, and our end of the socket by which it hears of them.

    Its working directory is the root: it must not keep another one busy.
    """

    def __init__(self, path: Path) -> None:
        self.origin = _origin(path)
        with ExitStack() as theirs, ExitStack() as ours:
            self.sock, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(self.sock.close)
            theirs.callback(far.close)
            # Where the caller has closed its standard streams, `far` may have a
            # number that in the helper is one of them.
            number = duplicate(far.fileno(), theirs).fileno()
            super().__init__(
                path,
                [f"--control-fd={number}", f"--idle-timeout={_IDLE_SECONDS}"],
                [number],
                cwd="/",
            )
            ours.pop_all()

    def close(self) -> None:
        """Close what connects us to it; if it still runs, it leaves."""
        super().close()
        self.sock.close()


class _Pool:
    """The helpers that nobody uses just now.

    Safe with threads: a helper is lent to one user at a time, and nothing of it
    belongs to an event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_WarmHelper] = []
        self._janitor: _Janitor | None = None
        self._is_shut = False

    def borrow(self, path: Path, *, fresh: bool) -> tuple[_WarmHelper, bool]:
        """Return a helper, and whether it has served before.

        Args:
            path: the binary that it has to be.
            fresh: start one in any case.

        Raises:
            OSError: it cannot be started.
        """
        origin = _origin(path)
        with self._lock:
            for helper in () if fresh else reversed(self._idle):
                if helper.origin == origin:
                    self._idle.remove(helper)
                    return helper, True
        return _WarmHelper(path), False

    def give_back(self, helper: _WarmHelper) -> None:
        """Keep ``helper`` for the next user, rather than one that has idled longer.

        Not if nobody would notice when it leaves.
        """
        with self._lock:
            surplus = [helper]
            if not self._is_shut and self._watch(helper):
                self._idle.append(helper)
                surplus = self._idle[:-_MAX_IDLE]
                del self._idle[:-_MAX_IDLE]
        for other in surplus:
            other.reap()

    def close(self) -> None:
        """End all idle helpers, and the thread that waits for them."""
        with self._lock:
            idle, self._idle = self._idle, []
            janitor, self._janitor = self._janitor, None
        for helper in idle:
            helper.reap()
        if janitor is not None:
            janitor.stop()

    def shut(self) -> None:
        """Do what `close` does, and keep no helper from now on."""
        self._is_shut = True
        self.close()

    def _watch(self, helper: _WarmHelper) -> bool:
        """Have the exit of ``helper`` noticed; return whether it will be."""
        try:
            if self._janitor is None or not self._janitor.watch(helper):
                self._janitor = _Janitor(helper, self._on_exit)
        except (AttributeError, OSError, RuntimeError):
            return False
        return True

    def _on_exit(self, helper: _WarmHelper) -> None:
        with self._lock:
            if helper not in self._idle:
                return  # whoever has it will find out
            self._idle.remove(helper)
        helper.reap()


class _Janitor:
    """A thread that notices helpers which leave by themselves.

    Without it, such a helper would stay a zombie until the next pipeline, which may
    never come. It ends when there is no helper left to wait for, or when told to;
    then another one has to be made.

    Args:
        helper: the first one to wait for.
        on_exit: called in the thread once a helper has exited.

    Raises:
        AttributeError: the system has no pidfd_open(2).
        OSError: there is no descriptor to be had.
        RuntimeError: there is no thread to be had, as at the interpreter's exit.
    """

    def __init__(
        self, helper: _WarmHelper, on_exit: Callable[[_WarmHelper], None]
    ) -> None:
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[Descriptor, _WarmHelper]] = {}
        self._is_ending = False
        self._thread = threading.Thread(
            target=self._run, name="cuprum-pump-janitor", daemon=True
        )
        self._owned = ExitStack()
        try:
            self._epoll = self._owned.enter_context(select.epoll())
            self._bell = Descriptor(os.eventfd(0))
            self._owned.callback(self._bell.close)
            self._epoll.register(self._bell.fileno(), select.EPOLLIN)
            self.watch(helper)
            self._thread.start()
        except BaseException:
            self._close()
            raise

    def watch(self, helper: _WarmHelper) -> bool:
        """Wait for ``helper``, too; return False if the thread is ending.

        Raises:
            AttributeError, OSError: see the class.
        """
        with self._lock:
            if self._is_ending:
                return False
            if all(helper is not watched for _, watched in self._watched.values()):
                pidfd = Descriptor(os.pidfd_open(helper.popen.pid))
                self._watched[pidfd.fileno()] = pidfd, helper
                self._epoll.register(pidfd.fileno(), select.EPOLLIN)
        return True

    def stop(self) -> None:
        """End the thread."""
        with self._lock:
            if not self._is_ending:
                # First: once told, which it sees without the lock, it closes it.
                os.eventfd_write(self._bell.fileno(), 1)
                self._is_ending = True
        self._thread.join()
        # Before Python 3.13 that does not mean that the system has none any more.
        while os.path.exists(f"/proc/self/task/{self._thread.native_id}"):
            time.sleep(0.0001)

    def _run(self) -> None:
        # Signals are the other threads' business: some of them may wait for one.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not self._is_ending:
            for helper in self._await_exits():
                self._on_exit(helper)
        self._close()

    def _await_exits(self) -> list[_WarmHelper]:
        numbers = [number for number, _ in self._epoll.poll()]
        with self._lock:
            exited = [self._watched.pop(n) for n in numbers if n in self._watched]
            for pidfd, _ in exited:
                pidfd.close()
            self._is_ending = self._is_ending or not self._watched
        return [helper for _, helper in exited]

    def _close(self) -> None:
        for pidfd, _ in self._watched.values():
            pidfd.close()
        self._owned.close()


_pool = _Pool()


def close_pool() -> None:
    """End all idle helpers; the next pipeline starts one anew."""
    _pool.close()


def _renew_in_child() -> None:
    global _pool
    _pool = _Pool()


if sys.platform != "win32":
    # Of a fork with threads Python rightly warns, so the janitor must not be there;
    # and it cannot come back, as some versions count the threads after the hooks.
    os.register_at_fork(before=lambda: _pool.close(), after_in_child=_renew_in_child)
atexit.register(lambda: _pool.shut())


class WarmJob:
    """A warm helper's work for one pipeline.

    If the parent is killed, the helper sees the end of its socket; and before that
    the end of the status pipe, with which the job is over.

    Args:
        path: the binary.
        options: as `job_options` gives them.
        numbers: the descriptors of the hops; they stay open here.
        owner: closes the status pipe, and ends the helper unless it was released.
        fresh: start a helper in any case.

    Raises:
        OSError: no helper can be started, or the job cannot be sent.
    """

    def __init__(
        self,
        path: Path,
        options: Sequence[str],
        numbers: Sequence[int],
        owner: ExitStack,
        *,
        fresh: bool = False,
    ) -> None:
        status = make_channel(owner)
        self.status = status.reader
        self._owner = owner
        self._helper, self.may_be_stale = _pool.borrow(path, fresh=fresh)
        self._is_lent = True
        self._last_words = ""
        self.pid = self._helper.popen.pid
        owner.callback(self._abandon)
        payload = b"".join(os.fsencode(option) + b"\0" for option in options)
        fds = [status.writer.fileno(), *numbers]
        try:
            socket.send_fds(self._helper.sock, [payload], fds)
        except (BrokenPipeError, ConnectionResetError):
            self.may_be_stale = True  # has left, and `status` will end
        status.writer.close()

    def last_words(self) -> str:
        """See `Job`."""
        return self._helper.last_words() if self._is_lent else self._last_words

    def kill(self) -> None:
        """See `Job`."""
        if self._is_lent:
            self._helper.kill()

    async def end(self) -> int:
        """See `Job`."""
        self.kill()
        return await self._helper.wait(self._owner)

    async def release(self) -> int | None:
        """See `Job`: the helper is another pipeline's from here on."""
        if self._is_lent:
            # It must not be said of the next job, nor fill the pipe in the end.
            self._last_words = self._helper.last_words()
            self._is_lent = False
            _pool.give_back(self._helper)
        return None

    def _abandon(self) -> None:
        if self._is_lent:
            self._is_lent = False
            self._helper.reap()
