"""Processes that stages leave behind, and that hold pipes of the run open."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecEvent,
    ExecutionContext,
    PumpError,
    PumpOptions,
    RunOutputOptions,
    StdinInput,
    Tap,
    TimeoutExpired,
    observe,
)
from tests.support.processes import (
    end_and_reap,
    helper_pids,
    is_alive,
    read_pid,
    reap_orphans,
    wait_until,
)
from tests.support.stages import cat, command, shell, true
from tests.support.ways import OWN, WARM, WAYS, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LINGER = 0.2
BRIEF = ExecutionContext(linger=LINGER)
AT_ONCE = ExecutionContext(linger=0)
QUIET = RunOutputOptions(capture=False)

# The shell goes; its child stays and holds what it was given.
LEAVE_ONE = 'echo hi; sleep 60 & echo $! >"$1"'
LEAVE_ONE_WITH_STDERR = 'echo oh >&2; sleep 60 >/dev/null & echo $! >"$1"'
LATE = '{ sleep .5; echo late; } & echo $! >"$1"; echo early'


@contextmanager
def left_behind(pid_file: Path) -> Iterator[None]:
    """See that the process whose id is in *pid_file* still runs; then end it."""
    yield
    pid = read_pid(pid_file)
    assert is_alive(pid)
    end_and_reap({pid})


@contextmanager
def taking(least: float, most: float = 2) -> Iterator[None]:
    """Fail if it takes less or more than so many seconds."""
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began < most


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Return where a stage may write the process id of whom it leaves behind."""
    return tmp_path / "pid"


class TestOutputHeldOpen:
    """It is waited for, and not for ever."""

    @pytest.mark.parametrize(
        ("script", "streams"),
        [(LEAVE_ONE, ("hi\n", "")), (LEAVE_ONE_WITH_STDERR, ("", "oh\n"))],
        ids=["stdout", "stderr"],
    )
    def test_the_result_comes_after_the_set_time_and_says_so(
        self, pid_file: Path, script: str, streams: tuple[str, str]
    ) -> None:
        with left_behind(pid_file), taking(LINGER):
            result = shell(script, str(pid_file)).run_sync(context=BRIEF)
        assert (result.stdout, result.stderr) == streams
        assert (result.ok, result.is_truncated) == (True, True)

    @pytest.mark.usefixtures("stream_backend")
    @pytest.mark.parametrize("culprit", [0, 1])
    def test_of_a_pipeline_the_stage_that_left_it_says_so(
        self, pid_file: Path, culprit: int
    ) -> None:
        stages = [shell("echo data"), cat()]
        script = "cat; " * culprit + LEAVE_ONE_WITH_STDERR
        stages[culprit] = shell(script, str(pid_file))
        with left_behind(pid_file), taking(LINGER):
            result = (stages[0] | stages[1]).run_sync(context=BRIEF)
        assert [s.is_truncated for s in result.stages] == [culprit == 0, culprit == 1]
        assert result.stages[culprit].stderr == "oh\n"
        assert (result.ok, result.stdout) == (True, "data\n" * culprit)

    def test_what_comes_in_time_is_there(self, pid_file: Path) -> None:
        result = shell(LATE, str(pid_file)).run_sync(timeout=10)
        os.waitpid(read_pid(pid_file), 0)
        assert (result.stdout, result.is_truncated) == ("early\nlate\n", False)

    def test_what_comes_too_late_is_not(self, pid_file: Path) -> None:
        result = shell(LATE, str(pid_file)).run_sync(context=BRIEF)
        assert (result.stdout, result.is_truncated) == ("early\n", True)
        os.waitpid(read_pid(pid_file), 0)

    def test_without_a_limit_it_is_waited_for(self, pid_file: Path) -> None:
        # Longer than by default.
        script = '{ sleep 2.2; echo late; } & echo $! >"$1"; echo early'
        context = ExecutionContext(linger=None)
        result = shell(script, str(pid_file)).run_sync(context=context)
        os.waitpid(read_pid(pid_file), 0)
        assert (result.stdout, result.is_truncated) == ("early\nlate\n", False)

    def test_all_that_was_written_before_is_there(self, pid_file: Path) -> None:
        script = (
            f'{{ head -c 60000 /dev/zero; exec sleep 60; }} & echo $! >"{pid_file}"'
        )
        lines: list[str] = []
        options = RunOutputOptions(on_stdout_line=lines.append)
        with left_behind(pid_file):
            result = shell(script).run_sync(context=BRIEF, output=options)
        assert (result.stdout, result.is_truncated) == ("\0" * 60000, True)
        assert lines == [result.stdout]

    def test_what_lies_in_the_pipe_then_is_there(self, pid_file: Path) -> None:
        lines: list[str] = []

        async def read(line: str) -> None:
            lines.append(line)
            await asyncio.sleep(0.4)  # the time is up meanwhile

        script = 'echo 1; sleep .1; echo 2; sleep 60 & echo $! >"$1"'
        with left_behind(pid_file):
            result = shell(script, str(pid_file)).run_sync(
                context=AT_ONCE, output=RunOutputOptions(on_stdout_line=read)
            )
        assert (result.stdout, lines) == ("1\n2\n", ["1", "2"])
        assert result.is_truncated

    def test_somebody_else_takes_what_lies_in_the_pipe_then(
        self, pid_file: Path
    ) -> None:
        async def read(line: str) -> None:
            (pid_file.parent / line).touch()
            taken = pid_file.parent / "taken"
            await asyncio.to_thread(wait_until, taken.exists, what="a theft")

        # A reader of its own, by which it empties the pipe when that is given up.
        script = """
            cd "$1"; exec 4</proc/self/fd/1; echo 1
            while ! [ -e 1 ]; do sleep .01; done; echo 2
            { sleep .3; read -r _ <&4; : >taken; exec sleep 60; } & echo $! >pid
        """
        with left_behind(pid_file), taking(0.3):
            result = shell(script, str(pid_file.parent)).run_sync(
                context=AT_ONCE, output=RunOutputOptions(on_stdout_line=read)
            )
        assert (result.stdout, result.is_truncated) == ("1\n", True)

    def test_a_late_writer_finds_the_pipe_broken(self, pid_file: Path) -> None:
        script = """
            { trap "" PIPE; while echo tick; do sleep .01; done; exit 42; } &
            echo $! >"$1"
        """
        result = shell(script, str(pid_file)).run_sync(context=BRIEF)
        assert result.stdout is not None
        assert set(result.stdout.split()) == {"tick"}
        assert result.is_truncated
        _, status = os.waitpid(read_pid(pid_file), 0)
        assert os.waitstatus_to_exitcode(status) == 42

    @pytest.mark.parametrize("linger", [0, LINGER])
    def test_one_that_writes_without_end_does_not_hold_it_up(
        self, pid_file: Path, linger: float
    ) -> None:
        with open(os.devnull, "w") as sink, taking(linger):
            result = shell('yes & echo $! >"$1"', str(pid_file)).run_sync(
                output=RunOutputOptions(capture=False, echo=True),
                context=ExecutionContext(linger=linger, stdout_sink=sink),
            )
        assert result.is_truncated
        os.waitpid(read_pid(pid_file), 0)  # SIGPIPE has told it

    def test_output_that_goes_nowhere_is_not_waited_for(self, pid_file: Path) -> None:
        with left_behind(pid_file), taking(0, 1.5):
            result = shell(LEAVE_ONE, str(pid_file)).run_sync(output=QUIET)
        assert (result.ok, result.is_truncated) == (True, False)


class TestNobodyHoldsItOpen:
    """Then nothing is cut short, whoever else takes his time."""

    @pytest.mark.parametrize("context", [BRIEF, AT_ONCE], ids=["brief", "at once"])
    def test_a_line_callback_may_be_slow(self, context: ExecutionContext) -> None:
        lines: list[str] = []

        async def read(line: str) -> None:
            await asyncio.sleep(0.05)
            lines.append(line)

        result = shell("seq 10").run_sync(
            context=context, output=RunOutputOptions(on_stdout_line=read)
        )
        assert lines == [str(number) for number in range(1, 11)]
        assert (result.stdout, result.is_truncated) == ("\n".join([*lines, ""]), False)

    def test_nor_is_more_than_a_pipe_holds(self) -> None:
        lines: list[str] = []
        result = command("seq", 300_000).run_sync(
            context=AT_ONCE, output=RunOutputOptions(on_stdout_line=lines.append)
        )
        assert len(lines) == 300_000
        assert not result.is_truncated


class TestInputHeldOpen:
    """The pipe that we feed is not waited for any longer."""

    @pytest.mark.parametrize("kind", ["data", "source"])
    def test_nobody_reads_it(self, pid_file: Path, kind: str) -> None:
        async def endless() -> AsyncIterator[bytes]:
            await asyncio.sleep(60)
            yield b""

        script = 'exec 4<&0; sleep 60 <&4 >/dev/null 2>&1 & echo $! >"$1"'
        fed = StdinInput(data=bytes(1_000_000))
        if kind == "source":
            fed = StdinInput(chunks=endless())
        events: list[ExecEvent] = []
        with left_behind(pid_file), taking(LINGER), observe(events.append):
            result = shell(script, str(pid_file)).run_sync(stdin=fed, context=BRIEF)
        assert (result.ok, result.is_truncated) == (True, False)
        told = [event for event in events if event.phase.startswith("stdin")]
        assert [event.phase for event in told] == ["stdin_error"]
        assert "TimeoutError" in (told[0].note or "")


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Run the test each way that bytes can cross a hop."""
    with request.param.taken():
        yield request.param


class TestHopsHeldOpen:
    """The next stage's input ends after the set time, and the result says so."""

    def test_a_stage_that_reads_on_is_told_that_there_is_no_more(
        self, pid_file: Path, way: Way
    ) -> None:
        context = ExecutionContext(linger=1)
        with left_behind(pid_file), taking(1, 1.9):
            result = (shell(LEAVE_ONE, str(pid_file)) | cat()).run_sync(context=context)
        way.check(result)
        assert (result.stdout, result.ok) == ("hi\n", True)
        assert [stage.is_truncated for stage in result.stages] == [True, False]
        assert [hop.released for hop in result.hops] == [True]
        assert result.hops[0].bytes_read == result.hops[0].bytes_written == 3

    def test_that_time_begins_when_its_own_stage_exits(
        self, pid_file: Path, way: Way
    ) -> None:
        stages = shell(LEAVE_ONE, str(pid_file)), shell("cat; exec sleep .6"), cat()
        first, second, third = stages
        with left_behind(pid_file), taking(0.6):
            result = (first | second | third).run_sync(context=BRIEF)
        way.check(result)
        assert result.stdout == "hi\n"
        assert [stage.is_truncated for stage in result.stages] == [True, False, False]
        assert [hop.released for hop in result.hops] == [True, False]

    def test_what_comes_in_time_is_there(self, pid_file: Path, way: Way) -> None:
        result = (shell(LATE, str(pid_file)) | cat()).run_sync(timeout=10)
        os.waitpid(read_pid(pid_file), 0)
        way.check(result)
        assert (result.stdout, result.ok) == ("early\nlate\n", True)
        assert not result.stages[0].is_truncated
        assert not result.hops[0].released

    @pytest.mark.parametrize("context", [BRIEF, AT_ONCE], ids=["brief", "at once"])
    def test_what_comes_too_late_is_not(
        self, pid_file: Path, way: Way, context: ExecutionContext
    ) -> None:
        result = (shell(LATE, str(pid_file)) | cat()).run_sync(context=context)
        _, status = os.waitpid(read_pid(pid_file), 0)
        way.check(result)
        assert (result.stdout, result.stages[0].is_truncated) == ("early\n", True)
        assert os.waitstatus_to_exitcode(status) == -13  # it was told

    def test_without_a_limit_it_is_waited_for(self, pid_file: Path, way: Way) -> None:
        # Longer than by default.
        script = '{ sleep 2.2; echo late; } & echo $! >"$1"; echo early'
        context = ExecutionContext(linger=None)
        result = (shell(script, str(pid_file)) | cat()).run_sync(context=context)
        os.waitpid(read_pid(pid_file), 0)
        way.check(result)
        assert result.stdout == "early\nlate\n"
        assert not result.stages[0].is_truncated

    def test_one_that_writes_without_end_does_not_hold_it_up(
        self, pid_file: Path, way: Way
    ) -> None:
        with taking(LINGER):
            first = shell('yes & echo $! >"$1"', str(pid_file))
            result = (first | command("wc", "-c")).run_sync(context=BRIEF)
        os.waitpid(read_pid(pid_file), 0)  # SIGPIPE has told it
        way.check(result)
        assert result.stdout is not None
        assert int(result.stdout) == result.hops[0].bytes_written > 0
        assert result.stages[0].is_truncated

    @pytest.mark.parametrize("left", [None, "sleep 60"], ids=["nobody", "somebody"])
    def test_a_reader_may_be_slow(
        self, pid_file: Path, way: Way, left: str | None
    ) -> None:
        # More than a pipe holds, less than two: the stage exits at once.
        script = "head -c 100000 /dev/zero"
        if left:
            script += f' ; {left} & echo $! >"{pid_file}"'
        slow = shell("sleep .5; exec wc -c")
        with left_behind(pid_file) if left else nullcontext():
            result = (shell(script) | slow).run_sync(context=BRIEF)
        way.check(result)
        assert result.stdout == "100000\n"
        assert [s.is_truncated for s in result.stages] == [left is not None, False]

    def test_a_tap_has_what_the_next_stage_has(
        self, tmp_path: Path, pid_file: Path, way: Way
    ) -> None:
        with left_behind(pid_file):
            result = (shell(LEAVE_ONE, str(pid_file)) | cat()).run_sync(
                context=BRIEF, taps=[Tap(0, tmp_path / "copy")]
            )
        way.check(result)
        assert (tmp_path / "copy").read_text() == result.stdout == "hi\n"

    def test_a_drain_ends_as_well(self, pid_file: Path, way: Way) -> None:
        context = ExecutionContext(linger=LINGER, pump=PumpOptions(drain=None))
        script = '{ sleep .1; echo; exec sleep 60; } & echo $! >"$1"'
        with left_behind(pid_file), taking(LINGER):
            result = (shell(script, str(pid_file)) | true()).run_sync(context=context)
        way.check(result)
        hop = result.hops[0]
        assert (hop.drain, hop.released) == ("eof", True)
        assert hop.bytes_read == hop.bytes_discarded == 1

    def test_that_no_stage_is_left_to_read_changes_nothing(
        self, tmp_path: Path, way: Way
    ) -> None:
        writer = "echo hi; sleep 60 & echo $! >pid.0"
        reader = "exec 4<&0; sleep 60 <&4 & echo $! >pid.1"
        context = ExecutionContext(cwd=tmp_path, linger=LINGER)
        with (
            left_behind(tmp_path / "pid.0"),
            left_behind(tmp_path / "pid.1"),
            taking(LINGER),
        ):
            result = (shell(writer) | shell(reader)).run_sync(context=context)
        way.check(result)
        assert result.hops[0].released
        assert all(stage.is_truncated for stage in result.stages)

    def test_data_that_nobody_takes_is_no_success(
        self, tmp_path: Path, way: Way
    ) -> None:
        reader = "exec 4<&0; sleep 60 <&4 & echo $! >pid"
        context = ExecutionContext(cwd=tmp_path, linger=LINGER)
        with (
            taking(LINGER),
            pytest.raises(PumpError, match="all stages have exited") as caught,
        ):
            (shell("head -c 120000 /dev/zero") | shell(reader)).run_sync(
                context=context
            )
        assert caught.value.errno == errno.ETIMEDOUT
        assert not is_alive(read_pid(tmp_path / "pid"))
        reap_orphans()

    def test_a_reader_that_stays_is_no_reader_that_has_gone(
        self, pid_file: Path, way: Way
    ) -> None:
        # `&` would give it /dev/null as input; descriptor 4 keeps the pipe.
        script = 'exec 4<&0; { exec sleep .4; } & echo $! >"$1"; exec head -c 1'
        last = shell(script, str(pid_file))
        result = (shell("printf abc; sleep .1") | last).run_sync(timeout=10)
        os.waitpid(read_pid(pid_file), 0)
        way.check(result)
        assert (result.stdout, result.ok) == ("a", True)


@pytest.mark.parametrize("way", [WARM, OWN], ids=lambda way: way.name)
def test_a_helper_that_dies_before_it_was_told_fails_the_run(
    pid_file: Path, way: Way
) -> None:
    async def main() -> None:
        stages = shell(LEAVE_ONE, str(pid_file)) | cat()
        run = asyncio.create_task(stages.run(context=BRIEF))
        await asyncio.to_thread(read_pid, pid_file)
        await asyncio.sleep(LINGER / 4)
        (helper,) = helper_pids()
        os.kill(helper, signal.SIGSTOP)
        await asyncio.sleep(2 * LINGER)
        os.kill(helper, signal.SIGKILL)
        with pytest.raises(PumpError, match="ended with status -9"):
            await run

    with way.taken():
        asyncio.run(main())
    # The stages may have exited before there was anything to be ended.
    end_and_reap({read_pid(pid_file)})


class TestTheRunIsEndedMeanwhile:
    """Then there is no more waiting, and nobody is left behind."""

    def test_by_a_timeout(self, pid_file: Path) -> None:
        with taking(0.3), pytest.raises(TimeoutExpired) as caught:
            shell(LEAVE_ONE, str(pid_file)).run_sync(timeout=0.3)
        assert caught.value.output == "hi\n"
        assert not is_alive(read_pid(pid_file))
        reap_orphans()

    def test_by_cancellation(self, pid_file: Path) -> None:
        async def main() -> None:
            run = asyncio.create_task(shell(LEAVE_ONE, str(pid_file)).run())
            await asyncio.to_thread(read_pid, pid_file)
            await asyncio.sleep(0.1)
            run.cancel()
            with taking(0, 1), pytest.raises(asyncio.CancelledError):
                await run

        asyncio.run(main())
        assert not is_alive(read_pid(pid_file))
        reap_orphans()
