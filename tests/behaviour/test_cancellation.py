"""Cancelling a run: nothing of it is left, however often one cancels."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import ExecutionContext, StdinInput
from tests.support.paths import TOP
from tests.support.processes import is_alive, read_pid, wait_until
from tests.support.stages import cat, command, shell

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import Pipeline, SafeCmd

PLAIN = 'echo $$ >"$1"; exec sleep 60'
DEAF = 'trap "" TERM; echo $$ >"$1"; exec sleep 60'


def build(
    kind: str, script: str, tmp_path: Path
) -> tuple[SafeCmd | Pipeline, list[Path]]:
    """Return a command or pipeline of *script*s, and the pid files they write."""
    if kind == "command":
        return shell(script, str(tmp_path / "0")), [tmp_path / "0"]
    paths = [tmp_path / "0", tmp_path / "1"]
    first, last = (shell(script, str(path)) for path in paths)
    return first | cat() | last, paths


@pytest.fixture(params=["command", "helper", "python"])
def kind(request: pytest.FixtureRequest, fresh_backend: pytest.MonkeyPatch) -> str:
    """Return ``command`` or ``pipeline``, the latter with each backend."""
    if request.param == "command":
        return "command"
    if request.param == "helper":
        request.getfixturevalue("helper_path")
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", request.param)
    return "pipeline"


async def started(paths: list[Path]) -> list[int]:
    """Wait for all stages to have started; return their pids."""
    return [await asyncio.to_thread(read_pid, path) for path in paths]


def test_a_cancelled_run_ends_its_processes(kind: str, tmp_path: Path) -> None:
    runnable, paths = build(kind, PLAIN, tmp_path)

    async def main() -> float:
        run = asyncio.create_task(runnable.run())
        pids = await started(paths)
        began = time.monotonic()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert run.cancelled()
        assert not any(map(is_alive, pids))
        return time.monotonic() - began

    assert asyncio.run(main()) < 2


@pytest.mark.parametrize("times", [1, 2, 5])
def test_cancelling_again_does_not_save_a_deaf_process(
    kind: str, tmp_path: Path, times: int
) -> None:
    runnable, paths = build(kind, DEAF, tmp_path)
    context = ExecutionContext(cancel_grace=0.4)

    async def main() -> None:
        run = asyncio.create_task(runnable.run(context=context))
        pids = await started(paths)
        began = time.monotonic()
        for _ in range(times):
            run.cancel()
            await asyncio.sleep(0.03)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert 0.35 <= time.monotonic() - began < 2.5
        assert not any(map(is_alive, pids))

    asyncio.run(main())


def test_cancelling_during_the_grace_of_a_timeout(kind: str, tmp_path: Path) -> None:
    runnable, paths = build(kind, DEAF, tmp_path)
    context = ExecutionContext(cancel_grace=0.6)

    async def main() -> None:
        run = asyncio.create_task(runnable.run(context=context, timeout=0.4))
        pids = await started(paths)
        await asyncio.sleep(0.6)  # now the time is up and the grace has begun
        run.cancel()
        with pytest.raises((asyncio.CancelledError, TimeoutError)):
            await run
        assert not any(map(is_alive, pids))

    asyncio.run(main())


def test_cancelling_during_fail_fast(tmp_path: Path) -> None:
    deaf = shell(DEAF, str(tmp_path / "deaf"))
    script = 'until [ -s "$1" ]; do sleep .02; done; touch "$2"; exit 1'
    failing = shell(script, str(tmp_path / "deaf"), str(tmp_path / "failed"))
    context = ExecutionContext(cancel_grace=0.6)

    async def main() -> None:
        run = asyncio.create_task((failing | deaf).run(context=context))
        (pid,) = await started([tmp_path / "deaf"])
        failed = (tmp_path / "failed").exists
        await asyncio.to_thread(wait_until, failed, what="the first stage fails")
        await asyncio.sleep(0.2)  # within the grace
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert not is_alive(pid)

    asyncio.run(main())


def test_cancelling_at_once(kind: str, tmp_path: Path) -> None:
    runnable, _ = build(kind, PLAIN, tmp_path)

    async def main() -> None:
        for turns in range(6):
            run = asyncio.create_task(runnable.run())
            for _ in range(turns):
                await asyncio.sleep(0)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    asyncio.run(main())


def test_cancelling_while_data_flows(kind: str) -> None:
    yes = command("yes")
    runnable = yes if kind == "command" else yes | cat() | shell("exec cat >/dev/null")

    async def main() -> None:
        run = asyncio.create_task(runnable.run())
        await asyncio.sleep(0.15)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())


def test_cancelling_while_standard_input_is_blocked() -> None:
    async def main() -> None:
        fed = StdinInput(data=bytes(5_000_000))
        run = asyncio.create_task(command("sleep", 60).run(stdin=fed))
        await asyncio.sleep(0.1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())


def test_an_outer_time_limit_is_not_taken_for_our_own(
    kind: str, tmp_path: Path
) -> None:
    runnable, _ = build(kind, PLAIN, tmp_path)

    async def main() -> None:
        async with asyncio.timeout(0.2):
            await runnable.run(timeout=60)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    assert type(caught.value) is TimeoutError


INTERRUPTED = """
import sys
from tests.support.stages import cat, shell
kind, path = sys.argv[1:]
first = shell('trap "" INT; echo $$ >"$1"; exec sleep 60', path)
try:
    (first if kind == "command" else first | cat()).run_sync()
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


@pytest.mark.parametrize("kind_of_run", ["command", "pipeline"])
def test_an_interrupt_ends_run_sync_and_its_processes(
    tmp_path: Path, kind_of_run: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, kind_of_run, str(tmp_path / "pid")],
        cwd=TOP,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        pid = read_pid(tmp_path / "pid")
        os.kill(parent.pid, signal.SIGINT)
        _, told = parent.communicate(timeout=10)
    assert told.splitlines()[-1:] == ["interrupted"]
    assert parent.returncode == 1
    assert not is_alive(pid)


@pytest.mark.usefixtures("stream_backend")
def test_cancelling_one_of_two_leaves_the_other_alone(tmp_path: Path) -> None:
    doomed, paths = build("pipeline", PLAIN, tmp_path)
    lasting = shell("sleep .4; echo well") | cat()

    async def main() -> None:
        first = asyncio.create_task(doomed.run())
        second = asyncio.create_task(lasting.run())
        await started(paths)
        first.cancel()
        assert (await second).stdout == "well\n"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())
