"""The nominal type of an executable's name."""

from __future__ import annotations

from typing import NewType

__all__ = ["Program"]

Program = NewType("Program", str)
"""A bare name, searched on the child's ``PATH``, or a path; not validated."""
