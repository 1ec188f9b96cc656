"""Events as metrics: what each phase counts, in which order, under which labels."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cuprum.adapters.metrics_adapter import (
    InMemoryMetrics,
    MetricsHook,
    UnhandledPhaseError,
    metrics_hook,
)
from tests.support.exec_events import REPORT, event
from tests.support.threads import THREADS, in_threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cuprum.events import ExecEvent


class Calls:
    """A collector that keeps what it is told, until it fails."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.told: list[tuple[str, str, float]] = []
        self.labels: list[Mapping[str, str]] = []
        self._fails_at = fails_at

    def _note(
        self, kind: str, name: str, value: float, labels: Mapping[str, str]
    ) -> None:
        if name == self._fails_at:
            raise ConnectionError(name)
        self.told.append((kind, name, value))
        self.labels.append(labels)

    def inc_counter(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Note it."""
        self._note("+", name, value, labels)

    def observe_histogram(
        self, name: str, value: float, labels: Mapping[str, str]
    ) -> None:
        """Note it."""
        self._note("h", name, value, labels)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (event("plan"), []),
        (event("start"), [("+", "cuprum_executions_total", 1)]),
        (event("stdout"), [("+", "cuprum_stdout_lines_total", 1)]),
        (event("stderr"), [("+", "cuprum_stderr_lines_total", 1)]),
        (event("stdin"), [("+", "cuprum_stdin_bytes_total", 12)]),
        (event("stdin", byte_count=0), [("+", "cuprum_stdin_bytes_total", 0)]),
        (event("stdin", byte_count=None), []),
        (event("stdin_error"), [("+", "cuprum_stdin_errors_total", 1)]),
        (
            event("exit"),
            [("+", "cuprum_failures_total", 1), ("h", "cuprum_duration_seconds", 0.25)],
        ),
        (
            event("exit", exit_code=-9, duration_s=None),
            [("+", "cuprum_failures_total", 1)],
        ),
        (
            event("exit", exit_code=0, duration_s=0.0),
            [("h", "cuprum_duration_seconds", 0.0)],
        ),
        (
            event("exit", exit_code=None),
            [("h", "cuprum_duration_seconds", 0.25)],
        ),
        (event("hop_start"), []),
        (
            event("hop_end"),
            [
                ("+", "cuprum_hop_bytes_total", 90),
                ("+", "cuprum_hop_discarded_bytes_total", 10),
                ("h", "cuprum_hop_starved_seconds", 1.25),
                ("h", "cuprum_hop_blocked_seconds", 0.5),
            ],
        ),
        (
            event("hop_end", hop=replace(REPORT, bytes_written=0, bytes_discarded=0)),
            [
                ("+", "cuprum_hop_bytes_total", 0),
                ("h", "cuprum_hop_starved_seconds", 1.25),
                ("h", "cuprum_hop_blocked_seconds", 0.5),
            ],
        ),
        (event("hop_end", hop=None), []),
    ],
    ids=lambda value: value.phase if hasattr(value, "phase") else "",
)
def test_what_each_phase_counts_in_order(
    made: ExecEvent, told: list[tuple[str, str, float]]
) -> None:
    calls = Calls()
    assert metrics_hook(calls)(made) is None
    assert calls.told == told
    hop = {"hop": "1"} if made.hop_index is not None else {}
    for labels in calls.labels:
        assert labels == {"program": "sort", "project": "tests", **hop}


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ({"program": ""}, {"program": "unknown", "project": "tests"}),
        ({"tags": {}}, {"program": "sort", "project": "unknown"}),
        ({"tags": {"project": ""}}, {"program": "sort", "project": "unknown"}),
        ({"tags": {"project": None}}, {"program": "sort", "project": "unknown"}),
        ({"tags": {"project": 7}}, {"program": "sort", "project": "7"}),
    ],
)
def test_labels_that_are_empty_or_missing_are_unknown(
    fields: dict[str, object], labels: dict[str, str]
) -> None:
    calls = Calls()
    MetricsHook(calls)(event("start", **fields))
    assert calls.labels == [labels]


def test_of_a_plan_not_even_the_labels_are_made() -> None:
    MetricsHook(Calls())(event("plan", tags=None))  # which would have no `get`


def test_a_phase_that_nobody_knows_is_an_error() -> None:
    calls = Calls()
    with pytest.raises(ValueError, match=r"^Unhandled metrics phase: new$") as caught:
        metrics_hook(calls)(event("new"))
    assert caught.type is UnhandledPhaseError
    assert calls.told == []


@pytest.mark.parametrize(
    ("fails_at", "before"),
    [
        ("cuprum_failures_total", []),
        ("cuprum_duration_seconds", [("+", "cuprum_failures_total", 1)]),
    ],
)
def test_what_the_collector_raises_gets_out_and_nothing_is_tried_again(
    fails_at: str, before: list[tuple[str, str, float]]
) -> None:
    calls = Calls(fails_at)
    with pytest.raises(ConnectionError, match=fails_at):
        metrics_hook(calls)(event("exit"))
    assert calls.told == before


def test_the_hook_has_no_room_for_other_attributes() -> None:
    assert not hasattr(MetricsHook(Calls()), "__dict__")


# --- In memory ------------------------------------------------------------------------


def test_in_memory_adds_up_and_forgets() -> None:
    metrics = InMemoryMetrics(counters={"kept": 1.0}, histograms={"old": [1.0]})
    metrics.inc_counter("kept", 2, {"program": "a"})
    metrics.inc_counter("kept", 3, {"program": "b"})
    metrics.observe_histogram("old", 2.0, {})
    metrics.observe_histogram("new", 0.5, {})
    assert metrics.counters == {"kept": 6}
    assert metrics.histograms == {"old": [1.0, 2.0], "new": [0.5]}
    metrics.reset()
    assert metrics == InMemoryMetrics()
    assert (metrics.counters, metrics.histograms) == ({}, {})


class Interrupted(dict[str, float]):
    """A dict in the middle of whose use another thread has its turn."""

    def get(self, key: str, default: float = 0) -> float:  # type: ignore[override]
        """Return a value that may be old by now."""
        value = super().get(key, default)
        time.sleep(0)
        return value


def test_in_memory_loses_nothing_under_threads() -> None:
    metrics = InMemoryMetrics(counters=Interrupted())
    hook = metrics_hook(metrics)
    made = [event("start"), event("stdout"), event("exit"), event("hop_end")]
    times = 200

    def work() -> None:
        for _ in range(times):
            for one in made:
                hook(one)

    in_threads(work)
    total = THREADS * times
    assert metrics.counters == {
        "cuprum_executions_total": total,
        "cuprum_stdout_lines_total": total,
        "cuprum_failures_total": total,
        "cuprum_hop_bytes_total": 90 * total,
        "cuprum_hop_discarded_bytes_total": 10 * total,
    }
    assert {name: len(values) for name, values in metrics.histograms.items()} == {
        "cuprum_duration_seconds": total,
        "cuprum_hop_starved_seconds": total,
        "cuprum_hop_blocked_seconds": total,
    }
