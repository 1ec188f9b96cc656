"""Typed commands from approved programs, and pipelines that say what they did.

Stages of a pipeline are joined by a pump, the ``cuprum-pump`` helper or one in
pure Python, which reports what each hop moved and which stage was the slowest.
"""

from __future__ import annotations

import logging

from cuprum import builders, sh
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
from cuprum.concurrent import (
    ConcurrentConfig,
    ConcurrentResult,
    run_concurrent,
    run_concurrent_sync,
)
from cuprum.context import (
    AfterHook,
    AllowRegistration,
    BeforeHook,
    CuprumContext,
    EnvRegistration,
    ForbiddenProgramError,
    HookRegistration,
    ScopeConfig,
    after,
    allow,
    before,
    current_context,
    env,
    get_context,
    merge_env_overlays,
    observe,
    resolve_env,
    scoped,
)
from cuprum.events import ExecEvent, ExecHook
from cuprum.helper import is_helper_available
from cuprum.logging_hooks import LoggingHookRegistration, logging_hook
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
    "AfterHook",
    "AllowRegistration",
    "BeforeHook",
    "CommandResult",
    "ConcurrentConfig",
    "ConcurrentResult",
    "CuprumContext",
    "EnvRegistration",
    "ExecEvent",
    "ExecHook",
    "ExecutionContext",
    "ForbiddenProgramError",
    "HookRegistration",
    "HopReport",
    "IOOptions",
    "LoggingHookRegistration",
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
    "after",
    "allow",
    "before",
    "builders",
    "current_context",
    "env",
    "get_context",
    "is_helper_available",
    "logging_hook",
    "merge_env_overlays",
    "observe",
    "partial_output",
    "resolve_env",
    "run_concurrent",
    "run_concurrent_sync",
    "scoped",
    "sh",
]
