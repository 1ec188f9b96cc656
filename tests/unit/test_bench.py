"""The benchmarks' own reasoning: statistics, verdicts, reports, and one real run."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import describe
from bench.pairs import interval, ratios
from bench.plan import GATES, GOALS, SCENARIOS, Scenario
from bench.ratchet import BaselineError, judge, read_baseline
from bench.report import markdown, page, tables
from bench.results import Results
from bench.rounds import is_quiet, quietest
from bench.ways import WAYS
from bench.worker import Sample, take_in_another_process
from tests.support.paths import TOP

GATE = "a gate"


def rounds(
    median: float, *, spread: float, count: int = 12, seed: int = 1
) -> list[float]:
    """Return ratios as rounds give them: about that median, now and then an outlier."""
    chance = random.Random(seed)
    return [
        median * chance.lognormvariate(0, spread) * (3 if chance.random() < 0.05 else 1)
        for _ in range(count)
    ]


# --- Statistics -----------------------------------------------------------------------


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        interval([])


def test_of_one_value_nothing_is_sure() -> None:
    assert interval([7]).confidence == 0
    assert interval([7]).low == interval([7]).high == 7


@pytest.mark.parametrize("count", [6, 9, 12, 30, 101])
def test_the_interval_has_the_true_median_as_often_as_it_says(count: int) -> None:
    chance = random.Random(count)
    found = [
        interval([chance.lognormvariate(0, 1) for _ in range(count)])
        for _ in range(2000)
    ]
    promised = found[0].confidence
    assert promised >= 0.95
    assert all(each.low <= each.median <= each.high for each in found)
    hits = sum(each.low <= 1 <= each.high for each in found)
    assert hits / len(found) == pytest.approx(promised, abs=0.02)


def test_more_rounds_make_it_narrower() -> None:
    def width(count: int) -> float:
        found = interval(rounds(1, spread=0.1, count=count))
        return found.high - found.low

    assert width(200) < width(40) < width(8)


def test_one_bad_round_does_not_count() -> None:
    quiet = rounds(1, spread=0.01)
    assert interval([*quiet[1:], 50]).high < 1.1


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([2, 30], [1, 10]) == [2, 3]
    with pytest.raises(ValueError, match="argument 2"):
        ratios([1, 2], [1])


# --- Rounds ---------------------------------------------------------------------------


def disturbed(*others: float) -> dict[str, Sample]:
    """Return a round in which others took so many processors from each way."""
    return {str(n): Sample({"others": each}) for n, each in enumerate(others)}


def test_a_round_is_as_quiet_as_its_worst_sample() -> None:
    assert is_quiet(disturbed(0.0, 0.09))
    assert not is_quiet(disturbed(0.0, 0.5))


def test_the_quietest_rounds_are_kept_in_their_order() -> None:
    a, b, c, d = disturbed(0.3, 0), disturbed(0, 2), disturbed(0), disturbed(0.2)
    assert quietest([a, b, c, d], 3) == [a, c, d]
    assert quietest([a, b], 3) == [a, b]


# --- The ratchet ----------------------------------------------------------------------


def judged(now: list[float], baseline: list[float]) -> str:
    return judge({GATE: now}, {GATE: baseline})[GATE][0]


@pytest.mark.parametrize("seed", range(20))
def test_a_regression_is_found(seed: int) -> None:
    before = rounds(0.5, spread=0.02, seed=seed)
    assert judged(rounds(0.6, spread=0.02, seed=seed + 100), before) == "slower"


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.2, 1])
def test_noise_is_no_regression(spread: float) -> None:
    words = [
        judged(
            rounds(0.5, spread=spread, seed=seed),
            rounds(0.5, spread=spread, seed=seed + 1000),
        )
        for seed in range(500)
    ]
    assert words.count("slower") <= (0 if spread <= 0.2 else 5)


def test_a_change_within_the_limit_is_none() -> None:
    assert judged(rounds(1.03, spread=0.01), rounds(1, spread=0.01)) == "as before"


def test_what_the_spread_hides_is_said_to_be_unclear() -> None:
    assert judged(rounds(1.3, spread=0.4), rounds(1, spread=0.4)) == "unclear"


def test_too_few_quiet_rounds_allow_no_verdict() -> None:
    assert judge({GATE: [9.0] * 5}, {GATE: [1.0] * 12}) == {GATE: ("unclear", None)}


def test_an_improvement_is_told() -> None:
    assert judged(rounds(0.5, spread=0.01), rounds(1, spread=0.01)) == "faster"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a baseline"),
        ("[]", "not a baseline"),
        ("{}", "not a baseline"),
        ('{"ratios": 1}', "no object"),
        ('{"ratios": {}}', "no list for 'a gate'"),
        ('{"ratios": {"a gate": 1}}', "no list for 'a gate'"),
        ('{"ratios": {"a gate": [1, 1, 1, 1, 1]}}', "fewer than 6"),
        ('{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]}}', "0.0 is no ratio"),
        ('{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, -1.0]}}', "-1.0 is no ratio"),
        ('{"ratios": {"a gate": [1, 1, 1, 1, 1, 1]}}', "1 is no ratio"),
        ('{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, true]}}', "True is no ratio"),
        ('{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, "1"]}}', "'1' is no ratio"),
        ('{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, NaN]}}', "nan is no ratio"),
        (
            '{"ratios": {"a gate": [1.0, 1.0, 1.0, 1.0, 1.0, Infinity]}}',
            "inf is no ratio",
        ),
    ],
)
def test_a_malformed_baseline_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BaselineError, match=re.escape(complaint)):
        read_baseline(text, [GATE])


def test_the_ratchet_tells_a_missing_baseline_from_a_regression(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.ratchet", str(tmp_path / "none.json")]
    done = subprocess.run(argv, cwd=TOP, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_the_committed_baseline_has_all_gates() -> None:
    names = [gate.name for gate in GATES]
    text = (TOP / "bench" / "baseline.json").read_text()
    assert list(read_baseline(text, names)) == names


# --- The plan -------------------------------------------------------------------------


def test_the_plan_names_what_there_is() -> None:
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    assert len(scenarios) == len(SCENARIOS)
    assert all(way in WAYS for each in SCENARIOS for way in each.ways)
    for goal in GOALS:
        assert {goal.way, goal.against or goal.way} <= set(
            scenarios[goal.scenario].ways
        )
    assert all(len(gate.scenario.ways) == 2 for gate in GATES)


# --- The report -----------------------------------------------------------------------


def canned(tmp_path: Path) -> Results:
    """Return results as a run leaves them, read back from their file."""
    scenario = Scenario("size-8GB", "8 GB | <through>", ("shell", "helper"), 8 * 10**9)
    results = Results(rounds=2, scenarios={scenario.name: scenario})
    results.samples[scenario.name] = {
        "shell": [Sample({"seconds": 4.0, "cpu": 5.0, "others": 0.0}, [4.0])] * 2,
        "helper": [
            Sample(
                {"seconds": 1.0, "cpu": 2.0, "others": 0.5, "helper.memory": 1 << 20},
                [1.0],
            )
        ]
        * 2,
    }
    results.micro["step"] = [1e-6, 2e-6, 3e-6, 4e-6, 5e-6]
    results.save(tmp_path / "results.json")
    loaded = Results.load(tmp_path / "results.json")
    assert loaded == results
    return loaded


def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    text = markdown(canned(tmp_path))
    assert "| cuprum, helper | 1000 | 1000–1000 | 8 | 0.25 | 0.25–0.25 |" in text
    assert (
        "| twice the speed of the shell's pipe | 0.5 of the shell's pipe | 0.25 "
        in text
    )
    assert "not measured" in text
    assert "| step | 3 | 1–5 |" in text


def test_the_page_has_all_tables_and_plots(tmp_path: Path) -> None:
    results = canned(tmp_path)
    text = page(results, [("a <plot>", "<svg></svg>")])
    assert text.count("<table>") == len(tables(results))
    assert "<h2>a &lt;plot&gt;</h2>\n<svg></svg>" in text
    assert "8 GB | &lt;through&gt;" in text


def test_a_goal_that_is_missed_is_told(tmp_path: Path) -> None:
    results = canned(tmp_path)
    ways = results.samples["size-8GB"]
    ways["helper"], ways["shell"] = ways["shell"], ways["helper"]
    rows = markdown(results).splitlines()
    (row,) = (row for row in rows if row.startswith("| twice"))
    assert row.endswith("| 4 | 4–4 | missed |")


def test_a_run_that_was_cut_short_judges_no_goals(tmp_path: Path) -> None:
    results = canned(tmp_path)
    results.is_smoke = True
    assert "## Goals" not in markdown(results)


def test_the_machine_is_described_without_names_and_paths() -> None:
    facts = describe()
    assert set(facts) == {"kernel", "processor", "cores", "virtual", "load", "python"}
    assert facts["cores"] == os.cpu_count()
    assert "/" not in str(facts)


# --- For real -------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["shell", "direct", "helper", "python", "asyncio"])
def test_a_sample_counts_what_was_used(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TOP))
    scenario = Scenario("tiny", "", (way,), size=6, capture="text", tiny=True)
    figures = take_in_another_process(scenario, way).figures
    assert 0 < figures["seconds"] < 10
    assert 0 < figures["cpu"] < 10
    assert ("helper.memory" in figures) == (way == "helper")


def test_what_does_not_arrive_is_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TOP))
    scenario = Scenario("tiny", "", ("shell",), size=7, capture="text", tiny=True)
    with pytest.raises(subprocess.CalledProcessError):
        take_in_another_process(scenario, "shell")
