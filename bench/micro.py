# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Single steps, for pytest-benchmark; `make bench` runs them.

A pump's latency, a job handed over, a stream taken in.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from cuprum import PumpOptions
from cuprum._helper_backend import require_helper
from cuprum._helper_pool import WarmJob, close_pool
from cuprum._helper_process import OwnHelper, job_options
from cuprum._streams_helper import helper_consume_stream

MESSAGE = b"x" * 100
TEXT = b"x" * 60_000  # a pipe holds it, so that nobody has to write meanwhile


class Benchmark(Protocol):
    """As much of pytest-benchmark's fixture as is used here."""

    def __call__(self, step: Callable[[], object]) -> object:
        """Take ``step`` again and again, and the time."""
        ...


@pytest.fixture
def owner() -> Iterator[ExitStack]:
    """Close what was opened; leave no helper behind."""
    with ExitStack() as stack:
        stack.callback(close_pool)
        yield stack


def make_pipe(owner: ExitStack) -> tuple[int, int]:
    """Return a pipe's two ends, which the owner closes: first the one to write."""
    reader, writer = os.pipe()
    owner.callback(os.close, reader)
    owner.callback(os.close, writer)
    return reader, writer


@pytest.mark.parametrize("between", ["nobody", "cuprum-pump", "cat"])
def test_latency(benchmark: Benchmark, owner: ExitStack, between: str) -> None:
    """A message of 100 bytes, from write to read."""
    if between == "nobody":
        reader, writer = make_pipe(owner)
    else:
        far, writer = os.pipe()
        argv = [os.environ["CUPRUM_PUMP"]] if between == "cuprum-pump" else ["cat"]
        pump = owner.enter_context(
            subprocess.Popen(argv, stdin=far, stdout=subprocess.PIPE)
        )
        os.close(far)
        owner.callback(os.close, writer)  # with that it ends
        assert pump.stdout is not None
        reader = pump.stdout.fileno()

    def send() -> None:
        os.write(writer, MESSAGE)
        assert os.read(reader, 4096) == MESSAGE

    benchmark(send)


@pytest.mark.parametrize("kind", [WarmJob, OwnHelper])
def test_job(
    benchmark: Benchmark, owner: ExitStack, kind: type[WarmJob | OwnHelper]
) -> None:
    """A job with nothing to move, from the request to the helper's release."""
    runner = owner.enter_context(asyncio.Runner())
    path, options = require_helper(), job_options(PumpOptions())

    def hand_over() -> None:
        with ExitStack() as stack:
            sink, writer = os.pipe()
            source, end = os.pipe()
            os.close(end)
            for number in (sink, writer, source):
                stack.callback(os.close, number)
            job = kind(path, options, [source, writer], stack)
            records = b""
            while b'"end"' not in records:
                more = os.read(job.status.fileno(), 4096)
                assert more, records
                records += more
            assert runner.run(job.release()) in (0, None)

    benchmark(hand_over)


@pytest.mark.parametrize("by", ["helper", "read"])
def test_consume(benchmark: Benchmark, owner: ExitStack, by: str) -> None:
    """60 kB from a pipe into a string."""

    def consume() -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as stream:
            os.write(writer, TEXT)
            os.close(writer)
            if by == "helper":
                text = helper_consume_stream(stream.fileno())
            else:
                text = stream.read().decode()
        assert len(text) == len(TEXT)

    benchmark(consume)
