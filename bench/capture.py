#!/usr/bin/env python3
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Measure how fast output is captured, and lines are told.

Prints Markdown tables, with `subprocess` as the reference. The ways are tried in
turn, round after round, each in an interpreter of its own, so that what else the
machine does falls on all of them alike; the ratio of each round is what counts.

One way is an experiment: the helper splices the output into a file in memory, which
Python then maps. It would be worth having only where it is the faster one. (What
the helper takes of the processor is not in the last column.)
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from adr_001 import bytes_of, machine, spread  # noqa: E402  they need the path, too

from cuprum import (  # noqa: E402  the checkout's, not an installed one
    ExecEvent,
    Program,
    ProgramCatalogue,
    ProjectSettings,
    RunOutputOptions,
    SafeCmd,
    observe,
    sh,
)
from cuprum._streams_helper import (  # noqa: E402
    helper_consume_stream,
    helper_pump_stream,
)


def blocks(size: int) -> list[str]:
    """Return a command that writes so many bytes, as fast as can be."""
    return ["head", "-c", str(size), "/dev/zero"]


def lines(size: int, length: int) -> list[str]:
    """Return a command that writes so many bytes in lines of that length."""
    return ["sh", "-c", f"yes {'x' * (length - 1)} | head -c {size}"]


def approved(argv: list[str]) -> SafeCmd:
    """Return it as a command of cuprum's."""
    program = Program(argv[0])
    project = ProjectSettings("bench", (program,), (), ())
    catalogue = ProgramCatalogue(projects=[project])
    return sh.make(program, catalogue=catalogue)(*argv[1:])


# --- The ways: each returns how much it has got ----------------------------------


def cuprum_bytes(argv: list[str]) -> int:
    """Capture bytes."""
    result = approved(argv).run_sync(output=RunOutputOptions(text=False))
    return len(result.stdout or b"")


def cuprum_text(argv: list[str]) -> int:
    """Capture text."""
    return len(approved(argv).run_sync().stdout or "")


def cuprum_lines(argv: list[str]) -> int:
    """Take lines with a callback that does nothing with them."""
    output = RunOutputOptions(capture=False, on_stdout_line=lambda _: None)
    approved(argv).run_sync(output=output)
    return 0


def cuprum_events(argv: list[str]) -> int:
    """Have a hook count the lines, which are captured as well."""
    count = 0

    def look(event: ExecEvent) -> None:
        nonlocal count
        count += event.phase == "stdout"

    with observe(look):
        approved(argv).run_sync()
    return count


def plain_bytes(argv: list[str]) -> int:
    """Let `subprocess` do it."""
    return len(subprocess.run(argv, capture_output=True, check=True).stdout)


def plain_text(argv: list[str]) -> int:
    """Let `subprocess` do it."""
    return len(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def plain_lines(argv: list[str]) -> int:
    """Iterate over what `subprocess` reads."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in process.stdout:
            pass
    return 0


def mapped_bytes(argv: list[str]) -> int:
    """Let the helper move it into memory, and copy it out of there."""

    def take(reader: int) -> int:
        file = os.memfd_create("bench")
        size = helper_pump_stream(reader, file)
        with mmap.mmap(file, size, access=mmap.ACCESS_READ) as data:
            captured = data[:]
        os.close(file)
        return len(captured)

    return piped(argv, take)


def mapped_text(argv: list[str]) -> int:
    """Let the helper move it into memory, and decode it there."""
    return piped(argv, lambda reader: len(helper_consume_stream(reader)))


def piped(argv: list[str], take: Callable[[int], int]) -> int:
    """Start the program and let ``take`` have the descriptor of its output."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return take(process.stdout.fileno())


@dataclass(frozen=True)
class Way:
    """A row: what it is called, what it does, and which row it is compared with."""

    label: str
    take: Callable[[list[str]], int]
    reference: str


CAPTURES = {
    "plain-bytes": Way("`subprocess`, bytes", plain_bytes, "plain-bytes"),
    "cuprum-bytes": Way("cuprum, bytes", cuprum_bytes, "plain-bytes"),
    "mapped-bytes": Way("helper and memfd, bytes", mapped_bytes, "plain-bytes"),
    "plain-text": Way("`subprocess`, text", plain_text, "plain-text"),
    "cuprum-text": Way("cuprum, text", cuprum_text, "plain-text"),
    "mapped-text": Way("helper and memfd, text", mapped_text, "plain-text"),
}
LINES = {
    "plain-lines": Way("`subprocess`, `for line in`", plain_lines, "plain-lines"),
    "cuprum-lines": Way("cuprum, callback", cuprum_lines, "plain-lines"),
    "cuprum-events": Way("cuprum, observer", cuprum_events, "plain-lines"),
}


# --- Measuring -------------------------------------------------------------------


def work(name: str, argv: list[str], size: int) -> None:
    """Take one sample; print seconds of time, and of Python's processor time."""
    began, used = time.perf_counter(), time.process_time()
    got = {**CAPTURES, **LINES}[name].take(argv)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    if name in CAPTURES and got != size:
        raise RuntimeError(f"{got} bytes of {size} arrived")
    print(json.dumps([seconds, cpu]))


def measure(
    ways: dict[str, Way], argv: list[str], size: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Try all ways in turn, as often as there are rounds."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in ways:
            print(f"\rround {number + 1}/{rounds}: {name:<20}", end="", file=sys.stderr)
            job = json.dumps([name, argv, size])
            worker = [sys.executable, __file__, "--worker", job]
            output = subprocess.run(worker, check=True, stdout=subprocess.PIPE).stdout
            seconds, cpu = json.loads(output)
            samples[name].append((seconds, cpu))
    print(f"\r{'':40}\r", end="", file=sys.stderr)
    return samples


def report(
    ways: dict[str, Way], argv: list[str], size: int, rounds: int, *, scale: float
) -> None:
    """Print rates, of which ``scale`` make one, and ratios to the reference."""
    samples = measure(ways, argv, size, rounds)
    for name, way in ways.items():
        rates = [size / scale / seconds for seconds, _ in samples[name]]
        pairs = zip(samples[way.reference], samples[name], strict=True)
        ratios = [one / other for (one, _), (other, _) in pairs]
        cpu = median(cpu for _, cpu in samples[name]) / (size / 1e9)
        print(f"| {way.label} | {spread(rates, 2)} | {spread(ratios, 2)} | {cpu:.2f} |")


HEAD = "min-max | ratio | min-max | Python CPU, s/GB |\n| --- |{}".format(" ---: |" * 5)


def main() -> None:
    """Measure and report, or be a worker."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=bytes_of, default="500M", help="bytes [500M]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds [5]")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*json.loads(options.worker))
        return
    if options.rounds < 1:
        parser.error("--rounds: there must be at least one")
    size: int = options.size
    print(f"{size >> 20} MiB, {options.rounds} rounds; {machine()}\n")
    print(f"| capture | GB/s | {HEAD}")
    report(CAPTURES, blocks(size), size, options.rounds, scale=1e9)
    for length in (10, 100):
        part = size // 100 * length  # the same number of lines, whatever their length
        print(f"\n| lines of {length} bytes | million/s | {HEAD}")
        report(LINES, lines(part, length), part, options.rounds, scale=length * 1e6)


if __name__ == "__main__":
    main()
