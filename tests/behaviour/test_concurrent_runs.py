"""Many runs at once, and the two ways in which an exit is noticed."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from cuprum import ExecutionContext, TimeoutExpired
from tests.support.stages import (
    cat,
    command,
    deaf_sleep,
    false,
    shell,
    sleep,
    statuses,
)


@pytest.mark.usefixtures("stream_backend")
def test_run_sync_from_several_threads() -> None:
    def work(number: int) -> list[str | None]:
        texts = []
        for turn in range(5):
            pipeline = command("echo", f"{number}-{turn}") | cat() | cat()
            texts.append(pipeline.run_sync(timeout=20).stdout)
        return texts

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(work, range(6)))
    assert answers == [[f"{n}-{turn}\n" for turn in range(5)] for n in range(6)]


@pytest.mark.usefixtures("stream_backend")
def test_an_early_close_in_one_thread_does_not_touch_the_others() -> None:
    # A descriptor closed twice would hit a pipe of somebody else.
    def leave_early(_turn: int) -> bool:
        return (command("yes") | command("head", "-1")).run_sync(timeout=20).ok

    def count(_turn: int) -> str | None:
        zeros = command("head", "-c", 3_000_000, "/dev/zero")
        return (zeros | cat() | command("wc", "-c")).run_sync(timeout=20).stdout

    with ThreadPoolExecutor(4) as pool:
        left = pool.map(leave_early, range(6))
        counted = pool.map(count, range(12))
        assert list(left) == [True] * 6
        assert list(counted) == ["3000000\n"] * 12


@pytest.mark.usefixtures("stream_backend")
def test_many_pipelines_on_one_loop() -> None:
    async def main() -> list[str | None]:
        pipelines = [command("echo", number) | cat() for number in range(20)]
        done = await asyncio.gather(*(pipeline.run() for pipeline in pipelines))
        return [result.stdout for result in done]

    assert asyncio.run(main()) == [f"{number}\n" for number in range(20)]


@pytest.mark.usefixtures("stream_backend")
def test_the_loop_stays_responsive_while_data_flows() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        zeros = command("head", "-c", 300_000_000, "/dev/zero")
        run = asyncio.create_task((zeros | shell("exec cat >/dev/null")).run())
        longest, last = 0.0, loop.time()
        while not run.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, loop.time() - last), loop.time()
        assert (await run).ok
        return longest

    assert asyncio.run(main()) < 0.4


@pytest.mark.usefixtures("stream_backend")
def test_runs_outside_the_main_thread() -> None:
    seen: list[object] = []

    def work() -> None:
        seen.append((command("printf", "hi") | cat()).run_sync().stdout)
        with pytest.raises(TimeoutExpired):
            (sleep(60) | cat()).run_sync(timeout=0.1)
        seen.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["hi", "done"]


def no_pidfd(_pid: int, _flags: int = 0) -> NoReturn:
    """Fail as an old kernel or a sandbox does."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.fixture(params=["pidfd", "absent", "refused"])
def exit_watch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with pidfd_open(2), without it, and where it is refused."""
    if request.param == "absent":
        monkeypatch.delattr(os, "pidfd_open")
    elif request.param == "refused":
        monkeypatch.setattr(os, "pidfd_open", no_pidfd)


@pytest.mark.usefixtures("exit_watch", "stream_backend")
class TestExitWatch:
    """The same outcomes, however an exit is noticed."""

    def test_success(self) -> None:
        result = (command("printf", "hi") | cat()).run_sync(timeout=10)
        assert (result.ok, result.stdout) == (True, "hi")

    def test_exit_codes(self) -> None:
        assert shell("exit 7").run_sync(timeout=10).exit_code == 7
        assert shell("kill -9 $$").run_sync(timeout=10).exit_code == -signal.SIGKILL

    def test_failure(self) -> None:
        result = (false() | sleep(30)).run_sync(timeout=10)
        assert statuses(result) == [1, -15]

    def test_timeout_and_escalation(self) -> None:
        context = ExecutionContext(cancel_grace=0.1)
        with pytest.raises(TimeoutExpired):
            deaf_sleep().run_sync(timeout=0.15, context=context)
        with pytest.raises(TimeoutExpired):
            (deaf_sleep() | cat()).run_sync(timeout=0.15, context=context)

    def test_cancellation(self) -> None:
        async def main() -> None:
            run = asyncio.create_task((sleep(30) | cat()).run())
            await asyncio.sleep(0.1)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

        asyncio.run(main())


def test_a_child_that_is_not_ours_is_left_alone() -> None:
    # Nothing may reap by waitpid(-1): the application has children of its own.
    pid = os.fork()
    if pid == 0:
        os._exit(9)
    assert (command("printf", "hi") | cat()).run_sync().ok
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
