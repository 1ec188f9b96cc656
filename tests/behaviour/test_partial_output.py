"""What had been captured of a run is found by the exception that ended it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import cuprum
from cuprum import (
    ExecutionContext,
    ForbiddenProgramError,
    PartialOutput,
    PumpError,
    RunOutputOptions,
    ScopeConfig,
    TimeoutExpired,
    partial_output,
    scoped,
)
from tests.support import endings
from tests.support.endings import CallerError, Stages
from tests.support.paths import TOP
from tests.support.processes import read_pid, wait_until
from tests.support.stages import cat, missing, shell
from tests.support.striker import Striker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST = 'echo data; echo ready >&2; echo >"$1"; exec sleep 60'
NEXT = 'read -r line; echo "$line"; echo ready >&2; echo >"$1"; exec sleep 60'

RAISING = {name: end for name, end in endings.ALL.items() if name != "fail-fast"}


def raise_error(_: str) -> None:
    """Be a line callback that does not want to see another one."""
    raise CallerError


async def there(*paths: Path) -> None:
    """Wait until stages have made all of *paths*."""
    for path in paths:
        await asyncio.to_thread(wait_until, path.exists, what=f"{path} is there")


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize("ending", RAISING)
def test_every_exception_that_ends_a_pipeline_has_it(
    ending: str, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in "123"]
    scripts = zip([FIRST, NEXT, NEXT], files, strict=True)
    stages = Stages([shell(script, str(file)) for script, file in scripts], files)
    error = RAISING[ending](stages).outcome
    assert isinstance(error, BaseException)
    assert partial_output(error) == PartialOutput("data\n", "ready\n" * 3)
    if isinstance(error, TimeoutExpired):
        assert PartialOutput(error.output, error.stderr) == partial_output(error)
        assert error.stdout == error.output


@pytest.mark.parametrize(
    ("script", "options", "told"),
    [
        ("printf 'caf\\303'", RunOutputOptions(), PartialOutput("caf", "")),
        ("printf 'a\\377b'", RunOutputOptions(), PartialOutput("a\ufffdb", "")),
        (
            "printf 'caf\\303'",
            RunOutputOptions(text=False),
            PartialOutput(b"caf\xc3", b""),
        ),
        ("echo out", RunOutputOptions(capture=False), PartialOutput(None, None)),
        ("echo out; echo err >&2", RunOutputOptions(), PartialOutput("out\n", "err\n")),
        (
            "echo out; echo err >&2",
            RunOutputOptions(stderr="stdout"),
            PartialOutput("out\nerr\n", None),
        ),
        ("", RunOutputOptions(), PartialOutput("", "")),
    ],
    ids=["cut", "malformed", "bytes", "not captured", "both", "joined", "silent"],
)
@pytest.mark.parametrize("errors", ["replace", "strict"])
def test_it_is_as_the_options_say(
    tmp_path: Path,
    script: str,
    options: RunOutputOptions[Any],
    told: PartialOutput,
    errors: str,
) -> None:
    ready = tmp_path / "ready"
    stage = shell(f'{script}\necho >"$1"; exec sleep 60', str(ready))

    async def main() -> None:
        context = ExecutionContext(errors=errors)
        run = asyncio.create_task(stage.run(output=options, context=context))
        await there(ready)
        run.cancel()
        await run

    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(main())
    assert partial_output(caught.value) == told


def test_more_than_a_pipe_holds_is_there(tmp_path: Path) -> None:
    script = 'seq 200000; echo >"$1"; exec sleep 60'
    files = [tmp_path / "ready"]
    error = endings.by_cancellation(Stages([shell(script, str(files[0]))], files))
    assert isinstance(error.outcome, BaseException)
    told = partial_output(error.outcome)
    assert told is not None
    assert str(told.stdout).split() == [str(number) for number in range(1, 200_001)]


async def limited_by_a_scope(work: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(0.05):
        await work


async def limited_by_wait_for(work: asyncio.Task[Any]) -> None:
    await asyncio.wait_for(work, 0.05)


async def in_a_group(work: asyncio.Task[Any]) -> None:
    async def give_up() -> None:
        await asyncio.sleep(0.05)
        work.cancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(give_up())
        await work


@pytest.mark.parametrize(
    "limited", [limited_by_a_scope, limited_by_wait_for, in_a_group]
)
def test_it_is_found_through_what_was_made_of_the_exception(
    tmp_path: Path, limited: Callable[[asyncio.Task[Any]], Any]
) -> None:
    ready = tmp_path / "ready"

    async def main() -> None:
        stage = shell('echo out; echo >"$1"; exec sleep 60', str(ready))
        run = asyncio.create_task(stage.run())
        await there(ready)
        await limited(run)

    with pytest.raises((TimeoutError, asyncio.CancelledError)) as caught:
        asyncio.run(main())
    assert partial_output(caught.value) == PartialOutput("out\n", "")


def test_it_is_found_through_an_error_of_the_callers_own() -> None:
    def run() -> None:
        stage = shell("echo out; exec sleep 60")
        try:
            stage.run_sync(output=RunOutputOptions(on_stdout_line=raise_error))
        except CallerError as error:
            raise LookupError from error

    with pytest.raises(LookupError) as caught:
        run()
    assert partial_output(caught.value) == PartialOutput("out\n", "")


def test_runs_at_the_same_time_have_each_their_own(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    script = 'echo "$2"; echo >"$1"; exec sleep 60'
    stages = [shell(script, str(file), file.name) for file in files]

    async def main() -> None:
        runs = [asyncio.create_task(stage.run()) for stage in stages]
        await there(*files)
        for run in runs:
            run.cancel()
        for name, run in zip("abc", runs, strict=True):
            with pytest.raises(asyncio.CancelledError) as caught:
                await run
            assert partial_output(caught.value) == PartialOutput(f"{name}\n", "")

    asyncio.run(main())


def test_output_that_cannot_be_decoded() -> None:
    context = ExecutionContext(errors="strict")
    with pytest.raises(UnicodeDecodeError) as caught:
        shell("printf 'a\\377b'").run_sync(context=context)
    assert partial_output(caught.value) == PartialOutput("a\ufffdb", "")


def test_an_echo_that_fails() -> None:
    class Sink(io.StringIO):
        def write(self, _: str) -> int:
            raise CallerError

    with pytest.raises(CallerError) as caught:
        shell("echo out").run_sync(
            output=RunOutputOptions(echo=True),
            context=ExecutionContext(stdout_sink=Sink()),
        )
    assert partial_output(caught.value) == PartialOutput("out\n", "")


def test_a_pump_that_dies(
    fresh_backend: pytest.MonkeyPatch, helper_path: Path, tmp_path: Path
) -> None:
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    striker = Striker(tmp_path / "flowing", signal.SIGKILL)
    last = shell(
        'read -r line; echo "$line"; echo $$ >"$1"; exec sleep 60',
        str(tmp_path / "flowing"),
    )
    with pytest.raises(PumpError) as caught:
        (shell("echo data; exec sleep 60") | last).run_sync()
    striker.join()
    assert striker.hit, helper_path
    assert partial_output(caught.value) == PartialOutput("data\n", "")


@pytest.mark.usefixtures("stream_backend")
def test_a_stage_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (cat() | missing(tmp_path)).run_sync()
    assert partial_output(caught.value) == PartialOutput("", "")


def test_there_is_none_of_a_run_that_never_began() -> None:
    nothing = scoped(ScopeConfig(allowlist=frozenset()))
    with nothing, pytest.raises(ForbiddenProgramError) as caught:
        cat().run_sync()
    assert partial_output(caught.value) is None


def test_there_is_none_in_an_exception_from_elsewhere() -> None:
    error, cause = ValueError(), KeyError()
    error.__cause__, cause.__context__ = cause, error  # no end to it
    assert partial_output(error) is None


INTERRUPTED = """
import asyncio, sys
import cuprum
from tests.support.stages import shell
kind, way, path = sys.argv[1:]
last = 'echo err >&2; echo $$ >"$1"; exec sleep 60'
if kind == "command":
    run = shell("echo out; " + last, path)
else:
    run = shell("echo out; exec sleep 60") | shell("head -n 1; " + last, path)
try:
    run.run_sync() if way == "run_sync" else asyncio.run(run.run())
except KeyboardInterrupt as error:
    print(cuprum.partial_output(error))
"""


@pytest.mark.parametrize("way", ["run_sync", "asyncio.run"])
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_an_interrupt_has_it(tmp_path: Path, kind: str, way: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, kind, way, str(tmp_path / "pid")],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        read_pid(tmp_path / "pid")
        os.kill(parent.pid, signal.SIGINT)
        told, _ = parent.communicate(timeout=10)
    assert told == f"{cuprum.PartialOutput('out' + chr(10), 'err' + chr(10))}\n"
