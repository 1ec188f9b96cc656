"""The helper is missing, dies or is stopped: never a success over a cut stream."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import PumpError, PumpUnavailableError, TimeoutExpired
from tests.support.fake_helper import install
from tests.support.processes import is_alive, read_pid
from tests.support.stages import cat, command, python, shell
from tests.support.striker import Striker

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import Pipeline


@pytest.fixture
def forced(either_way: pytest.MonkeyPatch, helper_path: Path) -> pytest.MonkeyPatch:
    """Force the helper; return the monkeypatch that did."""
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
    return either_way


def endless(tmp_path: Path) -> tuple[Pipeline, list[Path]]:
    """Return a pipeline that flows until it is ended, and its stages' pid files."""
    pids = [tmp_path / "first", tmp_path / "last"]
    first = shell('echo $$ >"$1"; exec yes', str(pids[0]))
    # The last stage says so once it has read something.
    last = shell(
        'head -c 100000 >/dev/null; echo $$ >"$1"; exec cat >/dev/null', str(pids[1])
    )
    return first | last, pids


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV"])
def test_a_helper_killed_in_mid_run_is_an_error(tmp_path: Path, name: str) -> None:
    pipeline, pids = endless(tmp_path)
    striker = Striker(pids[1], getattr(signal, name))
    began = time.monotonic()
    with pytest.raises(PumpError) as caught:
        pipeline.run_sync(timeout=15)
    assert time.monotonic() - began < 5
    striker.join()
    assert len(striker.hit) == 1
    error = caught.value
    assert isinstance(error, OSError)
    assert error.errno
    assert str(error)
    assert not any(is_alive(read_pid(path)) for path in pids)


@pytest.mark.usefixtures("forced")
def test_a_helper_killed_before_a_finite_input_is_through_is_an_error(
    tmp_path: Path,
) -> None:
    # All stages would exit with 0: the cut stream alone makes the failure.
    marker = tmp_path / "last"
    write_twice = (
        "import os, time; os.write(1, bytes(9)); time.sleep(.5); os.write(1, bytes(9))"
    )
    read_all = (
        "import os, sys; os.read(0, 9); open(sys.argv[1], 'w').write('1\\n');"
        "os.read(0, 9)"
    )
    first, last = python(write_twice), python(read_all, str(marker))
    striker = Striker(marker, signal.SIGKILL)
    with pytest.raises(PumpError):
        (first | last).run_sync(timeout=15)
    striker.join()
    assert striker.hit


@pytest.mark.usefixtures("forced")
def test_one_helper_serves_all_hops_and_its_death_ends_all(tmp_path: Path) -> None:
    pids = [tmp_path / "first", tmp_path / "last"]
    first = shell('echo $$ >"$1"; exec yes', str(pids[0]))
    last = shell(
        'head -c 9 >/dev/null; echo $$ >"$1"; exec cat >/dev/null', str(pids[1])
    )
    striker = Striker(pids[1], signal.SIGKILL)
    with pytest.raises(PumpError) as caught:
        (first | cat() | cat() | last).run_sync(timeout=15)
    striker.join()
    assert len(striker.hit) == 1
    assert len(caught.value.reports) == 3


@pytest.mark.usefixtures("forced")
def test_a_stopped_helper_does_not_outlive_a_timeout(tmp_path: Path) -> None:
    pipeline, pids = endless(tmp_path)
    striker = Striker(pids[1], signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TimeoutExpired):
        pipeline.run_sync(timeout=1.5)
    assert time.monotonic() - began < 5
    striker.join()
    assert striker.hit
    assert not any(is_alive(pid) for pid in striker.hit)


def test_without_a_helper_a_forced_run_starts_no_stage(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    fresh_backend.setenv("CUPRUM_PUMP", str(tmp_path / "no-pump"))
    pipeline = command("touch", str(tmp_path / "ran")) | cat()
    with pytest.raises(PumpUnavailableError, match="no-pump") as caught:
        pipeline.run_sync()
    assert isinstance(caught.value, ImportError)
    assert not (tmp_path / "ran").exists()


def test_a_bad_backend_is_told_before_any_stage_starts(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "warp")
    touch = command("touch", str(tmp_path / "ran"))
    with pytest.raises(ValueError, match="invalid CUPRUM_STREAM_BACKEND value 'warp'"):
        (touch | cat()).run_sync()
    assert not (tmp_path / "ran").exists()
    assert touch.run_sync().ok  # a single command does not care


def test_a_single_command_does_not_need_the_helper(
    fresh_backend: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    fresh_backend.setenv("CUPRUM_PUMP", str(tmp_path / "no-pump"))
    assert command("echo", "hi").run_sync().stdout == "hi\n"


def dying_helper(directory: Path) -> Path:
    """Write a helper that knows its version and dies as soon as it has a job."""
    helper = directory / "cuprum-pump"
    helper.write_text(
        '#!/bin/sh\ncase "$1" in --version) '
        'printf "cuprum-pump 0.1.0\\nprotocol 1\\nfeatures: +splice\\n"; exit;; esac\n'
        "kill -9 $$\n"
    )
    helper.chmod(0o755)
    return helper


def test_auto_goes_on_when_the_helper_dies_before_its_start(
    either_way: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # No byte has moved, so the Python pump takes over the very same pipes.
    dying_helper(tmp_path)
    either_way.delenv("CUPRUM_PUMP", raising=False)
    either_way.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = (command("printf", "hello") | cat() | cat()).run_sync(timeout=10)
    assert (result.ok, result.stdout) == (True, "hello")
    assert [hop.engine for hop in result.hops] == ["python", "python"]


def test_a_forced_helper_that_dies_before_its_start_is_unavailable(
    either_way: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    either_way.setenv("CUPRUM_PUMP", str(dying_helper(tmp_path)))
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
    with pytest.raises(PumpUnavailableError):
        (command("printf", "hello") | cat()).run_sync(timeout=10)


def test_a_helper_that_vanishes_after_the_probe(
    either_way: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What is cached may be gone by the next run, e.g. during an upgrade.
    helper = install(tmp_path, after=[])
    either_way.setenv("CUPRUM_PUMP", str(helper))
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
    with pytest.raises(PumpError):
        (command("printf", "hello") | cat()).run_sync(timeout=10)
    helper.unlink()
    with pytest.raises(PumpUnavailableError):
        (command("printf", "hello") | cat()).run_sync(timeout=10)
