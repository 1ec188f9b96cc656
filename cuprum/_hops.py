"""How each hop ended, as both pumps record it and the pipeline reads it."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from cuprum.pump import HopReport, PumpError, TapError, TapReport

if TYPE_CHECKING:
    from collections.abc import Collection

    from cuprum._descriptors import Descriptor

__all__ = ["HopEnds", "HopOutcome", "HopOutcomes", "Side"]

_logger = logging.getLogger("cuprum._streams")

Side = Literal["read", "write"]


class HopEnds(NamedTuple):
    """The descriptors of one hop: to read, to write, and to write a copy, if any."""

    source: Descriptor
    sink: Descriptor
    tap: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class HopOutcome:
    """The end of one hop: what it moved and, if it failed, why and where."""

    report: HopReport
    errno: int = 0
    side: Side | None = None


class HopOutcomes:
    """The ends of a pipeline's hops and taps, filled in as they come.

    Args:
        count: how many hops.
        required_taps: hops whose tap must not fail.

    Attributes:
        hops: one future per hop; None if the pump ended without a word on it.
        taps: reports of taps by hop.
        failure: done once the pump, a hop or a required tap has failed.
    """

    def __init__(self, count: int, required_taps: Collection[int] = ()) -> None:
        loop = asyncio.get_running_loop()
        self.hops: tuple[asyncio.Future[HopOutcome | None], ...] = tuple(
            loop.create_future() for _ in range(count)
        )
        self.taps: dict[int, TapReport] = {}
        self.failure: asyncio.Future[None] = loop.create_future()
        self._required_taps = required_taps
        self._pump_error: tuple[int, str] | None = None
        self._tap_error: TapError | None = None

    def record(self, hop: int, outcome: HopOutcome) -> None:
        """Note the end of one hop."""
        self.hops[hop].set_result(outcome)
        if outcome.errno:
            self._note_failure()
        if outcome.report.broken_pipe:
            discarded = outcome.report.bytes_discarded
            _logger.warning(
                "stream_downstream_closed discarded_bytes=%d",
                discarded,
                extra={"cuprum_discarded_bytes": discarded},
            )

    def record_tap(self, report: TapReport) -> None:
        """Note the end of one hop's tap."""
        self.taps[report.hop] = report
        if not report.errno:
            return
        message = f"tap of hop {report.hop}: {os.strerror(report.errno)}"
        if report.hop in self._required_taps:
            self._tap_error = TapError(report.errno, message, report=report)
            self._note_failure()
        else:
            _logger.warning(message)

    def fail(self, errno: int, message: str) -> None:
        """Note that the pump as a whole failed."""
        self._pump_error = (errno, message)
        self._note_failure()

    def _note_failure(self) -> None:
        if not self.failure.done():
            self.failure.set_result(None)

    def close(self) -> None:
        """Note that there is no more to come."""
        for future in self.hops:
            if not future.done():
                future.set_result(None)

    def reports(self) -> tuple[HopReport, ...]:
        """Return every hop's report.

        Raises:
            TapError: a required tap failed.
            PumpError: a hop failed (the lowest-numbered is named), or the pump did,
                or the end of some hop is not known.
        """
        if self._tap_error is not None:
            raise self._tap_error
        outcomes = self.known()
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

    def known(self) -> list[HopOutcome | None]:
        """Return the ends of the hops that have ended; None for the others."""
        return [future.result() if future.done() else None for future in self.hops]
