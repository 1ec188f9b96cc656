"""What is not of its kind is refused in one line, and nothing is started for it."""

from __future__ import annotations

import asyncio
import io
import math
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from cuprum import (
    ConcurrentConfig,
    ExecutionContext,
    PumpOptions,
    Redirect,
    RunOutputOptions,
    ScopeConfig,
    StdinInput,
    Tap,
    after,
    allow,
    before,
    current_context,
    env,
    logging_hook,
    observe,
    run_concurrent_sync,
    scoped,
)
from cuprum.builders.tar import TarCreateOptions, tar_create
from tests.support.stages import cat, command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAP = Tap(0, "copy")


async def store(_: object) -> None:
    """Be a coroutine function."""


VALUES: list[tuple[type, dict[str, Any], type[Exception], str]] = [
    (StdinInput, {"text": b"x"}, TypeError, "text takes a str, not b'x'"),
    (StdinInput, {"data": "x"}, TypeError, "data takes bytes, not 'x'"),
    (StdinInput, {"path": 3}, TypeError, "path takes a path, not 3"),
    (
        StdinInput,
        {"chunks": b"abc"},
        TypeError,
        "chunks takes an iterable of bytes, not b'abc'",
    ),
    (
        StdinInput,
        {"chunks": "abc"},
        TypeError,
        "chunks takes an iterable of bytes, not 'abc'",
    ),
    (StdinInput, {"chunks": 7}, TypeError, "chunks takes an iterable of bytes, not 7"),
    (
        StdinInput,
        {"file": io.StringIO()},
        TypeError,
        "file takes a file with a descriptor, not <_io.",
    ),
    (
        StdinInput,
        {"file": b"name"},
        TypeError,
        "file takes a file with a descriptor, not b'name'",
    ),
    (
        Redirect,
        {"target": io.BytesIO()},
        TypeError,
        "target takes a file with a descriptor, not <_io.",
    ),
    (
        Redirect,
        {"target": None},
        TypeError,
        "target takes a file with a descriptor, not None",
    ),
    (
        Tap,
        {"hop": 0, "target": [1]},
        TypeError,
        "target takes a file with a descriptor, not [1]",
    ),
    (
        RunOutputOptions,
        {"stdout": "file"},
        TypeError,
        "stdout takes a Redirect, not 'file'",
    ),
    (RunOutputOptions, {"stderr": 2}, TypeError, "stderr takes a Redirect, not 2"),
    (
        RunOutputOptions,
        {"on_stdout_line": []},
        TypeError,
        "on_stdout_line takes a function, not []",
    ),
    (
        RunOutputOptions,
        {"on_stderr_line": True},
        TypeError,
        "on_stderr_line takes a function, not True",
    ),
    (ExecutionContext, {"linger": -1}, ValueError, "linger cannot be -1 seconds"),
    (
        ExecutionContext,
        {"linger": math.nan},
        ValueError,
        "linger cannot be nan seconds",
    ),
    (ExecutionContext, {"linger": "2"}, TypeError, "linger takes seconds, not '2'"),
    (ExecutionContext, {"linger": True}, TypeError, "linger takes seconds, not True"),
    (
        ExecutionContext,
        {"cancel_grace": math.nan},
        ValueError,
        "cancel_grace cannot be nan seconds",
    ),
    (
        ExecutionContext,
        {"cancel_grace": None},
        TypeError,
        "cancel_grace takes seconds, not None",
    ),
    (
        ConcurrentConfig,
        {"concurrency": True},
        TypeError,
        "concurrency takes an int, not True",
    ),
    (
        ConcurrentConfig,
        {"concurrency": 2.5},
        TypeError,
        "concurrency takes an int, not 2.5",
    ),
    (
        ConcurrentConfig,
        {"concurrency": "2"},
        TypeError,
        "concurrency takes an int, not '2'",
    ),
    (
        ScopeConfig,
        {"allowlist": "echo"},
        TypeError,
        "allowlist takes programs, not 'echo'",
    ),
    (
        ScopeConfig,
        {"before_hooks": print},
        TypeError,
        "before_hooks takes a tuple, not <built-in",
    ),
    (
        ScopeConfig,
        {"observe_hooks": (None,)},
        TypeError,
        "observe_hooks takes a function, not None",
    ),
    (
        ScopeConfig,
        {"env_overlay": {"A": 1}},
        TypeError,
        "env 'A' takes a str, not 1",
    ),
    (
        TarCreateOptions,
        {"compression": "xz"},
        TypeError,
        "compression takes a Compression, not 'xz'",
    ),
    (PumpOptions, {"drain": True}, TypeError, "drain takes seconds, not True"),
    (PumpOptions, {"buffer_size": "64K"}, TypeError, "buffer_size takes an int, "),
]


@pytest.mark.parametrize(
    ("kind", "fields", "error", "told"), VALUES, ids=[row[-1] for row in VALUES]
)
def test_a_value_that_is_no_good_is_refused_when_it_is_made(
    kind: type, fields: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**fields)
    assert type(caught.value) is error
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ExecutionContext, {"linger": 0}),
        (ExecutionContext, {"linger": None}),
        (ExecutionContext, {"linger": math.inf}),
        (ExecutionContext, {"cancel_grace": -1}),  # counts as 0
        (StdinInput, {"data": bytearray(b"x")}),
        (StdinInput, {"chunks": (b"x",)}),
        (StdinInput, {"file": 0}),
    ],
    ids=str,
)
def test_a_value_at_the_edge_is_not_refused(kind: type, fields: dict[str, Any]) -> None:
    assert kind(**fields) == kind(**fields)


RUNS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"stdin": "abc"}, TypeError, "stdin takes a StdinInput, not 'abc'"),
    ({"output": True}, TypeError, "output takes RunOutputOptions, not True"),
    ({"context": {}}, TypeError, "context takes an ExecutionContext, not {}"),
    ({"timeout": "1"}, TypeError, "timeout takes seconds, not '1'"),
    ({"timeout": True}, TypeError, "timeout takes seconds, not True"),
    ({"timeout": math.nan}, ValueError, "timeout cannot be nan seconds"),
    (
        {"context": ExecutionContext(timeout=math.nan)},
        ValueError,
        "timeout cannot be nan seconds",
    ),
    (
        {"context": ExecutionContext(env={1: "A"})},  # type: ignore[dict-item]
        TypeError,
        "env takes names of characters, not 1",
    ),
]

PIPELINE_RUNS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"taps": TAP}, TypeError, "taps takes a sequence of Tap, not Tap(hop=0, "),
    ({"taps": [TAP, 1]}, TypeError, "taps takes a sequence of Tap, not 1"),
    ({"taps": None}, TypeError, "taps takes a sequence of Tap, not None"),
    ({"on_progress": 1}, TypeError, "on_progress takes a function, not 1"),
    (
        {"on_progress": store},
        TypeError,
        "on_progress takes an ordinary function, not a coroutine's",
    ),
    (
        {"progress_interval": True},
        TypeError,
        "progress_interval takes seconds, not True",
    ),
    ({"progress_interval": "1"}, TypeError, "progress_interval takes seconds, not '1'"),
    ({"progress_interval": math.nan}, ValueError, "progress_interval must be > 0"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "told"), RUNS, ids=[row[-1] for row in RUNS]
)
def test_a_command_with_an_argument_that_is_no_good_is_not_started(
    arguments: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        command("touch", str(tmp_path / "ran")).run_sync(**arguments)
    assert str(caught.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    RUNS + PIPELINE_RUNS,
    ids=[row[-1] for row in RUNS + PIPELINE_RUNS],
)
def test_a_pipeline_with_an_argument_that_is_no_good_is_not_started(
    arguments: dict[str, Any],
    error: type[Exception],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where the tap would go
    touch = command("touch", str(tmp_path / "ran"))
    with pytest.raises(error) as caught:
        (touch | touch).run_sync(**arguments)
    assert str(caught.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


CALLS: list[tuple[Callable[..., object], list[Any], dict[str, Any], str]] = [
    (run_concurrent_sync, ["x"], {}, "run_concurrent takes commands, not 'x'"),
    (
        run_concurrent_sync,
        [cat() | cat()],
        {},
        "run_concurrent takes commands, not Pipeline(",
    ),
    (
        run_concurrent_sync,
        [cat()],
        {"config": 2},
        "config takes a ConcurrentConfig, not 2",
    ),
    (before, [1], {}, "before takes a function, not 1"),
    (after, ["x"], {}, "after takes a function, not 'x'"),
    (observe, [None], {}, "observe takes a function, not None"),
    (allow, [["ls"]], {}, "allow takes programs, not ['ls']"),
    (env, ["A=1"], {}, "env takes a mapping, not 'A=1'"),
    (env, [], {"A": 1}, "env 'A' takes a str, not 1"),
    (scoped, [None], {}, "scoped takes a ScopeConfig, not None"),
    (logging_hook, [], {"logger": "x"}, "logger takes a Logger, not 'x'"),
    (logging_hook, [], {"exit_level": "INFO"}, "exit_level takes an int, not 'INFO'"),
    (tar_create, ["/a", 5], {}, "sources takes a sequence of paths, not 5"),
    (
        tar_create,
        ["/a", ["/b"]],
        {"options": "xz"},
        "options takes TarCreateOptions, not 'xz'",
    ),
]


@pytest.mark.parametrize(
    ("function", "given", "named", "told"), CALLS, ids=[row[-1] for row in CALLS]
)
def test_what_a_function_does_not_take_changes_nothing(
    function: Callable[..., object], given: list[Any], named: dict[str, Any], told: str
) -> None:
    active = current_context()
    with pytest.raises(TypeError) as caught:
        function(*given, **named)
    assert str(caught.value).startswith(told)
    assert current_context() is active


def test_what_can_be_gone_through_only_once_is_kept() -> None:
    config = ScopeConfig(before_hooks=iter([print]))  # type: ignore[arg-type]
    for _ in range(2):
        with scoped(config) as context:
            assert context.before_hooks == (print,)
    with pytest.raises(ValueError, match="at least one source"):
        tar_create("/a", iter([]))  # type: ignore[arg-type]


def test_what_is_told_stays_short() -> None:
    long: Any = "x" * 10_000_000
    with pytest.raises(TypeError) as caught:
        StdinInput(data=long)
    assert len(str(caught.value)) < 80


def test_a_chunk_that_is_text_ends_the_run() -> None:
    chunks: Any = ["text"]
    with pytest.raises(TypeError, match=r"^chunks must yield bytes, not str$"):
        cat().run_sync(stdin=StdinInput(chunks=chunks), timeout=10)


SPAWNS: list[tuple[list[str], dict[Any, Any], type[Exception]]] = [
    (["a\0b"], {}, ValueError),
    (["\udc00\ud800"], {}, UnicodeEncodeError),
    ([], {"A": "a\0b"}, ValueError),
    ([], {"A=B": "c"}, ValueError),
    ([], {"A": "\ud800"}, UnicodeEncodeError),
]


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize(("words", "env", "error"), SPAWNS, ids=ascii)
def test_a_stage_that_the_system_does_not_take_is_named(
    words: list[str], env: dict[Any, Any], error: type[Exception]
) -> None:
    echo = command("echo", *words)
    stage, runnable = (0, echo) if env else (1, cat() | echo)
    with pytest.raises(error) as caught:
        runnable.run_sync(context=ExecutionContext(env=env))
    assert type(caught.value) is error
    line = shlex.join(echo.argv_with_program)
    assert caught.value.__notes__ == [f"stage {stage} could not be started: {line}"]


def test_run_sync_on_a_loop_says_what_to_do_instead() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"running event loop: await run\(\)"):
            cat().run_sync()

    asyncio.run(main())
