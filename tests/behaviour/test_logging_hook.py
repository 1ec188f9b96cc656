"""The logging hook: one record when a command starts, one when it has exited."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import gc
import logging
import re
import weakref
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    HookRegistration,
    LoggingHookRegistration,
    RunOutputOptions,
    TimeoutExpired,
    after,
    before,
    current_context,
    logging_hook,
    run_concurrent_sync,
)
from tests.support.observers import finished
from tests.support.stages import cat, command, missing, shell, sleep, true
from tests.support.threads import THREADS, in_threads

if TYPE_CHECKING:
    from pathlib import Path

each_backend = pytest.mark.usefixtures("stream_backend")
QUIET = RunOutputOptions(capture=False)
DURATION = re.compile(r"duration_s=(\d+\.\d{6}) ")


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cuprum")


def told(caplog: pytest.LogCaptureFixture, name: str = "cuprum") -> list[str]:
    """Return the messages of that logger."""
    return [r.getMessage() for r in caplog.records if r.name == name]


def durations(messages: list[str]) -> list[float | None]:
    """Return the durations that are told, None for one that is not known."""
    found: list[float | None] = []
    for message in messages:
        if message.startswith("cuprum.exit"):
            match = DURATION.search(message)
            assert match or "duration_s=unknown " in message
            found.append(float(match[1]) if match else None)
    return found


def test_a_command_makes_two_records(caplog: pytest.LogCaptureFixture) -> None:
    with logging_hook():
        runnable = shell("printf 'h\u00e9llo'; printf 'oh no' >&2; exit 3")
        result = runnable.run_sync()
    start, end = caplog.records
    assert {start.name, end.name} == {"cuprum"}
    assert {start.levelno, end.levelno} == {logging.INFO}
    assert start.msg == "cuprum.start program=%s argv=%r"
    assert start.args == ("sh", runnable.argv_with_program)
    assert start.getMessage() == (
        f"cuprum.start program=sh argv={runnable.argv_with_program!r}"
    )
    assert end.msg == (
        "cuprum.exit program=%s pid=%s exit_code=%s duration_s=%s "
        "stdout_len=%s stderr_len=%s"
    )
    duration = DURATION.search(end.getMessage())
    assert duration
    assert end.getMessage() == (
        f"cuprum.exit program=sh pid={result.pid} exit_code=3 "
        f"duration_s={duration[1]} stdout_len=5 stderr_len=5"  # characters
    )


def test_without_capture_the_lengths_are_nought(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with logging_hook():
        command("echo", "hello").run_sync(output=QUIET)
    assert told(caplog)[1].endswith(" stdout_len=0 stderr_len=0")


def test_the_duration_is_that_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    with logging_hook():
        sleep(0.3).run_sync()
        true().run_sync()
    slow, fast = durations(told(caplog))
    assert slow is not None
    assert fast is not None
    assert slow >= 0.3
    assert fast >= 0


@each_backend
def test_each_stage_makes_two_records(caplog: pytest.LogCaptureFixture) -> None:
    with logging_hook():
        (command("echo", "hello") | cat()).run_sync()
    starts = [message.split()[:2] for message in told(caplog)]
    assert starts == [
        ["cuprum.start", "program=echo"],
        ["cuprum.start", "program=cat"],
        ["cuprum.exit", "program=echo"],
        ["cuprum.exit", "program=cat"],
    ]
    lengths = [message.split("stdout_len=")[1] for message in told(caplog)[2:]]
    assert lengths == ["0 stderr_len=0", "6 stderr_len=0"]


def test_of_a_run_that_does_not_end_well_only_the_start_is_logged(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with logging_hook():
        with pytest.raises(TimeoutExpired):
            sleep(60).run_sync(timeout=0.1)
        with pytest.raises(FileNotFoundError):
            missing(tmp_path).run_sync()
    assert [message.split()[0] for message in told(caplog)] == ["cuprum.start"] * 2


def test_logger_and_levels_are_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    own = logging.getLogger("cuprum.tests.own")
    levels = {"start_level": logging.WARNING, "exit_level": logging.DEBUG}
    with logging_hook(logger=own, **levels):
        true().run_sync()
    assert told(caplog) == []
    assert [(r.name, r.levelno) for r in caplog.records] == [
        (own.name, logging.WARNING),
        (own.name, logging.DEBUG),
    ]


@pytest.mark.parametrize(
    ("start_level", "exit_level", "expected"),
    [
        (logging.DEBUG, logging.INFO, ["cuprum.exit"]),
        (logging.INFO, logging.DEBUG, ["cuprum.start"]),
        (logging.DEBUG, logging.DEBUG, []),
    ],
)
def test_a_level_that_is_disabled_has_no_record(
    caplog: pytest.LogCaptureFixture,
    start_level: int,
    exit_level: int,
    expected: list[str],
) -> None:
    caplog.set_level(logging.INFO, "cuprum")
    with logging_hook(start_level=start_level, exit_level=exit_level):
        true().run_sync()
    assert [message.split()[0] for message in told(caplog)] == expected
    assert None not in durations(told(caplog))  # the start is noted all the same


def test_a_start_that_was_not_seen_leaves_the_duration_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with logging_hook() as registration:
        hook = current_context().after_hooks[0]
    assert registration is not None
    runnable = true()
    with finished() as results:
        runnable.run_sync()
    hook(runnable, results[0])
    (message,) = told(caplog)
    assert "duration_s=unknown" in message


# --- Registration ---------------------------------------------------------------------


def test_it_registers_one_hook_before_and_one_after() -> None:
    outside = current_context()
    with logging_hook() as registration:
        inside = current_context()
        assert len(inside.before_hooks) == len(inside.after_hooks) == 1
        assert inside.observe_hooks == ()
        assert isinstance(registration, LoggingHookRegistration)
        assert isinstance(registration.start_registration, HookRegistration)
        assert isinstance(registration.exit_registration, HookRegistration)
    assert current_context() is outside


def test_it_is_outermost_when_it_is_registered_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("cuprum")
    with (
        logging_hook(),
        before(lambda _: log.info("before")),
        after(lambda *_: log.info("after")),
    ):
        true().run_sync()
    assert [message.split()[0] for message in told(caplog)] == [
        *("cuprum.start", "before", "after", "cuprum.exit"),
    ]


def test_it_is_detached_once(caplog: pytest.LogCaptureFixture) -> None:
    outside = current_context()
    registration = logging_hook()
    registration.detach()
    assert current_context() is outside
    with logging_hook():
        inside = current_context()
        registration.detach()
        assert current_context() is inside
    true().run_sync()
    assert told(caplog) == []


def test_a_registration_is_a_record_of_the_two() -> None:
    with logging_hook() as registration:
        names = [field.name for field in fields(registration)]
        assert names == ["start_registration", "exit_registration", "_detached"]
        registration.start_registration = registration.start_registration
        assert not hasattr(registration, "__dict__")


# --- Commands at once -----------------------------------------------------------------


def test_equal_commands_at_once_share_a_start(caplog: pytest.LogCaptureFixture) -> None:
    # By equality, not by identity: one of them has the time, and the others none.
    one = sleep(0.2)
    other = copy.copy(one)
    assert one == other
    assert one is not other
    with logging_hook():
        run_concurrent_sync(one, other)
    known, unknown = durations(told(caplog))
    assert known is not None
    assert unknown is None


def test_equal_commands_one_after_the_other_each_have_their_duration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with logging_hook():
        for _ in range(3):
            sleep(0).run_sync()
    assert len(durations(told(caplog))) == 3
    assert None not in durations(told(caplog))


def test_commands_that_differ_do_not_share(caplog: pytest.LogCaptureFixture) -> None:
    with logging_hook():
        run_concurrent_sync(sleep(0.4), sleep(0.01))
    assert None not in durations(told(caplog))


def test_a_command_is_not_kept_alive(tmp_path: Path) -> None:
    # Its start was noted, and its end was not: it was never started.
    with logging_hook():
        runnable = missing(tmp_path)
        kept = weakref.ref(runnable)
        with contextlib.suppress(FileNotFoundError):
            runnable.run_sync()
        del runnable
        gc.collect()
        assert kept() is None


def test_one_hook_serves_many_threads(caplog: pytest.LogCaptureFixture) -> None:
    with logging_hook():
        context = contextvars.copy_context()

    def work() -> None:
        for number in range(20):
            runnable = command("true", number % 5)
            assert context.copy().run(runnable.run_sync, output=QUIET).ok

    in_threads(work)
    messages = told(caplog)
    assert len(messages) == 2 * len(durations(messages)) == 2 * 20 * THREADS
