"""The pipes between stages, and the pump that is put to work on them."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cuprum._backend import StreamBackend, helper_is_required
from cuprum._descriptors import Descriptor, Pipe, make_pipe
from cuprum._helper_pump import HelperPump
from cuprum._streams import PythonPump
from cuprum._tasks import finish
from cuprum.pump import PumpUnavailableError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from cuprum._hops import HopOutcomes
    from cuprum.pump import PumpOptions

__all__ = ["Pump", "Wiring"]

_logger = logging.getLogger(__name__)


class Pump(Protocol):
    """What moves the bytes of all hops; the pipeline does not know which one."""

    @property
    def outcomes(self) -> HopOutcomes:
        """How the hops ended."""
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


class _Hop(NamedTuple):
    """Two pipes: stage i writes into ``up``, stage i + 1 reads from ``down``."""

    up: Pipe
    down: Pipe


class Wiring:
    """The pipes of a pipeline of ``hops`` + 1 stages.

    Args:
        hops: how many hops.
        options: for the pump.
        owner: closes every descriptor, and ends the pump, at the latest.
    """

    def __init__(self, hops: int, options: PumpOptions, owner: ExitStack) -> None:
        self._owner = owner
        self._options = options
        self._hops = [_Hop(make_pipe(owner), make_pipe(owner)) for _ in range(hops)]

    def stdin(self, stage: int) -> int:
        """Return what the stage gets as standard input."""
        if stage == 0:
            return subprocess.DEVNULL
        return self._hops[stage - 1].down.reader.fileno()

    def stdout(self, stage: int) -> Descriptor | None:
        """Return what the stage gets as standard output; None for the last one."""
        return self._hops[stage].up.writer if stage < len(self._hops) else None

    def close_outer_ends(self, stage: int) -> None:
        """Close our copies of what the stage has been given."""
        if stage > 0:
            self._hops[stage - 1].down.reader.close()
        if stage < len(self._hops):
            self._hops[stage].up.writer.close()

    def launch(self, backend: StreamBackend) -> Pump:
        """Make the pump, before any stage is spawned.

        Raises:
            PumpUnavailableError: it has to be the helper, and that cannot be run.
        """
        if backend is StreamBackend.PYTHON:
            return self._python_pump()
        try:
            return HelperPump(self._inner_ends(), self._options, self._owner)
        except PumpUnavailableError as error:
            return self._instead_of_helper(error)

    async def start(self, pump: Pump) -> Pump:
        """Put the pump to work; return it, or the Python pump in its place.

        A helper that dies before it has started has moved nothing, so that the
        Python pump can take over the very same descriptors.

        Raises:
            PumpUnavailableError: it has to be the helper, and that did not start; or
                it started in some way that is not the protocol.
        """
        try:
            await pump.start()
        except PumpUnavailableError as error:
            await finish(pump.stop())
            pump = self._instead_of_helper(error)
            await pump.start()
        return pump

    def _instead_of_helper(self, error: PumpUnavailableError) -> Pump:
        if error.is_final or helper_is_required():
            raise error
        _logger.warning("the Python pump takes over: %s", error)
        return self._python_pump()

    def _python_pump(self) -> Pump:
        return PythonPump(self._inner_ends(), self._options)

    def _inner_ends(self) -> list[tuple[Descriptor, Descriptor]]:
        return [(hop.up.reader, hop.down.writer) for hop in self._hops]
