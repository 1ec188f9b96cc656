"""What can be imported, and from where."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import cuprum
from cuprum import context
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
        *("AfterHook", "AllowRegistration", "BeforeHook", "CuprumContext"),
        *("EnvRegistration", "ForbiddenProgramError", "HookRegistration"),
        *("ScopeConfig", "after", "allow", "before", "current_context", "env"),
        *("get_context", "merge_env_overlays", "observe", "resolve_env", "scoped"),
    ],
    "cuprum.events": ["ExecEvent", "ExecHook"],
    "cuprum.concurrent": [
        *("ConcurrentConfig", "ConcurrentResult"),
        *("run_concurrent", "run_concurrent_sync"),
    ],
    "cuprum.logging_hooks": ["LoggingHookRegistration", "logging_hook"],
    "cuprum.helper": ["is_helper_available"],
}
"""What every version has offered, beside the root's own and the submodules."""

ADDED = {
    "cuprum.sh": ["PartialOutput", "Redirect", "partial_output"],
    "cuprum.pump": [
        *("HopReport", "PumpError", "PumpOptions", "PumpUnavailableError"),
        *("Tap", "TapError", "TapReport"),
    ],
}

OWN = ["PACKAGE_NAME", "builders", "sh"]


def names(homes: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return modules and names, in pairs."""
    return [(home, name) for home, listed in homes.items() for name in listed]


@pytest.mark.parametrize(("home", "name"), [*names(HOMES), *names(ADDED)])
def test_the_root_exports_the_same_object_as_its_module(home: str, name: str) -> None:
    assert name in cuprum.__all__
    assert getattr(cuprum, name) is getattr(import_module(home), name)


def test_the_root_lists_these_names_once_and_no_others() -> None:
    kept = {*OWN, *(name for _, name in names(HOMES))}
    assert len(kept) == 55
    assert sorted(cuprum.__all__) == sorted([*kept, *(n for _, n in names(ADDED))])


@pytest.mark.parametrize("home", [*HOMES, *ADDED, "cuprum.builders"])
def test_what_a_module_lists_is_there_once(home: str) -> None:
    module = import_module(home)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert hasattr(module, name), name


def test_what_the_context_package_offers() -> None:
    listed = [*HOMES["cuprum.context"], "ContextError"]
    assert sorted(context.__all__) == sorted(listed)
    # They are imported from the submodules, too.
    for home in ("core", "registration", "state", "env_overlay"):
        import_module(f"cuprum.context.{home}")


def test_the_type_of_hooks_belongs_to_events_and_not_to_contexts() -> None:
    assert not hasattr(context, "ExecHook")
    assert "ExecHook" not in context.__all__
    assert cuprum.ExecHook is import_module("cuprum.events").ExecHook


@pytest.mark.parametrize(
    ("home", "name"),
    [
        ("cuprum.catalogue", "DuplicateProjectError"),
        ("cuprum.catalogue", "DuplicateProgramError"),
        ("cuprum.context", "ContextError"),
        ("cuprum.events", "ExecId"),
        ("cuprum.events", "ExecPhase"),
        ("cuprum.events", "new_exec_id"),
        ("cuprum.sh", "make"),
        ("cuprum.sh", "build_argv"),
        ("cuprum.adapters.logging_adapter", "structured_logging_hook"),
        ("cuprum.adapters.metrics_adapter", "metrics_hook"),
        ("cuprum.adapters.tracing_adapter", "tracing_hook"),
    ],
)
def test_some_names_are_not_at_the_root(home: str, name: str) -> None:
    assert not hasattr(cuprum, name)
    assert hasattr(import_module(home), name)


@pytest.mark.parametrize(
    "name", ["observe", "scoped", "UnknownProgramError", "Program", "current_context"]
)
def test_sh_offers_what_its_callers_need(name: str) -> None:
    assert getattr(cuprum.sh, name) is getattr(cuprum, name)


@pytest.mark.parametrize("name", ["allow", "before", "after", "env", "unsafe"])
def test_sh_offers_nothing_that_changes_contexts_beside_these(name: str) -> None:
    assert not hasattr(cuprum.sh, name)


@pytest.mark.parametrize("kind", [cuprum.SafeCmd, cuprum.Pipeline])
@pytest.mark.parametrize("name", ["before", "after", "observe", "with_before_hook"])
def test_a_command_has_no_hooks_of_its_own(kind: type, name: str) -> None:
    assert not hasattr(kind, name)


def test_there_is_no_version_at_the_root() -> None:
    assert not hasattr(cuprum, "__version__")
    assert not hasattr(cuprum, "unsafe")


def test_constants() -> None:
    assert cuprum.PACKAGE_NAME == "cuprum"
    assert cuprum.CORE_OPS_PROJECT == "core-ops"
    assert cuprum.DOCUMENTATION_PROJECT == "docs"
    named = [cuprum.ECHO, cuprum.GIT, cuprum.LS, cuprum.RSYNC, cuprum.TAR]
    assert named == ["echo", "git", "ls", "rsync", "tar"]
    assert cuprum.DOC_TOOL == "mdbook"


def test_submodules_are_imported_with_the_package() -> None:
    code = "import cuprum; cuprum.sh.make; cuprum.builders.git_status"
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
