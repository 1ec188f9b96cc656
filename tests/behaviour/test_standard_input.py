"""Feeding a command's standard input."""

from __future__ import annotations

import logging
import time

import pytest

from cuprum import ExecutionContext, RunOutputOptions, StdinInput, TimeoutExpired
from tests.support.bare_pipes import payload
from tests.support.stages import BINARY, captured_bytes, cat, command, shell, sleep


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
def test_bytes_arrive_as_they_are(size: int) -> None:
    data = payload(size)
    result = cat().run_sync(stdin=StdinInput(data=data), context=BINARY, timeout=20)
    assert captured_bytes(result) == data


def test_text_is_encoded_with_the_codec_of_the_context() -> None:
    latin = ExecutionContext(encoding="latin-1")
    result = command("od", "-An", "-tx1").run_sync(
        stdin=StdinInput(text="h\u00e9"), context=latin
    )
    assert result.stdout == " 68 e9\n"


@pytest.mark.parametrize("empty", [StdinInput(data=b""), StdinInput(text="")])
def test_an_empty_input_is_an_end_of_file(empty: StdinInput) -> None:
    assert cat().run_sync(stdin=empty, timeout=5).stdout == ""


def test_text_that_cannot_be_encoded_is_an_error_and_nothing_runs(
    tmp_path: object,
) -> None:
    strict = ExecutionContext(encoding="ascii", errors="strict")
    marker = f"{tmp_path}/ran"
    with pytest.raises(UnicodeEncodeError):
        command("touch", marker).run_sync(
            stdin=StdinInput(text="\N{SNOWMAN}"), context=strict
        )
    assert not command("test", "-e", marker).run_sync().ok


def test_a_program_that_stops_reading_does_not_fail_the_run() -> None:
    fed = StdinInput(data=payload(5_000_000))
    result = command("head", "-c", 3).run_sync(stdin=fed, context=BINARY, timeout=10)
    assert result.ok
    assert captured_bytes(result) == payload(3)


def test_a_program_that_never_reads_is_noted_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.stdin")
    fed = StdinInput(data=payload(5_000_000))
    assert command("true").run_sync(stdin=fed, timeout=10).ok
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert errors
    record = errors[0].__dict__
    assert errors[0].getMessage().startswith("stdin_write_failed pid=")
    assert record["cuprum_stdin_operation"] == "write"
    assert record["cuprum_error_type"] == "BrokenPipeError"
    assert record["cuprum_pid"] > 0
    assert errors[0].exc_info


def test_a_program_that_closes_its_input_and_goes_on_is_waited_for() -> None:
    fed = StdinInput(data=payload(5_000_000))
    script = "exec <&-; sleep 0.2; echo done"
    assert shell(script).run_sync(stdin=fed, timeout=10).stdout == "done\n"


def test_feeding_and_reading_go_on_at_the_same_time() -> None:
    # cat answers while it is still being fed; both pipes are full in between.
    data = payload(2_000_000)
    slow = shell("head -c 1000; sleep 0.1; cat")
    result = slow.run_sync(stdin=StdinInput(data=data), context=BINARY, timeout=20)
    assert captured_bytes(result) == data


def test_a_blocked_feed_does_not_delay_a_timeout() -> None:
    fed = StdinInput(data=payload(5_000_000))
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        sleep(30).run_sync(stdin=fed, timeout=0.2)
    assert time.monotonic() - began < 2


def test_input_can_be_fed_without_capture(tmp_path: object) -> None:
    target = f"{tmp_path}/out"
    result = shell('cat >"$1"', target).run_sync(
        stdin=StdinInput(text="hello"), output=RunOutputOptions(capture=False)
    )
    assert result.ok
    assert command("cat", target).run_sync().stdout == "hello"
