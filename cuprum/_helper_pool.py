"""Warm helpers: started once, and lent to one pipeline after the other.

Starting a process takes half a millisecond, which a pipeline of two short commands
would feel. A helper that serves jobs is told of the next one by a message that
carries the descriptors (SCM_RIGHTS, unix(7)).
"""

from __future__ import annotations

import atexit
import os
import select
import socket
import sys
import threading
import weakref
from typing import TYPE_CHECKING

from cuprum._descriptors import make_pipe
from cuprum._helper_process import HelperProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
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


class _WarmHelper(HelperProcess):
    """A helper that serves jobs, and our end of the socket by which it hears of them.

    Its working directory is the root: it must not keep another one busy.
    """

    def __init__(self, path: Path) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.path = path
        self.sock = ours
        self.is_lent = True
        with theirs:
            try:
                super().__init__(
                    path,
                    [
                        f"--control-fd={theirs.fileno()}",
                        f"--idle-timeout={_IDLE_SECONDS}",
                    ],
                    [theirs.fileno()],
                    cwd="/",
                )
            except BaseException:
                ours.close()
                raise

    def has_left(self) -> bool:
        """Tell whether its end of the socket is closed: it never sends anything."""
        try:
            return self.sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

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
        self._all: weakref.WeakSet[_WarmHelper] = weakref.WeakSet()
        self._janitor = _Janitor(self._on_exit)

    def borrow(self, path: Path, *, fresh: bool) -> tuple[_WarmHelper, bool]:
        """Return a helper, and whether it has served before.

        Args:
            path: the binary that it has to be.
            fresh: start one in any case.

        Raises:
            OSError: it cannot be started.
        """
        with self._lock:
            for helper in () if fresh else reversed(self._idle):
                if helper.path == path:
                    self._idle.remove(helper)
                    helper.is_lent = True
                    return helper, True
        helper = _WarmHelper(path)
        with self._lock:
            self._all.add(helper)
        self._janitor.watch(helper)
        return helper, False

    def give_back(self, helper: _WarmHelper) -> None:
        """Keep ``helper`` for the next user, unless there are enough or it has left."""
        with self._lock:
            helper.is_lent = False
            if len(self._idle) < _MAX_IDLE and not helper.has_left():
                self._idle.append(helper)
                return
        helper.reap()

    def close(self) -> None:
        """End all idle helpers."""
        self._janitor.stop()
        with self._lock:
            idle, self._idle = self._idle, []
        for helper in idle:
            helper.reap()

    def pause(self) -> None:
        """Before a fork: be without a thread, of which Python rightly warns."""
        self._janitor.stop()

    def resume(self) -> None:
        """After it, in the parent."""
        with self._lock:
            helpers = list(self._all)
        for helper in helpers:
            if helper.popen.returncode is None:
                self._janitor.watch(helper)

    def forget(self) -> None:
        """In the child: the helpers are the parent's, and so is ending them."""
        for helper in list(self._all):
            helper.popen.returncode = 0  # no child of ours: nothing to wait for
            helper.close()

    def _on_exit(self, helper: _WarmHelper) -> None:
        with self._lock:
            if helper.is_lent:
                return  # whoever has it will find out
            if helper in self._idle:
                self._idle.remove(helper)
        helper.reap()


class _Janitor:
    """A thread that notices helpers which leave by themselves.

    Without it, such a helper would stay a zombie until the next pipeline, which may
    never come. It exists only while there are helpers, and not at all where the
    system has no pidfd_open(2). A thread that is about to end closes what it has
    watched itself, and its successor has a dictionary and a waker of its own.
    """

    def __init__(self, on_exit: Callable[[_WarmHelper], None]) -> None:
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._watched: dict[int, _WarmHelper] = {}
        self._thread: threading.Thread | None = None
        self._waker = -1

    def watch(self, helper: _WarmHelper) -> None:
        """Call back once ``helper`` has exited, unless stopped before."""
        try:
            pidfd = os.pidfd_open(helper.popen.pid)
        except (AttributeError, OSError):
            return
        with self._lock:
            self._watched[pidfd] = helper
            if self._thread is not None:
                os.eventfd_write(self._waker, 1)
                return
            self._waker = os.eventfd(0, os.EFD_CLOEXEC)
            self._thread = threading.Thread(
                target=self._run,
                args=(self._watched, self._waker),
                name="cuprum-pump-janitor",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and watch nobody any more."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                os.eventfd_write(self._waker, 1)
                self._dismiss()
        if thread is not None:
            thread.join()

    def _dismiss(self) -> None:
        """Let the next to be watched be watched by another thread."""
        self._thread, self._watched = None, {}

    def _run(self, watched: dict[int, _WarmHelper], waker: int) -> None:
        while self._await_exits(watched, waker):
            pass
        for pidfd in (*watched, waker):
            os.close(pidfd)

    def _await_exits(self, watched: dict[int, _WarmHelper], waker: int) -> bool:
        """Wait once; return whether there is anything left to do."""
        poller = select.poll()
        with self._lock:
            if self._watched is watched and not watched:
                self._dismiss()
            if self._watched is not watched:
                return False
            for fd in (waker, *watched):
                poller.register(fd, select.POLLIN)
        for fd, _ in poller.poll():
            if fd == waker:
                os.eventfd_read(fd)
                continue
            with self._lock:
                helper = watched.pop(fd)
                os.close(fd)
            self._on_exit(helper)
        return True


_pool = _Pool()


def close_pool() -> None:
    """End all idle helpers; the next pipeline starts one anew."""
    _pool.close()


def _forget_in_child() -> None:
    global _pool
    _pool.forget()
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _pool.pause(),
        after_in_parent=lambda: _pool.resume(),
        after_in_child=_forget_in_child,
    )
atexit.register(close_pool)


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
        OSError: no helper can be started, or it does not take the job.
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
        status = make_pipe(owner)
        self.status = status.reader
        self._owner = owner
        self._helper, self.may_be_stale = _pool.borrow(path, fresh=fresh)
        self._is_lent = True
        self.pid = self._helper.popen.pid
        owner.callback(self._abandon)
        payload = b"".join(os.fsencode(option) + b"\0" for option in options)
        socket.send_fds(
            self._helper.sock, [payload], [status.writer.fileno(), *numbers]
        )
        status.writer.close()

    def last_words(self) -> str:
        """See `Job`."""
        return self._helper.last_words() if self._is_lent else ""

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
            self._is_lent = False
            _pool.give_back(self._helper)
        return None

    def _abandon(self) -> None:
        if self._is_lent:
            self._is_lent = False
            self._helper.reap()
