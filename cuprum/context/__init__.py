"""Contexts: what may run, for how long, in which environment."""

from __future__ import annotations

from cuprum.context.core import (
    ContextError,
    CuprumContext,
    ForbiddenProgramError,
    ScopeConfig,
)
from cuprum.context.env_overlay import merge_env_overlays, resolve_env
from cuprum.context.state import current_context, get_context, scoped

__all__ = [
    "ContextError",
    "CuprumContext",
    "ForbiddenProgramError",
    "ScopeConfig",
    "current_context",
    "get_context",
    "merge_env_overlays",
    "resolve_env",
    "scoped",
]
