"""Relatives of a run: who is found, who is left alone, how they are ended."""

from __future__ import annotations

import array
import asyncio
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cuprum import _tree
from cuprum._tree import Tree
from tests.support.leak_guard import open_descriptors
from tests.support.paths import TOP
from tests.support.processes import (
    child_pids,
    end_and_reap,
    is_alive,
    read_pid,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

PATIENCE = 5  # seconds


class Run:
    """As much of a run as a tree needs: stages that write into one pipe."""

    def __init__(self, runner: asyncio.Runner, owner: ExitStack, path: Path) -> None:
        self.runner = runner
        self.path = path
        self.reader, self.writer = os.pipe()  # no Descriptor: forks keep it
        owner.callback(os.close, self.reader)
        owner.callback(os.close, self.writer)
        self.pipes = [os.fstat(self.reader).st_ino]
        self.stages: list[subprocess.Popen[bytes]] = []
        self.tree = self.make_tree(owner)

    def make_tree(self, owner: ExitStack) -> Tree:
        """Return the tree of a run that begins now."""

        async def make() -> Tree:
            return Tree(owner)

        return self.runner.run(make())

    def stage(self, script: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a shell in a directory of the test's own, writing to the pipe."""
        stage = subprocess.Popen(
            ["sh", "-c", script, "sh", *words],
            stdin=subprocess.DEVNULL,
            stdout=self.writer,
            cwd=self.path,
        )
        self.stages.append(stage)
        return stage

    def pid(self, name: str) -> int:
        """Return the process id that a stage writes to the file *name*."""
        return read_pid(self.path / name)

    def roots(self) -> list[int]:
        return [stage.pid for stage in self.stages if stage.returncode is None]

    def find(self) -> None:
        self.tree.find(roots=self.roots(), pipes=self.pipes)

    def signal(
        self, number: signal.Signals, *, spare: Collection[int] = (), pipes: bool = True
    ) -> int:
        return self.tree.signal(
            number,
            roots=self.roots(),
            pipes=self.pipes if pipes else (),
            spare=spare,
        )

    def wait(self) -> None:
        """Wait until the relatives have exited."""
        self.runner.run(asyncio.wait_for(self.tree.wait(), PATIENCE))

    def end(self) -> None:
        """End what is left, adopted orphans and theirs included."""
        for stage in self.stages:
            stage.kill()
            stage.wait()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Yield a run that has begun; end, at last, all that came of it."""
    before = child_pids()
    with asyncio.Runner() as runner, ExitStack() as owner:
        run = Run(runner, owner, tmp_path)
        try:
            yield run
        finally:
            run.end()
            while strays := child_pids() - before:
                end_and_reap(strays)


def fork(program: Callable[[], None]) -> int:
    """Run *program* in a copy of this process; return the number of that."""
    pid = os.fork()
    if pid == 0:
        try:
            program()
        finally:
            os._exit(1)
    return pid


SLEEPER = "sh -c 'echo $$ >pid; exec sleep 60'"  # in its place when it says so
CHILD = f"{SLEEPER} >&2 & wait"
GRANDCHILD = f'sh -c "{SLEEPER} >&2 & wait" >&2 & wait'.replace("$", "\\$")
ORPHAN = f"{SLEEPER} &"
ORPHANS_ORPHAN = f'sh -c "{SLEEPER} &" & wait'.replace("$", "\\$")
ORPHANS_CHILD = f'sh -c "{SLEEPER} >&2 & wait" &'.replace("$", "\\$")
DAEMON = f"{SLEEPER} >&2 &"


class TestRelativesAreFound:
    """By their parents' numbers, or by the pipe, which >&2 gives up."""

    @pytest.mark.parametrize("script", [CHILD, GRANDCHILD])
    def test_what_a_stage_has_started(self, run: Run, script: str) -> None:
        run.stage(script)
        pid = run.pid("pid")
        assert run.signal(signal.SIGTERM, pipes=False) > 0
        run.wait()
        assert not is_alive(pid)

    @pytest.mark.parametrize("script", [ORPHAN, ORPHANS_ORPHAN, ORPHANS_CHILD])
    def test_what_a_stage_has_left_behind(self, run: Run, script: str) -> None:
        run.stage(script).wait()
        pid = run.pid("pid")
        assert run.signal(signal.SIGTERM) > 0
        run.wait()
        assert not is_alive(pid)

    def test_what_was_found_before_its_parent_exited(self, run: Run) -> None:
        stage = run.stage(CHILD)
        pid = run.pid("pid")
        run.find()
        stage.kill()
        stage.wait()
        assert run.signal(signal.SIGTERM) == 1
        run.wait()
        assert not is_alive(pid)

    def test_children_of_those_found_before(self, run: Run) -> None:
        middle = 'trap "sleep 60 >&2 & echo \\$! >pid" TERM; echo $$ >middle'
        (run.path / "middle.sh").write_text(f"{middle}; sleep 60 & wait; wait")
        stage = run.stage("sh middle.sh >&2 & wait")
        run.pid("middle")
        wait_until(lambda: run.signal(signal.SIGCONT) == 2, what="both are found")
        stage.kill()
        stage.wait()
        os.kill(run.pid("middle"), signal.SIGTERM)
        pid = run.pid("pid")
        assert run.signal(signal.SIGKILL) == 3
        run.wait()
        assert not is_alive(pid)

    def test_an_elder_with_a_higher_number(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        processes = _tree._processes

        def downwards(*, since: int) -> Iterator[Any]:
            return reversed(list(processes(since=since)))

        run.stage(GRANDCHILD)
        run.pid("pid")
        monkeypatch.setattr(_tree, "_processes", downwards)
        assert run.signal(signal.SIGTERM, pipes=False) == 2
        run.wait()

    def test_names_may_look_like_another_status(self, run: Run) -> None:
        name = ") R 1 1 1 1 1 ("
        sleep = shutil.which("sleep")
        assert sleep is not None
        (run.path / name).symlink_to(sleep)
        run.stage('"./$1" 60 >&2 & echo $! >pid; wait', name)
        comm = Path(f"/proc/{run.pid('pid')}/comm")
        wait_until(lambda: comm.read_text() == f"{name}\n", what="it is executed")
        assert run.signal(signal.SIGTERM, pipes=False) == 1
        run.wait()

    def test_threads_count_once(self, run: Run) -> None:
        code = "import threading as t, time as s\n"
        code += "for _ in range(5): t.Thread(target=s.sleep, args=[60]).start()\n"
        code += "open('up', 'w').write('1\\n')\n"
        run.stage('"$1" -c "$2" & wait', sys.executable, code)
        run.pid("up")
        assert run.signal(signal.SIGKILL) == 1
        run.wait()

    def test_a_process_lives_on_without_its_first_thread(self, run: Run) -> None:
        code = "import ctypes, os, threading as t, time as s\n"
        code += "t.Thread(target=s.sleep, args=[60]).start()\n"
        code += "open('pid', 'w').write(f'{os.getpid()}\\n')\n"
        code += "ctypes.CDLL(None).pthread_exit(None)\n"
        run.stage('"$1" -c "$2" & wait', sys.executable, code)
        pid = run.pid("pid")
        wait_until(lambda: not is_alive(pid), what="the first thread ends")
        assert run.signal(signal.SIGKILL) == 1
        run.wait()
        gone = f"/proc/{pid}"
        wait_until(lambda: not Path(gone).exists(), what="the shell reaps it")


ADOPTED_ELSEWHERE = """
import asyncio, os, signal, subprocess
from contextlib import ExitStack
from cuprum._tree import Tree

async def main():
    with ExitStack() as owner:
        tree = Tree(owner)
        reader, writer = os.pipe()
        pipes = [os.fstat(reader).st_ino]
        subprocess.run(["sh", "-c", "sleep 60 & echo $!"], stdout=writer)
        pid = int(os.read(reader, 100))
        status = open(f"/proc/{pid}/status").read()
        print(f"PPid:\\t{os.getpid()}\\n" in status, end=" ")
        print(tree.signal(signal.SIGTERM, roots=(), pipes=pipes), end=" ")
        await tree.wait()
        print(tree.is_gone())

asyncio.run(main())
"""


@pytest.mark.usefixtures("run")
def test_it_does_not_matter_who_has_adopted_an_orphan() -> None:
    # Elsewhere in these tests it is ourselves, as in a container; here it is not.
    done = subprocess.run(
        [sys.executable, "-c", ADOPTED_ELSEWHERE],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "False 1 True\n"


class TestOthersAreLeftAlone:
    """Each with the same process that is found where one thing is different."""

    def test_an_orphan_that_has_redirected_everything(self, run: Run) -> None:
        run.stage(DAEMON).wait()
        pid = run.pid("pid")
        assert run.signal(signal.SIGTERM) == 0
        assert is_alive(pid)

    def test_an_orphan_without_pipes_to_look_for(self, run: Run) -> None:
        run.stage(ORPHAN).wait()
        pid = run.pid("pid")
        assert run.signal(signal.SIGTERM, pipes=False) == 0
        assert is_alive(pid)
        assert run.signal(signal.SIGTERM) == 1

    def test_the_stages_themselves(self, run: Run) -> None:
        stage = run.stage("exec sleep 60")
        assert run.signal(signal.SIGTERM) == 0
        assert stage.poll() is None

    def test_a_pump_and_its_children(self, run: Run) -> None:
        pump = run.stage(CHILD)
        pid = run.pid("pid")
        run.stages.clear()  # no stage of the run
        try:
            assert run.signal(signal.SIGTERM, spare=[pump.pid]) == 0
            assert pump.poll() is None
            assert is_alive(pid)
            assert run.signal(signal.SIGTERM) == 2
            run.wait()
        finally:
            pump.kill()
            pump.wait()

    def test_ourselves(self, run: Run) -> None:
        # Both ends of the pipe are open here, and we are as young as can be.
        run.tree._since = 0
        assert run.signal(signal.SIGCONT) == 0

    @pytest.mark.parametrize("executes", [False, True])
    def test_a_fork_of_ours_that_has_not_executed_a_program(
        self, run: Run, executes: bool
    ) -> None:
        def program() -> None:
            if executes:
                os.set_inheritable(run.writer, True)
                os.execlp("sleep", "sleep", "60")
            time.sleep(60)

        pid = fork(program)
        if executes:
            comm = Path(f"/proc/{pid}/comm")
            wait_until(lambda: comm.read_text() == "sleep\n", what="it is executed")
        assert run.signal(signal.SIGTERM) == executes
        if executes:
            run.wait()
        assert is_alive(pid) != executes

    @pytest.mark.parametrize("is_copy", [False, True])
    def test_one_that_is_just_executing_a_program_is_looked_at_again(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, is_copy: bool
    ) -> None:
        if is_copy:
            fork(lambda: time.sleep(60))
        else:
            run.stage(ORPHAN).wait()
            run.pid("pid")
        processes = _tree._processes

        def before_that(*, since: int) -> Iterator[Any]:
            for process in processes(since=since):
                yield process._replace(layout=(b"0", b"0", b"0"))

        monkeypatch.setattr(_tree, "_processes", before_that)
        assert run.signal(signal.SIGTERM) == (0 if is_copy else 1)

    def test_an_older_process_that_was_handed_the_pipe(self, run: Run) -> None:
        code = (
            "import socket, time\n"
            "me = socket.socket(fileno=0)\n"
            "held = socket.recv_fds(me, 1, 1)\n"
            "me.send(b'.')\n"
            "time.sleep(60)\n"
        )
        ours, theirs = socket.socketpair()
        with ours, theirs, ExitStack() as owner:
            elder = subprocess.Popen(
                [sys.executable, "-c", code], stdin=theirs.fileno()
            )
            try:
                time.sleep(0.02)  # two ticks of the clock that start times are of
                older, run.tree = run.tree, run.make_tree(owner)
                rights = array.array("i", [run.writer])
                ours.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                assert ours.recv(1) == b"."
                assert run.signal(signal.SIGTERM) == 0
                assert elder.poll() is None
                run.tree = older
                assert run.signal(signal.SIGTERM) == 1
                run.wait()
            finally:
                elder.kill()
                elder.wait()

    def test_one_that_has_exited_and_was_not_reaped(self, run: Run) -> None:
        run.stage("sleep 0 & echo $! >pid; exec sleep 60")
        pid = run.pid("pid")
        wait_until(lambda: not is_alive(pid), what="a zombie")
        assert run.signal(signal.SIGTERM) == 0
        assert run.tree.is_gone()

    def test_one_that_was_given_a_used_number(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run.stage(CHILD)
        pid = run.pid("pid")
        processes = _tree._processes

        def before_that(*, since: int) -> Iterator[Any]:
            for process in processes(since=since):
                yield process._replace(started=process.started + 1)

        monkeypatch.setattr(_tree, "_processes", before_that)
        assert run.signal(signal.SIGTERM) == 0
        assert is_alive(pid)
        monkeypatch.undo()
        assert run.signal(signal.SIGTERM) == 1
        run.wait()

    def test_one_that_is_not_ours_to_signal(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: int, number: signal.Signals) -> None:
            raise PermissionError(errno.EPERM, "as for what sudo starts", str(number))

        run.stage(CHILD)
        run.pid("pid")
        monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
        assert run.signal(signal.SIGTERM) == 0
        assert run.tree.is_gone()  # nobody waits for it


class TestWhereTheSystemDoesNotTell:
    """Nothing is found, and that is no error."""

    def check(self, run: Run) -> None:
        run.stage(CHILD)
        pid = run.pid("pid")
        assert run.signal(signal.SIGTERM) == 0
        run.wait()
        assert is_alive(pid)

    def test_python_has_no_pidfds(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "pidfd_open")
        self.check(run)

    def test_the_kernel_has_no_pidfds(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: int) -> int:
            raise OSError(errno.ENOSYS, "no such call")

        monkeypatch.setattr(os, "pidfd_open", refuse)
        self.check(run)

    def test_there_is_no_proc(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_tree, "_PROC", bytes(run.path / "proc"))
        self.check(run)

    def test_proc_is_of_another_pid_namespace(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run.stage(CHILD)
        pid = run.pid("pid")
        proc = run.path / "proc"
        proc.mkdir()
        (proc / "self").symlink_to(f"/proc/{os.getppid()}")
        (proc / str(pid)).symlink_to(f"/proc/{pid}")
        monkeypatch.setattr(_tree, "_PROC", bytes(proc))
        assert run.signal(signal.SIGTERM) == 0
        assert is_alive(pid)
        (proc / "self").unlink()
        (proc / "self").symlink_to("/proc/self")
        assert run.signal(signal.SIGTERM) == 1
        run.wait()

    def test_there_is_nothing_to_look_for(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*, since: int) -> Iterator[Any]:
            raise AssertionError(since)

        monkeypatch.setattr(_tree, "_processes", refuse)
        assert run.signal(signal.SIGTERM, pipes=False) == 0


def end(run: Run, *, grace: float, most: int = 20) -> int:
    """End the run as the caller does; return how often it took SIGKILL."""

    async def wait(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await run.tree.wait()
        except TimeoutError:
            pass

    run.find()
    for stage in run.stages:
        stage.terminate()
    run.signal(signal.SIGTERM)
    run.runner.run(wait(grace))
    for stage in run.stages:
        stage.kill()
        stage.wait()
    for times in range(most):
        if not run.signal(signal.SIGKILL):
            return times
        run.runner.run(wait(PATIENCE))
    raise AssertionError("there is no end of them")


class TestEndingThem:
    """SIGTERM, a grace, SIGKILL until nobody is found."""

    def test_sigterm_is_enough_for_those_that_heed_it(self, run: Run) -> None:
        run.stage(GRANDCHILD)
        pid = run.pid("pid")
        began = time.monotonic()
        assert end(run, grace=PATIENCE) == 0
        assert time.monotonic() - began < PATIENCE
        assert not is_alive(pid)

    def test_a_grandchild_that_ignores_sigterm_is_killed(self, run: Run) -> None:
        deaf = 'trap "" TERM; echo $$ >pid; exec sleep 60'
        (run.path / "deaf.sh").write_text(deaf)
        run.stage("sh -c 'sh deaf.sh & wait' & wait")
        pid = run.pid("pid")
        began = time.monotonic()
        assert end(run, grace=0.2) == 1
        assert time.monotonic() - began >= 0.2
        assert not is_alive(pid)

    @pytest.mark.parametrize("spawner", ["sh spawn.sh", "sh spawn.sh & wait"])
    @pytest.mark.parametrize("grace", [0, 0.1])
    def test_nobody_escapes_who_is_forked_meanwhile(
        self, run: Run, spawner: str, grace: float
    ) -> None:
        before = child_pids()
        spawn = 'i=0; while [ $((i += 1)) -le 2000 ]; do sleep 60 & echo $i >"$i"; done'
        (run.path / "spawn.sh").write_text(f'trap "" TERM; {spawn}; sleep 60')
        run.stage(spawner)
        wait_until((run.path / "30").exists, what="it is in full swing")
        end(run, grace=grace)
        assert not [pid for pid in child_pids() - before if is_alive(pid)]

    def test_parents_are_signalled_before_their_children(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        send = signal.pidfd_send_signal

        def note(pidfd: int, number: int) -> None:
            info = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
            told.extend(line[5:] for line in info.splitlines() if line[:4] == "Pid:")
            send(pidfd, number)

        monkeypatch.setattr(signal, "pidfd_send_signal", note)
        inner = (
            'sh -c "sleep 60 & echo \\$! >c; echo \\$\\$ >b; wait" & echo $$ >a; wait'
        )
        (run.path / "inner.sh").write_text(inner)
        run.stage("sh inner.sh & wait")
        family = [run.pid(name) for name in "abc"]
        assert run.signal(signal.SIGTERM) == 3
        assert [int(word) for word in told] == family
        run.wait()


class TestWaiting:
    """Until every known relative has exited."""

    def start(self, run: Run) -> int:
        run.stage(CHILD)
        pid = run.pid("pid")
        (run.path / "pid").unlink()
        run.find()
        return pid

    def test_there_is_nobody_to_wait_for(self, run: Run) -> None:
        assert run.tree.is_gone()
        run.wait()

    def test_those_found_meanwhile_are_waited_for(self, run: Run) -> None:
        first = self.start(run)

        async def main() -> None:
            waiting = asyncio.create_task(run.tree.wait())
            await asyncio.sleep(0)
            os.kill(first, signal.SIGKILL)
            wait_until(run.tree.is_gone, what="the first exits")
            assert run.signal(signal.SIGCONT) == 0  # the waiter will be woken
            second = self.start(run)
            await asyncio.wait((waiting,), timeout=0.1)
            assert not waiting.done()
            assert not run.tree.is_gone()
            os.kill(second, signal.SIGKILL)
            await asyncio.wait_for(waiting, PATIENCE)
            assert run.tree.is_gone()

        run.runner.run(main())

    def test_one_may_give_up_while_another_waits(self, run: Run) -> None:
        pid = self.start(run)

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await run.tree.wait()
            tasks = [asyncio.create_task(run.tree.wait()) for _ in range(2)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1])
            os.kill(pid, signal.SIGKILL)
            await asyncio.wait_for(tasks[1], PATIENCE)

        run.runner.run(main())

    def test_pidfds_are_closed_when_their_processes_exit(self, run: Run) -> None:
        before = open_descriptors()
        for _ in range(3):  # the same descriptors are used again
            self.start(run)
            assert open_descriptors() != before
            assert run.signal(signal.SIGKILL) == 1
            run.wait()
            assert open_descriptors() == before

    def test_pidfds_are_closed_with_the_run(self, run: Run) -> None:
        before = open_descriptors()
        with ExitStack() as owner:
            run.tree = run.make_tree(owner)
            pid = self.start(run)
            assert open_descriptors() != before
        assert open_descriptors() == before
        assert is_alive(pid)
