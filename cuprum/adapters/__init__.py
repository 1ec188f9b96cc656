"""Hooks for `cuprum.observe` that pass events on: to logs, metrics, traces."""

from __future__ import annotations

__all__: list[str] = []
