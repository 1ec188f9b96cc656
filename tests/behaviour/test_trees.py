"""What stages have started is ended with them, however the run comes to its end."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cuprum
from cuprum import ExecutionContext, PipelineResult, TimeoutExpired
from tests.support import endings
from tests.support.endings import Ended, Stages
from tests.support.paths import TOP
from tests.support.processes import (
    child_pids,
    end_and_reap,
    is_alive,
    read_pid,
    reap_orphans,
)
from tests.support.stages import cat, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cuprum import Pipeline, SafeCmd

GRACE = 0.3
PATIENT = ExecutionContext(cancel_grace=GRACE, linger=60)

# It stays, with a child and a grandchild that hold no pipe; the latter is deaf.
STAYS = """
cd "$1"
sh -c '
    echo $$ >child
    sh -c "trap \\"\\" TERM; echo \\$\\$ >deaf; exec sleep 60" & wait
' </dev/null >/dev/null 2>&1 &
echo $$ >stage
until [ -s child ] && [ -s deaf ]; do sleep .01; done
echo hi; echo ready >&2
touch done; echo >done
wait
"""

# It goes. Those that it leaves behind have only its pipes to be known by; standard
# input is one of them, which `&` takes away if it is not told otherwise.
LEAVES = """
cd "$1"
exec 4<&0
echo $$ >stage
sleep 60 & echo $! >plain
sh -c 'trap "" TERM; echo $$ >deaf; exec sleep 60' <&4 &
until [ -s deaf ]; do sleep .01; done
echo hi; echo ready >&2
echo >done
"""


def stages_of(directory: Path, *scripts: str) -> Stages:
    """Return stages that keep their process ids in directories of their own."""
    commands: list[SafeCmd] = []
    for number, script in enumerate(scripts):
        place = directory / str(number)
        place.mkdir()
        commands.append(shell(script, str(place)))
    done = [directory / str(number) / "done" for number in range(len(scripts))]
    return Stages(commands, done, PATIENT)


def check_that_all_have_gone(directory: Path) -> None:
    """See that whatever has told its process id does not run; nor is a stage left."""
    told = [path for path in directory.glob("*/*") if path.name != "done"]
    assert len(told) >= 3
    running = [path for path in told if is_alive(read_pid(path))]
    assert running == []
    for stage in directory.glob("*/stage"):
        assert not Path(f"/proc/{read_pid(stage)}").exists(), "not reaped"
    reap_orphans()


def check(ended: Ended, directory: Path, grace: float = GRACE) -> None:
    """See that the deaf had their grace, and nothing remains of the others."""
    check_that_all_have_gone(directory)
    assert grace <= ended.took < grace + 2
    if isinstance(ended.outcome, BaseException):
        told = cuprum.partial_output(ended.outcome)
        assert told is not None
        assert told.stdout == "hi\n"
        assert set(str(told.stderr).split()) == {"ready"}
    else:
        assert ended.outcome.stdout == "hi\n"


@pytest.mark.parametrize("script", [STAYS, LEAVES], ids=["stays", "leaves"])
@pytest.mark.parametrize("ending", endings.FOR_COMMANDS)
def test_nothing_is_left_of_a_command(ending: str, script: str, tmp_path: Path) -> None:
    end = endings.FOR_COMMANDS[ending]
    check(end(stages_of(tmp_path, script)), tmp_path)


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize("ending", endings.ALL)
def test_nothing_is_left_of_a_pipeline(ending: str, tmp_path: Path) -> None:
    end = endings.ALL[ending]
    check(end(stages_of(tmp_path, LEAVES, STAYS, LEAVES)), tmp_path)


@pytest.mark.usefixtures("stream_backend")
def test_fail_fast_sees_to_those_who_hold_no_output(tmp_path: Path) -> None:
    check(endings.by_fail_fast(stages_of(tmp_path, STAYS)), tmp_path)


@pytest.mark.usefixtures("stream_backend")
def test_those_whom_fail_fast_ends_do_not_linger(tmp_path: Path) -> None:
    context = ExecutionContext(cancel_grace=1.2, linger=1)
    stages = replace(stages_of(tmp_path, LEAVES, STAYS, LEAVES), context=context)
    ended = endings.by_fail_fast(stages)
    assert isinstance(ended.outcome, PipelineResult)
    assert ended.outcome.failure_index == 0
    assert not any(stage.is_truncated for stage in ended.outcome.stages)
    check(ended, tmp_path, grace=1.2)


def leave_one(directory: Path, before: str = "") -> SafeCmd:
    """Return a stage that goes, and leaves one behind that heeds SIGTERM."""
    return shell(f'{before} sleep 60 & echo $! >"$1"; echo hi', str(directory / "pid"))


def check_that_it_costs_no_grace(
    runnable: SafeCmd | Pipeline, directory: Path, output: str
) -> None:
    context = ExecutionContext(cancel_grace=20)
    began = time.monotonic()
    with pytest.raises(TimeoutExpired) as caught:
        runnable.run_sync(timeout=0.4, context=context)
    assert time.monotonic() - began < 2
    assert caught.value.output == output
    assert not is_alive(read_pid(directory / "pid"))
    reap_orphans()


def test_those_who_heed_sigterm_cost_no_grace(tmp_path: Path) -> None:
    check_that_it_costs_no_grace(leave_one(tmp_path), tmp_path, "hi\n")


@pytest.mark.usefixtures("stream_backend")
class TestThoseWhoHeedSigtermCostNoGrace:
    """Wherever they hold a pipe open."""

    def test_to_the_next_stage(self, tmp_path: Path) -> None:
        pipeline = leave_one(tmp_path) | cat()
        check_that_it_costs_no_grace(pipeline, tmp_path, "hi\n")

    def test_to_us(self, tmp_path: Path) -> None:
        pipeline = shell("echo data") | leave_one(tmp_path, "cat;")
        check_that_it_costs_no_grace(pipeline, tmp_path, "data\nhi\n")


def test_one_that_forks_all_the_time_does_not_get_away(tmp_path: Path) -> None:
    script = """
        sh -c '
            trap "" TERM; n=0
            while [ $((n += 1)) -le 400 ]; do sleep 60 & echo $! >>"$0"; done
            wait
        ' "$1" & wait
    """
    pids = tmp_path / "pids"
    with pytest.raises(TimeoutExpired):
        shell(script, str(pids)).run_sync(
            timeout=0.2, context=ExecutionContext(cancel_grace=0.1)
        )
    told = [int(line) for line in pids.read_text().split()]
    assert len(told) > 5
    assert not any(map(is_alive, told))
    reap_orphans()


def test_what_is_left_behind_of_a_run_that_went_well_is_left_alone(
    tmp_path: Path,
) -> None:
    script = 'sleep 60 </dev/null >/dev/null 2>&1 & echo $! >"$1"'
    assert shell(script, str(tmp_path / "pid")).run_sync().ok
    pid = read_pid(tmp_path / "pid")
    assert is_alive(pid)
    end_and_reap({pid})


@pytest.fixture
def refusing_kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no signal sent; end, at last, whom that has saved."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(errno.EPERM, f"signal {number} to {pid}")

    before = child_pids()
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        yield
    with pytest.warns(ResourceWarning, match="still running"):
        gc.collect()
    end_and_reap(child_pids() - before)


@pytest.mark.usefixtures("refusing_kernel")
def test_a_stage_that_is_not_ours_to_signal_is_not_waited_for(tmp_path: Path) -> None:
    # As what sudo starts.
    stage = shell('echo $$ >"$1"; exec sleep 60', str(tmp_path / "pid"))
    began = time.monotonic()
    with pytest.raises(TimeoutExpired) as caught:
        stage.run_sync(timeout=0.3, context=ExecutionContext(cancel_grace=0.2))
    assert time.monotonic() - began < 2
    pid = read_pid(tmp_path / "pid")
    assert caught.value.__notes__ == [f"stage 0 runs on: pid {pid} is not ours"]
    assert is_alive(pid)
    del caught


class Terminal:
    """A terminal of its own for a Python that runs a pipeline of *ask* and `cat`."""

    CODE = """
import os, sys
import cuprum
from tests.support.stages import cat, shell
os.close(os.open(sys.argv[1], os.O_RDWR))  # a session's first is its terminal
ask = shell(*sys.argv[3:])
try:
    result = (ask | cat() if sys.argv[2] == "first" else cat() | ask).run_sync()
except KeyboardInterrupt as error:
    print("interrupted after", cuprum.partial_output(error))
else:
    print(result.stdout)
"""

    def __init__(self, position: str, *ask: str) -> None:
        self.ours, theirs = os.openpty()
        with open(theirs):
            self.python = subprocess.Popen(
                [sys.executable, "-c", self.CODE, os.ttyname(theirs), position, *ask],
                cwd=TOP,
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                text=True,
            )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        with self.python:
            self.python.kill()
        os.close(self.ours)

    def type(self, keys: bytes) -> None:
        """Have the user press *keys*."""
        os.write(self.ours, keys)

    def finish(self) -> str:
        """Return what Python has printed."""
        told, complaints = self.python.communicate(timeout=15)
        assert complaints == ""
        return told


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize("position", ["first", "last"])
def test_a_stage_may_ask_on_the_terminal(position: str) -> None:
    ask = """
        printf 'password: ' >/dev/tty; read -r word </dev/tty
        cut -d ' ' -f 5,8 /proc/$$/stat; echo "$word"
    """
    with Terminal(position, ask) as terminal:
        shown = b""
        while not shown.endswith(b"password: "):
            shown += os.read(terminal.ours, 100)
        terminal.type(b"secret\n")
        group, word = terminal.finish().split("\n")[:2]
        assert word == "secret"
        # Its own process group is the terminal's foreground, and Python's.
        assert group.split() == [str(terminal.python.pid)] * 2


@pytest.mark.usefixtures("stream_backend")
def test_an_interrupt_from_the_terminal_ends_everything(tmp_path: Path) -> None:
    # What a shell starts by `&` ignores it, so that it is for us to end.
    ask = 'sleep 60 & echo hi; echo $! >"$1"; exec sleep 60'
    with Terminal("last", ask, str(tmp_path / "pid")) as terminal:
        pid = read_pid(tmp_path / "pid")
        terminal.type(b"\x03")
        assert "interrupted after PartialOutput(stdout='hi\\n'" in terminal.finish()
        assert not is_alive(pid)
    reap_orphans()
