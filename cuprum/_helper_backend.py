"""Finding the cuprum-pump binary, and asking it whether it is the one we need."""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cuprum.pump import PumpUnavailableError

__all__ = [
    "PROTOCOL",
    "find_defect",
    "find_helper",
    "is_available",
    "is_configured",
    "places",
    "require_helper",
]

PROTOCOL = 1
"""The number of the status protocol that this package speaks."""

_NAME = "cuprum-pump"
_VARIABLE = "CUPRUM_PUMP"
_PACKAGE = Path(__file__).resolve().parent
_RECORDED = _PACKAGE / "_helper_path.txt"
_PROBE_SECONDS = 10.0
"""``--version`` takes a millisecond; this is for a machine at its limits."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to look: what to call it, and the file there, if it names one."""

    label: str
    path: Path | None


def places() -> tuple[Place, ...]:
    """List where the helper is looked for, in order."""
    configured = os.environ.get(_VARIABLE)
    if configured:
        # The user's word: nothing else is tried.
        return (Place(f"{_VARIABLE}={configured}", Path(configured)),)
    bundled = _PACKAGE / "_bin" / _NAME
    recorded = _recorded_path()
    path = os.environ.get("PATH", os.defpath)
    found = shutil.which(_NAME, path=path)
    return (
        Place(f"{_VARIABLE} (not set)", None),
        Place(str(bundled), bundled),
        Place(f"{recorded or 'no path'} (recorded in {_RECORDED})", recorded),
        Place(f"{_NAME} on PATH ({path})", Path(found).absolute() if found else None),
    )


def _recorded_path() -> Path | None:
    """Return the path that the installation wrote down beside the modules."""
    try:
        line = _RECORDED.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(line) if line else None


def is_configured() -> bool:
    """Tell whether the user has named the binary, and nothing else is to be tried."""
    return bool(os.environ.get(_VARIABLE))


@functools.cache
def find_helper() -> Path | None:
    """Return the first helper that answers; None if there is none anywhere.

    Raises:
        PumpUnavailableError: there are helpers, and none of them is usable. Final
            if ``CUPRUM_PUMP`` is set, whose word counts alone.
    """
    defects: list[str] = []
    tried = places()
    for place in tried:
        if place.path is None or not (is_configured() or place.path.exists()):
            continue
        defect = find_defect(place.path)
        if defect is None:
            _logger.debug("helper found: %s", place.label)
            return place.path
        _logger.warning(
            "helper at %s is unusable: %s",
            place.path,
            defect,
            extra={"event": "cuprum.helper_probe_failed", "path": str(place.path)},
        )
        defects.append(f"{place.label}: {defect}")
    if defects:
        raise PumpUnavailableError("; ".join(defects), is_final=is_configured())
    labels = tuple(place.label for place in tried)
    _logger.debug(
        "no helper found; tried %s",
        "; ".join(labels),
        extra={"event": "cuprum.helper_probe_missing", "paths_tried": labels},
    )
    return None


def find_defect(path: Path) -> str | None:
    """Say why ``path`` cannot serve as the helper, or None if it can."""
    if not path.is_absolute():
        return "not an absolute path"
    if not path.is_file():
        return "not a regular file" if path.exists() else "no such file"
    if not os.access(path, os.X_OK):
        return "not executable"
    try:
        # With DEVNULL, `subprocess` leaves one open where pipe(2) finds no more.
        with open(os.devnull, "r+b") as nothing:
            answer = subprocess.run(
                [path, "--version"],
                stdin=nothing,
                stdout=subprocess.PIPE,
                stderr=nothing,
                timeout=_PROBE_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return f"--version gave no answer within {_PROBE_SECONDS:g} s"
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    protocol = re.search(rb"^protocol (\d+)$", answer.stdout, re.MULTILINE)
    if answer.returncode != 0 or protocol is None:
        return f"does not answer --version as {_NAME} does"
    if int(protocol[1]) != PROTOCOL:
        return f"speaks protocol {int(protocol[1])}, not {PROTOCOL}"
    return None


def is_available() -> bool:
    """Tell whether a helper was found that answers; see `find_helper`."""
    return find_helper() is not None


def require_helper() -> Path:
    """Return the helper's path.

    Raises:
        PumpUnavailableError: there is none; the message says what was tried.
    """
    path = find_helper()
    if path is None:
        tried = "; ".join(place.label for place in places())
        raise PumpUnavailableError(f"no {_NAME} found; tried: {tried}")
    return path
