"""Warm helpers: lent to one pipeline after the other, and replaced when they fail."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from cuprum import PumpError, PumpUnavailableError, TimeoutExpired, _helper_pump
from cuprum import _helper_pool as pool
from cuprum._descriptors import readable
from cuprum._helper_backend import find_helper
from cuprum._helper_pool import close_pool
from tests.support.backends import forget_backend
from tests.support.leak_guard import open_descriptors
from tests.support.processes import (
    child_pids,
    helper_pids,
    is_alive,
    read_pid,
    wait_until,
)
from tests.support.stages import cat, command, python, shell, sleep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from cuprum import PipelineResult, SafeCmd

JANITOR = "cuprum-pump-janitor"


@pytest.fixture(autouse=True)
def backend(
    fresh_backend: pytest.MonkeyPatch,
    helper_path: Path,
    results: list[PipelineResult],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[pytest.MonkeyPatch]:
    """Begin without a helper; fail the test if the Python pump had to take over.

    It may, as the helper is not asked for by name, but it would say so.
    """
    fresh_backend.setenv("CUPRUM_PUMP", str(helper_path))
    fresh_backend.delenv("CUPRUM_PUMP_WARM", raising=False)
    close_pool()
    find_helper()  # now, as the process that is asked for its version looks like one
    yield fresh_backend
    assert "the Python pump takes over" not in caplog.text
    for result in results:
        assert all(hop.engine != "python" for hop in result.hops)


def run_one() -> None:
    """Run a short pipeline."""
    result = (command("printf", "hi") | cat()).run_sync(timeout=20)
    assert (result.ok, result.stdout) == (True, "hi")


def the_helper() -> int:
    """Return the process number of the only helper."""
    (pid,) = helper_pids()
    return pid


def an_idle_helper() -> int:
    """Return the process number of a helper that has served, and waits."""
    run_one()
    return the_helper()


def a_helper_runs() -> None:
    """Wait until there is a helper."""
    wait_until(lambda: bool(helper_pids()), what="a helper is started")


def two_idle_helpers() -> set[int]:
    """Return the process numbers of two."""

    async def main() -> None:
        await asyncio.gather(*((sleep(0.1) | cat()).run() for _ in range(2)))

    asyncio.run(main())
    pids = helper_pids()
    assert len(pids) == 2
    return pids


class Flow:
    """A pipeline that flows until it is ended, in a thread; what became of it."""

    def __init__(self, tmp_path: Path) -> None:
        flowing = tmp_path / f"flowing-{time.monotonic_ns()}"
        last = shell('head -c 9; echo $$ >"$1"; exec cat >/dev/null', str(flowing))
        self._pipeline = command("yes") | cat() | last
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="flow")
        self._thread.start()
        self._last = read_pid(flowing, within=10)
        self.helper = helper_of(self._last)

    def _run(self) -> None:
        try:
            self._pipeline.run_sync()
        except Exception as error:
            self.error = error

    def end(self) -> BaseException | None:
        """Kill its helper; return the error of the run."""
        os.kill(self.helper, signal.SIGKILL)
        self._thread.join()
        assert not is_alive(self._last)
        return self.error


def held(gate: Path) -> SafeCmd:
    """Return a command that goes on until *gate* exists."""
    return shell('until [ -e "$1" ]; do sleep .02; done', str(gate))


def helper_of(stage: int) -> int:
    """Return the helper that writes what *stage* reads."""
    pipe = os.readlink(f"/proc/{stage}/fd/0")
    (helper,) = (
        pid
        for pid in helper_pids()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link) == pipe
    )
    return helper


# One after the other


def test_one_helper_serves_run_after_run() -> None:
    pid = an_idle_helper()
    descriptors = open_descriptors()
    for _ in range(10):
        run_one()
        assert helper_pids() == {pid}
    assert open_descriptors() == descriptors


def test_one_helper_serves_event_loops_and_threads_in_turn() -> None:
    async def run() -> None:
        assert (await (command("printf", "hi") | cat()).run()).ok

    pid = an_idle_helper()
    for _ in range(3):
        asyncio.run(run())
        thread = threading.Thread(target=run_one)
        thread.start()
        thread.join()
        assert helper_pids() == {pid}


def test_a_single_command_starts_none() -> None:
    assert command("true").run_sync().ok
    assert not helper_pids()


def test_one_helper_serves_all_hops() -> None:
    async def main() -> set[int]:
        run = asyncio.create_task((sleep(0.3) | cat() | cat() | cat()).run())
        await asyncio.to_thread(a_helper_runs)
        seen = helper_pids()
        assert (await run).ok
        return seen

    seen = asyncio.run(main())
    assert len(seen) == 1
    assert helper_pids() == seen


def test_the_most_hops_for_a_warm_helper_and_one_more(
    backend: pytest.MonkeyPatch,
) -> None:
    for hops, warm in ((126, 1), (127, 0)):
        pipeline = command("printf", "hi") | cat()
        for _ in range(hops - 1):
            pipeline = pipeline | cat()
        result = pipeline.run_sync(timeout=25)
        assert (result.ok, result.stdout, len(result.hops)) == (True, "hi", hops)
        assert len(helper_pids()) == warm
        close_pool()


# Many at once


def test_a_burst_leaves_two(tmp_path: Path) -> None:
    async def main() -> set[int]:
        pipeline = held(tmp_path / "gate") | cat()
        runs = [asyncio.create_task(pipeline.run()) for _ in range(10)]
        await asyncio.to_thread(
            wait_until, lambda: len(helper_pids()) == 10, what="ten helpers"
        )
        seen = helper_pids()
        (tmp_path / "gate").touch()
        assert all(result.ok for result in await asyncio.gather(*runs))
        return seen

    seen = asyncio.run(main())
    assert len(helper_pids()) == 2  # zombies would count
    assert helper_pids() < seen


def test_twenty_threads() -> None:
    def work(number: int) -> list[str | None]:
        pipelines = [command("echo", f"{number} {turn}") | cat() for turn in range(3)]
        return [pipeline.run_sync(timeout=20).stdout for pipeline in pipelines]

    with ThreadPoolExecutor(20) as threads:
        said = list(threads.map(work, range(20)))
    assert said == [[f"{n} {turn}\n" for turn in range(3)] for n in range(20)]
    assert len(helper_pids()) <= 2


def test_several_loops_at_once() -> None:
    async def main(number: int) -> list[str | None]:
        pipelines = [command("echo", f"{number} {turn}") | cat() for turn in range(5)]
        done = await asyncio.gather(*(pipeline.run() for pipeline in pipelines))
        return [result.stdout for result in done]

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda number: asyncio.run(main(number)), range(4)))
    assert said == [[f"{n} {turn}\n" for turn in range(5)] for n in range(4)]
    assert len(helper_pids()) <= 2


# Idle


def test_idle_helpers_leave_and_are_reaped(backend: pytest.MonkeyPatch) -> None:
    # Nothing of the package is called meanwhile, and no event loop runs.
    backend.setattr(pool, "_IDLE_SECONDS", 0.2)

    async def main() -> None:
        await asyncio.gather(*((sleep(0.1) | cat()).run() for _ in range(2)))

    for _ in range(2):
        asyncio.run(main())
        wait_until(lambda: not helper_pids(), what="no helper, and no zombie")
        wait_until(
            lambda: JANITOR not in {thread.name for thread in threading.enumerate()},
            what="no thread without a helper",
        )


def test_leaving_in_the_very_moment_of_the_next_run(
    backend: pytest.MonkeyPatch,
) -> None:
    backend.setattr(pool, "_IDLE_SECONDS", 0.05)
    for turn in range(20):
        run_one()
        time.sleep(0.045 + turn % 10 / 1000)
    wait_until(lambda: not helper_pids(), what="no helper, and no zombie")


def test_a_closed_pool_leaves_nothing() -> None:
    processes, descriptors = child_pids(), open_descriptors()
    threads = set(threading.enumerate())
    two_idle_helpers()
    close_pool()
    assert child_pids() == processes
    assert open_descriptors() == descriptors
    assert set(threading.enumerate()) == threads
    run_one()  # and it can be used again


def test_a_pool_closed_amid_a_run_leaves_the_run_alone(tmp_path: Path) -> None:
    pid = an_idle_helper()
    flow = Flow(tmp_path)
    assert flow.helper == pid
    close_pool()
    assert JANITOR not in {thread.name for thread in threading.enumerate()}
    assert flow.error is None
    assert helper_pids() == {pid}
    assert isinstance(flow.end(), PumpError)


def test_an_idle_helper_keeps_nothing_of_the_user_busy() -> None:
    proc = Path(f"/proc/{an_idle_helper()}")
    assert [os.readlink(proc / "fd" / name) for name in "01"] == ["/dev/null"] * 2
    assert os.readlink(proc / "cwd") == "/"


def test_no_stage_has_a_descriptor_of_a_helper() -> None:
    look = (
        "import os, sys\n"
        "sys.stdout.write(sys.stdin.read())\n"
        "sys.stdout.flush()\n"
        "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])\n"
    )
    two_idle_helpers()
    said = (python(look) | python(look)).run_sync(timeout=20).stdout
    assert said == "[0, 1, 2]\n" * 2


# Another binary, or none that is kept


def copied(path: Path, directory: Path) -> Path:
    """Copy the helper at *path* into a new *directory*."""
    directory.mkdir()
    return Path(shutil.copy(path, directory))


def test_the_binary_that_was_asked_for_serves(
    backend: pytest.MonkeyPatch, helper_path: Path, tmp_path: Path
) -> None:
    copies = [copied(helper_path, tmp_path / name) for name in "abc"]
    served: dict[Path, int] = {}
    for path in (*copies, *copies[1:]):  # two are kept: the latest
        backend.setenv("CUPRUM_PUMP", str(path))
        forget_backend()
        before = helper_pids()
        run_one()
        new = helper_pids() - before
        if path in served:
            assert not new
        else:
            (served[path],) = new
            assert os.readlink(f"/proc/{served[path]}/exe") == str(path)
    assert helper_pids() == {served[path] for path in copies[1:]}


def test_without_warmth_each_pipeline_has_its_own(
    backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warm = an_idle_helper()
    backend.setenv("CUPRUM_PUMP_WARM", "0")
    pids = set()
    for _ in range(2):
        flow = Flow(tmp_path)
        assert helper_pids() == {warm, flow.helper}
        pids.add(flow.helper)
        words = Path(f"/proc/{flow.helper}/cmdline").read_bytes().split(b"\0")
        assert any(word.startswith(b"--status-fd=") for word in words)
        assert not any(word.startswith(b"--control-fd=") for word in words)
        assert isinstance(flow.end(), PumpError)
        run_one()
        assert helper_pids() == {warm}
    assert len(pids) == 2
    backend.delenv("CUPRUM_PUMP_WARM")
    run_one()
    assert helper_pids() == {warm}


# Ended


def test_a_helper_killed_while_idle_is_replaced() -> None:
    killed = an_idle_helper()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not helper_pids(), what="it is reaped")
    assert an_idle_helper() != killed


def end_it(pid: int) -> None:
    """Kill *pid*, stopped or not; return when it is gone."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), what="it is gone")


@pytest.mark.parametrize("age", ["new", "old"])
def test_a_helper_killed_before_it_is_sent_a_job_is_replaced(
    backend: pytest.MonkeyPatch, age: str
) -> None:
    killed: set[int] = set()
    borrow = pool._Pool.borrow

    def borrow_and_kill(
        self: pool._Pool, path: Path, *, fresh: bool
    ) -> tuple[pool._WarmHelper, bool]:
        helper, is_old = borrow(self, path, fresh=fresh)
        if not killed:
            assert is_old == (age == "old")
            end_it(helper.popen.pid)
            killed.add(helper.popen.pid)
        return helper, is_old

    if age == "old":
        run_one()
    backend.setattr(pool._Pool, "borrow", borrow_and_kill)
    run_one()
    assert killed
    assert the_helper() not in killed


def stop_and_kill_at_start(backend: pytest.MonkeyPatch) -> set[int]:
    """Have the next helper killed that was sent a job, and before it can take it.

    Returns what will be the set of those killed.
    """
    killed: set[int] = set()
    borrow, start = pool._Pool.borrow, _helper_pump.HelperPump.start

    def borrow_stopped(
        self: pool._Pool, path: Path, *, fresh: bool
    ) -> tuple[pool._WarmHelper, bool]:
        helper, is_old = borrow(self, path, fresh=fresh)
        if not killed:
            os.kill(helper.popen.pid, signal.SIGSTOP)
        return helper, is_old

    async def kill_and_start(self: _helper_pump.HelperPump) -> None:
        if not killed:
            assert self.pid is not None
            end_it(self.pid)
            killed.add(self.pid)
        await start(self)

    backend.setattr(pool._Pool, "borrow", borrow_stopped)
    backend.setattr(_helper_pump.HelperPump, "start", kill_and_start)
    return killed


def test_an_old_helper_killed_before_its_start_is_replaced(
    backend: pytest.MonkeyPatch,
) -> None:
    run_one()
    killed = stop_and_kill_at_start(backend)
    run_one()
    assert killed
    assert the_helper() not in killed


def test_a_new_helper_killed_before_its_start_is_an_error(
    backend: pytest.MonkeyPatch,
) -> None:
    # Not the fate of those who idle: whoever is started next might fare no better.
    backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    killed = stop_and_kill_at_start(backend)
    with pytest.raises(PumpUnavailableError, match="status -9 before it had started"):
        (command("printf", "hi") | cat()).run_sync(timeout=20)
    assert killed
    run_one()


def test_a_helper_killed_as_its_job_ends_is_not_kept(
    backend: pytest.MonkeyPatch,
) -> None:
    release = pool.WarmJob.release

    async def kill_and_release(self: pool.WarmJob) -> int | None:
        end_it(self.pid)
        return await release(self)

    with backend.context() as patch:
        patch.setattr(pool.WarmJob, "release", kill_and_release)
        run_one()
        wait_until(lambda: not helper_pids(), what="it is reaped")
    run_one()


def test_a_stopped_idle_helper_does_not_make_a_timeout_late() -> None:
    stopped = an_idle_helper()
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        (command("printf", "hi") | cat()).run_sync(timeout=0.3)
    assert time.monotonic() - began < 5
    assert not helper_pids()
    run_one()


def test_a_stopped_idle_helper_is_replaced_in_the_end(
    backend: pytest.MonkeyPatch,
) -> None:
    backend.setattr(_helper_pump, "_START_SECONDS", 1)
    stopped = an_idle_helper()
    os.kill(stopped, signal.SIGSTOP)
    assert an_idle_helper() != stopped


def test_a_closed_pool_ends_a_stopped_helper() -> None:
    os.kill(an_idle_helper(), signal.SIGSTOP)
    close_pool()
    assert not helper_pids()


def test_a_helper_that_starts_after_all_is_not_replaced(
    backend: pytest.MonkeyPatch,
) -> None:
    # It may have moved something: whoever took over would cut the stream short.
    backend.setattr(_helper_pump, "_START_SECONDS", 0.2)
    end = pool.WarmJob.end

    async def end_late(self: pool.WarmJob) -> int:
        with suppress(ProcessLookupError):  # it comes here twice
            os.kill(self.pid, signal.SIGCONT)
        await readable(self.status)
        return await end(self)

    backend.setattr(pool.WarmJob, "end", end_late)
    os.kill(an_idle_helper(), signal.SIGSTOP)
    with pytest.raises(PumpUnavailableError) as caught:
        (command("printf", "hi") | cat()).run_sync(timeout=20)
    assert caught.value.is_final


def test_a_start_that_has_come_is_seen_however_late_one_looks(
    backend: pytest.MonkeyPatch,
) -> None:
    # A callback of the user's keeps the loop for longer than the limit. The helper has
    # taken the data by then, so that nobody could take over.
    pid = an_idle_helper()
    os.kill(pid, signal.SIGSTOP)
    start = _helper_pump.HelperPump.start

    def hold_the_loop() -> None:
        os.kill(pid, signal.SIGCONT)
        time.sleep(1)

    async def start_late(self: _helper_pump.HelperPump) -> None:
        asyncio.get_running_loop().call_soon(hold_the_loop)
        await start(self)

    backend.setattr(_helper_pump, "_START_SECONDS", 0.5)
    backend.setattr(_helper_pump.HelperPump, "start", start_late)
    run_one()
    assert helper_pids() == {pid}


# Failures cost a helper, and only that one


def test_a_killed_helper_fails_its_own_run_alone(tmp_path: Path) -> None:
    two_idle_helpers()
    flow, other = Flow(tmp_path), Flow(tmp_path)
    assert isinstance(flow.end(), PumpError)
    assert other.error is None
    assert helper_pids() == {other.helper}
    run_one()
    assert isinstance(other.end(), PumpError)


@pytest.mark.parametrize("how", ["timeout", "cancellation"])
def test_a_run_that_is_ended_costs_its_helper_alone(tmp_path: Path, how: str) -> None:
    async def main() -> int:
        other = asyncio.create_task((held(tmp_path / "gate") | cat()).run())
        await asyncio.to_thread(a_helper_runs)
        busy = the_helper()
        assert (await (command("printf", "hi") | cat()).run()).ok
        (idle,) = helper_pids() - {busy}
        os.kill(idle, signal.SIGSTOP)
        timeout = 0.3 if how == "timeout" else None
        stuck = asyncio.create_task((command("yes") | cat()).run(timeout=timeout))
        await asyncio.sleep(0)  # it has begun
        if how == "cancellation":
            stuck.cancel()
        with pytest.raises((TimeoutExpired, asyncio.CancelledError)):
            await stuck
        assert helper_pids() == {busy}
        (tmp_path / "gate").touch()
        assert (await other).ok
        return busy

    busy = asyncio.run(main())
    run_one()
    assert helper_pids() == {busy}


def fail_a_hop(backend: pytest.MonkeyPatch) -> None:
    """Have a hop fail for which the helper is not to blame."""
    send = pool.WarmJob.__init__

    def send_full(
        self: pool.WarmJob,
        path: Path,
        options: Sequence[str],
        numbers: Sequence[int],
        owner: ExitStack,
        *,
        fresh: bool = False,
    ) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        send(self, path, options, [numbers[0], full], owner, fresh=fresh)
        os.close(full)

    with backend.context() as patch:
        patch.setattr(pool.WarmJob, "__init__", send_full)
        with pytest.raises(PumpError, match="No space left"):
            (command("printf", "hi") | cat()).run_sync(timeout=20)


def test_a_failed_hop_does_not_cost_the_helper(backend: pytest.MonkeyPatch) -> None:
    fail_a_hop(backend)
    pid = the_helper()
    run_one()
    assert helper_pids() == {pid}


def test_what_a_helper_said_of_one_job_is_not_said_of_the_next(
    backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fail_a_hop(backend)
    said = str(Flow(tmp_path).end())
    assert "before its work was done" in said
    assert "No space left" not in said


def test_a_refused_job_is_told_as_the_helper_put_it(
    backend: pytest.MonkeyPatch,
) -> None:
    backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    with backend.context() as patch:
        patch.setattr(_helper_pump, "job_options", lambda *_, **__: ["--engine=warp"])
        with pytest.raises(PumpUnavailableError, match="warp"):
            (command("printf", "hi") | cat()).run_sync(timeout=20)
    run_one()


# Where the system has little to give


def test_without_descriptors_a_run_fails_and_leaves_nothing(
    backend: pytest.MonkeyPatch,
) -> None:
    # From none that is free to more than enough, so that each step fails once.
    backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ended = set()

    async def run_with(free: int) -> None:
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, hard))
        try:
            result = await (command("printf", "hi") | cat()).run(timeout=20)
            assert (result.ok, result.stdout) == (True, "hi")
            ended.add("well")
        except (OSError, PumpUnavailableError) as error:
            ended.add(type(error).__name__)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    for free in range(30):
        before = open_descriptors()
        asyncio.run(run_with(free))
        close_pool()
        assert open_descriptors() == before
        assert not helper_pids()
    assert ended == {"OSError", "PumpUnavailableError", "well"}


def no_thread(_: threading.Thread) -> NoReturn:
    """Fail as threads do at a limit."""
    raise RuntimeError("can't start new thread")


def no_pidfd(_pid: int, _flags: int = 0) -> NoReturn:
    """Fail as an old kernel does."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("lacking", ["thread", "pidfd", "pidfd_open"])
def test_a_helper_whose_end_nobody_would_notice_is_not_kept(
    backend: pytest.MonkeyPatch, lacking: str
) -> None:
    with backend.context() as patch:
        if lacking == "thread":
            patch.setattr(threading.Thread, "start", no_thread)
        elif lacking == "pidfd":
            patch.setattr(os, "pidfd_open", no_pidfd)
        else:
            patch.delattr(os, "pidfd_open")
        run_one()
        assert not helper_pids()
    assert an_idle_helper()


def test_a_helper_of_another_user_is_neither_used_nor_killed(
    backend: pytest.MonkeyPatch,
) -> None:
    # A program may change its user, and must not depend on what the other one can do.
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    other = an_idle_helper()
    with backend.context() as patch:
        patch.setattr(os, "geteuid", lambda: 4711)
        run_one()
        assert helper_pids() > {other}
        patch.setattr(os, "kill", refuse)
        began = time.monotonic()
        close_pool()
        assert time.monotonic() - began < 5
    assert not helper_pids()
