"""Commands that run at once."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from cuprum import (
    CommandResult,
    ConcurrentConfig,
    ConcurrentResult,
    ExecutionContext,
    Pipeline,
    SafeCmd,
    run_concurrent,
    run_concurrent_sync,
)


async def run(command: SafeCmd, commands: list[SafeCmd], pipeline: Pipeline) -> None:
    assert_type(await run_concurrent(command, command), ConcurrentResult)
    assert_type(await run_concurrent(*commands, config=None), ConcurrentResult)

    await run_concurrent(commands)  # pyright: ignore[reportArgumentType]
    await run_concurrent(pipeline)  # pyright: ignore[reportArgumentType]
    run_concurrent(command)  # pyright: ignore[reportUnusedCoroutine]


def run_sync(command: SafeCmd, context: ExecutionContext) -> None:
    config = ConcurrentConfig(2, False, True, context, fail_fast=True)
    assert_type(run_concurrent_sync(command, config=config), ConcurrentResult)
    assert_type(config.concurrency, int | None)
    assert_type(config.context, ExecutionContext | None)

    run_concurrent_sync(command, config)  # pyright: ignore[reportArgumentType]
    run_concurrent_sync(command, concurrency=2)  # pyright: ignore[reportCallIssue]
    ConcurrentConfig(concurrency="2")  # pyright: ignore[reportArgumentType]
    config.fail_fast = False  # pyright: ignore[reportAttributeAccessIssue]


def results(result: ConcurrentResult) -> None:
    assert_type(result.results, tuple[CommandResult[str], ...])
    assert_type(result.failures, tuple[int, ...])
    assert_type(result.submission_indices, tuple[int, ...] | None)
    assert_type(result.ok, bool)
    assert_type(result.first_failure, CommandResult[str] | None)
    assert_type(result.failure_submission_indices, tuple[int, ...])

    print(result.first_failure.exit_code)  # pyright: ignore[reportOptionalMemberAccess]
    result.failures = ()  # pyright: ignore[reportAttributeAccessIssue]
