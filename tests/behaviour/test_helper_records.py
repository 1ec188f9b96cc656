"""What the helper reports, and how a run takes reports that are odd or missing."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import pytest

from cuprum import PipelineResult, PumpError, PumpUnavailableError
from tests.support.fake_helper import END, HOP, START, install
from tests.support.stages import cat, command, shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run_with(
    either_way: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., PipelineResult]:
    """Return a function that runs ``printf hello | cat`` through a fake helper."""

    def run(
        *after: str | float, before: list[str | float] | None = None, status: int = 0
    ) -> PipelineResult:
        helper = install(tmp_path, before=before, after=list(after), status=status)
        either_way.setenv("CUPRUM_PUMP", str(helper))
        either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
        return (command("printf", "hello") | cat()).run_sync(timeout=10)

    return run


HOP_STARVED = HOP.replace('"wait_input_ns":0', '"wait_input_ns":2500000')
GOOD = {
    "as it should be": ([HOP, END], None),
    "in one write": ([HOP + END], [START]),
    "in pieces": (
        [HOP[:9], 0.05, HOP[9:70], 0.05, HOP[70:] + END[:5], 0.05, END[5:]],
        [START[:20], 0.05, START[20:]],
    ),
    "unknown events": (['{"event":"sing","song":[1,{}]}\n', HOP, END], None),
    "unknown members": (
        [HOP.replace("{", '{"colour":"red","more":{"a":[1]},', 1), END],
        None,
    ),
    "progress": (
        [
            '{"event":"progress","hop":0,"read":1,"written":1,"waiting":"input",'
            '"wait_input_ns":1,"wait_output_ns":0,"elapsed_ms":5}\n',
            HOP,
            END,
        ],
        None,
    ),
}


@pytest.mark.parametrize(("after", "before"), GOOD.values(), ids=GOOD)
def test_records_may_come_in_any_portions_and_with_more_than_we_know(
    run_with: Callable[..., PipelineResult],
    after: list[str | float],
    before: list[str | float] | None,
) -> None:
    result = run_with(*after, before=before)
    assert result.ok
    assert result.stdout == "hello"
    assert result.hops[0].bytes_written == 5


def test_figures_are_taken_over(run_with: Callable[..., PipelineResult]) -> None:
    (hop,) = run_with(HOP_STARVED, END).hops
    assert (hop.engine, hop.broken_pipe, hop.drain) == ("copy", False, None)
    assert hop.waited_for_input == pytest.approx(0.0025)
    assert hop.elapsed == pytest.approx(0.001)


BAD_HOP = (
    HOP.replace('"written":@moved', '"written":2')
    .replace('"discarded":0', '"discarded":3')
    .replace(
        '"errno":0,"error":null,"side":null',
        '"errno":28,"error":"ENOSPC","side":"write"',
    )
)
BAD_END = '{"event":"end","errno":28,"error":"ENOSPC"}\n'


def test_a_hop_that_failed_is_an_error_with_its_figures(
    run_with: Callable[..., PipelineResult],
) -> None:
    with pytest.raises(PumpError) as caught:
        run_with(BAD_HOP, BAD_END, status=74)
    error = caught.value
    assert error.errno == errno.ENOSPC
    assert (error.hop, error.side) == (0, "write")
    assert error.report is not None
    assert (error.report.bytes_written, error.report.bytes_discarded) == (2, 3)
    assert error.reports == (error.report,)
    assert "ENOSPC" in str(error) or "No space left" in str(error)


SHORT = {
    "no record at all": [],
    "no end": [HOP],
    "no hop": [END],
    "half an end": [HOP, END[:-9]],
    "an end without its newline": [HOP, END.rstrip("\n")],
    "garbage": ["\x00\xff\xfe garbage\n"],
    "garbage between": [HOP, "}{\n", END],
    "no JSON object": [HOP, "[1, 2]\n", END],
    "counts that do not add up": [HOP.replace('"written":@moved', '"written":1'), END],
    "a count that is a text": [HOP.replace('"read":@moved', '"read":"5"'), END],
    "a hop that there is not": [HOP.replace('"hop":0', '"hop":7'), END],
    "an end with an error": [HOP, BAD_END],
}


@pytest.mark.parametrize("after", SHORT.values(), ids=SHORT)
def test_a_report_that_is_not_whole_is_never_a_success(
    run_with: Callable[..., PipelineResult], after: list[str | float]
) -> None:
    with pytest.raises(PumpError) as caught:
        run_with(*after)
    assert caught.value.errno


@pytest.mark.parametrize("after", SHORT.values(), ids=SHORT)
def test_nor_if_it_comes_with_the_start(
    run_with: Callable[..., PipelineResult], after: list[str | float]
) -> None:
    # Data may have moved by the time one reads what came in one go.
    with pytest.raises(PumpError) as caught:
        run_with(before=["".join([START, *map(str, after)]).replace("@moved", "5")])
    assert caught.value.errno


NO_START = {
    "nothing": ([], PumpUnavailableError),
    "another protocol": (
        [START.replace('"protocol":1', '"protocol":2')],
        PumpUnavailableError,
    ),
    "garbage": (["garbage\n"], (PumpUnavailableError, PumpError)),
    "no protocol": (
        [START.replace('"protocol":1,', "")],
        (PumpUnavailableError, PumpError),
    ),
    "an endless line": (["x" * 100_000], (PumpUnavailableError, PumpError)),
}


@pytest.mark.parametrize(("before", "error"), NO_START.values(), ids=NO_START)
def test_a_helper_that_does_not_start_properly_moves_nothing(
    either_way: pytest.MonkeyPatch,
    tmp_path: Path,
    before: list[str | float],
    error: type[Exception],
) -> None:
    helper = install(tmp_path, before=before, after=None, status=1)
    either_way.setenv("CUPRUM_PUMP", str(helper))
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
    with pytest.raises(error):
        (command("printf", "hello") | cat()).run_sync(timeout=10)


def test_what_the_helper_says_on_standard_error_is_not_lost(
    either_way: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    helper = install(tmp_path, after=[])
    text = helper.read_text()
    said = "cuprum-pump: the disk is on fire"
    helper.write_text(text.replace("exec ", f"echo '{said}' >&2\nexec ", 1))
    either_way.setenv("CUPRUM_PUMP", str(helper))
    either_way.setenv("CUPRUM_STREAM_BACKEND", "helper")
    caplog.set_level(logging.DEBUG, "cuprum")
    with pytest.raises(PumpError) as caught:
        (shell("echo hello") | cat()).run_sync(timeout=10)
    places = [str(caught.value), caplog.text, capfd.readouterr().err]
    assert any(said in place for place in places)
