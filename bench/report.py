# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""A report of the results: Markdown, and one page of HTML with plots."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path

from bench.pairs import Interval, interval
from bench.plan import GOALS, MIB, Goal, Scenario
from bench.results import Results
from bench.ways import WAYS

__all__ = ["Table", "markdown", "page", "tables", "write"]

REMEMBERED = ("tiny", "size-8GB", "size-16GB", "capture-bytes", "at-once-100")
ROLES = ("produce", "relay", "mover", "python", "consume")


@dataclass(frozen=True)
class Table:
    """A part of the report.

    Attributes:
        title: what it is about.
        head: names of the columns.
        rows: what stands in them, in Markdown.
        words: what there is to say of it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str = ""


# --- What stands in the tables -----------------------------------------------------


def _number(value: float) -> str:
    """Return three digits that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _spread(found: Interval | None, scale: float = 1) -> tuple[str, str]:
    """Return a median and the ends of its interval."""
    if found is None:
        return "", ""
    low, high = _number(found.low * scale), _number(found.high * scale)
    return _number(found.median * scale), f"{low}–{high}"


def _verdict(goal: Goal, found: Interval) -> str:
    """Tell whether a goal is reached, where the interval allows to tell."""
    if found.high <= goal.at_most:
        return "reached"
    if found.low > goal.at_most:
        return "missed"
    return "reached, nearly" if found.median <= goal.at_most else "missed, nearly"


def _goals(results: Results) -> Table:
    """Say which goals are reached."""
    rows: list[tuple[str, ...]] = []
    for goal in GOALS:
        found = results.interval(goal.scenario, goal.way, goal.figure, goal.against)
        if found is None:
            rows.append((goal.words, "", "", "", "not measured"))
        else:
            unit = f" of {WAYS[goal.against].label}" if goal.against else " bytes"
            middle, ends = _spread(found)
            verdict = _verdict(goal, found)
            limit = _number(goal.at_most) + unit
            rows.append((goal.words, limit, middle, ends, verdict))
    return Table(
        "Goals", ("goal", "at most", "found", "between", ""), rows,
        "Ratios are of times: lower is better. *Nearly*: the limit is within what "
        "the rounds leave open.",
    )  # fmt: skip


def _scenario(results: Results, scenario: Scenario) -> Table:
    """Say how each way has done with a scenario."""
    ways = results.samples[scenario.name]
    first = next(iter(ways))
    moved = scenario.size * scenario.at_once
    rows: list[tuple[str, ...]] = []
    for way in ways:
        seconds = results.interval(scenario.name, way, "seconds")
        ratio = results.interval(scenario.name, way, "seconds", first)
        cpu = results.interval(scenario.name, way, "cpu")
        others = results.interval(scenario.name, way, "others")
        rate = f"{moved / seconds.median / 1e9:.3g}" if seconds else ""
        middle = {
            name: _number(found.median)
            for name in ("python.switches", "mover.switches")
            if (found := results.interval(scenario.name, way, name))
        }
        rows.append(
            (WAYS[way].label, *_spread(seconds, 1e3), rate, *_spread(ratio),
             _spread(cpu, 1e3)[0], *middle.values(), _spread(others)[0])
        )  # fmt: skip
    return Table(
        f"{scenario.title} (`{scenario.name}`)",
        ("way", "ms", "between", "GB/s", "ratio", "between", "CPU ms",
         "switches: Python", "mover", "others"),
        rows,
    )  # fmt: skip


def _processors(results: Results, scenario: Scenario) -> Table:
    """Say which process has used how much of the processor."""
    rows: list[tuple[str, ...]] = []
    for way in results.samples[scenario.name]:
        cells = [WAYS[way].label]
        for role in ROLES:
            found = [
                results.interval(scenario.name, way, f"{role}.{kind}")
                for kind in ("user", "system")
            ]
            cells.append(" + ".join(f"{each.median:.2f}" for each in found if each))
        rows.append(tuple(cells))
    return Table(
        f"Processor seconds, user + system: {scenario.title}",
        ("way", *ROLES), rows,
        "The mover is the helper, the program in the pipe, or the shell itself.",
    )  # fmt: skip


def _figures(
    results: Results,
    title: str,
    scenarios: Sequence[str],
    figures: Sequence[str],
    unit: tuple[str, float],
) -> Table:
    """Show figures that only some of the samples have."""
    name, scale = unit
    rows: list[tuple[str, ...]] = []
    for scenario in scenarios:
        for way in results.samples.get(scenario, {}):
            found = [results.interval(scenario, way, figure) for figure in figures]
            if any(found):
                rows.append(
                    (scenario, WAYS[way].label,
                     *(cell for each in found for cell in _spread(each, scale)))
                )  # fmt: skip
    head = [word for figure in figures for word in (f"{figure}, {name}", "between")]
    return Table(title, ("scenario", "way", *head), rows)


def _times(
    title: str, values: dict[str, list[float]], scale: float, unit: str
) -> Table:
    """Show lists of seconds."""
    rows = [(name, *_spread(interval(times), scale)) for name, times in values.items()]
    return Table(title, ("what", unit, "between"), rows)


def tables(results: Results) -> list[Table]:
    """Return everything that there is to tell."""
    measured = list(results.scenarios.values())
    large = [each for each in measured if each.name in ("size-8GB", "stages-5")]
    calls = [(WAYS[way].label, _number(n)) for way, n in results.calls.items()]
    steps = {
        name: [low, mid, high] for name, (low, _, mid, _, high) in results.micro.items()
    }
    found = [
        *([] if results.is_smoke else [_goals(results)]),
        *(_scenario(results, each) for each in measured),
        *(_processors(results, each) for each in large),
        _figures(results, "Lateness of the event loop", ("lag-alone", "lag"),
                 ("lag.p50", "lag.p99", "lag.max"), ("ms", 1e3)),
        _figures(results, "Peak memory", REMEMBERED,
                 ("python.memory", "python.growth", "helper.memory"),
                 ("MiB", 1 / MIB)),
        Table("System calls per GB, all processes", ("way", "calls"), calls,
              "Counted by strace, which slows them down."),
        _times("Whole commands, by hyperfine", results.commands, 1e3, "ms"),
        _times("Single steps, by pytest-benchmark", steps, 1e6, "µs"),
    ]  # fmt: skip
    return [table for table in found if table.rows]


def _preface(results: Results) -> str:
    """Say what the figures depend on, and how to read them."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    missing = ", ".join(results.left_out) or "nothing"
    return (
        f"{machine}. {results.rounds} rounds of all ways in turn, the "
        "quietest of more where others were busy. Left out, because it is not "
        f"installed: {missing}. Medians; *between* are the ends of an interval "
        "that has the true median with 95 % (the extremes, where there are fewer than "
        "six rounds: 94 % for five). Ratios are taken within each round, to the first "
        "row. *Others* is how many processors other programs kept busy meanwhile."
    )


# --- Markdown ----------------------------------------------------------------------


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown(results: Results) -> str:
    """Return the report in Markdown."""
    parts = ["# Measurements", _preface(results)]
    for table in tables(results):
        rule = ["---" if n == 0 else "---:" for n in range(len(table.head))]
        lines = [_row(table.head), _row(rule), *map(_row, table.rows)]
        parts += [f"## {table.title}", *filter(None, [table.words]), "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


# --- HTML --------------------------------------------------------------------------

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
"""


def _html(text: str) -> str:
    """Return the little Markdown that there is as HTML."""
    text = escape(text.replace(r"\|", "|"), quote=False)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", text)


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{_html(cell)}</th>" for cell in table.head)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>\n"
        for row in table.rows
    )
    words = f"<p>{_html(table.words)}</p>\n" if table.words else ""
    return (
        f"<h2>{_html(table.title)}</h2>\n{words}"
        f"<table><tr>{head}</tr>\n{rows}</table>\n"
    )


def page(results: Results, plots: Sequence[tuple[str, str]]) -> str:
    """Return the report as one page; ``plots`` are titles and drawings."""
    drawn = "".join(f"<h2>{_html(title)}</h2>\n{svg}\n" for title, svg in plots)
    shown = "".join(map(_html_table, tables(results)))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>cuprum-pump: measurements</title>\n<style>{STYLE}</style>\n"
        f"<h1>Measurements</h1>\n<p>{_html(_preface(results))}</p>\n"
        f"{drawn}{shown}</html>\n"
    )


def _label(way: str) -> str:
    return WAYS[way].label.replace("`", "")


def _series(
    results: Results, scenarios: Sequence[Scenario], along: Callable[[Scenario], float]
) -> dict[str, dict[float, Interval]]:
    """Return milliseconds by way, and by what ``along`` makes of the scenario."""
    values: dict[str, dict[float, Interval]] = {}
    for scenario in scenarios:
        for way in ("shell", "direct", "helper", "python"):
            found = [t * 1e3 for t in results.values(scenario.name, way, "seconds")]
            if found:
                values.setdefault(_label(way), {})[along(scenario)] = interval(found)
    return values


def draw(results: Results) -> list[tuple[str, str]]:
    """Return the plots, each with a title."""
    from bench.plots import Axes, bars, curves, distributions

    def named(prefix: str) -> list[Scenario]:
        return [
            scenario
            for name, scenario in results.scenarios.items()
            if name.startswith(prefix)
        ]

    drawn: list[tuple[str, str]] = []
    limits = [_label("shell"), _label("direct")]
    for scenario in (*named("size-"), *named("stages-"), *named("small")):
        moved = scenario.expected / scenario.repeats / 1e9
        rates = {
            _label(way): interval([moved / each.figures["seconds"] for each in samples])
            for way, samples in results.samples[scenario.name].items()
        }
        drawn.append((scenario.title, bars(rates, limits, Axes("GB/s"))))
    for scenario in named("tiny"):
        times = {
            _label(way): [1e3 * time for each in samples for time in each.times]
            for way, samples in results.samples[scenario.name].items()
        }
        axes = Axes("ms", "share of the runs", is_log=True)
        drawn.append((f"How long {scenario.title} takes", distributions(times, axes)))
    studies: list[tuple[str, str, Callable[[Scenario], float], Axes]] = [
        ("Cost against size", "size-", lambda each: each.size,
         Axes("bytes", "ms", is_log=True)),
        ("Cost of 1 GB against hops", "stages-", lambda each: each.stages - 1,
         Axes("hops", "ms")),
        ("Cost against pipelines at once", "at-once-", lambda each: each.at_once,
         Axes("pipelines of 1 MB at once", "ms", is_log=True)),
    ]  # fmt: skip
    for title, prefix, along, axes in studies:
        if values := _series(results, named(prefix), along):
            drawn.append((title, curves(values, axes)))
    lags = {
        f"{_label(way)}, {figure[4:]}": found
        for scenario in named("lag")
        for way in results.samples[scenario.name]
        for figure in ("lag.p50", "lag.p99", "lag.max")
        if (found := results.interval(scenario.name, way, figure))
    }
    if lags:
        title = "How late the event loop is for a timer"
        drawn.append((title, bars(lags, (), Axes("seconds"))))
    return drawn


def write(results: Results, directory: Path) -> None:
    """Write the report; the page goes without plots where matplotlib is missing."""
    plots = draw(results) if find_spec("matplotlib") else []
    (directory / "report.md").write_text(markdown(results))
    (directory / "report.html").write_text(page(results, plots))


def main() -> None:
    """Write the report of a results.json anew, beside it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("results", type=Path)
    path: Path = parser.parse_args().results
    write(Results.load(path), path.parent)


if __name__ == "__main__":
    main()
