"""Hitting the helper while it is at work."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from tests.support.processes import helper_pids, read_pid

if TYPE_CHECKING:
    from pathlib import Path


class Striker(threading.Thread):
    """A thread that waits until data flows, then sends a signal to the helper.

    *flowing* is a file to which a stage writes its process id once it has read
    something. ``hit`` holds the ids of the helpers that got the signal.
    """

    def __init__(self, flowing: Path, signal_number: int) -> None:
        super().__init__(name="striker")
        self._flowing = flowing
        self._signal = signal_number
        self.hit: set[int] = set()
        self.start()

    def run(self) -> None:
        """Strike once."""
        read_pid(self._flowing, within=10)
        self.hit = helper_pids()
        for pid in self.hit:
            os.kill(pid, self._signal)
