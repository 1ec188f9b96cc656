"""The bytes between stages, and what each stage finds at its ends."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cuprum import ExecutionContext, Pipeline, RunOutputOptions
from tests.support.bare_pipes import SIZES, payload
from tests.support.paths import TOP
from tests.support.stages import (
    BINARY,
    captured_bytes,
    cat,
    command,
    producer,
    python,
    shell,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import SafeCmd

pytestmark = pytest.mark.usefixtures("stream_backend")


def through(first: SafeCmd, stages: int) -> Pipeline:
    """Return *first* followed by as many ``cat`` as make *stages* stages."""
    return Pipeline((first, *(cat() for _ in range(stages - 1))))


@pytest.mark.parametrize("stages", [2, 3, 5])
@pytest.mark.parametrize("size", SIZES)
def test_bytes_arrive_as_they_are(tmp_path: Path, size: int, stages: int) -> None:
    data = payload(size)
    (tmp_path / "data").write_bytes(data)
    pipeline = through(producer(tmp_path / "data"), stages)
    result = pipeline.run_sync(context=BINARY, timeout=25)
    assert result.ok
    assert captured_bytes(result) == data
    for hop in result.hops:
        assert (hop.bytes_read, hop.bytes_written, hop.bytes_discarded) == (
            size,
            size,
            0,
        )
        assert not hop.broken_pipe


def test_many_bytes_arrive_as_they_are() -> None:
    count = 200_000_000
    digest = hashlib.sha256(bytes(count)).hexdigest()
    zeros = command("head", "-c", count, "/dev/zero")
    result = (zeros | cat() | command("sha256sum")).run_sync(timeout=25)
    assert result.stdout == f"{digest}  -\n"
    assert [hop.bytes_written for hop in result.hops] == [count, count]


@pytest.mark.parametrize("chunk", [1, 3, 4097, 65537])
def test_any_portions_of_writing_and_reading(chunk: int) -> None:
    code = (
        "import os, sys\n"
        "chunk, total = int(sys.argv[1]), 0\n"
        "while total < chunk * 100:\n"
        "    total += os.write(1, bytes(i % 251 for i in range(chunk)))\n"
    )
    slow_reader = (
        "import os, sys\n"
        "while data := os.read(0, int(sys.argv[1])):\n"
        "    os.write(1, data)\n"
    )
    written = bytes(i % 251 for i in range(chunk)) * 100
    result = (python(code, chunk) | python(slow_reader, max(7, chunk // 3))).run_sync(
        context=BINARY, timeout=20
    )
    received = captured_bytes(result)
    if chunk <= 4097:  # a larger write may be taken in part, and begins anew then
        assert received == written
    assert result.hops[0].bytes_written == len(received)


def test_small_pieces_are_not_held_back() -> None:
    # The second stage answers the first piece while the first stage waits for it.
    ping = "import os, time; os.write(1, b'a'); time.sleep(0.5); os.write(1, b'b')"
    pong = (
        "import os, time; os.read(0, 1); then = time.monotonic();"
        "os.read(0, 1); print(time.monotonic() - then > 0.3)"
    )
    assert (python(ping) | python(pong)).run_sync(timeout=10).stdout == "True\n"


def test_a_character_is_not_broken_by_a_boundary() -> None:
    text = "x" * 65535 + "\N{SNOWMAN}" * 30_000
    source = python(
        "import sys; sys.stdout.buffer.write(eval(sys.argv[1]).encode())",
        "'x' * 65535 + '\\u2603' * 30000",
    )
    assert (source | cat()).run_sync(timeout=10).stdout == text


NOTE_ENDS = (
    "import os, sys\n"
    "links = [os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)]\n"
    "open(sys.argv[1], 'w').write(' '.join(links))\n"
    "sys.stdin.read()\n"
)


@pytest.mark.parametrize("capture", [True, False])
def test_what_the_stages_find_at_their_ends(tmp_path: Path, *, capture: bool) -> None:
    notes = [tmp_path / str(number) for number in range(3)]
    first, middle, last = (python(NOTE_ENDS, str(path)) for path in notes)
    result = (first | middle | last).run_sync(
        output=RunOutputOptions(capture=capture), timeout=10
    )
    assert result.ok
    found = [path.read_text().split() for path in notes]
    kinds = [[link.partition(":[")[0] for link in links] for links in found]
    outer = "pipe" if capture else "/dev/null"
    assert kinds == [
        ["/dev/null", "pipe", outer],
        ["pipe", "pipe", outer],
        ["pipe", outer, outer],
    ]
    pipes = [link for links in found for link in links if link.startswith("pipe:")]
    assert len(set(pipes)) == len(pipes)  # no pipe is shared between stages


def test_the_first_stage_does_not_read_the_input_of_the_caller() -> None:
    # In a process of its own: the standard input of the tests may be anything.
    code = (
        "from tests.support.stages import cat;"
        "print([(cat() | cat()).run_sync().stdout, input()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP,
        input="for the caller",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['', 'for the caller']\n"


def test_stages_have_three_descriptors_and_no_more() -> None:
    code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    show = python(f"import sys; sys.stderr.write(sys.stdin.read()); {code}")
    result = (python(code) | show | show).run_sync(timeout=10)
    stderr = [stage.stderr for stage in result.stages]
    assert result.stdout == "[0, 1, 2]\n"
    assert stderr[1:] == ["[0, 1, 2]\n"] * 2


def test_the_pipes_of_the_stages_block_as_usual() -> None:
    # Programs are not made for non-blocking standard streams.
    code = "import os, sys; sys.stderr.write(str([os.get_blocking(n) for n in (0, 1)]))"
    show = python(f"{code}; sys.stdin.read()")
    result = (show | show | show).run_sync(timeout=10)
    assert [stage.stderr for stage in result.stages] == ["[True, True]"] * 3


@pytest.mark.parametrize("capture", [True, False])
def test_a_stage_may_fill_its_standard_error(*, capture: bool) -> None:
    chatty = shell("head -c 1000000 /dev/zero >&2; echo out")
    result = (chatty | shell("cat; head -c 1000000 /dev/zero >&2")).run_sync(
        output=RunOutputOptions(capture=capture), timeout=10
    )
    assert result.ok
    if capture:
        assert result.stdout == "out\n"
        assert [len(stage.stderr or "") for stage in result.stages] == [1_000_000] * 2


def test_one_context_is_for_all_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVE", "live")
    show = shell('cat; echo "$LIVE $CALL $(pwd)"')
    context = ExecutionContext(cwd=tmp_path, env={"CALL": "call"})
    result = (show | show).run_sync(context=context)
    assert result.stdout == f"live call {tmp_path}\n" * 2


def test_programs_are_searched_on_the_path_of_the_children(tmp_path: Path) -> None:
    tool = tmp_path / "cuprum-test-tool"
    tool.write_text("#!/bin/sh\necho found; cat\n")
    tool.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    result = (command(tool.name) | command(tool.name)).run_sync(
        context=ExecutionContext(env={"PATH": path})
    )
    assert result.stdout == "found\nfound\n"


def test_strict_decoding_raises_once_all_have_ended(tmp_path: Path) -> None:
    script = 'cat; sleep .1; touch "$1"'
    pipeline = command("printf", r"\377") | shell(script, str(tmp_path / "ended"))
    with pytest.raises(UnicodeDecodeError):
        pipeline.run_sync(context=ExecutionContext(errors="strict"))
    assert (tmp_path / "ended").exists()
