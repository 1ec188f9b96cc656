# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""One sample, taken in an interpreter of its own.

A process chooses its stream backend once, and its peak of memory never comes down;
so each sample has a fresh one, whose start is not in the figures.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from statistics import quantiles
from time import perf_counter
from typing import IO

from bench.machine import busy_seconds, children, peak_memory
from bench.plan import Scenario
from bench.ways import WAYS, Captured
from cuprum._helper_pool import close_pool

__all__ = ["Sample", "Timer", "take", "take_in_another_process"]

TICK = 0.001
ROUNDING = 0.02
"""Seconds by which the kernel's figures for the whole machine may be too high."""


@dataclass(frozen=True)
class Sample:
    """What one way of running a scenario took.

    Attributes:
        figures: ``seconds`` and ``cpu``, which is that of all processes, are for one
            of the repeats. ``X.user``, ``X.system`` (seconds) and ``X.switches`` are
            for all of them; X is python, mover (the helper, ``cat``, a shell),
            produce, relay, consume. ``X.memory`` is a peak in bytes, and
            ``python.growth`` what the interpreter's peak grew by. ``lag.X`` is in
            seconds. ``others`` is how many processors others kept busy meanwhile.
        times: seconds of each repeat.
    """

    figures: dict[str, float]
    times: list[float] = field(default_factory=list[float])


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

    def stop(self) -> dict[str, float]:
        """Wake no more; return how late it was."""
        self._waiting.cancel()
        cuts = quantiles(self.late, n=100)
        return {"lag.p50": cuts[49], "lag.p99": cuts[98], "lag.max": max(self.late)}


async def _run(scenario: Scenario, way: str) -> None:
    """Run all pipelines that are to go on at the same time, and see what came."""
    captured = WAYS[way].work(scenario)
    if inspect.isawaitable(captured):
        captured = await captured
    _check(scenario, captured)


def _check(scenario: Scenario, captured: Captured) -> None:
    """Raise RuntimeError unless as much was captured as there was."""
    if (
        scenario.capture
        and [len(each or b"") for each in captured]
        != [scenario.size] * scenario.at_once
    ):
        raise RuntimeError(f"captured {[len(each or b'') for each in captured]}")


def _used(who: int) -> dict[str, float]:
    """Return what this process or its children have used."""
    used = resource.getrusage(who)
    switches = used.ru_nvcsw + used.ru_nivcsw
    return {"user": used.ru_utime, "system": used.ru_stime, "switches": switches}


def _stages(usage: IO[str], scenario: Scenario) -> dict[str, float]:
    """Return what the stages say that they used, and see that all data arrived."""
    figures: dict[str, float] = {}
    arrived, sums = 0, set[str]()
    for line in usage:
        role, moved, checksum, *used = line.split()
        for name, value in zip(("user", "system", "switches"), used, strict=True):
            key = f"{role}.{name}"
            figures[key] = figures.get(key, 0) + float(value)
        if role == "consume":
            arrived += int(moved)
        if role != "relay":
            sums.add(checksum)
    if scenario.capture is None and arrived != scenario.expected:
        raise RuntimeError(f"{arrived} bytes of {scenario.expected} arrived")
    if len(sums) > 1:
        raise RuntimeError(f"the content is not what it was: {sums}")
    return figures


async def _measure(scenario: Scenario, way: str, usage: IO[str]) -> Sample:
    """Take the sample, once everything is imported and a helper has been started."""
    await _run(replace(scenario, size=min(scenario.size, 1000), at_once=1), way)
    usage.truncate(0)
    memory = peak_memory(os.getpid())
    before = {
        who: _used(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    }
    busy = busy_seconds()
    timer = Timer() if scenario.lag else None
    times: list[float] = []
    for _ in range(scenario.repeats):
        began = perf_counter()
        await _run(scenario, way)
        times.append(perf_counter() - began)
    figures = timer.stop() if timer else {}
    figures["python.memory"] = peak_memory(os.getpid())
    figures["python.growth"] = figures["python.memory"] - memory
    for pid, name in children(os.getpid()).items():
        if name == "cuprum-pump":
            figures["helper.memory"] = max(
                peak_memory(pid), figures.get("helper.memory", 0)
            )
    close_pool()  # reaps the helpers, so that they are among the children
    busy = busy_seconds() - busy
    figures |= _stages(usage, scenario)
    for who, name in (
        (resource.RUSAGE_SELF, "python"),
        (resource.RUSAGE_CHILDREN, "mover"),
    ):
        for key, value in _used(who).items():
            figures[f"{name}.{key}"] = value - before[who][key]
    cpu = sum(
        figures[f"{name}.{key}"]
        for name in ("python", "mover")
        for key in ("user", "system")
    )
    for key in ("user", "system", "switches"):
        figures[f"mover.{key}"] -= sum(
            figures.get(f"{role}.{key}", 0) for role in ("produce", "relay", "consume")
        )
    figures["others"] = max(0.0, busy - cpu - ROUNDING) / sum(times)
    figures["cpu"] = cpu / scenario.repeats
    figures["seconds"] = sum(times) / scenario.repeats
    return Sample(figures, times)


def take(scenario: Scenario, way: str) -> Sample:
    """Take a sample in this process."""
    logging.getLogger("cuprum").setLevel(logging.ERROR)
    with ExitStack() as stack:
        usage = stack.enter_context(tempfile.NamedTemporaryFile("w+"))
        os.environ["BENCH_USAGE"] = usage.name
        return asyncio.run(_measure(scenario, way, usage))


def take_in_another_process(
    scenario: Scenario, way: str, wrapper: tuple[str, ...] = ()
) -> Sample:
    """Take a sample in a fresh interpreter, under ``wrapper`` if one is given."""
    job = json.dumps({"scenario": asdict(scenario), "way": way})
    argv = [*wrapper, sys.executable, "-m", "bench.worker", job]
    environment = {**os.environ, "CUPRUM_STREAM_BACKEND": WAYS[way].backend or "auto"}
    done = subprocess.run(
        argv, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return Sample(**json.loads(done.stdout))


if __name__ == "__main__":
    _job = json.loads(sys.argv[1])
    print(json.dumps(asdict(take(Scenario(**_job["scenario"]), _job["way"]))))
