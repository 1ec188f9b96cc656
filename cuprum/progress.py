"""A live table of a pipeline's hops, for people who wait."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, TYPE_CHECKING

from cuprum._bottleneck import find_bottleneck

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cuprum.pump import HopReport
    from cuprum.sh import Pipeline

__all__ = ["live"]

_HEADING = (
    f"{'read':>9} {'rate':>11} {'starved':>8} {'blocked':>8}  < starved  blocked >"
)


@contextmanager
def live(
    pipeline: Pipeline | None = None,
    *,
    file: IO[str] | None = None,
    redraw: bool = True,
) -> Generator[Callable[[tuple[HopReport, ...]], None], None, None]:
    """Show a table of the hops while a pipeline runs, and leave it at the end.

    A row has what was read, the rate (of late; at the end, of the whole), the
    seconds in which the hop was starved and blocked, and a bar that has their shares
    of its time. ``*`` marks the slow stage. With ``rich`` installed there are colours.

    While it lives, the last lines of the terminal are the table's; what programs
    write scrolls above them.

    Args:
        pipeline: whose programs to name; by default stages are numbered.
        file: where to; by default ``sys.stderr`` as it is now.
        redraw: False leaves the table for the end, as where ``file`` is no terminal.

    Yields:
        A function to be given as ``on_progress``.

    Raises:
        OSError: ``file`` cannot be written.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
    >>> with live(pipeline, file=sys.stdout) as table:
    ...     result = pipeline.run_sync(on_progress=table)  # doctest: +ELLIPSIS
    hop ...
    tar | tar ... 10 KiB ...
    """
    table = _Table(pipeline, sys.stderr if file is None else file, redraw=redraw)
    try:
        yield table
    finally:
        table.finish()


class _Table:
    def __init__(
        self, pipeline: Pipeline | None, file: IO[str], *, redraw: bool
    ) -> None:
        parts = pipeline.parts if pipeline else ()
        programs = [PurePath(part.program).name for part in parts]
        self._names = ["".join(filter(str.isprintable, name)) for name in programs]
        self._file = file
        self._is_terminal = file.isatty() and os.environ.get("TERM") != "dumb"
        self._redraw = redraw and self._is_terminal
        self._shape: tuple[int, int] | None = None
        self._before: tuple[HopReport, ...] = ()
        self._now: tuple[HopReport, ...] = ()

    def __call__(self, reports: tuple[HopReport, ...]) -> None:
        self._before, self._now = self._now, reports
        if self._redraw:
            self._draw()

    def finish(self) -> None:
        """Leave the table, as far as it is known, where the cursor is."""
        if self._shape is not None:
            height, count = self._shape
            self._write(f"\x1b7\x1b[r\x1b[{height - count + 1};1H\x1b[J\x1b8")
        self._before = ()
        if self._now:
            self._write("".join(f"{line}\n" for line in self._lines(self._size()[0])))

    def _draw(self) -> None:
        """Draw it in the last lines, which are made not to scroll (DECSTBM)."""
        width, height = self._size()
        lines = self._lines(width)
        count = len(lines)
        begin = ""
        if self._shape != (height, count):
            if count + 2 > height:
                return
            # ESC D makes room, and leaves the cursor in its column.
            room = "\x1bD" * count + f"\x1b[{count}A"
            begin = f"\x1b7\x1b[r\x1b8{room}\x1b7\x1b[1;{height - count}r\x1b8"
            self._shape = height, count
        rows = "".join(
            f"\x1b[{height - count + row};1H\x1b[2K{line}"
            for row, line in enumerate(lines, 1)
        )
        # All at once, so that others write before or after, never in between.
        self._write(f"{begin}\x1b7\x1b[?7l{rows}\x1b[?7h\x1b8")

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def _size(self) -> tuple[int, int]:
        size = (
            os.get_terminal_size(self._file.fileno()) if self._is_terminal else (0, 0)
        )
        return size if all(size) else shutil.get_terminal_size()

    def _lines(self, width: int) -> list[str]:
        slow = find_bottleneck(self._now)
        names = self._names
        if len(names) != len(self._now) + 1:
            names = [f"stage {n}" for n in range(len(self._now) + 1)]
        names = [f"{name}{'*' * (n == slow)}" for n, name in enumerate(names)]
        hops = [f"{left} | {right}" for left, right in itertools.pairwise(names)]
        column = min(max(map(len, hops)), max(8, width - 53))
        bar = min(max(10, width - 43 - column), 40)
        lines = [f"{'hop':<{column}}  {_HEADING}"]
        before = self._before if len(self._before) == len(hops) else self._now
        for hop, name, earlier in zip(self._now, hops, before, strict=True):
            lines.append(f"{name[:column]:<{column}}  {_row(hop, earlier, bar)}")
        lines = [line[:width] for line in lines]
        return _coloured(lines, self._file, width) if self._is_terminal else lines


def _row(now: HopReport, before: HopReport, width: int) -> str:
    count, seconds = now.bytes_read, now.elapsed
    if before.elapsed < seconds:
        count, seconds = count - before.bytes_read, seconds - before.elapsed
    rate = count / seconds if seconds > 0 else 0
    scale = width / now.elapsed if now.elapsed > 0 else 0
    starved = min(round(now.waited_for_input * scale), width)
    blocked = min(round(now.waited_for_output * scale), width - starved)
    return (
        f"{_size_of(now.bytes_read):>9} {_size_of(rate) + '/s':>11}"
        f" {now.waited_for_input:>6.1f} s {now.waited_for_output:>6.1f} s"
        f"  {'<' * starved}{'-' * (width - starved - blocked)}{'>' * blocked}"
    )


def _size_of(count: float) -> str:
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if count >= 1000:
            count, unit = count / 1024, larger
    return f"{count:.4g} {unit}"


def _coloured(lines: list[str], file: IO[str], width: int) -> list[str]:
    """Return ``lines`` in colour, if rich is there and the terminal has any."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return lines
    console = Console(file=file, width=width)
    with console.capture() as capture:
        for line in map(Text, lines):
            line.highlight_regex(r"[^ ]+\*", "bold red")
            line.highlight_regex("<+", "yellow")
            line.highlight_regex(">+", "cyan")
            console.print(line, no_wrap=True)
    return capture.get().splitlines()
