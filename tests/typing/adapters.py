"""Hooks that log, count and trace: each can be registered, and what they ask for."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import assert_type

from cuprum import (
    ExecHook,
    HookRegistration,
    LoggingHookRegistration,
    logging_hook,
    observe,
)
from cuprum.adapters.logging_adapter import (
    JsonLoggingFormatter,
    LogLevels,
    structured_logging_hook,
)
from cuprum.adapters.metrics_adapter import (
    InMemoryMetrics,
    MetricsCollector,
    MetricsHook,
    metrics_hook,
)
from cuprum.adapters.tracing_adapter import Span, Tracer, TracingHook, tracing_hook
from cuprum.adapters.tracing_memory import InMemorySpan, InMemoryTracer


class CountsOnly:
    """Half of a collector."""

    def inc_counter(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        print(name, value, labels)


def logs(logger: logging.Logger) -> None:
    with logging_hook(logger=logger, start_level=10, exit_level=20) as registration:
        assert_type(registration, LoggingHookRegistration)
        assert_type(registration.start_registration, HookRegistration)
        assert_type(registration.exit_registration, HookRegistration)
        assert_type(registration.detach(), None)
    levels = LogLevels(start_level=logging.DEBUG)
    assert_type(structured_logging_hook(logger=logger, levels=levels), ExecHook)
    observe(structured_logging_hook())
    _: logging.Formatter = JsonLoggingFormatter()
    levels.exit_level = logging.WARNING

    logging_hook(logger)  # pyright: ignore[reportCallIssue]
    logging_hook(logger="cuprum")  # pyright: ignore[reportArgumentType]
    structured_logging_hook(levels=10)  # pyright: ignore[reportArgumentType]
    LogLevels(plan_level="DEBUG")  # pyright: ignore[reportArgumentType]


def metrics(collector: MetricsCollector) -> None:
    memory = InMemoryMetrics()
    _0: MetricsCollector = memory
    _1: ExecHook = MetricsHook(collector)
    assert_type(metrics_hook(memory), MetricsHook)
    observe(metrics_hook(collector))
    assert_type(memory.counters, dict[str, float])
    assert_type(memory.histograms, dict[str, list[float]])
    assert_type(memory.reset(), None)

    metrics_hook(CountsOnly())  # pyright: ignore[reportArgumentType]
    MetricsHook()  # pyright: ignore[reportCallIssue]


def traces(tracer: Tracer) -> None:
    memory = InMemoryTracer()
    _0: Tracer = memory
    _1: Span = InMemorySpan("name")
    _2: ExecHook = TracingHook(tracer, record_output=False)
    assert_type(tracing_hook(memory), TracingHook)
    assert_type(tracer.start_span("name", {"a": 1}), Span)
    observe(tracing_hook(tracer, record_output=False))
    assert_type(memory.spans, list[InMemorySpan])
    assert_type(memory.spans[0].attributes, dict[str, object])
    assert_type(memory.spans[0].events, list[tuple[str, dict[str, object]]])
    assert_type(memory.spans[0].status_ok, bool | None)
    assert_type(memory.spans[0].ended, bool)

    tracing_hook(tracer, False)  # pyright: ignore[reportCallIssue]
    tracing_hook(CountsOnly())  # pyright: ignore[reportArgumentType]
