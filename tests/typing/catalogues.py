"""Programs, projects and catalogues."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from cuprum import (
    CORE_OPS_PROJECT,
    DEFAULT_CATALOGUE,
    DEFAULT_PROJECTS,
    DOC_TOOL,
    DOCUMENTATION_PROJECT,
    ECHO,
    GIT,
    LS,
    PACKAGE_NAME,
    RSYNC,
    TAR,
    Program,
    ProgramCatalogue,
    ProgramEntry,
    ProjectSettings,
    is_helper_available,
)


def programs() -> None:
    for program in (DOC_TOOL, ECHO, GIT, LS, RSYNC, TAR):
        assert_type(program, Program)
    _0: str = Program("ls")
    _1: Program = "ls"  # pyright: ignore[reportAssignmentType]
    Program(b"ls")  # pyright: ignore[reportArgumentType]


def projects(project: ProjectSettings) -> None:
    assert_type(project.name, str)
    assert_type(project.programs, tuple[Program, ...])
    assert_type(project.documentation_locations, tuple[str, ...])
    assert_type(project.noise_rules, tuple[str, ...])
    assert_type(project.owns(LS), bool)

    ProjectSettings("mine", ("ls",), (), ())  # pyright: ignore[reportArgumentType]
    ProjectSettings("mine", [LS], (), ())  # pyright: ignore[reportArgumentType]
    ProjectSettings("mine")  # pyright: ignore[reportCallIssue]
    project.name = "mine"  # pyright: ignore[reportAttributeAccessIssue]


def catalogues(catalogue: ProgramCatalogue, entry: ProgramEntry) -> None:
    assert_type(DEFAULT_CATALOGUE, ProgramCatalogue)
    assert_type(DEFAULT_PROJECTS, tuple[ProjectSettings, ...])
    assert_type(ProgramCatalogue(projects=iter(DEFAULT_PROJECTS)), ProgramCatalogue)
    assert_type(catalogue.allowlist, frozenset[Program])
    assert_type(catalogue.is_allowed("ls"), bool)
    assert_type(catalogue.lookup("ls"), ProgramEntry)
    assert_type(catalogue.project_for(LS), ProjectSettings)
    assert_type(catalogue.visible_settings(), Mapping[str, ProjectSettings])
    assert_type(entry.program, Program)
    assert_type(entry.project, ProjectSettings)
    assert_type(entry.project_name, str)

    ProgramCatalogue(DEFAULT_PROJECTS)  # pyright: ignore[reportCallIssue]
    catalogue.allowlist = frozenset()  # pyright: ignore[reportAttributeAccessIssue]
    catalogue.visible_settings()["mine"] = entry.project  # pyright: ignore[reportIndexIssue]


def odds() -> None:
    _: tuple[str, ...] = (PACKAGE_NAME, CORE_OPS_PROJECT, DOCUMENTATION_PROJECT)
    assert_type(is_helper_available(), bool)
