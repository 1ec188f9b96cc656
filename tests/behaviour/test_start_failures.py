"""A stage that cannot be started: the error says which, and nothing is left."""

from __future__ import annotations

import errno
import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from cuprum import ExecutionContext, Pipeline, StdinInput
from tests.support.paths import TOP
from tests.support.processes import is_alive, read_pid, reap_orphans
from tests.support.stages import cat, command, shell, sleep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cuprum import SafeCmd


class Unfit(NamedTuple):
    """A command that cannot be started, and what the system says of it."""

    make: Callable[[Path], SafeCmd]
    error: type[OSError]
    errno: int


def missing(_: Path) -> SafeCmd:
    return command("no-such-program", "--option", "two words")


def missing_by_path(directory: Path) -> SafeCmd:
    return command(str(directory / "nothing"))


def not_executable(directory: Path) -> SafeCmd:
    (directory / "text").touch(mode=0o644)
    return command(str(directory / "text"))


def a_directory(directory: Path) -> SafeCmd:
    return command(str(directory))


def no_format(directory: Path) -> SafeCmd:
    (directory / "noise").write_bytes(bytes(100))
    (directory / "noise").chmod(0o755)
    return command(str(directory / "noise"))


def too_long(_: Path) -> SafeCmd:
    return command("true", "x" * 200_000)


UNFIT = {
    "missing": Unfit(missing, FileNotFoundError, errno.ENOENT),
    "missing by path": Unfit(missing_by_path, FileNotFoundError, errno.ENOENT),
    "not executable": Unfit(not_executable, PermissionError, errno.EACCES),
    "a directory": Unfit(a_directory, PermissionError, errno.EACCES),
    "no format": Unfit(no_format, OSError, errno.ENOEXEC),
    "too long": Unfit(too_long, OSError, errno.E2BIG),
}


def notes(stage: int, failing: SafeCmd) -> list[str]:
    """Return what is to be added to the system's error."""
    line = shlex.join(failing.argv_with_program)
    if len(line) > 400:
        line = f"{line[:400]}..."
    return [f"stage {stage} could not be started: {line}"]


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_a_command_that_is_unfit(unfit: Unfit, tmp_path: Path) -> None:
    failing = unfit.make(tmp_path)
    with pytest.raises(unfit.error) as caught:
        failing.run_sync(stdin=StdinInput(data=bytes(200_000)))
    assert (type(caught.value), caught.value.errno) == (unfit.error, unfit.errno)
    assert caught.value.filename == failing.program
    assert caught.value.__notes__ == notes(0, failing)


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_a_stage_that_is_unfit(unfit: Unfit, position: int, tmp_path: Path) -> None:
    stages = [sleep(60), cat()]
    failing = unfit.make(tmp_path)
    stages.insert(position, failing)
    began = time.monotonic()
    with pytest.raises(unfit.error) as caught:
        Pipeline(tuple(stages)).run_sync()
    assert time.monotonic() - began < 2
    assert (type(caught.value), caught.value.errno) == (unfit.error, unfit.errno)
    assert caught.value.filename == failing.program
    assert caught.value.__notes__ == notes(position, failing)


@pytest.mark.usefixtures("stream_backend")
def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    first = command("touch", str(tmp_path / "ran"))
    context = ExecutionContext(cwd=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError) as caught:
        (first | cat()).run_sync(context=context)
    assert caught.value.filename == str(context.cwd)
    assert caught.value.__notes__ == notes(0, first)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("stream_backend")
def test_no_stage_after_it_starts(tmp_path: Path) -> None:
    last = command("touch", str(tmp_path / "ran"))
    with pytest.raises(FileNotFoundError):
        (cat() | missing(tmp_path) | last).run_sync()
    assert list(tmp_path.iterdir()) == []


STAGE_THAT_STAYS = """
trap "" TERM; sleep 60 & echo $! >"$1/0"; echo $$ >"$1/1"; exec sleep 60
"""
STAGE_THAT_GOES = """
sleep 60 >/dev/null & echo $! >"$1/0"
sh -c 'trap "" TERM; echo $$ >"$1"; exec sleep 60' sh "$1/1" >/dev/null &
"""


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize(
    "earlier", [STAGE_THAT_STAYS, STAGE_THAT_GOES], ids=["stays", "goes"]
)
def test_what_earlier_stages_have_begun_is_ended(
    earlier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = [tmp_path / "0", tmp_path / "1"]
    start = subprocess.Popen[bytes].__init__

    def start_late(self: Any, argv: list[str], **options: Any) -> None:  # noqa: ANN401
        if argv[0] == "no-such-program":
            for path in pids:
                read_pid(path)
        start(self, argv, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", start_late)
    context = ExecutionContext(cancel_grace=0.3)
    began = time.monotonic()
    with pytest.raises(FileNotFoundError):
        (shell(earlier, str(tmp_path)) | missing(tmp_path)).run_sync(context=context)
    assert 0.3 <= time.monotonic() - began < 3
    assert not any(is_alive(read_pid(path)) for path in pids)
    reap_orphans()


# From none to as many as it takes, on a loop that runs already: loops cannot give
# back those of one that could not be made.
SCARCE = """
import asyncio, errno, resource
from cuprum import PumpUnavailableError
from cuprum._helper_pool import close_pool
from tests.support.backends import forget_backend
from tests.support.leak_guard import open_descriptors
from tests.support.processes import child_pids
from tests.support.stages import cat, shell

async def main():
    pipeline = shell("echo data") | cat() | cat()
    await pipeline.run()
    close_pool()
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    failures, outputs = 0, []
    while len(outputs) < 3:
        limit = len(before) + failures + len(outputs)
        forget_backend()  # the look for the helper takes some as well
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            outputs.append((await pipeline.run(timeout=10)).stdout)
        except PumpUnavailableError as error:
            assert "Too many open files" in str(error), error
            failures += 1
        except OSError as error:
            assert error.errno == errno.EMFILE, error
            failures += 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        close_pool()
        assert open_descriptors() == before
        assert child_pids() == set()
    print(failures > 10, outputs)

asyncio.run(main())
"""


@pytest.mark.usefixtures("stream_backend")
def test_too_few_descriptors_for_all_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCARCE],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    outputs = ["data\n"] * 3
    assert (done.stdout, done.stderr) == (f"True {outputs}\n", "")
