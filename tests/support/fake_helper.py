"""A helper that moves data well and reports it in whatever way a test asks for.

Run as ``fake_helper.py SCRIPT [OPTION]... IN OUT ...`` in the helper's place, or with
``--control-fd``, where it serves one job and leaves. SCRIPT is a JSON file:
{"before": [...], "after": [...], "exit": N}. Each text of a list is written to the
status descriptor as it is, in one ``write``; each number is slept. In texts,
``@moved`` is the number of bytes of the first hop. A missing "before" stands for a
proper start record; with "after" missing no byte is touched.
"""

from __future__ import annotations

import getopt
import json
import os
import shlex
import socket
import sys
import time
from pathlib import Path

LONG = (
    "buffer-size= pipe-size= engine= drain= status-fd= progress= tap= "
    "chain release ignore-interrupts control-fd= idle-timeout="
)
START = '{"event":"start","protocol":1,"version":"0.1.0","pid":1,"hops":1}\n'
HOP = (
    '{"event":"hop","hop":0,"read":@moved,"written":@moved,"discarded":0,'
    '"engine":"copy","broken_pipe":false,"drain":null,"errno":0,"error":null,'
    '"side":null,"wait_input_ns":0,"wait_output_ns":0,"elapsed_ns":1000000}\n'
)
END = '{"event":"end","errno":0,"error":null}\n'


def install(
    directory: Path,
    *,
    before: list[str | float] | None = None,
    after: list[str | float] | None,
    status: int = 0,
) -> Path:
    """Write a fake helper with this script to *directory*; return its path."""
    script = directory / "script.json"
    script.write_text(json.dumps({"before": before, "after": after, "exit": status}))
    words = [sys.executable, "-I", "-S", __file__, str(script)]
    helper = directory / "cuprum-pump"
    helper.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    helper.chmod(0o755)
    return helper


def say(status: int, items: list[str | float], moved: int = 0) -> None:
    """Write each text of *items*, and sleep for each number."""
    for item in items:
        if isinstance(item, str):
            text = item.replace("@moved", str(moved))
            os.write(status, text.encode("latin-1"))
        else:
            time.sleep(item)


def move(source: int, *targets: int) -> int:
    """Copy to the end of file, to each of *targets*; return the number of bytes."""
    total = 0
    while chunk := os.read(source, 65536):
        total += len(chunk)
        for target in targets:
            rest = chunk
            while rest:
                rest = rest[os.write(target, rest) :]
    for number in (source, *targets):
        os.close(number)
    return total


def main() -> int:
    """Be the helper."""
    script = json.loads(Path(sys.argv[1]).read_text())
    if sys.argv[2] in {"-V", "--version"}:
        sys.stdout.write("cuprum-pump 0.1.0\nprotocol 1\nfeatures: -splice\n")
        return 0
    options, operands = getopt.getopt(sys.argv[2:], "b:z:e:d:s:p:iCrT:", LONG.split())
    named = {name.lstrip("-"): value for name, value in options}
    if "control-fd" in named:
        with socket.socket(fileno=int(named["control-fd"])) as control:
            _, (status, *hop), _, _ = socket.recv_fds(control, 4096, 4)
    else:
        status = int(named.get("status-fd") or named["s"])
        hop = [int(word) for word in operands]
    say(status, [START] if script["before"] is None else script["before"])
    if script["after"] is not None:
        say(status, script["after"], move(*hop))
    return int(script["exit"])


if __name__ == "__main__":
    sys.exit(main())
