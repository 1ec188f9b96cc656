# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
"""Put a static cuprum-pump into the wheel, where CUPRUM_WHEEL=platform asks for it.

Without that the wheel is pure: it needs no compiler, and is the same everywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What the ELF header says: class (1 for 32 bits) and machine, little-endian.
_MACHINES = {(1, 3): "i686", (2, 62): "x86_64", (2, 183): "aarch64"}


class HelperHook(BuildHookInterface[Any]):
    """Build the helper before the wheel, and tag the wheel for its machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the helper to *build_data*."""
        kind = os.environ.get("CUPRUM_WHEEL") or "pure"
        if kind == "pure":
            return
        if kind != "platform":
            sys.exit(f"CUPRUM_WHEEL={kind}: it takes pure or platform")
        if version == "editable":
            sys.exit("CUPRUM_WHEEL=platform: an editable install has no place for it")
        self._scratch = TemporaryDirectory(prefix="cuprum-wheel-")
        build = Path(self._scratch.name)
        script = Path(self.root) / "packaging" / "static-helper"
        environment = {"PYTHON": sys.executable, **os.environ}
        subprocess.run(["sh", script, build], env=environment, check=True)
        helper = build / "helper" / "cuprum-pump"
        build_data["force_include"][str(helper)] = "cuprum/_bin/cuprum-pump"
        build_data["pure_python"] = False
        build_data["tag"] = _tag(helper)

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        """Remove the build."""
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()


def _tag(helper: Path) -> str:
    """Return the wheel's tag.

    The helper is linked statically: it asks nothing of the system's C library, and so
    keeps the promises for glibc and for musl both. Of the kernel it asks less than
    glibc 2.17's time had (Linux 3.10).
    """
    header = helper.read_bytes()[:20]
    machine = _MACHINES.get((header[4], int.from_bytes(header[18:20], "little")))
    if machine is None:
        sys.exit("CUPRUM_WHEEL=platform: the helper is not tested on this machine")
    return f"py3-none-manylinux_2_17_{machine}.musllinux_1_1_{machine}"
