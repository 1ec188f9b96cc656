# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""What `make bench-smoke` has left is whole: it runs this on it.

Not among the package's tests, for it needs the benchmarks' own tools.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.plan import SCENARIOS
from bench.report import draw
from bench.results import Results
from bench.ways import WAYS

DIRECTORY = Path(os.environ["BENCH_RESULTS"])


@pytest.fixture(scope="module")
def results() -> Results:
    """Read what the run has found."""
    return Results.load(DIRECTORY / "results.json")


def test_everything_was_measured(results: Results) -> None:
    """Each scenario, in each way, and what is not a scenario."""
    assert results.left_out == []
    planned = {each.name: list(each.ways) for each in SCENARIOS}
    found = {name: list(ways) for name, ways in results.samples.items()}
    assert found == planned
    assert all(results.calls.values())
    assert results.commands
    assert results.micro


def test_the_report_names_each_way(results: Results) -> None:
    """In Markdown."""
    text = (DIRECTORY / "report.md").read_text()
    assert all(WAYS[way].label in text for way in WAYS)


def test_the_plots_are_drawings(results: Results) -> None:
    """Well-formed, and with something to see."""
    plots = draw(results)
    assert len(plots) > 10
    for title, svg in plots:
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", title
        assert root.findall(".//{http://www.w3.org/2000/svg}path"), title


def test_the_page_needs_nothing_else(results: Results) -> None:
    """No script, no picture, no style sheet of anybody's."""
    text = (DIRECTORY / "report.html").read_text()
    assert text.count("<svg") == len(draw(results))
    assert not re.search(r'(?:src|href)="(?!#)|@import|<script', text)


def test_nothing_says_where_it_was_measured() -> None:
    """Neither a path of this machine's nor its users' names."""
    for name in ("results.json", "report.md", "report.html"):
        text = (DIRECTORY / name).read_text()
        assert str(DIRECTORY.parent) not in text
        assert not re.search(r"/(?:home|work|root|tmp)/", text)
