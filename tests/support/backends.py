"""The fixtures that choose the stream backend, and see that it was used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cuprum import PipelineResult
from cuprum._backend import set_helper_availability_for_testing
from tests.support.paths import BUILT_HELPER

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure() -> None:
    """Test the helper that was built here, unless CUPRUM_PUMP names another."""
    if "CUPRUM_PUMP" not in os.environ and BUILT_HELPER.exists():
        os.environ["CUPRUM_PUMP"] = str(BUILT_HELPER)


def forget_backend() -> None:
    """Clear what the package remembers of backends and helpers."""
    set_helper_availability_for_testing(is_available=None)


@pytest.fixture
def helper_path() -> Path:
    """Return the helper under test; skip, and say why, where there is none."""
    named = os.environ.get("CUPRUM_PUMP")
    if not named:
        pytest.skip(f"no helper: {BUILT_HELPER} is not built, CUPRUM_PUMP not set")
    return Path(named)


@pytest.fixture
def fresh_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Start, and leave, with nothing cached and no backend chosen."""
    monkeypatch.delenv("CUPRUM_STREAM_BACKEND", raising=False)
    forget_backend()
    yield monkeypatch
    forget_backend()


@pytest.fixture(params=["warm", "own"])
def either_way(
    request: pytest.FixtureRequest, fresh_backend: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Run the test with helpers that are kept, and with one for each pipeline."""
    fresh_backend.setenv("CUPRUM_PUMP_WARM", "0" if request.param == "own" else "1")
    return fresh_backend


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[PipelineResult]:
    """Collect every PipelineResult that is made during the test."""
    made: list[PipelineResult] = []
    construct = PipelineResult.__init__

    def note(self: PipelineResult, *args: object, **fields: object) -> None:
        construct(self, *args, **fields)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(PipelineResult, "__init__", note)
    return made


@pytest.fixture(params=["helper", "python"])
def stream_backend(
    request: pytest.FixtureRequest,
    fresh_backend: pytest.MonkeyPatch,
    results: list[PipelineResult],
) -> Iterator[str]:
    """Run the test on each backend; fail it if another one moved the data."""
    backend: str = request.param
    if backend == "helper":
        request.getfixturevalue("helper_path")
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", backend)
    yield backend
    for result in results:
        assert len(result.hops) == len(result.stages) - 1
        for hop in result.hops:
            assert (hop.engine == "python") == (backend == "python"), hop
