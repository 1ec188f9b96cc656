"""Taps: copies of what crosses a hop, as the same from either pump."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import pty
import signal
import socket
import threading
import time
import tty
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    PumpError,
    PumpOptions,
    RunOutputOptions,
    Tap,
    TapError,
    TapReport,
    TimeoutExpired,
    partial_output,
)
from tests.support.bare_pipes import Collector, payload
from tests.support.processes import (
    child_pids,
    helper_pids,
    read_pid,
    wait_until,
    written_when_held_up,
)
from tests.support.stages import cat, command, producer, python, shell, sleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cuprum import SafeCmd

pytestmark = pytest.mark.usefixtures("stream_backend")

BYTES = RunOutputOptions(text=False)
DATA = payload(300_000)


@pytest.fixture
def source(tmp_path: Path) -> SafeCmd:
    """Return a stage that writes DATA."""
    (tmp_path / "data").write_bytes(DATA)
    return producer(tmp_path / "data")


# --- Where a copy may go -------------------------------------------------------------


@contextlib.contextmanager
def descriptor(path: Path) -> Iterator[int]:
    """Open *path* for writing."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT)
    yield number
    os.close(number)


TARGETS: dict[str, Callable[[Path], contextlib.AbstractContextManager[object]]] = {
    "str": lambda path: contextlib.nullcontext(str(path)),
    "Path": contextlib.nullcontext,
    "binary file": lambda path: path.open("wb"),
    "text file": lambda path: path.open("w"),
    "descriptor": descriptor,
}


@pytest.mark.parametrize("kind", TARGETS)
def test_the_copy_is_what_the_next_stage_got(
    kind: str, source: SafeCmd, tmp_path: Path
) -> None:
    with TARGETS[kind](tmp_path / "copy") as target:
        tap = Tap(0, target)  # type: ignore[arg-type]
        result = (source | cat()).run_sync(output=BYTES, taps=[tap], timeout=20)
    assert result.ok
    assert result.stdout == DATA
    assert (tmp_path / "copy").read_bytes() == DATA
    assert result.taps == (TapReport(0, len(DATA)),)
    assert result.hops[0].bytes_written == len(DATA)


def test_each_hop_may_have_one_and_they_are_reported_as_they_were_given(
    source: SafeCmd, tmp_path: Path
) -> None:
    half = command("head", "-c", 100_000)
    result = (source | half | cat() | cat()).run_sync(
        taps=[Tap(2, tmp_path / "second"), Tap(0, tmp_path / "first")],
        output=BYTES,
        timeout=20,
    )
    assert result.stdout == DATA[:100_000]
    assert (tmp_path / "second").read_bytes() == DATA[:100_000]
    first = (tmp_path / "first").read_bytes()
    assert DATA.startswith(first)
    assert len(first) >= 100_000
    assert result.taps == (TapReport(2, 100_000), TapReport(0, len(first)))


def test_twenty_megabytes_and_their_copies_are_the_same(tmp_path: Path) -> None:
    data = payload(20_000_000)
    (tmp_path / "data").write_bytes(data)
    copies = [tmp_path / "0", tmp_path / "1"]
    pipeline = producer(tmp_path / "data") | cat() | command("sha256sum")
    taps = [Tap(hop, copy) for hop, copy in enumerate(copies)]
    result = pipeline.run_sync(taps=taps, timeout=25)
    digest = hashlib.sha256(data).hexdigest()
    assert result.stdout == f"{digest}  -\n"
    assert result.taps == (TapReport(0, len(data)), TapReport(1, len(data)))
    for copy in copies:
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == digest


def test_a_path_is_truncated_or_appended_to(source: SafeCmd, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for append, times in [(False, 1), (True, 2), (False, 1)]:
        taps = [Tap(0, copy, append=append)]
        result = (source | cat()).run_sync(output=BYTES, taps=taps, timeout=20)
        assert result.taps == (TapReport(0, len(DATA)),)
        assert copy.read_bytes() == DATA * times


def test_an_open_file_is_used_from_where_it_stands(tmp_path: Path) -> None:
    with (tmp_path / "copy").open("w") as file:
        file.write("before, not yet written out\n")
        for _ in range(2):
            pipeline = command("echo", "x") | cat()
            assert pipeline.run_sync(taps=[Tap(0, file)], timeout=20).ok
        file.write("after\n")
    content = "before, not yet written out\nx\nx\nafter\n"
    assert (tmp_path / "copy").read_text() == content


def test_nothing_crosses_and_the_copy_is_empty(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    result = (command("true") | cat()).run_sync(taps=[Tap(0, copy)], timeout=20)
    assert result.taps == (TapReport(0, 0),)
    assert copy.read_bytes() == b""


def test_what_is_read_early_is_copied_early(tmp_path: Path) -> None:
    # The producer waits for its own words in the copy, or runs into the limit.
    copy = tmp_path / "copy"
    script = 'echo first; until [ -s "$1" ]; do sleep .01; done; echo last'
    taps = [Tap(0, copy)]
    assert (shell(script, str(copy)) | cat()).run_sync(taps=taps, timeout=10).ok
    assert copy.read_text() == "first\nlast\n"


# --- Pipes and sockets ---------------------------------------------------------------


def pipe() -> tuple[int, int]:
    """Return the ends of a pipe."""
    return os.pipe()


@contextlib.contextmanager
def closing_at_last(number: int) -> Iterator[None]:
    """Close a descriptor also if the test fails: a thread may wait for the end."""
    try:
        yield
    finally:
        os.close(number)


def stream_sockets() -> tuple[int, int]:
    """Return the ends of a pair of sockets."""
    return tuple(end.detach() for end in socket.socketpair())  # type: ignore[return-value]


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("ends", [pipe, stream_sockets])
def test_a_pipe_or_socket_gets_it_all_and_is_left_as_it_was(
    ends: Callable[[], tuple[int, int]], source: SafeCmd, *, blocking: bool
) -> None:
    reader, writer = ends()
    os.set_blocking(writer, blocking)
    collector = Collector(reader)
    with closing_at_last(writer):
        taps = [Tap(0, writer)]
        result = (source | cat()).run_sync(output=BYTES, taps=taps, timeout=20)
        assert result.taps == (TapReport(0, len(DATA)),)
        assert os.get_blocking(writer) == blocking
        os.write(writer, b"still open")
    assert collector.result() == DATA + b"still open"


def raw_terminal() -> tuple[int, int]:
    """Return the ends of a pseudo-terminal that changes nothing."""
    reader, terminal = pty.openpty()
    tty.setraw(terminal)
    return reader, terminal


def test_a_terminal_gets_it_all_and_is_left_as_it_was(source: SafeCmd) -> None:
    reader, terminal = raw_terminal()
    received = bytearray()

    def read() -> None:
        while len(received) < len(DATA):
            received.extend(os.read(reader, 65536))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    taps = [Tap(0, terminal)]
    result = (source | cat()).run_sync(output=BYTES, taps=taps, timeout=20)
    assert result.taps == (TapReport(0, len(DATA)),)
    assert os.get_blocking(terminal)
    thread.join(5)
    assert received == DATA
    os.close(terminal)
    os.close(reader)


def test_a_terminal_that_stands_still_does_not_hold_up_the_loop(
    source: SafeCmd,
) -> None:
    reader, terminal = raw_terminal()
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        (source | cat()).run_sync(taps=[Tap(0, terminal)], timeout=0.3)
    assert time.monotonic() - began < 5
    os.close(terminal)
    os.close(reader)


def test_a_slow_reader_of_the_copy_holds_up_the_stages_and_loses_nothing(
    tmp_path: Path,
) -> None:
    data = payload(5_000_000)
    (tmp_path / "data").write_bytes(data)
    reader, writer = os.pipe()

    async def main() -> bytes | None:
        script = 'echo $$ >"$1"; exec cat "$2"'
        first = shell(script, str(tmp_path / "pid"), str(tmp_path / "data"))
        run = (first | cat()).run(output=BYTES, taps=[Tap(0, writer)], timeout=20)
        task = asyncio.create_task(run)
        pid = await asyncio.to_thread(read_pid, tmp_path / "pid")
        held = await asyncio.to_thread(written_when_held_up, pid)
        assert 0 < held < 1_000_000
        assert not task.done()
        with closing_at_last(writer):
            collector = Collector(reader)
            result = await task
        assert await asyncio.to_thread(collector.result) == data
        assert result.taps == (TapReport(0, len(data)),)
        assert result.hops[0].waited_for_output > 0.2
        return result.stdout

    assert asyncio.run(main()) == data


def test_the_copy_ends_with_the_hop_and_not_with_the_run(tmp_path: Path) -> None:
    go = tmp_path / "go"
    reader, writer = os.pipe()
    collector = Collector(reader)

    async def main() -> None:
        last = shell('cat; until [ -e "$1" ]; do sleep .01; done', str(go))
        pipeline = command("echo", "x") | last
        task = asyncio.create_task(pipeline.run(taps=[Tap(0, writer)], timeout=10))
        with closing_at_last(writer):
            await asyncio.to_thread(
                wait_until, lambda: bool(child_pids() - helper_pids()), what="it runs"
            )
        assert await asyncio.to_thread(collector.result) == b"x\n"
        go.touch()
        assert (await task).ok

    asyncio.run(main())


def test_the_pipeline_ends_though_nobody_reads_the_copy() -> None:
    # The tap is full; there is nobody any more for whom the hop would wait.
    reader, writer = os.pipe()
    pipeline = command("head", "-c", 1_000_000, "/dev/zero") | sleep(0.2)
    result = pipeline.run_sync(taps=[Tap(0, writer)], timeout=10)
    assert result.ok
    assert result.hops[0].broken_pipe
    (tap,) = result.taps
    assert tap.errno == 0
    assert 65536 <= tap.bytes_written <= result.hops[0].bytes_read
    os.close(writer)
    received = 0
    while chunk := os.read(reader, 1 << 20):
        received += len(chunk)
    os.close(reader)
    assert received == tap.bytes_written


def test_a_pipe_is_left_as_it_was_when_the_run_is_cut_short(
    stream_backend: str,
) -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        pipeline = command("cat", "/dev/zero") | sleep(60)
        task = asyncio.create_task(pipeline.run(taps=[Tap(0, writer)], timeout=20))
        await asyncio.to_thread(
            wait_until, lambda: not os.get_blocking(writer), what="the pump writes"
        )
        if stream_backend == "helper":
            for helper in helper_pids():
                os.kill(helper, signal.SIGKILL)
        else:
            task.cancel()
        with pytest.raises((PumpError, asyncio.CancelledError)):
            await task

    asyncio.run(main())
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


def test_a_pipe_that_two_runs_share_is_left_as_the_first_found_it(
    tmp_path: Path,
) -> None:
    reader, writer = os.pipe()
    received = bytearray()

    async def run(name: str) -> None:
        script = 'echo "$1"; until [ -e "$2" ]; do sleep .01; done; echo "$1"'
        first = shell(script, name, str(tmp_path / name))
        result = await (first | cat()).run(taps=[Tap(0, writer)], timeout=10)
        assert result.taps == (TapReport(0, 4),)

    def has_come(name: bytes) -> bool:
        received.extend(os.read(reader, 100))
        return name in received

    async def main() -> None:
        one = asyncio.create_task(run("1"))
        await asyncio.to_thread(wait_until, lambda: has_come(b"1"), what="one writes")
        assert not os.get_blocking(writer)
        two = asyncio.create_task(run("2"))
        await asyncio.to_thread(wait_until, lambda: has_come(b"2"), what="two writes")
        (tmp_path / "1").touch()
        await one
        (tmp_path / "2").touch()
        await two

    asyncio.run(main())
    assert os.get_blocking(writer)
    os.close(writer)
    received.extend(os.read(reader, 100))
    os.close(reader)
    assert sorted(received.split()) == [b"1", b"1", b"2", b"2"]


# --- Taps that fail ------------------------------------------------------------------

FAILURES = {"full device": errno.ENOSPC, "reader that leaves": errno.EPIPE}


@contextlib.contextmanager
def failing_target(fault: str) -> Iterator[int]:
    """Return the descriptor of a target that takes no more, soon or at once."""
    if fault == "full device":
        writer = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, writer = os.pipe()
        Leaver(reader)
    with closing_at_last(writer):
        yield writer


class Leaver(Collector):
    """A thread that reads a bit, then closes the pipe."""

    def run(self) -> None:
        """Read once."""
        self._data += os.read(self._source, 10_000)
        os.close(self._source)


@pytest.mark.parametrize("fault", FAILURES)
def test_stages_are_unharmed_by_a_tap_that_need_not_be(
    fault: str, source: SafeCmd, caplog: pytest.LogCaptureFixture
) -> None:
    with failing_target(fault) as target:
        blocking = os.get_blocking(target)
        taps = [Tap(0, target, required=False)]
        result = (source | cat()).run_sync(output=BYTES, taps=taps, timeout=20)
        assert os.get_blocking(target) == blocking
    assert result.ok
    assert result.stdout == DATA
    assert result.hops[0].bytes_written == len(DATA)
    (tap,) = result.taps
    assert (tap.hop, tap.errno) == (0, FAILURES[fault])
    assert tap.bytes_written < len(DATA)
    assert f"tap of hop 0: {os.strerror(tap.errno)}" in caplog.messages


@pytest.mark.parametrize("fault", FAILURES)
def test_a_tap_that_must_be_ends_the_run(fault: str, tmp_path: Path) -> None:
    endless = command("cat", "/dev/zero") | cat() | shell("exec cat >/dev/null")
    with failing_target(fault) as target:
        blocking = os.get_blocking(target)
        taps = [Tap(0, tmp_path / "copy"), Tap(1, target)]
        with pytest.raises(TapError) as caught:
            endless.run_sync(taps=taps, timeout=20)
        assert os.get_blocking(target) == blocking
    error = caught.value
    number = FAILURES[fault]
    assert (error.errno, error.report.hop, error.report.errno) == (number, 1, number)
    assert error.strerror == f"tap of hop 1: {os.strerror(number)}"
    assert partial_output(error) is not None


def test_a_tap_that_fails_late_is_no_success_either(source: SafeCmd) -> None:
    # All stages may have ended well before it is known.
    with failing_target("full device") as target, pytest.raises(TapError):
        (source | cat()).run_sync(taps=[Tap(0, target)], timeout=20)


def test_one_tap_may_fail_and_another_not(source: SafeCmd, tmp_path: Path) -> None:
    taps = [Tap(0, "/dev/full", required=False), Tap(1, tmp_path / "copy")]
    pipeline = source | cat() | cat()
    result = pipeline.run_sync(output=BYTES, taps=taps, timeout=20)
    assert result.stdout == (tmp_path / "copy").read_bytes() == DATA
    assert [tap.errno for tap in result.taps] == [errno.ENOSPC, 0]


# --- Taps that cannot be -------------------------------------------------------------


def test_an_engine_that_makes_no_copies_is_refused(tmp_path: Path) -> None:
    context = ExecutionContext(pump=PumpOptions(engine="splice"))
    with pytest.raises(ValueError, match="engine='splice' makes no copies"):
        (cat() | cat()).run_sync(context=context, taps=[Tap(0, tmp_path / "copy")])
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("hops", "message"),
    [
        ([0, 1, 0], "hop 0 has two taps"),
        ([2], "no hop 2 to tap, they are 0 to 1"),
        ([-1], "no hop -1 to tap, they are 0 to 1"),
    ],
)
def test_where_there_is_no_room_for_a_tap(
    hops: list[int], message: str, tmp_path: Path
) -> None:
    touch = command("touch", str(tmp_path / "ran"))
    taps = [Tap(hop, tmp_path / f"copy {n}") for n, hop in enumerate(hops)]
    with pytest.raises(ValueError, match=message):
        (touch | touch | touch).run_sync(taps=taps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("missing directory", FileNotFoundError),
        ("directory", IsADirectoryError),
        ("no descriptor", OSError),
        ("read end", OSError),
        ("closed", ValueError),
    ],
)
def test_a_target_that_cannot_be_is_an_error_before_anything_starts(
    fault: str, error: type[Exception], tmp_path: Path
) -> None:
    touch = command("touch", str(tmp_path / "ran"))
    reader, writer = os.pipe()
    with (tmp_path / "file").open("w") as file:
        pass
    targets: dict[str, object] = {
        "missing directory": tmp_path / "missing" / "file",
        "directory": tmp_path,
        "no descriptor": 1_000_000,
        "read end": reader,
        "closed": file,
    }
    with pytest.raises(error):
        (touch | touch).run_sync(taps=[Tap(0, targets[fault], required=False)])  # type: ignore[arg-type]
    os.close(reader)
    os.close(writer)
    assert not (tmp_path / "ran").exists()


def test_the_caller_may_close_the_file_while_it_is_written(tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = python(
        "import os, sys, time\n"
        "print('early', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(.01)\n"
        "print('late')",
        str(go),
    )

    async def main() -> None:
        copy = tmp_path / "copy"
        with copy.open("w") as file:
            task = asyncio.create_task((late | cat()).run(taps=[Tap(0, file)]))
            await asyncio.to_thread(
                wait_until, lambda: bool(copy.read_text()), what="data flows"
            )
        go.touch()
        assert (await task).taps == (TapReport(0, 11),)

    asyncio.run(main())
    assert (tmp_path / "copy").read_text() == "early\nlate\n"
