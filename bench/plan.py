# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""What is measured, what is aimed at, and what must not become worse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = [
    "CHECKED",
    "GATES",
    "GOALS",
    "SCENARIOS",
    "Gate",
    "Goal",
    "Scenario",
]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MB, GB = 10**6, 10**9

BACKENDS = ("helper", "python")
REFERENCES = ("shell", "direct")
FILTERS = ("filter", "cat", "pv", "mbuffer", "socat")
LIBRARIES = ("asyncio", "plumbum", "sh")


@dataclass(frozen=True)
class Scenario:
    """One kind of work, and the ways in which it is done, in turn.

    The stages are `bench/stage.c`: one that produces, some that pass on, one that
    consumes. Where output is captured, the last one passes on, too.

    Attributes:
        name: what it is called in results.
        title: what it is, for people.
        ways: names of `bench.ways.WAYS`.
        size: bytes that go through each pipeline.
        stages: how many there are.
        chunk: bytes of each write of the producer; the others read 64 KiB.
        produce_rate: bytes a second; 0 for as fast as can be.
        consume_rate: likewise.
        capture: what is made of the output; None for nothing.
        line: length of the lines of the payload; 0 for none.
        callback: whether each line of the output is told.
        at_once: pipelines at the same time.
        repeats: pipelines, or such crowds of them, one after the other, where one
            is too short to be timed alone.
        lag: whether a timer is run beside it, to see how late the loop is.
        tiny: ``echo | cat`` in the place of those stages.
        seed: of pseudo-random content; 0 for the same bytes again and again, which
            cost the producer nothing.
    """

    name: str
    title: str
    ways: tuple[str, ...]
    size: int = 0
    stages: int = 2
    chunk: int = 64 * KIB
    produce_rate: int = 0
    consume_rate: int = 0
    capture: Literal["text", "bytes"] | None = None
    line: int = 0
    callback: bool = False
    at_once: int = 1
    repeats: int = 1
    lag: bool = False
    tiny: bool = False
    seed: int = 0

    @property
    def expected(self) -> int:
        """Bytes that all last stages together have to get."""
        return self.size * self.at_once * self.repeats

    def smaller(self) -> Scenario:
        """Return the same with less to do, to see that everything works."""
        return replace(
            self,
            title=f"{self.title}, cut short",
            size=min(self.size, 4 * MB),
            at_once=min(self.at_once, 10),
            repeats=min(self.repeats, 3),
        )


ALL = (*REFERENCES, *BACKENDS, *FILTERS, *LIBRARIES)
BRIEF = (*REFERENCES, *BACKENDS)

SCENARIOS = (
    Scenario("tiny", "`echo | cat`", ("shell", "direct", *BACKENDS, *LIBRARIES),
             size=6, repeats=50, capture="text", tiny=True),
    Scenario("size-1KB", "1 KB through one hop", ALL, size=10**3, repeats=30),
    Scenario("size-1MB", "1 MB through one hop", ALL, size=MB, repeats=20),
    Scenario("size-100MB", "100 MB through one hop", ALL, size=100 * MB),
    Scenario("size-8GB", "8 GB through one hop",
             (*BRIEF, *FILTERS, "asyncio"), size=8 * GB),
    Scenario("size-16GB", "16 GB through one hop", BACKENDS, size=16 * GB),
    Scenario("stages-2", "1 GB through two stages", (*BRIEF, "cat"), size=GB),
    Scenario("stages-3", "1 GB through three stages", (*BRIEF, "cat"),
             size=GB, stages=3),
    Scenario("stages-5", "1 GB through five stages", (*BRIEF, "cat"),
             size=GB, stages=5),
    Scenario("small", "100 MB in messages of 100 bytes", (*BRIEF, "cat", "pv"),
             size=100 * MB, chunk=100),
    Scenario("slow-producer", "10 MB from a producer of 20 MB/s", BRIEF,
             size=10 * MB, produce_rate=20 * MB),
    Scenario("slow-consumer", "10 MB to a consumer of 20 MB/s", BRIEF,
             size=10 * MB, consume_rate=20 * MB),
    Scenario("capture-bytes", "100 MB captured as bytes",
             (*BACKENDS, "run", "asyncio"), size=100 * MB, capture="bytes"),
    Scenario("capture-text", "100 MB captured as text",
             (*BACKENDS, "run"), size=100 * MB, capture="text"),
    Scenario("lines", "100 MB captured as text, each line of 100 bytes told",
             (*BACKENDS, "run"), size=100 * MB, capture="text", line=100,
             callback=True),
    Scenario("at-once-1", "one pipeline of 1 MB", BRIEF, size=MB, repeats=20),
    Scenario("at-once-10", "10 pipelines of 1 MB at once", BRIEF, size=MB, at_once=10,
             repeats=5),
    Scenario("at-once-100", "100 pipelines of 1 MB at once", BRIEF, size=MB,
             at_once=100),
    Scenario("lag-alone", "a timer each millisecond, and nothing beside it",
             ("idle",), lag=True),
    Scenario("lag", "the same timer, and 2 GB beside it", (*BACKENDS, "asyncio"),
             size=2 * GB, lag=True),
)  # fmt: skip

CHECKED = Scenario(
    "checked",
    "pseudo-random bytes, and their checksum at both ends",
    (*ALL, "run"),
    size=16 * MIB + 17,
    seed=20261121,
)
"""Done once in each way before anything is timed: speed without the data is none."""


@dataclass(frozen=True)
class Goal:
    """A figure that the project is to reach.

    Attributes:
        words: what is asked.
        scenario: where it is measured.
        way: whose figure it is.
        at_most: the limit of the figure, or of the median of its paired ratios.
        against: the way to which the ratio is taken; None for the figure itself.
        figure: which one; see `bench.worker.FIGURES`.
    """

    words: str
    scenario: str
    way: str
    at_most: float
    against: str | None = None
    figure: str = "seconds"


GOALS = (
    Goal("twice the speed of the shell's pipe", "size-8GB", "helper", 1 / 2.0,
         "shell"),
    Goal("0.95 of a direct pipe of 256 KiB", "size-8GB", "helper", 1 / 0.95,
         "direct"),
    Goal("five times the Python pump", "size-8GB", "helper", 1 / 5.0, "python"),
    Goal("`echo | cat` not slower than with the Python pump", "tiny", "helper", 1.0,
         "python"),
    Goal("five stages within 10 % of direct pipes", "stages-5", "helper", 1.1,
         "direct"),
    Goal("the helper takes 2 MiB at most", "size-8GB", "helper", 2 * MIB,
         figure="helper.memory"),
    Goal("Python grows by less than 1 MiB over 16 GB, helper", "size-16GB", "helper",
         MIB, figure="python.growth"),
    Goal("Python grows by less than 1 MiB over 16 GB, Python pump", "size-16GB",
         "python", MIB, figure="python.growth"),
    Goal("100 pipelines at once not slower than with the Python pump", "at-once-100",
         "helper", 1.0, "python"),
)  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """A ratio that the ratchet watches.

    Attributes:
        name: what it is called in the baseline.
        scenario: what is done; its ways are these two.
        figure: what is compared. ``cpu`` hardly feels what else the machine does.
    """

    name: str
    scenario: Scenario
    figure: str = "seconds"

    @property
    def way(self) -> str:
        """What is judged."""
        return self.scenario.ways[0]

    @property
    def against(self) -> str:
        """What it is measured by."""
        return self.scenario.ways[1]


def _pair(name: str, ways: tuple[str, str], **changes: object) -> Scenario:
    """Return the scenario of that name for these two ways."""
    found = next(scenario for scenario in SCENARIOS if scenario.name == name)
    return replace(found, ways=ways, **changes)  # type: ignore[arg-type]


_transfer = _pair("stages-2", ("helper", "shell"))
_stages = _pair("stages-5", ("helper", "shell"), size=GB // 4)
_small = _pair("small", ("helper", "shell"), size=20 * MB)
GATES = (
    Gate("1 GB, time", _transfer),
    Gate("1 GB, processor", _transfer, "cpu"),
    Gate("Python pump, 1 GB, time", _pair("stages-2", ("python", "shell"))),
    Gate("five stages, time", _stages),
    Gate("messages of 100 bytes, processor", _small, "cpu"),
    Gate("echo | cat, time", _pair("tiny", ("helper", "direct"))),
    Gate("capture as text, time", _pair("capture-text", ("helper", "run"))),
    Gate("20 pipelines at once, time",
         _pair("at-once-100", ("helper", "direct"), at_once=20)),
)  # fmt: skip
