#!/usr/bin/env python3
# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""Measure cuprum and those it is compared with, and write what was found.

`make bench` runs it, and `make bench-smoke` on next to nothing. Leaves
results.json, report.md and report.html in a directory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.plan import CHECKED, MB, SCENARIOS, Scenario
from bench.report import write
from bench.results import Results
from bench.rounds import is_quiet, quietest, take_round
from bench.ways import WAYS
from bench.worker import Sample, take_in_another_process

__all__ = ["measure"]


def _say(words: str) -> None:
    """Tell how far we are; to someone who watches, in one line."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{words:<60}", end=end, file=sys.stderr, flush=True)


def _finish(argv: Sequence[str]) -> None:
    """Run a tool; show what it printed only if it fails."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{argv[0]} failed:\n{done.stdout}")


def measure(scenario: Scenario, count: int, attempts: int) -> dict[str, list[Sample]]:
    """Return ``count`` rounds, the quietest of as few as will do; by ways."""
    _say(scenario.name)
    taken = [take_round(scenario, 0)]
    while len(taken) < count or (
        sum(map(is_quiet, taken)) < count and len(taken) < attempts
    ):
        taken.append(take_round(scenario, len(taken)))
    kept = quietest(taken, count)
    return {way: [each[way] for each in kept] for way in kept[0]}


def system_calls(size: int) -> dict[str, float]:
    """Return the system calls per GB of each way, all processes together.

    Two sizes, and the difference: what it takes to start is in both of them.
    """
    _say("system calls")
    calls: dict[str, float] = {}
    for way in (way for way in CHECKED.ways if WAYS[way].is_here):
        counts: list[int] = []
        for bytes_ in (size, 4 * size):
            with tempfile.NamedTemporaryFile("r") as log:
                strace = ("strace", "-f", "-c", "-U", "calls,name", "-o", log.name)
                scenario = Scenario("calls", "", (way,), size=bytes_)
                take_in_another_process(scenario, way, strace)
                last = log.read().splitlines()[-1]
            counts.append(int(last.split()[0]))
        calls[way] = (counts[1] - counts[0]) / (3 * size / 1e9)
    return calls


def whole_commands(runs: int) -> dict[str, list[float]]:
    """Return seconds of commands from start to end, as hyperfine takes them."""
    stage, pump = os.environ["BENCH_STAGE"], os.environ["CUPRUM_PUMP"]
    python = sys.executable
    pipe = f"{stage} produce -n 256M | {{}} {stage} consume"
    commands = {
        "`cuprum-pump </dev/null`": f"{pump}",
        "`cat </dev/null`": "cat",
        "`echo \\| cat` in `sh`": "sh -c 'echo | cat'",
        "Python that does nothing": f"{python} -c pass",
        "Python that imports asyncio": f"{python} -c 'import asyncio'",
        "Python that imports cuprum": f"{python} -c 'import cuprum'",
        "256 MiB in `sh`": f'sh -c "{pipe.format("")}"',
        "256 MiB in `sh` through `cuprum-pump`": f'sh -c "{pipe.format(f"{pump} |")}"',
    }
    names = [word for name in commands for word in ("--command-name", name)]
    with tempfile.NamedTemporaryFile("r") as log:
        _say("whole commands")
        _finish(
            ["hyperfine", "--shell=none", "--style=none", "--warmup=2",
             f"--runs={runs}", f"--export-json={log.name}", *names,
             *commands.values()]
        )  # fmt: skip
        found = json.load(log)["results"]
    return {name: row["times"] for name, row in zip(commands, found, strict=True)}


def single_steps(seconds: float) -> dict[str, list[float]]:
    """Return what the steps in bench/micro.py take, as pytest-benchmark takes them."""
    _say("single steps")
    with tempfile.NamedTemporaryFile("r") as log:
        _finish(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             str(Path(__file__).with_name("micro.py")),
             f"--benchmark-max-time={seconds}", f"--benchmark-json={log.name}"]
        )  # fmt: skip
        found = json.load(log)["benchmarks"]
    keys = ("min", "q1", "median", "q3", "max")
    return {row["name"]: [row["stats"][key] for key in keys] for row in found}


def _chosen(names: Sequence[str]) -> list[Scenario]:
    return [each for each in SCENARIOS if not names or each.name in names]


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIRECTORY")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="[5]")
    parser.add_argument("--attempts", type=int, metavar="N", help="[twice that]")
    parser.add_argument("--smoke", action="store_true", help="with next to nothing")
    parser.add_argument("--only", nargs="+", default=[], metavar="SCENARIO")
    options = parser.parse_args()
    rounds = 1 if options.smoke else options.rounds
    attempts = 1 if options.smoke else options.attempts or 2 * rounds
    scenarios = _chosen(options.only)
    if rounds < 1 or not scenarios:
        parser.error("there has to be a round, and a scenario")
    checked = CHECKED
    if options.smoke:
        scenarios = [scenario.smaller() for scenario in scenarios]
        checked = replace(CHECKED, size=MB)
    results = Results(rounds=rounds, is_smoke=options.smoke)
    results.left_out = [way.label for way in WAYS.values() if not way.is_here]
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "results.json"
    measure(checked, 1, 1)
    for scenario in scenarios:
        results.scenarios[scenario.name] = scenario
        results.samples[scenario.name] = measure(scenario, rounds, attempts)
        results.save(path)  # what an interrupted run has is not lost
    if not options.only:
        if shutil.which("strace"):
            results.calls = system_calls(MB if options.smoke else 64 * MB)
        else:
            results.left_out.append("strace")
        if shutil.which("hyperfine"):
            results.commands = whole_commands(2 if options.smoke else 20)
        else:
            results.left_out.append("hyperfine")
        results.micro = single_steps(0.05 if options.smoke else 1.0)
    results.save(path)
    write(results, options.output)
    print(f"{options.output}/: results.json, report.md, report.html")


if __name__ == "__main__":
    main()
