# Copyright (c) 2026 The cuprum-pump authors
# SPDX-License-Identifier: ISC
# pyright: strict
"""What the figures depend on: this machine, and what else it does."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

__all__ = ["busy_seconds", "children", "describe", "peak_memory"]


def describe() -> dict[str, str | int | float]:
    """Return kernel, processors, load and Python; no names, no paths."""
    here = platform.uname()
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    lines = [line.partition(":") for line in facts]
    known = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    return {
        "kernel": f"{here.system} {here.release} {here.machine}",
        "processor": known.get("model name", "unknown"),
        "cores": os.cpu_count() or 0,
        "virtual": "yes" if "hypervisor" in known.get("flags", "").split() else "no",
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def busy_seconds() -> float:
    """Return the processor time that the whole machine has spent on anything.

    Time that a hypervisor gave to others is among it; waiting is not.
    """
    first = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, first.split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> dict[int, str]:
    """Return the children of a process: number to name."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with suppress(OSError):
                found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
    return found


def peak_memory(pid: int) -> int:
    """Return the bytes that a process has had resident at most."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
