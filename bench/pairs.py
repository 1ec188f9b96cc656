# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""Statistics of rounds: medians, ratios of pairs, and how sure they are.

What else the machine does makes samples slow, never fast, and comes in spells. So
two ways are measured in turn, and what is compared is the ratio within each round;
and nothing is assumed of how these are distributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

__all__ = ["CONFIDENCE", "Interval", "interval", "ratios"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """Where a median lies.

    Attributes:
        median: of the sample.
        low: the lower end.
        high: the upper end.
        confidence: the probability that the true median is between the two.
    """

    median: float
    low: float
    high: float
    confidence: float

    def over(self, other: Interval) -> Interval:
        """Return the ratio of two, each at its worst, which is more than enough."""
        return Interval(
            self.median / other.median,
            self.low / other.high,
            self.high / other.low,
            min(self.confidence, other.confidence),
        )


def interval(values: Sequence[float]) -> Interval:
    """Return the median and an interval by order statistics.

    Each value is above the true median with a probability of one half, whatever
    the distribution. So the k-th lowest and the k-th highest have it between them
    unless fewer than k lie on one side, which is a binomial matter. Six values are
    the fewest for 95 %; with fewer the extremes are taken, and the confidence told.

    Raises:
        ValueError: there is no value.

    >>> interval([5, 1, 4, 2, 3])
    Interval(median=3, low=1, high=5, confidence=0.9375)
    """
    if not values:
        raise ValueError("no median of nothing")
    ordered = sorted(values)
    count, rank, confidence = len(ordered), 1, 1 - 2 * 0.5 ** len(ordered)
    while rank < count // 2:
        tail = sum(comb(count, below) for below in range(rank + 1)) / 2**count
        if 1 - 2 * tail < CONFIDENCE:
            break
        rank, confidence = rank + 1, 1 - 2 * tail
    return Interval(median(ordered), ordered[rank - 1], ordered[-rank], confidence)


def ratios(values: Sequence[float], against: Sequence[float]) -> list[float]:
    """Return the ratio of each pair.

    Raises:
        ValueError: there are not as many of the one as of the other.
    """
    return [one / other for one, other in zip(values, against, strict=True)]
