"""Output that goes to files, with no Python in its way."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    Redirect,
    RunOutputOptions,
    StdinInput,
    TimeoutExpired,
)
from tests.support.paths import TOP
from tests.support.processes import child_pids, wait_until
from tests.support.stages import cat, command, python, shell, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TALK = shell("echo out; echo err >&2")

pytestmark = pytest.mark.usefixtures("stream_backend")


@contextlib.contextmanager
def descriptor(path: Path) -> Iterator[int]:
    """Open *path* for writing."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT)
    yield number
    os.close(number)


TARGETS: dict[str, Callable[[Path], contextlib.AbstractContextManager[object]]] = {
    "str": lambda path: contextlib.nullcontext(str(path)),
    "Path": contextlib.nullcontext,
    "binary file": lambda path: path.open("wb"),
    "text file": lambda path: path.open("w"),
    "descriptor": descriptor,
}


@pytest.mark.parametrize("kind", TARGETS)
def test_both_outputs_of_a_command_go_to_files(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / "out", tmp_path / "err"]
    with TARGETS[kind](paths[0]) as out, TARGETS[kind](paths[1]) as err:
        result = TALK.run_sync(
            output=RunOutputOptions(stdout=Redirect(out), stderr=Redirect(err))  # type: ignore[arg-type]
        )
        assert result.ok
        assert (result.stdout, result.stderr) == (None, None)
    assert [path.read_text() for path in paths] == ["out\n", "err\n"]


@pytest.mark.parametrize("kind", TARGETS)
def test_the_outputs_of_a_pipeline_go_to_files(kind: str, tmp_path: Path) -> None:
    paths = [tmp_path / "out", tmp_path / "err"]
    stages = [shell(f"cat; echo out {n}; echo err {n} >&2") for n in range(3)]
    pipeline = stages[0] | stages[1] | stages[2]
    with TARGETS[kind](paths[0]) as out, TARGETS[kind](paths[1]) as err:
        result = pipeline.run_sync(
            output=RunOutputOptions(stdout=Redirect(out), stderr=Redirect(err))  # type: ignore[arg-type]
        )
        assert result.ok
        assert [(s.stdout, s.stderr) for s in result.stages] == [(None, None)] * 3
    assert paths[0].read_text() == "out 0\nout 1\nout 2\n"
    assert sorted(paths[1].read_text().splitlines()) == ["err 0", "err 1", "err 2"]


def test_one_output_may_go_to_a_file_and_the_other_be_captured(tmp_path: Path) -> None:
    file = tmp_path / "file"
    result = TALK.run_sync(output=RunOutputOptions(stdout=Redirect(file)))
    assert (result.stdout, result.stderr, file.read_text()) == (None, "err\n", "out\n")
    result = TALK.run_sync(output=RunOutputOptions(stderr=Redirect(file)))
    assert (result.stdout, result.stderr, file.read_text()) == ("out\n", None, "err\n")


@pytest.mark.parametrize("stages", [1, 2])
def test_a_path_is_truncated_or_appended_to(stages: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    runnable = TALK if stages == 1 else TALK | cat()
    for append, content in [(False, "out\n"), (True, "out\nout\n"), (False, "out\n")]:
        output = RunOutputOptions(stdout=Redirect(file, append=append))
        assert runnable.run_sync(output=output).ok
        assert file.read_text() == content


def test_paths_are_taken_from_where_the_caller_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_text("here")
    result = shell("cat; pwd >&2").run_sync(
        output=RunOutputOptions(stdout=Redirect("out")),
        stdin=StdinInput(path="in"),
        context=ExecutionContext(cwd="/"),
    )
    assert result.stderr == "/\n"
    assert (tmp_path / "out").read_text() == "here"


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        TALK.run_sync(output=RunOutputOptions(stdout=Redirect(tmp_path / "file")))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_an_open_file_is_used_from_where_it_stands(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as file:
        file.write("before, not yet written out\n")
        output = RunOutputOptions(stdout=Redirect(file))
        assert TALK.run_sync(output=output).ok
        assert (TALK | cat()).run_sync(output=output).ok
        file.write("after\n")
    content = "before, not yet written out\nout\nout\nafter\n"
    assert (tmp_path / "file").read_text() == content


def test_a_pipe_will_do() -> None:
    reader, writer = os.pipe()
    assert TALK.run_sync(output=RunOutputOptions(stdout=Redirect(writer))).ok
    os.close(writer)
    assert os.read(reader, 99) == b"out\n"
    assert os.read(reader, 99) == b""  # no copy of the write end is left
    os.close(reader)


NOTE_ENDS = (
    "import os, sys\n"
    "links = [os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)]\n"
    "open(sys.argv[1], 'w').write(' '.join(links))\n"
)


def test_the_stages_have_the_files_themselves(tmp_path: Path) -> None:
    note, given, out, err = (tmp_path / name for name in ("note", "in", "out", "err"))
    given.touch()
    output = RunOutputOptions(stdout=Redirect(out), stderr=Redirect(err))
    fed = StdinInput(path=given)
    show = python(NOTE_ENDS, str(note))
    assert show.run_sync(output=output, stdin=fed).ok
    assert note.read_text() == f"{given} {out} {err}"
    assert (show | cat()).run_sync(output=output, stdin=fed).ok
    first, _, last = note.read_text().split()
    assert (first, last) == (str(given), str(err))
    assert (cat() | show).run_sync(output=output, stdin=fed).ok
    assert note.read_text().split()[1:] == [str(out), str(err)]


# --- Both to one place ---------------------------------------------------------------

MIXED = shell("for n in 1 2 3; do echo out $n; echo err $n >&2; done")
MIXTURE = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"


@pytest.mark.parametrize("append", [False, True])
def test_both_to_one_path_do_not_overwrite_each_other(
    tmp_path: Path, *, append: bool
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("before\n")
    output = RunOutputOptions(
        stdout=Redirect(tmp_path / "file", append=append),
        stderr=Redirect(str(tmp_path / "link"), append=append),
    )
    assert MIXED.run_sync(output=output).ok
    before = "before\n" if append else ""
    assert (tmp_path / "file").read_text() == before + MIXTURE


def test_both_to_one_open_file_keep_their_order(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        output = RunOutputOptions(stdout=Redirect(file), stderr=Redirect(file))
        assert MIXED.run_sync(output=output).ok
    assert (tmp_path / "file").read_text() == MIXTURE


def test_standard_error_goes_with_standard_output_and_keeps_its_order(
    tmp_path: Path,
) -> None:
    together = MIXED.run_sync(output=RunOutputOptions(stderr="stdout"))
    assert (together.stdout, together.stderr) == (MIXTURE, None)
    file = tmp_path / "file"
    output = RunOutputOptions(stdout=Redirect(file), stderr="stdout")
    assert MIXED.run_sync(output=output).ok
    assert file.read_text() == MIXTURE


def test_standard_error_that_goes_with_an_echo() -> None:
    out, err = io.StringIO(), io.StringIO()
    context = ExecutionContext(stdout_sink=out, stderr_sink=err)
    output = RunOutputOptions(capture=False, echo=True, stderr="stdout")
    assert MIXED.run_sync(output=output, context=context).stdout is None
    assert (out.getvalue(), err.getvalue()) == (MIXTURE, "")


def test_standard_error_goes_nowhere_with_standard_output() -> None:
    show = "import os, sys; sys.exit(os.readlink('/proc/self/fd/2') != '/dev/null')"
    output = RunOutputOptions(capture=False, stderr="stdout")
    assert python(show).run_sync(output=output).ok


def test_standard_error_of_all_stages_goes_into_the_output_and_not_into_hops() -> None:
    stages = [shell(f"echo err {n} >&2; cat; echo out {n}") for n in range(3)]
    pipeline = stages[0] | stages[1] | stages[2]
    result = pipeline.run_sync(output=RunOutputOptions(stderr="stdout"), timeout=10)
    assert result.stdout is not None
    lines = result.stdout.splitlines()
    outputs = [line for line in lines if line.startswith("out")]
    assert outputs == ["out 0", "out 1", "out 2"]
    errors = [line for line in lines if line.startswith("err")]
    assert sorted(errors) == ["err 0", "err 1", "err 2"]
    assert [hop.bytes_read for hop in result.hops] == [6, 12]
    assert [stage.stderr for stage in result.stages] == [None, None, None]


def test_standard_error_of_a_pipeline_goes_into_the_file_of_its_output(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    output = RunOutputOptions(stdout=Redirect(file), stderr="stdout")
    last = shell("cat; echo last >&2")
    assert (shell("echo first >&2; echo out") | last).run_sync(output=output).ok
    assert file.read_text() == "first\nout\nlast\n"


def test_the_standard_streams_of_the_caller_can_be_exchanged() -> None:
    # Numbers that a child's own streams would overwrite on the way.
    code = (
        "from cuprum import Redirect, RunOutputOptions\n"
        "from tests.support.stages import cat, shell\n"
        "crossed = RunOutputOptions(stdout=Redirect(2), stderr=Redirect(1))\n"
        "talk = shell('echo out; echo err >&2')\n"
        "assert talk.run_sync(output=crossed).ok\n"
        "assert (talk | cat()).run_sync(output=crossed).ok\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("err\n" * 2, "out\n" * 2)


# --- Much, and in time ---------------------------------------------------------------


def test_more_than_fits_into_a_pipe_goes_through_it() -> None:
    reader, writer = os.pipe()
    size = 0

    def read() -> None:
        nonlocal size
        while data := os.read(reader, 1 << 20):
            size += len(data)

    thread = threading.Thread(target=read)
    thread.start()
    zeros = command("head", "-c", 20_000_000, "/dev/zero") | cat()
    output = RunOutputOptions(stdout=Redirect(writer))
    assert zeros.run_sync(output=output, timeout=20).ok
    os.close(writer)
    thread.join()
    os.close(reader)
    assert size == 20_000_000


def test_the_caller_may_close_the_file_while_the_command_writes(tmp_path: Path) -> None:
    go = tmp_path / "go"
    late = shell('until [ -e "$1" ]; do sleep .01; done; echo late', str(go))

    async def main() -> None:
        with (tmp_path / "file").open("w") as file:
            output = RunOutputOptions(stdout=Redirect(file))
            task = asyncio.create_task(late.run(output=output, timeout=10))
            await asyncio.to_thread(
                wait_until, lambda: bool(child_pids()), what="it was started"
            )
        go.touch()
        assert (await task).ok

    asyncio.run(main())
    assert (tmp_path / "file").read_text() == "late\n"


def test_what_was_written_before_a_timeout_is_in_the_file(tmp_path: Path) -> None:
    output = RunOutputOptions(stdout=Redirect(tmp_path / "file"))
    with pytest.raises(TimeoutExpired) as caught:
        shell("echo early; exec sleep 60").run_sync(output=output, timeout=1)
    assert (tmp_path / "file").read_text() == "early\n"
    assert (caught.value.output, caught.value.stderr) == (None, "")


# --- What cannot be ------------------------------------------------------------------

FULL = "No space left on device"


def test_a_full_device_is_a_failure_of_the_program_itself() -> None:
    result = command("echo", "x").run_sync(
        output=RunOutputOptions(stdout=Redirect("/dev/full"))
    )
    assert result.exit_code == 1
    assert FULL in (result.stderr or "")


def test_a_full_device_is_a_failure_of_the_last_stage_itself() -> None:
    pipeline = command("echo", "x") | cat()
    result = pipeline.run_sync(
        output=RunOutputOptions(stdout=Redirect("/dev/full")), timeout=10
    )
    assert statuses(result) == [0, 1]
    assert result.failure_index == 1
    assert FULL in (result.final.stderr or "")


@contextlib.contextmanager
def impossible(fault: str, tmp_path: Path) -> Iterator[object]:
    """Return a target that nothing can be written to."""
    (tmp_path / "file").touch()
    if fault == "missing directory":
        yield tmp_path / "missing" / "file"
    elif fault == "directory":
        yield tmp_path
    elif fault == "below a file":
        yield str(tmp_path / "file" / "below")
    elif fault == "no descriptor":
        yield 1_000_000
    elif fault == "no file behind it":
        yield io.StringIO()
    else:
        with (tmp_path / "file").open("r") as file:
            if fault == "closed":
                file.close()
            yield file


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("missing directory", FileNotFoundError),
        ("directory", IsADirectoryError),
        ("below a file", NotADirectoryError),
        ("no descriptor", OSError),
        ("no file behind it", TypeError),
        ("open for reading", OSError),
        ("closed", ValueError),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("stages", [1, 2])
def test_a_target_that_cannot_be_is_an_error_before_anything_starts(
    fault: str, error: type[Exception], stream: str, stages: int, tmp_path: Path
) -> None:
    touch = command("touch", str(tmp_path / "ran"))
    runnable = touch if stages == 1 else touch | touch
    with impossible(fault, tmp_path) as target, pytest.raises(error):
        runnable.run_sync(
            output=RunOutputOptions(**{stream: Redirect(target)})  # type: ignore[arg-type]
        )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("target", ["out", Path("out"), "stdot", 1, False])
def test_what_is_no_redirect_is_refused_and_no_output_lost(
    stream: str, target: object
) -> None:
    with pytest.raises(TypeError, match=rf"^{stream} takes a Redirect, not "):
        RunOutputOptions(**{stream: target})  # type: ignore[arg-type]
