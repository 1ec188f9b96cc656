"""Commands and small stages for the tests.

The stages are real programs: coreutils where they do, ``sh`` and this very Python
where they do not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cuprum import (
    ExecutionContext,
    Program,
    ProgramCatalogue,
    ProjectSettings,
    SafeCmd,
    sh,
)

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import CommandResult, PipelineResult

PYTHON = Program(sys.executable)
SH = Program("sh")

#: Bytes survive a round trip through this codec, so text compares as data.
BINARY = ExecutionContext(encoding="latin-1")


def catalogue_of(*programs: str) -> ProgramCatalogue:
    """Return a catalogue of one project, ``tests``, that owns *programs*."""
    project = ProjectSettings(
        name="tests",
        programs=tuple(Program(name) for name in programs),
        documentation_locations=(),
        noise_rules=(),
    )
    return ProgramCatalogue(projects=[project])


def command(program: str, *args: str | int) -> SafeCmd:
    """Return a command that runs *program*, whatever it is called."""
    build = sh.make(Program(program), catalogue=catalogue_of(program))
    return build(*args)


def shell(script: str, *args: str | int) -> SafeCmd:
    """Return ``sh -c script``; *args* are $1 and so on."""
    return command(SH, "-c", script, "sh", *args)


def python(code: str, *args: str | int) -> SafeCmd:
    """Return a command that runs *code*; *args* are ``sys.argv[1:]``."""
    return command(PYTHON, "-I", "-S", "-c", code, *args)


def cat() -> SafeCmd:
    """Return ``cat``."""
    return command("cat")


def true() -> SafeCmd:
    """Return ``true``."""
    return command("true")


def false() -> SafeCmd:
    """Return ``false``."""
    return command("false")


def sleep(seconds: float) -> SafeCmd:
    """Return ``sleep`` for *seconds*."""
    return command("sleep", str(seconds))


def producer(path: Path) -> SafeCmd:
    """Return a command that writes the content of *path*."""
    return command("cat", str(path))


def missing(tmp_path: Path) -> SafeCmd:
    """Return a command whose program does not exist."""
    return command(str(tmp_path / "no-such-program"))


def deaf_sleep() -> SafeCmd:
    """Return a long sleep that ignores SIGTERM (exec keeps ignored signals)."""
    return shell("trap '' TERM; exec sleep 60")


def statuses(result: PipelineResult) -> list[int]:
    """Return the exit codes of all stages."""
    return [stage.exit_code for stage in result.stages]


def captured_bytes(result: PipelineResult | CommandResult) -> bytes:
    """Return what a run with the BINARY context captured, as bytes."""
    assert result.stdout is not None
    return result.stdout.encode("latin-1")
