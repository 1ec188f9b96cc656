"""Progress: told on time, also while nothing moves, and exact at the end."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cuprum import RunOutputOptions, partial_output
from tests.support.stages import cat, command, python, shell, sleep

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import HopReport, Pipeline, PipelineResult

pytestmark = pytest.mark.usefixtures("stream_backend")

QUIET = RunOutputOptions(capture=False)


@dataclass
class Watch:
    """A callback that keeps what it is told, and when."""

    told: list[tuple[HopReport, ...]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __call__(self, reports: tuple[HopReport, ...]) -> None:
        """Keep it."""
        self.times.append(time.monotonic())
        self.told.append(reports)

    def __len__(self) -> int:
        """Be empty at first, which is not to be taken for no callback."""
        return len(self.told)

    def run(self, pipeline: Pipeline, interval: float) -> PipelineResult[str]:
        """Run *pipeline* and watch it."""
        return pipeline.run_sync(
            output=QUIET, on_progress=self, progress_interval=interval, timeout=25
        )

    def hop(self, index: int) -> list[HopReport]:
        """Return what was told of one hop."""
        return [reports[index] for reports in self.told]


# --- When ----------------------------------------------------------------------------


def told_every_tenth_of_a_second(pipeline: Pipeline) -> None:
    """Run *pipeline*, which takes more than half a second, and see when it is told."""
    watch = Watch()
    began = time.monotonic()
    watch.run(pipeline, 0.1)
    due = (time.monotonic() - began) / 0.1
    ticks = watch.times[:-1]  # and one at the end
    assert due / 2 < len(ticks) <= due  # a busy machine may swallow some
    gaps = sorted(after - before for before, after in itertools.pairwise(ticks))
    assert gaps[len(gaps) // 2] == pytest.approx(0.1, abs=0.05)


def test_it_is_told_at_the_interval_while_nothing_moves() -> None:
    told_every_tenth_of_a_second(sleep(0.65) | cat())


def test_it_is_told_at_the_interval_while_much_moves() -> None:
    zeros = command("timeout", "0.65", "cat", "/dev/zero")
    told_every_tenth_of_a_second(zeros | cat() | shell("exec cat >/dev/null"))


def test_what_was_missed_is_not_made_up_for() -> None:
    # Each call takes two and a half intervals, so that every third one is to be had.
    watch = Watch()

    def slowly(reports: tuple[HopReport, ...]) -> None:
        watch(reports)
        time.sleep(0.25)

    (sleep(1.1) | cat()).run_sync(
        output=QUIET, on_progress=slowly, progress_interval=0.1, timeout=20
    )
    gaps = [b - a for a, b in itertools.pairwise(watch.times[:-1])]
    assert len(gaps) >= 2
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.3, abs=0.04)


def test_an_interval_longer_than_the_run_leaves_the_report_at_the_end() -> None:
    watch = Watch()
    result = watch.run(command("echo", "x") | cat(), 10**9)
    assert watch.told == [result.hops]


# --- What ----------------------------------------------------------------------------


def moved(report: HopReport) -> tuple[float, ...]:
    """Return what can only grow."""
    return (
        report.bytes_read,
        report.bytes_written,
        report.bytes_discarded,
        report.elapsed,
        report.waited_for_input,
        report.waited_for_output,
    )


def test_counts_only_grow_and_the_last_are_those_of_the_result() -> None:
    watch = Watch()
    zeros = command("head", "-c", 100_000_000, "/dev/zero")
    result = watch.run(zeros | cat() | shell("exec cat >/dev/null"), 0.005)
    assert len(watch.told) > 5
    for hop in range(2):
        for before, after in itertools.pairwise(watch.hop(hop)):
            grown = zip(moved(before), moved(after), strict=True)
            assert all(b <= a for b, a in grown), (before, after)
    middle = watch.hop(0)[len(watch.told) // 2]
    assert 0 < middle.bytes_written < 100_000_000
    assert watch.told[-1] == result.hops
    assert [hop.bytes_written for hop in result.hops] == [100_000_000] * 2
    assert [hop.waiting for hop in result.hops] == [None, None]


def test_the_last_report_has_the_drain_of_a_reader_that_left() -> None:
    watch = Watch()
    result = watch.run(command("yes") | command("head", "-c", 1_000_000), 0.02)
    assert watch.told[-1] == result.hops
    assert result.hops[0].broken_pipe
    counts = [report.bytes_read for report in watch.hop(0)]
    assert counts == sorted(counts)


def test_the_engine_is_named_from_the_first_byte_on(stream_backend: str) -> None:
    watch = Watch()
    result = watch.run(shell("echo x; sleep .3") | cat(), 0.05)
    engines = {report.engine for report in watch.hop(0) if report.bytes_read}
    assert engines == {result.hops[0].engine}
    assert ("python" in engines) == (stream_backend == "python")


PACED = "import os, time\nfor _ in range(9): os.write(1, bytes(1000)); time.sleep(.1)\n"


def test_a_hop_waits_for_the_input_of_a_slow_producer() -> None:
    watch = Watch()
    watch.run(python(PACED) | cat(), 0.05)
    waiting = [report.waiting for report in watch.hop(0)]
    assert waiting[-1] is None
    assert "output" not in waiting
    assert waiting.count("input") >= len(waiting) * 2 // 3
    seen = {report.bytes_read for report in watch.hop(0)}
    assert len(seen & {1000 * count for count in range(1, 10)}) >= 5


def test_a_hop_waits_for_the_output_of_a_slow_consumer() -> None:
    watch = Watch()
    slow = "import os, time\nwhile os.read(0, 4096): time.sleep(0.01)\n"
    zeros = command("head", "-c", 300_000, "/dev/zero")
    watch.run(zeros | python(slow), 0.05)
    waiting = [report.waiting for report in watch.hop(0)]
    assert waiting[-1] is None
    # Once the last of it lies in the pipe, the hop has ended and waits no more.
    assert waiting.count("output") >= 5
    last = max(n for n, side in enumerate(waiting) if side == "output")
    assert "input" not in waiting[2:last]


def test_a_hop_that_is_stalled_says_for_how_long() -> None:
    watch = Watch()
    watch.run(shell("echo x; sleep .6") | cat(), 0.1)
    stalled = [report for report in watch.hop(0) if report.waiting == "input"]
    assert len(stalled) >= 3
    assert {report.bytes_written for report in stalled[1:]} == {2}
    first, last = stalled[0], stalled[-1]
    waited = last.waited_for_input - first.waited_for_input
    assert waited == pytest.approx(last.elapsed - first.elapsed, abs=0.05)
    assert waited > 0.15


# --- Callbacks that fail -------------------------------------------------------------


class Refusal(Exception):
    """What the callbacks below raise."""


@pytest.mark.parametrize("error", [Refusal("enough"), asyncio.CancelledError()])
def test_a_callback_that_raises_ends_the_run(error: BaseException) -> None:
    calls: list[object] = []

    def refuse(reports: object) -> None:
        calls.append(reports)
        if len(calls) == 3:
            raise error

    async def main() -> None:
        run = (sleep(60) | cat()).run(
            on_progress=refuse, progress_interval=0.02, timeout=20
        )
        began = time.monotonic()
        with pytest.raises(type(error)) as caught:
            await run
        assert time.monotonic() - began < 5
        assert partial_output(caught.value) is not None

    asyncio.run(main())
    assert len(calls) == 3


def test_a_callback_that_raises_at_the_end_fails_the_run() -> None:
    def refuse(_: object) -> None:
        raise Refusal

    with pytest.raises(Refusal):
        (command("true") | cat()).run_sync(on_progress=refuse, progress_interval=100)


def test_a_run_that_fails_has_no_last_report() -> None:
    watch = Watch()
    with pytest.raises(TimeoutError):
        (sleep(60) | cat()).run_sync(
            on_progress=watch, progress_interval=60, timeout=0.1
        )
    assert watch.told == []


@pytest.mark.parametrize("interval", [0, -1, math.nan, math.inf, 10**9 + 1])
def test_an_interval_that_is_none_is_refused(interval: float, tmp_path: Path) -> None:
    touch = command("touch", str(tmp_path / "ran"))
    with pytest.raises(ValueError, match="progress_interval must be > 0"):
        (touch | touch).run_sync(on_progress=print, progress_interval=interval)
    assert not (tmp_path / "ran").exists()


def test_the_shortest_interval_will_do() -> None:
    watch = Watch()
    result = watch.run(sleep(0.1) | cat(), 1e-9)
    assert watch.told[-1] == result.hops
    assert len(watch.told) > 2
