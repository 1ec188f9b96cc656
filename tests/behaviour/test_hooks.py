"""Hooks: when they are called, what their errors do, and that they are waited for."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cuprum import (
    ExecutionContext,
    RunOutputOptions,
    ScopeConfig,
    StdinInput,
    TimeoutExpired,
    after,
    before,
    env,
    observe,
    scoped,
)
from tests.support.observers import (
    HookError,
    expect_exits,
    failing_on,
    finished,
    lines,
    only,
    phases,
    recorded,
)
from tests.support.processes import child_pids, is_alive
from tests.support.stages import (
    cat,
    command,
    deaf_sleep,
    missing,
    python,
    shell,
    sleep,
    statuses,
    true,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from cuprum import (
        BeforeHook,
        CommandResult,
        ExecEvent,
        ExecHook,
        Pipeline,
        SafeCmd,
    )

each_backend = pytest.mark.usefixtures("stream_backend")
STRICT = ExecutionContext(encoding="ascii", errors="strict")


def refuse(*_: object) -> None:
    """Be a hook that cannot."""
    raise HookError("refused")


async def expect_failure(
    run: Callable[[], Awaitable[object]], error: type[BaseException]
) -> BaseException:
    """Await what has to fail; return what it raised."""
    with pytest.raises(error) as caught:
        await run()
    return caught.value


# --- Before hooks -------------------------------------------------------------------


def test_a_before_hook_that_raises_prevents_the_start(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    called: list[SafeCmd] = []
    with (
        recorded() as events,
        finished() as results,
        before(called.append),
        before(refuse),
        before(called.append),
        pytest.raises(HookError, match=r"^refused$"),
    ):
        command("touch", str(marker)).run_sync()
    assert phases(events) == ["plan"]
    assert len(called) == 1  # not the one after it
    assert not marker.exists()
    assert results == []


@each_backend
def test_a_before_hook_of_the_last_stage_prevents_the_start_of_all(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "ran"

    def refuse_cat(given: SafeCmd) -> None:
        if given.program == "cat":
            raise HookError

    pipeline = command("touch", str(marker)) | true() | cat() | true()
    with recorded() as events, before(refuse_cat), pytest.raises(HookError):
        pipeline.run_sync()
    assert phases(events) == ["plan0", "plan1", "plan2"]
    assert not marker.exists()


def test_what_a_before_hook_returns_is_ignored_and_not_awaited() -> None:
    class Awaited:
        def __await__(self) -> Generator[None, None, None]:
            raise AssertionError("awaited")

    def hook(*_: object) -> Any:  # noqa: ANN401  which hooks are not meant to return
        return Awaited()

    with before(hook), after(hook):
        assert true().run_sync().ok


@pytest.mark.parametrize("overlay", [{}, {"OTHER": "1"}])
def test_the_child_sees_what_a_before_hook_puts_into_the_environment(
    monkeypatch: pytest.MonkeyPatch, overlay: dict[str, str]
) -> None:
    monkeypatch.setenv("LATE", "early")
    with before(lambda _: os.environ.update(LATE="late")), env(overlay):
        for runnable in (shell('echo "$LATE"'), true() | shell('echo "$LATE"')):
            os.environ["LATE"] = "early"
            assert runnable.run_sync().stdout == "late\n"


# --- After hooks --------------------------------------------------------------------


@each_backend
def test_an_after_hook_gets_the_very_objects_that_are_returned() -> None:
    given: list[tuple[SafeCmd, CommandResult]] = []
    with after(lambda *both: given.append(both)):
        runnable = shell("echo out; exit 3")
        result = runnable.run_sync()
        pipeline = runnable | cat()
        stages = pipeline.run_sync().stages
    assert result.exit_code == 3
    assert [one for one, _ in given] == [runnable, *pipeline.parts]
    for (_, told), returned in zip(given, (result, *stages), strict=True):
        assert told is returned
    assert given[0][0] is runnable
    assert given[1][0] is runnable


def test_an_after_hook_that_raises_leaves_out_the_later_ones() -> None:
    with finished() as later, after(refuse), finished() as earlier:
        for runnable, called in ((true(), 1), (true() | true(), 1)):
            earlier.clear()
            with recorded() as events, pytest.raises(HookError, match=r"^refused$"):
                runnable.run_sync()
            expect_exits(events)
            assert (len(earlier), later) == (called, [])


def test_hooks_of_a_scope_are_called_inside_out_at_the_end() -> None:
    told: list[str] = []

    def scope(name: str) -> ScopeConfig:
        return ScopeConfig(
            before_hooks=(lambda _: told.append(f"before {name}"),),
            after_hooks=(lambda *_: told.append(f"after {name}"),),
        )

    with scoped(scope("outer")), scoped(scope("inner")):
        true().run_sync()
    assert told == ["before outer", "before inner", "after inner", "after outer"]


# --- Observers that raise -----------------------------------------------------------


def test_an_observer_that_raises_at_the_plan_prevents_everything(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "ran"
    called: list[SafeCmd] = []
    touch = command("touch", str(marker))
    for runnable in (touch, true() | touch):
        with (
            before(called.append),
            observe(failing_on("plan")),
            recorded() as later,
            pytest.raises(HookError),
        ):
            runnable.run_sync()
        assert (later, called) == ([], [])
    assert not marker.exists()


@each_backend
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_observer_that_raises_at_a_start_ends_the_run(failing: int) -> None:
    def fail(event: ExecEvent) -> None:
        if event.phase == "start" and event.tags.get("pipeline_stage_index") == failing:
            raise HookError

    pipeline = sleep(60) | sleep(60) | sleep(60)
    expected = pytest.raises(HookError)
    with recorded() as events, observe(fail), finished() as results, expected:
        pipeline.run_sync(timeout=20)
    assert len(only(events, "start")) == failing + 1
    expect_exits(events)
    assert {event.exit_code for event in only(events, "exit")} == {-15}
    assert results == []


def test_an_observer_that_raises_at_the_start_of_a_command_ends_it() -> None:
    hooks = failing_on("start")
    with recorded() as events, observe(hooks), pytest.raises(HookError) as caught:
        deaf_sleep().run_sync(context=ExecutionContext(cancel_grace=0), timeout=20)
    assert not isinstance(caught.value, TimeoutExpired)
    (start,) = only(events, "start")
    assert start.pid is not None
    assert not is_alive(start.pid)
    expect_exits(events)


CHATTY = """
say() { echo first; head -c 3000000 /dev/zero; }
exec <&-; say; say >&2; touch done; exit 3
"""
MIDDLE = ("stdout", "stderr", "stdin", "stdin_error", "hop_start", "hop_end")


def chatty(phase: str, directory: Path) -> tuple[SafeCmd | Pipeline, dict[str, Any]]:
    """Return what has much to say beside *phase*, and what to run it with."""
    fed = StdinInput(data=bytes(5_000_000 if phase == "stdin_error" else 0))
    last = shell(CHATTY)
    runnable = cat() | last if "hop" in phase else last
    context = ExecutionContext(cwd=directory)
    return runnable, {"stdin": fed, "context": context, "timeout": 20}


@each_backend
@pytest.mark.parametrize("phase", MIDDLE)
def test_an_error_in_the_middle_waits_until_the_commands_have_ended(
    tmp_path: Path, phase: str
) -> None:
    runnable, options = chatty(phase, tmp_path)
    with (
        recorded() as events,
        observe(failing_on(phase)),
        finished() as results,
        pytest.raises(HookError, match=f"^{phase}$"),
    ):
        runnable.run_sync(**options)
    assert (tmp_path / "done").exists()  # it was not ended, and nothing blocked it
    expect_exits(events)
    assert only(events, "exit")[-1].exit_code == 3
    assert results == []


@pytest.mark.parametrize("phase", ["stdout", "stderr"])
def test_of_a_stream_whose_observer_failed_no_more_is_told_but_of_the_other(
    phase: str,
) -> None:
    other = {"stdout": "stderr", "stderr": "stdout"}[phase]
    talker = shell("seq 10; seq 10 >&2")
    with (
        recorded() as events,
        observe(failing_on(phase)),
        recorded() as later,
        pytest.raises(HookError),
    ):
        talker.run_sync()
    assert (lines(events, phase), len(lines(events, other))) == (["1"], 10)
    assert (lines(later, phase), len(lines(later, other))) == ([], 10)
    assert phases(later)[-1] == "exit"


def test_where_an_observer_failed_the_callback_is_still_told_of_lines() -> None:
    taken: list[str] = []
    output = RunOutputOptions(on_stdout_line=taken.append)
    with recorded() as events, observe(failing_on("stdout")), pytest.raises(HookError):
        shell("seq 10; sleep 0.1; seq 10; exit 3").run_sync(output=output)
    assert taken == [str(number) for number in range(1, 11)] * 2
    assert [event.exit_code for event in only(events, "exit")] == [3]


@pytest.mark.parametrize(("first", "number"), [("stdout", 1), ("stderr", 2)])
def test_the_first_of_several_errors_is_raised(
    tmp_path: Path, first: str, number: int
) -> None:
    def fail(event: ExecEvent) -> None:
        if event.phase in {"stdout", "stderr"}:
            (tmp_path / event.phase).touch()
            raise HookError(event.phase)

    script = 'echo 1 >&$1; until [ -e "$2" ]; do sleep .01; done; echo 2 >&$((3 - $1))'
    with observe(fail), pytest.raises(HookError, match=f"^{first}$"):
        shell(script, number, str(tmp_path / first)).run_sync(timeout=20)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("phase", ["stdin", "stdin_error"])
@pytest.mark.parametrize("error", [BrokenPipeError(32, "mine"), RuntimeError("mine")])
def test_an_error_of_a_hook_is_not_taken_for_one_of_the_pipe(
    phase: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    reader = cat() if phase == "stdin" else true()
    hook = failing_on(phase, error=error)
    with recorded() as events, observe(hook), pytest.raises(type(error)) as caught:
        reader.run_sync(stdin=StdinInput(data=bytes(1_000_000)))
    assert caught.value is error
    assert phases(only(events, "stdin", "stdin_error")) == [phase]
    names = [record.name for record in caplog.records]
    assert names.count("cuprum._observability") == 1
    assert names.count("cuprum.stdin") == (phase == "stdin_error")


def test_an_observer_that_raises_at_an_exit_prevents_the_after_hooks() -> None:
    for runnable in (true(), true() | true()):
        with (
            recorded() as events,
            observe(failing_on("exit")),
            finished() as results,
            pytest.raises(HookError, match=r"^exit$"),
        ):
            runnable.run_sync()
        expect_exits(events)
        assert results == []


def test_a_failing_observer_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with observe(failing_on("stdout")), pytest.raises(HookError):
        command("echo", "hello").run_sync()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("cuprum._observability", "WARNING")
    told = "observe_hook_failed phase=stdout program=echo error=stdout"
    assert record.getMessage() == told


def test_time_that_is_up_matters_more_than_an_error_in_the_middle() -> None:
    for limit in (0.3, 3, 10):
        with observe(failing_on("stdout")), pytest.raises(TimeoutExpired) as caught:
            shell("echo out; exec sleep 60").run_sync(timeout=limit)
        if caught.value.output:
            break
    assert caught.value.output == "out\n"


def test_time_is_not_up_because_hooks_take_it_before_all_has_started() -> None:
    def wait(event: ExecEvent) -> None:
        if event.phase in {"plan", "start"}:
            time.sleep(0.6)

    with observe(wait):
        assert true().run_sync(timeout=1).ok
        assert (true() | true()).run_sync(timeout=1).ok


# --- Lines that cannot be decoded -----------------------------------------------------


@each_backend
@pytest.mark.parametrize("capture", [True, False])
def test_an_observed_stream_that_cannot_be_decoded_is_read_to_its_end(
    tmp_path: Path, *, capture: bool
) -> None:
    # More than any pipe holds comes after what the codec refuses.
    talker = shell(r"echo fine; printf '\377\n'; yes | head -c 30000000; touch done")
    output = RunOutputOptions(capture=capture, on_stderr_line=lambda _: None)
    if not capture:
        output = RunOutputOptions(capture=False, echo=True)
    context = ExecutionContext(
        encoding="ascii",
        errors="strict",
        cwd=tmp_path,
        stdout_sink=open(os.devnull, "w"),  # noqa: SIM115  closed below
    )
    sink = context.stdout_sink
    assert sink is not None
    for runnable in (talker, talker | cat()):
        (tmp_path / "done").unlink(missing_ok=True)
        with recorded() as events, pytest.raises(UnicodeDecodeError):
            runnable.run_sync(output=output, context=context, timeout=20)
        assert (tmp_path / "done").exists()
        assert {event.exit_code for event in only(events, "exit")} == {0}
        assert len(lines(events)) <= 1  # what came with the fault is not told
    sink.close()


def test_a_codec_that_does_not_exist_is_an_error_after_the_exit() -> None:
    talker = shell("yes | head -c 5000000; exit 3")
    with recorded() as events, pytest.raises(LookupError):
        talker.run_sync(context=ExecutionContext(encoding="no-such"), timeout=20)
    assert [event.exit_code for event in only(events, "exit")] == [3]


# --- Order among observers ------------------------------------------------------------


def test_observers_are_told_in_order_and_none_after_one_that_raises() -> None:
    told: list[str] = []

    def note(name: str) -> ExecHook:
        def hook(event: ExecEvent) -> None:
            told.append(f"{name} {event.phase}")

        return hook

    with (
        observe(note("a")),
        observe(failing_on("stderr")),
        observe(note("b")),
        pytest.raises(HookError),
    ):
        shell("echo err >&2").run_sync()
    assert told == [
        *("a plan", "b plan", "a start", "b start"),
        *("a stderr", "a exit", "b exit"),
    ]


# --- Asynchronous observers -----------------------------------------------------------


def on(phase: str, handle: Callable[[ExecEvent], Awaitable[None]]) -> ExecHook:
    """Return a hook that returns what *handle* does, on this phase."""

    def hook(event: ExecEvent) -> Awaitable[None] | None:
        return handle(event) if event.phase == phase else None

    return hook


def test_handling_goes_on_beside_the_run() -> None:
    # Each waits for a later event: awaited at once, none would ever end.
    told: list[str] = []

    async def main() -> None:
        has_come = {phase: asyncio.Event() for phase in ("stdout", "exit")}

        async def handle(event: ExecEvent) -> None:
            if event.phase in has_come:
                has_come[event.phase].set()
            await has_come["stdout" if event.phase == "plan" else "exit"].wait()
            told.append(event.phase)

        with observe(handle):
            await command("echo", "out").run(timeout=10)
        assert sorted(told) == ["exit", "plan", "start", "stdout"]
        assert told[0] == "plan"

    asyncio.run(main())


@each_backend
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_a_run_returns_only_when_all_handling_has_ended(kind: str) -> None:
    runnable = shell("seq 100") if kind == "command" else shell("seq 100") | cat()
    begun: list[str] = []
    ended: list[str] = []

    async def handle(event: ExecEvent) -> None:
        begun.append(event.phase)
        await asyncio.sleep(0.1)
        ended.append(event.phase)

    with observe(handle), recorded() as events:
        assert runnable.run_sync(timeout=10).ok
    assert len(events) > 100
    assert sorted(begun) == sorted(ended) == sorted(event.phase for event in events)


def test_all_that_can_be_awaited_is_and_nothing_else() -> None:
    awaited: list[str] = []

    class Awaitable_:  # noqa: N801
        def __await__(self) -> Generator[Any, None, None]:
            yield from asyncio.sleep(0.05).__await__()
            awaited.append("object")

    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.1, future.set_result, None)
        answers: dict[str, Any] = {
            "plan": 7,
            "start": Awaitable_(),
            "stdout": [asyncio.Event()],
            "exit": future,
        }
        with observe(lambda event: answers[event.phase]):
            assert (await command("echo", "out").run()).ok
        assert future.done()

    asyncio.run(main())
    assert awaited == ["object"]


def test_one_task_may_be_returned_for_all_events() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(0.1))
        with observe(lambda _: task):
            assert (await shell("seq 10; sleep 0.2; seq 10").run()).ok
        assert task.done()

    asyncio.run(main())


@each_backend
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_of_failed_handling_the_first_to_begin_is_raised_bare(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    runnable = command("echo") if kind == "command" else command("echo") | cat()

    async def main() -> None:
        last = asyncio.Event()

        async def handle(event: ExecEvent) -> None:
            if event.phase == "start":  # begins early, fails late
                await last.wait()
                raise HookError(event.phase)
            if event.phase == "exit":
                await asyncio.sleep(0.05)
                last.set()
            if event.phase in {"stdout", "exit"}:
                raise HookError(event.phase)

        with observe(handle), finished() as results, recorded() as events:
            error = await expect_failure(runnable.run, HookError)
        assert str(error) == "start"
        assert len(results) == len(only(events, "exit"))  # all went on as if not
        assert len(results) == (1 if kind == "command" else 2)

    asyncio.run(main())
    records = [r for r in caplog.records if r.name == "cuprum._observability"]
    assert {record.levelname for record in records} == {"ERROR"}
    told = "observe_hook_task_failed phase=stdout program="
    assert records[0].getMessage().startswith(told)
    assert records[0].getMessage().endswith(" error=stdout")
    assert records[0].exc_info


def test_handling_that_was_cancelled_is_no_failure() -> None:
    async def handle(_: ExecEvent) -> None:
        raise asyncio.CancelledError

    with observe(handle):
        assert true().run_sync().ok


class Slow:
    """Handling that takes its time, and says when it has ended; it may then fail."""

    def __init__(self, phase: str, *, error: Exception | None = None) -> None:
        self._phase = phase
        self._error = error
        self.begun = 0
        self.ended = 0
        self.has_begun = asyncio.Event()

    def __call__(self, event: ExecEvent) -> Awaitable[None] | None:
        if event.phase != self._phase:
            return None
        self.begun += 1
        self.has_begun.set()
        return self._handle()

    async def _handle(self) -> None:
        await asyncio.sleep(0.2)
        self.ended += 1
        if self._error is not None:
            raise self._error


RUNS: dict[str, Callable[[SafeCmd], SafeCmd | Pipeline]] = {
    "command": lambda one: one,
    "pipeline": lambda one: one | sleep(0),
}


@pytest.fixture(params=list(RUNS))
def runnable_of(
    request: pytest.FixtureRequest,
) -> Callable[[SafeCmd], SafeCmd | Pipeline]:
    """Return what makes a command, or a pipeline, of a command."""
    return RUNS[request.param]


def test_handling_is_awaited_when_a_before_hook_raises(
    runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline],
) -> None:
    slow = Slow("plan")
    with observe(slow), before(refuse), pytest.raises(HookError):
        runnable_of(true()).run_sync()
    assert (slow.begun, slow.ended) == (1, 1)


@pytest.mark.parametrize("phase", ["plan", "start", "stderr", "exit"])
def test_handling_is_awaited_when_a_later_observer_raises(
    phase: str, runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline]
) -> None:
    slow = Slow("plan")
    talker = shell("echo out; echo err >&2")
    with observe(slow), observe(failing_on(phase)), pytest.raises(HookError):
        runnable_of(talker).run_sync()
    assert slow.begun == slow.ended > 0


def test_handling_is_awaited_when_an_after_hook_raises(
    runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline],
) -> None:
    slow = Slow("exit")
    with observe(slow), after(refuse), pytest.raises(HookError):
        runnable_of(true()).run_sync()
    assert slow.begun == slow.ended > 0


def test_handling_is_awaited_when_nothing_can_be_started(
    tmp_path: Path, runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline]
) -> None:
    slow = Slow("plan")
    with observe(slow), pytest.raises(FileNotFoundError):
        runnable_of(missing(tmp_path)).run_sync()
    assert slow.begun == slow.ended > 0


@pytest.mark.parametrize("phase", ["start", "exit"])
def test_handling_is_awaited_when_time_is_up(
    phase: str, runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline]
) -> None:
    slow = Slow(phase)
    with observe(slow), pytest.raises(TimeoutExpired):
        runnable_of(sleep(60)).run_sync(timeout=0.1)
    assert slow.begun == slow.ended > 0


@pytest.mark.parametrize("times", [1, 3])
def test_handling_is_awaited_however_often_the_run_is_cancelled(
    times: int, runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline]
) -> None:
    starting, ending = Slow("start"), Slow("exit")

    async def main() -> None:
        with observe(starting), observe(ending):
            run = asyncio.create_task(runnable_of(sleep(60)).run())
            await starting.has_begun.wait()
            for _ in range(times):
                run.cancel()
                await asyncio.sleep(0.05)
            with pytest.raises(asyncio.CancelledError):
                await run
            assert run.cancelled()

    asyncio.run(main())
    assert starting.begun == starting.ended > 0
    assert ending.begun == ending.ended > 0


def test_a_cancellation_matters_more_than_handling_that_fails(
    runnable_of: Callable[[SafeCmd], SafeCmd | Pipeline],
) -> None:
    # Or asyncio.timeout() would not know that it was its own.
    slow = Slow("start", error=HookError("late"))

    async def main() -> None:
        with observe(slow), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await runnable_of(sleep(60)).run()

    asyncio.run(main())
    assert slow.ended > 0


def test_of_a_command_the_failed_handling_is_raised_over_another_error() -> None:
    cases: list[tuple[BeforeHook, type[Exception], SafeCmd]] = [
        (refuse, HookError, true()),
        (lambda _: None, TimeoutExpired, sleep(60)),
    ]
    for hook, other, runnable in cases:
        slow = Slow("plan", error=ValueError("late"))
        with observe(slow), before(hook), pytest.raises(ValueError) as caught:  # noqa: PT011
            runnable.run_sync(timeout=0.1)
        assert str(caught.value) == "late"
        assert isinstance(caught.value.__context__, other)


@pytest.mark.parametrize("cause", ["hook", "spawn", "timeout"])
def test_of_a_pipeline_failed_handling_and_another_error_are_a_group(
    tmp_path: Path, cause: str
) -> None:
    last = missing(tmp_path) if cause == "spawn" else sleep(60)
    expected = {
        "hook": HookError,
        "spawn": FileNotFoundError,
        "timeout": TimeoutExpired,
    }[cause]
    slow = Slow("plan", error=ValueError("late"))
    hooks = ScopeConfig(
        before_hooks=(refuse,) if cause == "hook" else (), observe_hooks=(slow,)
    )
    with scoped(hooks), pytest.raises(ExceptionGroup) as caught:
        (sleep(60) | last).run_sync(timeout=0.1)
    group = caught.value
    assert group.message == "pipeline finalization failed"
    active, late = group.exceptions  # of the two that failed, the first
    assert isinstance(active, expected)
    assert isinstance(late, ValueError)


def test_a_group_with_what_is_no_exception_is_none_either() -> None:
    class Odd(BaseException):
        pass

    def leave(_: SafeCmd) -> None:
        raise Odd

    slow = Slow("plan", error=ValueError("late"))
    with observe(slow), before(leave), pytest.raises(BaseExceptionGroup) as caught:
        (true() | true()).run_sync()
    assert not isinstance(caught.value, ExceptionGroup)
    assert isinstance(caught.value.exceptions[0], Odd)


# --- Which hooks ----------------------------------------------------------------------


def test_hooks_are_those_that_there_were_when_the_run_began() -> None:
    late: list[object] = []
    kept: list[Any] = []

    def register(_: SafeCmd) -> None:
        kept.append(observe(late.append))
        kept.append(before(late.append))
        kept.append(after(lambda *both: late.append(both)))

    with before(register):
        assert (true() | true()).run_sync().ok
    assert len(kept) == 6
    assert late == []


def test_hooks_that_are_detached_meanwhile_are_still_told() -> None:
    async def main() -> None:
        started = asyncio.Event()
        events: list[ExecEvent] = []

        def look(event: ExecEvent) -> None:
            events.append(event)
            started.set()

        with observe(look), finished() as results:
            run = asyncio.create_task(sleep(0.3).run())
            await started.wait()
        await run
        assert phases(events) == ["plan", "start", "exit"]
        assert len(results) == 1

    asyncio.run(main())


@pytest.mark.parametrize("runnable", [true(), true() | true()])
def test_a_run_made_in_a_scope_and_awaited_outside_is_outside(
    runnable: SafeCmd | Pipeline,
) -> None:
    async def main() -> None:
        with recorded() as events, scoped(ScopeConfig(allowlist=frozenset())):
            run = runnable.run()
        assert (await run).ok
        assert events == []

    asyncio.run(main())


@pytest.mark.parametrize("runnable", [true(), true() | true()])
def test_a_task_made_in_a_scope_keeps_its_hooks(
    runnable: SafeCmd | Pipeline,
) -> None:
    async def main() -> None:
        with recorded() as events, finished() as results:
            run = asyncio.create_task(runnable.run())
        await run
        expect_exits(events)
        assert len(results) == len(only(events, "exit")) > 0

    asyncio.run(main())


def test_tasks_are_told_of_their_own_runs_only() -> None:
    async def one(number: int) -> list[str | None]:
        with recorded() as events:
            await asyncio.sleep(0)
            await command("echo", number).run()
        return lines(events)

    async def main() -> None:
        told = await asyncio.gather(*(one(number) for number in range(10)))
        assert told == [[str(number)] for number in range(10)]

    asyncio.run(main())


def test_a_thread_has_no_hooks_but_its_own() -> None:
    inner: list[str | None] = []

    def work() -> None:
        with recorded() as own:
            command("echo", "there").run_sync()
        inner.extend(lines(own))

    with recorded() as events:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert events == []
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,))
        thread.start()
        thread.join()
    assert inner == ["there", "there"]
    assert lines(events) == ["there"]


def test_the_variables_of_the_caller_are_seen_by_hooks() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[str] = []

    async def handle(_: ExecEvent) -> None:
        seen.append(variable.get())

    variable.set("mine")
    with observe(handle), before(lambda _: seen.append(variable.get())):
        assert true().run_sync().ok
    assert seen == ["mine"] * 4


@each_backend
def test_hooks_see_every_run_of_many_at_once() -> None:
    async def main() -> None:
        pipelines = [command("echo", n) | cat() for n in range(10)]
        with recorded() as events:
            results = await asyncio.gather(*(one.run() for one in pipelines))
        assert all(statuses(result) == [0, 0] for result in results)
        expect_exits(events)
        assert sorted(map(str, lines(events))) == [str(n) for n in range(10)]
        assert len({event.exec_id for event in events}) == 10 * 3

    earlier = child_pids()
    asyncio.run(main())
    assert len(child_pids() - earlier) <= 4  # of helpers that are kept


def test_a_hook_may_run_commands_itself() -> None:
    # They have the same hooks, so that it has to look whose events they are.
    seen: list[str | None] = []

    async def count(event: ExecEvent) -> None:
        if event.phase == "exit" and event.argv[-1] == "outer":
            seen.append((await command("echo", "inner").run()).stdout)

    with observe(count):
        assert python("pass", "outer").run_sync(timeout=10).ok
    assert seen == ["inner\n"]
