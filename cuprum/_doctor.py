"""What pipelines would be pumped by on this machine, and how fast."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

from cuprum import Program, ProgramCatalogue, ProjectSettings, sh
from cuprum._backend import StreamBackend, get_stream_backend
from cuprum._helper_backend import find_defect, places

__all__ = ["examine"]

_Report: TypeAlias = dict[str, "str | int | float | _Report | None"]

_VARIABLE = "CUPRUM_STREAM_BACKEND"
_WRITE = """
import os, time
block, end = bytes(65536), time.monotonic() + 1
while time.monotonic() < end: os.write(1, block)
"""
_COUNT = """
import os
block, total = bytearray(262144), 0
while count := os.readv(0, [block]): total += count
print(total)
"""


def examine(*, as_json: bool) -> int:
    """Print the findings; return the exit status.

    Returns:
        0 if the helper would be used, 1 if the Python pump would be, 78 if what the
        environment demands cannot be had, 74 if the self-test failed.

    Raises:
        OSError: they cannot be printed.
    """
    looked, helper = _look()
    said = _ask(helper, "--version") if helper else ""
    facts = dict(re.findall(r"^([\w-]+):? (.*)$", said, re.MULTILINE))
    sandbox = re.search(r'"sandbox":"(\w+)"', _ask(helper, "-s2") if helper else "")
    backend, why = _choose()
    test: _Report = _self_test() if backend else {"error": "not run"}
    report: _Report = {
        "backend": backend,
        "why": why,
        "places": looked,
        "helper": helper and str(helper),
        "version": facts.get("cuprum-pump"),
        "protocol": facts.get("protocol"),
        "splice": "+splice" in facts.get("features", ""),
        "sandbox": sandbox and sandbox[1],
        "pipe-max-size": _limit("pipe-max-size"),
        "pipe-user-pages-soft": _limit("pipe-user-pages-soft"),
        "self_test": test,
    }
    # Not sys.stdout, which would try once more at exit what it could not write.
    with open(1, "w", errors="backslashreplace", closefd=False) as stdout:
        text = json.dumps(report, indent=2) if as_json else _as_text(report)
        print(text, file=stdout)
    if backend is None:
        return os.EX_CONFIG
    return os.EX_IOERR if test["error"] else int(backend != StreamBackend.HELPER)


def _look() -> tuple[_Report, Path | None]:
    """Return what is at each place, and the first helper that is usable."""
    looked: _Report = {}
    helper: Path | None = None
    for place in places():
        if helper is not None:
            looked[place.label] = "not looked at"
        elif place.path is None:
            looked[place.label] = "nothing"
        elif defect := find_defect(place.path):
            looked[place.label] = defect
        else:
            helper = place.path
            looked[place.label] = "usable"
    return looked, helper


def _ask(helper: Path, option: str) -> str:
    """Return what a helper says that has nothing to move."""
    return subprocess.run(
        [helper, option],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=10,
    ).stdout


def _choose() -> tuple[str | None, str]:
    """Return the backend, None if pipelines would be refused, and the reason."""
    try:
        backend = get_stream_backend()
    except (ValueError, ImportError) as error:
        return None, str(error)
    requested = os.environ.get(_VARIABLE) or "not set"
    if requested.strip().lower() == backend:
        return backend, f"{_VARIABLE} is {requested}"
    found = "a" if backend == StreamBackend.HELPER else "no"
    return backend, f"{_VARIABLE} is {requested}; {found} usable helper is there"


def _limit(name: str) -> int | None:
    path = Path("/proc/sys/fs", name)
    return int(path.read_text()) if path.exists() else None


def _self_test() -> _Report:
    """Run a pipeline for a second; what arrives has to be what was sent."""
    python = Program(sys.executable)
    project = ProjectSettings("doctor", (python,), (), ())
    build = sh.make(python, catalogue=ProgramCatalogue(projects=[project]))
    write, count = (build("-I", "-S", "-c", code) for code in (_WRITE, _COUNT))
    try:
        result = (write | count).run_sync(timeout=30)
    except (OSError, ImportError) as error:
        return {"error": str(error)}
    hop = result.hops[0]
    is_whole = result.ok and result.stdout == f"{hop.bytes_read}\n"
    return {
        "error": None if is_whole else f"what arrived was not what was sent: {result}",
        "engine": hop.engine,
        "bytes": hop.bytes_read,
        "seconds": hop.elapsed,
        "bytes_per_second": round(hop.bytes_read / hop.elapsed),
    }


def _as_text(report: _Report, indent: str = "") -> str:
    width = max(map(len, report)) + 2
    return "\n".join(
        f"{indent}{name}\n{_as_text(value, '  ')}"
        if isinstance(value, dict)
        else f"{indent}{name:<{width}}{'none' if value is None else value}"
        for name, value in report.items()
    )
