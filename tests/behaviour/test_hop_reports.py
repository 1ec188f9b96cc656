"""What a run tells of its hops, and what PumpOptions change."""

from __future__ import annotations

import errno
from typing import Literal

import pytest

from cuprum import ExecutionContext, PumpError, PumpOptions
from tests.support.bare_pipes import payload
from tests.support.stages import captured_bytes, cat, command, python, shell

SLOW_READER = "import os, time\nwhile os.read(0, 65536):\n    time.sleep(0.01)\n"
SLOW_WRITER = (
    "import os, time\n"
    "for _ in range(40):\n"
    "    time.sleep(0.01)\n"
    "    os.write(1, b'x' * 1000)\n"
)
SLOW_MIDDLE = (
    "import os, time\n"
    "while data := os.read(0, 65536):\n"
    "    time.sleep(0.01)\n"
    "    os.write(1, data)\n"
)
ZEROS = 3_000_000


@pytest.mark.usefixtures("stream_backend")
class TestWaits:
    """Where the time went."""

    def test_a_slow_consumer(self) -> None:
        zeros = command("head", "-c", ZEROS, "/dev/zero")
        result = (zeros | cat() | python(SLOW_READER)).run_sync(timeout=20)
        assert result.bottleneck == 2
        last = result.hops[1]
        assert last.waited_for_output > last.waited_for_input
        assert last.waited_for_output > 0.1

    def test_a_slow_producer(self) -> None:
        result = (python(SLOW_WRITER) | cat() | cat()).run_sync(timeout=20)
        assert result.bottleneck == 0
        assert result.hops[0].waited_for_input > 0.3
        assert result.hops[0].waited_for_output < 0.1

    def test_a_slow_stage_in_the_middle(self) -> None:
        zeros = command("head", "-c", ZEROS, "/dev/zero")
        result = (zeros | python(SLOW_MIDDLE) | cat()).run_sync(timeout=20)
        assert result.bottleneck == 1
        assert result.hops[0].waited_for_output > 0.1
        assert result.hops[1].waited_for_input > 0.1

    def test_nobody_waited_long(self) -> None:
        # The start of a program alone may take more than the 10 ms that say something,
        # so the figure is compared with what the hops themselves tell.
        result = (command("true") | cat()).run_sync(timeout=20)
        (hop,) = result.hops
        if hop.waited_for_input < 0.01:
            assert result.bottleneck is None
        else:
            assert result.bottleneck in {None, 0}

    def test_times_are_seconds_within_the_run(self) -> None:
        result = (shell("sleep .3") | cat()).run_sync(timeout=20)
        (hop,) = result.hops
        assert 0.25 <= hop.elapsed < 5
        assert 0.25 <= hop.waited_for_input <= hop.elapsed
        assert 0 <= hop.waited_for_output <= hop.elapsed


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize(
    "options",
    [
        PumpOptions(buffer_size=1),
        PumpOptions(buffer_size=1 << 20),
        PumpOptions(pipe_size="keep"),
        PumpOptions(pipe_size=4096),
        PumpOptions(pipe_size=1 << 30),  # refused by the kernel: never an error
        PumpOptions(engine="copy"),
        PumpOptions(drain=None),
    ],
    ids=str,
)
def test_bytes_arrive_whatever_the_options(
    options: PumpOptions, tmp_path: object
) -> None:
    data = payload(20_000 if options.buffer_size == 1 else 300_000)
    path = f"{tmp_path}/data"
    with open(path, "wb") as file:
        file.write(data)
    context = ExecutionContext(encoding="latin-1", pump=options)
    pipeline = command("cat", path) | cat() | cat()
    result = pipeline.run_sync(context=context, timeout=20)
    assert captured_bytes(result) == data


PIPE_SIZE = (
    "import fcntl, sys\n"
    "total = len(sys.stdin.buffer.read())\n"
    "print(total, fcntl.fcntl(0, fcntl.F_GETPIPE_SZ))\n"
)


@pytest.mark.usefixtures("stream_backend")
@pytest.mark.parametrize(
    ("pipe_size", "size", "capacity"),
    [
        ("keep", 8_000_000, 65536),
        ("auto", 100_000, 65536),
        ("auto", 8_000_000, 262_144),
        (131_072, 0, 131_072),
    ],
)
def test_pipes_get_the_size_that_was_asked_for(
    pipe_size: object, size: int, capacity: int
) -> None:
    options = PumpOptions(pipe_size=pipe_size)  # type: ignore[arg-type]
    zeros = command("head", "-c", size, "/dev/zero")
    result = (zeros | python(PIPE_SIZE)).run_sync(
        context=ExecutionContext(pump=options), timeout=20
    )
    assert result.stdout == f"{size} {capacity}\n"


@pytest.mark.parametrize("engine", ["copy", "splice"])
@pytest.mark.usefixtures("helper_path")
def test_the_helper_runs_the_engine_asked_for_or_fails(
    fresh_backend: pytest.MonkeyPatch,
    helper_path: object,
    engine: Literal["copy", "splice"],
) -> None:
    features = command(str(helper_path), "--version").run_sync().stdout or ""
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", "helper")
    context = ExecutionContext(pump=PumpOptions(engine=engine))
    pipeline = command("head", "-c", 1000, "/dev/zero") | cat()
    if engine == "copy" or "+splice" in features:
        result = pipeline.run_sync(context=context)
        assert result.hops[0].engine == engine
    else:
        with pytest.raises(PumpError) as failure:
            pipeline.run_sync(context=context)
        assert failure.value.errno == errno.EINVAL
