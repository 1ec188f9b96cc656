"""The helper is killed at any moment, stopped, or not what it should be."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cuprum import PumpError, PumpUnavailableError, Tap, TimeoutExpired
from cuprum import _helper_backend as finding
from cuprum import _helper_pump as pump
from tests.support.bare_pipes import payload
from tests.support.fake_helper import END, HOP, START, install
from tests.support.processes import child_pids, helper_pids, is_alive, wait_until
from tests.support.stages import cat, command, shell
from tests.support.ways import OWN, WARM, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from cuprum import Pipeline, PipelineResult


class Striker(threading.Thread):
    """A thread that waits for *delay* seconds, then sends a signal to every helper.

    Where there is none yet, it waits for the first; and it goes on until told to
    stop, so that helpers which are started in the place of others fare no better.
    """

    def __init__(self, delay: float, number: signal.Signals) -> None:
        super().__init__(name="striker")
        self._moment = time.monotonic() + delay
        self._number = number
        self._is_over = threading.Event()
        self.hit: set[int] = set()
        self.start()

    def run(self) -> None:
        """Strike."""
        while time.monotonic() < self._moment:
            time.sleep(0)
        while not self._is_over.is_set():
            for pid in helper_pids() - self.hit:
                with suppress(ProcessLookupError):
                    os.kill(pid, self._number)
                self.hit.add(pid)
            time.sleep(0.001 if self.hit else 0)

    def stop(self) -> None:
        """Spare those that come now."""
        self._is_over.set()
        self.join()


def wait_until_nothing_is_left(before: set[int]) -> None:
    """Wait until there are only idle helpers, and no zombie."""

    def nothing_is_left() -> bool:
        idle = {pid for pid in helper_pids() if is_alive(pid)}
        return child_pids() - before <= idle

    wait_until(nothing_is_left, what="nothing is left but idle helpers")


# Killed. The moments of the four tests together are 200.

SIZES = (0, 1, 200_000, 5_000_000, 20_000_000)
TURNS = 5  # for each size
ENDLESS_TURNS = 50


def ways(test: Callable[..., None]) -> Callable[..., None]:
    """Run *test* with helpers that are kept, and with one for each pipeline."""
    return pytest.mark.parametrize("way", [WARM, OWN], ids=["warm", "own"])(test)


def copying(path: Path) -> Pipeline:
    """Return a pipeline that tells the checksum of what has come through."""
    return command("cat", str(path)) | cat() | command("sha256sum")


def is_whole(result: PipelineResult, data: bytes) -> bool:
    """Tell whether *data* has come through, all of it."""
    counts = [hop.bytes_written for hop in result.hops]
    said = f"{sha256(data).hexdigest()}  -\n"
    return (result.ok, result.stdout, counts) == (True, said, [len(data)] * 2)


@pytest.mark.parametrize("backend", ["auto", "helper"])
@ways
def test_killed_at_any_moment_of_a_finite_run(
    tmp_path: Path,
    fresh_backend: pytest.MonkeyPatch,
    helper_path: Path,
    way: Way,
    backend: str,
) -> None:
    if backend == "auto":  # and then not asked for by its own name, either
        (tmp_path / "cuprum-pump").symlink_to(helper_path)
        fresh_backend.delenv("CUPRUM_PUMP")
        fresh_backend.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    moments = random.Random(f"{way.name} {backend}")
    became: Counter[str] = Counter()
    before = child_pids()
    for size in SIZES:
        path, data = tmp_path / str(size), payload(size)
        path.write_bytes(data)
        with way._replace(backend=backend).taken():
            for _ in range(TURNS):
                began = time.monotonic()
                assert is_whole(copying(path).run_sync(timeout=20), data)
                took = time.monotonic() - began
                striker = Striker(moments.uniform(0, 1.5) * took, signal.SIGKILL)
                try:
                    result = copying(path).run_sync(timeout=20)
                except (PumpError, PumpUnavailableError) as error:
                    became[type(error).__name__] += 1
                else:
                    assert is_whole(result, data)
                    became["whole, " + result.hops[0].engine] += 1
                finally:
                    striker.stop()
                wait_until_nothing_is_left(before)
    print(dict(became))
    # Who dies before its start is replaced, unless it was asked for by name.
    assert backend == "helper" or not became["PumpUnavailableError"]
    assert backend == "auto" or not became["whole, python"]
    assert became["PumpError"] > 2
    assert became["whole, splice"] + became["whole, copy"] > 0


@ways
@pytest.mark.usefixtures("helper_path")
def test_killed_at_any_moment_of_an_endless_run(way: Way) -> None:
    moments = random.Random(way.name)
    became: Counter[str] = Counter()
    before = child_pids()
    endless = command("yes") | cat() | shell("exec cat >/dev/null")
    with way.taken():
        for _ in range(ENDLESS_TURNS):
            assert (command("printf", "hi") | cat()).run_sync(timeout=20).ok
            # From microseconds, in which it starts, to when all has long been flowing.
            striker = Striker(10 ** moments.uniform(-5, -0.7), signal.SIGKILL)
            with pytest.raises((PumpError, PumpUnavailableError)) as caught:
                endless.run_sync(timeout=20)
            striker.stop()
            assert striker.hit
            became[type(caught.value).__name__] += 1
            wait_until_nothing_is_left(before)
    print(dict(became))
    assert became["PumpError"] > 2


# Stopped


@pytest.mark.parametrize("delay", [0, 0.001, 0.2], ids=lambda delay: f"{delay} s")
@ways
@pytest.mark.usefixtures("helper_path")
def test_stopped_at_any_moment_a_timeout_comes_in_time(way: Way, delay: float) -> None:
    endless = command("yes") | cat() | shell("exec cat >/dev/null")
    with way.taken():
        assert (command("printf", "hi") | cat()).run_sync(timeout=20).ok
        striker = Striker(delay, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(TimeoutExpired):
            endless.run_sync(timeout=0.6)
        took = time.monotonic() - began
        striker.stop()
    assert 0.6 <= took < 2.5
    assert striker.hit
    assert not any(is_alive(pid) for pid in striker.hit)
    assert not helper_pids()


# Replaced by something else

VERSION = "cuprum-pump 0.1.0\nprotocol 1\nfeatures: +splice\n"


def script(version: str, then: str = "exit 0") -> Callable[[Path], object]:
    """Return what writes a helper that says *version* when asked, or does *then*."""
    text = f"#!/bin/sh\ncase $1 in --version) {version} ;; esac\n{then}\n"

    def write(path: Path) -> None:
        path.write_text(text)
        path.chmod(0o755)

    return write


def say(text: str) -> str:
    """Return shell code that says *text* and ends well."""
    escaped = text.replace("\n", "\\n")
    return f"printf '{escaped}'; exit 0"


KNOWS_ITS_VERSION = say(VERSION)

# Found out before any stage is started.
UNFIT: dict[str, Callable[[Path], object]] = {
    "of another protocol": script(say(VERSION.replace("1\n", "2\n"))),
    "that prints garbage": script(say(r"\377\001cuprum\nprotocol one\n")),
    "that prints nothing": script("exit 0"),
    "that fails": script("printf 'protocol 1\\n'; exit 1"),
    "that dies": script("kill -9 $$"),
    "that hangs when asked": script("exec sleep 60"),
    "a directory": Path.mkdir,
    "nothing": lambda _: None,
    "a broken link": lambda path: path.symlink_to("nowhere"),
    "not executable": lambda path: path.write_text("#!/bin/sh\n"),
    "without its interpreter": lambda path: (
        path.write_text("#!/no/such/shell\n"),
        path.chmod(0o755),
    ),
    "empty": lambda path: (path.touch(), path.chmod(0o755)),
}
# Found out when there is a job for it; no byte has moved.
IDLE: dict[str, Callable[[Path], object]] = {
    "that goes": script(KNOWS_ITS_VERSION),
    "that goes with an error": script(KNOWS_ITS_VERSION, "exit 71"),
    "that dies at its job": script(KNOWS_ITS_VERSION, "kill -9 $$"),
    "that prints garbage at its job": script(KNOWS_ITS_VERSION, "echo ']['"),
    "that hangs at its job": script(KNOWS_ITS_VERSION, "exec sleep 60"),
    "that says nothing of its job": lambda path: install(
        path.parent, before=[], after=None
    ),
}
# Found out when it speaks. What it does not say, it may have done.
ODD: dict[str, Callable[[Path], object]] = {
    "that reports garbage": lambda path: install(
        path.parent, before=["][", "][\n"], after=None
    ),
    "that reports of another protocol": lambda path: install(
        path.parent, before=[START.replace(":1,", ":2,", 1)], after=None
    ),
}


# Told only in part.
TAP = '{"event":"tap","hop":0,"written":@moved,"errno":0,"error":null}\n'
FULL = TAP.replace('0,"error":null', '28,"error":"ENOSPC"')
IN_PART: dict[str, list[str | float]] = {
    "without the tap": [HOP, END],
    "with a tap that is not there": [TAP.replace('"hop":0', '"hop":1'), TAP, HOP, END],
    "with a tap twice": [TAP, TAP, HOP, END],
    "without the hop of a tap that failed": [
        FULL,
        END.replace('0,"error":null', '28,"error":"ENOSPC"'),
    ],
}


@pytest.fixture
def elsewhere(
    tmp_path: Path, either_way: pytest.MonkeyPatch, place: str, backend: str
) -> Path:
    """Return where the helper is looked for, and nowhere else."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for tool in ("sh", "sleep", "tee"):
        found = shutil.which(tool)
        assert found
        (directory / tool).symlink_to(found)
    path = directory / "cuprum-pump"
    either_way.setenv("PATH", str(directory))
    either_way.setenv("CUPRUM_STREAM_BACKEND", backend)
    either_way.delenv("CUPRUM_PUMP", raising=False)
    if place == "CUPRUM_PUMP":
        either_way.setenv("CUPRUM_PUMP", str(path))
    either_way.setattr(finding, "_PROBE_SECONDS", 0.5)
    either_way.setattr(pump, "_START_SECONDS", 0.5)
    return path


def places_and_backends(test: Callable[..., None]) -> Callable[..., None]:
    """Run *test* for each combination."""
    test = pytest.mark.parametrize("backend", ["helper", "auto"])(test)
    return pytest.mark.parametrize("place", ["CUPRUM_PUMP", "PATH"])(test)


def noting(directory: Path) -> Pipeline:
    """Return a pipeline that leaves something behind if it runs, and if bytes move."""
    first = shell(': >"$1"; printf hello', str(directory / "ran"))
    return first | command("tee", str(directory / "came"))


def expect_python(directory: Path) -> None:
    """See that the Python pump does the work."""
    result = noting(directory).run_sync(timeout=20)
    assert (result.ok, result.stdout) == (True, "hello")
    assert [hop.engine for hop in result.hops] == ["python"]
    assert result.hops[0].bytes_written == 5


@pytest.mark.parametrize("make", UNFIT.values(), ids=UNFIT)
@places_and_backends
def test_an_unfit_helper_is_told_before_any_stage_runs(
    tmp_path: Path, elsewhere: Path, place: str, backend: str, make: Callable[..., None]
) -> None:
    make(elsewhere)
    if (place, backend) == ("PATH", "auto"):
        expect_python(tmp_path)
        return
    with pytest.raises(PumpUnavailableError) as caught:
        noting(tmp_path).run_sync(timeout=20)
    # What is no program is not found on PATH; but where one has looked is said.
    assert str(elsewhere if place == "CUPRUM_PUMP" else elsewhere.parent) in str(
        caught.value
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("make", IDLE.values(), ids=IDLE)
@places_and_backends
def test_a_helper_that_does_not_take_its_job_has_moved_nothing(
    tmp_path: Path, elsewhere: Path, place: str, backend: str, make: Callable[..., None]
) -> None:
    make(elsewhere)
    if (place, backend) == ("PATH", "auto"):
        expect_python(tmp_path)
        return
    with pytest.raises(PumpUnavailableError) as caught:
        noting(tmp_path).run_sync(timeout=20)
    assert str(elsewhere) in str(caught.value)
    assert not (tmp_path / "came").exists() or not (tmp_path / "came").read_bytes()


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
@places_and_backends
@pytest.mark.usefixtures("place", "backend")
def test_a_helper_that_speaks_otherwise_is_not_replaced(
    tmp_path: Path, elsewhere: Path, make: Callable[..., None]
) -> None:
    make(elsewhere)
    with pytest.raises(PumpUnavailableError) as caught:
        noting(tmp_path).run_sync(timeout=20)
    assert caught.value.is_final
    assert str(elsewhere) in str(caught.value)


@pytest.mark.parametrize("records", IN_PART.values(), ids=IN_PART)
def test_a_helper_that_does_not_tell_all_has_failed(
    tmp_path: Path, either_way: pytest.MonkeyPatch, records: list[str | float]
) -> None:
    either_way.setenv("CUPRUM_PUMP", str(install(tmp_path, after=records)))
    taps = [Tap(0, tmp_path / "tap", required=False)]
    with pytest.raises(PumpError):
        (command("printf", "hello") | cat()).run_sync(taps=taps, timeout=20)


def test_a_helper_that_tells_all_has_not_failed(
    tmp_path: Path, either_way: pytest.MonkeyPatch
) -> None:
    helper = install(tmp_path, after=[FULL, HOP, END])
    either_way.setenv("CUPRUM_PUMP", str(helper))
    taps = [Tap(0, tmp_path / "tap", required=False)]
    result = (command("printf", "hello") | cat()).run_sync(taps=taps, timeout=20)
    assert (result.ok, result.stdout, result.taps[0].errno) == (True, "hello", 28)
