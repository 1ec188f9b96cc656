# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Plots of what was measured, as SVG to be put into a page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl  # pyright: ignore[reportMissingImports]

mpl.use("svg")
from matplotlib import pyplot  # pyright: ignore[reportMissingImports]

if TYPE_CHECKING:
    from bench.pairs import Interval

__all__ = ["Axes", "bars", "curves", "distributions"]

mpl.rcParams.update(
    {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
     "axes.spines.right": False, "figure.constrained_layout.use": True}
)  # fmt: skip


@dataclass(frozen=True)
class Axes:
    """What is along the two sides of a plot, and whether in steps of ten."""

    x: str
    y: str = ""
    is_log: bool = False


def _svg(figure) -> str:  # noqa: ANN001  matplotlib may not be installed
    """Return the drawing without what comes before it in a file of its own."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return "<svg" + text.getvalue().partition("<svg")[2]


def bars(values: Mapping[str, Interval], limits: Sequence[str], axes: Axes) -> str:
    """Draw a bar for each value, with its interval, and a line at each limit."""
    figure, plot = pyplot.subplots(figsize=(7, 0.8 + 0.32 * len(values)))
    names = list(values)[::-1]
    middles = [values[name].median for name in names]
    errors = [
        [values[name].median - values[name].low for name in names],
        [values[name].high - values[name].median for name in names],
    ]
    colours = ["C1" if name in limits else "C0" for name in names]
    plot.barh(names, middles, xerr=errors, color=colours, capsize=3)
    for limit in limits:
        if limit in values:
            plot.axvline(values[limit].median, color="C1", linestyle="--", linewidth=1)
    plot.set_xlabel(axes.x)
    return _svg(figure)


def distributions(values: Mapping[str, Sequence[float]], axes: Axes) -> str:
    """Draw, for each, which share of the values is at most so high."""
    figure, plot = pyplot.subplots(figsize=(7, 3.2))
    for name, unsorted in values.items():
        ordered = sorted(unsorted)
        shares = [(number + 1) / len(ordered) for number in range(len(ordered))]
        plot.step(ordered, shares, where="post", label=name)
    plot.set_xlabel(axes.x)
    plot.set_ylabel(axes.y)
    if axes.is_log:
        plot.set_xscale("log")
    plot.legend()
    return _svg(figure)


def curves(values: Mapping[str, Mapping[float, Interval]], axes: Axes) -> str:
    """Draw, for each, a line through its values with their intervals."""
    figure, plot = pyplot.subplots(figsize=(7, 3.2))
    for name, points in values.items():
        middles = [point.median for point in points.values()]
        errors = [
            [point.median - point.low for point in points.values()],
            [point.high - point.median for point in points.values()],
        ]
        plot.errorbar(
            list(points), middles, yerr=errors, label=name, marker="o", capsize=3
        )
    if axes.is_log:
        plot.set_xscale("log")
        plot.set_yscale("log")
    else:
        plot.set_ylim(bottom=0)
    plot.set_xlabel(axes.x)
    plot.set_ylabel(axes.y)
    plot.legend()
    return _svg(figure)
