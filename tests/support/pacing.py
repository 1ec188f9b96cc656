"""Stages that decide where one portion of bytes ends and the next begins.

Each portion is written only once the one before has been taken out of the pipe, so
that nobody can find two of them in one read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.stages import python

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cuprum import SafeCmd

_WRITE = """
import fcntl, json, os, sys, termios, time
def write(data):
    while data:
        data = data[os.write(1, data):]
    while any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))):
        time.sleep(0.0002)
"""
_SAY = """
for portion in sys.argv[1:]:
    write(bytes.fromhex(portion))
"""
_SAY_FILE = """
with open(sys.argv[1], "rb") as file:
    for size in json.loads(sys.argv[2]):
        write(file.read(size))
"""
_PASS_ON = """
for size in map(int, sys.argv[1:]):
    portion = b""
    while len(portion) < size and (data := os.read(0, size - len(portion))):
        portion += data
    write(portion)
while data := os.read(0, 65536):
    write(data)
"""


def saying(*portions: bytes) -> SafeCmd:
    """Return a stage that writes *portions*."""
    return python(_WRITE + _SAY, *(portion.hex() for portion in portions))


def saying_file(path: Path, portions: Sequence[bytes]) -> SafeCmd:
    """Return the same, for more than goes into arguments: they are put in *path*."""
    path.write_bytes(b"".join(portions))
    sizes = str([len(portion) for portion in portions])
    return python(_WRITE + _SAY_FILE, str(path), sizes)


def passing_on(*sizes: int) -> SafeCmd:
    """Return a stage that passes on first these portions, then whatever comes."""
    return python(_WRITE + _PASS_ON, *sizes)
