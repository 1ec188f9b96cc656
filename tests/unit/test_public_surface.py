"""What can be imported, and from where."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import cuprum
from tests.support.paths import TOP

HOMES = {
    "cuprum.program": ["Program"],
    "cuprum.catalogue": [
        *("CORE_OPS_PROJECT", "DEFAULT_CATALOGUE", "DEFAULT_PROJECTS"),
        *("DOCUMENTATION_PROJECT", "DOC_TOOL", "ECHO", "GIT", "LS", "RSYNC", "TAR"),
        *("ProgramCatalogue", "ProgramEntry", "ProjectSettings"),
        "UnknownProgramError",
    ],
    "cuprum.sh": [
        *("CommandResult", "ExecutionContext", "Pipeline", "PipelineResult"),
        *("RunOutputOptions", "SafeCmd", "SafeCmdBuilder", "StdinInput"),
        *("IOOptions", "TimeoutExpired"),
    ],
    "cuprum.context": [
        *("CuprumContext", "ForbiddenProgramError", "ScopeConfig"),
        *("current_context", "get_context", "merge_env_overlays", "resolve_env"),
        "scoped",
    ],
    "cuprum.helper": ["is_helper_available"],
    "cuprum.pump": ["HopReport", "PumpError", "PumpOptions", "PumpUnavailableError"],
}


@pytest.mark.parametrize(
    ("home", "name"), [(home, name) for home, names in HOMES.items() for name in names]
)
def test_the_root_exports_the_same_object_as_its_module(home: str, name: str) -> None:
    assert name in cuprum.__all__
    assert getattr(cuprum, name) is getattr(import_module(home), name)


def test_all_names_exist_and_are_listed_once() -> None:
    assert len(cuprum.__all__) == len(set(cuprum.__all__))
    for name in cuprum.__all__:
        assert hasattr(cuprum, name), name


@pytest.mark.parametrize(
    ("home", "name"),
    [
        ("cuprum.catalogue", "DuplicateProjectError"),
        ("cuprum.catalogue", "DuplicateProgramError"),
        ("cuprum.context", "ContextError"),
        ("cuprum.sh", "make"),
        ("cuprum.sh", "build_argv"),
    ],
)
def test_some_names_are_not_at_the_root(home: str, name: str) -> None:
    assert not hasattr(cuprum, name)
    assert hasattr(import_module(home), name)


@pytest.mark.parametrize("name", ["scoped", "UnknownProgramError", "Program"])
def test_sh_offers_what_its_callers_need(name: str) -> None:
    assert getattr(cuprum.sh, name) is getattr(cuprum, name)


def test_constants() -> None:
    assert cuprum.PACKAGE_NAME == "cuprum"
    assert cuprum.CORE_OPS_PROJECT == "core-ops"
    assert cuprum.DOCUMENTATION_PROJECT == "docs"
    named = [cuprum.ECHO, cuprum.GIT, cuprum.LS, cuprum.RSYNC, cuprum.TAR]
    assert named == ["echo", "git", "ls", "rsync", "tar"]
    assert cuprum.DOC_TOOL == "mdbook"


def test_sh_is_imported_with_the_package() -> None:
    code = "import cuprum; cuprum.sh.make"
    subprocess.run([sys.executable, "-c", code], cwd=TOP, check=True)


def test_importing_starts_no_process_and_reads_no_backend() -> None:
    # Only pipelines care for the backend, so a bad value must not break an import.
    code = "import subprocess; subprocess.Popen = None; import cuprum"
    environment = {"CUPRUM_STREAM_BACKEND": "nonsense", "CUPRUM_PUMP": "/nonsense"}
    subprocess.run([sys.executable, "-c", code], cwd=TOP, env=environment, check=True)


def test_the_package_is_marked_as_typed() -> None:
    assert (TOP / "cuprum" / "py.typed").is_file()


def test_the_package_prints_nothing_by_itself() -> None:
    # An early close is normal, and a log without a handler would go to stderr.
    code = (
        "from tests.support.stages import command;"
        "(command('yes') | command('head', '-1')).run_sync()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")
