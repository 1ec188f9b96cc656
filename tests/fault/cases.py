"""Which faults are tried: tables, and the names of single cases.

A case is written CALL:WHAT:WHEN/ENGINE/HOPS/SINK, such as
`write:ENOSPC:%3/copy/3/slow`; several faults are joined by commas. The words
of a fault are those of helper/fault.h.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

WHENS = ("1", "2", "5", "%3")

# These mean "try again": nothing may come of them at all.
HARMLESS = {
    "read": {"EINTR", "EAGAIN", "short"},
    "write": {"EINTR", "EAGAIN", "short"},
    "splice": {"EINTR", "EAGAIN", "short"},
    "poll": {"EINTR", "EAGAIN"},
    "close": {"EINTR"},
    "recvmsg": {"EINTR", "EAGAIN"},
}

# Of these the pump says that the reader has gone, which is no error.
BROKEN = {"write": {"EPIPE", "ECONNRESET"}, "splice": {"EPIPE"}}

# What each call can say, by its manual page and by the common set.
WHATS = {
    "read": "EINTR EIO EAGAIN ENOMEM EINVAL ECONNRESET EBADF EISDIR short",
    "write": "EINTR EIO EAGAIN ENOMEM EINVAL EPIPE ECONNRESET ENOSPC EFBIG EDQUOT "
    "EBADF EPERM short",
    "splice": "EINTR EIO EAGAIN ENOMEM EINVAL EPIPE ENOSPC EFBIG EBADF ENOSYS EPERM "
    "EOPNOTSUPP short",
    "poll": "EINTR EIO EAGAIN ENOMEM EINVAL",
    "close": "EINTR EIO EBADF ENOSPC EDQUOT",
    "fcntl": "EIO ENOMEM EBADF EPERM EBUSY EMFILE EINVAL",
    "recvmsg": "EINTR EIO EAGAIN ENOMEM ECONNRESET EINVAL EMFILE",
    "malloc": "ENOMEM",
}

# One engine's calls alone, and those of a process that serves jobs.
ENGINES = {"splice": ("splice", "auto"), "recvmsg": ("jobs",)}
BOTH = ("copy", "splice")

# What can go wrong with a tap.
OF_TAP = ("write", "close", "fcntl", "poll")

# Where a hop makes too few calls of a kind for the fault to be reached.
UNREACHABLE: tuple[tuple[str, str], ...] = (
    (r"read:[^,]*/splice/", "the splice engine does not read"),
    (r"close:.*:5/.*/1/", "one hop closes two descriptors, with a tap three"),
    (r"close:.*:%3/(copy|splice)/1/", "one hop closes two descriptors"),
    (r"write:.*:5/splice/1/", "the records of one hop are three"),
)

# After the reader has gone: the fault comes while what is left is discarded.
DRAINING = tuple(
    f"{broken},read:{what}:{when}"
    for broken in ("splice:EPIPE:2", "write:EPIPE:3")
    for what in ("EINTR", "EAGAIN", "EIO", "short")
    for when in ("2", "3", "%2")
)


@dataclass(frozen=True, slots=True)
class Case:
    faults: tuple[str, ...]
    engine: str  # of --engine, or "jobs", or "tap": copy, with a tap on each hop
    hops: int
    sink: str  # fast or slow

    def __str__(self) -> str:
        return f"{','.join(self.faults)}/{self.engine}/{self.hops}/{self.sink}"

    @classmethod
    def parse(cls, text: str) -> Case:
        faults, engine, hops, sink = text.split("/")
        return cls(tuple(faults.split(",")), engine, int(hops), sink)

    @property
    def calls(self) -> set[str]:
        return {fault.split(":")[0] for fault in self.faults}

    @property
    def whats(self) -> set[str]:
        return {fault.split(":")[1] for fault in self.faults}

    def all_in(self, table: dict[str, set[str]]) -> bool:
        """Whether each fault is one of the table's."""
        words = (fault.split(":") for fault in self.faults)
        return all(what in table.get(call, ()) for call, what, _ in words)

    def any_in(self, table: dict[str, set[str]]) -> bool:
        words = (fault.split(":") for fault in self.faults)
        return any(what in table.get(call, ()) for call, what, _ in words)

    @property
    def unreachable(self) -> str | None:
        """Why its faults need not be reached; None: they must be."""
        reasons = (why for what, why in UNREACHABLE if re.match(what, str(self)))
        return next(reasons, None)


def _spread(faults: tuple[str, ...], engines: tuple[str, ...]) -> Iterator[Case]:
    for engine in engines:
        for hops in (1,) if engine == "jobs" else (1, 3):
            for sink in ("fast",) if engine == "jobs" else ("fast", "slow"):
                yield Case(faults, engine, hops, sink)


def of_call(call: str) -> Iterator[Case]:
    """Each errno and "short", at each moment, with each engine."""
    for what in WHATS[call].split():
        for when in WHENS:
            yield from _spread((f"{call}:{what}:{when}",), ENGINES.get(call, BOTH))


def tapped() -> Iterator[Case]:
    for call in OF_TAP:
        for what in WHATS[call].split():
            for when in WHENS:
                yield from _spread((f"{call}:{what}:{when}",), ("tap",))


def draining() -> Iterator[Case]:
    for text in DRAINING:
        engine = "splice" if text.startswith("splice") else "copy"
        yield from _spread(tuple(text.split(",")), (engine,))


def sweep(call: str, engine: str, hops: int) -> Iterator[Case]:
    """The first call of its kind, the second, and so on, without an end."""
    number = 0
    what = "ENOMEM" if call == "malloc" else "EIO"
    while True:
        number += 1
        yield Case((f"{call}:{what}:{number}",), engine, hops, "fast")
