"""Long runs of a pump, with every byte compared; endurance.sh calls this.

endurance.py stream ENGINE MIB   so much through one hop
endurance.py hops COUNT MIB      so many hops at once, so much through each
endurance.py jobs COUNT          so many jobs to one process

PUMP names the build. Each prints a line of figures, and fails if resident
memory has grown by more than 64 KiB; with one hop, also if it is not below
2 MiB in a static build.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../helper/lib"))

from harness import FIRST, PROGRAM, Pump, expect, reaped, resident, sample, spawn, wait
from jobs import Server, filled, pipe, take

GROWTH_MAX = 65536
STATIC_LIMIT = 2 << 20  # of a dynamic build, most is the C library's
# A prime: what is lost or repeated shifts all that follows.
BLOCK = sample(1_048_573)
PIECE = 1 << 18  # bytes per read or write
SETTLED = 1 << 23  # bytes after which a hop has all the memory that it takes
STATUS = FIRST + 2


def figures(name: str, seconds: float, before: int, after: int, more: str) -> None:
    print(
        f"{name}: {seconds:.1f} s, {more}, resident memory {before // 1024} KiB at "
        f"the start, {after // 1024} KiB at the end",
        flush=True,
    )
    expect(after - before <= GROWTH_MAX, "resident memory has grown")


def is_static() -> bool:
    """Whether the build names no dynamic linker (PT_INTERP, elf(5))."""
    with open(PROGRAM, "rb") as program:
        start = program.read(4096)
    return b"/ld-" not in start and b"/ld." not in start


def produce(fd: int, size: int, go: int) -> None:
    """Write BLOCK again and again; the last byte only when told to."""
    doubled = memoryview(BLOCK + BLOCK)
    done = 0
    while done < size - 1:
        start = done % len(BLOCK)
        done += os.write(fd, doubled[start : start + min(PIECE, size - 1 - done)])
    os.read(go, 1)
    start = done % len(BLOCK)
    os.write(fd, doubled[start : start + 1])


def compare(fd: int, size: int, watch: Callable[[int], None]) -> None:
    """Read all of it; `watch` is told of how much, again and again."""
    doubled = BLOCK + BLOCK
    done = 0
    while chunk := os.read(fd, PIECE):
        start = done % len(BLOCK)
        expect(chunk == doubled[start : start + len(chunk)], f"wrong after {done}")
        done += len(chunk)
        watch(done)
    expect(done == size, f"{done} bytes instead of {size}")


def stream(engine: str, size: int) -> None:
    source, feed = pipe()
    reader, sink = pipe()
    status, status_end = pipe()
    going, go = pipe()
    memory: list[int] = []
    command = ["-e", engine, "-s", str(STATUS), str(FIRST), str(FIRST + 1)]
    pid = spawn(command, {2: 2, FIRST: source, FIRST + 1: sink, STATUS: status_end})
    for fd in (source, sink, status_end):
        os.close(fd)
    with reaped(pid) as ended:
        text = os.read(status, 4096)
        began = time.monotonic()
        producer = os.fork()
        if producer == 0:
            os.close(reader)
            produce(feed, size, going)
            os._exit(0)
        os.close(feed)

        def watch(done: int) -> None:
            # The buffer is in use by then, and near the end still is.
            if done >= SETTLED and not memory:
                memory.append(resident(pid))
            if done == size - 1:
                memory.append(resident(pid))
                os.write(go, b"\n")

        with reaped(producer):
            compare(reader, size, watch)
        seconds = time.monotonic() - began
        expect(wait(ended) == 0, "the pump has failed")
    text += take(status)
    expect(f'"read":{size},"written":{size},'.encode() in text, text)
    speed = f"{size / seconds / 1e9:.2f} GB/s"
    figures(f"{size >> 20} MiB, {engine}", seconds, memory[0], memory[-1], speed)
    expect(memory[-1] < STATIC_LIMIT or not is_static(), "too much for a static build")


def hops(count: int, size: int) -> None:
    sources = [sample(size, number) for number in range(count)]
    memory: list[int] = []
    began = time.monotonic()
    pump = Pump(["-p", "0.05"], count)

    def watch(passed: float) -> None:
        if passed < 0.02 * (len(memory) + 1):
            return
        with suppress(AssertionError, OSError):  # it has ended, or not begun
            memory.append(resident(pump.pid))

    outcome = pump.run(sources, limit=600, meanwhile=watch)
    seconds = time.monotonic() - began
    outcome.check_complete()
    expect(outcome.status == 0, outcome.errors)
    expect(outcome.sinks == sources, "bytes are missing or wrong")
    # Its first moments are those of the dynamic linker.
    begun = memory[len(memory) // 10 :]
    figures(
        f"{count} hops, {size >> 20} MiB each",
        seconds,
        begun[0],
        begun[-1],
        f"{count * size / seconds / 1e9:.2f} GB/s",
    )


def jobs(count: int) -> None:
    data = b"x" * 1000

    def serve(times: int) -> None:
        for _ in range(times):
            reader, writer = pipe()
            job = server.run(hops=[filled(data), writer])
            expect(job.end.errno == 0, job.text)
            expect(take(reader) == data, "the data of a job")

    with Server() as server:
        serve(100)
        before = resident(server.pid)
        began = time.monotonic()
        serve(count - 100)
        seconds = time.monotonic() - began
        after = resident(server.pid)
        server.stop()
    figures(
        f"{count} jobs",
        seconds,
        before,
        after,
        f"{seconds / (count - 100) * 1e6:.0f} microseconds each",
    )


def main(arguments: list[str]) -> int:
    match arguments:
        case ["stream", engine, mib]:
            stream(engine, int(mib) << 20)
        case ["hops", count, mib]:
            hops(int(count), int(mib) << 20)
        case ["jobs", count]:
            jobs(int(count))
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
