# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""The ways to run a pipeline: cuprum's, the shell's, and those of others.

Each runs all pipelines of a scenario that are to go on at the same time, waits for
their ends, raises an exception if one fails, and returns what it captured.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from importlib.util import find_spec
from itertools import pairwise

from bench.plan import KIB, Scenario
from cuprum import Pipeline, Program, ProgramCatalogue, ProjectSettings, sh
from cuprum import RunOutputOptions as Output

__all__ = ["WAYS", "Way", "stages"]

LARGE_PIPE = 256 * KIB
IDLE_SECONDS = 1.0

Captured = Sequence[str | bytes | None]


def stages(scenario: Scenario) -> list[list[str]]:
    """Return the commands of one pipeline."""
    if scenario.tiny:
        return [["echo", "hello"], ["cat"]]
    program = os.environ["BENCH_STAGE"]
    sums = ["-k"] if scenario.seed else []
    first = [program, "produce", "-n", str(scenario.size), "-c", str(scenario.chunk)]
    for option, value in (
        ("-l", scenario.line),
        ("-r", scenario.produce_rate),
        ("-s", scenario.seed),
    ):
        first += [option, str(value)] if value else []
    last = [program, "relay"]
    if scenario.capture is None:
        rate = ["-r", str(scenario.consume_rate)] if scenario.consume_rate else []
        last = [program, "consume", "-n", str(scenario.size), *rate, *sums]
    between = [[program, "relay"]] * (scenario.stages - 2)
    return [first + sums, *between, last]


def _succeeded(statuses: Sequence[int | None]) -> None:
    """Stop the measurement if a stage failed: its time would mean nothing."""
    if any(statuses):
        raise RuntimeError(f"a stage failed: exit statuses {statuses}")


# --- cuprum ----------------------------------------------------------------------


def _pipeline(argvs: list[list[str]]) -> Pipeline:
    """Return the commands as a pipeline of cuprum's."""
    programs = tuple(Program(argv[0]) for argv in argvs)
    project = ProjectSettings("bench", tuple(dict.fromkeys(programs)), (), ())
    catalogue = ProgramCatalogue(projects=[project])
    first, second, *others = (
        sh.make(Program(argv[0]), catalogue=catalogue)(*argv[1:]) for argv in argvs
    )
    whole = first | second
    for other in others:
        whole = whole | other
    return whole


def _told(_line: str) -> None:
    """Take a line, and do nothing with it."""


async def cuprum(scenario: Scenario) -> Captured:
    """Take cuprum, with the backend that the environment names."""
    pipeline = _pipeline(stages(scenario))
    output = Output(
        capture=scenario.capture is not None,
        text=scenario.capture != "bytes",
        on_stdout_line=_told if scenario.callback else None,
    )
    results = await asyncio.gather(
        *(pipeline.run(output=output) for _ in range(scenario.at_once))
    )
    for result in results:
        if not result.ok:
            raise RuntimeError(f"the pipeline failed: {result}")
    return [result.stdout for result in results]


# --- The shell, with and without a program in each pipe --------------------------


def _line(scenario: Scenario, between: Sequence[str]) -> str:
    """Return a pipeline as a shell takes it, with that program in each pipe."""
    words = [shlex.join(argv) for argv in stages(scenario)]
    return f" | {shlex.join(between)} | ".join(words) if between else " | ".join(words)


def _shell(*between: str) -> Callable[[Scenario], Captured]:
    def run(scenario: Scenario) -> Captured:
        """Let ``sh`` make the pipes."""
        argv = ["sh", "-c", _line(scenario, between)]
        output = subprocess.PIPE if scenario.capture else None
        crowd = [subprocess.Popen(argv, stdout=output) for _ in range(scenario.at_once)]
        captured = [process.communicate()[0] for process in crowd]
        _succeeded([process.returncode for process in crowd])
        return captured

    return run


def _filter(scenario: Scenario) -> Captured:
    """Let ``sh`` put the helper into each pipe, as a program like any other."""
    return _shell(os.environ["CUPRUM_PUMP"])(scenario)


# --- Python without cuprum -------------------------------------------------------


def _connected(
    argvs: list[list[str]], *, capture: bool
) -> list[subprocess.Popen[bytes]]:
    """Start stages with one pipe of 256 KiB between each two."""
    started: list[subprocess.Popen[bytes]] = []
    source: int | None = None
    for number, argv in enumerate(argvs):
        is_last = number == len(argvs) - 1
        reader, writer = (None, None) if is_last else os.pipe()
        if writer is not None:
            fcntl(writer, F_SETPIPE_SZ, LARGE_PIPE)
        output = subprocess.PIPE if is_last and capture else writer
        started.append(subprocess.Popen(argv, stdin=source, stdout=output))
        for end in (source, writer):
            if end is not None:
                os.close(end)
        source = reader
    return started


def direct(scenario: Scenario) -> Captured:
    """Let the stages share pipes of 256 KiB, and nobody stand between them."""
    capture = scenario.capture is not None
    argvs = stages(scenario)
    crowd = [_connected(argvs, capture=capture) for _ in range(scenario.at_once)]
    captured = [row[-1].communicate()[0] for row in crowd]
    _succeeded([process.wait() for row in crowd for process in row])
    return captured


def run(scenario: Scenario) -> Captured:
    """Take `subprocess`, and a shell's pipe for the stages."""
    argv = ["sh", "-c", _line(scenario, ())]
    text = scenario.capture == "text"
    if not scenario.callback:
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=text, check=True)
        return [done.stdout]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            _told(line)
            lines.append(line)
    _succeeded([process.returncode])
    return ["".join(lines)]


async def streams(scenario: Scenario) -> Captured:
    """Take asyncio's own subprocesses, and copy from reader to writer."""
    pipe = asyncio.subprocess.PIPE
    argvs = stages(scenario)
    started = [
        await asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe if number else None,
            stdout=pipe if number < len(argvs) - 1 or scenario.capture else None,
        )
        for number, argv in enumerate(argvs)
    ]

    async def copy(
        source: asyncio.subprocess.Process, sink: asyncio.subprocess.Process
    ) -> None:
        assert source.stdout is not None
        assert sink.stdin is not None
        while chunk := await source.stdout.read(64 * KIB):
            sink.stdin.write(chunk)
            await sink.stdin.drain()
        sink.stdin.close()

    last = started[-1].stdout
    captured, *_ = await asyncio.gather(
        last.read() if last else asyncio.sleep(0),
        *(copy(source, sink) for source, sink in pairwise(started)),
    )
    _succeeded([await process.wait() for process in started])
    return [captured]


def plumbum(scenario: Scenario) -> Captured:
    """Take plumbum."""
    local = importlib.import_module("plumbum").local
    first, *others = (local[argv[0]][argv[1:]] for argv in stages(scenario))
    for other in others:
        first = first | other
    return [str(first())]


def sh_module(scenario: Scenario) -> Captured:
    """Take sh, whose commands may be the input of others."""
    command = importlib.import_module("sh").Command
    done: object = None
    *earlier, last = stages(scenario)
    for argv in earlier:
        inputs = () if done is None else (done,)
        done = command(argv[0])(
            *inputs, *argv[1:], _piped=True, _out_bufsize=64 * KIB, _no_err=True
        )
    return [str(command(last[0])(done, *last[1:], _in_bufsize=64 * KIB))]


async def idle(_scenario: Scenario) -> Captured:
    """Do nothing for a while: that is the machine itself."""
    await asyncio.sleep(IDLE_SECONDS)
    return []


# --- All of them -----------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way to run a scenario.

    Attributes:
        label: what it is, in Markdown.
        work: runs it once.
        backend: of cuprum, where it is taken.
        program: has to be on PATH, if there is one.
        module: has to be importable, if there is one.
    """

    label: str
    work: Callable[[Scenario], Captured | Awaitable[Captured]]
    backend: str = ""
    program: str = "sh"
    module: str = "asyncio"

    @property
    def is_here(self) -> bool:
        """Whether what it takes is installed."""
        return bool(shutil.which(self.program) and find_spec(self.module))


WAYS = {
    "shell": Way("the shell's pipe", _shell()),
    "direct": Way("direct pipe, 256 KiB", direct),
    "helper": Way("cuprum, helper", cuprum, backend="helper"),
    "python": Way("cuprum, Python pump", cuprum, backend="python"),
    "filter": Way("shell, `cuprum-pump`", _filter),
    "cat": Way("shell, `cat`", _shell("cat"), program="cat"),
    "pv": Way("shell, `pv -q`", _shell("pv", "-q"), program="pv"),
    "mbuffer": Way("shell, `mbuffer -q`", _shell("mbuffer", "-q"), program="mbuffer"),
    "socat": Way(
        "shell, `socat`",
        _shell("socat", "-u", "-b", "65536", "-", "-"),
        program="socat",
    ),
    "asyncio": Way("asyncio's streams", streams),
    "plumbum": Way("plumbum", plumbum, module="plumbum"),
    "sh": Way("sh", sh_module, module="sh"),
    "run": Way("`subprocess.run`", run),
    "idle": Way("nothing at all", idle),
}
