"""The same in every way: warm helper, helper of one's own, Python pump.

Compared is everything that a caller gets, but what differs between any two runs:
process numbers, times, and what follows from times (`bottleneck`).
"""

from __future__ import annotations

import errno
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cuprum import (
    ExecutionContext,
    Pipeline,
    PumpOptions,
    RunOutputOptions,
    StdinInput,
    TapError,
    TimeoutExpired,
    partial_output,
)
from tests.support.bare_pipes import payload
from tests.support.pacing import passing_on, saying, saying_file
from tests.support.parity import (
    BYTES,
    DATA,
    LONG,
    Case,
    Run,
    context,
    into,
    noting,
    output,
    refuse,
    run_case,
    tapped,
)
from tests.support.stages import cat, command, python, shell, sleep
from tests.support.ways import WAYS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("helper_path")

ENDS = frozenset({"broken_pipe", "drain"})
COUNTS = frozenset({"bytes_read", "bytes_written", "bytes_discarded"})


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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_in_every_way(case: Case, tmp_path: Path) -> None:
    want = {} if case.error else {"ok": True, **case.want}
    seen: list[dict[str, object]] = []
    for number, way in enumerate(WAYS):
        got, comparable = run_case(case, way, tmp_path / str(number))
        assert {name: got[name] for name in want} == want
        seen.append(comparable)
    first, *others = seen
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
