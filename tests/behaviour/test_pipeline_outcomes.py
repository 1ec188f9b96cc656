"""How a pipeline ends: exit codes, the stage that failed, and who is stopped."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ExecutionContext,
    ForbiddenProgramError,
    Program,
    RunOutputOptions,
    ScopeConfig,
    scoped,
)
from tests.support.stages import (
    cat,
    command,
    false,
    python,
    shell,
    sleep,
    statuses,
    true,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cuprum import Pipeline

pytestmark = pytest.mark.usefixtures("stream_backend")

UPPER = "tr a-z A-Z"

# pipeline, exit codes, failure index, and the seconds it may take
TABLE: dict[str, tuple[Callable[[], Pipeline], list[int], int | None, float, float]] = {
    "data": (lambda: command("printf", "hi") | shell(UPPER), [0, 0], None, 0, 2),
    "first fails": (lambda: false() | sleep(5), [1, -15], 0, 0, 2),
    "middle fails": (lambda: sleep(5) | false() | sleep(5), [-15, 1, -15], 1, 0, 2),
    "last fails": (lambda: sleep(0.5) | false(), [0, 1], 1, 0.5, 3),
    "first fails, three stages": (
        lambda: false() | sleep(5) | sleep(5),
        [1, -15, -15],
        0,
        0,
        2,
    ),
    "last leaves": (lambda: sleep(0.5) | true(), [0, 0], None, 0.5, 3),
    "writes, then fails": (
        lambda: shell("echo data; exit 3") | sleep(5),
        [3, -15],
        0,
        0,
        2,
    ),
    "exits cleanly when told": (
        lambda: (
            shell("sleep .2; exit 2")
            | python(
                "import signal, sys, time;"
                "signal.signal(signal.SIGTERM, lambda *a: sys.exit(0));"
                "time.sleep(5)"
            )
        ),
        [2, 0],
        0,
        0,
        2,
    ),
    "dies of a signal": (lambda: shell("kill -9 $$") | sleep(5), [-9, -15], 0, 0, 2),
    "another fails after the last": (
        lambda: sleep(0.8) | shell("sleep .3; exit 3") | false(),
        [0, 3, 1],
        2,
        0.8,
        3,
    ),
    "same stage twice": (lambda: cat() | cat() | cat(), [0, 0, 0], None, 0, 2),
}


@pytest.mark.parametrize(
    ("build", "codes", "failure", "least", "most"), TABLE.values(), ids=TABLE
)
def test_exit_codes_and_failure_index(
    build: Callable[[], Pipeline],
    codes: list[int],
    failure: int | None,
    least: float,
    most: float,
) -> None:
    began = time.monotonic()
    result = build().run_sync(timeout=20)
    took = time.monotonic() - began
    assert (statuses(result), result.failure_index) == (codes, failure)
    assert result.ok is (set(codes) == {0})
    assert least <= took < most


def test_results_are_those_of_the_stages() -> None:
    first, second = shell("echo hi; echo e1 >&2"), shell("tr a-z A-Z; echo e2 >&2")
    result = (first | second).run_sync()
    assert result.stdout == "HI\n"
    assert [stage.stdout for stage in result.stages] == [None, "HI\n"]
    assert [stage.stderr for stage in result.stages] == ["e1\n", "e2\n"]
    assert [stage.argv for stage in result.stages] == [first.argv, second.argv]
    assert len({stage.pid for stage in result.stages}) == 2
    assert (result.failure_index, result.failure) == (None, None)


def test_silent_stages_captured_and_not() -> None:
    silent = true() | true()
    assert (silent.run_sync().stdout, silent.run_sync().final.stderr) == ("", "")
    quiet = silent.run_sync(output=RunOutputOptions(capture=False))
    assert [s.stdout for s in quiet.stages] == [None, None]
    assert [s.stderr for s in quiet.stages] == [None, None]


def test_run_and_run_sync_agree() -> None:
    pipeline = command("printf", "hi") | cat()
    assert asyncio.run(pipeline.run()).stdout == pipeline.run_sync().stdout == "hi"


def test_a_stage_deaf_to_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    deaf = shell("trap '' TERM; touch \"$1\"; exec sleep 60", str(tmp_path / "deaf"))
    failing = shell(
        'until [ -e "$1" ]; do sleep .02; done; exit 1', str(tmp_path / "deaf")
    )
    began = time.monotonic()
    result = (failing | deaf).run_sync(context=ExecutionContext(cancel_grace=0.3))
    assert (statuses(result), result.failure_index) == ([1, -9], 0)
    assert 0.3 <= time.monotonic() - began < 3


def test_stages_are_ended_at_the_same_time(tmp_path: Path) -> None:
    # Two deaf stages cost one grace, not two.
    ready = [tmp_path / "1", tmp_path / "2"]
    deaf = [
        shell("trap '' TERM; touch \"$1\"; exec sleep 60", str(path)) for path in ready
    ]
    script = 'until [ -e "$1" ] && [ -e "$2" ]; do sleep .02; done; exit 1'
    failing = shell(script, *map(str, ready))
    context = ExecutionContext(cancel_grace=0.7)
    began = time.monotonic()
    result = (deaf[0] | failing | deaf[1]).run_sync(context=context)
    assert statuses(result) == [-9, 1, -9]
    assert 0.7 <= time.monotonic() - began < 1.3


def test_a_failing_last_stage_ends_nobody(tmp_path: Path) -> None:
    script = 'sleep .4; touch "$1"'
    result = (shell(script, str(tmp_path / "done")) | false()).run_sync()
    assert (statuses(result), result.failure_index) == ([0, 1], 1)
    assert (tmp_path / "done").exists()


def test_the_first_failure_noticed_stays_the_failure() -> None:
    # The second stage is terminated because of the first: that is no new failure.
    result = (shell("exit 7") | sleep(5) | sleep(5)).run_sync()
    assert result.failure_index == 0
    assert result.failure is result.stages[0]
    assert result.stages[0].exit_code == 7


def test_failures_at_once_name_one_of_them() -> None:
    stages = [shell(f"exit {code}") for code in (3, 4, 5)]
    result = (stages[0] | stages[1] | stages[2]).run_sync()
    assert result.failure_index is not None
    assert not result.ok
    assert result.failure is not None
    assert result.failure.exit_code == 3 + result.failure_index


def test_the_last_stage_still_finishes_its_input(tmp_path: Path) -> None:
    # A producer that ends well early must not cut off what is on its way.
    late = shell('sleep .3; wc -c; touch "$1"', str(tmp_path / "done"))
    result = (command("head", "-c", 60_000, "/dev/zero") | late).run_sync()
    assert result.stdout == "60000\n"
    assert result.ok


@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_stage_is_checked_before_any_starts(
    tmp_path: Path, position: int
) -> None:
    stages = [command("touch", str(tmp_path / f"ran-{n}")) for n in range(2)]
    stages.insert(position, cat())
    touch_only = ScopeConfig(allowlist=frozenset({Program("touch")}))
    with scoped(touch_only), pytest.raises(ForbiddenProgramError, match="'cat'"):
        (stages[0] | stages[1] | stages[2]).run_sync()
    assert list(tmp_path.iterdir()) == []


def test_deprecated_flags_still_work_and_say_so() -> None:
    pipeline = command("printf", "hi") | cat()
    with pytest.warns(DeprecationWarning, match="RunOutputOptions") as caught:
        assert pipeline.run_sync(capture=False).stdout is None
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="RunOutputOptions"):
        assert pipeline.run_sync(echo=False).stdout == "hi"


def test_deprecated_flags_do_not_mix_with_options() -> None:
    told = "^Pass either 'output' or the deprecated 'capture'/'echo' flags, not both$"
    with pytest.raises(ValueError, match=told):
        (true() | true()).run_sync(output=RunOutputOptions(), capture=True)


def test_an_unknown_option_is_named() -> None:
    told = "^Pipeline.run/run_sync got unexpected keyword arguments: colour, flavour$"
    with pytest.raises(TypeError, match=told):
        (true() | true()).run_sync(flavour=2, colour=1, capture=True)  # type: ignore[call-arg]
