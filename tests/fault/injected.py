"""The same faults from outside: strace(1) makes system calls of a build fail.

injected.py probe CALL   say why strace cannot inject here; nothing if it can
injected.py CALL         a sample of the cases of that system call
injected.py case CASE    one case, and all that was seen of it

PUMP names the build, which needs no fault points. The filter is off: under
ptrace(2) it would be the tracer's business too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import product

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../helper/lib"))

import cases
from cases import Case
from faults import Tally, judge_hops, with_enough_data
from harness import PROGRAM, Pump, engines, sample

LIMIT = 5.0  # seconds; two more processes for each

# By engine, as only the data pipes are looked at: records go elsewhere.
OF_ENGINE = {"read": ["copy"], "write": ["copy"], "splice": ["splice"]}
# A hop closes two descriptors.
WHENS = {"close": ("1", "2")}
# Other names that a call has on other machines; "?" is for those without.
CALLS = {"poll": "?poll,?ppoll,?ppoll_time64", "fcntl": "?fcntl,?fcntl64"}


def strace(call: str, what: str, when: str, trace: str) -> list[str]:
    """Every third is written 3+3 there."""
    when = when.replace("%3", "3+3")
    names = CALLS.get(call, call)
    inject = f"inject={names}:error={what}:when={when}"
    return ["strace", "-qq", "-o", trace, "-e", f"trace={names}", "-e", inject]


def of_call(call: str) -> list[Case]:
    whats = [what for what in cases.WHATS[call].split() if what != "short"]
    chosen = [e for e in OF_ENGINE.get(call, cases.BOTH) if e in engines()]
    return [
        Case((f"{call}:{what}:{when}",), engine, hops, "fast")
        for what, when, engine, hops in product(
            whats, WHENS.get(call, ("1", "%3")), chosen, (1, 3)
        )
    ]


def try_once(case: Case, size: int, loud: bool = False) -> tuple[bool, str | None]:
    """Run it; whether its fault was reached, and what went wrong."""
    complaint = None
    call, what, when = case.faults[0].split(":")
    sources = [sample(size, number) for number in range(case.hops)]
    with tempfile.NamedTemporaryFile(mode="r") as trace:

        def wrapper(data: Sequence[int]) -> list[str]:
            paths = (os.readlink(f"/proc/self/fd/{fd}") for fd in data)
            chosen = [word for path in paths for word in ("-P", path)]
            return [*strace(call, what, when, trace.name), *chosen]

        options = ("--no-sandbox", "-e", case.engine, "-d", "0.1")
        pump = Pump(options, case.hops, PROGRAM, wrapper=wrapper)
        outcome = pump.run(sources, limit=LIMIT)
        text = trace.read()
    try:
        judge_hops(case, outcome, sources)
    except Exception as error:  # a case that broke is a finding
        complaint = f"{type(error).__name__}: {error}"
    if loud:
        print(outcome, text, sep="\n")
    return "(INJECTED)" in text, complaint


def probe(call: str) -> str:
    """Why it cannot be done; an empty string if it can."""
    command = [*strace(call, "EIO", "60000", os.devnull), PROGRAM, "--version"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if result.returncode == 0 else result.stderr.strip()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["probe", call]:
            print(probe(call))
            return 0
        case ["case", text]:
            wanted, loud = [Case.parse(text)], True
        case [call]:
            wanted, loud = of_call(call), False
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    tally = Tally(f"strace {arguments[-1]}", f"PUMP={PROGRAM}")
    for one in wanted:
        tally.add(*with_enough_data(one, partial(try_once, loud=loud)))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
