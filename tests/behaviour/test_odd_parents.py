"""Parents that do what a library's user may do: fork, ignore SIGCHLD, print."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cuprum import CommandResult, ExecutionContext, StdinInput, TimeoutExpired
from tests.support.stages import cat, command, python, sleep

TOP = Path(__file__).resolve().parents[2]


def in_another_python(code: str) -> str:
    """Run *code* with this package and this environment; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout


FORKING = """
import multiprocessing, threading, time
from tests.support.stages import cat, shell, command
from cuprum import StdinInput

def fork_amid_the_run():
    time.sleep(0.2)
    child = multiprocessing.get_context("fork").Process(
        target=time.sleep, args=(4,), daemon=True)
    child.start()
    children.append(child)

children = []
for run in (
    lambda: (shell("sleep 0.5; echo done") | cat()).run_sync(timeout=3),
    lambda: shell("sleep 0.5; cat").run_sync(
        stdin=StdinInput(data=b"x" * 300_000), timeout=3),
):
    thread = threading.Thread(target=fork_amid_the_run)
    thread.start()
    began = time.monotonic()
    result = run()
    print(result.ok, time.monotonic() - began < 2)
    thread.join()
for child in children:
    child.terminate()
    child.join()
"""


@pytest.mark.usefixtures("stream_backend")
def test_a_fork_of_the_parent_does_not_hold_pipes_open() -> None:
    assert in_another_python(FORKING) == "True True\nTrue True\n"


IGNORING = """
import signal
from tests.support.stages import cat, shell
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
result = (shell("echo data") | cat()).run_sync()
print(result.ok, [stage.exit_code for stage in result.stages])
"""


@pytest.mark.usefixtures("stream_backend")
def test_lost_exit_statuses_are_no_success_and_no_failure_of_the_pump() -> None:
    assert in_another_python(IGNORING) == "False [255, 255]\n"


def test_run_sync_never_prints_the_result_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: CommandResult) -> str:
        raise AssertionError("a large result takes seconds to print")

    monkeypatch.setattr(CommandResult, "__repr__", refuse)
    result = python("print('x' * 100_000)").run_sync()
    assert result.stdout == "x" * 100_000 + "\n"


@pytest.mark.usefixtures("stream_backend")
def test_an_unknown_codec_does_not_hide_a_timeout() -> None:
    pipeline = command("yes") | cat()
    with pytest.raises(TimeoutExpired) as expired:
        pipeline.run_sync(timeout=0.1, context=ExecutionContext(encoding="no-such"))
    assert str(expired.value.output).startswith("y\n")


def test_a_child_that_cannot_be_watched_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        sleep(20).run_sync(stdin=StdinInput(text=""))
