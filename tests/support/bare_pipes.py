"""Pipes without processes: a writer and a reader thread around a pump.

Each end of a pipe has one owner that closes it: a Feeder, a Collector, the pump, or
the test itself.
"""

from __future__ import annotations

import hashlib
import os
import threading

#: Around the pipe's page, capacity and the buffer, and well past all of them.
SIZES = (0, 1, 4095, 65535, 65536, 65537, 10 * 1024 * 1024)


def payload(size: int) -> bytes:
    """Return *size* bytes in which no block is like another."""
    block = b"".join(
        hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(2048)
    )
    count = -(-size // (len(block) + 1))
    pieces = (block + bytes([number % 256]) for number in range(count))
    return b"".join(pieces)[:size]


class Collector(threading.Thread):
    """A thread that reads a descriptor to its end, then closes it."""

    def __init__(self, source: int) -> None:
        super().__init__(name="collector")
        self._source = source
        self._data = bytearray()
        self.start()

    def run(self) -> None:
        """Read to the end of file."""
        while chunk := os.read(self._source, 1 << 16):
            self._data += chunk
        os.close(self._source)

    def result(self) -> bytes:
        """Wait for the end of file; return everything."""
        self.join()
        return bytes(self._data)


class Feeder(threading.Thread):
    """A thread that writes *data* to a descriptor, then closes it."""

    def __init__(self, sink: int, data: bytes) -> None:
        super().__init__(name="feeder")
        self._sink = sink
        self._rest = memoryview(data)
        self.broken = False
        self.start()

    def run(self) -> None:
        """Write until there is nothing left or nobody reads."""
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._sink, self._rest[:65536]) :]
        except BrokenPipeError:
            self.broken = True
        os.close(self._sink)
