"""What is this machine made of? Count the sections of its packages.

Runs a pipeline of seven programs over Debian's list of installed packages,
repeated until some 300 MB have flowed, and shows what each hop did. Then the
same pipeline runs again with the Python pump, and in a shell.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from cuprum import Pipeline, PipelineResult, Program, ProgramCatalogue, ProjectSettings
from cuprum.sh import make

PACKAGES = Path("/var/lib/dpkg/status")
TOTAL = 300_000_000  # bytes
ROUNDS = 3

PROGRAMS = ("cat", "tr", "grep", "sort", "uniq", "head")
catalogue = ProgramCatalogue(
    projects=[
        ProjectSettings(
            name="demo",
            programs=tuple(Program(name) for name in PROGRAMS),
            documentation_locations=("README.md",),
            noise_rules=(),
        )
    ]
)
cat, tr, grep, sort, uniq, head = (
    make(Program(name), catalogue=catalogue) for name in PROGRAMS
)


def sections(copies: int) -> Pipeline:
    """Count the sections in so many copies of the list; keep the five largest."""
    return (
        cat(*[PACKAGES] * copies)
        | tr("A-Z", "a-z")
        | grep("^section:")
        | sort()
        | uniq("-c")
        | sort("-rn")
        | head("-n", 5)
    )


def show_hops(pipeline: Pipeline, result: PipelineResult) -> None:
    """Print a row for each hop: what went through, and who waited for whom."""
    names = [command.program for command in pipeline.parts]
    print(f"{'hop':<16}{'bytes':>12}{'GB/s':>8}  {'engine':<7}", end="")
    print(f"{'starved s':>10}{'blocked s':>10}")
    for left, right, hop in zip(names, names[1:], result.hops, strict=False):
        rate = hop.bytes_written / hop.elapsed / 1e9
        print(f"{left + ' > ' + right:<16}{hop.bytes_written:>12}{rate:>8.4f}", end="")
        print(f"  {hop.engine:<7}{hop.waited_for_input:>10.2f}", end="")
        print(f"{hop.waited_for_output:>10.2f}")
    slowest = result.bottleneck
    named = "none" if slowest is None else f"stage {slowest}, {names[slowest]}"
    print(f"bottleneck: {named}")


def timed_in_another_process(copies: int, backend: str) -> float:
    """Return the seconds it takes; a process keeps the backend it began with."""
    output = subprocess.run(
        [sys.executable, __file__, "--seconds", str(copies)],
        env=os.environ | {"CUPRUM_STREAM_BACKEND": backend},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return float(output)


def timed_in_a_shell(pipeline: Pipeline) -> float:
    """Return the seconds it takes, joined by the shell's own pipes."""
    line = " | ".join(shlex.join(part.argv_with_program) for part in pipeline.parts)
    began = time.perf_counter()
    subprocess.run(["sh", "-c", line], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    """Run the demonstration, or with ``--seconds COPIES`` time one run."""
    if not PACKAGES.exists():
        print(f"demo: {PACKAGES} is missing: this demo needs Debian", file=sys.stderr)
        return 1
    match sys.argv[1:]:
        case []:
            return demonstrate(TOTAL // PACKAGES.stat().st_size + 1)
        case ["--seconds", copies] if copies.isdecimal():
            began = time.perf_counter()
            ok = sections(int(copies)).run_sync().ok
            print(time.perf_counter() - began)
            return 0 if ok else 1
        case _:
            print("usage: demo.py [--seconds COPIES]", file=sys.stderr)
            return 64


def demonstrate(copies: int) -> int:
    """Show the result, the hops, and how long other ways take."""
    pipeline = sections(copies)
    result = pipeline.run_sync()
    print(f"the largest sections, in {copies} copies of {PACKAGES}:")
    print(result.stdout)
    show_hops(pipeline, result)
    ways = {
        "helper": lambda: timed_in_another_process(copies, "helper"),
        "Python pump": lambda: timed_in_another_process(copies, "python"),
        "sh -c": lambda: timed_in_a_shell(pipeline),
    }
    rounds = [{how: run() for how, run in ways.items()} for _ in range(ROUNDS)]
    print(f"the same pipeline, median seconds of {ROUNDS} runs in turn: ", end="")
    print(", ".join(f"{how} {median(r[how] for r in rounds):.2f}" for how in ways))
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
