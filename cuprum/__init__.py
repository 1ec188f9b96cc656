"""Typed commands from approved programs, and pipelines that say what they did.

Stages of a pipeline are joined by a pump, the ``cuprum-pump`` helper or one in
pure Python, which reports what each hop moved and which stage was the slowest.
"""

from __future__ import annotations

import logging

from cuprum import sh
from cuprum.catalogue import (
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
    ProgramCatalogue,
    ProgramEntry,
    ProjectSettings,
    UnknownProgramError,
)
from cuprum.context import (
    CuprumContext,
    ForbiddenProgramError,
    ScopeConfig,
    current_context,
    get_context,
    merge_env_overlays,
    resolve_env,
    scoped,
)
from cuprum.helper import is_helper_available
from cuprum.program import Program
from cuprum.pump import (
    HopReport,
    PumpError,
    PumpOptions,
    PumpUnavailableError,
    Tap,
    TapError,
    TapReport,
)
from cuprum.sh import (
    CommandResult,
    ExecutionContext,
    IOOptions,
    PartialOutput,
    Pipeline,
    PipelineResult,
    Redirect,
    RunOutputOptions,
    SafeCmd,
    SafeCmdBuilder,
    StdinInput,
    TimeoutExpired,
    partial_output,
)

PACKAGE_NAME = "cuprum"

# A library logs for those who listen, and prints nothing for those who do not.
logging.getLogger(PACKAGE_NAME).addHandler(logging.NullHandler())

__all__ = [
    "CORE_OPS_PROJECT",
    "DEFAULT_CATALOGUE",
    "DEFAULT_PROJECTS",
    "DOCUMENTATION_PROJECT",
    "DOC_TOOL",
    "ECHO",
    "GIT",
    "LS",
    "PACKAGE_NAME",
    "RSYNC",
    "TAR",
    "CommandResult",
    "CuprumContext",
    "ExecutionContext",
    "ForbiddenProgramError",
    "HopReport",
    "IOOptions",
    "PartialOutput",
    "Pipeline",
    "PipelineResult",
    "Program",
    "ProgramCatalogue",
    "ProgramEntry",
    "ProjectSettings",
    "PumpError",
    "PumpOptions",
    "PumpUnavailableError",
    "Redirect",
    "RunOutputOptions",
    "SafeCmd",
    "SafeCmdBuilder",
    "ScopeConfig",
    "StdinInput",
    "Tap",
    "TapError",
    "TapReport",
    "TimeoutExpired",
    "UnknownProgramError",
    "current_context",
    "get_context",
    "is_helper_available",
    "merge_env_overlays",
    "partial_output",
    "resolve_env",
    "scoped",
    "sh",
]
