"""The Python pump on bare pipes: counts, ends and errors."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import PumpError, PumpOptions
from cuprum._descriptors import Descriptor
from cuprum._hops import HopEnds, HopOutcomes
from cuprum._streams import PythonPump
from tests.support.bare_pipes import SIZES, Collector, Feeder, payload

if TYPE_CHECKING:
    from cuprum import HopReport

Ends = tuple[int, int]


def pump(*pairs: Ends, options: PumpOptions | None = None) -> tuple[HopReport, ...]:
    """Pump each pair to its end on a loop of its own; return the reports."""

    async def run() -> tuple[HopReport, ...]:
        hops = [HopEnds(Descriptor(source), Descriptor(sink)) for source, sink in pairs]
        outcomes = HopOutcomes(len(hops))
        python_pump = PythonPump(hops, options or PumpOptions(), outcomes)
        await python_pump.start()
        try:
            await python_pump.wait()
        finally:
            await python_pump.stop()
        return outcomes.reports()

    return asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_arrives_and_is_counted(size: int) -> None:
    data = payload(size)
    source, feed = os.pipe()
    collect, sink = os.pipe()
    feeder, collector = Feeder(feed, data), Collector(collect)
    (hop,) = pump((source, sink))
    assert collector.result() == data
    feeder.join()
    assert (hop.bytes_read, hop.bytes_written, hop.bytes_discarded) == (size, size, 0)
    assert hop.engine == "python"
    assert (hop.broken_pipe, hop.drain) == (False, None)
    assert hop.elapsed >= 0


@pytest.mark.parametrize("buffer_size", [1, 7, 4096, 1 << 20])
def test_any_buffer_size_moves_the_same_bytes(buffer_size: int) -> None:
    data = payload(20_000)
    source, feed = os.pipe()
    collect, sink = os.pipe()
    feeder, collector = Feeder(feed, data), Collector(collect)
    pump((source, sink), options=PumpOptions(buffer_size=buffer_size))
    assert collector.result() == data
    feeder.join()


def test_hops_run_at_the_same_time() -> None:
    data = payload(1 << 20)
    pairs: list[Ends] = []
    threads: list[tuple[Feeder, Collector]] = []
    for _ in range(8):
        source, feed = os.pipe()
        collect, sink = os.pipe()
        pairs.append((source, sink))
        threads.append((Feeder(feed, data), Collector(collect)))
    reports = pump(*pairs)
    assert [report.bytes_written for report in reports] == [len(data)] * 8
    for feeder, collector in threads:
        assert collector.result() == data
        feeder.join()


def test_end_of_file_goes_on_while_other_hops_are_open() -> None:
    # The second hop's input is held open until the first hop's output has ended.
    source, feed = os.pipe()
    collect, sink = os.pipe()
    open_source, hold = os.pipe()
    other, open_sink = os.pipe()
    Feeder(feed, b"short").join()
    collector = Collector(collect)

    async def run() -> None:
        hops = [
            HopEnds(Descriptor(source), Descriptor(sink)),
            HopEnds(Descriptor(open_source), Descriptor(open_sink)),
        ]
        outcomes = HopOutcomes(len(hops))
        python_pump = PythonPump(hops, PumpOptions(), outcomes)
        await python_pump.start()
        ended = asyncio.to_thread(collector.result)
        assert await asyncio.wait_for(ended, 5) == b"short"
        os.close(hold)
        await asyncio.wait_for(python_pump.wait(), 5)
        await python_pump.stop()

    asyncio.run(run())
    os.close(other)


@pytest.mark.parametrize(
    ("drain", "size", "told"),
    [
        (None, 5_000_000, "eof"),
        (10, 5_000_000, "eof"),
        (0, 5_000_000, "closed"),
    ],
)
def test_a_reader_that_leaves_early(drain: float | None, size: int, told: str) -> None:
    source, feed = os.pipe()
    gone, sink = os.pipe()
    os.close(gone)
    feeder = Feeder(feed, payload(size))
    (hop,) = pump((source, sink), options=PumpOptions(drain=drain))
    feeder.join()
    assert (hop.broken_pipe, hop.drain) == (True, told)
    assert hop.bytes_read == hop.bytes_written + hop.bytes_discarded
    assert feeder.broken is (told == "closed")
    if told == "eof":
        assert hop.bytes_read == size


def test_a_drain_ends_when_its_time_is_over() -> None:
    source, hold = os.pipe()
    gone, sink = os.pipe()
    os.close(gone)
    os.write(hold, b"some")
    began = time.monotonic()
    (hop,) = pump((source, sink), options=PumpOptions(drain=0.2))
    assert 0.2 <= time.monotonic() - began < 2
    os.close(hold)
    assert (hop.broken_pipe, hop.drain) == (True, "timeout")
    assert (hop.bytes_read, hop.bytes_discarded) == (4, 4)


def test_a_reader_that_leaves_while_nothing_comes_is_noticed() -> None:
    source, hold = os.pipe()
    collect, sink = os.pipe()

    async def run() -> HopReport:
        hops = [HopEnds(Descriptor(source), Descriptor(sink))]
        outcomes = HopOutcomes(len(hops))
        python_pump = PythonPump(hops, PumpOptions(drain=0), outcomes)
        await python_pump.start()
        await asyncio.sleep(0.05)  # let it come to rest: nothing to read
        os.close(collect)
        await asyncio.wait_for(python_pump.wait(), 5)
        await python_pump.stop()
        return outcomes.reports()[0]

    hop = asyncio.run(run())
    os.close(hold)
    assert (hop.broken_pipe, hop.drain, hop.bytes_read) == (True, "closed", 0)


def test_a_reader_that_leaves_a_full_pipe_is_noticed() -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    feeder = Feeder(feed, payload(1 << 20))

    async def run() -> HopReport:
        hops = [HopEnds(Descriptor(source), Descriptor(sink))]
        outcomes = HopOutcomes(len(hops))
        python_pump = PythonPump(hops, PumpOptions(drain=None), outcomes)
        await python_pump.start()
        await asyncio.sleep(0.1)  # let it fill the pipe, which nobody reads
        os.close(collect)
        await asyncio.wait_for(python_pump.wait(), 5)
        await python_pump.stop()
        return outcomes.reports()[0]

    hop = asyncio.run(run())
    feeder.join()
    assert (hop.broken_pipe, hop.drain) == (True, "eof")
    assert hop.bytes_read == 1 << 20
    assert hop.bytes_written >= 65536
    assert hop.waited_for_output >= 0.05


def test_waits_are_counted_on_the_side_that_was_slow() -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    collector = Collector(collect)

    async def run() -> HopReport:
        hops = [HopEnds(Descriptor(source), Descriptor(sink))]
        outcomes = HopOutcomes(len(hops))
        python_pump = PythonPump(hops, PumpOptions(), outcomes)
        await python_pump.start()
        await asyncio.sleep(0.2)
        os.close(feed)
        await asyncio.wait_for(python_pump.wait(), 5)
        await python_pump.stop()
        return outcomes.reports()[0]

    hop = asyncio.run(run())
    assert collector.result() == b""
    assert 0.15 <= hop.waited_for_input <= hop.elapsed
    assert hop.waited_for_output == 0


@pytest.mark.parametrize(("side", "wrong"), [("read", 0), ("write", 1)])
def test_a_hop_that_fails_is_an_error_with_its_figures(side: str, wrong: int) -> None:
    # A pipe's wrong end is the one error that a bare pipe can give: EBADF.
    source, feed = os.pipe()
    collect, sink = os.pipe()
    os.write(feed, b"seven b")
    pair, kept = [source, sink], [feed, collect]
    pair[wrong], kept[wrong] = kept[wrong], pair[wrong]
    with pytest.raises(PumpError) as caught:
        pump((pair[0], pair[1]))
    error = caught.value
    assert error.errno == errno.EBADF
    assert (error.hop, error.side) == (0, side)
    assert error.report is not None
    moved = 7 if side == "write" else 0
    assert (error.report.bytes_read, error.report.bytes_discarded) == (moved, moved)
    for descriptor in kept:
        os.close(descriptor)


def test_stopping_closes_everything() -> None:
    source, hold = os.pipe()
    collect, sink = os.pipe()

    async def run() -> None:
        hops = [HopEnds(Descriptor(source), Descriptor(sink))]
        python_pump = PythonPump(hops, PumpOptions(), HopOutcomes(len(hops)))
        await python_pump.start()
        await asyncio.sleep(0)
        await python_pump.stop()

    asyncio.run(run())
    assert os.read(collect, 1) == b""  # the pump's end is closed
    with pytest.raises(BrokenPipeError):
        os.write(hold, b"x")
    os.close(hold)
    os.close(collect)
