"""What a caller gave is of its kind, or is refused in one line that names it."""

from __future__ import annotations

import math
from io import UnsupportedOperation
from pathlib import Path
from reprlib import repr as short_repr
from types import UnionType
from typing import Any, TypeAlias

__all__ = ["check_file", "check_seconds", "check_type"]

Kind: TypeAlias = type | UnionType | tuple[()]


def check_type(name: str, given: object, kind: Kind, what: str, but: Kind = ()) -> None:
    """Raise TypeError unless ``given`` is of a kind that is taken; ``but`` is not."""
    if not isinstance(given, kind) or isinstance(given, but):
        raise TypeError(f"{name} takes {what}, not {short_repr(given)}")


def check_function(name: str, given: object) -> None:
    """Raise TypeError unless ``given`` can be called."""
    if not callable(given):
        raise TypeError(f"{name} takes a function, not {short_repr(given)}")


def check_file(name: str, file: Any) -> None:  # noqa: ANN401  it is what we look at
    """Raise TypeError unless ``file`` is a path, a descriptor, or has one."""
    if isinstance(file, str | Path | int):
        return
    try:
        file.fileno()
    except (AttributeError, UnsupportedOperation):
        given = short_repr(file)
        raise TypeError(f"{name} takes a file with a descriptor, not {given}") from None
    except ValueError:
        pass  # closed by now: an error of the run, not of the type


def check_seconds(
    name: str, given: float, least: float = -math.inf, most: float = math.inf
) -> None:
    """Raise TypeError or ValueError unless that is a number within these limits."""
    check_type(name, given, int | float, "seconds", but=bool)
    if not least <= given <= most:  # nan is never
        raise ValueError(f"{name} cannot be {given} seconds")
