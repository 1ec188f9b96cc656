"""Processes that stages leave behind and that hold their pipes open."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cuprum import ExecutionContext, RunOutputOptions, TimeoutExpired
from tests.support.processes import read_pid
from tests.support.stages import cat, shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The shell goes; its child stays and holds what it was given.
LEAVE_ONE = 'sleep 60 & echo $! >"$1"; echo hi'


@contextmanager
def ended_at_last(pid_file: Path) -> Iterator[None]:
    """End and reap the grandchild whose id is in *pid_file* at the end."""
    try:
        yield
    finally:
        pid = read_pid(pid_file)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_command_waits_for_whoever_holds_its_output(tmp_path: Path) -> None:
    script = '{ sleep .3; echo late; } & echo $! >"$1"; echo early'
    result = shell(script, str(tmp_path / "pid")).run_sync(timeout=10)
    os.waitpid(read_pid(tmp_path / "pid"), 0)
    assert result.stdout == "early\nlate\n"


def test_output_that_goes_nowhere_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    with ended_at_last(tmp_path / "pid"):
        quiet = RunOutputOptions(capture=False)
        result = shell(LEAVE_ONE, str(tmp_path / "pid")).run_sync(output=quiet)
        assert result.ok
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("grace", [0.5, 20])
def test_a_timeout_of_a_command_is_not_late(tmp_path: Path, grace: float) -> None:
    # The command itself has ended; the grace must not be spent on the grandchild.
    began = time.monotonic()
    with ended_at_last(tmp_path / "pid"):
        with pytest.raises(TimeoutExpired) as caught:
            shell(LEAVE_ONE, str(tmp_path / "pid")).run_sync(
                timeout=0.3, context=ExecutionContext(cancel_grace=grace)
            )
        assert time.monotonic() - began < 3
    assert caught.value.output == "hi\n"


@pytest.mark.usefixtures("stream_backend")
class TestPipelines:
    """The same, where the pipe goes to the next stage or to us."""

    @pytest.mark.parametrize("grace", [0.5, 20])
    def test_a_timeout_is_not_late_for_the_first_stage(
        self, tmp_path: Path, grace: float
    ) -> None:
        began = time.monotonic()
        with ended_at_last(tmp_path / "pid"):
            with pytest.raises(TimeoutExpired) as caught:
                (shell(LEAVE_ONE, str(tmp_path / "pid")) | cat()).run_sync(
                    timeout=0.4, context=ExecutionContext(cancel_grace=grace)
                )
            assert time.monotonic() - began < 3
        assert caught.value.output == "hi\n"

    def test_a_timeout_is_not_late_for_the_last_stage(self, tmp_path: Path) -> None:
        began = time.monotonic()
        with ended_at_last(tmp_path / "pid"):
            last = shell(f"cat; {LEAVE_ONE}", str(tmp_path / "pid"))
            with pytest.raises(TimeoutExpired) as caught:
                (shell("echo data") | last).run_sync(timeout=0.4)
            assert time.monotonic() - began < 3
        assert caught.value.output == "data\nhi\n"

    def test_data_of_a_grandchild_is_data_of_the_stage(self, tmp_path: Path) -> None:
        script = '{ sleep .3; echo late; } & echo $! >"$1"; echo early'
        first = shell(script, str(tmp_path / "pid"))
        result = (first | cat()).run_sync(timeout=10)
        os.waitpid(read_pid(tmp_path / "pid"), 0)
        assert (result.stdout, result.ok) == ("early\nlate\n", True)

    def test_a_grandchild_that_holds_the_input_is_no_reader_that_has_gone(
        self, tmp_path: Path
    ) -> None:
        # `&` would give it /dev/null as input; descriptor 4 keeps the pipe.
        script = 'exec 4<&0; { exec sleep .4; } & echo $! >"$1"; exec head -c 1'
        last = shell(script, str(tmp_path / "pid"))
        result = (shell("printf abc; sleep .1") | last).run_sync(timeout=10)
        os.waitpid(read_pid(tmp_path / "pid"), 0)
        assert (result.stdout, result.ok) == ("a", True)
