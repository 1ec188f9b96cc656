"""Running a pipeline: stages spawned, watched, and ended together."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cuprum._backend import StreamBackend, get_stream_backend
from cuprum._bottleneck import find_bottleneck
from cuprum._child import Child, output_tasks, spawn_child, wait_all
from cuprum._descriptors import require_posix
from cuprum._plan import OUTPUT_GRACE, RunPlan
from cuprum._results import PipelineResult, TimeoutExpired, is_sigpipe
from cuprum._tasks import finish, settle
from cuprum._wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum._command import SafeCmd

__all__ = ["run_pipeline"]


async def run_pipeline(commands: Sequence[SafeCmd], plan: RunPlan) -> PipelineResult:
    """Run ``commands`` as a pipeline until all of it has ended.

    Raises:
        ValueError: ``CUPRUM_STREAM_BACKEND`` is set to nonsense.
        PumpUnavailableError: the helper has to be used and cannot be.
        OSError: a stage cannot be started.
        PumpError: the data did not get through a hop whole.
        TimeoutExpired: it took longer than the plan allows, and was ended.
        Exception: whatever an echo sink raised; or the codec did.
    """
    require_posix()
    backend = get_stream_backend()
    deadline = asyncio.timeout(plan.timeout)
    with ExitStack() as stack:
        run = _PipelineRun(len(commands), plan, backend, stack)
        try:
            try:
                run.spawn(commands)
                async with deadline:
                    await run.supervise()
            finally:
                await finish(run.stop())
        except TimeoutError as expired:
            if not deadline.expired() or plan.timeout is None:
                raise  # an OSError of the system (ETIMEDOUT), and not our deadline
            raise TimeoutExpired(
                cmd=tuple(command.argv_with_program for command in commands),
                timeout=plan.timeout,
                output=run.partial_stdout(),
                stderr=run.partial_stderr(),
            ) from expired
        return run.result()


class _PipelineRun:
    """The state of one run: its stages, its pump, and the tasks that watch them."""

    def __init__(
        self, stages: int, plan: RunPlan, backend: StreamBackend, owner: ExitStack
    ) -> None:
        self._plan = plan
        self._owner = owner
        self._last = stages - 1
        self._children: list[Child] = []
        self._failure_index: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._verdicts: list[asyncio.Task[bool]] = []
        self._wiring = Wiring(self._last, plan.pump, owner)
        self._pump = self._wiring.launch(backend)

    def spawn(self, commands: Sequence[SafeCmd]) -> None:
        """Start every stage; OSError of the first that cannot be started."""
        for stage, command in enumerate(commands):
            child = spawn_child(
                command,
                self._plan,
                self._owner,
                stdin=self._wiring.stdin(stage),
                stdout=self._wiring.stdout(stage),
            )
            self._children.append(child)
            self._wiring.close_outer_ends(stage)

    async def supervise(self) -> None:
        """Put the pump to work and wait for the end, or for the pump's failure."""
        self._pump = await self._wiring.start(self._pump)
        self._verdicts = [
            asyncio.create_task(self._has_failed(stage))
            for stage in range(len(self._children))
        ]
        pumping = asyncio.create_task(self._pump.wait())
        self._tasks = [pumping, *output_tasks(self._children)]
        pending: set[asyncio.Future[Any]] = {
            *self._verdicts,
            *self._tasks,
            *self._pump.outcomes.hops,
        }
        while pending and not self._pump.outcomes.failed:
            _, pending = await asyncio.wait(
                pending, return_when=asyncio.FIRST_COMPLETED
            )
            self._look_for_failure()
            if pumping.done():
                pumping.result()

    def _look_for_failure(self) -> None:
        """Apply the fail-fast rule to what is known by now.

        The first stage to fail decides; of several noticed together, the lowest.
        The last stage's failure ends nothing: the others end by themselves.
        """
        if self._failure_index is not None:
            return
        for stage, verdict in enumerate(self._verdicts):
            if verdict.done() and verdict.result():
                self._failure_index = stage
                if stage != self._last:
                    self._terminate()
                return

    async def _has_failed(self, stage: int) -> bool:
        status = await self._children[stage].process.wait()
        if stage != self._last and is_sigpipe(status):
            # No failure if its reader had closed early, which the hop will say.
            return not await self._pump.outcomes.broken_pipe(stage)
        return status != 0

    def _terminate(self) -> None:
        for child in self._children:
            child.process.terminate(self._plan.cancel_grace)

    async def stop(self) -> None:
        """End whatever of the run has not ended; nothing, if all went well."""
        self._terminate()
        await wait_all(self._children)
        # The stages are gone, so pump and outputs end by themselves, unless
        # somebody else holds a pipe open.
        tasks = self._tasks or output_tasks(self._children)
        await settle(tasks, within=OUTPUT_GRACE)
        await self._pump.stop()
        for verdict in self._verdicts:
            await asyncio.wait((verdict,))

    def result(self) -> PipelineResult:
        """Build the result of a run that has come to its end.

        Raises:
            PumpError: see `HopOutcomes.reports`.
            Exception: the first error of a sink or the codec.
        """
        hops = self._pump.outcomes.reports()
        for task in self._tasks:
            task.result()
        return PipelineResult(
            stages=tuple(child.result() for child in self._children),
            failure_index=self._failure_index,
            hops=hops,
            bottleneck=find_bottleneck(hops),
        )

    def partial_stdout(self) -> str | None:
        """Return what the last stage has said so far."""
        stdout = self._children[-1].stdout
        return stdout and stdout.partial_text()

    def partial_stderr(self) -> str | None:
        """Return what all stages have said so far, in their order."""
        if not self._plan.capture:
            return None
        outputs = [child.stderr for child in self._children]
        return "".join(output.partial_text() or "" for output in outputs if output)
