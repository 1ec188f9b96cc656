# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""Rounds: each way of a scenario once, in turn; and which rounds count.

Where others use the processors, a way that needs two of them loses more than one
that does not: that does not cancel out. So a round in which others took more than a
tenth of a processor is best taken again. What others took is nothing that a way has
any influence on, and so the choice is no favour to any of them.
"""

from __future__ import annotations

from bench.plan import Scenario
from bench.ways import WAYS
from bench.worker import Sample, take_in_another_process

__all__ = ["Round", "is_quiet", "quietest", "take_round"]

OTHERS = 0.1

Round = dict[str, Sample]


def take_round(scenario: Scenario, number: int) -> Round:
    """Return a sample of each way that is installed.

    Every other round goes backwards, so that no way is always the first.
    """
    ways = [way for way in scenario.ways if WAYS[way].is_here]
    order = ways if number % 2 == 0 else ways[::-1]
    taken = {way: take_in_another_process(scenario, way) for way in order}
    return {way: taken[way] for way in ways}


def _disturbance(taken: Round) -> float:
    """Return how many processors others took during the worst sample."""
    return max(sample.figures["others"] for sample in taken.values())


def is_quiet(taken: Round) -> bool:
    """Tell whether the machine had next to nothing else to do."""
    return _disturbance(taken) <= OTHERS


def quietest(rounds: list[Round], count: int) -> list[Round]:
    """Return so many of the rounds, in the order in which they were taken."""
    kept = sorted(range(len(rounds)), key=lambda n: _disturbance(rounds[n]))[:count]
    return [rounds[number] for number in sorted(kept)]
