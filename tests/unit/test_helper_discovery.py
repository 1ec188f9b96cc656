"""Where the helper is looked for, in which order, and what is said if it is nowhere.

Each test runs a copy of the package in a process of its own, with helpers at
chosen places. Such a helper notes where it was started from and then becomes the
real one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cuprum

DRIVER = """
import sys
from cuprum import ECHO, Program, ProgramCatalogue, ProjectSettings, sh
from cuprum import PumpUnavailableError
cat = Program("cat")
catalogue = ProgramCatalogue(projects=[ProjectSettings("t", (ECHO, cat), (), ())])
make = lambda name: sh.make(name, catalogue=catalogue)
try:
    result = (make(ECHO)("hi") | make(cat)()).run_sync()
except PumpUnavailableError as error:
    sys.exit(f"unavailable: {error}")
assert result.stdout == "hi\\n", result
print(result.hops[0].engine)
"""


class Installation:
    """A copy of the package, a PATH of its own, and helpers to be placed there."""

    def __init__(self, root: Path, real_helper: Path) -> None:
        self.package = root / "lib" / "cuprum"
        self.bin = root / "bin"
        self.log = root / "log"
        self._real_helper = real_helper
        self.environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "PYTHONPATH": str(self.package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUPRUM_STREAM_BACKEND": "helper",
        }
        left_out = shutil.ignore_patterns("__pycache__", "_bin", "_helper_path.txt")
        shutil.copytree(Path(cuprum.__file__).parent, self.package, ignore=left_out)
        self.bin.mkdir()

    def place(self, path: Path) -> Path:
        """Put a helper at *path* that notes that it was used."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'#!/bin/sh\necho {path} >>{self.log}\nexec {self._real_helper} "$@"\n'
        )
        path.chmod(0o755)
        return path

    def record(self, text: str) -> None:
        """Record *text* as ``make install`` would."""
        (self.package / "_helper_path.txt").write_text(text)

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run a pipeline of this package."""
        return subprocess.run(
            [sys.executable, "-P", "-c", DRIVER],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def used(self) -> set[str]:
        """Run a pipeline that must succeed; return the helpers that were started."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        return set(self.log.read_text().split()) if self.log.exists() else set()


@pytest.fixture
def installation(tmp_path: Path, helper_path: Path) -> Installation:
    """Return an installation without any helper."""
    return Installation(tmp_path, helper_path)


PLACES = ("variable", "package", "recorded", "path")


def place_at(installation: Installation, place: str, root: Path) -> Path:
    """Put a helper at one of the PLACES and make it known there."""
    if place == "variable":
        helper = installation.place(root / "named" / "my-pump")
        installation.environment["CUPRUM_PUMP"] = str(helper)
    elif place == "package":
        helper = installation.place(installation.package / "_bin" / "cuprum-pump")
    elif place == "recorded":
        helper = installation.place(root / "libexec" / "cuprum-pump")
        installation.record(f"{helper}\n")
    else:
        helper = installation.place(installation.bin / "cuprum-pump")
    return helper


@pytest.mark.parametrize("first", range(len(PLACES)), ids=PLACES)
def test_the_first_place_wins(
    installation: Installation, tmp_path: Path, first: int
) -> None:
    placed = [place_at(installation, place, tmp_path) for place in PLACES[first:]]
    assert installation.used() == {str(placed[0])}


def test_every_place_is_named_where_there_is_none(
    installation: Installation,
) -> None:
    done = installation.run()
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert told.startswith("unavailable: Helper stream backend requested via")
    for place in ("CUPRUM_PUMP", "_bin/cuprum-pump", "_helper_path.txt", "PATH"):
        assert place in told


def test_auto_does_without_where_there_is_none(installation: Installation) -> None:
    installation.environment["CUPRUM_STREAM_BACKEND"] = "auto"
    assert installation.run().stdout == "python\n"


def test_a_recorded_helper_that_is_gone_is_passed_over(
    installation: Installation, tmp_path: Path
) -> None:
    installation.record(f"{tmp_path / 'uninstalled' / 'cuprum-pump'}\n")
    found = place_at(installation, "path", tmp_path)
    assert installation.used() == {str(found)}


def test_an_empty_record_is_passed_over(
    installation: Installation, tmp_path: Path
) -> None:
    installation.record("\n")
    found = place_at(installation, "path", tmp_path)
    assert installation.used() == {str(found)}


def test_a_file_on_the_path_that_cannot_run_is_passed_over(
    installation: Installation, tmp_path: Path
) -> None:
    (installation.bin / "cuprum-pump").write_text("not a program\n")
    elsewhere = installation.place(tmp_path / "elsewhere" / "cuprum-pump")
    installation.environment["PATH"] += f":{elsewhere.parent}"
    assert installation.used() == {str(elsewhere)}


def test_an_empty_variable_is_no_variable(
    installation: Installation, tmp_path: Path
) -> None:
    installation.environment["CUPRUM_PUMP"] = ""
    found = place_at(installation, "path", tmp_path)
    assert installation.used() == {str(found)}


def test_the_working_directory_is_no_place(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.place(tmp_path / "here" / "cuprum-pump")
    monkeypatch.chdir(tmp_path / "here")
    assert installation.run().returncode == 1


def write(path: Path, text: str, *, mode: int = 0o755) -> Path:
    """Write an executable file."""
    path.write_text(text)
    path.chmod(mode)
    return path


UNUSABLE = {
    "missing": lambda root: root / "nowhere" / "cuprum-pump",
    "a directory": lambda root: root,
    "not executable": lambda root: write(root / "f", "#!/bin/sh\n", mode=0o644),
    "no program": lambda root: write(root / "f", "\0\1\2\n"),
    "exits with 1": lambda root: write(root / "f", "#!/bin/sh\nexit 1\n"),
    "dies": lambda root: write(root / "f", "#!/bin/sh\nkill -9 $$\n"),
    "says nothing": lambda root: write(root / "f", "#!/bin/sh\nexit 0\n"),
    "another protocol": lambda root: write(
        root / "f", "#!/bin/sh\necho cuprum-pump 9.0\necho protocol 2\n"
    ),
    "garbage": lambda root: write(root / "f", "#!/bin/sh\nhead -c 5000 /dev/urandom\n"),
    "something else": lambda root: Path("/bin/true"),
    "relative": lambda root: Path(os.path.relpath("/bin/cat")),
}


@pytest.mark.parametrize("backend", ["helper", "auto"])
@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_variable_that_names_no_helper_is_an_error(
    installation: Installation, tmp_path: Path, kind: str, backend: str
) -> None:
    # Also where there is one elsewhere, and under auto: it is never passed over.
    place_at(installation, "path", tmp_path)
    named = UNUSABLE[kind](tmp_path)
    installation.environment["CUPRUM_PUMP"] = str(named)
    installation.environment["CUPRUM_STREAM_BACKEND"] = backend
    done = installation.run()
    assert done.returncode == 1, done.stdout
    told = done.stderr.splitlines()[-1]
    assert told.startswith("unavailable: ")
    assert "CUPRUM_PUMP" in told
    assert str(named) in told
    assert not installation.log.exists()


@pytest.mark.parametrize("kind", ["missing", "garbage"])
def test_the_python_backend_does_not_look_at_the_variable(
    installation: Installation, tmp_path: Path, kind: str
) -> None:
    installation.environment["CUPRUM_PUMP"] = str(UNUSABLE[kind](tmp_path))
    installation.environment["CUPRUM_STREAM_BACKEND"] = "python"
    assert installation.run().stdout == "python\n"


@pytest.mark.parametrize("kind", ["exits with 1", "another protocol", "garbage"])
def test_auto_does_without_a_helper_on_the_path_that_does_not_answer(
    installation: Installation, tmp_path: Path, kind: str
) -> None:
    shutil.copy(UNUSABLE[kind](tmp_path), installation.bin / "cuprum-pump")
    installation.environment["CUPRUM_STREAM_BACKEND"] = "auto"
    assert installation.run().stdout == "python\n"
    installation.environment["CUPRUM_STREAM_BACKEND"] = "helper"
    told = installation.run().stderr.splitlines()[-1]
    assert told.startswith("unavailable: ")
