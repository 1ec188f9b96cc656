# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""What a run of the benchmarks has found, and how it is kept in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.machine import describe
from bench.pairs import Interval, interval, ratios
from bench.plan import Scenario
from bench.worker import Sample

__all__ = ["Results"]


@dataclass
class Results:
    """All samples of one run.

    Attributes:
        machine: what `describe` said at the start.
        rounds: how many samples there are of each way.
        is_smoke: whether everything was cut short, so that no figure means anything.
        scenarios: what was measured, by name.
        samples: by scenario and way, in the order of the rounds.
        calls: system calls per GB of all processes, by way.
        commands: seconds of whole commands, each sample, by what is called.
        micro: seconds of single steps: lowest, quartiles, highest.
        left_out: what is not installed here.
    """

    machine: dict[str, str | int | float] = field(default_factory=describe)
    rounds: int = 0
    is_smoke: bool = False
    scenarios: dict[str, Scenario] = field(default_factory=dict[str, Scenario])
    samples: dict[str, dict[str, list[Sample]]] = field(
        default_factory=dict[str, dict[str, list[Sample]]]
    )
    calls: dict[str, float] = field(default_factory=dict[str, float])
    commands: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    micro: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    left_out: list[str] = field(default_factory=list[str])

    def values(self, scenario: str, way: str, figure: str) -> list[float]:
        """Return that figure of each round; nothing if it was not measured."""
        samples = self.samples.get(scenario, {}).get(way, [])
        return [each.figures[figure] for each in samples if figure in each.figures]

    def interval(
        self, scenario: str, way: str, figure: str, against: str | None = None
    ) -> Interval | None:
        """Return where the figure, or its ratio to another way's, lies.

        None if there is nothing of it.
        """
        values = self.values(scenario, way, figure)
        if values and against is not None:
            others = self.values(scenario, against, figure)
            values = ratios(values, others) if others else []
        return interval(values) if values else None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` has written."""
        found = json.loads(path.read_text())
        found["scenarios"] = {
            name: Scenario(**(each | {"ways": tuple(each["ways"])}))
            for name, each in found["scenarios"].items()
        }
        found["samples"] = {
            name: {way: [Sample(**each) for each in row] for way, row in ways.items()}
            for name, ways in found["samples"].items()
        }
        return cls(**found)
