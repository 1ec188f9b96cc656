"""Contexts: what may run, for how long, in which environment, and who is told."""

from __future__ import annotations

from cuprum.context.core import (
    AfterHook,
    BeforeHook,
    ContextError,
    CuprumContext,
    ForbiddenProgramError,
    ScopeConfig,
)
from cuprum.context.env_overlay import merge_env_overlays, resolve_env
from cuprum.context.registration import (
    AllowRegistration,
    EnvRegistration,
    HookRegistration,
    after,
    allow,
    before,
    env,
    observe,
)
from cuprum.context.state import current_context, get_context, scoped

__all__ = [
    "AfterHook",
    "AllowRegistration",
    "BeforeHook",
    "ContextError",
    "CuprumContext",
    "EnvRegistration",
    "ForbiddenProgramError",
    "HookRegistration",
    "ScopeConfig",
    "after",
    "allow",
    "before",
    "current_context",
    "env",
    "get_context",
    "merge_env_overlays",
    "observe",
    "resolve_env",
    "scoped",
]
