"""``helper_consume_stream``: what a descriptor of the caller has, as text."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from cuprum import PumpUnavailableError
from cuprum._streams_helper import helper_consume_stream
from tests.support.bare_pipes import Feeder
from tests.support.processes import child_pids, wait_until


@pytest.fixture(autouse=True)
def _use_the_helper(fresh_backend: pytest.MonkeyPatch, helper_path: Path) -> None:
    fresh_backend.setenv("CUPRUM_PUMP", str(helper_path))


@pytest.fixture(params=["in memory", "on disk"])
def _both_kinds_of_file(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param == "on disk":

        def refuse(_name: str) -> int:
            raise OSError(errno.ENOSYS, "no such call")

        monkeypatch.setattr(os, "memfd_create", refuse)


def consumed(data: bytes, *, buffer_size: int = 65536) -> str:
    """Return what is made of *data* that comes through a pipe."""
    source, feed = os.pipe()
    feeder = Feeder(feed, data)
    try:
        return helper_consume_stream(source, buffer_size=buffer_size)
    finally:
        os.close(source)
        feeder.join()


@pytest.mark.usefixtures("_both_kinds_of_file")
@pytest.mark.parametrize("size", [0, 1, 65537, 5_000_000])
def test_all_of_it_is_returned(size: int) -> None:
    text = ("snow \N{SNOWMAN}\r\n" * (size // 10 + 1))[:size]
    assert consumed(text.encode()) == text


def test_what_is_not_utf_8_is_replaced() -> None:
    assert consumed(b"a\xffb\xe2\x98") == "a\N{REPLACEMENT CHARACTER}b\ufffd"


def test_a_character_may_lie_across_any_boundary() -> None:
    text = "\N{SNOWMAN}" * 1000
    assert consumed(text.encode(), buffer_size=7) == text


def test_the_descriptor_stays_open_and_as_it_was() -> None:
    source, feed = os.pipe()
    os.set_blocking(source, False)
    Feeder(feed, b"abc").join()
    assert helper_consume_stream(source) == "abc"
    assert os.read(source, 1) == b""
    assert not os.get_blocking(source)
    os.close(source)


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before, after")
    with (tmp_path / "file").open("rb") as file:
        os.lseek(file.fileno(), 8, os.SEEK_SET)
        assert helper_consume_stream(file.fileno()) == "after"


@pytest.mark.parametrize("size", [0, -1, (1 << 30) + 1])
def test_a_bad_buffer_size_is_refused_before_anything_moves(size: int) -> None:
    source, feed = os.pipe()
    Feeder(feed, b"abc").join()
    with pytest.raises(ValueError, match="buffer_size"):
        helper_consume_stream(source, buffer_size=size)
    assert os.read(source, 9) == b"abc"
    os.close(source)


@pytest.mark.parametrize("wrong", ["not open", "write end", "directory"])
def test_what_cannot_be_read_is_an_os_error(wrong: str, tmp_path: Path) -> None:
    source, sink = os.pipe()
    directory = os.open(tmp_path, os.O_RDONLY)
    fd, number = {
        "not open": (1_000_000, errno.EBADF),
        "write end": (sink, errno.EBADF),
        "directory": (directory, errno.EISDIR),
    }[wrong]
    with pytest.raises(OSError, match=f"Errno {number}") as caught:
        helper_consume_stream(fd)
    assert caught.value.errno == number
    for descriptor in (source, sink, directory):
        os.close(descriptor)


def test_a_full_disk_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_name: str) -> int:
        return os.open("/dev/full", os.O_RDWR)

    monkeypatch.setattr(os, "memfd_create", full)
    with pytest.raises(OSError, match="Errno 28") as caught:
        consumed(b"no room")
    assert caught.value.errno == errno.ENOSPC


def test_other_threads_run_while_it_blocks() -> None:
    source, feed = os.pipe()
    returned: list[str] = []
    thread = threading.Thread(
        target=lambda: returned.append(helper_consume_stream(source))
    )
    thread.start()
    wait_until(lambda: bool(child_pids()), what="the helper is started")
    assert not returned
    Feeder(feed, b"late").join()
    thread.join()
    assert returned == ["late"]
    os.close(source)


def test_without_a_helper_it_is_unavailable(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_backend.delenv("CUPRUM_PUMP")
    fresh_backend.setenv("PATH", str(tmp_path))
    source, feed = os.pipe()
    Feeder(feed, b"abc").join()
    with pytest.raises(PumpUnavailableError, match="CUPRUM_PUMP"):
        helper_consume_stream(source)
    assert os.read(source, 9) == b"abc"
    os.close(source)
