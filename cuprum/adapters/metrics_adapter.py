"""Events as counters and histograms.

>>> from cuprum import ECHO, observe, sh
>>> metrics = InMemoryMetrics()
>>> with observe(metrics_hook(metrics)):
...     _ = sh.make(ECHO)("hello").run_sync()
>>> metrics.counters
{'cuprum_executions_total': 1, 'cuprum_stdout_lines_total': 1}
>>> list(metrics.histograms)
['cuprum_duration_seconds']
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cuprum.events import ExecEvent

__all__ = [
    "InMemoryMetrics",
    "MetricsCollector",
    "MetricsHook",
    "UnhandledPhaseError",
    "metrics_hook",
]


class MetricsCollector(Protocol):
    """Where metrics go; what it raises ends the run."""

    def inc_counter(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add ``value`` to a counter."""

    def observe_histogram(
        self, name: str, value: float, labels: Mapping[str, str]
    ) -> None:
        """Add ``value`` to a distribution."""


class UnhandledPhaseError(ValueError):
    """There are no metrics for events of this phase.

    >>> issubclass(UnhandledPhaseError, ValueError)
    True
    """


class MetricsHook:
    """A hook that counts events with a collector; seconds and bytes are the units.

    =================== ==========================================================
    Phase               Metrics
    =================== ==========================================================
    ``start``           ``cuprum_executions_total``
    ``stdout``          ``cuprum_stdout_lines_total``
    ``stderr``          ``cuprum_stderr_lines_total``
    ``stdin``           ``cuprum_stdin_bytes_total``
    ``stdin_error``     ``cuprum_stdin_errors_total``
    ``exit``            ``cuprum_failures_total`` unless the status is 0;
                        ``cuprum_duration_seconds``, a histogram
    ``hop_end``         ``cuprum_hop_bytes_total``;
                        ``cuprum_hop_discarded_bytes_total`` if there are any;
                        histograms ``cuprum_hop_starved_seconds`` and
                        ``cuprum_hop_blocked_seconds``
    =================== ==========================================================

    The labels are ``program`` and ``project``, or ``"unknown"``; those of a hop are
    those of the stage before it and ``hop``, its index, which no more than the length
    of pipelines bounds: about as many series as there are stages.

    Args:
        collector: where the metrics go.

    >>> from cuprum import ECHO, observe, sh
    >>> metrics = InMemoryMetrics()
    >>> with observe(MetricsHook(metrics)):
    ...     _ = sh.make(ECHO)("hello").run_sync()
    >>> metrics.counters["cuprum_executions_total"]
    1
    """

    __slots__ = ("_collector",)

    def __init__(self, collector: MetricsCollector) -> None:
        self._collector = collector

    def __call__(self, event: ExecEvent) -> None:
        """Pass on what ``event`` counts for.

        Raises:
            UnhandledPhaseError: there is no such phase.
            Exception: what the collector raised.
        """
        if event.phase in ("plan", "hop_start"):
            return
        labels = _labels(event)

        def count(name: str, value: float = 1) -> None:
            self._collector.inc_counter(name, value, labels)

        def observe(name: str, value: float) -> None:
            self._collector.observe_histogram(name, value, labels)

        match event.phase:
            case "start":
                count("cuprum_executions_total")
            case "stdout" | "stderr":
                count(f"cuprum_{event.phase}_lines_total")
            case "stdin":
                if event.byte_count is not None:
                    count("cuprum_stdin_bytes_total", event.byte_count)
            case "stdin_error":
                count("cuprum_stdin_errors_total")
            case "exit":
                if event.exit_code:
                    count("cuprum_failures_total")
                if event.duration_s is not None:
                    observe("cuprum_duration_seconds", event.duration_s)
            case "hop_end":
                if event.hop is not None:
                    count("cuprum_hop_bytes_total", event.hop.bytes_written)
                    if discarded := event.hop.bytes_discarded:
                        count("cuprum_hop_discarded_bytes_total", discarded)
                    observe("cuprum_hop_starved_seconds", event.hop.waited_for_input)
                    observe("cuprum_hop_blocked_seconds", event.hop.waited_for_output)
            case _:
                raise UnhandledPhaseError(f"Unhandled metrics phase: {event.phase}")


def _labels(event: ExecEvent) -> dict[str, str]:
    labels = {
        "program": str(event.program or "unknown"),
        "project": str(event.tags.get("project") or "unknown"),
    }
    if event.hop_index is not None:
        labels["hop"] = str(event.hop_index)
    return labels


def metrics_hook(collector: MetricsCollector) -> MetricsHook:
    """Return a hook that counts events with ``collector``.

    >>> isinstance(metrics_hook(InMemoryMetrics()), MetricsHook)
    True
    """
    return MetricsHook(collector)


@dataclass
class InMemoryMetrics:
    """A collector for tests; safe with threads. It ignores the labels.

    Attributes:
        counters: the sum of each counter.
        histograms: the values of each histogram, in the order of their coming.

    >>> metrics = InMemoryMetrics()
    >>> metrics.inc_counter("runs_total", 2, {})
    >>> metrics.counters
    {'runs_total': 2}
    """

    counters: dict[str, float] = field(default_factory=dict[str, float])
    histograms: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    def inc_counter(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add ``value`` to the counter ``name``."""
        del labels
        with self._lock:
            self.counters[name] = self.counters.get(name, 0) + value

    def observe_histogram(
        self, name: str, value: float, labels: Mapping[str, str]
    ) -> None:
        """Append ``value`` to the histogram ``name``."""
        del labels
        with self._lock:
            self.histograms.setdefault(name, []).append(value)

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self.counters.clear()
            self.histograms.clear()
