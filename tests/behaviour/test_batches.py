"""Batches: many commands at once, to the end of all or to the first failure."""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    CommandResult,
    ConcurrentConfig,
    ConcurrentResult,
    ExecutionContext,
    ForbiddenProgramError,
    Program,
    ScopeConfig,
    TimeoutExpired,
    before,
    env,
    observe,
    run_concurrent,
    run_concurrent_sync,
    scoped,
)
from tests.support.observers import (
    HookError,
    expect_exits,
    failing_on,
    finished,
    lines,
    only,
    recorded,
)
from tests.support.processes import child_pids, is_alive, read_pid
from tests.support.stages import command, false, missing, shell, sleep, true

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import ExecEvent, SafeCmd

FAIL_FAST = ConcurrentConfig(fail_fast=True)
LONG = 'echo $$ >"$1"; exec sleep 60'
DEAF = 'trap "" TERM; ' + LONG


def once_there(path: Path, script: str) -> SafeCmd:
    """Return a command that waits for *path* to have something in it."""
    return shell(f'until [ -s "$1" ]; do sleep .01; done; {script}', str(path))


def outputs(batch: ConcurrentResult) -> list[str | None]:
    """Return what each command of it wrote."""
    return [result.stdout for result in batch.results]


# --- What is refused ------------------------------------------------------------------


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^At least one command must be provided$"):
        run_concurrent_sync()


@pytest.mark.parametrize("number", [0, -1])
def test_a_limit_below_one_is_refused(number: int) -> None:
    told = f"^concurrency must be >= 1, got {number}$"
    with pytest.raises(ValueError, match=told):
        ConcurrentConfig(concurrency=number)


@pytest.mark.parametrize("fail_fast", [False, True])
def test_nothing_runs_if_one_program_is_not_allowed(
    tmp_path: Path, *, fail_fast: bool
) -> None:
    marker = tmp_path / "ran"
    touch = command("touch", str(marker))
    called: list[SafeCmd] = []
    some = ScopeConfig(allowlist=frozenset([touch.program]))
    with (
        recorded() as events,
        before(called.append),
        scoped(some),
        pytest.raises(ForbiddenProgramError) as caught,
    ):
        run_concurrent_sync(
            *(touch, touch, sleep(0), true()),
            config=ConcurrentConfig(concurrency=1, fail_fast=fail_fast),
        )
    assert caught.value.program == "sleep"  # the first of them
    assert (events, called) == ([], [])
    assert not marker.exists()


def test_a_batch_is_not_run_synchronously_on_a_running_loop() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="running event loop"):
            run_concurrent_sync(true())

    asyncio.run(main())


# --- Results --------------------------------------------------------------------------


def test_what_a_result_says_of_its_commands() -> None:
    results = tuple(
        CommandResult(Program("p"), (), code, 1, None, None) for code in (0, 3, 4)
    )
    batch = ConcurrentResult(results, (1, 2), (0, 4, 7))
    assert not batch.ok
    assert batch.first_failure is results[1]
    assert batch.failure_submission_indices == (4, 7)
    plain = ConcurrentResult(results[:1])
    assert plain.ok
    assert plain.first_failure is None
    assert plain.submission_indices == (0,)
    assert plain.failure_submission_indices == ()
    assert ConcurrentResult(results, (1,)).failure_submission_indices == (1,)


@pytest.mark.parametrize("indices", [(), (0,), (0, 1, 2)])
def test_a_result_has_one_index_for_each_command(indices: tuple[int, ...]) -> None:
    result = CommandResult(Program("p"), (), 0, 1, None, None)
    told = (
        rf"^submission_indices length \({len(indices)}\) "
        r"must match results length \(2\)$"
    )
    with pytest.raises(ValueError, match=told):
        ConcurrentResult((result, result), (), indices)


@pytest.mark.parametrize("fail_fast", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 2, 10])
def test_results_come_in_the_order_of_submission(
    limit: int | None, *, fail_fast: bool
) -> None:
    commands = [shell(f"sleep {0.3 - n / 10}; echo {n}") for n in range(4)]
    config = ConcurrentConfig(concurrency=limit, fail_fast=fail_fast)
    batch = run_concurrent_sync(*commands, config=config)
    assert outputs(batch) == ["0\n", "1\n", "2\n", "3\n"]
    assert batch.ok
    assert batch.failures == ()
    assert batch.submission_indices == (0, 1, 2, 3)


def test_a_failure_leaves_the_others_alone(tmp_path: Path) -> None:
    failing = shell('echo 1 >"$1"; exit 3', str(tmp_path / "failed"))
    late = once_there(tmp_path / "failed", "sleep 0.2; echo late")
    batch = run_concurrent_sync(late, failing, late, shell("kill -9 $$"))
    assert outputs(batch) == ["late\n", "", "late\n", ""]
    assert batch.failures == batch.failure_submission_indices == (1, 3)
    assert not batch.ok
    assert batch.first_failure is batch.results[1]
    assert [result.exit_code for result in batch.results] == [0, 3, 0, -9]


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_output_goes_where_the_configuration_says(*, capture: bool, echo: bool) -> None:
    sink = io.StringIO()
    config = ConcurrentConfig(
        capture=capture,
        echo=echo,
        context=ExecutionContext(stdout_sink=sink, env={"WORD": "said"}),
    )
    with env(WORD="scope", OTHER="!"), recorded() as events:
        batch = run_concurrent_sync(*[shell('echo "$WORD$OTHER"')] * 2, config=config)
    assert outputs(batch) == [("said!\n" if capture else None)] * 2
    assert sink.getvalue() == ("said!\n" * 2 if echo else "")
    assert events[0].tags["echo"] is echo


def test_of_errors_the_one_submitted_first_is_raised_when_all_have_ended(
    tmp_path: Path,
) -> None:
    earlier = child_pids()
    marker = tmp_path / "ran"
    late = shell('sleep 0.3; echo 1 >"$1"', str(marker))
    # The second fails at once, the first when its time is up.
    commands = (sleep(60), missing(tmp_path), late, false())
    with recorded() as events, pytest.raises(TimeoutExpired):
        run_concurrent_sync(*commands, config=_limited(2))
    assert marker.read_text() == "1\n"
    expect_exits(events)
    with pytest.raises(FileNotFoundError):
        run_concurrent_sync(missing(tmp_path), sleep(60), config=_limited(0.1))
    assert not child_pids() - earlier


def _limited(seconds: float) -> ConcurrentConfig:
    return ConcurrentConfig(context=ExecutionContext(timeout=seconds))


def test_each_command_has_the_limit_of_the_scope() -> None:
    with scoped(ScopeConfig(timeout=1)):
        # Together they take longer.
        config = ConcurrentConfig(concurrency=1)
        assert run_concurrent_sync(*[sleep(0.4)] * 3, config=config).ok
        with pytest.raises(TimeoutExpired) as caught:
            run_concurrent_sync(sleep(0), sleep(60))
    assert caught.value.cmd == ("sleep", "60")


def test_a_command_that_was_cancelled_from_within_is_not_left_out() -> None:
    def leave(given: SafeCmd) -> None:
        if given.program == "sleep":
            raise asyncio.CancelledError

    async def main() -> None:
        with before(leave), pytest.raises(asyncio.CancelledError):
            await run_concurrent(true(), sleep(0), true())

    asyncio.run(main())


# --- The limit ------------------------------------------------------------------------


def test_without_a_limit_all_run_at_once(tmp_path: Path) -> None:
    # Each waits for all others.
    script = (
        'echo 1 >"$1/$2"; until [ "$(ls "$1" | wc -l)" -ge 12 ]; do sleep .01; done'
    )
    commands = [shell(script, str(tmp_path), number) for number in range(12)]
    assert run_concurrent_sync(*commands, config=_limited(15)).ok


def test_as_many_run_at_once_as_the_limit_allows(tmp_path: Path) -> None:
    script = 'echo 1 >"$1/$2"; until [ "$(ls "$1" | wc -l)" -ge 3 ]; do sleep .01; done'
    commands = [shell(script, str(tmp_path), number) for number in range(6)]
    context = ExecutionContext(timeout=15)
    config = ConcurrentConfig(concurrency=3, context=context)
    assert run_concurrent_sync(*commands, config=config).ok


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("fail_fast", [False, True])
def test_no_more_are_in_flight_than_the_limit_hooks_included(
    limit: int, *, fail_fast: bool
) -> None:
    earlier = child_pids()
    in_flight = most = 0
    processes: list[int] = []

    async def leave() -> None:
        nonlocal in_flight
        await asyncio.sleep(0.05)  # the last that its run has to do
        in_flight -= 1

    def look(event: ExecEvent) -> asyncio.Task[None] | None:
        nonlocal in_flight, most
        if event.phase == "plan":
            in_flight += 1
            most = max(most, in_flight)
        if event.phase == "start":
            processes.append(len(child_pids() - earlier))
        return asyncio.create_task(leave()) if event.phase == "exit" else None

    config = ConcurrentConfig(concurrency=limit, fail_fast=fail_fast)
    with observe(look):
        assert run_concurrent_sync(*[sleep(0.05)] * 10, config=config).ok
    assert (most, in_flight) == (limit, 0)
    assert len(processes) == 10
    assert max(processes) <= limit


def test_one_at_a_time_they_run_in_the_order_of_submission() -> None:
    commands = [command("echo", number) for number in range(5)]
    with recorded() as events:
        run_concurrent_sync(*commands, config=ConcurrentConfig(concurrency=1))
    assert lines(events) == ["0", "1", "2", "3", "4"]
    assert [event.phase for event in events] == ["plan", "start", "stdout", "exit"] * 5


def test_a_failure_makes_room_for_the_next(tmp_path: Path) -> None:
    commands = [false(), missing(tmp_path), false(), missing(tmp_path), true()]
    with recorded() as events, pytest.raises(FileNotFoundError):
        run_concurrent_sync(*commands, config=ConcurrentConfig(concurrency=1))
    assert [event.program for event in only(events, "exit")] == [
        *("false", "false", "true"),
    ]


# --- Fail-fast ------------------------------------------------------------------------


def test_the_first_failure_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    marker = tmp_path / "ran"
    commands = [
        command("echo", "done"),
        shell(LONG, str(first)),
        once_there(second, "exit 3"),
        shell(LONG, str(second)),  # it has the place that the first one leaves
        command("touch", str(marker)),
        sleep(60),
    ]
    config = ConcurrentConfig(concurrency=3, fail_fast=True)
    began = time.monotonic()
    with recorded() as events, finished() as results:
        batch = run_concurrent_sync(*commands, config=config)
    assert time.monotonic() - began < 20
    assert outputs(batch) == ["done\n", ""]
    assert batch.submission_indices == (0, 2)
    assert batch.failures == (1,)
    assert batch.failure_submission_indices == (2,)
    assert batch.first_failure is not None
    assert batch.first_failure.exit_code == 3
    assert not batch.ok
    assert not any(is_alive(read_pid(path)) for path in (first, second))
    assert not marker.exists()
    expect_exits(events)
    # What never started was not even planned.
    assert len(only(events, "plan")) == len(only(events, "start")) == 4
    assert results == list(batch.results)


def test_of_commands_that_fail_together_at_least_one_is_in_the_result() -> None:
    # Both have exited before the event loop gets to look.
    def wait_for_both(event: ExecEvent) -> None:
        if event.phase == "start" and event.argv[-1] == "last":
            time.sleep(0.3)

    commands = [sleep(60), shell("exit 3"), shell("exit 4", "last"), sleep(60)]
    with observe(wait_for_both), recorded() as events:
        batch = run_concurrent_sync(*commands, config=FAIL_FAST)
    codes = [result.exit_code for result in batch.results]
    assert codes in ([3], [4], [3, 4])
    assert batch.failures == tuple(range(len(codes)))
    assert batch.failure_submission_indices == tuple(code - 2 for code in codes)
    expect_exits(events)


def test_what_ignores_the_signal_is_killed_after_the_grace(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    context = ExecutionContext(cancel_grace=0.3)
    config = ConcurrentConfig(fail_fast=True, context=context)
    batch = run_concurrent_sync(
        shell(DEAF, str(path)), once_there(path, "exit 3"), config=config
    )
    assert batch.submission_indices == (1,)
    assert not is_alive(read_pid(path))


def test_an_error_ends_a_fail_fast_batch_with_a_group(tmp_path: Path) -> None:
    earlier = child_pids()
    nowhere = missing(tmp_path)
    with recorded() as events, pytest.raises(ExceptionGroup) as caught:
        run_concurrent_sync(sleep(60), nowhere, sleep(60), config=FAIL_FAST)
    (error,) = caught.value.exceptions
    assert isinstance(error, FileNotFoundError)
    expect_exits(events)
    assert not child_pids() - earlier


def test_a_hook_that_raises_is_an_error_of_its_command() -> None:
    commands = [true(), command("echo", "out"), true()]
    with observe(failing_on("stdout")):
        with pytest.raises(HookError):
            run_concurrent_sync(*commands)
        with pytest.raises(ExceptionGroup) as caught:
            run_concurrent_sync(*commands, config=FAIL_FAST)
    assert [type(error) for error in caught.value.exceptions] == [HookError]


# --- Cancellation ---------------------------------------------------------------------


@pytest.mark.parametrize("fail_fast", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_cancelling_a_batch_ends_all_of_its_commands(
    tmp_path: Path, times: int, *, fail_fast: bool
) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    marker = tmp_path / "ran"
    commands = [shell(DEAF if n else LONG, str(p)) for n, p in enumerate(paths)]
    config = ConcurrentConfig(
        concurrency=3, fail_fast=fail_fast, context=ExecutionContext(cancel_grace=0.3)
    )

    async def main() -> None:
        batch = asyncio.create_task(
            run_concurrent(*commands, command("touch", str(marker)), config=config)
        )
        pids = [await asyncio.to_thread(read_pid, path) for path in paths]
        for _ in range(times):
            batch.cancel()
            await asyncio.sleep(0.03)
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert batch.cancelled()
        assert not any(map(is_alive, pids))

    with recorded() as events, finished() as results:
        asyncio.run(main())
    assert not marker.exists()
    expect_exits(events)
    assert len(only(events, "exit")) == 3
    assert results == []


# --- Hooks ----------------------------------------------------------------------------


def test_each_command_of_a_batch_has_its_own_events() -> None:
    echo = command("echo", "same")
    with recorded() as events, finished() as results:
        batch = run_concurrent_sync(*[echo] * 5)
    expect_exits(events)
    assert len({event.exec_id for event in events}) == 5
    assert {event.pid for event in only(events, "exit")} == {
        result.pid for result in batch.results
    }
    assert sorted(map(id, results)) == sorted(map(id, batch.results))
    assert "pipeline_stages" not in events[0].tags


def test_a_batch_in_a_task_keeps_the_scope_that_it_was_made_in() -> None:
    async def main() -> None:
        with recorded() as events:
            batch = asyncio.create_task(run_concurrent(true(), true()))
        await batch
        assert len(only(events, "exit")) == 2
        with recorded() as later:
            waiting = run_concurrent(true())
        await waiting
        assert later == []

    asyncio.run(main())
