"""Which context is active: one context variable, set by scopes."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from cuprum._checks import check_type
from cuprum.context.core import CuprumContext, ScopeConfig

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from contextvars import Token

__all__ = ["current_context", "get_context", "scoped"]

_PERMISSIVE = CuprumContext()
_active: ContextVar[CuprumContext] = ContextVar("cuprum_context", default=_PERMISSIVE)


def current_context() -> CuprumContext:
    """Return the active context.

    A thread starts with the permissive default; an asyncio task with a copy of
    what was active where it was created.

    >>> with scoped(ScopeConfig(timeout=5)):
    ...     current_context().timeout
    5.0
    """
    return _active.get()


def get_context() -> CuprumContext:
    """Return the active context; another name of `current_context`.

    >>> get_context() is current_context()
    True
    """
    return _active.get()


def scoped(config: ScopeConfig) -> AbstractContextManager[CuprumContext]:
    """Return a context manager under which ``config`` narrows the context.

    The narrowed context is derived here, at the call; entering installs and
    returns it, leaving restores the one before.

    Args:
        config: what changes.

    >>> with scoped(ScopeConfig(env_overlay={"LANG": "C"})) as context:
    ...     dict(context.env_overlay)
    {'LANG': 'C'}
    """
    check_type("scoped", config, ScopeConfig, "a ScopeConfig")
    return _installed(current_context().narrow(config))


def install(context: CuprumContext) -> Token[CuprumContext]:
    """Make ``context`` the active one; the token brings back the one before."""
    return _active.set(context)


def restore(token: Token[CuprumContext]) -> None:
    """Bring back what was active before `install`; ValueError in another context."""
    _active.reset(token)


@contextmanager
def _installed(context: CuprumContext) -> Generator[CuprumContext, None, None]:
    token = install(context)
    try:
        yield context
    finally:
        restore(token)
