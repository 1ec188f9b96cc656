"""Be the slow side of a hop, at monotonic deadlines, and know how slow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from harness import Outcome, Pump, expect, sample

PIECE = 65536  # bytes: a whole pipe of the usual size
TOLERANCE = 0.10


@dataclass
class Paced:
    """How long the pump must have waited, in seconds, and what it said."""

    input: float
    output: float
    outcome: Outcome

    def check(self) -> None:
        """Each wait within 10 % of what is known; of none, below 10 % of all."""
        self.outcome.check_complete()
        expect(self.outcome.status == 0, self.outcome)
        hop = self.outcome.hops[0]
        slack = TOLERANCE * (self.input + self.output)
        for name in ("input", "output"):
            known = getattr(self, name)
            said = getattr(hop, f"wait_{name}_ns") / 1e9
            near = abs(said - known) <= (TOLERANCE * known if known else slack)
            expect(near, f"wait for {name}: {known:.3f} s, but said {said:.3f}: {hop}")


def _read_exactly(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(fd, size - len(data))
        expect(chunk, f"only {len(data)} of {size} bytes")
        data += chunk
    return data


def paced(engine: str, phases: Iterable[tuple[str, float]]) -> Paced:
    """Run a hop through phases: ("input" | "output", seconds of waiting).

    In one for input nothing is written for so long. In one for output so much
    is written that the hop is blocked until the reader takes it, after so long.
    The clock of a phase starts when the one before has ended.
    """
    pump = Pump(["-e", engine, "-z", "keep"])
    text = b""
    while b"start" not in text:
        text += os.read(pump.status, 4096)
    source, sink = pump.inputs[0], pump.outputs[0]
    waits = {"input": 0.0, "output": 0.0}
    sent = got = b""
    began = time.monotonic()
    for number, (side, seconds) in enumerate(phases):
        # What the hop can pass on at once, and what it then holds up.
        pieces = [sample(PIECE, number)] if side == "output" else []
        last = [sample(10, number)]
        for piece in pieces + (last if side == "output" else []):
            os.write(source, piece)
            sent += piece
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        if side == "input":
            os.write(source, last[0])
            sent += last[0]
        now = time.monotonic()
        waits[side] += now - began
        began = now
        got += _read_exactly(sink, len(sent) - len(got))
    outcome = pump.run([b""])
    expect(sent == got, "not what was sent")
    outcome.sinks = [got + outcome.sinks[0]]
    outcome.text = text + outcome.text
    return Paced(waits["input"], waits["output"], outcome)
