"""``helper_pump_stream``: the helper between two descriptors of the caller."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cuprum import PumpUnavailableError
from cuprum._streams_helper import helper_pump_stream
from tests.support.bare_pipes import SIZES, Collector, Feeder, payload
from tests.support.processes import child_pids, wait_until

GIB = 1 << 30


@pytest.fixture(autouse=True)
def _use_the_helper(fresh_backend: pytest.MonkeyPatch, helper_path: Path) -> None:
    fresh_backend.setenv("CUPRUM_PUMP", str(helper_path))


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_arrives_and_is_counted(size: int) -> None:
    data = payload(size)
    source, feed = os.pipe()
    collect, sink = os.pipe()
    feeder, collector = Feeder(feed, data), Collector(collect)
    assert helper_pump_stream(source, sink) == size
    os.close(source)
    os.close(sink)  # still open until here: the collector has not seen its end
    assert collector.result() == data
    feeder.join()


def test_the_descriptors_stay_open_and_as_they_were() -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    os.set_blocking(source, False)
    Feeder(feed, b"abc").join()
    assert helper_pump_stream(source, sink) == 3
    assert os.read(source, 1) == b""
    assert os.write(sink, b"d") == 1
    assert os.read(collect, 9) == b"abcd"
    assert (os.get_blocking(source), os.get_blocking(sink)) == (False, True)
    for descriptor in (source, sink, collect):
        os.close(descriptor)


def test_files_will_do(tmp_path: Path) -> None:
    data = payload(300_000)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        assert helper_pump_stream(source.fileno(), sink.fileno()) == len(data)
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize("size", [0, -1, GIB + 1])
def test_a_bad_buffer_size_is_refused_before_anything_moves(size: int) -> None:
    source, feed = os.pipe()
    os.write(feed, b"abc")
    with pytest.raises(ValueError, match="buffer_size"):
        helper_pump_stream(source, feed, buffer_size=size)
    assert os.read(source, 9) == b"abc"
    os.close(source)
    os.close(feed)


@pytest.mark.parametrize("size", [1, 65536, GIB])
def test_the_limits_of_the_buffer_size_are_allowed(size: int) -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    Feeder(feed, b"abc").join()
    assert helper_pump_stream(source, sink, buffer_size=size) == 3
    for descriptor in (source, sink, collect):
        os.close(descriptor)


def test_the_buffer_size_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        helper_pump_stream(0, 1, 65536)  # type: ignore[misc]


def test_a_full_disk_is_an_os_error() -> None:
    source, feed = os.pipe()
    Feeder(feed, b"no room").join()
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="Errno 28") as caught:
        helper_pump_stream(source, full)
    assert caught.value.errno == errno.ENOSPC
    os.close(source)
    os.close(full)


def test_a_descriptor_that_is_not_open_is_an_os_error() -> None:
    source, sink = os.pipe()
    os.close(source)
    with pytest.raises(OSError, match="Errno 9") as caught:
        helper_pump_stream(source, sink)
    assert caught.value.errno == errno.EBADF
    os.close(sink)


def test_the_wrong_way_round_is_an_os_error() -> None:
    source, sink = os.pipe()
    other_source, other_sink = os.pipe()
    with pytest.raises(OSError, match="Errno 9") as caught:
        helper_pump_stream(sink, other_source)
    assert caught.value.errno == errno.EBADF
    for descriptor in (source, sink, other_source, other_sink):
        os.close(descriptor)


def test_after_a_broken_pipe_the_input_is_drained_to_its_end() -> None:
    source, feed = os.pipe()
    gone, sink = os.pipe()
    os.close(gone)
    feeder = Feeder(feed, payload(3_000_000))
    assert helper_pump_stream(source, sink) == 0
    feeder.join()
    assert not feeder.broken
    assert os.read(source, 1) == b""
    os.close(source)
    os.close(sink)


def test_a_reader_that_leaves_half_way_has_got_what_was_counted() -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    feeder = Feeder(feed, payload(3_000_000))
    with ThreadPoolExecutor(1) as pool:
        pumped = pool.submit(helper_pump_stream, source, sink)
        received = len(os.read(collect, 1000))
        os.close(collect)
        written = pumped.result(10)
    feeder.join()
    assert not feeder.broken
    assert received <= written < 3_000_000
    os.close(source)
    os.close(sink)


def test_other_threads_run_while_it_blocks() -> None:
    source, feed = os.pipe()
    collect, sink = os.pipe()
    done = threading.Event()

    def call() -> None:
        helper_pump_stream(source, sink)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: bool(child_pids()), what="the helper is started")
    assert not done.is_set()
    os.close(feed)
    assert done.wait(5)
    thread.join()
    for descriptor in (source, sink, collect):
        os.close(descriptor)


def test_without_a_helper_it_is_unavailable(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_backend.delenv("CUPRUM_PUMP")
    fresh_backend.setenv("PATH", str(tmp_path))
    source, feed = os.pipe()
    os.write(feed, b"abc")
    with pytest.raises(PumpUnavailableError, match="CUPRUM_PUMP"):
        helper_pump_stream(source, feed)
    assert os.read(source, 9) == b"abc"
    os.close(source)
    os.close(feed)
