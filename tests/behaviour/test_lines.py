"""Callbacks for lines: each line once, in order, and no faster than they are taken."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    Redirect,
    RunOutputOptions,
    TimeoutExpired,
    partial_output,
)
from tests.support.pacing import saying
from tests.support.processes import child_pids, written_when_held_up
from tests.support.stages import cat, command, python, shell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from cuprum import Pipeline, SafeCmd
    from cuprum._options import LineCallback


def taking(
    out: LineCallback | None = None, err: LineCallback | None = None
) -> RunOutputOptions[str]:
    """Return options that call these back, and capture nothing."""
    return RunOutputOptions(capture=False, on_stdout_line=out, on_stderr_line=err)


def lines_of(runnable: SafeCmd | Pipeline, context: ExecutionContext) -> list[str]:
    """Run it and return its lines."""
    lines: list[str] = []
    assert runnable.run_sync(output=taking(lines.append), context=context).ok
    return lines


UTF8 = ExecutionContext()


@pytest.mark.parametrize(
    ("portions", "lines"),
    [
        ([], []),
        ([b"a\n", b"b\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"a\r", b"\nb\r", b"c\r\n"], ["a", "b", "c"]),
        ([b"\xe2", b"\x98", b"\x83\n"], ["\N{SNOWMAN}"]),
        ([b"\n\n"], ["", ""]),
        ([b"a\xe2\x98"], ["a\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_lines_are_whole_however_they_are_written(
    portions: list[bytes], lines: list[str]
) -> None:
    assert lines_of(saying(*portions), UTF8) == lines


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_lines_are_decoded_with_the_codec_of_the_context(encoding: str) -> None:
    text = "caf\u00e9\nth\u00e9\n"
    said = saying(*(bytes([byte]) for byte in text.encode(encoding)))
    assert lines_of(said, ExecutionContext(encoding=encoding)) == text.split()


def test_lines_are_text_also_where_bytes_are_captured() -> None:
    lines: list[str] = []
    output = RunOutputOptions(text=False, on_stdout_line=lines.append)
    result = command("printf", r"a\r\n\377").run_sync(output=output)
    assert lines == ["a", "\N{REPLACEMENT CHARACTER}"]
    assert result.stdout == b"a\r\n\xff"


def test_a_line_is_told_while_the_program_goes_on(tmp_path: Path) -> None:
    # It waits for what the callback does, and would run into the limit.
    answer = tmp_path / "answer"
    script = 'echo first; until [ -e "$1" ]; do sleep .01; done; echo last'
    told: list[str] = []

    def on_line(line: str) -> None:
        told.append(line)
        answer.touch()

    assert shell(script, str(answer)).run_sync(output=taking(on_line), timeout=10).ok
    assert told == ["first", "last"]


def test_a_line_may_be_very_long() -> None:
    # Put together anew for each chunk, it would take minutes.
    size = 100_000_000
    zeros = command("head", "-c", size, "/dev/zero")
    (line,) = lines_of(zeros | command("tr", r"\0", "x"), UTF8)
    assert len(line) == size
    assert line.count("x") == size


def test_a_million_lines_take_less_than_a_second_of_our_time() -> None:
    count = 0

    def on_line(_: str) -> None:
        nonlocal count
        count += 1

    began = time.process_time()
    yes = shell("yes 123456789 | head -n 1000000")
    assert yes.run_sync(output=taking(on_line), timeout=20).ok
    assert count == 1_000_000
    assert time.process_time() - began < 1


# --- Slow callbacks --------------------------------------------------------------

COUNT = 2_000_000
COUNTED = [str(number) for number in range(1, COUNT + 1)]
"""What ``seq`` prints, 15 MB as lines."""


def slow_at_first(
    kind: str, lines: list[str], wait: Callable[[], None]
) -> Callable[[str], Awaitable[None] | None]:
    """Return a callback that keeps the lines, once it has waited at the first."""

    def take(line: str) -> None:
        if not lines:
            wait()
        lines.append(line)

    async def take_asynchronously(line: str) -> None:
        if not lines:
            await asyncio.to_thread(wait)
        lines.append(line)

    return take if kind == "sync" else take_asynchronously


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_slow_callback_holds_up_a_command_and_loses_nothing(kind: str) -> None:
    written: list[int] = []
    lines: list[str] = []

    def wait() -> None:
        (seq,) = child_pids()
        written.append(written_when_held_up(seq))

    callback = slow_at_first(kind, lines, wait)
    assert command("seq", COUNT).run_sync(output=taking(callback), timeout=25).ok
    assert 0 < written[0] < 1_000_000
    assert lines == COUNTED


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.usefixtures("stream_backend")
def test_a_slow_callback_holds_up_a_pipeline_and_loses_nothing(
    kind: str, tmp_path: Path
) -> None:
    written: list[int] = []
    lines: list[str] = []

    def wait() -> None:
        written.append(written_when_held_up(int((tmp_path / "pid").read_text())))

    script = 'echo $$ >"$1"; exec seq "$2"'
    seq = shell(script, str(tmp_path / "pid"), COUNT)
    callback = slow_at_first(kind, lines, wait)
    assert (seq | cat()).run_sync(output=taking(callback), timeout=25).ok
    assert 0 < written[0] < 2_000_000
    assert lines == COUNTED


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_lines_that_wait_for_a_slow_callback_are_not_late(kind: str) -> None:
    # The limit is for others who hold the output open, long after the program.
    lines: list[str] = []

    def wait() -> None:
        time.sleep(0.3)

    result = command("seq", 1000).run_sync(
        output=taking(slow_at_first(kind, lines, wait)),
        context=ExecutionContext(linger=0.05),
        timeout=10,
    )
    assert lines == COUNTED[:1000]
    assert not result.is_truncated


def test_a_slow_callback_does_not_delay_a_timeout() -> None:
    # All the lines are there in one read: it would take 20 s to tell them.
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        command("seq", 2000).run_sync(
            output=taking(lambda _: time.sleep(0.01)), timeout=0.2
        )
    assert time.monotonic() - began < 3


def test_a_callback_that_waits_does_not_hold_up_the_other_stream() -> None:
    async def main() -> None:
        other = asyncio.Event()

        async def wait(_: str) -> None:
            await other.wait()

        output = taking(wait, lambda _: other.set())
        talk = shell("echo out; echo err >&2")
        assert (await talk.run(output=output, timeout=10)).ok

    asyncio.run(main())


# --- Callbacks that fail -----------------------------------------------------------


class Refusal(Exception):
    """What the callbacks below raise."""


def refusing(kind: str, calls: list[str]) -> LineCallback:
    """Return a callback that takes two lines and fails at the third."""

    def refuse(line: str) -> None:
        calls.append(line)
        if len(calls) == 3:
            raise Refusal(line)

    async def refuse_asynchronously(line: str) -> None:
        await asyncio.sleep(0)
        refuse(line)

    return refuse if kind == "sync" else refuse_asynchronously


ENDLESS = command("seq", 10**12)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_callback_that_raises_ends_the_command(kind: str) -> None:
    calls: list[str] = []
    output = RunOutputOptions(on_stdout_line=refusing(kind, calls))
    with pytest.raises(Refusal) as caught:
        ENDLESS.run_sync(output=output, timeout=10)
    assert calls == ["1", "2", "3"]
    assert str(caught.value) == "3"
    captured = partial_output(caught.value)
    assert captured is not None
    assert isinstance(captured.stdout, str)
    assert captured.stdout.startswith("1\n2\n3\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.usefixtures("stream_backend")
def test_a_callback_that_raises_ends_the_pipeline(kind: str, stream: str) -> None:
    calls: list[str] = []
    refuse = refusing(kind, calls)
    if stream == "stdout":
        pipeline, output = ENDLESS | cat(), taking(refuse)
    else:
        talk = shell("exec seq 1000000000000 >&2")
        pipeline, output = talk | cat(), taking(None, refuse)
    with pytest.raises(Refusal):
        pipeline.run_sync(output=output, timeout=10)
    assert len(calls) == 3


def test_a_callback_that_is_cancelled_is_no_success() -> None:
    async def give_up(_: str) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        run = command("seq", 1000).run(output=taking(give_up), timeout=10)
        with pytest.raises(asyncio.CancelledError):
            await run
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()  # it was not the caller who was cancelled

    asyncio.run(main())


def test_strict_decoding_of_lines_ends_the_command() -> None:
    lines: list[str] = []
    with pytest.raises(UnicodeDecodeError):
        shell(r"echo good; printf '\377\n'; exec sleep 60").run_sync(
            output=taking(lines.append),
            context=ExecutionContext(errors="strict"),
            timeout=10,
        )
    assert lines in ([], ["good"])  # as one read has both, or not


def test_an_unknown_codec_of_lines_ends_the_command() -> None:
    with pytest.raises(LookupError, match="no-such-codec"):
        shell("echo; exec sleep 60").run_sync(
            output=taking(print),
            context=ExecutionContext(encoding="no-such-codec"),
            timeout=10,
        )


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_callback_that_would_never_be_called_is_refused(stream: str) -> None:
    nowhere = Redirect(os.devnull)
    with pytest.raises(ValueError, match=f"{stream} is redirected"):
        RunOutputOptions(**{stream: nowhere, f"on_{stream}_line": print})


# --- Which lines -------------------------------------------------------------------


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_tells_the_last_output_and_every_error() -> None:
    out: list[str] = []
    err: list[str] = []
    stages = [shell(f"echo {n}a >&2; cat; echo {n}b >&2; echo {n}") for n in range(3)]
    pipeline = stages[0] | stages[1] | stages[2]
    assert pipeline.run_sync(output=taking(out.append, err.append), timeout=10).ok
    assert out == ["0", "1", "2"]
    assert sorted(err) == ["0a", "0b", "1a", "1b", "2a", "2b"]
    for stage in range(3):
        assert err.index(f"{stage}a") < err.index(f"{stage}b")


def test_capture_and_callbacks_go_together() -> None:
    out: list[str] = []
    err: list[str] = []
    output = RunOutputOptions(on_stdout_line=out.append, on_stderr_line=err.append)
    result = shell("echo a; echo b >&2").run_sync(output=output)
    assert (result.stdout, result.stderr) == ("a\n", "b\n")
    assert (out, err) == (["a"], ["b"])


def test_standard_error_is_told_with_standard_output_if_it_goes_there() -> None:
    lines: list[str] = []
    output = RunOutputOptions(stderr="stdout", on_stdout_line=lines.append)
    result = shell("echo a; echo b >&2; echo c").run_sync(output=output)
    assert lines == ["a", "b", "c"]
    assert (result.stdout, result.stderr) == ("a\nb\nc\n", None)


def test_all_lines_have_been_told_when_the_run_ends() -> None:
    # In a task of its own, the last callback may still be at work.
    done: list[str] = []

    async def slowly(line: str) -> None:
        await asyncio.sleep(0.02)
        done.append(line)

    assert python("print(1); print(2)").run_sync(output=taking(slowly)).ok
    assert done == ["1", "2"]
