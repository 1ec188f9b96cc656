"""A cuprum-pump process: its command line, its work for one pipeline, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Protocol

from cuprum._descriptors import CHUNK_SIZE, Descriptor, make_channel, make_pipe
from cuprum._process import Process, unreaped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cuprum.pump import PumpOptions

__all__ = ["EXIT_SECONDS", "HelperProcess", "Job", "OwnHelper", "job_options"]

EXIT_SECONDS = 1.0
"""After ``end`` a helper of one's own has nothing left to do but exit."""

_MAX_COMPLAINT = 4096
"""The helper's messages are one line; this is the most that we repeat."""


def job_options(
    options: PumpOptions,
    *,
    taps: Sequence[int] = (),
    progress: float | None = None,
) -> list[str]:
    """Return what the helper is to know of a job, in argv or in a message.

    Args:
        options: see `PumpOptions`.
        taps: hops of which a copy is to be made.
        progress: seconds between two reports, if there are to be any.
    """
    drain = "forever" if options.drain is None else f"{options.drain:.9f}"
    return [
        f"--buffer-size={options.buffer_size}",
        f"--pipe-size={options.pipe_size}",
        f"--engine={options.engine}",
        f"--drain={drain}",
        "--chain",
        "--release",
        *(f"--tap={hop}" for hop in taps),
        *([] if progress is None else [f"--progress={progress:.6f}"]),
    ]


_running: weakref.WeakSet[HelperProcess] = weakref.WeakSet()
"""For the child after `os.fork`, whose they are not."""


def _disown_in_child() -> None:
    for helper in list(_running):
        helper.popen.returncode = 0  # nothing to wait for, and nobody to kill
        helper.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_disown_in_child)


class HelperProcess:
    """A cuprum-pump that runs, and the pipe on which it complains.

    It ignores SIGINT and SIGQUIT: a stage that prints a summary when the terminal
    sends it ^C is still heard by the next one.

    Args:
        path: the binary.
        arguments: its command line.
        inherited: numbers of the descriptors that it gets.
        cwd: its working directory; None inherits.

    Attributes:
        popen: the process.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        path: Path,
        arguments: Sequence[str],
        inherited: Sequence[int],
        *,
        cwd: str | None = None,
    ) -> None:
        with ExitStack() as stack:
            complaints = make_pipe(stack)
            os.set_blocking(complaints.reader.fileno(), False)
            self.popen = subprocess.Popen(
                [str(path), "--ignore-interrupts", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints.writer.fileno(),
                pass_fds=inherited,
                cwd=cwd,
            )
            complaints.writer.close()
            stack.pop_all()
        self._complaints: Descriptor = complaints.reader
        self._watched: Process | None = None
        _running.add(self)
        unreaped.add(self.popen)

    def kill(self) -> None:
        """Send SIGKILL unless it has been reaped."""
        # Not Popen.kill, which reaps what has exited, and whose status we want.
        if self.popen.returncode is None:
            # Where we have changed the user, an idle one goes when it is closed.
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.popen.pid, signal.SIGKILL)

    async def wait(self, owner: ExitStack) -> int:
        """Wait on the event loop for the exit and return the status.

        Args:
            owner: of the watching, see `Process`.
        """
        if self._watched is None:
            self._watched = Process(self.popen, owner)
        return await self._watched.wait()

    def last_words(self) -> str:
        """Return what it has said on standard error, to be put after a message."""
        try:
            said = os.read(self._complaints.fileno(), CHUNK_SIZE)  # all of it
        except (BlockingIOError, ValueError):  # nothing there; or closed
            said = b""
        text = " ".join(said[:_MAX_COMPLAINT].decode("utf-8", "replace").split())
        return f" ({text})" if text else ""

    def reap(self) -> None:
        """Kill it if it still runs, and wait: it is gone when this returns."""
        self.kill()
        self.close()
        self.popen.wait()
        unreaped.discard(self.popen)

    def close(self) -> None:
        """Close what connects us to it."""
        self._complaints.close()


class Job(Protocol):
    """A helper's work for one pipeline, and what one can do about it."""

    @property
    def status(self) -> Descriptor:
        """Where its records are read, and hops are released."""
        ...

    @property
    def pid(self) -> int:
        """The helper's process number."""
        ...

    @property
    def may_be_stale(self) -> bool:
        """Whether the helper may have left, as idle ones do, before it had the job."""
        ...

    def last_words(self) -> str:
        """Return what the helper has said on standard error."""
        ...

    def kill(self) -> None:
        """Send the helper SIGKILL."""
        ...

    async def end(self) -> int:
        """Kill the helper if it still runs; return its exit status."""
        ...

    async def release(self) -> int | None:
        """Leave the helper to itself once its ``end`` record has come.

        Returns:
            Its exit status; None if it has none because it serves on.
        """
        ...


class OwnHelper:
    """A helper started for one pipeline, which inherits the descriptors.

    When the parent goes, so does the status pipe's reader, and with it the helper.

    Args:
        path: the binary.
        options: as `job_options` gives them.
        numbers: the descriptors of the hops; they stay open here.
        owner: closes our ends of the pipes and ends the process at the latest.

    Raises:
        OSError: it cannot be started.
    """

    may_be_stale = False

    def __init__(
        self,
        path: Path,
        options: Sequence[str],
        numbers: Sequence[int],
        owner: ExitStack,
    ) -> None:
        status = make_channel(owner)
        self._owner = owner
        self.status = status.reader
        self.process = HelperProcess(
            path,
            [
                *options,
                f"--status-fd={status.writer.fileno()}",
                *map(str, numbers),
            ],
            [status.writer.fileno(), *numbers],
        )
        owner.callback(self.process.reap)
        status.writer.close()
        self.pid = self.process.popen.pid

    def last_words(self) -> str:
        """See `Job`."""
        return self.process.last_words()

    def kill(self) -> None:
        """See `Job`."""
        self.process.kill()

    async def end(self) -> int:
        """See `Job`."""
        self.kill()
        return await self.process.wait(self._owner)

    async def release(self) -> int | None:
        """See `Job`: it exits, and its status is to agree with its records."""
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                return await self.process.wait(self._owner)
        except TimeoutError:
            await self.end()
            return None  # that it would not go says nothing of the data
