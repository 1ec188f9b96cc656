# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""See that nothing has become slower by more than a tenth.

`make bench-ratchet` measures a few pairs and compares their ratios with those in
bench/baseline.json; `make bench-baseline` replaces these, which is a decision.

A ratio of two ways that were measured in turn has most of the machine's moods on
both of its sides. It still varies; so what is judged is not a figure but where the
median of the ratios lies (`bench.pairs.interval`), then and now. A change is a
regression if even its most favourable reading, now's lower end over then's upper
end, is beyond the limit. If only the least favourable one is, nothing can be said
of it: that is told, and is no failure. For each gate alone an interval of 95 % can
be wrong to one side in 2.5 % of the runs; that both are, and by a tenth together,
is rare enough for CI.

Rounds in which the machine had something else to do do not count, and are taken
again while there is time (`bench.rounds`).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import cast

from bench.machine import describe
from bench.pairs import Interval, interval, ratios
from bench.plan import GATES, Gate, Scenario
from bench.rounds import Round, is_quiet, quietest, take_round

__all__ = ["BaselineError", "judge", "read_baseline", "verdict"]

LIMIT = 1.10
ROUNDS = 12
SECONDS = 75.0
"""After which no more rounds are begun, however many did not count."""
PATIENCE = 300.0
"""The same for a new baseline: then the quietest rounds are taken, and where they
were not quiet it has wide intervals, which allow few verdicts.
"""
FEWEST = 6
"""Rounds that have to be left for a verdict."""

Ratios = Mapping[str, Sequence[float]]


class BaselineError(Exception):
    """The baseline is not what it should be."""


def read_baseline(text: str, gates: Sequence[str]) -> dict[str, list[float]]:
    """Return the ratios of each gate.

    Raises:
        BaselineError: it is no JSON, or a gate has not enough ratios.
    """
    try:
        found: object = json.loads(text)["ratios"]
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"not a baseline: {error!r}") from None
    if not isinstance(found, dict):
        raise BaselineError("its ratios are no object")
    baseline: dict[str, list[float]] = {}
    for gate in gates:
        values = cast("dict[str, object]", found).get(gate)
        if not isinstance(values, list):
            raise BaselineError(f"it has no list for {gate!r}")
        items = cast("list[object]", values)
        if len(items) < FEWEST:
            raise BaselineError(f"{gate!r}: fewer than {FEWEST} ratios")
        baseline[gate] = []
        for item in items:
            if not isinstance(item, float) or not 0 < item < math.inf:
                raise BaselineError(f"{gate!r}: {item!r} is no ratio")
            baseline[gate].append(item)
    return baseline


def verdict(change: Interval) -> str:
    """Return ``slower``, ``unclear``, ``as before`` or ``faster``."""
    if change.low > LIMIT:
        return "slower"
    if change.high > LIMIT:
        return "unclear"
    return "faster" if change.high < 1 else "as before"


def judge(now: Ratios, baseline: Ratios) -> dict[str, tuple[str, Interval | None]]:
    """Return the verdict of each gate, and the change that it is about."""
    verdicts: dict[str, tuple[str, Interval | None]] = {}
    for gate, values in now.items():
        if len(values) < FEWEST:
            verdicts[gate] = "unclear", None
            continue
        change = interval(values).over(interval(baseline[gate]))
        verdicts[gate] = verdict(change), change
    return verdicts


# --- Measuring -----------------------------------------------------------------------


def _measure(seconds: float) -> dict[Scenario, list[Round]]:
    """Return rounds of each scenario, until enough of them were quiet or time is up."""
    taken: dict[Scenario, list[Round]] = {gate.scenario: [] for gate in GATES}
    began, number = monotonic(), 0
    while unfinished := [
        each for each in taken if sum(map(is_quiet, taken[each])) < ROUNDS
    ]:
        for scenario in unfinished:
            taken[scenario].append(take_round(scenario, number))
        number += 1
        if monotonic() - began > seconds:
            break
    return {each: quietest(taken[each], ROUNDS) for each in taken}


def _ratios(gate: Gate, rounds: Sequence[Round]) -> list[float]:
    """Return the ratio that a gate watches, of each round."""
    values, against = (
        [taken[way].figures[gate.figure] for taken in rounds]
        for way in (gate.way, gate.against)
    )
    return [round(each, 4) for each in ratios(values, against)]


def main() -> int:
    """Return 0, or 1 for a regression, or 2 if there is nothing to compare with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--update", action="store_true", help="replace the baseline")
    options = parser.parse_args()
    path: Path = options.baseline
    names = [gate.name for gate in GATES]
    if options.update:
        rounds = _measure(PATIENCE)
        new = {gate.name: _ratios(gate, rounds[gate.scenario]) for gate in GATES}
        baseline = {"machine": describe(), "ratios": new}
        path.write_text(json.dumps(baseline, indent=1) + "\n")
        return 0
    try:
        baseline = read_baseline(path.read_text(), names)
    except (OSError, BaselineError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    rounds = _measure(SECONDS)
    now = {
        gate.name: _ratios(gate, list(filter(is_quiet, rounds[gate.scenario])))
        for gate in GATES
    }
    verdicts = judge(now, baseline)
    for name, (word, change) in verdicts.items():
        figures = (
            f"{change.median:5.2f} times the baseline ({change.low:.2f} to "
            f"{change.high:.2f})"
            if change
            else "too few rounds in which the machine had nothing else to do"
        )
        print(f"{word:10}{name:40}{figures}")
    return 1 if any(word == "slower" for word, _ in verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
