"""What is in the sdist and the wheels, before anybody installs them."""

from __future__ import annotations

import platform
import re
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import KINDS, TOOLS, build, run
from tests.support.paths import TOP

if TYPE_CHECKING:
    from pathlib import Path

HELPER = "cuprum/_bin/cuprum-pump"
(VERSION,) = re.findall(
    r"AC_INIT\(\[cuprum\], \[(.*)\]\)", (TOP / "configure.ac").read_text()
)


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel, without what is about the wheel itself."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))
        }


def sources() -> set[str]:
    """Return the package's files in the source tree."""
    return {
        str(path.relative_to(TOP))
        for path in (TOP / "cuprum").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_the_names_say_what_the_files_are_for(builds: dict[str, list[Path]]) -> None:
    machine = platform.machine()
    tag = f"py3-none-manylinux_2_17_{machine}.musllinux_1_1_{machine}"
    assert builds["sdist"][0].name == f"cuprum-{VERSION}.tar.gz"
    assert builds["pure"][0].name == f"cuprum-{VERSION}-py3-none-any.whl"
    assert builds["platform"][0].name == f"cuprum-{VERSION}-{tag}.whl"


@pytest.mark.parametrize("kind", ["sdist", *KINDS])
def test_two_builds_have_the_same_bytes(
    builds: dict[str, list[Path]], kind: str
) -> None:
    first, second = builds[kind]
    assert first.parent != second.parent
    assert first.read_bytes() == second.read_bytes()


def test_the_checkers_have_no_complaint(builds: dict[str, list[Path]]) -> None:
    built = [path for paths in builds.values() for path in paths[:1]]
    assert run(TOOLS / "twine", "check", "--strict", *built).count("PASSED") == 3
    wheels = built[1:]
    assert run(TOOLS / "check-wheel-contents", *wheels).count(": OK") == len(wheels)


def test_the_pure_wheel_has_the_package_whole(wheels: dict[str, Path]) -> None:
    found = {name for name in contents(wheels["pure"]) if ".dist-info/" not in name}
    assert found == sources()


def test_the_platform_wheel_has_the_helper_besides(wheels: dict[str, Path]) -> None:
    pure, whole = (contents(wheels[kind]) for kind in KINDS)
    assert whole.keys() - pure.keys() == {HELPER}
    assert {name: whole[name] for name in pure} == pure


def test_the_helper_may_be_run(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["platform"]) as archive:
        assert archive.getinfo(HELPER).external_attr >> 16 == 0o100755


def test_the_helper_needs_no_library_and_says_the_same_version(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    helper = tmp_path / "cuprum-pump"
    helper.write_bytes(contents(wheels["platform"])[HELPER])
    helper.chmod(0o755)
    assert run(helper, "--version").startswith(f"cuprum-pump {VERSION}\n")
    headers = run("readelf", "--wide", "--segments", "--dynamic", helper)
    assert "LOAD" in headers
    assert "INTERP" not in headers
    assert "NEEDED" not in headers
    assert ".symtab" not in run("readelf", "--wide", "--sections", helper)


def test_the_sdist_has_what_is_under_version_control_alone(
    builds: dict[str, list[Path]],
) -> None:
    with tarfile.open(builds["sdist"][0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    git = ("git", "-C", TOP, "ls-files")
    listed = run(*git, "--cached", "--others", "--exclude-standard")
    there = {name for name in listed.splitlines() if (TOP / name).exists()}
    assert names == there | {"PKG-INFO"}


@pytest.mark.parametrize("word", ["Platform", "manylinux"])
def test_a_kind_that_is_none_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(AssertionError, match=f"CUPRUM_WHEEL={word}: it takes pure"):
        build(TOP, tmp_path, word)
    assert not list(tmp_path.iterdir())
