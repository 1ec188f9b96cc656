#!/usr/bin/env bats
# Time starved and time blocked, where it is known how slow the slow side is.

load common

# bats test_tags=needs:pace
@test "with a paced producer, the time starved is right within 10 %" {
    python_script <<'END'
from harness import engines
from pacing import paced

for engine in engines():
    paced(engine, [("input", 0.1)] * 10).check()
    paced(engine, [("input", 1.0)]).check()
END
}

# bats test_tags=needs:pace
@test "with a paced consumer, the time blocked is right within 10 %" {
    python_script <<'END'
from harness import engines
from pacing import paced

for engine in engines():
    paced(engine, [("output", 0.1)] * 10).check()
    paced(engine, [("output", 1.0)]).check()
END
}

# bats test_tags=needs:pace
@test "with both sides paced, both times are right within 10 %" {
    python_script <<'END'
from harness import engines
from pacing import paced

for engine in engines():
    paced(engine, [("input", 0.1), ("output", 0.1)] * 6).check()
    paced(engine, [("input", 0.9), ("output", 0.3)]).check()
    paced(engine, [("output", 0.2), ("input", 0.2), ("input", 0.2)] * 2).check()
END
}

@test "nobody waits for long where nobody is slow" {
    python_script <<'END'
import time

from harness import Pump, engines, expect, sample

for engine in engines():
    data = sample(8_000_000)
    began = time.monotonic()
    outcome = Pump(["-e", engine]).run([data], limit=10)
    passed = (time.monotonic() - began) * 1e9
    outcome.check_complete()
    hop = outcome.hops[0]
    expect(hop.wait_input_ns + hop.wait_output_ns <= hop.elapsed_ns <= passed, hop)
    expect(outcome.sinks == [data], outcome)
END
}
