"""The pipes between stages, and the pump that is put to work on them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cuprum._backend import StreamBackend, helper_is_required
from cuprum._descriptors import Pipe, make_pipe
from cuprum._files import BorrowedFile, open_output
from cuprum._helper_pump import HelperPump
from cuprum._hops import HopEnds, HopOutcomes
from cuprum._streams import PythonPump
from cuprum._tasks import finish
from cuprum.pump import HopReport, PumpUnavailableError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from cuprum._descriptors import Descriptor
    from cuprum._plan import RunPlan

__all__ = ["Pump", "Wiring"]

_logger = logging.getLogger(__name__)

_NOTHING_YET = HopReport(0, 0, 0, "", False, None, 0.0, 0.0, 0.0)


class Pump(Protocol):
    """What moves the bytes of all hops; the pipeline does not know which one."""

    @property
    def pid(self) -> int | None:
        """Process number; None if it has none of its own."""
        ...

    async def start(self) -> None:
        """Take over the descriptors."""
        ...

    async def wait(self) -> None:
        """Wait until all hops are over and nothing of the pump is left."""
        ...

    async def stop(self) -> None:
        """End at once what is not over."""
        ...

    def release(self, hop: int) -> None:
        """Have a hop end with what lies in its input, if others could still write."""
        ...

    def report(self, hop: int) -> HopReport | None:
        """Return what a hop that has not ended has moved, if that is known."""
        ...


class _Hop(NamedTuple):
    """Two pipes: stage i writes into ``up``, stage i + 1 reads from ``down``."""

    up: Pipe
    down: Pipe


class Wiring:
    """The pipes of a pipeline of ``hops`` + 1 stages, and what pumps.

    The pump is there before any stage is spawned, so that nothing is spawned in
    vain. Without hops there is none.

    Args:
        hops: how many hops.
        plan: for the pump, the taps and the interval of progress.
        backend: which pump to try first.
        owner: closes every descriptor, and ends the pump, at the latest.

    Attributes:
        outcomes: how the hops ended.
        inodes: numbers of the pipes, by which they can be recognised.

    Raises:
        PumpUnavailableError: it has to be the helper, and that cannot be run.
        OSError: a tap's target cannot be opened.
        ValueError: there is no such hop as a tap's, or it has two taps, or the engine
            cannot make copies.
    """

    def __init__(
        self, hops: int, plan: RunPlan, backend: StreamBackend, owner: ExitStack
    ) -> None:
        self._owner = owner
        self._plan = plan
        self._hops = [_Hop(make_pipe(owner), make_pipe(owner)) for _ in range(hops)]
        self._taps = self._open_taps()
        required = [tap.hop for tap in plan.taps if tap.required]
        self.outcomes = HopOutcomes(hops, required)
        self.inodes = {
            os.fstat(p.reader.fileno()).st_ino for h in self._hops for p in h
        }
        self._pump = self._launch(backend) if hops else None

    @property
    def pid(self) -> int | None:
        """The pump's process number; None if it has none of its own."""
        return None if self._pump is None else self._pump.pid

    def stdin(self, stage: int) -> int:
        """Return what a stage other than the first gets as standard input."""
        return self._hops[stage - 1].down.reader.fileno()

    def stdout(self, stage: int) -> int:
        """Return what a stage other than the last gets as standard output."""
        return self._hops[stage].up.writer.fileno()

    def close_outer_ends(self, stage: int) -> None:
        """Close our copies of what the stage has been given."""
        if stage > 0:
            self._hops[stage - 1].down.reader.close()
        if stage < len(self._hops):
            self._hops[stage].up.writer.close()

    async def start(self) -> None:
        """Put the pump to work, or the Python pump in its place.

        A helper that dies before it has started has moved nothing, so that the
        Python pump can take over the very same descriptors.

        Raises:
            PumpUnavailableError: it has to be the helper, and that did not start; or
                it started in some way that is not the protocol.
        """
        if self._pump is None:
            return
        try:
            await self._pump.start()
        except PumpUnavailableError as error:
            await finish(self._pump.stop())
            self._pump = self._instead_of_helper(error)
            await self._pump.start()

    async def wait(self) -> None:
        """Wait until all hops are over and nothing of the pump is left."""
        if self._pump is not None:
            await self._pump.wait()
        self.outcomes.close()

    async def stop(self) -> None:
        """End at once what is not over."""
        if self._pump is not None:
            await self._pump.stop()
        self.outcomes.close()

    def release(self, hop: int) -> None:
        """Wait no longer for those who could still write into a hop."""
        if self._pump is not None and not self.outcomes.hops[hop].done():
            self._pump.release(hop)

    def reports(self) -> tuple[HopReport, ...]:
        """Return what each hop has moved so far, as far as that is known."""
        return tuple(
            self._report(hop) if outcome is None else outcome.report
            for hop, outcome in enumerate(self.outcomes.known())
        )

    def _report(self, hop: int) -> HopReport:
        report = None if self._pump is None else self._pump.report(hop)
        return report or _NOTHING_YET

    def _launch(self, backend: StreamBackend) -> Pump:
        if backend is StreamBackend.PYTHON:
            return self._python_pump()
        is_watched = self._plan.on_progress is not None
        try:
            return HelperPump(
                self._inner_ends(),
                self._plan.pump,
                self.outcomes,
                self._owner,
                progress=self._plan.progress_interval if is_watched else None,
            )
        except PumpUnavailableError as error:
            return self._instead_of_helper(error)

    def _instead_of_helper(self, error: PumpUnavailableError) -> Pump:
        if error.is_final or helper_is_required():
            raise error
        _logger.warning("the Python pump takes over: %s", error)
        return self._python_pump()

    def _python_pump(self) -> Pump:
        pump = PythonPump(self._inner_ends(), self._plan.pump, self.outcomes)
        self._owner.callback(pump.abandon)
        return pump

    def _inner_ends(self) -> list[HopEnds]:
        return [
            HopEnds(hop.up.reader, hop.down.writer, self._taps.get(index))
            for index, hop in enumerate(self._hops)
        ]

    def _open_taps(self) -> dict[int, Descriptor]:
        self._check_taps()  # before a path is truncated in vain
        opened: dict[int, Descriptor] = {}
        for tap in self._plan.taps:
            opened[tap.hop] = open_output(
                tap.target, self._owner, append=tap.append, kind=BorrowedFile
            )
        return opened

    def _check_taps(self) -> None:
        if self._plan.taps and self._plan.pump.engine == "splice":
            raise ValueError("engine='splice' makes no copies: a tap needs another")
        seen: set[int] = set()
        for tap in self._plan.taps:
            if not 0 <= tap.hop < len(self._hops):
                last = len(self._hops) - 1
                raise ValueError(f"no hop {tap.hop} to tap, they are 0 to {last}")
            if tap.hop in seen:
                raise ValueError(f"hop {tap.hop} has two taps")
            seen.add(tap.hop)
