"""CUPRUM_STREAM_BACKEND, the probe behind it, and what is cached."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import pytest

from cuprum import PumpUnavailableError, _backend, _helper_backend, is_helper_available
from cuprum._backend import (
    StreamBackend,
    get_stream_backend,
    set_helper_availability_for_testing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "CUPRUM_STREAM_BACKEND"


@pytest.fixture
def probe(fresh_backend: pytest.MonkeyPatch) -> Callable[[object], list[str]]:
    """Return a function that replaces the probe and returns the list of its calls."""

    def replace(outcome: object) -> list[str]:
        calls: list[str] = []

        def is_available() -> bool:
            calls.append("probe")
            if isinstance(outcome, Exception):
                raise outcome
            return bool(outcome)

        fresh_backend.setattr(_helper_backend, "is_available", is_available)
        return calls

    return replace


def test_the_backends() -> None:
    assert issubclass(StreamBackend, enum.StrEnum)
    names = [(member.name, member.value) for member in StreamBackend]
    assert sorted(names) == [
        ("AUTO", "auto"),
        ("HELPER", "helper"),
        ("PYTHON", "python"),
    ]


BROKEN = ImportError("the helper does not start")


@pytest.mark.parametrize(
    ("requested", "outcome", "resolved"),
    [
        ("helper", True, StreamBackend.HELPER),
        ("auto", True, StreamBackend.HELPER),
        ("auto", False, StreamBackend.PYTHON),
        ("auto", BROKEN, StreamBackend.PYTHON),
        (None, True, StreamBackend.HELPER),
        (None, False, StreamBackend.PYTHON),
        ("", True, StreamBackend.HELPER),
        (" \t\n", False, StreamBackend.PYTHON),
        ("  HeLpEr\n", True, StreamBackend.HELPER),
        ("AUTO", False, StreamBackend.PYTHON),
        (" Python ", BROKEN, StreamBackend.PYTHON),
    ],
)
def test_resolution(
    fresh_backend: pytest.MonkeyPatch,
    probe: Callable[[object], list[str]],
    requested: str | None,
    outcome: object,
    resolved: StreamBackend,
) -> None:
    probe(outcome)
    if requested is not None:
        fresh_backend.setenv(VARIABLE, requested)
    assert get_stream_backend() is resolved


@pytest.mark.parametrize("value", ["rust", "helper,python", "1"])
def test_an_unknown_backend_is_refused(
    fresh_backend: pytest.MonkeyPatch, value: str
) -> None:
    fresh_backend.setenv(VARIABLE, f" {value.upper()} ")
    with pytest.raises(ValueError, match=VARIABLE) as caught:
        get_stream_backend()
    told = f"invalid {VARIABLE} value '{value}'; expected one of: auto, helper, python"
    assert str(caught.value) == told


def test_python_does_not_probe(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    calls = probe(AssertionError("probed"))
    fresh_backend.setenv(VARIABLE, "python")
    assert get_stream_backend() is StreamBackend.PYTHON
    assert calls == []


def test_a_forced_helper_that_is_absent_is_an_import_error(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    probe(False)
    fresh_backend.setenv(VARIABLE, "helper")
    with pytest.raises(PumpUnavailableError) as caught:
        get_stream_backend()
    told = (
        "Helper stream backend requested via CUPRUM_STREAM_BACKEND=helper "
        "but the cuprum-pump helper is not available"
    )
    assert str(caught.value).startswith(told)


def test_a_forced_helper_hands_on_what_the_probe_raised(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    probe(BROKEN)
    fresh_backend.setenv(VARIABLE, "helper")
    with pytest.raises(ImportError) as caught:
        get_stream_backend()
    assert caught.value is BROKEN


def test_the_first_resolution_stays(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    probe(True)
    fresh_backend.setenv(VARIABLE, "python")
    assert get_stream_backend() is StreamBackend.PYTHON
    fresh_backend.setenv(VARIABLE, "helper")
    assert get_stream_backend() is StreamBackend.PYTHON


def test_a_failure_is_not_kept(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    probe(True)
    fresh_backend.setenv(VARIABLE, "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        get_stream_backend()
    fresh_backend.setenv(VARIABLE, "helper")
    assert get_stream_backend() is StreamBackend.HELPER


@pytest.mark.parametrize("answer", [True, False])
def test_the_probe_runs_once(
    probe: Callable[[object], list[str]], *, answer: bool
) -> None:
    calls = probe(answer)
    for _ in range(3):
        assert is_helper_available() is answer
        get_stream_backend()
    assert calls == ["probe"]


def test_the_query_does_not_look_at_the_variable(
    fresh_backend: pytest.MonkeyPatch, probe: Callable[[object], list[str]]
) -> None:
    probe(True)
    fresh_backend.setenv(VARIABLE, "python")
    assert is_helper_available() is True
    assert get_stream_backend() is StreamBackend.PYTHON


def test_the_query_hands_on_what_the_probe_raised(
    probe: Callable[[object], list[str]],
) -> None:
    probe(BROKEN)
    with pytest.raises(ImportError) as caught:
        is_helper_available()
    assert caught.value is BROKEN
    assert get_stream_backend() is StreamBackend.PYTHON


def test_the_test_override_takes_effect_at_once(
    probe: Callable[[object], list[str]],
) -> None:
    calls = probe(False)
    set_helper_availability_for_testing(is_available=True)
    assert is_helper_available() is True
    assert get_stream_backend() is StreamBackend.HELPER
    set_helper_availability_for_testing(is_available=False)
    assert is_helper_available() is False
    assert get_stream_backend() is StreamBackend.PYTHON
    assert calls == []
    set_helper_availability_for_testing(is_available=None)
    assert is_helper_available() is False
    assert calls == ["probe"]


def test_both_caches_can_be_cleared(fresh_backend: pytest.MonkeyPatch) -> None:
    fresh_backend.setenv(VARIABLE, "python")
    assert get_stream_backend() is StreamBackend.PYTHON
    fresh_backend.setenv(VARIABLE, "nonsense")
    _backend.get_stream_backend.cache_clear()
    with pytest.raises(ValueError, match="nonsense"):
        get_stream_backend()
