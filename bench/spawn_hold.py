#!/usr/bin/env python3
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Measure how long one spawn holds up the event loop.

A child is started in a call that does not return before the child has executed its
program, and the loop stands still meanwhile. Prints a Markdown table: median and
99th percentile of that call for /bin/true, in a small process and in one with a
gibibyte of resident memory, each an interpreter of its own, in turn. The exit
status is 1 if a median is a millisecond or more: then spawning belongs in a thread.

Measured under `chrt -f 1`, so that other work on the machine does not count (two
processors, Linux 6.18, Python 3.11.2): 0.21 ms, 99th percentile 0.5 ms, and with the
gibibyte 0.20 ms, 0.5 ms. `subprocess` uses vfork(2), which copies no page tables.
With six busy processes to each processor, 0.3 to 0.8 ms, and 15 to 45 ms: a child
that has to wait for a processor holds the loop for as long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from cuprum._process import Process  # noqa: E402  the checkout's, not an installed one

THRESHOLD = 0.001
"""Seconds at the median beyond which spawning would have to move to a thread."""
ROUNDS = 5
PARENTS = {"small": 0, "1 GiB resident": 1 << 30}


async def hold(spawns: int) -> list[float]:
    """Return the seconds for which each of ``spawns`` held the loop."""
    held: list[float] = []
    for _ in range(spawns):
        with ExitStack() as owner:
            began = perf_counter()
            process = Process.spawn(
                ["/bin/true"],
                owner,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            process.watch()
            held.append(perf_counter() - began)
            await process.wait()
    return held


def measure(parent: str, spawns: int) -> list[float]:
    """Return what `hold` does in a new process of that kind."""
    command = [sys.executable, __file__, f"--parent={parent}", f"--spawns={spawns}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def work(parent: str, spawns: int) -> None:
    """Be that process."""
    ballast = bytearray(PARENTS[parent])
    ballast[::4096] = b"\1" * len(range(0, len(ballast), 4096))  # each page is ours
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert resident >= len(ballast)
    json.dump(asyncio.run(hold(spawns)), sys.stdout)


def main() -> int:
    """Measure, print, and tell by the exit status whether it is short enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spawns", type=int, default=400, metavar="N")
    parser.add_argument("--parent", choices=PARENTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parent is not None:
        work(options.parent, options.spawns)
        return 0
    held: dict[str, list[float]] = {parent: [] for parent in PARENTS}
    for _ in range(ROUNDS):
        for parent, times in held.items():
            times += measure(parent, options.spawns)
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}\n")
    print("| parent | median ms | p99 ms |")
    print("| --- | ---: | ---: |")
    for parent, times in held.items():
        p99 = quantiles(times, n=100)[-1]
        print(f"| {parent} | {1000 * median(times):.2f} | {1000 * p99:.2f} |")
    return 0 if all(median(times) < THRESHOLD for times in held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
