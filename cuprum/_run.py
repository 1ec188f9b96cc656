"""One run: stages spawned, joined by a pump, watched, and ended together.

A single command is a run of one stage, which has no hops.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cuprum._backend import StreamBackend, get_stream_backend
from cuprum._bottleneck import find_bottleneck
from cuprum._child import Child, Outlet, spawn
from cuprum._descriptors import require_posix
from cuprum._feed import Inlet
from cuprum._plan import OUTPUT_GRACE, RunPlan
from cuprum._progress import watch_progress
from cuprum._results import (
    PartialOutput,
    PipelineResult,
    TimeoutExpired,
    attach_output,
    is_sigpipe,
)
from cuprum._tasks import abandon, finish, raise_first, settle
from cuprum._teardown import Teardown
from cuprum._wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum._command import SafeCmd
    from cuprum._descriptors import Descriptor
    from cuprum._process import Process

__all__ = ["run_stages"]


async def run_stages(commands: Sequence[SafeCmd], plan: RunPlan) -> PipelineResult[Any]:
    """Run ``commands`` until all of them have exited and their output has ended.

    Raises:
        ValueError: ``CUPRUM_STREAM_BACKEND`` is set to nonsense; or a tap is at a hop
            that is not there.
        PumpUnavailableError: the helper has to be used and cannot be.
        OSError: a stage cannot be started, or a file not be opened.
        PumpError: the data did not get through a hop whole.
        TapError: a required tap failed.
        TimeoutExpired: it took longer than the plan allows, and was ended.
        Exception: what a callback, an echo sink, the codec or the source of standard
            input raised.
    """
    require_posix()
    # A single command moves nothing between stages, and does not care.
    backend = get_stream_backend() if len(commands) > 1 else StreamBackend.PYTHON
    deadline = asyncio.timeout(plan.timeout)
    with ExitStack() as stack:
        run = _Run(commands, plan, backend, stack)
        try:
            async with run:
                run.spawn()
                async with deadline:
                    await run.supervise()
            return run.result()
        except GeneratorExit:
            raise  # there is nobody who could ask for the output
        except BaseException as error:
            partial = run.partial_output()
            if isinstance(error, TimeoutError) and deadline.expired():
                expired = _timeout_expired(commands, plan, partial)
                run.name_strays(expired)
                raise expired from error
            attach_output(error, partial)
            run.name_strays(error)
            raise


def _timeout_expired(
    commands: Sequence[SafeCmd], plan: RunPlan, partial: PartialOutput
) -> TimeoutExpired:
    assert plan.timeout is not None
    first, *others = (command.argv_with_program for command in commands)
    expired = TimeoutExpired(
        cmd=(first, *others) if others else first,
        timeout=plan.timeout,
        output=partial.stdout,
        stderr=partial.stderr,
    )
    attach_output(expired, partial)
    return expired


class _Run:
    """The state of one run: its stages, its pump, and the tasks that watch them.

    Leaving it as a context ends whatever has not ended.
    """

    def __init__(
        self,
        commands: Sequence[SafeCmd],
        plan: RunPlan,
        backend: StreamBackend,
        owner: ExitStack,
    ) -> None:
        self._commands = commands
        self._plan = plan
        self._owner = owner
        self._last = len(commands) - 1
        self._children: list[Child] = []
        self._processes: list[Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._feeding: asyncio.Task[None] | None = None
        self._failure_index: int | None = None
        self._failing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._is_over = False
        self._wiring = Wiring(self._last, plan, backend, owner)
        self._pipes = set(self._wiring.inodes)
        self._teardown = Teardown(
            self._processes,
            plan.cancel_grace,
            pipes=self._pipes,
            spare=lambda: () if self._wiring.pid is None else (self._wiring.pid,),
            owner=owner,
        )

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            # GeneratorExit: the loop has gone, so that nothing can be awaited.
            if not self._is_over and kind is not GeneratorExit:
                await finish(self._stop())
        finally:
            # Or the loop ends all tasks, ours that ends the run included.
            if not self._is_over:
                self._teardown.kill()

    def spawn(self) -> None:
        """Start every stage; OSError of the first that cannot be started."""
        plan, owner = self._plan, self._owner
        inlet = Inlet.open(plan, owner, is_piped=self._last > 0)
        stdout = Outlet.open(plan.stdout, owner)
        self._note_pipes(inlet.sink, stdout.reader)
        shared: Outlet | None = None
        if plan.stderr.target == "stdout":
            shared = Outlet(stdout.writer)
        elif plan.stderr.target is not None:
            shared = Outlet.open(plan.stderr, owner)
            if stdout.is_same_path(shared):
                shared = Outlet(stdout.writer)
        outlets: list[tuple[Outlet, Outlet]] = []
        for stage, command in enumerate(self._commands):
            is_last = stage == self._last
            stderr = shared or Outlet.open(plan.stderr, owner)
            self._note_pipes(stderr.reader)
            process = spawn(
                command,
                stage,
                plan,
                owner,
                stdin=self._wiring.stdin(stage) if stage else inlet.number,
                stdout=stdout.number if is_last else self._wiring.stdout(stage),
                stderr=stderr.number,
            )
            self._processes.append(process)
            self._wiring.close_outer_ends(stage)
            if stage == 0:
                inlet.close()
            if is_last:
                stdout.close()
            if stderr is not shared:
                stderr.close()
            outlets.append((stdout if is_last else Outlet(None), stderr))
        if shared is not None:
            shared.close()
        # Only now what takes us time: the stages are busy with themselves meanwhile.
        for command, process, (out, err) in zip(
            self._commands, self._processes, outlets, strict=True
        ):
            process.watch()
            process.exited.add_done_callback(self._tell)
            child = Child(
                command,
                process,
                stdout=out.read(plan.stdout, plan),
                stderr=err.read(plan.stderr, plan),
            )
            self._children.append(child)
            for output in child.outputs:
                self._follow(output.task)
        self._feeding = inlet.begin(self._processes[0].pid)
        self._follow(self._feeding)

    def _note_pipes(self, *ends: Descriptor | None) -> None:
        """Remember the pipes that stages may pass on to others."""
        for end in ends:
            if end is not None:
                self._pipes.add(os.fstat(end.fileno()).st_ino)

    async def supervise(self) -> None:
        """Put the pump to work and wait for the end, or for the first failure.

        Raises:
            Exception: what a callback or the source of standard input raised.
        """
        await self._wiring.start()
        outcomes = self._wiring.outcomes
        if self._last > 0:
            self._follow(asyncio.create_task(self._wiring.wait()))
        for hop in (*outcomes.hops, outcomes.failure):
            hop.add_done_callback(self._tell)
        with watch_progress(self._wiring.reports, self._plan) as progress:
            watching = [] if progress is None else [progress]
            for task in watching:
                task.add_done_callback(self._tell)
            is_lingering = False
            while True:
                self._look_for_failure()
                raise_first([*self._tasks, *watching])
                if self._has_ended() or outcomes.failure.done():
                    break
                if not is_lingering and self._plan.linger is not None:
                    is_lingering = self._linger(self._plan.linger)
                await self._news.wait()
                self._news.clear()
            await settle(watching, within=0)
            raise_first(watching)
        self._is_over = self._has_ended()

    def _follow(self, task: asyncio.Task[None] | None) -> None:
        """Wait for ``task`` as well, whose failure ends the run."""
        if task is not None:
            self._tasks.append(task)
            self._owner.callback(abandon, task)
            task.add_done_callback(self._tell)

    def _tell(self, _: asyncio.Future[Any]) -> None:
        self._news.set()

    def _has_ended(self) -> bool:
        return all(process.exited.done() for process in self._processes) and all(
            task.done() for task in self._tasks
        )

    def _linger(self, seconds: float) -> bool:
        """Once all stages have exited, others may hold their pipes for a while.

        Returns:
            Whether that while has begun; not before those who have to be ended are.
        """
        has_exited = all(process.exited.done() for process in self._processes)
        if not has_exited or (self._failing is not None and not self._failing.done()):
            return False
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, seconds), self._give_up)
        self._owner.callback(timer.cancel)
        return True

    def _give_up(self) -> None:
        for child in self._children:
            for output in child.outputs:
                output.give_up()
        if self._feeding is not None:
            self._feeding.cancel()
        if None in self._wiring.outcomes.known():
            # What flows between descendants that are left is not whole, and not ours.
            self._wiring.outcomes.fail(
                errno.ETIMEDOUT, "all stages have exited, and data still flows"
            )

    def _look_for_failure(self) -> None:
        """Apply the fail-fast rule to what is known by now.

        The first stage to fail decides; of several noticed together, the lowest.
        The last stage's failure ends nothing: the others end by themselves.
        """
        if self._failure_index is not None:
            return
        for stage in range(len(self._processes)):
            if self._has_failed(stage):
                self._failure_index = stage
                if stage != self._last:
                    self._teardown.begin()
                    self._failing = asyncio.create_task(self._teardown.wait())
                    self._follow(self._failing)
                return

    def _has_failed(self, stage: int) -> bool:
        """Tell whether a stage is known to have failed."""
        status = self._processes[stage].returncode
        if status is None or status == 0:
            return False
        if stage == self._last or not is_sigpipe(status):
            return True
        # No failure if its reader had closed early, which the hop will say.
        hop = self._wiring.outcomes.hops[stage]
        outcome = hop.result() if hop.done() else None
        return hop.done() and not (outcome and outcome.report.broken_pipe)

    async def _stop(self) -> None:
        """End whatever of the run has not ended."""
        if not self._has_ended():
            self._teardown.begin()
            await self._teardown.wait()
        # The stages are gone, so pump and outputs end by themselves, unless somebody
        # else holds a pipe open.
        await settle(self._tasks, within=OUTPUT_GRACE)
        await self._wiring.stop()
        self._is_over = True

    def name_strays(self, error: BaseException) -> None:
        """Say in ``error`` which stages could not be ended."""
        for stage, process in enumerate(self._processes):
            if process.returncode is None and not process.is_ours:
                error.add_note(f"stage {stage} runs on: pid {process.pid} is not ours")

    def result(self) -> PipelineResult[Any]:
        """Build the result of a run that has come to its end.

        Raises:
            OSError: see `HopOutcomes.reports`.
            Exception: the first error of a sink or the codec.
        """
        hops = self._wiring.outcomes.reports()
        return PipelineResult(
            stages=tuple(child.result() for child in self._children),
            failure_index=self._failure_index,
            hops=hops,
            bottleneck=find_bottleneck(hops),
            taps=tuple(self._wiring.outcomes.taps[tap.hop] for tap in self._plan.taps),
        )

    def partial_output(self) -> PartialOutput:
        """Return what has been captured so far."""
        empty: Any = "" if self._plan.text else b""
        stdout: Any = empty if self._plan.stdout.keep else None
        stderr: Any = empty if self._plan.stderr.keep else None
        for child in self._children:
            if child.stdout is not None:
                stdout = child.stdout.partial_value()
            if child.stderr is not None and stderr is not None:
                stderr += child.stderr.partial_value()
        return PartialOutput(stdout, stderr)
