"""Commands of Git."""

from __future__ import annotations

from cuprum.builders.args import enabled_flags, git_ref
from cuprum.catalogue import GIT
from cuprum.sh import SafeCmd, make

__all__ = ["git_checkout", "git_rev_parse", "git_status"]

_git = make(GIT)


def git_status(*, short: bool = False, branch: bool = False) -> SafeCmd:
    """Return ``git status``.

    Args:
        short: one line a file (``--short``).
        branch: name the branch even so (``--branch``).

    >>> git_status(short=True).argv
    ('status', '--short')
    """
    return _git("status", *enabled_flags(short=short, branch=branch))


def git_checkout(
    ref: str, *, create_branch: bool = False, detach: bool = False, force: bool = False
) -> SafeCmd:
    """Return ``git checkout`` of ``ref``.

    Args:
        ref: what to check out; see `git_ref`.
        create_branch: make a branch of that name (``-b``).
        detach: leave every branch (``--detach``).
        force: throw local changes away (``--force``); with ``create_branch``, move
            a branch that is there (``-B``).

    Raises:
        TypeError: ``ref`` is no string.
        ValueError: ``ref`` is refused; or both ``create_branch`` and ``detach``.

    >>> git_checkout("topic", create_branch=True).argv
    ('checkout', '-b', 'topic')
    """
    if create_branch and detach:
        raise ValueError("create_branch and detach cannot both be True")
    flags = enabled_flags(detach=detach, force=force)
    if create_branch:
        flags = ["-B" if force else "-b"]
    return _git("checkout", *flags, git_ref(ref))


def git_rev_parse(ref: str) -> SafeCmd:
    """Return ``git rev-parse``, which prints the object that ``ref`` names.

    Args:
        ref: a reference; see `git_ref`.

    Raises:
        TypeError: ``ref`` is no string.
        ValueError: ``ref`` is refused.

    >>> git_rev_parse("HEAD").argv
    ('rev-parse', 'HEAD')
    """
    return _git("rev-parse", git_ref(ref))
