"""Looking at, waiting for and ending processes that this process started.

Linux only, as far as /proc is concerned: elsewhere the lists are empty and the
guards that are built on them find nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process (prctl(2)).

    A grandchild that outlives its parent would otherwise go to init, where no
    guard would ever see it.
    """
    if Path("/proc/self/task").is_dir():
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def child_pids() -> set[int]:
    """Return the process ids of all children, zombies included."""
    pids: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            pids.update(int(word) for word in listing.read_text().split())
    return pids


def describe(pid: int) -> str:
    """Return one line that tells a reader which process *pid* is."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return f"pid {pid} (gone)"
    name, _, rest = stat.partition("(")[2].rpartition(")")
    command = b" ".join(words).decode(errors="replace").strip() or name
    return f"pid {pid} (state {rest.split()[0]}): {command[:120]}"


def end_and_reap(pids: set[int]) -> None:
    """SIGKILL each process in *pids*, all children of this one, and reap it."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def reap_orphans() -> None:
    """Reap what stages had started, was adopted by this process, and has exited."""
    for pid in child_pids():
        if not is_alive(pid):
            os.waitpid(pid, 0)


def is_alive(pid: int) -> bool:
    """Tell whether *pid* exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_until(condition: Callable[[], bool], *, what: str, within: float = 5) -> None:
    """Poll *condition* until it holds; AssertionError after *within* seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            message = f"not within {within} s: {what}"
            raise AssertionError(message)
        time.sleep(0.005)


def read_pid(path: Path, *, within: float = 5) -> int:
    """Wait for a process to write its id and a newline to *path*; return it."""
    wait_until(
        lambda: path.exists() and path.read_text().endswith("\n"),
        what=f"a process id in {path}",
        within=within,
    )
    return int(path.read_text())


def helper_pids() -> set[int]:
    """Return the ids of the cuprum-pump processes among the children."""
    found: set[int] = set()
    for pid in child_pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "cuprum-pump":
                found.add(pid)
    return found


def written_when_held_up(pid: int, *, still: float = 0.3) -> int:
    """Wait until *pid* has written nothing for *still* seconds; return how much."""
    written, since = -1, time.monotonic()
    while time.monotonic() - since < still:
        fields = Path(f"/proc/{pid}/io").read_text().split()
        now = int(fields[fields.index("wchar:") + 1])
        if now != written:
            written, since = now, time.monotonic()
        time.sleep(0.01)
    return written
