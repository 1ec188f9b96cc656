"""The immutable context that a run consults: allowlist, timeout, environment."""

from __future__ import annotations

import logging
import math
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from cuprum.context.env_overlay import merge_env_overlays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cuprum.program import Program

__all__ = ["ContextError", "CuprumContext", "ForbiddenProgramError", "ScopeConfig"]

_logger = logging.getLogger("cuprum.context")


class ContextError(Exception):
    """Base of the errors that a context raises."""


class ForbiddenProgramError(ContextError, PermissionError):
    """The active context's allowlist does not name the program.

    Attributes:
        program: the program that was refused.
        restricted_state: whether an allowlist had been set explicitly, which an
            empty one needs in order to deny.
    """

    def __init__(self, program: Program, *, restricted_state: bool) -> None:
        super().__init__(f"Program '{program}' is not allowed in the current context")
        self.program = program
        self.restricted_state = restricted_state

    def __reduce__(self) -> tuple[Callable[..., ForbiddenProgramError], tuple[Program]]:
        """Pickle the attributes instead of the message."""
        again = partial(type(self), restricted_state=self.restricted_state)
        return again, (self.program,)


def _checked_timeout(owner: str, timeout: float | None) -> float | None:
    if timeout is None:
        return None
    seconds = float(timeout)
    if not math.isfinite(seconds):
        raise ValueError(f"{owner} timeout must be finite, got {seconds}")
    if seconds < 0:
        raise ValueError(f"{owner} timeout must be non-negative, got {seconds}")
    return seconds


def _snapshot(overlay: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return None if overlay is None else MappingProxyType(dict(overlay))


@dataclass(frozen=True, slots=True)
class ScopeConfig:
    """What a scope changes; None leaves a setting as it was.

    Attributes:
        allowlist: programs that may run in the scope. Narrows what the outer
            context allows; an empty set denies everything.
        timeout: default limit of a run, in seconds; finite, >= 0.
        env_overlay: variables for the children, over the outer overlay.

    Raises:
        ValueError: the timeout is negative or not finite.
    """

    allowlist: frozenset[Program] | None = None
    _: KW_ONLY
    timeout: float | None = None
    env_overlay: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "timeout", _checked_timeout("ScopeConfig", self.timeout)
        )
        object.__setattr__(self, "env_overlay", _snapshot(self.env_overlay))


@dataclass(frozen=True, slots=True)
class CuprumContext:
    """The settings in force; every method returns a new context.

    Attributes:
        allowlist: programs that may run. Empty and never restricted: all may.
        timeout: default limit of a run, in seconds, or None.
        env_overlay: variables for the children, or None.

    Raises:
        ValueError: the timeout is negative or not finite.
    """

    allowlist: frozenset[Program] = frozenset()
    _: KW_ONLY
    timeout: float | None = None
    env_overlay: Mapping[str, str] | None = None
    _allowlist_is_restricted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "timeout", _checked_timeout("CuprumContext", self.timeout)
        )
        object.__setattr__(self, "env_overlay", _snapshot(self.env_overlay))

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

    def with_env_overlay(self, overlay: Mapping[str, str] | None) -> CuprumContext:
        """Lay ``overlay`` over the present one."""
        return replace(self, env_overlay=merge_env_overlays(self.env_overlay, overlay))
