"""Events made by hand, as a run would emit them, for the tests of hooks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from cuprum import HopReport, Program
from cuprum.events import ExecEvent, new_exec_id

CWD = Path("/srv/data")

REPORT = HopReport(
    bytes_read=100,
    bytes_written=90,
    bytes_discarded=10,
    engine="splice",
    broken_pipe=True,
    drain="eof",
    elapsed=2.0,
    waited_for_input=1.25,
    waited_for_output=0.5,
)

ALL_THERE_IS = {
    "plan": {},
    "start": {"pid": 7},
    "stdin": {"pid": 7, "byte_count": 12},
    "stdin_error": {
        "pid": 7,
        "operation": "write",
        "error_type": "BrokenPipeError",
        "note": "BrokenPipeError: gone",
    },
    "stdout": {"pid": 7, "line": "it's"},
    "stderr": {"pid": 7, "line": ""},
    "exit": {"pid": 7, "exit_code": 3, "duration_s": 0.25},
    "hop_start": {"hop_index": 1},
    "hop_end": {"hop_index": 1, "hop": REPORT},
}
"""What the events of each phase have beside what all have."""


def event(phase: str, /, **fields: object) -> ExecEvent:
    """Return an event of *phase* with all that belongs to it, save for *fields*."""
    made = ExecEvent(
        phase="plan",
        program=Program("sort"),
        argv=("sort", "-u"),
        cwd=None,
        env=None,
        pid=None,
        timestamp=1.0,
        line=None,
        exit_code=None,
        duration_s=None,
        tags=MappingProxyType({"project": "tests", "capture": True, "echo": False}),
        exec_id=new_exec_id(),
    )
    values = {"phase": phase, **ALL_THERE_IS.get(phase, {}), **fields}
    return replace(made, **values)  # type: ignore[arg-type]
