"""How each hop ended, as both pumps record it and the pipeline reads it."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Literal

from cuprum.pump import HopReport, PumpError

__all__ = ["HopOutcome", "HopOutcomes", "Side"]

_logger = logging.getLogger("cuprum._streams")

Side = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class HopOutcome:
    """The end of one hop: what it moved and, if it failed, why and where."""

    report: HopReport
    errno: int = 0
    side: Side | None = None


class HopOutcomes:
    """The ends of a pipeline's hops, filled in as they come.

    Attributes:
        hops: one future per hop; None if the pump ended without a word on it.
    """

    def __init__(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        self.hops: tuple[asyncio.Future[HopOutcome | None], ...] = tuple(
            loop.create_future() for _ in range(count)
        )
        self._pump_error: tuple[int, str] | None = None

    def record(self, hop: int, outcome: HopOutcome) -> None:
        """Note the end of one hop."""
        self.hops[hop].set_result(outcome)
        if outcome.report.broken_pipe:
            discarded = outcome.report.bytes_discarded
            _logger.warning(
                "stream_downstream_closed discarded_bytes=%d",
                discarded,
                extra={"cuprum_discarded_bytes": discarded},
            )

    def fail(self, errno: int, message: str) -> None:
        """Note that the pump as a whole failed."""
        self._pump_error = (errno, message)

    def close(self) -> None:
        """Note that there is no more to come."""
        for future in self.hops:
            if not future.done():
                future.set_result(None)

    @property
    def failed(self) -> bool:
        """Whether the pump or one of its hops is known to have failed."""
        return self._pump_error is not None or any(o and o.errno for o in self._known())

    async def broken_pipe(self, hop: int) -> bool:
        """Wait for the end of ``hop`` and tell whether its reader had gone."""
        await asyncio.wait((self.hops[hop],))
        outcome = self.hops[hop].result()
        return outcome is not None and outcome.report.broken_pipe

    def reports(self) -> tuple[HopReport, ...]:
        """Return every hop's report.

        Raises:
            PumpError: a hop failed (the lowest-numbered is named), or the pump did,
                or the end of some hop is not known.
        """
        outcomes = self._known()
        reports = tuple(outcome and outcome.report for outcome in outcomes)
        for hop, outcome in enumerate(outcomes):
            if outcome is not None and outcome.errno:
                raise PumpError(
                    outcome.errno,
                    f"hop {hop}, {outcome.side or 'unknown'} side: "
                    f"{os.strerror(outcome.errno)}",
                    hop=hop,
                    side=outcome.side,
                    report=outcome.report,
                    reports=reports,
                )
        if self._pump_error is not None:
            raise PumpError(*self._pump_error, reports=reports)
        whole = tuple(report for report in reports if report is not None)
        assert len(whole) == len(self.hops), "a pump ended without a word"
        return whole

    def _known(self) -> list[HopOutcome | None]:
        return [future.result() if future.done() else None for future in self.hops]
