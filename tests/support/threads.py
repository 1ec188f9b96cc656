"""The same work in several threads at once, which change places as often as can be."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8


def in_threads(work: Callable[[], None]) -> None:
    """Do *work* in each thread, beginning together; raise what one of them raised."""
    begin = threading.Barrier(THREADS)

    def one() -> None:
        begin.wait()
        work()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(one) for _ in range(THREADS)]
        for future in futures:
            future.result()
    finally:
        sys.setswitchinterval(interval)
