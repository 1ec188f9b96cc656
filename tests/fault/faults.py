"""Try faults on a build with --enable-faults, and judge what came of them.

faults.py CALL           every case of one system call
faults.py draining       faults while a hop discards what nobody reads
faults.py tapped         faults of hops that each have a tap
faults.py sweep CALL     that call fails the 1st, 2nd, 3rd ... time, to the last
faults.py case CASE      one case, and all that was seen of it

CUPRUM_PUMP_FAULTY names the build. Prints a line of counts; each case that
went wrong is named with the command that repeats it.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../helper/lib"))
PROGRAM = os.environ.setdefault("CUPRUM_PUMP_FAULTY", "cuprum-pump")
SETTING = f"CUPRUM_PUMP_FAULTY={PROGRAM}"
os.environ.setdefault("PUMP", PROGRAM)

import cases  # noqa: E402
import jobs  # noqa: E402
from cases import BROKEN, HARMLESS, Case  # noqa: E402
from harness import Outcome, Pump, expect, sample  # noqa: E402

# Bytes per hop: more than the pipes hold, in several calls. How many, depends
# on who is how fast; where that was too few for the fault, more data is sent.
SIZES = (400_000, 1_600_000, 6_400_000)
LIMIT = 2.0  # seconds: longer is a hang
BATCH = 3  # cases at once
SWEEP_MAX = 200
REPORT = re.compile(r"^(\w+:\w+:%?\d+) (\d+)$", re.MULTILINE)

# Run a case with so much data: was it reached, and what went wrong.
Once = Callable[[Case, int], tuple[bool, str | None]]

# Exit statuses, sysexits.h.
EX_OK, EX_OSERR, EX_IOERR, EX_TEMPFAIL = 0, 71, 74, 75


def environment(case: Case) -> dict[str, str]:
    # The report goes to standard error: the sandbox closes what is not named.
    return {
        "CUPRUM_PUMP_FAULTS": ",".join(case.faults),
        "CUPRUM_PUMP_FAULT_REPORT": "2",
    }


def run_hops(case: Case, size: int) -> tuple[Outcome, list[bytes]]:
    sources = [sample(size, number) for number in range(case.hops)]
    tapped = case.engine == "tap"
    options = ("-e", "copy" if tapped else case.engine, "-d", "0.1")
    pump = Pump(options, case.hops, PROGRAM, environment(case), tapped=tapped)
    outcome = pump.run(sources, limit=LIMIT, slow=case.sink == "slow")
    return outcome, sources


# --- what may come of it ------------------------------------------------------


def judge_taps(outcome: Outcome) -> None:
    """A tap has what its reader has, at least, or says why not."""
    for tap in outcome.tap_records:
        got, sink = len(outcome.taps[tap.hop]), len(outcome.sinks[tap.hop])
        expect(tap.errno != 0 or got >= sink, f"tap {tap.hop}: {got} of {sink} bytes")


def judge_success(case: Case, outcome: Outcome, sources: list[bytes]) -> None:
    """Every byte has arrived, or the reader is said to have gone."""
    outcome.check_complete()
    expect(outcome.end is not None and outcome.end.errno == 0, "an error, but exit 0")
    for hop, sink, source in zip(outcome.hops, outcome.sinks, sources, strict=True):
        if hop.broken_pipe:
            expect(case.any_in(BROKEN), "a broken pipe from nowhere")
            expect(hop.drain in ("eof", "timeout"), f"drain: {hop.drain}")
        else:
            expect(sink == source, f"hop {hop.hop}: {len(sink)} bytes, but exit 0")
    judge_taps(outcome)


def judge_failure(case: Case, outcome: Outcome, sources: list[bytes]) -> None:
    """The hops that were hit say why; the others are as if nothing had been."""
    outcome.check_complete(sided="poll" not in case.calls)
    numbers = {getattr(errno, what, None) for what in case.whats}
    judge_taps(outcome)
    failed = [r for r in (*outcome.hops, *outcome.tap_records) if r.errno != 0]
    expect(failed, "exit 74, but neither hop nor tap has an errno")
    for tap in outcome.tap_records:
        expect(tap.errno in (0, *numbers), f"tap {tap.hop} has errno {tap.error}")
    expect(outcome.end is not None and outcome.end.errno in numbers, "end.errno")
    for hop in outcome.hops:
        if hop.errno != 0:
            expect(hop.errno in numbers, f"hop {hop.hop} has errno {hop.error}")
        elif not hop.broken_pipe:
            sink, source = outcome.sinks[hop.hop], sources[hop.hop]
            expect(sink == source, f"hop {hop.hop}: incomplete, and no error")
    expect("cuprum-pump: hop " in outcome.errors, "nothing on standard error")


def judge_refusal(case: Case, outcome: Outcome, sources: list[bytes]) -> None:
    """Nothing has begun: no byte, no record but a lone `end`, one message."""
    expect(not any(outcome.sinks), "exit 71, but bytes have moved")
    expect([r.event for r in outcome.records] in ([], ["end"]), "records of a start")
    expect(outcome.end is None or outcome.end.errno != 0, "an end without an error")
    expect("cuprum-pump: " in outcome.errors, "nothing on standard error")


def judge_lost(case: Case, outcome: Outcome, sources: list[bytes]) -> None:
    """The records themselves could not be written: there is no `end`."""
    hit_status = case.calls & {"write", "poll"}
    expect(hit_status, "exit 75, but the status descriptor was not hit")
    expect(b'"event":"end"' not in outcome.text, "exit 75, but an end record")
    expect("(status)" in outcome.errors, "nothing on standard error")


JUDGES: dict[int | None, Callable[[Case, Outcome, list[bytes]], None]] = {
    EX_OK: judge_success,
    EX_IOERR: judge_failure,
    EX_OSERR: judge_refusal,
    EX_TEMPFAIL: judge_lost,
}


def judge_hops(case: Case, outcome: Outcome, sources: list[bytes]) -> None:
    expect(outcome.status is not None, f"a hang: still running after {LIMIT} s")
    expect(outcome.status in JUDGES, "no exit status of these")
    outcome.check_prefix(sources)
    if case.all_in(HARMLESS):
        expect(outcome.status == EX_OK, "an error, where it was to try again")
        expect(outcome.sinks == sources, "bytes are missing")
        expect(outcome.taps in ([], sources), "bytes are missing at a tap")
    JUDGES[outcome.status](case, outcome, sources)


# --- a process that serves jobs -----------------------------------------------


def try_jobs(case: Case) -> str:
    """Six jobs for a server whose recvmsg fails; its standard error."""
    served = 0
    with jobs.Server(environment=environment(case), program=PROGRAM) as server:
        for number in range(6):
            reader, writer = jobs.pipe()
            data = str(number).encode()
            try:
                job = server.begin(hops=[jobs.filled(data), writer])
            except OSError:  # it has ended; `send` has closed what it was given
                os.close(reader)
                break
            while job.read(LIMIT):
                pass
            os.close(job.status)
            got = jobs.take(reader)
            if not job.text:
                expect(got == b"", "bytes of a job without records")
                break
            expect(got == data and job.end.errno == 0, f"job {number}: {job.text!r}")
            served += 1
        server.socket.close()
        status = jobs.wait(server.ended, LIMIT)
        errors = jobs.take(os.dup(server.stderr)).decode()
    if case.all_in(HARMLESS):
        expect((status, served) == (EX_OK, 6), f"status {status}, {served} jobs")
    elif "ECONNRESET" in case.whats:  # what the other end's going looks like
        expect(status == EX_OK, f"status {status}")
    else:
        expect(status in (EX_OK, EX_OSERR), f"status {status}")
        expect((status == EX_OSERR) == ("(control)" in errors), errors)
        expect(status == EX_OSERR or served == 6, f"exit 0 after {served} jobs")
    return errors


# --- many of them -------------------------------------------------------------


class Tally:
    """Counts, and the cases that went wrong."""

    def __init__(self, name: str, setting: str = SETTING) -> None:
        self.name = name
        self.setting = setting
        self.tried = self.reached = self.excused = 0
        self.wrong: list[str] = []

    def add(self, case: Case, reached: bool, complaint: str | None) -> None:
        self.tried += 1
        self.reached += reached
        if complaint is None and not reached:
            self.excused += 1
            if case.unreachable is None:
                complaint = "the fault was never reached"
        elif case.unreachable is not None and reached:
            complaint = complaint or f"reached, but listed as not: {case.unreachable}"
        if complaint is not None:
            command = f"{sys.executable} {sys.argv[0]} case {case}"
            self.wrong.append(f"{case}: {complaint}\n  {self.setting} {command}")

    def finish(self) -> int:
        for text in self.wrong:
            print(text, file=sys.stderr)
        print(
            f"{self.name}: {self.tried} faults tried, {self.reached} reached, "
            f"{self.excused} not to be reached, {len(self.wrong)} wrong"
        )
        return 1 if self.wrong or not self.reached else 0


def try_once(case: Case, size: int, loud: bool = False) -> tuple[bool, str | None]:
    """Run it; whether all its faults were reached, and what went wrong."""
    complaint, errors, seen = None, "", ""
    try:
        if case.engine == "jobs":
            errors = try_jobs(case)
        else:
            outcome, sources = run_hops(case, size)
            errors, seen = outcome.errors, str(outcome)
            judge_hops(case, outcome, sources)
    except Exception as error:  # a case that broke is a finding
        complaint = f"{type(error).__name__}: {error}"
        errors += "".join(getattr(error, "__notes__", []))
    if loud:
        print(seen or errors)
    counts = {fault: int(count) for fault, count in REPORT.findall(errors)}
    return all(counts.get(fault, 0) > 0 for fault in case.faults), complaint


def with_enough_data(case: Case, once: Once) -> tuple[Case, bool, str | None]:
    """Run it, with more data while the fault is not reached."""
    reached, complaint = False, None
    for size in SIZES:
        reached, complaint = once(case, size)
        if reached or complaint is not None or case.unreachable is not None:
            break
    return case, reached, complaint


def try_case(case: Case, loud: bool = False) -> tuple[Case, bool, str | None]:
    return with_enough_data(case, partial(try_once, loud=loud))


def try_all(name: str, wanted: Iterable[Case]) -> int:
    tally = Tally(name)
    with ThreadPoolExecutor(BATCH) as pool:
        for result in pool.map(try_case, wanted):
            tally.add(*result)
    return tally.finish()


def try_sweep(call: str) -> int:
    """For each engine and number of hops, up to the first one not reached."""
    tally = Tally(f"sweep {call}")
    engines = cases.ENGINES.get(call, cases.BOTH)
    for engine in (*engines, "tap") if call in cases.OF_TAP else engines:
        for hops in (1, 3):
            for case in islice(cases.sweep(call, engine, hops), SWEEP_MAX):
                reached, complaint = try_once(case, SIZES[0])
                if not reached and complaint is None:
                    break
                tally.add(case, reached, complaint)
    return tally.finish()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["case", text]:
            tally = Tally(text)
            tally.add(*try_case(Case.parse(text), loud=True))
            return tally.finish()
        case ["sweep", call]:
            return try_sweep(call)
        case ["draining"]:
            return try_all("draining", cases.draining())
        case ["tapped"]:
            return try_all("tapped", cases.tapped())
        case [call]:
            return try_all(call, cases.of_call(call))
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
