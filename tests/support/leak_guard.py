"""A plugin that fails a test which leaves something behind.

Looked at, before and after each test: child processes (and grandchildren, which
this process adopts), open descriptors, non-daemon threads, the tasks that are
still pending when ``asyncio.run`` comes to cancel them, and what event loops log
as errors, such as an exception that nobody has asked a task for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cuprum._helper_pool import close_pool
from tests.support.processes import adopt_orphans, child_pids, describe, end_and_reap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREAD_PATIENCE = 1.0  # seconds: a thread that has done its work may still be ending


def pytest_configure() -> None:
    """Adopt orphans before the first test can make one; heed interrupts.

    A shell's background job ignores SIGINT, and so would all that tests start.
    """
    adopt_orphans()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def open_descriptors() -> dict[int, str]:
    """Return what each open descriptor points to."""
    found: dict[int, str] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def leaked_descriptors(before: dict[int, str]) -> list[str]:
    """Return a line for each descriptor that *before* does not account for."""
    return [
        f"descriptor {number} -> {target}"
        for number, target in sorted(open_descriptors().items())
        if before.get(number) != target
    ]


def leaked_threads(before: set[threading.Thread]) -> list[str]:
    """Return a line for each new non-daemon thread that does not end by itself."""
    deadline = time.monotonic() + THREAD_PATIENCE
    leaked: list[str] = []
    for thread in threading.enumerate():
        if thread in before or thread.daemon:
            continue
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            leaked.append(f"thread {thread.name}")
    return leaked


@contextlib.contextmanager
def noted_tasks() -> Iterator[list[str]]:
    """Collect the tasks that ``asyncio.run`` finds pending and cancels silently.

    Its clean-up is a private function, and the one place that knows.
    """
    pending: list[str] = []
    cancel_all: Callable[[asyncio.AbstractEventLoop], None]
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def note_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
        pending.extend(f"task {task!r}" for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.runners, "_cancel_all_tasks", note_and_cancel)
        yield pending


@contextlib.contextmanager
def noted_complaints() -> Iterator[list[str]]:
    """Collect the errors that event loops log because they have nobody to tell."""
    complaints: list[str] = []

    class Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(f"complaint: {self.format(record)}")

    handler = Note(logging.ERROR)
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        yield complaints
    finally:
        logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def leak_guard() -> Iterator[None]:
    """Fail the test if it leaves a process, descriptor, thread or task behind."""
    children = child_pids()
    threads = set(threading.enumerate())
    descriptors = open_descriptors()
    with noted_tasks() as pending, noted_complaints() as complaints:
        yield
        # What has not been collected has not complained yet. The young objects are
        # the test's own; with all the others it would take a tenth of a second.
        gc.collect(1)
    close_pool()  # idle helpers are no leak: they leave by themselves
    leaks = [
        *pending,
        *complaints,
        *leaked_threads(threads),
        *leaked_descriptors(descriptors),
    ]
    while strays := child_pids() - children:  # ending one may orphan others
        leaks.extend(f"child {describe(pid)}" for pid in sorted(strays))
        end_and_reap(strays)
    if leaks:
        pytest.fail("left behind:\n  " + "\n  ".join(leaks), pytrace=False)
