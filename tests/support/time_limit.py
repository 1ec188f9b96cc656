"""A plugin that ends a test which hangs, together with the processes it started.

``--time-limit=SECONDS`` is for each test, set-up and tear-down
included.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import child_pids, describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

DEFAULT = 30.0  # seconds
REPEAT = 2.0  # seconds: something may swallow the exception, a finalizer, say


class TimeLimitExceeded(SystemExit):
    """The test ran for longer than it may.

    Not an Exception, which something under test might absorb; and of the others,
    event loops let only this and KeyboardInterrupt out of a callback.
    """


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--time-limit``."""
    parser.addoption("--time-limit", type=float, default=DEFAULT, metavar="SECONDS")


def _end_children(children: set[int]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run the whole test, fixtures included, under an interval timer."""
    limit = float(item.config.getoption("--time-limit") or DEFAULT)
    earlier = child_pids()

    def expire(_signum: int, _frame: FrameType | None) -> None:
        children = child_pids() - earlier
        told = "".join(f"\n  {describe(pid)}" for pid in sorted(children))
        faulthandler.dump_traceback()
        _end_children(children)
        message = f"{item.nodeid} took over {limit:g} s; ended its children:{told}"
        raise TimeLimitExceeded(message)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, limit, REPEAT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
