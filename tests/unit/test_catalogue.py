"""Programs, projects and the catalogue that allows commands to be built."""

from __future__ import annotations

import dataclasses
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    CORE_OPS_PROJECT,
    DEFAULT_CATALOGUE,
    DEFAULT_PROJECTS,
    DOC_TOOL,
    DOCUMENTATION_PROJECT,
    ECHO,
    GIT,
    LS,
    RSYNC,
    TAR,
    Program,
    ProgramCatalogue,
    ProgramEntry,
    ProjectSettings,
    UnknownProgramError,
)
from cuprum.catalogue import DuplicateProgramError, DuplicateProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator


def project(name: str, *programs: str) -> ProjectSettings:
    """Return a project with positional fields, in the order the contract gives."""
    return ProjectSettings(name, tuple(Program(p) for p in programs), ("docs/",), ())


def test_a_program_is_its_name() -> None:
    assert Program("x") == "x"
    assert {Program("x"): 1}[Program("x")] == 1
    assert Program("") == ""


def test_a_project_owns_its_programs() -> None:
    tools = project("tools", "jq", "rg")
    assert tools.owns(Program("jq"))
    assert not tools.owns(Program("ls"))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (project("p", "a"), "name"),
        (ProgramEntry(Program("a"), project("p", "a")), "program"),
    ],
    ids=["project", "entry"],
)
def test_records_are_frozen_hashable_and_slotted(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "other")
    assert not hasattr(value, "__dict__")
    assert hash(value) == hash(pickle.loads(pickle.dumps(value)))


def test_project_settings_have_no_defaults() -> None:
    with pytest.raises(TypeError):
        ProjectSettings(name="p")  # type: ignore[call-arg]


def test_lookup_returns_the_very_project() -> None:
    tools = project("tools", "jq")
    catalogue = ProgramCatalogue(projects=[tools])
    entry = catalogue.lookup("jq")
    assert entry == ProgramEntry(Program("jq"), tools)
    assert entry.project is tools
    assert entry.project_name == "tools"
    assert catalogue.project_for(Program("jq")) is tools


@pytest.mark.parametrize("ask", ["lookup", "project_for"])
def test_an_unknown_program_is_named(ask: str) -> None:
    catalogue = ProgramCatalogue(projects=[])
    with pytest.raises(UnknownProgramError) as caught:
        getattr(catalogue, ask)("rm")
    assert str(caught.value) == "Program 'rm' is not in the catalogue allowlist"
    assert isinstance(caught.value, LookupError)


def test_the_allowlist_is_the_union_of_all_projects() -> None:
    catalogue = ProgramCatalogue(projects=[project("a", "x", "y"), project("b", "z")])
    assert catalogue.allowlist == frozenset({"x", "y", "z"})
    assert isinstance(catalogue.allowlist, frozenset)
    assert catalogue.is_allowed("z")
    assert not catalogue.is_allowed(Program("w"))


def test_projects_may_come_from_an_iterator() -> None:
    def once() -> Iterator[ProjectSettings]:
        yield project("a", "x")
        yield project("b", "y")

    assert ProgramCatalogue(projects=once()).allowlist == {"x", "y"}


def test_projects_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        ProgramCatalogue([])  # type: ignore[misc]


def test_visible_settings_cannot_be_changed() -> None:
    tools = project("tools", "jq")
    catalogue = ProgramCatalogue(projects=[tools])
    seen = catalogue.visible_settings()
    assert isinstance(seen, MappingProxyType)
    assert seen is catalogue.visible_settings()
    assert seen["tools"] is tools


def test_a_project_registered_twice_is_refused() -> None:
    with pytest.raises(DuplicateProjectError) as caught:
        ProgramCatalogue(projects=[project("a", "x"), project("a", "y")])
    assert str(caught.value) == "Project 'a' registered more than once"
    assert caught.value.project_name == "a"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("projects", "owner"),
    [
        ([project("a", "x"), project("b", "y", "x")], "a"),
        ([project("a", "x", "x")], "a"),
    ],
    ids=["two-projects", "one-project"],
)
def test_a_program_claimed_twice_is_refused(
    projects: list[ProjectSettings], owner: str
) -> None:
    with pytest.raises(DuplicateProgramError) as caught:
        ProgramCatalogue(projects=projects)
    assert str(caught.value) == f"Program 'x' already owned by '{owner}'"
    assert (caught.value.program, caught.value.owner) == ("x", owner)
    assert isinstance(caught.value, ValueError)


def test_a_duplicate_project_is_told_before_a_duplicate_program() -> None:
    twice = [project("a", "x"), project("b", "x"), project("a", "z")]
    with pytest.raises(DuplicateProjectError):
        ProgramCatalogue(projects=twice)


def test_the_default_catalogue() -> None:
    core, docs = DEFAULT_PROJECTS
    assert (core.name, docs.name) == (CORE_OPS_PROJECT, DOCUMENTATION_PROJECT)
    assert core.programs == (ECHO, GIT, LS, RSYNC, TAR)
    assert core.noise_rules
    assert core.documentation_locations
    assert docs.programs == (DOC_TOOL,)
    assert DEFAULT_CATALOGUE.lookup(ECHO).project is core
    assert DEFAULT_CATALOGUE.allowlist == {ECHO, GIT, LS, RSYNC, TAR, DOC_TOOL}


@pytest.mark.parametrize(
    "error",
    [DuplicateProjectError("tools"), DuplicateProgramError(Program("cat"), "tools")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error: ValueError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert vars(again) == vars(error)
