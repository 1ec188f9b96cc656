"""Warm helpers of programs that fork, end, or are killed: each a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import TOP
from tests.support.processes import is_alive, read_pid, wait_until

COMMON = """
import asyncio, atexit, logging, os, pathlib, signal, sys, threading, time, traceback
from cuprum import TimeoutExpired
from cuprum._helper_pool import close_pool
from tests.support.processes import child_pids, helper_pids, is_alive, wait_until
from tests.support.stages import cat, command, shell, sleep

logging.getLogger("asyncio").setLevel(logging.ERROR)  # it tells of what takes long

def run(word="hi"):
    result = (command("printf", word) | cat()).run_sync(timeout=20)
    assert (result.ok, result.stdout) == (True, word), result

def the_helper():
    (pid,) = helper_pids()
    return pid

def flow(path):  # until it is ended; each stage writes its number to a file
    path = pathlib.Path(path)
    first = shell('echo $$ >"$1"; exec yes', str(path / "first"))
    last = shell(
        'head -c 9 >/dev/null; echo $$ >"$1"; exec cat >/dev/null', str(path / "last"))
    return first | last
"""


@pytest.fixture(autouse=True)
def _use_the_helper(fresh_backend: pytest.MonkeyPatch, helper_path: Path) -> None:
    fresh_backend.setenv("CUPRUM_PUMP", str(helper_path))
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    fresh_backend.delenv("CUPRUM_PUMP_WARM", raising=False)


def start(code: str, *words: str) -> subprocess.Popen[str]:
    """Start *code* in a Python that complains of everything it can."""
    # Not -W error: the warning of a fork with threads gets lost as an exception.
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "always", "-c", code, *words],
        env=os.environ | {"PYTHONPATH": str(TOP)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, *words: str, before: str = "", status: int = 0) -> str:
    """Run *code* to its end; return its output. It may not complain of anything."""
    with start(before + COMMON + code, *words) as python:
        output, errors = python.communicate(timeout=25)
    assert (errors, python.returncode) == ("", status)
    return output


def reap(pid: int) -> None:
    """Wait until an orphan, adopted by this process, has ended by itself."""
    wait_until(lambda: not is_alive(pid), what=f"the end of {pid}")
    os.waitpid(pid, 0)


# Fork


def test_a_child_has_helpers_of_its_own() -> None:
    run("""
run()
before = helper_pids()
child = os.fork()
if child == 0:
    assert not child_pids()
    for _ in range(3):
        run("child")
    the_helper()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert helper_pids() <= before
run()
the_helper()
""")


def test_a_child_leaves_no_descriptor_behind_and_inherits_none() -> None:
    said = run("""
run()
child = os.fork()
if child == 0:
    listed = os.listdir("/proc/self/fd")
    print([n for n in listed if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")])
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
""")
    assert said == "[]\n"


@pytest.mark.parametrize("warm", ["1", "0"])
def test_a_fork_amid_a_run_does_not_touch_it(
    fresh_backend: pytest.MonkeyPatch, warm: str
) -> None:
    # In the loop's own thread, and no other is there: no warning of threads, either.
    fresh_backend.setenv("CUPRUM_PUMP_WARM", warm)
    run("""
async def main():
    close_pool()
    slow = asyncio.create_task((shell("echo 1; sleep .4; echo 2") | cat()).run())
    while not helper_pids():
        await asyncio.sleep(.01)
    helper = the_helper()
    child = os.fork()
    if child == 0:
        try:
            assert not child_pids()
            fds = [f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd")]
            links = [os.readlink(fd) for fd in fds if os.path.exists(fd)]
            assert len([x for x in links if x.startswith("socket:")]) == 2  # the loop's
            thread = threading.Thread(target=run)  # a loop runs in this one
            thread.start()
            thread.join()
            # What it has started is listed as another thread's once it is gone.
            wait_until(lambda: len(helper_pids()) == warm, what="its helper, if warm")
            close_pool()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert helper_pids() == {helper}
    assert (await slow).stdout == "1\\n2\\n"

warm = int(os.environ["CUPRUM_PUMP_WARM"])
for _ in range(2):
    asyncio.run(main())
    assert len(helper_pids()) == warm
run()
""")


def test_forks_while_threads_run_pipelines() -> None:
    run("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # rightly: there are threads

def work():
    for turn in range(15):
        run(str(turn))
        done.append(turn)

done = []
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    child = os.fork()
    if child == 0:
        run()
        close_pool()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert len(done) == 45
assert len(helper_pids()) <= 2
""")


def test_workers_of_multiprocessing() -> None:
    # They end without exit handlers.
    said = run("""
import multiprocessing

def work(word):
    run(word)
    os.write(1, f"{the_helper()}\\n".encode())  # at once

fork = multiprocessing.get_context("fork")
run()
workers = [fork.Process(target=work, args=(str(n),)) for n in range(3)]
for worker in workers:
    worker.start()
run()
for worker in workers:
    worker.join()
assert [worker.exitcode for worker in workers] == [0, 0, 0]
run()
""")
    helpers = list(map(int, said.split()))
    assert len(helpers) == 3
    for pid in helpers:
        reap(pid)


# The end


@pytest.mark.parametrize("status", [None, 0, 3])
def test_a_program_ends_its_idle_helpers(status: int | None) -> None:
    ending = "" if status is None else f"sys.exit({status})"
    said = run(f"run()\nprint(the_helper())\n{ending}", status=status or 0)
    assert not Path(f"/proc/{said.strip()}").exists()  # its parent has reaped it


def test_a_program_that_exits_amid_a_run() -> None:
    said = run(
        """
async def main():
    asyncio.create_task((shell("exec sleep 20") | cat()).run())
    while not helper_pids():
        await asyncio.sleep(.01)
    print(the_helper(), flush=True)
    sys.exit(3)

asyncio.run(main())
""",
        status=3,
    )
    assert not Path(f"/proc/{said.strip()}").exists()


def test_a_program_that_ends_with_a_run_in_a_daemon_thread(tmp_path: Path) -> None:
    # Nobody is there to end the stages; but they are not kept waiting.
    said = run(
        """
threading.Thread(target=flow(sys.argv[1]).run_sync, daemon=True).start()
wait_until((pathlib.Path(sys.argv[1]) / "last").exists, what="it flows")
print(the_helper())
""",
        str(tmp_path),
    )
    for pid in (int(said), read_pid(tmp_path / "first"), read_pid(tmp_path / "last")):
        reap(pid)


def test_pipelines_of_exit_handlers() -> None:
    # One handler comes before ours, one after it; both may be too late for threads.
    said = run(
        """
@atexit.register
def early():
    run("early")
    print("early")

run()
""",
        before="""
import atexit

@atexit.register
def late():
    run("late")
    print("late", len(helper_pids()))

""",
    )
    assert said == "early\nlate 0\n"


@pytest.mark.parametrize("amid", [False, True], ids=["idle", "amid a run"])
def test_a_program_that_is_killed(tmp_path: Path, *, amid: bool) -> None:
    code = """
run()
print(the_helper(), flush=True)
flow(sys.argv[1]).run_sync() if len(sys.argv) > 2 else time.sleep(20)
"""
    words = [str(tmp_path), *(["amid"] if amid else [])]
    with start(COMMON + code, *words) as python:
        assert python.stdout is not None
        helper = int(python.stdout.readline())
        stages = [tmp_path / "first", tmp_path / "last"] if amid else []
        pids = [helper, *map(read_pid, stages)]
        assert all(map(is_alive, pids))
        python.kill()
    for pid in pids:
        reap(pid)


# What else a program may do


def test_signals_are_for_whoever_waits_for_them() -> None:
    # The thread that waits for helpers must not take them.
    run("""
run()
the_helper()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for _ in range(20):
    os.kill(os.getpid(), signal.SIGUSR1)  # with its default action, the end
    assert signal.sigtimedwait({signal.SIGUSR1}, 5)
""")


def test_standard_streams_may_be_closed(tmp_path: Path) -> None:
    # Their numbers are given to the next who wants some.
    run(
        """
from cuprum import _helper_pool
start = _helper_pool._WarmHelper.__init__
started = []

def note_and_start(self, path):
    started.append(path)
    start(self, path)

_helper_pool._WarmHelper.__init__ = note_and_start

async def main():
    for number in range(3):
        os.close(number)
    for _ in range(3):
        result = await (command("printf", "hi") | cat()).run(timeout=20)
        assert (result.ok, result.stdout) == (True, "hi")
    assert len(started) == 1  # at the first attempt
    pathlib.Path(sys.argv[1]).write_text(f"{the_helper()}")

sys.stdin = sys.stdout = sys.stderr = None
asyncio.run(main())
os._exit(0)
""",
        str(tmp_path / "helper"),
    )
    reap(int((tmp_path / "helper").read_text()))
