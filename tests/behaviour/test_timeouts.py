"""Time limits: where they come from, how they end processes, what they tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    PumpOptions,
    RunOutputOptions,
    ScopeConfig,
    TimeoutExpired,
    scoped,
)
from tests.support.processes import is_alive, read_pid
from tests.support.stages import cat, command, deaf_sleep, shell, sleep

if TYPE_CHECKING:
    from pathlib import Path

QUIET = RunOutputOptions(capture=False)


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    slow = shell(
        'echo $$ >"$1"; echo partial; echo err >&2; exec sleep 60',
        str(tmp_path / "pid"),
    )
    began = time.monotonic()
    with pytest.raises(TimeoutExpired) as caught:
        slow.run_sync(timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 2
    error = caught.value
    assert error.cmd == slow.argv_with_program
    assert error.timeout == 0.3
    assert (error.output, error.stderr) == ("partial\n", "err\n")
    assert not is_alive(read_pid(tmp_path / "pid"))


def test_without_capture_there_is_no_partial_output() -> None:
    with pytest.raises(TimeoutExpired) as caught:
        shell("echo partial; exec sleep 60").run_sync(timeout=0.1, output=QUIET)
    assert (caught.value.output, caught.value.stderr) == (None, None)


@pytest.mark.parametrize(
    ("call", "context", "scope", "effective"),
    [
        (0.11, 60, 60, 0.11),
        (None, 0.12, 60, 0.12),
        (None, None, 0.13, 0.13),
        (0.11, None, None, 0.11),
    ],
)
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_the_nearest_limit_counts(
    kind: str,
    call: float | None,
    context: float | None,
    scope: float | None,
    effective: float,
) -> None:
    runnable = sleep(60) if kind == "command" else sleep(60) | cat()
    with scoped(ScopeConfig(timeout=scope)), pytest.raises(TimeoutExpired) as caught:
        runnable.run_sync(timeout=call, context=ExecutionContext(timeout=context))
    assert caught.value.timeout == effective


@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_a_generous_call_overrides_a_strict_scope(kind: str) -> None:
    runnable = sleep(0.2) if kind == "command" else sleep(0.2) | cat()
    with scoped(ScopeConfig(timeout=0.05)):
        assert runnable.run_sync(timeout=30).ok


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
@pytest.mark.parametrize("program", ["true", "sleep"])
def test_a_limit_of_nothing_starts_and_ends_the_command(
    timeout: float, program: str
) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutExpired, match="timed out") as caught:
        command(program, "60").run_sync(timeout=timeout)
    assert time.monotonic() - began < 2
    assert caught.value.timeout == timeout
    assert type(caught.value.timeout) is type(timeout)
    assert (caught.value.output, caught.value.stderr) == ("", "")


@pytest.mark.usefixtures("stream_backend")
class TestPipelines:
    """One limit for all stages."""

    def test_every_stage_is_ended(self, tmp_path: Path) -> None:
        pids = [tmp_path / "1", tmp_path / "2"]
        script = 'echo $$ >"$1"; echo "e$2" >&2; exec sleep 60'
        first, second = (shell(script, str(path), path.name) for path in pids)
        began = time.monotonic()
        with pytest.raises(TimeoutExpired) as caught:
            (first | second).run_sync(timeout=0.3)
        assert 0.3 <= time.monotonic() - began < 2
        assert caught.value.cmd == (
            first.argv_with_program,
            second.argv_with_program,
        )
        assert (caught.value.output, caught.value.stderr) == ("", "e1\ne2\n")
        assert not any(is_alive(read_pid(path)) for path in pids)

    def test_partial_output_is_kept(self) -> None:
        slow = shell("echo first; exec sleep 60") | cat()
        with pytest.raises(TimeoutExpired) as caught:
            slow.run_sync(timeout=0.4)
        assert caught.value.output == "first\n"

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_a_limit_of_nothing(self, timeout: float) -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutExpired) as caught:
            (sleep(60) | sleep(60) | sleep(60)).run_sync(timeout=timeout)
        assert time.monotonic() - began < 2
        assert caught.value.timeout == timeout
        assert (caught.value.output, caught.value.stderr) == ("", "")

    def test_an_endless_producer(self) -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutExpired):
            (command("yes") | shell("exec cat >/dev/null")).run_sync(timeout=0.3)
        assert time.monotonic() - began < 2

    @pytest.mark.parametrize("drain", [0.25, None], ids=["drain", "forever"])
    def test_an_endless_producer_without_a_reader(self, drain: float | None) -> None:
        # With a drain the producer ends by itself; without a limit, the timeout does.
        context = ExecutionContext(pump=PumpOptions(drain=drain))
        run = (command("yes") | command("head", "-1")).run_sync
        if drain is not None:
            assert run(timeout=5, context=context).ok
            return
        began = time.monotonic()
        with pytest.raises(TimeoutExpired) as caught:
            run(timeout=0.5, context=context)
        assert 0.5 <= time.monotonic() - began < 2
        assert caught.value.output == "y\n"

    def test_a_stage_deaf_to_sigterm_is_killed_after_the_grace(self) -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutExpired):
            (deaf_sleep() | cat()).run_sync(
                timeout=0.3, context=ExecutionContext(cancel_grace=0.3)
            )
        assert 0.6 <= time.monotonic() - began < 2


@pytest.mark.parametrize(("grace", "least"), [(0.4, 0.7), (0, 0.3), (-3, 0.3)])
def test_a_command_deaf_to_sigterm_is_killed_after_the_grace(
    grace: float, least: float
) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        deaf_sleep().run_sync(timeout=0.3, context=ExecutionContext(cancel_grace=grace))
    assert least <= time.monotonic() - began < least + 1.2


def test_the_grace_is_used(tmp_path: Path) -> None:
    script = (
        "trap 'echo bye; touch \"$1\"; exit 0' TERM; echo up;"
        "while :; do sleep .02; done"
    )
    tidy = shell(script, str(tmp_path / "tidied"))
    with pytest.raises(TimeoutExpired) as caught:
        tidy.run_sync(timeout=0.3, context=ExecutionContext(cancel_grace=5))
    assert caught.value.output == "up\nbye\n"
    assert (tmp_path / "tidied").exists()


def test_the_grace_is_no_delay_for_those_who_go_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        sleep(60).run_sync(timeout=0.1, context=ExecutionContext(cancel_grace=30))
    assert time.monotonic() - began < 2
