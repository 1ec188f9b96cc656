"""Every way to install: which pump the package finds there, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import KINDS, REPORT, Python, make_python
from tests.support.paths import TOP

if TYPE_CHECKING:
    from pathlib import Path

EXPECTED = {"pure": (False, "python"), "platform": (True, "splice")}

each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_in_a_virtual_environment(
    python: Python, wheels: dict[str, Path], kind: str
) -> None:
    python.pip("install", wheels[kind])
    *found, module = python.report()
    assert tuple(found) == EXPECTED[kind]
    assert module.is_relative_to(python.root)


@each_kind
def test_uninstalled_without_a_trace(
    python: Python, wheels: dict[str, Path], kind: str
) -> None:
    python.pip("--version")
    before = python.files()
    python.pip("install", wheels[kind])
    python.report()
    assert python.files() > before
    python.pip("uninstall", "--yes", "cuprum")
    assert python.files() == before


@each_kind
def test_over_the_other_kind(
    python: Python, wheels: dict[str, Path], kind: str
) -> None:
    (other,) = set(KINDS) - {kind}
    python.pip("install", wheels[other])
    python.report()
    python.pip("install", "--force-reinstall", wheels[kind])
    *found, module = python.report()
    assert tuple(found) == EXPECTED[kind]
    assert (module.parent / "_bin").exists() == (kind == "platform")


@each_kind
def test_in_a_directory_of_its_own(
    python: Python, wheels: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    python.pip("install", "--target", tmp_path / "lib", wheels[kind])
    *found, module = python.report(PYTHONPATH=tmp_path / "lib")
    assert tuple(found) == EXPECTED[kind]
    assert module.is_relative_to(tmp_path / "lib")


@each_kind
def test_for_one_user(wheels: dict[str, Path], kind: str, tmp_path: Path) -> None:
    python = make_python(tmp_path, "--system-site-packages")
    user = tmp_path / "user"
    python.pip("install", "--user", wheels[kind], PYTHONUSERBASE=user)
    *found, module = python.report(PYTHONUSERBASE=user)
    assert tuple(found) == EXPECTED[kind]
    assert module.is_relative_to(user)


@pytest.mark.parametrize(("word", "kind"), [("", "pure"), ("platform", "platform")])
def test_from_the_sdist(
    python: Python, builds: dict[str, list[Path]], word: str, kind: str
) -> None:
    python.pip("install", builds["sdist"][0], CUPRUM_WHEEL=word)
    *found, _ = python.report()
    assert tuple(found) == EXPECTED[kind]


def test_editable_takes_the_modules_from_the_source_tree(
    python: Python, helper_path: Path
) -> None:
    python.pip("install", "--editable", TOP)
    assert python.report() == (False, "python", TOP / "cuprum" / "__init__.py")
    assert python.report(CUPRUM_PUMP=helper_path)[:2] == (True, "splice")
    python.pip("uninstall", "--yes", "cuprum")
    with pytest.raises(AssertionError, match="No module named 'cuprum'"):
        python.report()


def test_editable_with_a_helper_is_refused(python: Python) -> None:
    with pytest.raises(AssertionError, match="an editable install has no place"):
        python.pip("install", "--editable", TOP, CUPRUM_WHEEL="platform")


@each_kind
def test_a_zipped_application_does_without_and_says_so(
    python: Python, wheels: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    application, archive = tmp_path / "application", tmp_path / "application.pyz"
    python.pip("install", "--target", application, wheels[kind])
    logging = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"
    (application / "__main__.py").write_text(logging + REPORT)
    python.run("-m", "zipapp", application, "--output", archive)
    told = python.run(archive)
    assert f"False python {archive}" in told
    place = archive / "cuprum" / "_bin" / "cuprum-pump"
    assert f"no helper found; tried CUPRUM_PUMP (not set); {place};" in told
    with pytest.raises(AssertionError, match=f"PumpUnavailableError.*{place}"):
        python.run(archive, CUPRUM_STREAM_BACKEND="helper")
