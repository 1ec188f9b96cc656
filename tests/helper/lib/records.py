"""Check status records of cuprum-pump, and expressions over them.

    records.py [--so-far] FILE [EXPRESSION]...

The whole file must be a well-formed stream of records (see check_stream).
Then each EXPRESSION, Python over `start`, `progress` (a list in the order
written), `hop` (a list by number), `tap` (by the number of its hop) and `end`,
must be true. With --so-far an
unfinished stream will do, and a broken last line is left out.
"""

import errno
import json
import select
import sys
from types import SimpleNamespace

MEMBERS = {
    "start": {
        "protocol": int,
        "version": str,
        "pid": int,
        "hops": int,
        "sandbox": str,
    },
    "progress": {
        "hop": int,
        "read": int,
        "written": int,
        "discarded": int,
        "waiting": (str, type(None)),
        "wait_input_ns": int,
        "wait_output_ns": int,
        "elapsed_ns": int,
    },
    "hop": {
        "hop": int,
        "read": int,
        "written": int,
        "discarded": int,
        "engine": (str, type(None)),
        "broken_pipe": bool,
        "drain": (str, type(None)),
        "released": bool,
        "errno": int,
        "error": (str, type(None)),
        "side": (str, type(None)),
        "wait_input_ns": int,
        "wait_output_ns": int,
        "elapsed_ns": int,
    },
    "tap": {
        "hop": int,
        "written": int,
        "errno": int,
        "error": (str, type(None)),
    },
    "end": {"errno": int, "error": (str, type(None))},
}


class Malformed(Exception):
    """The records break the contract."""


def require(condition: object, complaint: str) -> None:
    if not condition:
        raise Malformed(complaint)


def parse(text: bytes) -> list[SimpleNamespace]:
    found = []
    for line in text.splitlines(keepends=True):
        require(line.endswith(b"\n"), "the last line has no end")
        require(len(line) <= select.PIPE_BUF, "longer than PIPE_BUF")
        record = SimpleNamespace(**json.loads(line))
        require(record.event in MEMBERS, f"unknown event {record.event!r}")
        for name, kind in MEMBERS[record.event].items():
            value = getattr(record, name)
            right = isinstance(value, kind) and (
                kind is not int or (not isinstance(value, bool) and value >= 0)
            )
            require(right, f"{record.event}.{name} is {value!r}")
        found.append(record)
    return found


def check_error(record: SimpleNamespace) -> None:
    # Some numbers have two names.
    named = getattr(errno, record.error, 0) if record.error else 0
    require(record.errno == named, f"error is not the name of errno: {record}")


def check_waits(record: SimpleNamespace) -> None:
    waited = record.wait_input_ns + record.wait_output_ns
    require(waited <= record.elapsed_ns, f"waited longer than it ran: {record}")


def check_progress(record: SimpleNamespace) -> None:
    check_waits(record)
    accounted = record.written + record.discarded
    require(record.read >= accounted, f"written before read: {record}")
    require(record.waiting in ("input", "output", None), f"waiting: {record}")


def check_hop(record: SimpleNamespace, sided: bool) -> None:
    check_error(record)
    check_waits(record)
    total = record.written + record.discarded
    require(record.read == total, f"bytes unaccounted for: {record}")
    require(record.engine in ("splice", "copy", None), f"engine: {record}")
    require(record.drain in ("eof", "timeout", "closed", None), f"drain: {record}")
    if record.errno == 0:
        require(record.side is None, f"a side without an error: {record}")
        ended = record.drain is not None
        require(record.broken_pipe == ended, f"broken_pipe or drain: {record}")
        lost = record.discarded > 0
        require(not lost or ended, f"discarded in silence: {record}")
    elif sided and record.errno != errno.EINTR:
        # A splice that cannot be served at all fails on neither side.
        sides = ("read", "write") if record.read else ("read", "write", None)
        require(record.side in sides, f"no side: {record}")


def check_stream(found: list[SimpleNamespace], *, sided: bool = True) -> None:
    """Order and number of records; every one consistent in itself.

    sided: an error that is not of both sides names one.
    """
    require(found and found[0].event == "start", "start is not first")
    require(found[0].sandbox in ("seccomp", "none"), f"sandbox: {found[0]}")
    hops = found[0].hops
    ended: set[int] = set()
    tapped: set[int] = set()
    latest = dict.fromkeys(range(hops), (0, 0, 0))
    for position, record in enumerate(found[1:], 1):
        require(record.event != "start", "a second start")
        if record.event == "end":
            check_error(record)
            require(position == len(found) - 1, "a record after end")
            require(ended == set(range(hops)), f"hops ended: {sorted(ended)}")
            continue
        number = record.hop
        require(number in latest, f"there is no hop {number}")
        require(number not in ended, f"hop {number} had ended")
        if record.event == "tap":
            check_error(record)
            require(number not in tapped, f"hop {number} had one tap, not two")
            tapped.add(number)
            continue
        if record.event == "progress":
            check_progress(record)
        else:
            check_hop(record, sided)
            ended.add(number)
        now = (record.read, record.written, record.elapsed_ns)
        backwards = any(a < b for a, b in zip(now, latest[number], strict=True))
        require(not backwards, f"counters of hop {number} went backwards")
        latest[number] = now


def main(arguments: list[str]) -> int:
    so_far = arguments[0] == "--so-far"
    path, *expressions = arguments[so_far:]
    with open(path, "rb") as stream:
        text = stream.read()
    try:
        if so_far:
            text = text[: text.rfind(b"\n") + 1]
        found = parse(text)
        check_stream(found)
        require(so_far or found[-1].event == "end", "no end")
        names = {
            "start": found[0],
            "progress": [r for r in found if r.event == "progress"],
            "hop": sorted((r for r in found if r.event == "hop"), key=lambda r: r.hop),
            "tap": {r.hop: r for r in found if r.event == "tap"},
            "end": found[-1] if found[-1].event == "end" else None,
        }
        for expression in expressions:
            require(eval(expression, dict(names)), f"not so: {expression}")
    except (Malformed, AttributeError, IndexError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        print(text.decode(errors="replace"), end="", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
