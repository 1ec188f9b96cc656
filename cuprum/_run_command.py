"""Running one command."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from cuprum._child import Child, output_tasks, spawn_child, wait_all
from cuprum._descriptors import make_pipe, require_posix
from cuprum._plan import OUTPUT_GRACE, RunPlan
from cuprum._results import CommandResult, TimeoutExpired
from cuprum._stdio import feed
from cuprum._tasks import finish, settle

if TYPE_CHECKING:
    from cuprum._command import SafeCmd

__all__ = ["run_command"]


async def run_command(
    command: SafeCmd, plan: RunPlan, payload: bytes | None
) -> CommandResult:
    """Run ``command`` until it has exited and its output has ended.

    Args:
        command: already checked against the allowlist.
        plan: how to run it.
        payload: bytes for its standard input; None inherits ours.

    Raises:
        OSError: it cannot be started.
        TimeoutExpired: it took longer than the plan allows, and was ended.
        Exception: whatever an echo sink raised; or the codec did.
    """
    require_posix()
    deadline = asyncio.timeout(plan.timeout)
    with ExitStack() as stack:
        stdin = None if payload is None else make_pipe(stack)
        child = spawn_child(command, plan, stack, stdin=stdin and stdin.reader.fileno())
        tasks = output_tasks([child])
        if stdin is not None and payload is not None:
            stdin.reader.close()
            feeding = feed(stdin.writer, payload, child.process.pid)
            tasks.insert(0, asyncio.create_task(feeding))
        exited = asyncio.create_task(wait_all([child]))
        try:
            try:
                async with deadline:
                    await asyncio.wait((exited, *tasks))
            finally:
                await finish(_stop(child, [exited, *tasks], plan))
        except TimeoutError as expired:
            assert plan.timeout is not None
            raise TimeoutExpired(
                cmd=command.argv_with_program,
                timeout=plan.timeout,
                output=child.stdout and child.stdout.partial_text(),
                stderr=child.stderr and child.stderr.partial_text(),
            ) from expired
        for task in tasks:
            task.result()
        return child.result()


async def _stop(child: Child, tasks: list[asyncio.Task[None]], plan: RunPlan) -> None:
    """End whatever of the run has not ended; nothing, if all went well."""
    child.process.terminate(plan.cancel_grace)
    await child.process.wait()
    await settle(tasks, within=OUTPUT_GRACE)
