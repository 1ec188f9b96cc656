"""Arguments that have been looked at before they get into a command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from os import PathLike
from pathlib import PurePath
from typing import NewType, TypeAlias, TypeVar

__all__ = ["GitRef", "SafePath", "git_ref", "safe_path"]

SafePath = NewType("SafePath", str)
"""A path that `safe_path` has let through."""

GitRef = NewType("GitRef", str)
"""A Git reference that `git_ref` has let through."""

StrPath: TypeAlias = str | PathLike[str]
"""A path of characters, not of bytes."""


class PathRejection(Enum):
    """Why `safe_path` refuses a path, in words; the first that applies is told."""

    EMPTY = "SafePath cannot be empty"
    NUL = "SafePath cannot contain NUL characters"
    PARENT_SEGMENT = "SafePath cannot contain '..' segments"
    NOT_ABSOLUTE = "SafePath requires an absolute path by default"


class GitRefRejection(Enum):
    """Why `git_ref` refuses a reference, likewise."""

    EMPTY = "GitRef cannot be empty"
    LEADING_DASH = "GitRef cannot start with '-'"
    WHITESPACE = "GitRef cannot contain whitespace"
    SLASH_BOUNDARY = "GitRef cannot start or end with '/'"
    LOCK_SUFFIX = "GitRef cannot end with '.lock'"
    DOT_SUFFIX = "GitRef cannot end with '.'"
    PARENT_SEQUENCE = "GitRef cannot contain '..'"
    DOUBLE_SLASH = "GitRef cannot contain '//' sequences"
    AT_BRACE = "GitRef cannot contain '@{' sequences"
    UNSUPPORTED_CHARS = "GitRef contains unsupported characters"


_ABSOLUTE = r"\A(/|[A-Za-z]:[\\/])"

_PATH_RULES = {
    PathRejection.EMPTY: r"\A\Z",
    PathRejection.NUL: r"\0",
    PathRejection.PARENT_SEGMENT: r"(\A|/)\.\.(/|\Z)",
    PathRejection.NOT_ABSOLUTE: rf"(?!{_ABSOLUTE})\A",
}

_GIT_REF_RULES = {
    GitRefRejection.EMPTY: r"\A\Z",
    GitRefRejection.LEADING_DASH: r"\A-",
    GitRefRejection.WHITESPACE: r"\s",
    GitRefRejection.SLASH_BOUNDARY: r"\A/|/\Z",
    GitRefRejection.LOCK_SUFFIX: r"\.lock\Z",
    GitRefRejection.DOT_SUFFIX: r"\.\Z",
    GitRefRejection.PARENT_SEQUENCE: r"\.\.",
    GitRefRejection.DOUBLE_SLASH: r"//",
    GitRefRejection.AT_BRACE: r"@\{",
    GitRefRejection.UNSUPPORTED_CHARS: r"[^A-Za-z0-9._/-]",
}

_Rejection = TypeVar("_Rejection", PathRejection, GitRefRejection)


def _first_broken(rules: Mapping[_Rejection, str], text: str) -> _Rejection | None:
    return next((why for why, rule in rules.items() if re.search(rule, text)), None)


def classify_path_string(raw: str, *, allow_relative: bool) -> PathRejection | None:
    """Say why `safe_path` would refuse ``raw``, or None if it would not.

    >>> classify_path_string("/srv/../etc", allow_relative=False).name
    'PARENT_SEGMENT'
    """
    broken = _first_broken(_PATH_RULES, raw)
    is_waived = allow_relative and broken is PathRejection.NOT_ABSOLUTE
    return None if is_waived else broken


def classify_git_ref(value: str) -> GitRefRejection | None:
    """Say why `git_ref` would refuse ``value``, or None if it would not.

    >>> classify_git_ref("--force").name
    'LEADING_DASH'
    """
    return _first_broken(_GIT_REF_RULES, value)


def safe_path(value: StrPath, *, allow_relative: bool = False) -> SafePath:
    """Check a path; return it with ``/`` between its segments, and no needless ones.

    Nothing is looked up: links are not followed, the path need not exist.

    Args:
        value: the path; on a drive (``C:/``) it counts as absolute.
        allow_relative: let a relative path through, even one that a program might
            take for an option (``-x``) or for another host's (``host:x``).

    Raises:
        TypeError: ``value`` is no path of characters.
        ValueError: it is refused; the text is a `PathRejection`'s.

    >>> safe_path("/srv//data/./today")
    '/srv/data/today'
    >>> safe_path("data")
    Traceback (most recent call last):
    ValueError: SafePath requires an absolute path by default
    """
    raw = value.__fspath__() if isinstance(value, PathLike) else value
    if not isinstance(raw, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"SafePath expects str or Path, got {type(value).__name__}")
    if rejection := classify_path_string(raw, allow_relative=allow_relative):
        raise ValueError(rejection.value)
    path = PurePath(raw).as_posix()
    # PurePath turns "C:/", an absolute path, into "C:", a relative one.
    is_root = re.search(_ABSOLUTE, raw) and not re.search(_ABSOLUTE, path)
    return SafePath(f"{path}/" if is_root else path)


def git_ref(value: str) -> GitRef:
    """Check the name of a branch, a tag or a commit, and return it as it is.

    Revisions such as ``HEAD~1`` or ``main@{1}`` are no names, and refused.

    Raises:
        TypeError: ``value`` is no string.
        ValueError: it is refused; the text is a `GitRefRejection`'s.

    >>> git_ref("feature/pumps")
    'feature/pumps'
    >>> git_ref("HEAD~1")
    Traceback (most recent call last):
    ValueError: GitRef contains unsupported characters
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"GitRef expects str, got {type(value).__name__}")
    if rejection := classify_git_ref(value):
        raise ValueError(rejection.value)
    return GitRef(value)


def enabled_flags(**switches: bool) -> list[str]:
    """Return ``--name`` for each switch that is on, in the order given.

    >>> enabled_flags(dry_run=True, verbose=False)
    ['--dry-run']
    """
    return [f"--{name.replace('_', '-')}" for name, on in switches.items() if on]
