"""The options of a pump and its errors."""

from __future__ import annotations

import math

import pytest

from cuprum import PumpError, PumpOptions, PumpUnavailableError


def test_defaults() -> None:
    options = PumpOptions()
    assert options.buffer_size == 65536
    assert options.pipe_size == "auto"
    assert options.engine == "auto"
    assert options.drain == 0.25


@pytest.mark.parametrize(
    "fields",
    [
        {"buffer_size": 1},
        {"buffer_size": 1 << 30},
        {"pipe_size": "keep"},
        {"pipe_size": 4096},
        {"engine": "splice"},
        {"engine": "copy"},
        {"drain": None},
        {"drain": 0},
        {"drain": 3.5},
    ],
    ids=str,
)
def test_good_values_are_kept(fields: dict[str, object]) -> None:
    options = PumpOptions(**fields)  # type: ignore[arg-type]
    ((name, value),) = fields.items()
    assert getattr(options, name) == value


@pytest.mark.parametrize(
    "fields",
    [
        {"buffer_size": 0},
        {"buffer_size": -1},
        {"buffer_size": (1 << 30) + 1},
        {"buffer_size": "64K"},
        {"buffer_size": 1.5},
        {"buffer_size": None},
        {"pipe_size": 0},
        {"pipe_size": -4096},
        {"pipe_size": "big"},
        {"pipe_size": None},
        {"engine": "turbo"},
        {"engine": ""},
        {"engine": "python"},
        {"drain": -0.1},
        {"drain": math.nan},
        {"drain": "forever"},
    ],
    ids=str,
)
def test_a_bad_value_is_refused_with_its_name(fields: dict[str, object]) -> None:
    ((name, value),) = fields.items()
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        PumpOptions(**fields)  # type: ignore[arg-type]
    assert str(value) in str(caught.value)


def test_unavailable_is_an_import_error() -> None:
    # Code written for an optional native extension catches ImportError.
    assert issubclass(PumpUnavailableError, ImportError)


def test_a_pump_error_is_an_os_error() -> None:
    assert issubclass(PumpError, OSError)
