"""Commands: how they are made, and what running one returns."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import assert_type

from cuprum import (
    LS,
    CommandResult,
    ExecutionContext,
    IOOptions,
    Program,
    ProjectSettings,
    RunOutputOptions,
    SafeCmd,
    SafeCmdBuilder,
    StdinInput,
    sh,
)


def made(builder: SafeCmdBuilder) -> None:
    assert_type(sh.make(LS), Callable[..., SafeCmd])
    assert_type(sh.make(Program("ls")), Callable[..., SafeCmd])
    assert_type(builder("-l", Path("/"), 3, 1.5, sort="size"), SafeCmd)
    assert_type(sh.build_argv("-l", Path("/"), depth=3), tuple[str, ...])

    sh.make("ls")  # pyright: ignore[reportArgumentType]
    sh.make(LS, None)  # pyright: ignore[reportCallIssue]
    sh.build_argv(None)  # pyright: ignore[reportArgumentType]
    sh.build_argv(sort=b"size")  # pyright: ignore[reportArgumentType]


def seen(command: SafeCmd) -> None:
    assert_type(command.program, Program)
    assert_type(command.argv, tuple[str, ...])
    assert_type(command.argv_with_program, tuple[str, ...])
    assert_type(command.project, ProjectSettings)

    command.argv = ()  # pyright: ignore[reportAttributeAccessIssue]
    SafeCmd("ls", (), command.project)  # pyright: ignore[reportArgumentType]


async def run(command: SafeCmd) -> None:
    assert_type(await command.run(), CommandResult[str])
    assert_type(await command.run(output=None), CommandResult[str])
    assert_type(await command.run(output=RunOutputOptions()), CommandResult[str])
    assert_type(await command.run(output=IOOptions()), CommandResult[str])
    assert_type(
        await command.run(output=RunOutputOptions(text=False)), CommandResult[bytes]
    )
    assert_type(
        await command.run(
            output=RunOutputOptions(echo=True),
            timeout=1,
            context=ExecutionContext(cwd=Path("/")),
            stdin=StdinInput("text"),
        ),
        CommandResult[str],
    )

    await command.run(RunOutputOptions())  # pyright: ignore[reportCallIssue]
    await command.run(capture=True)  # pyright: ignore[reportCallIssue]
    await command.run(stdin="text")  # pyright: ignore[reportArgumentType]
    command.run()  # pyright: ignore[reportUnusedCoroutine]


def run_sync(command: SafeCmd) -> None:
    assert_type(command.run_sync(), CommandResult[str])
    assert_type(command.run_sync(output=None), CommandResult[str])
    assert_type(command.run_sync(output=RunOutputOptions()), CommandResult[str])
    assert_type(
        command.run_sync(output=RunOutputOptions(text=False)), CommandResult[bytes]
    )
    assert_type(
        command.run_sync(
            output=RunOutputOptions(text=False),
            timeout=0.5,
            context=ExecutionContext(),
            stdin=StdinInput(data=b"data"),
        ),
        CommandResult[bytes],
    )

    command.run_sync(timeout="1")  # pyright: ignore[reportArgumentType]
    command.run_sync(context={})  # pyright: ignore[reportArgumentType]


def which_is_known_at_run_time_alone(command: SafeCmd, text: bool) -> None:
    output = RunOutputOptions(text=text)
    assert_type(command.run_sync(output=output), CommandResult[str | bytes])


def results(text: CommandResult[str], data: CommandResult[bytes]) -> None:
    assert_type(text.stdout, str | None)
    assert_type(text.stderr, str | None)
    assert_type(data.stdout, bytes | None)
    assert_type(data.stderr, bytes | None)
    assert_type(text.program, Program)
    assert_type(text.argv, tuple[str, ...])
    assert_type(text.exit_code, int)
    assert_type(text.pid, int)
    assert_type(text.ok, bool)
    assert_type(text.is_truncated, bool)

    text.stdout.strip()  # pyright: ignore[reportOptionalMemberAccess]
    text.ok = True  # pyright: ignore[reportAttributeAccessIssue]
    if data.stdout is not None:
        data.stdout.encode()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def text_is_the_default(result: CommandResult) -> None:
    assert_type(result, CommandResult[str])
    assert_type(result.stdout, str | None)


def either(result: CommandResult[str] | CommandResult[bytes]) -> None:
    assert_type(result.stdout, str | bytes | None)


def neither(
    result: CommandResult[int],  # pyright: ignore[reportInvalidTypeArguments]
) -> None:
    print(result)
