# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""What bench/adr_001.py measures: transfers, short runs, accidents.

Each function takes one sample and returns it, in seconds unless it says otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from statistics import median
from typing import TypeVar

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from bench.machine import children, peak_memory  # noqa: E402  needs the path, too
from cuprum import (  # noqa: E402  the checkout's, not an installed one
    ExecutionContext,
    Pipeline,
    Program,
    ProgramCatalogue,
    ProjectSettings,
    PumpError,
    PumpOptions,
    RunOutputOptions,
    sh,
)

try:
    import uvloop  # pyright: ignore[reportMissingImports]
except ImportError:
    uvloop = None

HELPER = os.environ.setdefault(
    "CUPRUM_PUMP", str(TOP / "build" / "helper" / "cuprum-pump")
)
CHUNK = 64 << 10
LARGE_PIPE = 256 << 10
REPEATS = 50
"""Runs for one sample where one run is too short to be timed alone."""

T = TypeVar("T")

logging.getLogger("cuprum").setLevel(logging.ERROR)  # we break pipes on purpose

NO_OUTPUT = RunOutputOptions(capture=False)
CATALOGUE = ProgramCatalogue(
    projects=[
        ProjectSettings(
            name="bench",
            programs=(Program("dd"), Program("true")),
            documentation_locations=(),
            noise_rules=(),
        )
    ]
)


def producer_argv(size: int | None) -> list[str]:
    """Return the command that writes so many bytes of zeros; None: endless."""
    count = [] if size is None else [f"count={size // CHUNK}"]
    return ["dd", "if=/dev/zero", f"bs={CHUNK}", "status=none", *count]


def consumer_argv() -> list[str]:
    """Return the command that reads them all."""
    return ["dd", "of=/dev/null", f"bs={CHUNK}", "status=none"]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(main: Coroutine[object, object, T], *, fast_loop: bool) -> T:
    """Run a coroutine on a new loop, uvloop's if asked to."""
    factory = uvloop.new_event_loop if fast_loop and uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


# --- Ways to move bytes: each takes a size and returns seconds ------------------


def shell(size: int, between: str = "|", stderr: int | None = None) -> float:
    """Let ``sh`` connect the two programs."""
    line = f"{' '.join(producer_argv(size))} {between} {' '.join(consumer_argv())}"
    return timed(lambda: subprocess.run(["sh", "-c", line], check=True, stderr=stderr))


def connected(size: int, move: Callable[[int, int], None], capacity: int) -> float:
    """Start both programs with a pipe each, and let ``move`` carry the data."""
    up_out, up_in = os.pipe()
    down_out, down_in = os.pipe()
    if capacity:
        fcntl(up_in, F_SETPIPE_SZ, capacity)
        fcntl(down_in, F_SETPIPE_SZ, capacity)
    began = time.perf_counter()
    stages = [
        subprocess.Popen(producer_argv(size), stdout=up_in),
        subprocess.Popen(consumer_argv(), stdin=down_out),
    ]
    os.close(up_in)
    os.close(down_out)
    mover = threading.Thread(target=move, args=(up_out, down_in))
    mover.start()
    mover.join()
    os.close(up_out)
    os.close(down_in)
    ended_well([stage.wait() for stage in stages])
    return time.perf_counter() - began


def ended_well(statuses: list[int]) -> None:
    """Stop the benchmark if a program failed: its time would mean nothing."""
    if any(statuses):
        raise RuntimeError(f"a stage failed: exit statuses {statuses}")


def direct(size: int) -> float:
    """Connect the two programs by one pipe of 256 KiB."""
    out, into = os.pipe()
    fcntl(into, F_SETPIPE_SZ, LARGE_PIPE)
    began = time.perf_counter()
    stages = [
        subprocess.Popen(producer_argv(size), stdout=into),
        subprocess.Popen(consumer_argv(), stdin=out),
    ]
    os.close(into)
    os.close(out)
    ended_well([stage.wait() for stage in stages])
    return time.perf_counter() - began


def splice_all(source: int, sink: int) -> None:
    """Do what the loop of a native extension would do in a thread."""
    while os.splice(source, sink, LARGE_PIPE):
        pass


def pipeline(size: int | None) -> Pipeline:
    """Return the two programs as a cuprum pipeline."""
    dd = sh.make(Program("dd"), catalogue=CATALOGUE)
    return dd(*producer_argv(size)[1:]) | dd(*consumer_argv()[1:])


def cuprum(
    size: int, options: PumpOptions | None = None, *, fast_loop: bool = False
) -> float:
    """Run them through cuprum's public API, on the backend of the environment."""
    stages = pipeline(size)
    context = ExecutionContext(pump=options or PumpOptions())
    began = time.perf_counter()
    work = stages.run(output=NO_OUTPUT, context=context)
    result = run(work, fast_loop=fast_loop)
    seconds = time.perf_counter() - began
    if not result.ok or result.hops[0].bytes_written != size:
        raise RuntimeError(f"not all data arrived: {result}")
    return seconds


def asyncio_streams(size: int, *, fast_loop: bool = False) -> float:
    """Use asyncio's own subprocesses, StreamReader and StreamWriter."""

    async def main() -> None:
        pipe = asyncio.subprocess.PIPE
        first = await asyncio.create_subprocess_exec(*producer_argv(size), stdout=pipe)
        second = await asyncio.create_subprocess_exec(*consumer_argv(), stdin=pipe)
        assert first.stdout is not None
        assert second.stdin is not None
        while chunk := await first.stdout.read(CHUNK):
            second.stdin.write(chunk)
            await second.stdin.drain()
        second.stdin.close()
        ended_well([await first.wait(), await second.wait()])

    return timed(lambda: run(main(), fast_loop=fast_loop))


# --- Short runs: median seconds of one ------------------------------------------


def short(work: Callable[[], object]) -> float:
    """Return the median of many runs, after a few that warm up."""
    for _ in range(5):
        work()
    return median(timed(work) for _ in range(REPEATS))


def short_pipeline() -> float:
    """Time ``true | true`` on one event loop, as a service would run it."""
    true = sh.make(Program("true"), catalogue=CATALOGUE)
    stages = true() | true()
    with asyncio.Runner() as runner:
        return short(lambda: runner.run(stages.run(output=NO_OUTPUT)))


def spawn_and_wait(argv: list[str]) -> None:
    """Start a program on an empty input and reap it."""
    null = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
    ]
    pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=null)
    ended_well([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])])


def bare_helper(*, records: bool) -> float:
    """Time the helper alone, with or without a reader for its records."""
    out, into = os.pipe()
    os.set_inheritable(into, True)
    argv = [HELPER, *(["-s", str(into)] if records else [])]

    def once() -> None:
        spawn_and_wait(argv)
        if records and b'"end"' not in os.read(out, CHUNK):
            raise RuntimeError("the helper wrote no end record")

    return short(once)


# --- Accidents: seconds until they are noticed ----------------------------------


def helper_of(pid: int) -> int:
    """Wait until a process has its helper at work; return the helper's number."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = {name: child for child, name in children(pid).items()}
        if "cuprum-pump" in found and "dd" in found:
            time.sleep(0.2)  # the data flows by then
            return found["cuprum-pump"]
        time.sleep(0.01)
    raise RuntimeError("no helper was started")


def helper_killed() -> float:
    """Kill the helper; return the time until `PumpError`, all stages ended."""

    async def main() -> float:
        task = asyncio.create_task(pipeline(None).run(output=NO_OUTPUT))
        helper = await asyncio.to_thread(helper_of, os.getpid())
        began = time.perf_counter()
        os.kill(helper, signal.SIGKILL)
        try:
            await task
        except PumpError:
            return time.perf_counter() - began
        raise RuntimeError("a run whose helper was killed did not fail")

    return asyncio.run(main())


def parent_killed() -> float:
    """Kill a Python process; return the time until helper and stages are gone."""
    parent = subprocess.Popen([sys.executable, __file__])
    helper_of(parent.pid)
    watched = [os.pidfd_open(pid) for pid in children(parent.pid)]
    began = time.perf_counter()
    parent.kill()
    for pidfd in watched:
        if not select.select([pidfd], [], [], 10)[0]:
            raise RuntimeError("a child outlived its parent by ten seconds")
    seconds = time.perf_counter() - began
    parent.wait()
    return seconds


def helper_memory() -> float:
    """Return the helper's peak resident memory while data flows, in bytes."""

    async def main() -> float:
        task = asyncio.create_task(pipeline(None).run(output=NO_OUTPUT))
        helper = await asyncio.to_thread(helper_of, os.getpid())
        peak = await asyncio.to_thread(peak_memory, helper)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return float(peak)

    return asyncio.run(main())


if __name__ == "__main__":  # the process that parent_killed kills
    pipeline(None).run_sync(output=NO_OUTPUT)
