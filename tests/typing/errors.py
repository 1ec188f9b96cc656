"""What the errors of a run carry."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Literal, assert_type

from cuprum import (
    ForbiddenProgramError,
    HopReport,
    PartialOutput,
    Program,
    PumpError,
    PumpUnavailableError,
    SafeCmd,
    TapError,
    TapReport,
    TimeoutExpired,
    UnknownProgramError,
    partial_output,
    sh,
)
from cuprum.catalogue import DuplicateProgramError, DuplicateProjectError
from cuprum.context import ContextError


def caught(command: SafeCmd) -> None:
    try:
        command.run_sync()
    except TimeoutExpired as late:
        assert_type(late.cmd, tuple[str, ...] | tuple[tuple[str, ...], ...])
        assert_type(late.timeout, float)
        assert_type(late.output, str | bytes | None)
        assert_type(late.stdout, str | bytes | None)
        assert_type(late.stderr, str | bytes | None)
        late.stdout = ""  # pyright: ignore[reportAttributeAccessIssue]
    except ForbiddenProgramError as denied:
        assert_type(denied.program, Program)
        assert_type(denied.restricted_state, bool)
    except PumpError as broken:
        assert_type(broken.hop, int | None)
        assert_type(broken.side, Literal["read", "write"] | None)
        assert_type(broken.report, HopReport | None)
        assert_type(broken.reports, tuple[HopReport | None, ...])
    except TapError as full:
        assert_type(full.report, TapReport)
    except PumpUnavailableError as missing:
        assert_type(missing.is_final, bool)
    except BaseException as error:
        output = partial_output(error)
        assert_type(output, PartialOutput | None)
        if output is not None:
            assert_type(output.stdout, str | bytes | None)
            assert_type(output.stderr, str | bytes | None)
        print(output.stdout)  # pyright: ignore[reportOptionalMemberAccess]


def kinds(
    late: TimeoutExpired,
    denied: ForbiddenProgramError,
    broken: PumpError,
    full: TapError,
    missing: PumpUnavailableError,
    unknown: UnknownProgramError,
) -> None:
    """Callers may catch what these are kinds of."""
    _0: TimeoutError = late
    _1: ContextError = denied
    _2: PermissionError = denied
    _3: OSError = broken
    _4: OSError = full
    _5: ImportError = missing
    _6: LookupError = unknown
    _7: RuntimeError = broken  # pyright: ignore[reportAssignmentType]


def catalogues(project: DuplicateProjectError, program: DuplicateProgramError) -> None:
    _0: tuple[ValueError, ...] = (project, program)
    assert_type(project.project_name, str)
    assert_type(program.program, Program)
    assert_type(program.owner, str)


def made(report: TapReport) -> None:
    assert_type(
        TimeoutExpired(cmd=("ls",), timeout=1, output=b"", stderr=None), TimeoutExpired
    )
    assert_type(sh.TimeoutExpired(cmd=(("ls",),), timeout=1), TimeoutExpired)
    assert_type(PumpError(5, "I/O", hop=0, side="read"), PumpError)
    assert_type(TapError(28, "full", report=report), TapError)

    TimeoutExpired(("ls",), 1)  # pyright: ignore[reportCallIssue]
    PumpError(5, "I/O", side="up")  # pyright: ignore[reportArgumentType]
    TapError(28, "full")  # pyright: ignore[reportCallIssue]
