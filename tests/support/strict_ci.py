"""A plugin for continuous integration: with CI set, a skip is a failure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_not_run: list[str] = []


def _note(nodeid: str, longrepr: object) -> None:
    # A skip is (file, line, reason); an expected failure is a traceback.
    reason = longrepr[2] if isinstance(longrepr, tuple) else "expected failure"
    _not_run.append(f"{nodeid}: {reason}")


def pytest_configure() -> None:
    """Forget what an earlier session in this process noted."""
    _not_run.clear()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note each test that was skipped or marked as an expected failure."""
    if report.skipped or hasattr(report, "wasxfail"):
        _note(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note each module that was skipped as a whole."""
    if report.skipped:
        _note(report.nodeid, report.longrepr)


def _failures() -> Sequence[str]:
    return _not_run if os.environ.get("CI") else ()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the run fail where something was left out."""
    if _failures() and session.exitstatus in {0, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out."""
    for line in _failures():
        terminalreporter.write_line(f"CI is set, so a skip is a failure: {line}")
