"""Which stage the others waited for.

A stage is slow when the hop before it was blocked and the hop after it was
starved; the first and the last stage have one neighbour only.
"""

from __future__ import annotations

import pytest

from cuprum import HopReport
from cuprum._bottleneck import find_bottleneck


def hop(starved: float, blocked: float, elapsed: float = 2.0) -> HopReport:
    """Return a report of a hop that waited for so many seconds on each side."""
    return HopReport(
        bytes_read=1,
        bytes_written=1,
        bytes_discarded=0,
        engine="copy",
        broken_pipe=False,
        drain=None,
        elapsed=elapsed,
        waited_for_input=starved,
        waited_for_output=blocked,
    )


TABLE = {
    "no hops": ([], None),
    "nothing waited": ([hop(0, 0), hop(0, 0)], None),
    "two stages, slow producer": ([hop(1.5, 0)], 0),
    "two stages, slow consumer": ([hop(0, 1.5)], 1),
    "two stages, the slower one": ([hop(0.2, 1.2)], 1),
    "slow first, all starve": ([hop(1.5, 0), hop(1.5, 0), hop(1.5, 0)], 0),
    "slow last, all block": ([hop(0, 1.5), hop(0, 1.5), hop(0, 1.5)], 3),
    "slow second": ([hop(0, 1.5), hop(1.5, 0), hop(1.5, 0)], 1),
    "slow third": ([hop(0, 1.5), hop(0, 1.5), hop(1.5, 0)], 2),
    "the slower of two": ([hop(0, 1.9), hop(0.4, 1.4), hop(1.8, 0)], 2),
}


@pytest.mark.parametrize(("hops", "stage"), TABLE.values(), ids=TABLE)
def test_the_stage_that_the_others_waited_for(
    hops: list[HopReport], stage: int | None
) -> None:
    assert find_bottleneck(hops) == stage


@pytest.mark.parametrize(
    ("waited", "elapsed", "stage"),
    [
        (0.009, 0.05, None),  # under 10 ms, though it is most of the time
        (0.011, 0.05, 0),
        (0.090, 1.0, None),  # under a tenth of the run
        (0.110, 1.0, 0),
        (0.5, 10.0, None),
        (0.0, 0.0, None),
    ],
)
def test_a_short_wait_says_nothing(
    waited: float, elapsed: float, stage: int | None
) -> None:
    assert find_bottleneck([hop(waited, 0, elapsed)]) == stage


def test_the_longest_hop_sets_the_scale() -> None:
    brief = hop(0.2, 0, elapsed=0.3)
    assert find_bottleneck([brief, hop(0.0, 0.0, elapsed=0.3)]) == 0
    assert find_bottleneck([brief, hop(0.0, 0.0, elapsed=9.0)]) is None


def test_any_sequence_will_do() -> None:
    assert find_bottleneck((hop(1.5, 0),)) == 0
