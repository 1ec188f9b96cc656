"""Environment overlays: merged without touching ``os.environ``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType

from cuprum._checks import check_type

__all__ = ["merge_env_overlays", "resolve_env"]


def merge_env_overlays(
    parent: Mapping[str, str] | None, child: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    """Lay ``child`` over ``parent``.

    Returns:
        A new read-only mapping that aliases neither, or None if both are None.
        An empty mapping counts as an overlay.

    Raises:
        TypeError: one is no mapping, or has what the system does not take.

    >>> dict(merge_env_overlays({"LANG": "C", "TZ": "UTC"}, {"LANG": "C.UTF-8"}))
    {'LANG': 'C.UTF-8', 'TZ': 'UTC'}
    """
    if parent is None and child is None:
        return None
    for overlay in (parent, child):
        check_type("env", overlay, Mapping | None, "a mapping")
        for name, value in (overlay or {}).items():
            check_type("env", name, str | bytes, "names of characters")
            check_type(f"env {name!r}", value, str | bytes | PathLike, "a str")
    return MappingProxyType({**(parent or {}), **(child or {})})


def resolve_env(*layers: Mapping[str, str] | None) -> dict[str, str] | None:
    """Lay overlays, later ones winning, over a copy of the live ``os.environ``.

    Returns:
        The full environment for a child, or None ("inherit") where no layer
        contributes anything.

    >>> resolve_env({"LANG": "C"}, None, {"LANG": "C.UTF-8"})["LANG"]
    'C.UTF-8'
    >>> resolve_env(None, {}) is None
    True
    """
    contributing = [layer for layer in layers if layer]
    if not contributing:
        return None
    env = dict(os.environ)
    for layer in contributing:
        env.update(layer)
    return env
