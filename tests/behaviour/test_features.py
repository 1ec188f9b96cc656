"""The steps of ``features/pipelines.feature``."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from cuprum import PipelineResult, PumpError, PumpUnavailableError
from tests.support.bare_pipes import payload
from tests.support.paths import TOP
from tests.support.processes import is_alive, read_pid
from tests.support.stages import (
    BINARY,
    captured_bytes,
    cat,
    command,
    producer,
    python,
    shell,
)
from tests.support.striker import Striker

if TYPE_CHECKING:
    from pathlib import Path

    from cuprum import Pipeline

scenarios(str(TOP / "tests" / "features" / "pipelines.feature"))

SLOW_READER = "import os, time\nwhile os.read(0, 65536): time.sleep(0.01)"


@dataclass
class Outcome:
    """What became of the run: a result or an error, and how long it took."""

    result: PipelineResult | None = None
    error: Exception | None = None
    took: float = 0.0
    pids: list[Path] = field(default_factory=list)

    def of(self, pipeline: Pipeline) -> None:
        """Run *pipeline* and keep what becomes of it."""
        began = time.monotonic()
        try:
            self.result = pipeline.run_sync(context=BINARY, timeout=20)
        except (OSError, ImportError) as error:
            self.error = error
        self.took = time.monotonic() - began

    @property
    def success(self) -> PipelineResult:
        """The result of a run that raised nothing."""
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


@pytest.fixture
def outcome() -> Outcome:
    """Return the place for what became of the run."""
    return Outcome()


@given("there is no helper anywhere")
def no_helper(fresh_backend: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the helper: no variable, and a PATH of the system's programs alone."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "sh", "touch"):
        (tools / name).symlink_to(f"/bin/{name}")
    fresh_backend.setenv("PATH", str(tools))
    fresh_backend.setenv("CUPRUM_PUMP", "")


@given(parsers.parse('the backend "{backend}" is asked for'))
def ask_for(
    request: pytest.FixtureRequest, fresh_backend: pytest.MonkeyPatch, backend: str
) -> None:
    """Set the variable; skip where the helper is needed and was not built."""
    fresh_backend.setenv("CUPRUM_STREAM_BACKEND", backend)
    if backend != "python":
        request.getfixturevalue("helper_path")


@when(parsers.parse("a pipeline sends {size:d} bytes through {stages:d} stages"))
def send(outcome: Outcome, tmp_path: Path, size: int, stages: int) -> None:
    """Send the content of a file through ``cat``s."""
    (tmp_path / "data").write_bytes(payload(size))
    pipeline = producer(tmp_path / "data") | cat()
    for _ in range(stages - 2):
        pipeline |= cat()
    outcome.of(pipeline)


@when("a pipeline that leaves a mark is run")
def leave_mark(outcome: Outcome, tmp_path: Path) -> None:
    """Run stages of which each would leave a file."""
    marks = [command("touch", str(tmp_path / f"mark-{n}")) for n in range(2)]
    outcome.of(marks[0] | marks[1])


@when("the helper is killed while data flows")
def kill_helper(outcome: Outcome, tmp_path: Path) -> None:
    """Kill it once the last stage has read something."""
    outcome.pids = [tmp_path / "first", tmp_path / "last"]
    first = shell('echo $$ >"$1"; exec yes', str(outcome.pids[0]))
    script = 'head -c 9 >/dev/null; echo $$ >"$1"; exec cat >/dev/null'
    last = shell(script, str(outcome.pids[1]))
    striker = Striker(outcome.pids[1], signal.SIGKILL)
    outcome.of(first | last)
    striker.join()
    assert len(striker.hit) == 1


@when("an endless producer meets a reader of one line")
def close_early(outcome: Outcome) -> None:
    """Run ``yes | head -1``."""
    outcome.of(command("yes") | command("head", "-1"))


@when("a pipeline ends in a slow consumer")
def slow_consumer(outcome: Outcome) -> None:
    """Run a quick producer into a reader that sleeps between its reads."""
    zeros = command("head", "-c", 3_000_000, "/dev/zero")
    outcome.of(zeros | cat() | python(SLOW_READER))


@then("the run succeeds")
def succeeds(outcome: Outcome) -> None:
    """See that it is ok and nothing is marked as failed."""
    assert outcome.success.ok
    assert outcome.success.failure_index is None


@then(parsers.parse("all {size:d} bytes have arrived"))
def arrived(outcome: Outcome, size: int) -> None:
    """Compare what came out, and what the hops say, with what went in."""
    assert captured_bytes(outcome.success) == payload(size)
    assert all(hop.bytes_written == size for hop in outcome.success.hops)


@then(parsers.parse('the bytes were moved by the "{pump}" pump'))
def moved_by(outcome: Outcome, pump: str) -> None:
    """Look at the engine of each hop."""
    engines = {hop.engine for hop in outcome.success.hops}
    allowed = {"python"} if pump == "python" else {"splice", "copy"}
    assert engines
    assert engines <= allowed


@then("the run is refused because the helper is unavailable")
def refused(outcome: Outcome) -> None:
    """See the error, which is an ImportError, too."""
    assert isinstance(outcome.error, PumpUnavailableError)
    assert isinstance(outcome.error, ImportError)


@then("the error names every place that was tried")
def places_named(outcome: Outcome) -> None:
    """Look for the places in the message."""
    for place in ("CUPRUM_PUMP", "_bin/cuprum-pump", "_helper_path.txt", "PATH"):
        assert place in str(outcome.error)


@then("no stage has left its mark")
def no_mark(tmp_path: Path) -> None:
    """See that nothing was started."""
    assert not list(tmp_path.glob("mark-*"))


@then("the run fails with a pump error")
def pump_error(outcome: Outcome) -> None:
    """See the error, and that it came at once."""
    assert isinstance(outcome.error, PumpError)
    assert outcome.error.errno
    assert outcome.took < 5


@then("no stage is left")
def none_left(outcome: Outcome) -> None:
    """Look for the processes by their ids."""
    assert not any(is_alive(read_pid(path)) for path in outcome.pids)


@then("it has taken less than a second")
def quick(outcome: Outcome) -> None:
    """Look at the clock."""
    assert outcome.took < 1


@then("the hop reports a broken pipe")
def broken_pipe(outcome: Outcome) -> None:
    """Look at the only hop."""
    (hop,) = outcome.success.hops
    assert hop.broken_pipe
    assert hop.bytes_read == hop.bytes_written + hop.bytes_discarded


@then("the last stage is named as the bottleneck")
def bottleneck(outcome: Outcome) -> None:
    """Compare the index."""
    assert outcome.success.bottleneck == len(outcome.success.stages) - 1
