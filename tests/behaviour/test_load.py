"""Many pipelines at once: the same results, and nothing left of any of them.

``CUPRUM_TEST_LOAD=1000`` runs so many; the default is what a machine that is busy
with other things does in a few seconds.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    PumpOptions,
    RunOutputOptions,
    StdinInput,
    TimeoutExpired,
)
from cuprum import _helper_pool as pool
from tests.support.bare_pipes import payload
from tests.support.leak_guard import open_descriptors
from tests.support.processes import child_pids, helper_pids, reap_orphans
from tests.support.stages import cat, command, shell, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPELINES = int(os.environ.get("CUPRUM_TEST_LOAD", "300"))
AT_ONCE = min(100, PIPELINES // 6)
THREADS = 20
TURNS = 400  # seconds, and enough to meet nearly every time a race that there was
DESCRIPTORS_EACH = 20  # of three stages: two hops, streams, processes, the helper


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Raise the limit of descriptors to what so many pipelines need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 200 + AT_ONCE * DESCRIPTORS_EACH
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.fail(f"the limit of descriptors is {hard}, and {need} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


DATA = payload(100_000)
AT_ONCE_CLOSED = ExecutionContext(pump=PumpOptions(drain=0))


async def check_one(number: int) -> None:
    """Run the pipeline of that number, one of five kinds; see what comes of it."""
    kind, in_bytes = number % 5, RunOutputOptions(text=False)
    if kind == 0:
        result = await (command("echo", number) | cat() | cat()).run()
        assert (result.ok, result.stdout) == (True, f"{number}\n")
    elif kind == 1:
        data = DATA[number:]
        run = (cat() | cat()).run(stdin=StdinInput(data=data), output=in_bytes)
        result_in_bytes = await run
        assert (result_in_bytes.ok, result_in_bytes.stdout) == (True, data)
        assert result_in_bytes.hops[0].bytes_written == len(data)
    elif kind == 2:
        yes_head = command("yes", number) | command("head", "-1")
        result = await yes_head.run(context=AT_ONCE_CLOSED)
        assert (result.ok, result.stdout) == (True, f"{number}\n")
        assert result.hops[0].broken_pipe
    elif kind == 3:
        result = await (shell(f"exit {number % 250 + 1}") | command("sleep", 60)).run()
        assert statuses(result) == [number % 250 + 1, -15]
    else:
        with pytest.raises(TimeoutExpired):
            await (command("sleep", 60) | cat()).run(timeout=0.1)


async def check_all() -> None:
    """Run all of them, so many at once."""
    places = asyncio.Semaphore(AT_ONCE)

    async def check(number: int) -> None:
        async with places:
            await check_one(number)

    async with asyncio.TaskGroup() as group:
        for number in range(PIPELINES):
            group.create_task(check(number))


@pytest.mark.usefixtures("stream_backend", "many_descriptors")
def test_many_pipelines_on_one_loop() -> None:
    children, descriptors = child_pids(), open_descriptors()
    began = time.monotonic()
    asyncio.run(check_all())
    took = time.monotonic() - began
    pool.close_pool()
    reap_orphans()
    assert open_descriptors() == descriptors
    assert child_pids() == children
    print(f"{PIPELINES} pipelines, {AT_ONCE} at once: {took:.1f} s")


def run_some(number: int) -> None:
    """Run a few pipelines from this thread."""
    data = DATA[number:]
    for turn in range(3):
        echo = command("echo", f"{number} {turn}") | cat() | cat()
        assert echo.run_sync(timeout=25).stdout == f"{number} {turn}\n"
        result = (cat() | cat()).run_sync(
            stdin=StdinInput(data=data), output=RunOutputOptions(text=False), timeout=25
        )
        assert (result.ok, result.stdout) == (True, data)
    with pytest.raises(TimeoutExpired):
        (command("yes") | cat()).run_sync(timeout=0.1)


@pytest.mark.usefixtures("stream_backend", "many_descriptors")
def test_twenty_threads_at_once() -> None:
    children, descriptors = child_pids(), open_descriptors()
    together = threading.Barrier(THREADS)

    def work(number: int) -> None:
        together.wait()
        run_some(number)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    pool.close_pool()
    assert open_descriptors() == descriptors
    assert child_pids() == children


def test_the_pool_is_closed_while_helpers_come_and_go(helper_path: Path) -> None:
    # A descriptor that is used once it is closed is, sooner or later, somebody else's.
    descriptors, interval = open_descriptors(), sys.getswitchinterval()

    def come_and_go(number: int) -> None:
        chance = random.Random(number)
        for _ in range(TURNS):
            helper, _ = pool._pool.borrow(helper_path, fresh=True)
            if chance.random() < 0.5:
                helper.kill()
            pool._pool.give_back(helper)
            if chance.random() < 0.3:
                pool.close_pool()

    sys.setswitchinterval(1e-6)  # so that threads meet where they seldom do
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(come_and_go, range(4)))
    finally:
        sys.setswitchinterval(interval)
    pool.close_pool()
    assert open_descriptors() == descriptors
    assert not helper_pids()
