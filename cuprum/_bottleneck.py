"""Which stage the others waited for: a pure function of the hops' reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum.pump import HopReport

__all__ = ["find_bottleneck"]

_MIN_SECONDS = 0.01
"""Waits below this are scheduling noise on a busy machine."""

_MIN_SHARE = 0.1
"""Below this share of the run, curing the stage would not be felt."""


def find_bottleneck(hops: Sequence[HopReport]) -> int | None:
    """Return the index of the slowest stage, or None where none stands out.

    A stage is slow as far as the hop before it was blocked and the hop after it
    was starved; the first and the last stage have only one of the two. Of several
    with one score the first is named.
    """
    if not hops:
        return None
    blocked = [hop.waited_for_output for hop in hops]
    starved = [hop.waited_for_input for hop in hops]
    middle = [min(pair) for pair in zip(blocked, starved[1:], strict=False)]
    scores = [starved[0], *middle, blocked[-1]]
    highest = max(scores)
    if highest < max(_MIN_SECONDS, _MIN_SHARE * max(hop.elapsed for hop in hops)):
        return None
    return scores.index(highest)
