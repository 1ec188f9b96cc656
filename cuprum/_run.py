"""One run: stages spawned, joined by a pump, watched, and ended together.

A single command is a run of one stage, which has no hops.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from cuprum._backend import StreamBackend, get_stream_backend
from cuprum._bottleneck import find_bottleneck
from cuprum._descriptors import require_posix
from cuprum._observability import Observation
from cuprum._plan import OUTPUT_GRACE, RunPlan
from cuprum._progress import watch_progress
from cuprum._results import (
    PartialOutput,
    PipelineResult,
    TimeoutExpired,
    attach_output,
    is_sigpipe,
)
from cuprum._stages import Stages
from cuprum._tasks import abandon, finish, has_failed, raise_first, settle
from cuprum._teardown import Teardown
from cuprum._wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cuprum._command import SafeCmd

__all__ = ["run_stages"]


async def run_stages(
    commands: Sequence[SafeCmd], make_plan: Callable[[], RunPlan]
) -> PipelineResult[Any]:
    """Run ``commands`` until all of them have exited and their output has ended.

    The plan is made here, as it depends on the context that is active now.

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
    plan = make_plan()
    # A single command moves nothing between stages, and does not care.
    backend = get_stream_backend() if len(commands) > 1 else StreamBackend.PYTHON
    observation = Observation(commands, plan)
    try:
        observation.plan()
        result = await _run_observed(commands, plan, backend, observation)
    except GeneratorExit:
        raise  # nothing can be awaited any more
    except BaseException as error:
        await observation.finish(error)
        raise
    await observation.finish(None)
    return result


async def _run_observed(
    commands: Sequence[SafeCmd],
    plan: RunPlan,
    backend: StreamBackend,
    observation: Observation,
) -> PipelineResult[Any]:
    deadline = asyncio.timeout(None)  # the clock starts when all stages have started
    with ExitStack() as stack:
        run = _Run(commands, plan, backend, observation, stack)
        try:
            async with run:
                run.stages.spawn()
                async with deadline:
                    if plan.timeout is not None:
                        now = asyncio.get_running_loop().time()
                        deadline.reschedule(now + plan.timeout)
                    await run.supervise()
            return run.conclude()
        except GeneratorExit:
            raise  # there is nobody who could ask for the output
        except BaseException as error:
            run.tell_ends()
            partial = run.stages.partial_output()
            if isinstance(error, TimeoutError) and deadline.expired():
                expired = _timeout_expired(commands, plan, partial)
                run.stages.name_strays(expired)
                raise expired from error
            attach_output(error, partial)
            run.stages.name_strays(error)
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
        observation: Observation,
        owner: ExitStack,
    ) -> None:
        self._plan = plan
        self._observation = observation
        self._owner = owner
        self._last = len(commands) - 1
        self._ends: list[asyncio.Future[None]] = []
        self._watching: list[asyncio.Task[None]] = []
        self._failure_index: int | None = None
        self._failing: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lingering: set[int] = set()
        self._is_supervised = False
        self._is_over = False
        self._wiring = Wiring(self._last, plan, backend, owner)
        self.stages = Stages(commands, plan, self._wiring, observation, owner)
        self._teardown = Teardown(
            self.stages.processes,
            plan.cancel_grace,
            pipes=self.stages.pipes,
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

    async def supervise(self) -> None:
        """Put the pump to work and wait for the end, or for the first failure.

        Raises:
            Exception: what a callback or the source of standard input raised.
        """
        for process in self.stages.processes:
            process.on_exit = self._look
        for end in self.stages.ends():
            self._follow(end)
        await self._wiring.start()
        self._observation.hop_start(self._wiring.reports())
        outcomes = self._wiring.outcomes
        if self._last > 0:
            self._follow(asyncio.create_task(self._wiring.wait()))
        for hop in (*outcomes.hops, outcomes.failure):
            hop.add_done_callback(self._look)
        with watch_progress(self._wiring.reports, self._plan) as progress:
            if progress is not None:
                progress.add_done_callback(self._look)
                self._watching.append(progress)
            self._is_supervised = True
            self._look()
            await self._over
            await settle(self._watching, within=0)
            raise_first([*self._ends, *self._watching])
        self._is_over = self._has_ended()

    def _follow(self, end: asyncio.Future[None]) -> None:
        """Wait for ``end`` as well, whose failure ends the run."""
        self._ends.append(end)
        self._owner.callback(abandon, end)
        end.add_done_callback(self._look)

    def _look(self, _: object = None) -> None:
        """Something has ended: see what that means for the run."""
        if not self._is_supervised or self._over.done():
            return
        with suppress(asyncio.InvalidStateError):  # cancelled a moment ago, by a signal
            try:
                if self._is_decided():
                    self._over.set_result(None)
            except BaseException as error:  # of a hook; the loop would merely log it
                self._over.set_exception(error)

    def _is_decided(self) -> bool:
        """Tell whether there is nothing to wait for; the others may have to end."""
        self._tell_of_hops()
        self._look_for_failure()
        ends = (*self._ends, *self._watching)
        if self._wiring.outcomes.failure.done() or any(map(has_failed, ends)):
            return True
        if self._has_ended():
            return True
        if self._plan.linger is not None:
            self._linger(self._plan.linger)
        return False

    def _has_ended(self) -> bool:
        return self.stages.have_exited() and all(end.done() for end in self._ends)

    def _linger(self, seconds: float) -> None:
        """Where stages have exited, others may hold their pipes for a while.

        It does not begin before those who have to be ended are.
        """
        if self._is_failing():
            return
        exited = [process.exited.done() for process in self.stages.processes]
        exited[-1] = all(exited)  # they may share its pipe, for standard error
        for stage, has_exited in enumerate(exited):
            if has_exited and stage not in self._lingering:
                self._lingering.add(stage)
                self._later(seconds, self._give_up, stage)

    def _later(self, seconds: float, callback: Callable[..., None], *args: int) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, callback, *args)
        self._owner.callback(timer.cancel)

    def _is_failing(self) -> bool:
        return self._failing is not None and not self._failing.done()

    def _give_up(self, stage: int) -> None:
        if self._is_failing():
            self._lingering.remove(stage)  # anew, once that is over
            return
        for output in self.stages.children[stage].outputs:
            output.give_up()
        if stage == 0:
            self.stages.stop_feeding()
        if stage != self._last:
            self._wiring.release(stage)
        else:
            self._later(OUTPUT_GRACE, self._give_up_hops)

    def _give_up_hops(self) -> None:
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
        for stage in range(len(self.stages.processes)):
            if self._has_failed(stage):
                self._failure_index = stage
                if stage != self._last and self._plan.fail_fast:
                    self._teardown.begin()
                    self._failing = asyncio.create_task(self._teardown.wait())
                    self._follow(self._failing)
                return

    def _has_failed(self, stage: int) -> bool:
        """Tell whether a stage is known to have failed."""
        status = self.stages.processes[stage].returncode
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
        await settle(self._ends, within=OUTPUT_GRACE)
        await self._wiring.stop()
        self._is_over = True

    def conclude(self) -> PipelineResult[Any]:
        """Build the result of a run that has come to its end, and tell of it.

        Raises:
            OSError: see `HopOutcomes.reports`.
            Exception: the first error of a sink, the codec or a hook.
        """
        hops = self._wiring.outcomes.reports()
        self._observation.check()
        result: PipelineResult[Any] = PipelineResult(
            stages=tuple(
                child.result(hop)
                for child, hop in zip(self.stages.children, (*hops, None), strict=True)
            ),
            failure_index=self._failure_index,
            hops=hops,
            bottleneck=find_bottleneck(hops),
            taps=tuple(self._wiring.outcomes.taps[tap.hop] for tap in self._plan.taps),
        )
        for stage, process in enumerate(result.stages):
            self._observation.exit(stage, process.exit_code)
        self._observation.after(result.stages)
        return result

    def tell_ends(self) -> None:
        """Tell of the ends that have not been told of; the run raises something."""
        with ExitStack() as told:  # all of them, even if a hook is interrupted
            for stage, process in reversed([*enumerate(self.stages.processes)]):
                if process.returncode is not None:
                    told.callback(self._tell_exit, stage, process.returncode)
            for hop, outcome in reversed([*enumerate(self._wiring.outcomes.known())]):
                told.callback(self._observation.hop_end, hop, outcome)

    def _tell_exit(self, stage: int, status: int) -> None:
        with suppress(Exception):  # logged; what the run raises is first
            self._observation.exit(stage, status)

    def _tell_of_hops(self) -> None:
        for hop, outcome in enumerate(self._wiring.outcomes.known()):
            if outcome is not None:
                self._observation.hop_end(hop, outcome)
