"""What is built once, and what is installed for each test.

Built are the sdist of this tree, and from it both wheels, each twice in a
directory of its own. Nothing of the environment reaches what is installed: no
helper is on its PATH.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import TOP

KINDS = ("pure", "platform")
TOOLS = Path(sys.executable).parent
LEFT_OUT = ("CUPRUM_PUMP", "CUPRUM_STREAM_BACKEND", "CUPRUM_WHEEL", "PYTHONPATH")

REPORT = """
import asyncio, cuprum
from cuprum import ECHO, Program, ProgramCatalogue, ProjectSettings, sh
cat = Program("cat")
catalogue = ProgramCatalogue(projects=[ProjectSettings("t", (ECHO, cat), (), ())])
echo, cat = (sh.make(program, catalogue=catalogue) for program in (ECHO, cat))
result = (echo("hi") | cat()).run_sync()
assert result.ok and result.stdout == "hi\\n", result
print(cuprum.is_helper_available(), result.hops[0].engine, cuprum.__file__)
"""


def run(*command: str | Path, **environment: str | Path) -> str:
    """Run a command that must succeed; return its output."""
    kept = {name: word for name, word in os.environ.items() if name not in LEFT_OUT}
    done = subprocess.run(
        command,
        env={**kept, **{name: str(word) for name, word in environment.items()}},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
    return done.stdout


def build(source: Path, to: Path, kind: str) -> Path:
    """Build the sdist or a kind of wheel of *source*; return the one file."""
    which = "--sdist" if kind == "sdist" else "--wheel"
    command = (sys.executable, "-P", "-m", "build", "--no-isolation", which)
    run(
        *command,
        *("--outdir", to, source),
        CUPRUM_WHEEL="" if kind == "sdist" else kind,
        SOURCE_DATE_EPOCH="1700000000",
    )
    (built,) = to.iterdir()
    return built


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Build everything twice: sdist, pure and platform."""
    made: dict[str, list[Path]] = {"sdist": [], "pure": [], "platform": []}
    for _ in range(2):
        root = tmp_path_factory.mktemp("build")
        sdist = build(TOP, root / "sdist", "sdist")
        made["sdist"].append(sdist)
        run("tar", "--extract", "--file", sdist, "--directory", root)
        for kind in KINDS:
            source = root / sdist.name.removesuffix(".tar.gz")
            made[kind].append(build(source, root / kind, kind))
    return made


@pytest.fixture(scope="session")
def wheels(builds: dict[str, list[Path]]) -> dict[str, Path]:
    """Return one of each kind of wheel."""
    return {kind: builds[kind][0] for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Python:
    """A fresh virtual environment, and pip to install into it from outside."""

    root: Path
    programs: Path

    @property
    def executable(self) -> Path:
        """Return its interpreter."""
        return self.root / "bin" / "python"

    def pip(self, *arguments: str | Path, **environment: str | Path) -> str:
        """Run pip for this environment, with the build tools that are tested here."""
        pins = self.root / "constraints"
        pins.write_text(f"hatchling=={importlib.metadata.version('hatchling')}\n")
        pip = (sys.executable, "-P", "-m", "pip", "--quiet")
        return run(
            *(*pip, "--python", self.executable, *arguments),
            PIP_CONSTRAINT=pins,
            **environment,
        )

    def run(self, *arguments: str | Path, **environment: str | Path) -> str:
        """Run it, with the source tree out of its way and no helper on PATH."""
        return run(
            *(self.executable, "-P", *arguments), PATH=self.programs, **environment
        )

    def report(self, **environment: str | Path) -> tuple[bool, str, Path]:
        """Run a pipeline: is there a helper, what moved the bytes, whose cuprum."""
        told = self.run("-c", REPORT, **environment)
        available, engine, module = told.split()
        return available == "True", engine, Path(module)

    def files(self) -> set[Path]:
        """Return everything in it."""
        return set(self.root.rglob("*"))


def make_python(root: Path, *options: str) -> Python:
    """Make a virtual environment below *root*."""
    programs = root / "programs"
    programs.mkdir()
    for name in ("echo", "cat"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    run(sys.executable, "-m", "venv", "--without-pip", *options, root / "venv")
    return Python(root / "venv", programs)


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Make a virtual environment with nothing in it."""
    return make_python(tmp_path)
