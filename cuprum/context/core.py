"""The immutable context that a run consults: allowlist, timeout, environment."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from cuprum._checks import check_function, check_type
from cuprum.context.env_overlay import merge_env_overlays

if TYPE_CHECKING:
    from cuprum._command import SafeCmd
    from cuprum._results import CommandResult
    from cuprum.events import ExecHook
    from cuprum.program import Program

__all__ = [
    "AfterHook",
    "BeforeHook",
    "ContextError",
    "CuprumContext",
    "ForbiddenProgramError",
    "ScopeConfig",
]

_logger = logging.getLogger("cuprum.context")

BeforeHook: TypeAlias = Callable[["SafeCmd"], None]
"""Called with a command that is about to start; raising prevents that."""

AfterHook: TypeAlias = Callable[["SafeCmd", "CommandResult"], None]
"""Called with a command that has run, and its result: of bytes if not of text."""


class ContextError(Exception):
    """Base of the errors that a context raises.

    >>> issubclass(ForbiddenProgramError, ContextError)
    True
    """


class ForbiddenProgramError(ContextError, PermissionError):
    """The active context's allowlist does not name the program.

    Attributes:
        program: the program that was refused.
        restricted_state: whether an allowlist had been set explicitly, which an
            empty one needs in order to deny.

    >>> from cuprum import ECHO, LS, scoped, sh
    >>> with scoped(ScopeConfig(allowlist=frozenset([ECHO]))):
    ...     sh.make(LS)().run_sync()  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ForbiddenProgramError: Program 'ls' is not allowed in the current context
    """

    def __init__(self, program: Program, *, restricted_state: bool) -> None:
        super().__init__(f"Program '{program}' is not allowed in the current context")
        self.program = program
        self.restricted_state = restricted_state

    def __reduce__(self) -> tuple[Callable[..., ForbiddenProgramError], tuple[Program]]:
        """Pickle the attributes instead of the message."""
        again = partial(type(self), restricted_state=self.restricted_state)
        return again, (self.program,)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What a scope and a context both have.

    Raises:
        TypeError: a hook, a list or the overlay is not of its kind.
        ValueError: the timeout is negative or not finite.
    """

    allowlist: frozenset[Program] | None = None
    before_hooks: tuple[BeforeHook, ...] = ()
    after_hooks: tuple[AfterHook, ...] = ()
    observe_hooks: tuple[ExecHook, ...] = ()
    timeout: float | None = None
    env_overlay: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        owner, seconds = type(self).__name__, self.timeout
        if seconds is not None:
            seconds = float(seconds)
            if not math.isfinite(seconds):
                raise ValueError(f"{owner} timeout must be finite, got {seconds}")
            if seconds < 0:
                raise ValueError(f"{owner} timeout must be non-negative, got {seconds}")
            object.__setattr__(self, "timeout", seconds)
        if self.allowlist is not None:
            # The letters of a name would be programs.
            check_type("allowlist", self.allowlist, Iterable, "programs", but=str)
            object.__setattr__(self, "allowlist", frozenset(self.allowlist))
        for name in ("before_hooks", "after_hooks", "observe_hooks"):
            check_type(name, getattr(self, name), Iterable, "a tuple")
            hooks = tuple(getattr(self, name))
            for hook in hooks:
                check_function(name, hook)
            object.__setattr__(self, name, hooks)
        snapshot = merge_env_overlays(None, self.env_overlay)
        object.__setattr__(self, "env_overlay", snapshot)


@dataclass(frozen=True, slots=True)
class ScopeConfig(_Settings):
    """What a scope changes; None leaves a setting as it was.

    >>> from cuprum import ECHO, LS, ScopeConfig, scoped
    >>> with scoped(ScopeConfig(allowlist=frozenset([ECHO]), timeout=5)) as context:
    ...     context.is_allowed(LS), context.timeout
    (False, 5.0)

    Attributes:
        allowlist: programs that may run in the scope. Narrows what the outer
            context allows; an empty set denies everything.
        before_hooks: called after those of the outer context.
        after_hooks: called before those of the outer context.
        observe_hooks: called after those of the outer context.
        timeout: default limit of a run, in seconds; finite, >= 0.
        env_overlay: variables for the children, over the outer overlay.

    Raises:
        TypeError: a hook, a list or the overlay is not of its kind.
        ValueError: the timeout is negative or not finite.
    """


@dataclass(frozen=True, slots=True)
class CuprumContext(_Settings):
    """The settings in force; every method returns a new context.

    Attributes:
        allowlist: programs that may run. Empty and never restricted: all may.
        before_hooks: in the order in which they are called, as the other two.
        after_hooks: the innermost scope's come first.
        observe_hooks: told of each `ExecEvent`.
        timeout: default limit of a run, in seconds, or None.
        env_overlay: variables for the children, or None.

    Raises:
        TypeError: a hook, a list or the overlay is not of its kind.
        ValueError: the timeout is negative or not finite.

    >>> from cuprum import ECHO, LS
    >>> context = CuprumContext().with_program(ECHO).with_env_overlay({"LANG": "C"})
    >>> context.is_allowed(ECHO), context.is_allowed(LS)
    (True, False)
    >>> context.narrow(ScopeConfig(allowlist=frozenset([LS]))).allowlist
    frozenset()
    """

    allowlist: frozenset[Program] = frozenset()
    _allowlist_is_restricted: bool = False

    def is_allowed(self, program: Program) -> bool:
        """Tell whether the allowlist names ``program`` (mere membership)."""
        return program in self.allowlist

    def check_allowed(self, program: Program) -> None:
        """Raise `ForbiddenProgramError` unless ``program`` may run here."""
        restricted = self._allowlist_is_restricted
        if program in self.allowlist or not (self.allowlist or restricted):
            return
        _logger.warning(
            "Program %s denied by context allowlist restricted_state=%s",
            program,
            restricted,
            extra={"operation": program, "restricted_state": restricted},
        )
        raise ForbiddenProgramError(program, restricted_state=restricted)

    def narrow(self, config: ScopeConfig) -> CuprumContext:
        """Return the context of a scope inside this one.

        An allowlist can only shrink: what the outer context denies stays denied.
        """
        allowlist = self.allowlist
        if config.allowlist is not None:
            if allowlist or self._allowlist_is_restricted:
                allowlist &= config.allowlist
            else:
                allowlist = config.allowlist
        return CuprumContext(
            allowlist=allowlist,
            before_hooks=(*self.before_hooks, *config.before_hooks),
            after_hooks=(*config.after_hooks, *self.after_hooks),
            observe_hooks=(*self.observe_hooks, *config.observe_hooks),
            timeout=self.timeout if config.timeout is None else config.timeout,
            env_overlay=merge_env_overlays(self.env_overlay, config.env_overlay),
            _allowlist_is_restricted=(
                self._allowlist_is_restricted or config.allowlist is not None
            ),
        )

    def with_allowlist(self, allowlist: frozenset[Program]) -> CuprumContext:
        """Replace the allowlist, without regard to the old one.

        The result is restricted if this context was, or if either list names a
        program: emptying a list denies everything instead of allowing it.
        """
        restricted = self._allowlist_is_restricted or bool(self.allowlist or allowlist)
        return replace(self, allowlist=allowlist, _allowlist_is_restricted=restricted)

    def with_program(self, program: Program) -> CuprumContext:
        """Add ``program`` to the allowlist (a permissive context becomes strict)."""
        return self.with_allowlist(self.allowlist | {program})

    def without_program(self, program: Program) -> CuprumContext:
        """Take ``program`` off the allowlist; without the last one, none may run."""
        return self.with_allowlist(self.allowlist - {program})

    def with_before_hook(self, hook: BeforeHook) -> CuprumContext:
        """Call ``hook`` after the other before hooks."""
        return replace(self, before_hooks=(*self.before_hooks, hook))

    def with_after_hook(self, hook: AfterHook) -> CuprumContext:
        """Call ``hook`` before the other after hooks."""
        return replace(self, after_hooks=(hook, *self.after_hooks))

    def with_observe_hook(self, hook: ExecHook) -> CuprumContext:
        """Call ``hook`` after the other observe hooks."""
        return replace(self, observe_hooks=(*self.observe_hooks, hook))

    def without_before_hook(self, hook: BeforeHook) -> CuprumContext:
        """Drop ``hook`` wherever it stands; nothing, if it is not there."""
        hooks = tuple(kept for kept in self.before_hooks if kept is not hook)
        return replace(self, before_hooks=hooks)

    def without_after_hook(self, hook: AfterHook) -> CuprumContext:
        """Likewise."""
        hooks = tuple(kept for kept in self.after_hooks if kept is not hook)
        return replace(self, after_hooks=hooks)

    def without_observe_hook(self, hook: ExecHook) -> CuprumContext:
        """Likewise."""
        hooks = tuple(kept for kept in self.observe_hooks if kept is not hook)
        return replace(self, observe_hooks=hooks)

    def with_env_overlay(self, overlay: Mapping[str, str] | None) -> CuprumContext:
        """Lay ``overlay`` over the variables for the children."""
        return replace(self, env_overlay=merge_env_overlays(self.env_overlay, overlay))
