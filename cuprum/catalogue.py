"""Catalogues: the programs that may be built into commands, and who owns them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from cuprum.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CORE_OPS_PROJECT",
    "DEFAULT_CATALOGUE",
    "DEFAULT_PROJECTS",
    "DOCUMENTATION_PROJECT",
    "DOC_TOOL",
    "ECHO",
    "GIT",
    "LS",
    "RSYNC",
    "TAR",
    "DuplicateProgramError",
    "DuplicateProjectError",
    "ProgramCatalogue",
    "ProgramEntry",
    "ProjectSettings",
    "UnknownProgramError",
]


class UnknownProgramError(LookupError):
    """The program is in no project of the catalogue.

    >>> DEFAULT_CATALOGUE.lookup("rm")
    Traceback (most recent call last):
    cuprum.catalogue.UnknownProgramError: Program 'rm' is not in the catalogue allowlist
    """


class DuplicateProjectError(ValueError):
    """Two projects of one catalogue bear the same name.

    Attributes:
        project_name: the name that came twice.

    >>> tools = ProjectSettings("tools", (Program("cat"),), (), ())
    >>> ProgramCatalogue(projects=[tools, tools])
    Traceback (most recent call last):
    cuprum.catalogue.DuplicateProjectError: Project 'tools' registered more than once
    """

    def __init__(self, project_name: str) -> None:
        super().__init__(project_name)
        self.project_name = project_name

    def __str__(self) -> str:
        return f"Project '{self.project_name}' registered more than once"


class DuplicateProgramError(ValueError):
    """A program is listed twice in one catalogue.

    Attributes:
        program: the program.
        owner: name of the project that claimed it first.

    >>> twice = ProjectSettings("tools", (Program("cat"), Program("cat")), (), ())
    >>> ProgramCatalogue(projects=[twice])
    Traceback (most recent call last):
    cuprum.catalogue.DuplicateProgramError: Program 'cat' already owned by 'tools'
    """

    def __init__(self, program: Program, owner: str) -> None:
        super().__init__(program, owner)  # as its arguments: so it can be pickled
        self.program = program
        self.owner = owner

    def __str__(self) -> str:
        return f"Program '{self.program}' already owned by '{self.owner}'"


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """A project: its programs, where they are documented, what is noise.

    Attributes:
        name: unique within a catalogue.
        programs: the programs that the project owns.
        documentation_locations: paths or URLs for people.
        noise_rules: regular expressions of output lines that matter to nobody.

    >>> tools = ProjectSettings("tools", (Program("cat"),), ("man:cat(1)",), ())
    >>> tools.owns(Program("cat"))
    True
    """

    name: str
    programs: tuple[Program, ...]
    documentation_locations: tuple[str, ...]
    noise_rules: tuple[str, ...]

    def owns(self, program: Program) -> bool:
        """Tell whether the project lists ``program``."""
        return program in self.programs


@dataclass(frozen=True, slots=True)
class ProgramEntry:
    """A program together with the project that owns it.

    >>> DEFAULT_CATALOGUE.lookup("tar").project_name
    'core-ops'
    """

    program: Program
    project: ProjectSettings

    @property
    def project_name(self) -> str:
        """Name of the owning project."""
        return self.project.name


class ProgramCatalogue:
    """An immutable registry of projects and their programs.

    Args:
        projects: consumed once, in order.

    Raises:
        DuplicateProjectError: two projects bear one name.
        DuplicateProgramError: a program is listed twice, in whatever projects.

    >>> tools = ProjectSettings("tools", (Program("cat"), Program("wc")), (), ())
    >>> catalogue = ProgramCatalogue(projects=[tools])
    >>> sorted(catalogue.allowlist), catalogue.is_allowed("rm")
    (['cat', 'wc'], False)
    >>> catalogue.project_for("wc") is catalogue.visible_settings()["tools"]
    True
    """

    __slots__ = ("_entries", "_projects")

    def __init__(self, *, projects: Iterable[ProjectSettings]) -> None:
        by_name: dict[str, ProjectSettings] = {}
        for project in projects:
            if project.name in by_name:
                raise DuplicateProjectError(project.name)
            by_name[project.name] = project
        entries: dict[str, ProgramEntry] = {}
        for project in by_name.values():
            for program in project.programs:
                if program in entries:
                    raise DuplicateProgramError(program, entries[program].project_name)
                entries[program] = ProgramEntry(program, project)
        self._projects: Mapping[str, ProjectSettings] = MappingProxyType(by_name)
        self._entries = entries

    @property
    def allowlist(self) -> frozenset[Program]:
        """Every program of every project."""
        return frozenset(entry.program for entry in self._entries.values())

    def is_allowed(self, program: Program | str) -> bool:
        """Tell whether some project owns ``program``."""
        return program in self._entries

    def lookup(self, program: Program | str) -> ProgramEntry:
        """Return the entry of ``program``; raise `UnknownProgramError` if none."""
        entry = self._entries.get(program)
        if entry is None:
            raise UnknownProgramError(
                f"Program '{program}' is not in the catalogue allowlist"
            )
        return entry

    def project_for(self, program: Program | str) -> ProjectSettings:
        """Return the owner of ``program``; raise `UnknownProgramError` if none."""
        return self.lookup(program).project

    def visible_settings(self) -> Mapping[str, ProjectSettings]:
        """Return a read-only view of the projects by name."""
        return self._projects


CORE_OPS_PROJECT = "core-ops"
DOCUMENTATION_PROJECT = "docs"

ECHO = Program("echo")
GIT = Program("git")
LS = Program("ls")
RSYNC = Program("rsync")
TAR = Program("tar")
DOC_TOOL = Program("mdbook")

DEFAULT_PROJECTS: tuple[ProjectSettings, ...] = (
    ProjectSettings(
        name=CORE_OPS_PROJECT,
        programs=(ECHO, GIT, LS, RSYNC, TAR),
        documentation_locations=("docs/users-guide.md#program-catalogue",),
        noise_rules=(r"^progress:", r"^note:"),
    ),
    ProjectSettings(
        name=DOCUMENTATION_PROJECT,
        programs=(DOC_TOOL,),
        documentation_locations=("https://rust-lang.github.io/mdBook/",),
        noise_rules=(r"^\[INFO\]",),
    ),
)

DEFAULT_CATALOGUE = ProgramCatalogue(projects=DEFAULT_PROJECTS)
"""The catalogue that `cuprum.sh.make` uses unless it is told another."""
