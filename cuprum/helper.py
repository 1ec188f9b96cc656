"""The cuprum-pump helper, as far as callers need to know about it."""

from __future__ import annotations

from cuprum._backend import is_helper_available

__all__ = ["is_helper_available"]
