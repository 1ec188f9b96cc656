#!/usr/bin/env python3
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Measure what docs/adr-001-external-pump-helper.md decides by.

Prints Markdown tables. Each figure is taken in a fresh interpreter, because a
process chooses its stream backend once; the ways are tried in turn, round after
round, so that what else the machine does falls on all of them alike. Absolute
times differ from machine to machine; the ratios within one run are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from adr_001_ways import (
    CHUNK,
    HELPER,
    LARGE_PIPE,
    PumpOptions,
    asyncio_streams,
    bare_helper,
    connected,
    cuprum,
    direct,
    helper_killed,
    helper_memory,
    parent_killed,
    shell,
    short,
    short_pipeline,
    spawn_and_wait,
    splice_all,
    uvloop,
)

from bench.machine import describe

# --- The plan -------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A row of a table: what it is called, and what a worker does for it."""

    label: str
    work: Callable[[], float]
    backend: str = "python"
    needs_uvloop: bool = False


def transfers(size: int) -> dict[str, Way]:
    """Return the ways to move ``size`` bytes; the first is the reference."""
    pump = f"| {HELPER} |"
    noted = f"| {HELPER} -s 2 -p 0.01 |"
    keep = PumpOptions(pipe_size="keep")
    copy = PumpOptions(engine="copy")
    big = PumpOptions(buffer_size=1 << 20)
    return {
        "shell": Way("`dd \\| dd`, 64 KiB pipe", lambda: shell(size)),
        "cat": Way("`dd \\| cat \\| dd`", lambda: shell(size, "| cat |")),
        "bare": Way("`dd \\| cuprum-pump \\| dd`", lambda: shell(size, pump)),
        "noted": Way(
            "the same, 100 records a second",
            lambda: shell(size, noted, subprocess.PIPE),
        ),
        "direct": Way("`dd \\| dd`, 256 KiB pipe", lambda: direct(size)),
        "helper": Way("cuprum, helper", lambda: cuprum(size), "helper"),
        "keep": Way("the same, pipes kept small", lambda: cuprum(size, keep), "helper"),
        "copy": Way("the same, copy engine", lambda: cuprum(size, copy), "helper"),
        "python": Way("cuprum, Python pump", lambda: cuprum(size)),
        "big": Way("the same, 1 MiB buffer", lambda: cuprum(size, big)),
        "uvloop": Way(
            "cuprum, Python pump on uvloop",
            lambda: cuprum(size, fast_loop=True),
            needs_uvloop=True,
        ),
        "thread": Way(
            "thread, `os.splice`, 64 KiB",
            lambda: connected(size, splice_all, 0),
        ),
        "thread-large": Way(
            "thread, `os.splice`, 256 KiB",
            lambda: connected(size, splice_all, LARGE_PIPE),
        ),
        "streams": Way("asyncio's streams", lambda: asyncio_streams(size)),
        "streams-uvloop": Way(
            "asyncio's streams, on uvloop",
            lambda: asyncio_streams(size, fast_loop=True),
            needs_uvloop=True,
        ),
    }


def starts() -> dict[str, Way]:
    """Return the short runs; the first is the reference."""
    both = ["sh", "-c", "true | true"]
    return {
        "sh": Way(
            "`sh -c 'true \\| true'`",
            lambda: short(lambda: subprocess.run(both, check=True)),
        ),
        "short-python": Way("cuprum, Python pump", short_pipeline),
        "short-helper": Way("cuprum, helper", short_pipeline, "helper"),
        "spawn-true": Way(
            "spawn and wait: `/bin/true`",
            lambda: short(lambda: spawn_and_wait(["/bin/true"])),
        ),
        "spawn": Way(
            "spawn and wait: `cuprum-pump`", lambda: bare_helper(records=False)
        ),
        "spawn-noted": Way("the same, with records", lambda: bare_helper(records=True)),
    }


def accidents() -> dict[str, Way]:
    """Return what is measured in single events."""
    return {
        "helper-killed": Way(
            "helper killed: until `PumpError`, stages reaped", helper_killed, "helper"
        ),
        "parent-killed": Way(
            "Python killed: until helper and stages are gone", parent_killed, "helper"
        ),
    }


def all_ways(size: int) -> dict[str, Way]:
    """Return everything a worker can be asked for."""
    return {
        **transfers(size),
        **starts(),
        **accidents(),
        "memory": Way("helper, peak resident memory", helper_memory, "helper"),
    }


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    value: float
    """What the way measures: seconds, for all but ``memory``."""
    cpu: float
    """CPU seconds of the interpreter itself, its start not counted."""


def work(name: str, size: int) -> None:
    """Be the worker: measure once, print the sample as JSON."""
    before = time.process_time()
    value = all_ways(size)[name].work()
    print(json.dumps({"value": value, "cpu": time.process_time() - before}))


def measure(name: str, way: Way, size: int) -> Sample:
    """Have a fresh interpreter measure once."""
    environment = {**os.environ, "CUPRUM_STREAM_BACKEND": way.backend}
    argv = [sys.executable, __file__, "--worker", name, "--size", str(size)]
    output = subprocess.run(
        argv, env=environment, check=True, stdout=subprocess.PIPE
    ).stdout
    return Sample(**json.loads(output))


def measure_all(
    ways: dict[str, Way], size: int, rounds: int
) -> dict[str, list[Sample]]:
    """Measure all ways in turn, as often as there are rounds."""
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            print(f"\rround {number + 1}/{rounds}: {name:<20}", end="", file=sys.stderr)
            samples[name].append(measure(name, way, size))
    print(f"\r{'':40}\r", end="", file=sys.stderr)
    return samples


# --- The report -----------------------------------------------------------------


def spread(values: list[float], digits: int) -> str:
    """Return the median, and the lowest and highest value."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:.{digits}f} | {low:.{digits}f}-{high:.{digits}f}"


def report_transfers(size: int, rounds: int) -> None:
    """Print throughput, its ratio to the reference, and the CPU Python took."""
    ways = transfers(size)
    if uvloop is None:
        print("uvloop cannot be imported: its rows are left out.\n")
        ways = {name: way for name, way in ways.items() if not way.needs_uvloop}
    samples = measure_all(ways, size, rounds)
    print("| way | GB/s | min-max | ratio | min-max | Python CPU, s/GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    reference = next(iter(samples.values()))
    for name, way in ways.items():
        rates = [size / sample.value / 1e9 for sample in samples[name]]
        pairs = zip(reference, samples[name], strict=True)
        ratios = [one.value / other.value for one, other in pairs]
        cpu = median(sample.cpu for sample in samples[name]) / (size / 1e9)
        print(f"| {way.label} | {spread(rates, 2)} | {spread(ratios, 2)} | {cpu:.3f} |")


def report_times(ways: dict[str, Way], size: int, rounds: int) -> None:
    """Print milliseconds."""
    print("\n| what | ms | min-max |\n| --- | ---: | ---: |")
    for name, samples in measure_all(ways, size, rounds).items():
        values = [sample.value * 1e3 for sample in samples]
        print(f"| {ways[name].label} | {spread(values, 2)} |")


def report_size() -> None:
    """Print what has to be deployed and held in memory."""
    memory = measure("memory", all_ways(CHUNK)["memory"], CHUNK).value
    file = Path(HELPER).stat().st_size
    print(f"\nHelper: {file / 1024:.0f} KiB on disk (not stripped),", end=" ")
    print(f"{memory / 1024:.0f} KiB resident at its peak.")


def machine() -> str:
    """Return what the figures depend on, in one line."""
    facts = describe()
    return (
        f"{facts['kernel']}, {facts['cores']} x {facts['processor']}, "
        f"Python {facts['python']}, load {facts['load']:.2f}"
    )


def bytes_of(text: str) -> int:
    """Parse a size such as 512M or 2G, rounded down to whole chunks."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    number = text if factor == 1 else text[:-1]
    if not number.isdecimal() or int(number) * factor < CHUNK:
        raise argparse.ArgumentTypeError(f"{text!r} is no size of 64K or more")
    return int(number) * factor // CHUNK * CHUNK


def main() -> None:
    """Measure and report, or be a worker."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=bytes_of, default="2G", help="bytes [2G]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds [5]")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.size)
        return
    if options.rounds < 1:
        parser.error("--rounds: there must be at least one")
    if not os.access(HELPER, os.X_OK):
        parser.error(f"{HELPER}: no helper there; run ./bootstrap build first")
    gib = options.size / (1 << 30)
    print(f"{gib:g} GiB, {options.rounds} rounds; {machine()}\n")
    report_transfers(options.size, options.rounds)
    report_times(starts(), options.size, options.rounds)
    report_times(accidents(), options.size, options.rounds)
    report_size()


if __name__ == "__main__":
    main()
