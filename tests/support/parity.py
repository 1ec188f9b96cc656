"""Running a pipeline each way, and what of its outcome can be compared."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cuprum import (
    ExecutionContext,
    Pipeline,
    PipelineResult,
    Redirect,
    RunOutputOptions,
    Tap,
)
from tests.support.bare_pipes import payload
from tests.support.ways import Way

#: What a run finds in its directory, as the files ``data`` and ``long``.
DATA = payload(300_000)
LONG = payload(3_000_000)
NEVER_COMPARED = {
    "pid",
    "engine",
    "elapsed",
    "waited_for_input",
    "waited_for_output",
    "bottleneck",
}


@dataclass
class Run:
    """One way's turn: where it works, and what was said to its callbacks."""

    directory: Path
    said: list[str] = field(default_factory=list)
    sink: io.StringIO = field(default_factory=io.StringIO)


Options = Callable[[Run], dict[str, Any]]


class Case(NamedTuple):
    """A pipeline, how to run it, and what has to come of it.

    ``want`` names what must be so, in whatever way, and ``chance`` what must not be
    compared, because it depends on who is faster. ``error`` is what it raises.
    ``options`` are those of a run; of them, ``output`` and ``context`` are given as
    what `RunOutputOptions` and `ExecutionContext` take.
    """

    pipeline: Pipeline
    want: dict[str, object] = {}  # noqa: RUF012  nobody changes it
    options: Options = lambda _: {}
    chance: frozenset[str] = frozenset()
    error: type[Exception] | None = None


def output(**options: object) -> Options:
    """Return options of the output."""
    return lambda _: {"output": options}


def context(**options: object) -> Options:
    """Return options of the context."""
    return lambda _: {"context": options}


BYTES = output(text=False)


def into(**names: str) -> Options:
    """Return options that send streams to files in the directory of the run."""

    def options(run: Run) -> dict[str, Any]:
        targets = {stream: run.directory / name for stream, name in names.items()}
        return {
            "output": {
                stream: Redirect(path, append=True) for stream, path in targets.items()
            }
        }

    return options


def tapped(*taps: tuple[int, str], required: bool = True) -> Options:
    """Return options that tap hops into files."""

    def options(run: Run) -> dict[str, Any]:
        return {
            "taps": [
                Tap(hop, run.directory / name, append=True, required=required)
                for hop, name in taps
            ],
            "output": {"text": False},
        }

    return options


def noting(run: Run) -> dict[str, Any]:
    """Return options by which each line is noted."""

    def note(line: str) -> None:
        run.said.append(line)

    return {"output": {"on_stdout_line": note}}


def refuse(line: str) -> None:
    """Be a callback that cannot do its work."""
    raise KeyError(line)


def told(case: Case, result: PipelineResult[Any]) -> dict[str, object]:
    """Return all of *result* that can be compared."""
    hidden = NEVER_COMPARED | case.chance

    def comparable(value: object) -> object:
        if isinstance(value, dict):
            items = value.items()
            return {key: comparable(v) for key, v in items if key not in hidden}
        if isinstance(value, tuple):
            return [comparable(item) for item in value]
        return value

    whole = comparable(dataclasses.asdict(result))
    assert isinstance(whole, dict)
    return {**whole, "ok": result.ok}


def facts(result: PipelineResult[Any], run: Run) -> dict[str, object]:
    """Return what a case may want of *result*, by the names that it uses."""
    hops = result.hops
    return {
        "stdout": result.stdout,
        "stderr": [stage.stderr for stage in result.stages],
        "codes": [stage.exit_code for stage in result.stages],
        "ok": result.ok,
        "failure_index": result.failure_index,
        "bottleneck": result.bottleneck,
        "counts": [(h.bytes_read, h.bytes_written, h.bytes_discarded) for h in hops],
        "drains": [hop.drain for hop in hops],
        "taps": [(tap.hop, tap.bytes_written, tap.errno) for tap in result.taps],
        "files": files(run),
        "said": [*run.said, run.sink.getvalue()],
    }


def files(run: Run) -> dict[str, bytes]:
    """Return what the run has written."""
    ours = {"data", "long"}
    paths = (path for path in run.directory.iterdir() if path.name not in ours)
    return {path.name: path.read_bytes() for path in paths}


def run_case(
    case: Case, way: Way, directory: Path
) -> tuple[dict[str, object], dict[str, object]]:
    """Run *case* that way; return what it gave, and all that can be compared."""
    directory.mkdir()
    (directory / "data").write_bytes(DATA)
    (directory / "long").write_bytes(LONG)
    run = Run(directory)
    options = case.options(run)
    options["output"] = RunOutputOptions(**options.get("output", {}))
    options["context"] = ExecutionContext(cwd=directory, **options.get("context", {}))
    with way.taken():
        try:
            result = case.pipeline.run_sync(**options, timeout=25)
        except Exception as error:
            if case.error is None or not isinstance(error, case.error):
                raise
            return {}, {
                "error": (type(error), str(error).replace(str(directory), "")),
                "notes": getattr(error, "__notes__", []),
                "report": getattr(error, "report", None),
                "files": files(run),
            }
        way.check(result)
    assert case.error is None, f"nothing was raised: {result}"
    assert all(h.bytes_read == h.bytes_written + h.bytes_discarded for h in result.hops)
    got = facts(result, run)
    return got, {**told(case, result), "files": got["files"], "said": got["said"]}
