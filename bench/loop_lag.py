#!/usr/bin/env python3
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Measure what a pipeline costs the event loop that runs it.

Sends bytes through one hop, with the helper and with the Python pump, and prints a
Markdown table: how late the loop was for a timer that wants to be woken each
millisecond, and how much processor time Python took for another run of the same,
without that timer. The first row is the timer alone: that is the machine, and
epoll_wait(2), which counts in milliseconds and is up to one late by itself.

Each run has an interpreter of its own, because a process chooses its stream backend
once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from cuprum import (  # noqa: E402  the checkout's, not an installed one
    Pipeline,
    Program,
    ProgramCatalogue,
    ProjectSettings,
    RunOutputOptions,
    sh,
)

os.environ.setdefault("CUPRUM_PUMP", str(TOP / "build" / "helper" / "cuprum-pump"))
BLOCK = 256 << 10
TICK = 0.001
ALONE = 2.0
"""Seconds of the row that pumps nothing."""
ROWS = {"nothing": "python", "helper": "helper", "Python pump": "python"}


class Timer:
    """A timer that wants to be woken at each TICK, and notes how late it was.

    It misses none: where the loop stood still, each tick that was due counts.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time()
        self._tick()

    def _tick(self) -> None:
        self.late.append(self._loop.time() - self._next)
        self._next += TICK
        self._waiting = self._loop.call_at(self._next, self._tick)

    def stop(self) -> None:
        """Wake no more."""
        self._waiting.cancel()


def zeros(size: int) -> Pipeline:
    """Return a pipeline that moves ``size`` bytes, and does nothing with them."""
    dd = Program("dd")
    project = ProjectSettings("bench", (dd,), (), ())
    run_dd = sh.make(dd, catalogue=ProgramCatalogue(projects=[project]))
    source = run_dd("if=/dev/zero", f"bs={BLOCK}", f"count={size // BLOCK}")
    return source | run_dd("of=/dev/null", f"bs={BLOCK}")


async def run(size: int) -> None:
    """Move ``size`` bytes, or none for a while."""
    if size == 0:
        await asyncio.sleep(ALONE)
        return
    result = await zeros(size).run(output=RunOutputOptions(capture=False))
    assert result.ok
    assert result.hops[0].bytes_written == size // BLOCK * BLOCK


async def measure(size: int) -> dict[str, float]:
    """Run twice, without the timer and with it; return the columns of the table."""
    if size:
        await run(BLOCK)  # the helper is started, and everything imported
    cpu, began = time.process_time(), time.monotonic()
    await run(size)
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    timer = Timer()
    await run(size)
    timer.stop()
    cuts = quantiles(timer.late, n=100)
    worst = max(timer.late)
    return {"s": took, "CPU": cpu, "p50": cuts[49], "p99": cuts[98], "max": worst}


def in_another_process(row: str, size: int) -> dict[str, float]:
    """Return what `measure` finds in a fresh interpreter."""
    command = [sys.executable, __file__, "--worker", str(size)]
    environment = {**os.environ, "CUPRUM_STREAM_BACKEND": ROWS[row]}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Loop lag of a pipeline.")
    parser.add_argument("--gigabytes", type=float, default=8, help="default: 8")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        print(json.dumps(asyncio.run(measure(options.worker))))
        return
    size = int(options.gigabytes * 1e9)
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the start.")
    print()
    print("| pumped by | GB | GB/s | Python's CPU s | late: p50 ms | p99 ms | max ms |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for row in ROWS:
        moved = 0 if row == "nothing" else size
        figures = in_another_process(row, moved)
        late = (f"{figures[name] * 1000:.2f}" for name in ("p50", "p99", "max"))
        rate = f"{moved / 1e9 / figures['s']:.2f}"
        print(
            f"| {row} | {moved / 1e9:.1f} | {rate} | {figures['CPU']:.3f} "
            f"| {' | '.join(late)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
