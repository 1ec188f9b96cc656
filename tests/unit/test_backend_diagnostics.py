"""What the choice of a backend leaves in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from cuprum import _helper_backend, is_helper_available
from cuprum._backend import get_stream_backend, set_helper_availability_for_testing

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "CUPRUM_STREAM_BACKEND"


def events(
    caplog: pytest.LogCaptureFixture, name: str, level: int
) -> dict[str, logging.LogRecord]:
    """Return the records of logger *name* at *level* by their ``event``."""
    return {
        record.__dict__.get("event", ""): record
        for record in caplog.records
        if record.name == name and record.levelno == level
    }


@pytest.fixture
def log(
    fresh_backend: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """Return caplog, set to see everything of the package and with nothing in it."""
    caplog.set_level(logging.DEBUG, "cuprum")
    caplog.clear()
    return caplog


@pytest.mark.parametrize(
    ("requested", "available", "resolved"),
    [("auto", True, "helper"), ("auto", False, "python"), ("helper", True, "helper")],
)
def test_a_resolution_is_logged(
    fresh_backend: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    requested: str,
    resolved: str,
    *,
    available: bool,
) -> None:
    set_helper_availability_for_testing(is_available=available)
    fresh_backend.setenv(VARIABLE, requested)
    get_stream_backend()
    found = events(log, "cuprum._backend", logging.DEBUG)
    record = found["cuprum.stream_backend_resolved"].__dict__
    assert record["requested_backend"] == requested
    assert record["resolved_backend"] == resolved
    assert record["helper_available"] is available


def test_python_says_that_nothing_was_probed(
    fresh_backend: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    fresh_backend.setenv(VARIABLE, "python")
    get_stream_backend()
    found = events(log, "cuprum._backend", logging.DEBUG)
    record = found["cuprum.stream_backend_resolved"].__dict__
    assert record["helper_available"] is None


@pytest.mark.parametrize(
    ("outcome", "known"), [(False, False), (ImportError("broken"), None)]
)
def test_a_forced_helper_that_is_unavailable_is_a_warning(
    fresh_backend: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
    outcome: object,
    known: object,
) -> None:
    def is_available() -> bool:
        if isinstance(outcome, Exception):
            raise outcome
        return bool(outcome)

    fresh_backend.setattr(_helper_backend, "is_available", is_available)
    fresh_backend.setenv(VARIABLE, "helper")
    with pytest.raises(ImportError):
        get_stream_backend()
    found = events(log, "cuprum._backend", logging.WARNING)
    record = found["cuprum.stream_backend_unavailable"].__dict__
    assert record["requested_backend"] == "helper"
    assert record["helper_available"] is known


def test_the_test_override_is_logged(log: pytest.LogCaptureFixture) -> None:
    set_helper_availability_for_testing(is_available=False)
    found = events(log, "cuprum._backend", logging.DEBUG)
    record = found["cuprum.helper_availability_override_updated"].__dict__
    assert record["override_active"] is True
    assert record["helper_availability_override"] is False


def test_places_tried_are_logged_where_there_is_no_helper(
    fresh_backend: pytest.MonkeyPatch, log: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    fresh_backend.delenv("CUPRUM_PUMP", raising=False)
    fresh_backend.setenv("PATH", str(tmp_path))
    assert is_helper_available() is False
    found = events(log, "cuprum._helper_backend", logging.DEBUG)
    record = found["cuprum.helper_probe_missing"].__dict__
    tried = [str(place) for place in record["paths_tried"]]
    assert any("_bin/cuprum-pump" in place for place in tried)
    assert any("PATH" in place for place in tried)


def test_a_helper_that_does_not_answer_is_a_warning(
    fresh_backend: pytest.MonkeyPatch, log: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "cuprum-pump"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    fresh_backend.setenv("CUPRUM_PUMP", str(broken))
    with pytest.raises(ImportError):
        is_helper_available()
    found = events(log, "cuprum._helper_backend", logging.WARNING)
    assert str(found["cuprum.helper_probe_failed"].__dict__["path"]) == str(broken)
