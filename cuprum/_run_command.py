"""Running a pipeline that was typed, and telling how it went."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING

from cuprum import (
    ExecutionContext,
    Pipeline,
    PipelineResult,
    Program,
    ProgramCatalogue,
    ProjectSettings,
    PumpError,
    PumpUnavailableError,
    Redirect,
    RunOutputOptions,
    StdinInput,
    sh,
)
from cuprum._shell_words import ShellSyntaxError, parse
from cuprum.progress import live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cuprum import SafeCmd
    from cuprum._plan import ProgressCallback

__all__ = ["run"]

_INTERVAL = 0.25
"""Seconds between two drawings: a table that lives, not one that flickers."""

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (ShellSyntaxError, os.EX_USAGE),
    (ValueError, os.EX_CONFIG),
    (PumpUnavailableError, os.EX_CONFIG),
    (PumpError, os.EX_IOERR),
    (FileNotFoundError, 127),
    (OSError, 126),
)
"""What a run that has no result ends with: sysexits(3), and a shell's two."""


def run(line: str, *, as_json: bool, quiet: bool, progress: bool) -> int:
    """Run a pipeline on our own standard streams; return the exit status.

    Raises:
        OSError: a standard stream is not open, or the summary cannot be written.
        SystemExit: a signal has ended it.
    """
    for number in range(3):  # or a file that we open would be taken for it
        os.fstat(number)
    # Not sys.stderr, which would try once more at exit what it could not write.
    with open(2, "w", errors="backslashreplace", closefd=False) as stderr:
        result: PipelineResult[str] | None = None
        error: str | None = None
        try:
            commands = tuple(_command(words) for words in parse(line))
            is_shown = len(commands) > 1 and not (as_json or quiet)
            with (
                live(Pipeline(commands), file=stderr, redraw=progress)
                if is_shown
                else nullcontext()
            ) as table:
                result = asyncio.run(_run(commands, table))
            codes = [stage.exit_code for stage in result.stages if not stage.ok]
            code = 0 if result.ok else codes[-1]
            status = code if code >= 0 else 128 - code
        except (OSError, PumpUnavailableError, ValueError) as raised:
            status = next(s for kind, s in _STATUSES if isinstance(raised, kind))
            error = ": ".join([str(raised), *getattr(raised, "__notes__", ())])
        if as_json:
            ended = None if result is None else asdict(result)
            summary = {"exit_status": status, "error": error, "result": ended}
            print(json.dumps(summary), file=stderr)
        elif error is not None:
            print(f"cuprum: {error}", file=stderr)
        elif result is not None and not quiet:
            stderr.writelines(f"{told}\n" for told in _told(result))
    return status


def _command(words: list[str]) -> SafeCmd:
    """Approve of what was typed: who types it might as well use a shell."""
    program = Program(words[0])
    project = ProjectSettings("command-line", (program,), (), ())
    catalogue = ProgramCatalogue(projects=[project])
    return sh.make(program, catalogue=catalogue)(*words[1:])


async def _run(
    commands: tuple[SafeCmd, ...], table: ProgressCallback | None
) -> PipelineResult[str]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    caught: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        caught.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            loop.add_signal_handler(number, end, number)
    stdin = StdinInput(file=0)
    output = RunOutputOptions(stdout=Redirect(1), stderr=Redirect(2))
    first, *others = commands
    try:
        if not others:
            stage = await first.run(stdin=stdin, output=output)
            return PipelineResult((stage,), None if stage.ok else 0)
        return await Pipeline(commands).run(
            stdin=stdin,
            output=output,
            context=ExecutionContext(fail_fast=False, linger=None),  # as in a shell
            on_progress=table,
            progress_interval=_INTERVAL,
        )
    except asyncio.CancelledError:
        raise SystemExit(128 + max(caught)) from None


def _told(result: PipelineResult[str]) -> Iterator[str]:
    """Say in words what the table does not."""
    if result.bottleneck is not None:
        stage = result.stages[result.bottleneck]
        yield f"slow stage: {result.bottleneck}, {stage.program}"
    for index, stage in enumerate(result.stages):
        if stage.exit_code:
            how = signal.strsignal(-stage.exit_code) if stage.exit_code < 0 else None
            told = how or f"exit status {stage.exit_code}"
            yield f"stage {index}, {stage.program}: {told}"
