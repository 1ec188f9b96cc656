"""What a command, or the first of a pipeline, reads on its standard input."""

from __future__ import annotations

import array
import asyncio
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    RunOutputOptions,
    StdinInput,
    TimeoutExpired,
    partial_output,
)
from tests.support.bare_pipes import payload
from tests.support.processes import child_pids, end_and_reap, wait_until
from tests.support.stages import (
    BINARY,
    captured_bytes,
    cat,
    command,
    python,
    shell,
    sleep,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Iterable,
        Iterator,
    )
    from pathlib import Path
    from typing import IO


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
def test_bytes_arrive_as_they_are(size: int) -> None:
    data = payload(size)
    result = cat().run_sync(stdin=StdinInput(data=data), context=BINARY, timeout=20)
    assert captured_bytes(result) == data


def test_text_is_encoded_with_the_codec_of_the_context() -> None:
    latin = ExecutionContext(encoding="latin-1")
    result = command("od", "-An", "-tx1").run_sync(
        stdin=StdinInput(text="h\u00e9"), context=latin
    )
    assert result.stdout == " 68 e9\n"


@pytest.mark.parametrize("empty", [StdinInput(data=b""), StdinInput(text="")])
def test_an_empty_input_is_an_end_of_file(empty: StdinInput) -> None:
    assert cat().run_sync(stdin=empty, timeout=5).stdout == ""


def test_text_that_cannot_be_encoded_is_an_error_and_nothing_runs(
    tmp_path: object,
) -> None:
    strict = ExecutionContext(encoding="ascii", errors="strict")
    marker = f"{tmp_path}/ran"
    with pytest.raises(UnicodeEncodeError):
        command("touch", marker).run_sync(
            stdin=StdinInput(text="\N{SNOWMAN}"), context=strict
        )
    assert not command("test", "-e", marker).run_sync().ok


def test_a_program_that_stops_reading_does_not_fail_the_run() -> None:
    fed = StdinInput(data=payload(5_000_000))
    result = command("head", "-c", 3).run_sync(stdin=fed, context=BINARY, timeout=10)
    assert result.ok
    assert captured_bytes(result) == payload(3)


def test_a_program_that_never_reads_is_noted_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.stdin")
    fed = StdinInput(data=payload(5_000_000))
    assert command("true").run_sync(stdin=fed, timeout=10).ok
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert errors
    record = errors[0].__dict__
    assert errors[0].getMessage().startswith("stdin_write_failed pid=")
    assert record["cuprum_stdin_operation"] == "write"
    assert record["cuprum_error_type"] == "BrokenPipeError"
    assert record["cuprum_pid"] > 0
    assert errors[0].exc_info


def test_a_program_that_closes_its_input_and_goes_on_is_waited_for() -> None:
    fed = StdinInput(data=payload(5_000_000))
    script = "exec <&-; sleep 0.2; echo done"
    assert shell(script).run_sync(stdin=fed, timeout=10).stdout == "done\n"


def test_feeding_and_reading_go_on_at_the_same_time() -> None:
    # cat answers while it is still being fed; both pipes are full in between.
    data = payload(2_000_000)
    slow = shell("head -c 1000; sleep 0.1; cat")
    result = slow.run_sync(stdin=StdinInput(data=data), context=BINARY, timeout=20)
    assert captured_bytes(result) == data


def test_a_blocked_feed_does_not_delay_a_timeout() -> None:
    fed = StdinInput(data=payload(5_000_000))
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        sleep(30).run_sync(stdin=fed, timeout=0.2)
    assert time.monotonic() - began < 2


def test_input_can_be_fed_without_capture(tmp_path: object) -> None:
    target = f"{tmp_path}/out"
    result = shell('cat >"$1"', target).run_sync(
        stdin=StdinInput(text="hello"), output=RunOutputOptions(capture=False)
    )
    assert result.ok
    assert command("cat", target).run_sync().stdout == "hello"


# --- Where it may come from --------------------------------------------------------

DATA = payload(3_000_000)
CHUNKS = [DATA[start : start + 70_000] for start in range(0, len(DATA), 70_000)]
BYTES = RunOutputOptions(text=False)


async def coming(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield *chunks*, now and then after a pause."""
    for number, chunk in enumerate(chunks):
        if number % 10 == 0:
            await asyncio.sleep(0.001)
        yield chunk


class Repeatable:
    """An asynchronous iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Begin anew."""
        return coming(CHUNKS)


def text_of_latin(file: IO[bytes]) -> StdinInput:
    """Return what the codec of the context makes the data again."""
    return StdinInput(text=file.read().decode("latin-1"))


SOURCES: dict[str, Callable[[IO[bytes]], StdinInput]] = {
    "text": text_of_latin,
    "data": lambda file: StdinInput(data=file.read()),
    "path": lambda file: StdinInput(path=file.name),
    "file": lambda file: StdinInput(file=file),
    "descriptor": lambda file: StdinInput(file=file.fileno()),
    "list": lambda _: StdinInput(chunks=CHUNKS),
    "generator": lambda _: StdinInput(chunks=(chunk for chunk in CHUNKS)),
    "lines of a file": lambda file: StdinInput(chunks=file),
    "asynchronous generator": lambda _: StdinInput(chunks=coming(CHUNKS)),
    "asynchronous iterable": lambda _: StdinInput(chunks=Repeatable()),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StdinInput]:
    """Return each way to give DATA."""
    (tmp_path / "data").write_bytes(DATA)
    with (tmp_path / "data").open("rb") as file:
        yield SOURCES[request.param](file)
        assert not file.closed


LATIN = ExecutionContext(encoding="latin-1")


def test_a_command_reads_it_all(source: StdinInput) -> None:
    result = cat().run_sync(stdin=source, output=BYTES, context=LATIN, timeout=20)
    assert result.stdout == DATA


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_reads_it_all(source: StdinInput) -> None:
    pipeline = cat() | cat()
    result = pipeline.run_sync(stdin=source, output=BYTES, context=LATIN, timeout=20)
    assert result.stdout == DATA
    assert result.hops[0].bytes_written == len(DATA)


def test_a_command_that_stops_reading_it_is_no_failure(source: StdinInput) -> None:
    some = command("head", "-c", 100_000)
    result = some.run_sync(stdin=source, output=BYTES, context=LATIN, timeout=20)
    assert (result.ok, result.stdout) == (True, DATA[:100_000])


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_that_stops_reading_it_is_no_failure(source: StdinInput) -> None:
    pipeline = command("head", "-c", 100_000) | cat()
    result = pipeline.run_sync(stdin=source, output=BYTES, context=LATIN, timeout=20)
    assert (result.ok, result.stdout) == (True, DATA[:100_000])


def test_an_input_can_be_used_again() -> None:
    again = StdinInput(chunks=Repeatable())
    for _ in range(2):
        assert cat().run_sync(stdin=again, output=BYTES).stdout == DATA


NOTE_INPUT = "import os; print(os.readlink('/proc/self/fd/0'), os.lseek(0, 0, 1))"


@pytest.mark.parametrize("kind", ["path", "file", "descriptor"])
def test_a_file_is_read_by_the_command_itself(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        os.lseek(file.fileno(), 1000, os.SEEK_SET)
        given = SOURCES[kind](file)
        begins = 0 if kind == "path" else 1000
        result = python(NOTE_INPUT).run_sync(stdin=given)
        assert result.stdout == f"{path} {begins}\n"
        assert cat().run_sync(stdin=given, output=BYTES).stdout == DATA[begins:]
        ends = 1000 if kind == "path" else len(DATA)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == ends


def test_the_descriptor_of_a_pipe_will_do() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"from a pipe")
    os.close(writer)
    assert cat().run_sync(stdin=StdinInput(file=reader)).stdout == "from a pipe"
    os.close(reader)


def test_the_caller_may_close_the_file_while_the_command_reads(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("still there")
    go = tmp_path / "go"

    async def main() -> str | None:
        waiting = shell('until [ -e "$1" ]; do sleep .01; done; exec cat', str(go))
        with (tmp_path / "data").open() as file:
            task = asyncio.create_task(waiting.run(stdin=StdinInput(file=file)))
            await asyncio.to_thread(
                wait_until, lambda: bool(child_pids()), what="it was started"
            )
        go.touch()
        return (await task).stdout

    assert asyncio.run(main()) == "still there"


@pytest.mark.parametrize(
    "chunk",
    [bytearray(DATA), memoryview(DATA), memoryview(array.array("H", DATA))],
    ids=["bytearray", "memoryview", "memoryview of numbers"],
)
def test_whatever_bytes_are_in_goes_whole(chunk: bytes) -> None:
    # More than a pipe takes at once.
    fed = StdinInput(chunks=[chunk, chunk])
    assert cat().run_sync(stdin=fed, output=BYTES, timeout=10).stdout == DATA * 2


def test_empty_chunks_are_no_end() -> None:
    chunks = [b"", b"a", b"", b"b", b""]
    assert cat().run_sync(stdin=StdinInput(chunks=chunks)).stdout == "ab"
    assert cat().run_sync(stdin=StdinInput(chunks=[]), timeout=5).stdout == ""


def test_nothing_given_is_as_good_as_no_input() -> None:
    show = python("import os; print(os.readlink('/proc/self/fd/0'))")
    ours = os.readlink("/proc/self/fd/0")
    assert show.run_sync(stdin=StdinInput()).stdout == f"{ours}\n"
    assert (show | cat()).run_sync(stdin=StdinInput()).stdout == f"{os.devnull}\n"


# --- Iterators and their pace ------------------------------------------------------


def endless(asked: list[int]) -> Iterator[bytes]:
    """Yield chunks of 10,000 bytes for ever; note each that was asked for."""
    for number in itertools.count():
        asked.append(number)
        yield b"x" * 10_000


async def endless_asynchronous(asked: list[int]) -> AsyncIterator[bytes]:
    """Do the same."""
    for chunk in endless(asked):
        yield chunk


def endless_chunks(
    kind: str, asked: list[int]
) -> Iterable[bytes] | AsyncIterable[bytes]:
    """Return either."""
    return endless(asked) if kind == "sync" else endless_asynchronous(asked)


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@KINDS
def test_chunks_are_asked_for_when_there_is_room(kind: str) -> None:
    asked: list[int] = []

    async def main() -> None:
        fed = StdinInput(chunks=endless_chunks(kind, asked))
        assert (await sleep(0.3).run(stdin=fed, timeout=10)).ok

    asyncio.run(main())
    # The pipe takes 65,536 bytes, and one more chunk waits for room.
    assert 6 <= len(asked) <= 8


@KINDS
@pytest.mark.usefixtures("stream_backend")
def test_endless_chunks_end_with_the_pipeline(kind: str) -> None:
    fed = StdinInput(chunks=endless_chunks(kind, []))
    pipeline = cat() | command("head", "-c", 1_000_000)
    result = pipeline.run_sync(stdin=fed, timeout=10)
    assert result.ok
    assert result.stdout == "x" * 1_000_000


FOR_EVER = ExecutionContext(linger=None)
"""Nothing is given up, so that what is not noticed is waited for."""


async def idle(closed: list[str]) -> AsyncIterator[bytes]:
    """Yield one chunk, and then nothing for a minute."""
    try:
        yield b"first\n"
        await asyncio.sleep(60)
        yield b"last\n"
    finally:
        closed.append("closed")


def test_a_command_that_ends_does_not_wait_for_an_idle_source() -> None:
    closed: list[str] = []
    fed = StdinInput(chunks=idle(closed))
    first = command("head", "-n", 1)
    result = first.run_sync(stdin=fed, context=FOR_EVER, timeout=10)
    assert (result.ok, result.stdout) == (True, "first\n")
    assert closed == ["closed"]


def test_nor_does_one_that_closes_its_input_and_goes_on() -> None:
    closed: list[str] = []
    script = "read line; exec <&-; sleep .2; echo $line"
    fed = StdinInput(chunks=idle(closed))
    result = shell(script).run_sync(stdin=fed, context=FOR_EVER, timeout=10)
    assert (result.ok, result.stdout) == (True, "first\n")
    assert closed == ["closed"]


@pytest.mark.usefixtures("stream_backend")
def test_nor_does_a_pipeline() -> None:
    closed: list[str] = []
    fed = StdinInput(chunks=idle(closed))
    pipeline = command("head", "-n", 1) | cat()
    result = pipeline.run_sync(stdin=fed, context=FOR_EVER, timeout=10)
    assert (result.ok, result.stdout) == (True, "first\n")
    assert closed == ["closed"]


def test_a_generator_that_is_not_used_up_is_closed_when_the_run_ends() -> None:
    closed: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            await asyncio.sleep(0.01)
            closed.append("closed")

    async def main() -> None:
        fed = StdinInput(chunks=chunks())
        assert (await command("head", "-c", 1).run(stdin=fed)).ok
        assert closed == ["closed"]

    asyncio.run(main())


@pytest.mark.parametrize("fed", ["data", "idle"])
def test_what_a_descendant_does_not_read_is_given_up(fed: str) -> None:
    # It has the input for a minute, and not the output.
    fork = "import os, time; os.fork() or [os.close(1), os.close(2), time.sleep(60)]"
    code = f"{fork}; print('parent', flush=True)"
    given = StdinInput(data=DATA) if fed == "data" else StdinInput(chunks=idle([]))
    try:
        result = python(code).run_sync(
            stdin=given, context=ExecutionContext(linger=0.1), timeout=10
        )
    finally:
        end_descendants()
    assert (result.ok, result.stdout) == (True, "parent\n")


def end_descendants() -> None:
    """End the processes that this one has adopted."""
    adopted = child_pids()
    assert len(adopted) == 1
    end_and_reap(adopted)


# --- What is wrong with it ---------------------------------------------------------


class SourceError(Exception):
    """What the sources below raise."""


def failing(error: BaseException) -> Iterator[bytes]:
    """Yield a chunk, then raise."""
    yield b"some"
    raise error


async def failing_asynchronously(error: BaseException) -> AsyncIterator[bytes]:
    """Do the same."""
    yield b"some"
    await asyncio.sleep(0)
    raise error


@KINDS
@pytest.mark.parametrize(
    "error", [SourceError("no more"), BrokenPipeError(32, "of the source"), KeyError(1)]
)
@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.usefixtures("stream_backend")
def test_a_source_that_raises_ends_the_run(
    kind: str, error: Exception, stages: int
) -> None:
    chunks = failing(error) if kind == "sync" else failing_asynchronously(error)
    first = python("import sys, time; sys.stdin.read(); time.sleep(60)")
    runnable = first if stages == 1 else first | cat()
    with pytest.raises(type(error)) as caught:
        runnable.run_sync(stdin=StdinInput(chunks=chunks), timeout=10)
    assert caught.value is error
    assert partial_output(error) is not None


def test_a_source_that_is_cancelled_is_no_end_of_file() -> None:
    async def main() -> None:
        error = asyncio.CancelledError()
        fed = StdinInput(chunks=failing_asynchronously(error))
        with pytest.raises(asyncio.CancelledError):
            await cat().run(stdin=fed, timeout=10)

    asyncio.run(main())


@KINDS
@pytest.mark.parametrize("wrong", ["text", 7, None, [b"nested"]], ids=repr)
def test_a_chunk_that_is_not_bytes_is_one_clear_error(kind: str, wrong: object) -> None:
    chunks: list[object] = [b"good", wrong]
    given = chunks if kind == "sync" else coming(chunks)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"bytes, not {type(wrong).__name__}$"):
        cat().run_sync(stdin=StdinInput(chunks=given), timeout=10)  # type: ignore[arg-type]


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("missing", FileNotFoundError),
        ("directory", IsADirectoryError),
        ("closed file", ValueError),
        ("no descriptor", OSError),
        ("write end", OSError),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_and_nothing_runs(
    fault: str, error: type[Exception], stages: int, tmp_path: Path
) -> None:
    with (tmp_path / "file").open("w") as file:
        pass
    reader, writer = os.pipe()
    given = {
        "missing": StdinInput(path=tmp_path / "missing"),
        "directory": StdinInput(path=tmp_path),
        "closed file": StdinInput(file=file),
        "no descriptor": StdinInput(file=1_000_000),
        "write end": StdinInput(file=writer),
    }[fault]
    touch = command("touch", str(tmp_path / "ran"))
    with pytest.raises(error):
        (touch if stages == 1 else touch | touch).run_sync(stdin=given, timeout=10)
    os.close(reader)
    os.close(writer)
    assert not (tmp_path / "ran").exists()


def test_only_one_source_may_be_given() -> None:
    with pytest.raises(ValueError, match="text and data cannot both be provided"):
        StdinInput(text="a", data=b"a")
    with pytest.raises(ValueError, match="path and chunks cannot be given together"):
        StdinInput(path="a", chunks=[])
