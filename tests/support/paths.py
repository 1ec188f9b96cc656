"""Where things are in the source tree."""

from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILT_HELPER = TOP / "build" / "helper" / "cuprum-pump"
