"""What a cuprum-pump process says on its status pipe.

Nothing here waits: `StatusLog` is given bytes, from an event loop or from a
blocking read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, cast

from cuprum._helper_backend import PROTOCOL
from cuprum._hops import HopOutcome
from cuprum.pump import HopReport, TapReport

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["StatusError", "StatusLog"]

_MAX_RECORD = 65536
"""No record comes near this (they are at most PIPE_BUF); more is not a record."""

_NS = 1e-9


class StatusError(Exception):
    """The status pipe carried something that is not the protocol we speak."""


class StatusLog:
    """What one helper has said so far.

    Args:
        hops: how many hops it was given.
        tapped: those of them that it was to tap.

    Attributes:
        started: its ``start`` record has come.
        ended: its ``end`` record has come, the last one.
        outcomes: ends of hops by index, in the order in which they came.
        taps: ends of taps, likewise.
        progress: what hops that had not ended had moved, by index.
        errno: the error of the ``end`` record; 0 if all went well.
    """

    def __init__(self, hops: int, tapped: Collection[int] = ()) -> None:
        self.started = False
        self.ended = False
        self.outcomes: dict[int, HopOutcome] = {}
        self.taps: dict[int, TapReport] = {}
        self.progress: dict[int, HopReport] = {}
        self.errno = 0
        self._hops = hops
        self._tapped = frozenset(tapped)
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Take in what was read from the status pipe.

        Unknown events and members are ignored, as the protocol asks.

        Raises:
            StatusError: this is not the protocol, or not the one that we speak.
        """
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._record(line)
        if len(self._partial) > _MAX_RECORD:
            raise StatusError(f"a record of more than {_MAX_RECORD} bytes")

    def _record(self, line: bytes) -> None:
        if len(line) > _MAX_RECORD:
            raise StatusError(f"a record of more than {_MAX_RECORD} bytes")
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            raise StatusError(f"not a record: {line[:80]!r}") from None
        if not isinstance(value, dict):
            raise StatusError(f"not a record: {line[:80]!r}")
        record = _Record(cast("dict[str, object]", value))
        match record.text("event"):
            case "start":
                self._on_start(record)
            case "hop":
                self._on_hop(record)
            case "tap":
                self._on_tap(record)
            case "progress":
                self._on_progress(record)
            case "end":
                self._on_end(record)
            case _:
                pass

    def _on_start(self, record: _Record) -> None:
        protocol = record.count("protocol")
        if protocol != PROTOCOL:
            raise StatusError(f"protocol {protocol}, not {PROTOCOL}")
        self.started = True

    def _on_hop(self, record: _Record) -> None:
        hop = record.count("hop")
        if not self.started or hop >= self._hops or hop in self.outcomes:
            raise StatusError(f"an unexpected record of hop {hop}")
        report = HopReport(
            bytes_read=record.count("read"),
            bytes_written=record.count("written"),
            bytes_discarded=record.count("discarded"),
            engine=record.text("engine"),
            broken_pipe=record.flag("broken_pipe"),
            drain=record.drain(),
            elapsed=record.count("elapsed_ns") * _NS,
            waited_for_input=record.count("wait_input_ns") * _NS,
            waited_for_output=record.count("wait_output_ns") * _NS,
            released=record.flag("released", False),
        )
        if report.bytes_read != report.bytes_written + report.bytes_discarded:
            raise StatusError(f"the counts of hop {hop} do not add up")
        self.outcomes[hop] = HopOutcome(report, record.count("errno"), record.side())

    def _on_tap(self, record: _Record) -> None:
        hop, written = record.count("hop"), record.count("written")
        if hop not in self._tapped or hop in self.taps:
            raise StatusError(f"an unexpected record of the tap of hop {hop}")
        self.taps[hop] = TapReport(hop, written, record.count("errno"))

    def _on_progress(self, record: _Record) -> None:
        self.progress[record.count("hop")] = HopReport(
            bytes_read=record.count("read"),
            bytes_written=record.count("written"),
            bytes_discarded=record.count("discarded", 0),
            engine=record.text("engine", ""),
            broken_pipe=False,
            drain=None,
            elapsed=record.count("elapsed_ns", 0) * _NS,
            waited_for_input=record.count("wait_input_ns") * _NS,
            waited_for_output=record.count("wait_output_ns") * _NS,
            waiting=record.waiting(),
        )

    def _on_end(self, record: _Record) -> None:
        self.errno = record.count("errno")
        untold = len(self.outcomes) < self._hops or self._tapped - self.taps.keys()
        if self.started and untold:
            raise StatusError("an end without the end of every hop and tap")
        self.ended = True


class _Record:
    """A record's members, each with the type that the protocol gives it."""

    def __init__(self, members: dict[str, object]) -> None:
        self._members = members

    def count(self, name: str, default: int | None = None) -> int:
        value = self._members.get(name, default)
        if type(value) is not int or value < 0:
            raise self._bad(name)
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._members.get(name, default)
        if not isinstance(value, str):
            raise self._bad(name)
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self._members.get(name, default)
        if not isinstance(value, bool):
            raise self._bad(name)
        return value

    def drain(self) -> Literal["eof", "timeout", "closed"] | None:
        for drain in ("eof", "timeout", "closed", None):
            if self._members.get("drain") == drain:
                return drain
        raise self._bad("drain")

    def side(self) -> Literal["read", "write"] | None:
        for side in ("read", "write", None):
            if self._members.get("side") == side:
                return side
        raise self._bad("side")

    def waiting(self) -> Literal["input", "output"] | None:
        for waiting in ("input", "output", None):
            if self._members.get("waiting") == waiting:
                return waiting
        raise self._bad("waiting")

    def _bad(self, name: str) -> StatusError:
        return StatusError(f"a record with {name} {self._members.get(name)!r}")
