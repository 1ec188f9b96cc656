"""A run whose event loop goes in the middle of it: nothing of the run is left.

Where there is nobody any more who could wait for a grace, there is none.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import TOP
from tests.support.processes import is_alive, read_pid, reap_orphans, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFACE = r"""
import asyncio, gc, signal, sys
from pathlib import Path
from cuprum import ExecutionContext, RunOutputOptions
from tests.support.processes import child_pids, helper_pids
from tests.support.stages import cat, shell

directory = Path(sys.argv[1])
deaf = shell('''
    cd "$1"; trap "" TERM INT
    sh -c 'echo $$ >grandchild; exec sleep 60' >/dev/null 2>&1 &
    trap "echo >terminated" TERM
    echo $$ >stage; until [ -s grandchild ]; do sleep .01; done
    echo >done; echo ready; while :; do sleep .05; done
''', str(directory))
runnable = deaf if sys.argv[2] == "command" else cat() | deaf
patient = ExecutionContext(cancel_grace=60)

async def ready():
    async with asyncio.timeout(10):
        while not (directory / "done").exists():
            await asyncio.sleep(0.01)
"""

CLOSED = """
loop = asyncio.new_event_loop()
run = loop.create_task(runnable.run(context=patient))
loop.run_until_complete(ready())
loop.close()
del run
gc.collect()
assert not child_pids() - helper_pids()
"""

COLLECTED = """
async def main():
    run = runnable.run(context=patient)
    run.send(None)
    await ready()
    run.close()
    assert not child_pids() - helper_pids()

asyncio.run(main())
"""

ENDING = """
async def main():
    run = asyncio.create_task(runnable.run(context=patient))
    await ready()
    run.cancel()
    await asyncio.sleep(0.05)  # in which the grace begins

asyncio.run(main())
"""

EXITING = """
def leave(line):
    sys.exit(5)

brief = ExecutionContext(cancel_grace=0.2)
runnable.run_sync(context=brief, output=RunOutputOptions(on_stdout_line=leave))
"""


@pytest.fixture(params=["command", "helper", "python"])
def kind(request: pytest.FixtureRequest, fresh_backend: pytest.MonkeyPatch) -> str:
    """Return ``command`` or ``pipeline``, the latter with each backend."""
    if request.param == "command":
        return "command"
    if request.param == "helper":
        request.getfixturevalue("helper_path")
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", request.param)
    return "pipeline"


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Path]:
    """Return where the stage and its child tell who they are; they must be gone."""
    yield tmp_path
    pids = {read_pid(tmp_path / name) for name in ("stage", "grandchild")}
    assert not any(map(is_alive, pids))
    reap_orphans()


def python(code: str, directory: Path, kind: str) -> subprocess.Popen[str]:
    """Start a Python that runs *code*."""
    return subprocess.Popen(
        [sys.executable, "-c", PREFACE + code, str(directory), kind],
        cwd=TOP,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


WITHOUT_A_RUNNER = """
async def interrupt():
    await ready()
    signal.raise_signal(signal.SIGINT)

loop = asyncio.new_event_loop()
interrupting = loop.create_task(interrupt())
try:
    loop.run_until_complete(runnable.run(context=patient))
except KeyboardInterrupt:
    loop.close()
    sys.exit(6)
"""

INTERRUPTED = """
try:
    runnable.run_sync(context=patient)
except KeyboardInterrupt:
    sys.exit(6)
"""


@pytest.mark.parametrize(
    ("code", "status"),
    [(CLOSED, 0), (COLLECTED, 0), (ENDING, 0), (EXITING, 5), (WITHOUT_A_RUNNER, 6)],
    ids=["closed", "coroutine closed", "main task ended", "exiting", "interrupted"],
)
def test_a_loop_that_goes(kind: str, left: Path, code: str, status: int) -> None:
    with python(code, left, kind) as process:
        _, complaints = process.communicate(timeout=20)
    assert process.returncode == status, complaints
    # asyncio has a right to complain of tasks that it could not end.
    assert "never awaited" not in complaints
    assert "Exception ignored in: <coroutine" not in complaints


def test_a_user_who_interrupts_twice_has_no_patience(kind: str, left: Path) -> None:
    with python(INTERRUPTED, left, kind) as process:
        for name in ("stage", "grandchild"):
            read_pid(left / name)
        process.send_signal(signal.SIGINT)
        wait_until((left / "terminated").exists, what="the grace has begun")
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=20)
    assert process.returncode == 6, complaints
