"""The same in every way: warm helper, helper of one's own, Python pump.

Compared is everything that a caller gets, but what differs between any two runs:
process numbers, times, and what follows from times (`bottleneck`).
"""

from __future__ import annotations

import dataclasses
import errno
import io
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cuprum import (
    ExecutionContext,
    Pipeline,
    PipelineResult,
    PumpOptions,
    Redirect,
    RunOutputOptions,
    StdinInput,
    Tap,
    TapError,
    TimeoutExpired,
    partial_output,
)
from tests.support.bare_pipes import payload
from tests.support.pacing import passing_on, saying, saying_file
from tests.support.stages import cat, command, python, shell, sleep
from tests.support.ways import WAYS, Way

pytestmark = pytest.mark.usefixtures("helper_path")

DATA = payload(300_000)
LONG = payload(3_000_000)
NEVER_COMPARED = {
    "pid",
    "engine",
    "elapsed",
    "waited_for_input",
    "waited_for_output",
    "bottleneck",
}
ENDS = frozenset({"broken_pipe", "drain"})
COUNTS = frozenset({"bytes_read", "bytes_written", "bytes_discarded"})


@dataclass
class Run:
    """One way's turn: where it works, and what was said to its callbacks."""

    directory: Path
    said: list[str] = field(default_factory=list)
    sink: io.StringIO = field(default_factory=io.StringIO)


Options = Callable[[Run], dict[str, Any]]


class Case(NamedTuple):
    """A pipeline, how to run it, and what has to come of it.

    ``want`` names what must be so, in whatever way, and ``chance`` what must not be
    compared, because it depends on who is faster. ``error`` is what it raises.
    ``options`` are those of a run; of them, ``output`` and ``context`` are given as
    what `RunOutputOptions` and `ExecutionContext` take.
    """

    pipeline: Pipeline
    want: dict[str, object] = {}  # noqa: RUF012  nobody changes it
    options: Options = lambda _: {}
    chance: frozenset[str] = frozenset()
    error: type[Exception] | None = None


def output(**options: object) -> Options:
    """Return options of the output."""
    return lambda _: {"output": options}


def context(**options: object) -> Options:
    """Return options of the context."""
    return lambda _: {"context": options}


BYTES = output(text=False)


def moved(*sizes: int) -> list[tuple[int, int, int]]:
    """Return the counts of hops across which everything went."""
    return [(size, size, 0) for size in sizes]


def through(stages: int) -> Case:
    """Return a case with so many stages."""
    cats = (cat() for _ in range(stages - 2))
    pipeline = Pipeline((command("cat", "data"), *cats, command("cat")))
    want = {"stdout": DATA, "counts": moved(*[len(DATA)] * (stages - 1))}
    return Case(pipeline, want, BYTES)


# --- Text, and where it is cut ----------------------------------------------------

TEXT = "é€\U0001f600\n"  # characters of two, three and four bytes
CUTS = range(1, len(TEXT.encode()))


def cut_at(offset: int) -> Case:
    """Return a case in which nobody finds TEXT in one piece."""
    data = TEXT.encode()
    pipeline = saying(data[:offset], data[offset:]) | passing_on(offset)

    def options(run: Run) -> dict[str, Any]:
        def note(line: str) -> None:
            run.said.append(line)

        return {
            "output": {"echo": True, "on_stdout_line": note},
            "context": {"stdout_sink": run.sink},
        }

    want = {"stdout": TEXT, "counts": moved(len(data)), "said": [TEXT[:-1], TEXT]}
    return Case(pipeline, want, options)


INVALID = b"\xffa\xc0\x80\xed\xa0\x80b\xe2\x82"
invalid = saying(INVALID) | cat()

# --- One stage decides ------------------------------------------------------------

SLOW_READER = "import os, time\nwhile os.read(0, 4096):\n    time.sleep(0.002)\n"
SLOW_WRITER = (
    "import os, time\n"
    "for _ in range(40):\n"
    "    time.sleep(0.005)\n"
    "    os.write(1, b'x' * 99)\n"
)


def closed_early(seed: int, drain: float | None) -> Case:
    """Return a case in which the reader leaves somewhere in the first half."""
    wanted = random.Random(seed).randrange(1, len(LONG) // 2)
    drained = {None: (0, "eof"), 0: (-13, "closed")}
    code, end = drained[drain]
    return Case(
        command("cat", "long") | command("head", "-c", wanted),
        {"stdout": LONG[:wanted], "codes": [code, 0], "drains": [end]},
        lambda _: {
            "output": {"text": False},
            "context": {"pump": PumpOptions(drain=drain)},
        },
        # What lay in the pipe when the reader left counts as written.
        chance=COUNTS if drain == 0 else COUNTS - {"bytes_read"},
    )


def failing(position: int, script: str, code: int) -> Case:
    """Return a case in which one stage fails while the others go on."""
    stages = [sleep(30), sleep(30), sleep(30)]
    stages[position] = shell(script)
    codes = [-15, -15, -15]
    codes[position] = code
    # The others end all at once: which ends a hop, reader or writer, is chance.
    want = {"codes": codes, "ok": False, "failure_index": position, "stdout": ""}
    return Case(Pipeline(tuple(stages)), want, chance=ENDS)


def missing(position: int) -> Case:
    """Return a case in which one program is not there."""
    stages = [sleep(30), sleep(30), sleep(30)]
    stages[position] = command("cuprum-no-such-program")
    return Case(Pipeline(tuple(stages)), error=FileNotFoundError)


# --- Standard error, files --------------------------------------------------------

# Each stage says something once the one before has gone, so that the order is given.
chatty = (
    shell("echo zero >&2; echo data")
    | shell("data=$(cat); echo one >&2; echo $data")
    | shell("data=$(cat); echo two >&2; echo $data")
)


def into(**names: str) -> Options:
    """Return options that send streams to files in the directory of the run."""

    def options(run: Run) -> dict[str, Any]:
        targets = {stream: run.directory / name for stream, name in names.items()}
        return {
            "output": {
                stream: Redirect(path, append=True) for stream, path in targets.items()
            }
        }

    return options


def tapped(*taps: tuple[int, str], required: bool = True) -> Options:
    """Return options that tap hops into files."""

    def options(run: Run) -> dict[str, Any]:
        return {
            "taps": [
                Tap(hop, run.directory / name, append=True, required=required)
                for hop, name in taps
            ],
            "output": {"text": False},
        }

    return options


def noting(run: Run) -> dict[str, Any]:
    """Return options by which each line is noted."""

    def note(line: str) -> None:
        run.said.append(line)

    return {"output": {"on_stdout_line": note}}


def refuse(line: str) -> None:
    """Be a callback that cannot do its work."""
    raise KeyError(line)


upper = command("cat", "data") | command("tr", "a-z", "A-Z") | cat()
UPPER = DATA.upper()
counted = command("seq", 5) | cat()
fed = cat() | command("sort") | cat()

CASES: dict[str, Case] = {
    "empty": Case(shell(":") | cat(), {"stdout": "", "counts": moved(0)}),
    "one byte": Case(
        command("printf", "x") | cat(), {"stdout": "x", "counts": moved(1)}
    ),
    "three stages": through(3),
    "five stages": through(5),
    **{f"cut at {offset}": cut_at(offset) for offset in CUTS},
    "invalid bytes": Case(invalid, {"stdout": INVALID.decode(errors="replace")}),
    "invalid bytes, escaped": Case(
        invalid,
        {"stdout": INVALID.decode(errors="surrogateescape")},
        context(errors="surrogateescape"),
    ),
    "invalid bytes, strict": Case(
        invalid, options=context(errors="strict"), error=UnicodeDecodeError
    ),
    "invalid bytes as they are": Case(invalid, {"stdout": INVALID}, BYTES),
    "slow consumer": Case(
        command("head", "-c", 500_000, "/dev/zero") | python(SLOW_READER),
        {"counts": moved(500_000), "bottleneck": 1},
    ),
    "slow producer": Case(
        python(SLOW_WRITER) | cat(), {"stdout": "x" * 3960, "bottleneck": 0}
    ),
    **{f"early close {seed}, drained": closed_early(seed, None) for seed in range(5)},
    **{f"early close {seed}, at once": closed_early(seed, 0) for seed in range(5)},
    **{f"stage {n} fails": failing(n, "exit 3", 3) for n in range(2)},
    **{f"stage {n} is killed": failing(n, "kill -9 $$", -9) for n in range(2)},
    "the last stage fails": Case(
        command("cat", "data") | cat() | shell("cat; exit 3"),
        {"stdout": DATA, "codes": [0, 0, 3], "failure_index": 2, "ok": False},
        BYTES,
    ),
    **{f"stage {n} is not there": missing(n) for n in range(3)},
    "standard error of all": Case(
        chatty, {"stdout": "data\n", "stderr": ["zero\n", "one\n", "two\n"]}
    ),
    "standard error with the output": Case(
        chatty,
        {"stdout": "zero\none\ntwo\ndata\n", "stderr": [None] * 3},
        output(stderr="stdout"),
    ),
    "nothing captured": Case(
        chatty, {"stdout": None, "stderr": [None] * 3}, output(capture=False)
    ),
    "redirected": Case(
        chatty,
        {"stdout": None, "files": {"out": b"data\n", "err": b"zero\none\ntwo\n"}},
        into(stdout="out", stderr="err"),
    ),
    "redirected to a full disk": Case(
        upper,
        {"codes": [0, 0, 1], "ok": False, "failure_index": 2},
        into(stdout="/dev/full"),
        chance=COUNTS | ENDS,  # as far as the last stage read
    ),
    "tapped": Case(
        upper,
        {"stdout": UPPER, "files": {"before": DATA, "after": UPPER}},
        tapped((0, "before"), (1, "after")),
    ),
    "tapped, no room": Case(
        upper,
        {"counts": moved(len(DATA), len(DATA)), "taps": [(0, 0, errno.ENOSPC)]},
        tapped((0, "/dev/full"), required=False),
    ),
    "a required tap without room": Case(
        upper, options=tapped((1, "/dev/full")), error=TapError
    ),
    "no such hop to tap": Case(upper, options=tapped((2, "tap")), error=ValueError),
    "fed": Case(
        fed, {"stdout": "a\nb\n"}, lambda _: {"stdin": StdinInput(text="b\na\n")}
    ),
    "fed in pieces": Case(
        fed,
        {"stdout": "a\nb\n", "counts": moved(4, 4)},
        lambda _: {"stdin": StdinInput(chunks=[b"", b"b", b"\na", b"\n"])},
    ),
    "line by line": Case(counted, {"said": [*"12345", ""]}, noting),
    "a callback that raises": Case(
        counted, options=output(on_stdout_line=refuse), error=KeyError
    ),
}


def told(case: Case, result: PipelineResult[Any]) -> dict[str, object]:
    """Return all of *result* that can be compared."""
    hidden = NEVER_COMPARED | case.chance

    def comparable(value: object) -> object:
        if isinstance(value, dict):
            items = value.items()
            return {key: comparable(v) for key, v in items if key not in hidden}
        if isinstance(value, tuple):
            return [comparable(item) for item in value]
        return value

    whole = comparable(dataclasses.asdict(result))
    assert isinstance(whole, dict)
    return {**whole, "ok": result.ok}


def facts(result: PipelineResult[Any], run: Run) -> dict[str, object]:
    """Return what a case may want of *result*, by the names that it uses."""
    hops = result.hops
    return {
        "stdout": result.stdout,
        "stderr": [stage.stderr for stage in result.stages],
        "codes": [stage.exit_code for stage in result.stages],
        "ok": result.ok,
        "failure_index": result.failure_index,
        "bottleneck": result.bottleneck,
        "counts": [(h.bytes_read, h.bytes_written, h.bytes_discarded) for h in hops],
        "drains": [hop.drain for hop in hops],
        "taps": [(tap.hop, tap.bytes_written, tap.errno) for tap in result.taps],
        "files": files(run),
        "said": [*run.said, run.sink.getvalue()],
    }


def files(run: Run) -> dict[str, bytes]:
    """Return what the run has written."""
    ours = {"data", "long"}
    paths = (path for path in run.directory.iterdir() if path.name not in ours)
    return {path.name: path.read_bytes() for path in paths}


def run_case(case: Case, way: Way, directory: Path) -> dict[str, object]:
    """Run *case* that way; return all that can be compared."""
    directory.mkdir()
    (directory / "data").write_bytes(DATA)
    (directory / "long").write_bytes(LONG)
    run = Run(directory)
    options = case.options(run)
    options["output"] = RunOutputOptions(**options.get("output", {}))
    options["context"] = ExecutionContext(cwd=directory, **options.get("context", {}))
    with way.taken():
        try:
            result = case.pipeline.run_sync(**options, timeout=25)
        except Exception as error:
            if case.error is None or not isinstance(error, case.error):
                raise
            return {
                "error": (type(error), str(error).replace(str(directory), "")),
                "notes": getattr(error, "__notes__", []),
                "report": getattr(error, "report", None),
                "files": files(run),
            }
        way.check(result)
    assert case.error is None, f"nothing was raised: {result}"
    want, got = {"ok": True, **case.want}, facts(result, run)
    assert {name: got[name] for name in want} == want
    assert all(h.bytes_read == h.bytes_written + h.bytes_discarded for h in result.hops)
    return {**told(case, result), "files": got["files"], "said": got["said"]}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_in_every_way(case: Case, tmp_path: Path) -> None:
    first, *others = (
        run_case(case, way, tmp_path / str(number)) for number, way in enumerate(WAYS)
    )
    for other in others:
        assert other == first


# --- Much -------------------------------------------------------------------------

REPEAT = (
    "import os, sys\n"
    "block, left = open(sys.argv[1], 'rb').read() * 4, int(sys.argv[2])\n"
    "while left:\n"
    "    left -= os.write(1, block[:left])\n"
)
COMPARE = (
    "import sys\n"
    "block, total = open(sys.argv[1], 'rb').read() * 4, 0\n"
    "while data := sys.stdin.buffer.read(len(block)):\n"
    "    assert data == block[:len(data)], total\n"
    "    total += len(data)\n"
    "print(total)\n"
)


def test_a_hundred_megabytes(tmp_path: Path) -> None:
    # A block of a prime size: what is lost or said twice shifts all that follows.
    count, path = 100_000_000, tmp_path / "block"
    path.write_bytes(payload(65_521))
    pipeline = python(REPEAT, str(path), count) | cat() | python(COMPARE, str(path))
    for way in WAYS:
        with way.taken():
            result = pipeline.run_sync(timeout=25)
            way.check(result)
        assert (result.ok, result.stdout) == (True, f"{count}\n")
        assert [hop.bytes_written for hop in result.hops] == [count, count]


COUNT = (
    "import os\n"
    "buffer, total = memoryview(bytearray(1 << 20)), 0\n"
    "while size := os.readv(0, (buffer,)):\n"
    "    total += size\n"
    "print(total)\n"
)


@pytest.mark.usefixtures("stream_backend")
def test_more_than_four_gibibytes() -> None:
    # Past what 32 bits can count.
    blocks, size = 8195, 1 << 19
    zeros = command("dd", "if=/dev/zero", f"bs={size}", f"count={blocks}")
    result = (zeros | python(COUNT)).run_sync(timeout=29)
    total = blocks * size
    assert total > 1 << 32
    assert (result.ok, result.stdout) == (True, f"{total}\n")
    (hop,) = result.hops
    assert (hop.bytes_read, hop.bytes_written) == (total, total)


# --- Timeouts ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_timeout_at_any_moment_leaves_a_prefix(tmp_path: Path, seed: int) -> None:
    limit = random.Random(seed).uniform(0.01, 0.4)
    path = tmp_path / "block"
    path.write_bytes(payload(65_521))
    pipeline = python(REPEAT, str(path), 1 << 60) | cat()
    for way in WAYS:
        began = time.monotonic()
        with way.taken(), pytest.raises(TimeoutExpired) as caught:
            pipeline.run_sync(output=RunOutputOptions(text=False), timeout=limit)
        assert time.monotonic() - began < limit + 5
        partial = partial_output(caught.value)
        assert partial is not None
        assert isinstance(partial.stdout, bytes)
        assert (caught.value.timeout, caught.value.output) == (limit, partial.stdout)
        assert is_repeated(partial.stdout, path.read_bytes())


def is_repeated(data: bytes, block: bytes) -> bool:
    """Tell whether *data* is the beginning of *block* over and over."""
    return data == (block * (len(data) // len(block) + 1))[: len(data)]


@pytest.mark.parametrize("seed", range(8))
def test_a_timeout_near_the_end_gives_all_or_a_prefix(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "data"
    path.write_bytes(LONG)
    pipeline = command("cat", str(path)) | cat() | cat()
    in_bytes = RunOutputOptions(text=False)
    for way in WAYS:
        with way.taken():
            began = time.monotonic()
            assert pipeline.run_sync(output=in_bytes).stdout == LONG
            took = time.monotonic() - began
            limit = random.Random(seed).uniform(0.5, 1.5) * took
            try:
                result = pipeline.run_sync(output=in_bytes, timeout=limit)
            except TimeoutExpired as error:
                output, counts = error.output, []
            else:
                output = result.stdout
                counts = [hop.bytes_written for hop in result.hops]
        assert isinstance(output, bytes)
        assert LONG.startswith(output)
        if counts:
            assert (len(output), counts) == (len(LONG), [len(LONG)] * 2)


# --- Anything ---------------------------------------------------------------------

SIZES = st.sampled_from((4095, 4096, 4097, 65535, 65536, 65537))
PORTIONS = st.lists(st.binary(min_size=1, max_size=40) | SIZES.map(payload), max_size=5)
OPTIONS = st.builds(
    PumpOptions,
    buffer_size=st.sampled_from((61, 4096, 65536)),
    pipe_size=st.sampled_from(("auto", "keep", 4096)),
    engine=st.sampled_from(("auto", "copy")),
)


# The leak guard's gc.freeze() hides from hypothesis who refers to its generator.
@pytest.mark.filterwarnings("ignore:It looks like `register_random` was passed")
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(portions=PORTIONS, options=OPTIONS, stages=st.integers(2, 4))
def test_any_bytes_in_any_portions(
    tmp_path: Path,
    portions: list[bytes],
    options: PumpOptions,
    stages: int,
) -> None:
    data = b"".join(portions)
    first = saying_file(tmp_path / "data", portions)
    pipeline = Pipeline((first, *(cat() for _ in range(stages - 1))))
    for way in WAYS:
        with way.taken():
            result = pipeline.run_sync(
                output=RunOutputOptions(text=False),
                context=ExecutionContext(pump=options),
                timeout=25,
            )
            way.check(result)
        assert (result.ok, result.stdout) == (True, data)
        assert [hop.bytes_written for hop in result.hops] == [len(data)] * (stages - 1)
