"""Events: which there are, in which order, and what they say."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import os
import signal
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from cuprum import (
    ExecEvent,
    ExecutionContext,
    ForbiddenProgramError,
    PumpError,
    Redirect,
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
from cuprum.events import new_exec_id
from tests.support import endings
from tests.support.endings import Stages
from tests.support.fake_helper import install
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
from tests.support.pacing import saying
from tests.support.processes import child_pids, is_alive, reap_orphans, wait_until
from tests.support.stages import (
    PYTHON,
    cat,
    command,
    missing,
    python,
    shell,
    sleep,
    statuses,
    true,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cuprum import CommandResult, Pipeline, SafeCmd
    from tests.support.endings import Ending

QUIET = RunOutputOptions(capture=False)
BOTH = 'echo out; echo "err" >&2'

each_backend = pytest.mark.usefixtures("stream_backend")


# --- The order ------------------------------------------------------------------------


def test_what_is_not_allowed_has_no_events(caplog: pytest.LogCaptureFixture) -> None:
    # Nor is the text encoded, which comes next.
    unfit = StdinInput(text="\N{SNOWMAN}")
    strict = ExecutionContext(encoding="ascii", errors="strict")
    called: list[SafeCmd] = []
    nothing = ScopeConfig(allowlist=frozenset())
    with recorded() as events, before(called.append), scoped(nothing):
        with pytest.raises(ForbiddenProgramError):
            cat().run_sync(stdin=unfit, context=strict)
        with pytest.raises(ForbiddenProgramError):
            (true() | cat()).run_sync()
    assert (events, called) == ([], [])
    assert [record.name for record in caplog.records] == ["cuprum.context"] * 2


def test_one_forbidden_stage_is_enough_for_no_events() -> None:
    called: list[SafeCmd] = []
    some = ScopeConfig(allowlist=frozenset([true().program]))
    denied = pytest.raises(ForbiddenProgramError, match="'cat'")
    with recorded() as events, before(called.append), scoped(some), denied:
        (true() | true() | cat()).run_sync()
    assert (events, called) == ([], [])


def test_text_that_cannot_be_encoded_has_no_events() -> None:
    unfit = StdinInput(text="\N{SNOWMAN}")
    strict = ExecutionContext(encoding="ascii", errors="strict")
    called: list[SafeCmd] = []
    with recorded() as events, before(called.append):
        for runnable in (cat(), cat() | cat()):
            with pytest.raises(UnicodeEncodeError):
                runnable.run_sync(stdin=unfit, context=strict)
    assert (events, called) == ([], [])


def test_the_life_of_a_command_is_told_in_order() -> None:
    told: list[str] = []
    earlier = child_pids()
    started: list[int | None] = []

    async def end(event: ExecEvent) -> None:
        await asyncio.sleep(0.05)
        told.append(f"{event.phase} task")

    def look(event: ExecEvent) -> Any:  # noqa: ANN401  None, or a coroutine
        told.append(event.phase)
        if event.phase == "plan":
            assert child_pids() == earlier
        if event.phase == "start":
            assert event.pid is not None
            assert is_alive(event.pid)
            started.append(event.pid)
        if event.phase == "exit":
            assert event.pid not in child_pids()  # not even to be reaped
            return end(event)
        return None

    def begin(name: str) -> Callable[[SafeCmd], None]:
        def hook(given: SafeCmd) -> None:
            assert given is runnable
            assert child_pids() == earlier
            told.append(name)

        return hook

    def close(name: str) -> Callable[[SafeCmd, CommandResult], None]:
        def hook(given: SafeCmd, result: CommandResult) -> None:
            assert given is runnable
            assert result.pid == started[0]
            told.append(name)

        return hook

    runnable = shell("read it; echo out")
    with (
        observe(look),
        before(begin("before 1")),
        after(close("after 1")),
        before(begin("before 2")),
        after(close("after 2")),
    ):
        assert runnable.run_sync(stdin=StdinInput(text="in\n"), timeout=10).ok
    assert [t for t in told if t not in {"stdin", "stdout"}] == [
        "plan",
        "before 1",
        "before 2",
        "start",
        "exit",
        "after 2",
        "after 1",
        "exit task",
    ]
    assert sorted(told[4:6]) == ["stdin", "stdout"]


@each_backend
def test_the_life_of_a_pipeline_is_told_in_order() -> None:
    told: list[str] = []

    def note(what: str) -> Callable[..., None]:
        def hook(given: SafeCmd, *results: CommandResult) -> None:
            told.append(f"{what}{pipeline.parts.index(given)}")

        return hook

    def tell(event: ExecEvent) -> None:
        told.extend(phases([event]))

    pipeline = shell("echo out; echo err >&2") | shell("cat; echo err >&2")
    with (
        observe(tell),
        before(note("before ")),
        before(note("again ")),
        after(note("after ")),
        after(note("first ")),
    ):
        assert pipeline.run_sync(timeout=10).ok
    assert told[:8] == [
        *("plan0", "before 0", "again 0"),
        *("plan1", "before 1", "again 1"),
        *("start0", "start1"),
    ]
    middle = ["hop_end0", "hop_start0", "stderr0", "stderr1", "stdout1"]
    assert sorted(told[8:-6]) == middle
    assert told.index("hop_start0") < told.index("hop_end0")
    assert told[-6:] == [
        *("exit0", "exit1"),
        *("first 0", "after 0", "first 1", "after 1"),
    ]


def test_all_stages_exits_are_told_together_when_all_is_over() -> None:
    # The first is gone long before the last says its last word.
    pipeline = shell("echo out") | shell("cat; sleep 0.2; echo late") | cat()
    with recorded() as events:
        assert pipeline.run_sync(timeout=10).ok
    assert phases(events)[-3:] == ["exit0", "exit1", "exit2"]
    assert lines(events[:-3]) == ["out", "late"]


def test_output_and_input_are_told_between_start_and_exit() -> None:
    script = "head -c 100000 | tr x '\\n'; echo err >&2"
    with recorded() as events:
        assert shell(script).run_sync(stdin=StdinInput(text="x" * 100_000)).ok
    told = phases(events)
    assert told[:2] == ["plan", "start"]
    assert told[-1] == "exit"
    assert set(told[2:-1]) == {"stdin", "stdout", "stderr"}
    assert told.count("stdout") == 100_000


def test_the_lines_of_each_stream_keep_their_order() -> None:
    script = "import os\nfor n in range(500): os.write(1 + n % 2, b'%d\\n' % n)"
    with recorded() as events:
        assert python(script).run_sync().ok
    assert lines(events, "stdout") == [str(n) for n in range(0, 500, 2)]
    assert lines(events, "stderr") == [str(n) for n in range(1, 500, 2)]


def test_a_line_is_told_while_the_program_goes_on(tmp_path: Path) -> None:
    # It waits for what the hook does, and would run into the limit.
    answer = tmp_path / "answer"

    def reply(event: ExecEvent) -> None:
        if event.line == "first":
            answer.touch()

    script = 'echo first; until [ -e "$1" ]; do sleep .01; done; echo last'
    with observe(reply), recorded() as events:
        assert shell(script, str(answer)).run_sync(timeout=10).ok
    assert lines(events) == ["first", "last"]


# --- What they say --------------------------------------------------------------------

OPTIONAL = {"line", "exit_code", "duration_s", "byte_count", "hop", "hop_index"}
OPTIONAL |= {"operation", "error_type", "note"}
SET = {
    "stdout": {"line"},
    "stderr": {"line"},
    "exit": {"exit_code", "duration_s"},
    "stdin": {"byte_count"},
    "stdin_error": {"operation", "error_type", "note"},
    "hop_start": {"hop", "hop_index"},
    "hop_end": {"hop", "hop_index"},
}


@each_backend
def test_of_each_phase_just_its_own_fields_are_set() -> None:
    greedy = shell("exec <&-; sleep 0.2; echo out; echo err >&2")
    with recorded() as events:
        (cat() | cat()).run_sync(stdin=StdinInput(text="in\n"))
        greedy.run_sync(stdin=StdinInput(data=bytes(1_000_000)))
    assert {event.phase for event in events} == {"plan", "start", *SET}
    for event in events:
        found = {name for name in OPTIONAL if getattr(event, name) is not None}
        assert found == SET.get(event.phase, set()), event
        has_pid = event.phase not in {"plan", "hop_start", "hop_end"}
        assert (event.pid is not None) is has_pid


def test_an_event_names_program_arguments_process_and_time(tmp_path: Path) -> None:
    runnable = shell(BOTH, "an argument")
    began = time.time()
    with recorded() as events:
        result = runnable.run_sync(context=ExecutionContext(cwd=str(tmp_path)))
    ended = time.time()
    for event in events:
        assert event.program == "sh"
        assert event.argv == ("sh", *runnable.argv)
        assert event.cwd == tmp_path
        assert isinstance(event.cwd, Path)
        assert event.pid == (None if event.phase == "plan" else result.pid)
    times = [began, *(event.timestamp for event in events), ended]
    assert times == sorted(times)


def test_without_a_directory_there_is_none_in_events() -> None:
    with recorded() as events:
        true().run_sync()
    assert [event.cwd for event in events] == [None] * 3


@pytest.mark.parametrize("status", [0, 3, -9])
def test_an_exit_has_status_and_duration(status: int) -> None:
    end = "kill -9 $$" if status < 0 else f"exit {status}"
    began = time.monotonic()
    with recorded() as events:
        # It is fed when its start has been told.
        shell(f"read go; sleep 0.2; {end}").run_sync(stdin=StdinInput(text="go\n"))
    (last,) = only(events, "exit")
    assert last.exit_code == status
    assert last.duration_s is not None
    assert 0.2 <= last.duration_s < time.monotonic() - began


def test_the_duration_of_a_command_includes_its_output() -> None:
    earlier = child_pids()
    with recorded() as events:
        late = shell("read go; { sleep 0.3; echo late; } &")
        late.run_sync(stdin=StdinInput(text="go\n"))

    def has_gone() -> bool:
        reap_orphans()
        return not child_pids() - earlier

    wait_until(has_gone, what="what it left behind has exited")
    (last,) = only(events, "exit")
    assert last.duration_s is not None
    assert last.duration_s >= 0.3
    assert phases(events)[-2:] == ["stdout", "exit"]


def test_variables_in_events_are_those_laid_over_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    context = ExecutionContext(env={"Y": "call"})
    with recorded() as events, env(X="scope", Y="scope"):
        assert shell('echo "$SECRET$X$Y"').run_sync(context=context).stdout == (
            "hunter2scopecall\n"
        )
    for event in events:
        assert event.env == {"X": "scope", "Y": "call"}
        assert isinstance(event.env, MappingProxyType)
    with recorded() as events:
        true().run_sync()
    assert [event.env for event in events] == [None] * 3


@each_backend
def test_each_execution_has_an_id_of_its_own() -> None:
    pipeline = shell(BOTH) | shell("cat; echo err >&2") | cat()
    with recorded() as events:
        pipeline.run_sync()
        pipeline.run_sync()
    runs = (events[: len(events) // 2], events[len(events) // 2 :])
    assert all(phases(events)[0] == "plan0" for events in runs)
    ids: list[object] = []
    for run in runs:
        for stage in range(3):
            told = [e for e in run if e.tags["pipeline_stage_index"] == stage]
            for hop in (True, False):
                found = {e.exec_id for e in told if ("hop" in e.phase) is hop}
                assert len(found) == (stage < 2 or not hop)
                ids += found
    assert None not in ids
    assert len(set(ids)) == len(ids) == 2 * (3 + 2)
    assert new_exec_id() not in ids


def test_a_command_is_tagged_with_project_capture_and_echo() -> None:
    sink = io.StringIO()
    context = ExecutionContext(stdout_sink=sink, stderr_sink=sink)
    for capture in (True, False):
        for echo in (True, False):
            with recorded() as events:
                output = RunOutputOptions(capture, echo)
                shell("echo out").run_sync(output=output, context=context)
            for event in events:
                assert event.tags == {
                    "project": "tests",
                    "capture": capture,
                    "echo": echo,
                }
                assert isinstance(event.tags, MappingProxyType)


@each_backend
def test_stages_and_hops_are_tagged_with_where_they_are() -> None:
    programs = ["sh", "cat", "tail"]
    with recorded() as events:
        (shell(BOTH) | cat() | command("tail")).run_sync()
    for event in events:
        index = event.tags["pipeline_stage_index"]
        assert isinstance(index, int)
        assert event.tags["pipeline_stages"] == 3
        assert event.program == programs[index]
        if event.hop is not None:
            assert event.hop_index == index  # that of the stage before it
            assert event.argv[0] == programs[index]


def test_the_callers_tags_come_last_and_are_a_snapshot() -> None:
    tags: dict[str, object] = {"job": 7, "project": "mine"}

    def change(_: SafeCmd) -> None:
        tags["job"] = 8

    with recorded() as events, before(change):
        (true() | true()).run_sync(context=ExecutionContext(tags=tags))
    for event in events:
        assert event.tags["job"] == 7
        assert event.tags["project"] == "mine"
        assert event.tags["capture"] is True


def test_a_line_makes_an_event_like_any_other() -> None:
    # They are made in a way of their own, as there are many.
    with recorded() as events:
        shell("echo out").run_sync()
    (line,) = only(events, "stdout")
    assert type(line) is ExecEvent
    assert line == dataclasses.replace(line)
    assert line == ExecEvent(
        *(getattr(line, field.name) for field in dataclasses.fields(line)[:16])
    )
    assert "line='out'" in repr(line)
    with pytest.raises(dataclasses.FrozenInstanceError):
        line.line = "other"  # type: ignore[misc]
    assert not hasattr(line, "__dict__")


def test_the_fields_of_an_event_keep_their_positions() -> None:
    names = [field.name for field in dataclasses.fields(ExecEvent)]
    assert names[:16] == [
        *("phase", "program", "argv", "cwd", "env", "pid", "timestamp", "line"),
        *("exit_code", "duration_s", "tags"),
        *("note", "byte_count", "operation", "error_type", "exec_id"),
    ]


# --- Lines ----------------------------------------------------------------------------


@pytest.mark.parametrize("runnable", [shell(BOTH), shell(BOTH) | cat()])
def test_without_capture_and_echo_there_are_no_lines(
    runnable: SafeCmd | Pipeline,
) -> None:
    with recorded() as events:
        assert runnable.run_sync(output=QUIET).ok
    assert only(events, "stdout", "stderr") == []
    assert only(events, "exit") != []


@pytest.mark.parametrize(
    "output",
    [
        RunOutputOptions(),
        RunOutputOptions(capture=False, echo=True),
        RunOutputOptions(capture=True, echo=True),
        RunOutputOptions(text=False),
    ],
)
def test_with_either_there_are_lines(output: RunOutputOptions[Any]) -> None:
    sinks = io.StringIO(), io.StringIO()
    context = ExecutionContext(stdout_sink=sinks[0], stderr_sink=sinks[1])
    with recorded() as events:
        shell(BOTH).run_sync(output=output, context=context)
    assert (lines(events), lines(events, "stderr")) == (["out"], ["err"])
    assert [s.getvalue() for s in sinks] == [
        "out\n" * output.echo,
        "err\n" * output.echo,
    ]


def test_what_goes_elsewhere_has_no_lines(tmp_path: Path) -> None:
    output = RunOutputOptions(stdout=Redirect(tmp_path / "out"))
    with recorded() as events:
        shell(BOTH).run_sync(output=output)
    assert (lines(events), lines(events, "stderr")) == ([], ["err"])
    output = RunOutputOptions(stderr="stdout")
    with recorded() as events:
        shell(BOTH).run_sync(output=output)
    assert (lines(events), lines(events, "stderr")) == (["out", "err"], [])


@each_backend
def test_of_a_pipeline_every_stderr_and_the_last_stdout_are_told() -> None:
    with recorded() as events:
        (shell(BOTH) | shell("cat; echo second >&2") | cat()).run_sync()
    assert [p for p in phases(events) if p[:3] == "std"].count("stdout2") == 1
    assert sorted(p for p in phases(events) if p[:3] == "std") == [
        *("stderr0", "stderr1", "stdout2"),
    ]


@pytest.mark.parametrize(
    ("portions", "expected"),
    [
        ([], []),
        ([b"a\n", b"b\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"a\r", b"\nb\r", b"c\r\n", b"\r"], ["a", "b", "c", ""]),
        ([b"\xe2", b"\x98", b"\x83\n"], ["\N{SNOWMAN}"]),
        ([b"\n\n"], ["", ""]),
        ([b"a\xe2\x98"], ["a\N{REPLACEMENT CHARACTER}"]),
        ([b"a\x0bb\x1c", b"c\xe2\x80\xa8d"], ["a\x0b", "b\x1c", "c\u2028", "d"]),
    ],
)
def test_lines_are_whole_however_they_are_written(
    portions: list[bytes], expected: list[str]
) -> None:
    with recorded() as events:
        saying(*portions).run_sync()
    assert lines(events) == expected


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_lines_are_decoded_with_the_codec_of_the_context(encoding: str) -> None:
    text = "caf\u00e9\nth\u00e9\n"
    said = saying(*(bytes([byte]) for byte in text.encode(encoding)))
    with recorded() as events:
        said.run_sync(context=ExecutionContext(encoding=encoding))
    assert lines(events) == text.split()


def test_the_callback_for_lines_and_the_hook_are_both_told() -> None:
    taken: list[str] = []
    output = RunOutputOptions(capture=False, on_stdout_line=taken.append)
    with recorded() as events:
        shell(BOTH).run_sync(output=output)
    assert (taken, lines(events), lines(events, "stderr")) == (["out"], ["out"], [])


def test_a_million_lines_take_less_than_two_seconds_of_our_time() -> None:
    count = 0

    def look(event: ExecEvent) -> None:
        nonlocal count
        count += event.phase == "stdout"

    yes = shell("yes 123456789 | head -n 1000000")
    began = time.process_time()
    with observe(look):
        assert yes.run_sync(timeout=20).ok
    assert count == 1_000_000
    assert time.process_time() - began < 2


# --- Standard input -------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 300_000])
@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_input_that_was_taken_is_told_with_its_size(kind: str, size: int) -> None:
    runnable = cat() if kind == "command" else cat() | cat()
    with recorded() as events:
        runnable.run_sync(stdin=StdinInput(data=bytes(size)))
    (told,) = only(events, "stdin", "stdin_error")
    assert (told.phase, told.byte_count) == ("stdin", size)
    assert told.exec_id == events[0].exec_id  # the first stage's


def test_without_input_nothing_is_told_of_it() -> None:
    with recorded() as events:
        (true() | true()).run_sync()
        true().run_sync(stdin=StdinInput())
    assert only(events, "stdin", "stdin_error") == []


@pytest.mark.parametrize("kind", ["command", "pipeline"])
def test_input_that_is_not_wanted_is_an_event_and_no_failure(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    runnable = true() if kind == "command" else true() | cat()
    with recorded() as events:
        assert runnable.run_sync(stdin=StdinInput(data=bytes(5_000_000))).ok
    (told,) = only(events, "stdin", "stdin_error")
    assert told.phase == "stdin_error"
    assert told.operation == "write"
    assert told.error_type == "BrokenPipeError"
    assert told.note == "BrokenPipeError: [Errno 32] Broken pipe"
    assert told.byte_count is None
    (record,) = [r for r in caplog.records if r.name == "cuprum.stdin"]
    assert record.levelno == logging.ERROR
    assert record.__dict__["cuprum_pid"] == told.pid


# --- Hops -----------------------------------------------------------------------------


@each_backend
def test_the_end_of_a_hop_tells_what_the_result_does() -> None:
    with recorded() as events:
        pipeline = command("head", "-c", 300_000, "/dev/zero") | cat() | true()
        result = pipeline.run_sync()
    ends = {event.hop_index: event.hop for event in only(events, "hop_end")}
    assert ends == dict(enumerate(result.hops))
    for event in only(events, "hop_start"):
        assert event.hop is not None
    assert [e.hop_index for e in only(events, "hop_start")] == [0, 1]


@each_backend
def test_the_end_of_a_hop_is_told_while_the_last_stage_goes_on(tmp_path: Path) -> None:
    answer = tmp_path / "answer"

    def reply(event: ExecEvent) -> None:
        if event.phase == "hop_end":
            answer.touch()

    last = shell('cat; until [ -e "$1" ]; do sleep .01; done', str(answer))
    with observe(reply):
        assert (shell("echo out") | last).run_sync(timeout=10).ok


def test_a_single_command_has_no_hops() -> None:
    with recorded() as events:
        true().run_sync()
    assert only(events, "hop_start", "hop_end") == []


# --- Every start is followed by an exit -----------------------------------------------


def ready_stages(directory: Path, count: int) -> Stages:
    """Return stages that say when they are ready, and go on."""
    script = f'echo {endings.READY} >&2; echo >"$1"; exec sleep 60'
    files = [directory / str(stage) for stage in range(count)]
    return Stages([shell(script, str(file)) for file in files], files)


CASES = [
    *((name, 1) for name in endings.FOR_COMMANDS),
    *((name, 3) for name in endings.ALL),
]


@pytest.mark.parametrize(("name", "count"), CASES)
@each_backend
def test_whatever_ends_a_run_each_start_has_its_exit(
    tmp_path: Path, name: str, count: int
) -> None:
    end: Ending = endings.ALL[name]
    called: list[object] = []

    def look(event: ExecEvent) -> None:
        if event.phase == "exit":
            assert event.pid is not None
            assert not is_alive(event.pid)
            called.append(event)

    with recorded() as events, observe(look), finished() as results:
        ended = end(ready_stages(tmp_path, count))
    expect_exits(events)
    assert len(called) == len(only(events, "exit")) >= count
    assert {event.exit_code for event in only(events, "exit")[-count:]} == {-15}
    assert len(only(events, "start")) == len(only(events, "plan"))
    if name == "fail-fast":  # which is a result like others
        assert len(results) == count + 1
    else:
        assert isinstance(ended.outcome, BaseException)
        assert results == []


@pytest.mark.parametrize("limit", [0, -1])
@each_backend
def test_time_that_was_up_before_it_began_is_told_like_any_other(limit: float) -> None:
    for runnable in (sleep(60), sleep(60) | cat()):
        with recorded() as events, pytest.raises(TimeoutExpired):
            runnable.run_sync(timeout=limit)
        expect_exits(events)
        assert {event.phase for event in events} >= {"plan", "start", "exit"}


@each_backend
def test_a_stage_that_cannot_be_started_ends_those_that_were(tmp_path: Path) -> None:
    pipeline = sleep(60) | sleep(60) | missing(tmp_path) | sleep(60)
    called: list[SafeCmd] = []
    failing = pytest.raises(FileNotFoundError)
    with recorded() as events, before(called.append), failing:
        pipeline.run_sync()
    assert phases(events) == [
        *("plan0", "plan1", "plan2", "plan3"),
        *("start0", "start1", "exit0", "exit1"),
    ]
    assert called == list(pipeline.parts)
    assert [event.exit_code for event in only(events, "exit")] == [-15, -15]


def test_a_command_that_cannot_be_started_is_planned_alone(tmp_path: Path) -> None:
    failing = pytest.raises(FileNotFoundError)
    with recorded() as events, finished() as results, failing:
        missing(tmp_path).run_sync()
    assert phases(events) == ["plan"]
    assert results == []


def test_a_pump_that_fails_leaves_no_start_without_its_exit(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It moves all there is, and then reports nothing.
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    fresh_backend.setenv("CUPRUM_PUMP", str(install(tmp_path, after=[])))
    fresh_backend.setenv("CUPRUM_PUMP_WARM", "0")
    failing = pytest.raises(PumpError)
    with recorded() as events, finished() as results, failing:
        (shell("echo out") | cat()).run_sync()
    expect_exits(events)
    assert len(only(events, "exit")) == 2
    assert results == []


def _strict() -> dict[str, Any]:
    return {"context": ExecutionContext(encoding="ascii", errors="strict")}


def _broken_sink() -> dict[str, Any]:
    sink = io.StringIO()
    sink.close()
    return {
        "context": ExecutionContext(stdout_sink=sink),
        "output": RunOutputOptions(echo=True),
    }


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (_strict(), UnicodeDecodeError),
        (_broken_sink(), ValueError),
        ({"context": ExecutionContext(encoding="no-such")}, LookupError),
    ],
    ids=["codec", "sink", "no codec"],
)
@each_backend
def test_output_that_cannot_be_used_leaves_no_start_without_its_exit(
    options: dict[str, Any], error: type[Exception]
) -> None:
    said = saying(b"first\n", b"\xff\n", b"last\n")
    for runnable in (said, said | cat()):
        with recorded() as events, finished() as results, pytest.raises(error):
            runnable.run_sync(**options)
        expect_exits(events)
        assert [event.exit_code for event in only(events, "exit")] == [
            0 for _ in only(events, "start")
        ]
        assert results == []


COMMAND_PHASES = ("plan", "start", "stdin", "stdout", "stderr", "exit")


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        *((phase, "command") for phase in COMMAND_PHASES),
        *((phase, "pipeline") for phase in (*COMMAND_PHASES, "hop_start", "hop_end")),
    ],
)
@each_backend
def test_a_hook_that_fails_leaves_no_start_without_its_exit(
    phase: str, kind: str
) -> None:
    runnable = shell(BOTH) if kind == "command" else shell(BOTH) | cat()
    failing = pytest.raises(HookError, match=f"^{phase}$")
    with (
        recorded() as events,
        finished() as results,
        observe(failing_on(phase)),
        failing,
    ):
        runnable.run_sync(stdin=StdinInput(data=b""))
    expect_exits(events)
    assert results == []


@pytest.mark.parametrize("kind", ["command", "pipeline"])
@each_backend
def test_an_interrupt_leaves_no_start_without_its_exit(kind: str) -> None:
    async def interrupt(event: ExecEvent) -> None:
        if event.phase == "stderr":
            os.kill(os.getpid(), signal.SIGINT)

    runnable = shell("echo err >&2; exec sleep 60")
    with recorded() as events, observe(interrupt), pytest.raises(KeyboardInterrupt):
        (runnable if kind == "command" else runnable | sleep(60)).run_sync()
    expect_exits(events)
    assert {event.exit_code for event in only(events, "exit")} == {-15}


class Odd(BaseException):
    """What is no Exception: it does not wait until the commands have ended."""


@pytest.mark.parametrize("kind", ["command", "pipeline"])
@each_backend
def test_what_is_no_exception_ends_the_run_and_leaves_none_either(kind: str) -> None:
    def leave(event: ExecEvent) -> None:
        if event.phase == "stderr":
            raise Odd

    runnable = shell("echo err >&2; exec sleep 60")
    with recorded() as events, observe(leave), pytest.raises(Odd):
        (runnable if kind == "command" else runnable | sleep(60)).run_sync()
    expect_exits(events)
    assert {event.exit_code for event in only(events, "exit")} == {-15}


@pytest.mark.parametrize("phase", ["hop_start", "hop_end", "exit"])
@each_backend
def test_nor_does_what_is_no_exception_and_comes_at_the_start_or_end_of_something(
    phase: str,
) -> None:
    def leave(event: ExecEvent) -> None:
        if event.phase == phase:
            raise Odd

    for last, limit in ((true(), None), (sleep(60), 0.1)):
        with recorded() as events, observe(leave), pytest.raises(Odd):
            (true() | true() | last).run_sync(timeout=limit)
        expect_exits(events)


def test_what_a_hook_raises_at_the_exit_of_a_run_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for runnable in (sleep(60), sleep(60) | sleep(60)):
        caplog.clear()
        failing = pytest.raises(TimeoutExpired)
        with recorded() as events, observe(failing_on("exit")), failing:
            runnable.run_sync(timeout=0.1)
        expect_exits(events)
        records = [r for r in caplog.records if r.name == "cuprum._observability"]
        assert [record.getMessage() for record in records] == [
            "observe_hook_failed phase=exit program=sleep error=exit"
            for _ in only(events, "start")
        ]
        assert all(record.levelno == logging.WARNING for record in records)


@each_backend
def test_of_a_run_that_lost_its_event_loop_nothing_more_is_told() -> None:
    # There would be nobody to await what hooks return.
    async def main() -> None:
        async def handle(_: ExecEvent) -> None:
            await asyncio.sleep(0)

        with recorded() as events, observe(handle):
            run = (sleep(60) | cat()).run()
            run.send(None)
            assert len(only(events, "start")) == 2
            await asyncio.sleep(0.05)
            told = len(events)
            run.close()
        assert len(events) == told

    asyncio.run(main())


def test_events_come_from_other_programs_as_well() -> None:
    with recorded() as events:
        result = (python("print(7)") | python("print(input())")).run_sync()
    assert statuses(result) == [0, 0]
    assert {event.program for event in events} == {PYTHON}
    assert os.getpid() not in {event.pid for event in events}
