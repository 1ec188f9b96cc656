"""A stage that stops reading: never an error, and never endless."""

from __future__ import annotations

import time

import pytest

from cuprum import ExecutionContext, PumpOptions
from tests.support.stages import cat, command, python, shell, sleep, statuses, true

pytestmark = pytest.mark.usefixtures("stream_backend")


def test_yes_head() -> None:
    began = time.monotonic()
    result = (command("yes") | command("head", "-1")).run_sync()
    assert time.monotonic() - began < 1
    assert result.ok
    assert result.failure_index is None
    assert result.stdout == "y\n"
    assert statuses(result) == [-13, 0]
    (hop,) = result.hops
    assert (hop.broken_pipe, hop.drain) == (True, "timeout")
    assert hop.bytes_read == hop.bytes_written + hop.bytes_discarded


def test_one_drain_serves_the_whole_pipeline() -> None:
    began = time.monotonic()
    pipeline = command("yes") | cat() | cat() | cat() | cat() | command("head", "-1")
    result = pipeline.run_sync(context=ExecutionContext(pump=PumpOptions(drain=0.5)))
    assert 0.4 < time.monotonic() - began < 1.2
    assert result.ok
    assert statuses(result) == [-13, -13, -13, -13, -13, 0]


def test_a_finite_producer_keeps_its_exit_code() -> None:
    zeros = command("head", "-c", 50_000_000, "/dev/zero")
    result = (zeros | command("head", "-c", 10)).run_sync(
        context=ExecutionContext(pump=PumpOptions(drain=10))
    )
    assert (statuses(result), result.ok, result.failure_index) == ([0, 0], True, None)
    assert result.stdout == "\0" * 10
    (hop,) = result.hops
    assert (hop.broken_pipe, hop.drain, hop.bytes_read) == (True, "eof", 50_000_000)


def test_fifty_megabytes_and_ten_bytes_under_the_default_drain() -> None:
    zeros = command("head", "-c", 50_000_000, "/dev/zero")
    result = (zeros | command("head", "-c", 10)).run_sync()
    assert (result.ok, result.failure_index) == (True, None)
    assert statuses(result) == [0, 0]


def test_a_pipe_full_and_ten_bytes() -> None:
    code = "import os; os.write(1, b'0123456789' * 6554)"
    signals = "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL);"
    result = (python(signals + code) | command("head", "-c", 10)).run_sync(timeout=5)
    assert result.stdout == "0123456789"
    assert result.ok
    assert result.stages[0].exit_code in {0, 141}


def test_small_writes_and_a_reader_of_one_byte() -> None:
    code = "import os\nfor _ in range(4096): os.write(1, b'0123456789abc')"
    result = (python(code) | command("head", "-c", 1)).run_sync(timeout=5)
    assert result.ok
    assert statuses(result) == [0, 0]


def test_a_producer_that_pauses_and_goes_on() -> None:
    script = "head -c 200000 /dev/zero; sleep .4; exec head -c 200000 /dev/zero"
    result = (shell(script) | command("head", "-c", 1)).run_sync(timeout=5)
    assert result.stdout == "\0"
    assert (result.ok, result.failure_index) == (True, None)


def test_a_shell_that_reports_the_broken_pipe_as_141() -> None:
    # The shell lives on and exits with 128 + SIGPIPE by itself.
    result = (shell("yes; exit $?") | command("head", "-1")).run_sync(timeout=5)
    assert statuses(result) == [141, 0]
    assert (result.ok, result.failure_index) == (True, None)


def test_sigpipe_without_a_broken_pipe_of_the_hop_is_a_failure() -> None:
    result = (shell("kill -PIPE $$") | cat()).run_sync(timeout=5)
    assert result.stages[0].exit_code == -13
    assert not result.ok
    assert result.failure_index == 0


def test_another_failure_after_the_reader_has_gone_is_a_failure() -> None:
    script = "trap '' PIPE; yes 2>/dev/null; exit 5"
    result = (shell(script) | command("head", "-1")).run_sync(timeout=5)
    assert result.stages[0].exit_code == 5
    assert not result.ok
    assert result.failure_index == 0


def test_fail_fast_does_not_fire_for_a_broken_pipe() -> None:
    # The last stage outlives the producer's death by SIGPIPE and must not be ended.
    last = shell("sleep .7; wc -c")
    result = (command("yes") | command("head", "-c", 5) | last).run_sync(timeout=5)
    assert result.stdout == "5\n"
    assert (statuses(result), result.ok) == ([-13, 0, 0], True)


def test_the_news_goes_up_a_long_pipeline() -> None:
    began = time.monotonic()
    pipeline = command("yes") | cat() | cat() | cat() | command("head", "-1")
    result = pipeline.run_sync(timeout=10)
    assert time.monotonic() - began < 3
    assert result.ok
    assert result.stdout == "y\n"
    assert result.failure_index is None


def test_a_stage_in_the_middle_leaves() -> None:
    result = (command("yes") | true() | cat()).run_sync(timeout=5)
    assert (result.ok, result.stdout) == (True, "")
    assert result.hops[0].broken_pipe
    assert not result.hops[1].broken_pipe


@pytest.mark.parametrize("drain", [0, 0.1, 0.6])
def test_a_silent_producer_without_a_reader_ends_the_run_when_it_ends(
    drain: float,
) -> None:
    context = ExecutionContext(pump=PumpOptions(drain=drain))
    began = time.monotonic()
    result = (sleep(0.5) | true()).run_sync(context=context, timeout=5)
    assert 0.5 <= time.monotonic() - began < 2
    assert (statuses(result), result.ok) == ([0, 0], True)
    assert result.hops[0].broken_pipe


def test_no_drain_is_what_a_shell_does() -> None:
    context = ExecutionContext(pump=PumpOptions(drain=0))
    zeros = command("head", "-c", 50_000_000, "/dev/zero")
    result = (zeros | command("head", "-c", 10)).run_sync(context=context, timeout=5)
    assert (statuses(result)[1], result.ok) == (0, True)
    assert result.hops[0].drain == "closed"
    assert statuses(result)[0] in {-13, 1}


def test_a_drain_without_limit_takes_everything() -> None:
    context = ExecutionContext(pump=PumpOptions(drain=None))
    script = "head -c 100000 /dev/zero; sleep .6; head -c 100000 /dev/zero"
    result = (shell(script) | true()).run_sync(context=context, timeout=5)
    assert (statuses(result), result.ok) == ([0, 0], True)
    hop = result.hops[0]
    assert (hop.drain, hop.bytes_read) == ("eof", 200_000)
    assert hop.bytes_discarded > 0
