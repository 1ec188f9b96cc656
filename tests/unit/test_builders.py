"""The builders as a package: names, programs, and examples that are true."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from cuprum import CORE_OPS_PROJECT, DEFAULT_CATALOGUE, GIT, RSYNC, TAR, builders
from cuprum.builders import (
    git_checkout,
    git_rev_parse,
    git_status,
    rsync_sync,
    tar_create,
    tar_extract,
)
from tests.support.paths import TOP

if TYPE_CHECKING:
    from cuprum import Program, SafeCmd

HOMES = {
    "args": ["GitRef", "SafePath", "git_ref", "safe_path"],
    "git": ["git_checkout", "git_rev_parse", "git_status"],
    "rsync": ["RsyncOptions", "rsync_sync"],
    "tar": ["Compression", "TarCreateOptions", "tar_create", "tar_extract"],
}


@pytest.mark.parametrize("home", HOMES)
def test_the_package_offers_what_its_modules_list(home: str) -> None:
    module = import_module(f"cuprum.builders.{home}")
    assert sorted(module.__all__) == HOMES[home]
    for name in HOMES[home]:
        assert getattr(builders, name) is getattr(module, name)


def test_the_package_offers_nothing_else() -> None:
    assert sorted(builders.__all__) == sorted(chain.from_iterable(HOMES.values()))


@pytest.mark.parametrize(
    "name",
    [
        *("PathRejection", "GitRefRejection"),
        *("classify_path_string", "classify_git_ref"),
    ],
)
def test_rejections_and_classifiers_are_there_for_who_asks(name: str) -> None:
    args = import_module("cuprum.builders.args")
    assert hasattr(args, name)
    assert name not in args.__all__
    assert not hasattr(builders, name)


@pytest.mark.parametrize(
    ("built", "program"),
    [
        (git_status(), GIT),
        (git_checkout("main"), GIT),
        (git_rev_parse("main"), GIT),
        (rsync_sync("/a", "/b"), RSYNC),
        (tar_create("/a.tar", ["/b"]), TAR),
        (tar_extract("/a.tar"), TAR),
    ],
    ids=lambda value: getattr(value, "argv", [value])[0],
)
def test_a_builders_program_is_the_default_catalogues(
    built: SafeCmd, program: Program
) -> None:
    entry = DEFAULT_CATALOGUE.lookup(program)
    assert built.program is entry.program
    assert built.project is entry.project
    assert entry.project_name == CORE_OPS_PROJECT


@pytest.mark.parametrize("home", HOMES)
def test_a_module_can_be_imported_first(home: str) -> None:
    code = f"import cuprum.builders.{home}"
    subprocess.run([sys.executable, "-c", code], cwd=TOP, check=True)


@pytest.mark.parametrize("home", ["", *(f".{home}" for home in HOMES)])
def test_the_examples_are_true(home: str) -> None:
    outcome = doctest.testmod(import_module(f"cuprum.builders{home}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
