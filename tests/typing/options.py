"""What a run may be asked for."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO, Literal, assert_type

from cuprum import (
    ExecutionContext,
    PumpOptions,
    Redirect,
    RunOutputOptions,
    StdinInput,
    Tap,
)


def take(line: str) -> None:
    print(line)


async def take_in_time(line: str) -> None:
    print(line)


def take_bytes(line: bytes) -> None:
    print(line)


def output(either: bool) -> None:
    assert_type(RunOutputOptions(), RunOutputOptions[str])
    assert_type(RunOutputOptions(False, True), RunOutputOptions[str])
    assert_type(RunOutputOptions(text=True), RunOutputOptions[str])
    assert_type(RunOutputOptions(text=False), RunOutputOptions[bytes])
    assert_type(RunOutputOptions(capture=False, text=False), RunOutputOptions[bytes])
    assert_type(
        RunOutputOptions(stdout=Redirect("out"), stderr="stdout"), RunOutputOptions[str]
    )
    assert_type(
        RunOutputOptions(text=False, stderr=Redirect(Path("err"), append=True)),
        RunOutputOptions[bytes],
    )
    assert_type(
        RunOutputOptions(text=either), RunOutputOptions[str] | RunOutputOptions[bytes]
    )
    # Lines are text whatever is captured.
    assert_type(
        RunOutputOptions(text=False, on_stdout_line=take, on_stderr_line=take_in_time),
        RunOutputOptions[bytes],
    )

    RunOutputOptions(True, False, True)  # pyright: ignore[reportCallIssue]
    RunOutputOptions(stdout="out")  # pyright: ignore[reportArgumentType]
    RunOutputOptions(stderr="stderr")  # pyright: ignore[reportArgumentType]
    RunOutputOptions(on_stdout_line=take_bytes)  # pyright: ignore[reportArgumentType]
    RunOutputOptions(shell=True)  # pyright: ignore[reportCallIssue]
    RunOutputOptions().capture = False  # pyright: ignore[reportAttributeAccessIssue]


def redirects(text: IO[str], data: IO[bytes]) -> None:
    for target in ("out", Path("out"), text, data, sys.stdout, 3):
        assert_type(Redirect(target), Redirect)
    assert_type(Redirect("out", True).append, bool)

    Redirect(b"out")  # pyright: ignore[reportArgumentType]
    Redirect(None)  # pyright: ignore[reportArgumentType]


def now() -> Iterator[bytes]:
    yield b"now"


async def later() -> AsyncIterator[bytes]:
    yield b"later"


def stdin(text: IO[str], data: IO[bytes]) -> None:
    assert_type(StdinInput(), StdinInput)
    assert_type(StdinInput("text"), StdinInput)
    assert_type(StdinInput(data=b"data"), StdinInput)
    assert_type(StdinInput(path="file"), StdinInput)
    assert_type(StdinInput(path=Path("file")), StdinInput)
    for file in (text, data, sys.stdin, 0):
        assert_type(StdinInput(file=file), StdinInput)
    for chunks in ([b"a", b"b"], now(), later(), data):
        assert_type(StdinInput(chunks=chunks), StdinInput)
    assert_type(StdinInput("text").text, str | None)
    assert_type(StdinInput("text").data, bytes | None)
    assert_type(StdinInput("text").is_empty, bool)
    assert_type(StdinInput("text").resolve(ExecutionContext()), bytes | None)

    StdinInput(b"data")  # pyright: ignore[reportArgumentType]
    StdinInput(data="text")  # pyright: ignore[reportArgumentType]
    StdinInput(chunks=["text"])  # pyright: ignore[reportArgumentType]
    StdinInput(None, None, "file")  # pyright: ignore[reportCallIssue]
    StdinInput("text").text = None  # pyright: ignore[reportAttributeAccessIssue]


def contexts(context: ExecutionContext) -> None:
    assert_type(context.cwd, str | Path | None)
    assert_type(context.cancel_grace, float)
    assert_type(context.timeout, float | None)
    assert_type(context.stdout_sink, IO[str] | None)
    assert_type(context.linger, float | None)
    assert_type(context.tags, Mapping[str, object] | None)
    assert_type(context.pump, PumpOptions)
    assert_type(
        ExecutionContext({"A": "b"}, Path("/"), 1, None, sys.stdout, linger=None),
        ExecutionContext,
    )

    ExecutionContext(env={"A": 1})  # pyright: ignore[reportArgumentType]
    ExecutionContext(tags={1: "a"})  # pyright: ignore[reportArgumentType]
    ExecutionContext(env={"A": None})  # pyright: ignore[reportArgumentType]
    ExecutionContext(stdout_sink=sys.stdout.buffer)  # pyright: ignore[reportArgumentType]
    ExecutionContext(pump="auto")  # pyright: ignore[reportArgumentType]
    context.env = {}  # pyright: ignore[reportAttributeAccessIssue]


def pumps(pump: PumpOptions) -> None:
    assert_type(pump.buffer_size, int)
    assert_type(pump.pipe_size, int | Literal["auto", "keep"])
    assert_type(pump.engine, Literal["auto", "splice", "copy"])
    assert_type(pump.drain, float | None)
    assert_type(PumpOptions(1 << 20, "keep", "copy", None), PumpOptions)
    assert_type(PumpOptions(pipe_size=1 << 20, drain=0), PumpOptions)

    PumpOptions(buffer_size="64K")  # pyright: ignore[reportArgumentType]
    PumpOptions(pipe_size=None)  # pyright: ignore[reportArgumentType]
    PumpOptions(engine="python")  # pyright: ignore[reportArgumentType]


def taps(text: IO[str], data: IO[bytes]) -> None:
    for target in ("copy", Path("copy"), text, data, 3):
        assert_type(Tap(0, target), Tap)
    assert_type(Tap(0, "copy", append=True, required=False).hop, int)

    Tap(0, "copy", True)  # pyright: ignore[reportCallIssue]
    Tap("copy")  # pyright: ignore[reportCallIssue]
    Tap(0, b"copy")  # pyright: ignore[reportArgumentType]
