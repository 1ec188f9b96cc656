"""What moves the data between stages: its options, its reports, its errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Literal

from cuprum._checks import check_file, check_seconds, check_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "HopReport",
    "PumpError",
    "PumpOptions",
    "PumpUnavailableError",
    "Tap",
    "TapError",
    "TapReport",
]

_GIB = 1 << 30

_MAX_SECONDS = 10**9
"""Thirty years, the most that cuprum-pump takes for a number; None is for ever."""


def _check_size(name: str, size: int) -> None:
    """Raise TypeError or ValueError unless ``size`` is from 1 to 1 GiB."""
    check_type(name, size, int, "an int", but=bool)
    if not 1 <= size <= _GIB:
        raise ValueError(f"{name} must be between 1 and {_GIB} bytes, got {size}")


def check_interval(name: str, seconds: float) -> None:
    """Raise TypeError or ValueError unless ``seconds`` is a time that can pass."""
    check_type(name, seconds, int | float, "seconds", but=bool)
    if not 0 < seconds <= _MAX_SECONDS:
        raise ValueError(
            f"{name} must be > 0 and at most {_MAX_SECONDS:d} s, got {seconds}"
        )


@dataclass(frozen=True, slots=True)
class PumpOptions:
    """How the pump works between the stages of a pipeline.

    Attributes:
        buffer_size: bytes per copy, 1 to 1 GiB. 64 KiB is a pipe's usual
            capacity, so that one read can empty it.
        pipe_size: pipe capacity. ``"keep"`` never touches it; a number of bytes is
            asked for at the start; ``"auto"`` asks for 256 KiB once 1 MiB has gone
            through, as only long transfers gain by it and the kernel limits what a
            user may have in pipes. Best effort: a refusal is no error.
        engine: ``"splice"``, ``"copy"``, or ``"auto"`` for splice where it can be
            had. The Python pump always copies.
        drain: seconds to go on reading a stage whose reader has gone, so that a
            producer that is nearly done ends with status 0; 0 closes at once, as a
            shell's pipe does; None sets no limit. 0.25 lets a short producer end
            in peace and an endless one not be felt.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a value is out of its range.

    >>> PumpOptions(drain=None, pipe_size="keep").buffer_size
    65536
    """

    buffer_size: int = 65536
    pipe_size: int | Literal["auto", "keep"] = "auto"
    engine: Literal["auto", "splice", "copy"] = "auto"
    drain: float | None = 0.25

    def __post_init__(self) -> None:
        _check_size("buffer_size", self.buffer_size)
        if isinstance(self.pipe_size, int):
            _check_size("pipe_size", self.pipe_size)
        elif self.pipe_size not in ("auto", "keep"):
            raise ValueError(
                f"pipe_size must be 'auto', 'keep' or bytes, got {self.pipe_size!r}"
            )
        if self.engine not in ("auto", "splice", "copy"):
            raise ValueError(
                f"engine must be 'auto', 'splice' or 'copy', got {self.engine!r}"
            )
        if self.drain is not None:
            check_seconds("drain", self.drain, 0, _MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class HopReport:
    """What one hop, the way from a stage to the next, has moved.

    ``bytes_read == bytes_written + bytes_discarded`` holds for every hop that has
    ended; of one that flows, some bytes may be in the pump's buffer.

    Attributes:
        bytes_read: bytes taken from the stage before.
        bytes_written: bytes given to the stage after.
        bytes_discarded: bytes read for which there was no reader any more.
        engine: ``"splice"``, ``"copy"`` or ``"python"``.
        broken_pipe: whether the stage after closed its input early.
        drain: how the reading went on then: to the end of file (``"eof"``), until
            the limit (``"timeout"``), or not at all (``"closed"``). None if the
            pipe did not break.
        elapsed: seconds from start to end of the hop.
        waited_for_input: seconds in which there was nothing to read (starved).
        waited_for_output: seconds in which there was no room to write (blocked).
        waiting: what the hop is waiting for just now, ``"input"`` or ``"output"``;
            None while it moves, and once it has ended.
        released: once the stage before it had exited, a descendant that it left
            behind still held the input open when the time for that was over; what
            it wrote then did not cross the hop.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> result = (tar("-cf", "-", "/dev/null") | tar("-tf", "-")).run_sync()
    >>> result.hops[0].bytes_written, result.hops[0].bytes_discarded
    (10240, 0)
    """

    bytes_read: int
    bytes_written: int
    bytes_discarded: int
    engine: str
    broken_pipe: bool
    drain: Literal["eof", "timeout", "closed"] | None
    elapsed: float
    waited_for_input: float
    waited_for_output: float
    waiting: Literal["input", "output"] | None = None
    released: bool = False


@dataclass(frozen=True, slots=True)
class Tap:
    """A copy of what crosses a hop, made while it flows.

    The copy never has less than the next stage got. Where it cannot be written as
    fast as the data comes, the hop waits for it; where it fails, the stages go on
    without it, unless it is ``required``.

    Attributes:
        hop: index of the hop, which lies between stages ``hop`` and ``hop`` + 1.
        target: a path, opened and created as the run starts; or an open file, used
            from where its descriptor stands, and left open.
        append: add to what a path has, instead of truncating it first.
        required: end the run with `TapError` if the copy cannot be written.

    Raises:
        TypeError: the target is neither.

    >>> from tempfile import TemporaryFile
    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> with TemporaryFile() as copy:
    ...     pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
    ...     pipeline.run_sync(taps=[Tap(0, copy)]).taps[0].bytes_written
    10240
    """

    hop: int
    target: str | Path | IO[str] | IO[bytes] | int
    append: bool = field(default=False, kw_only=True)
    required: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_file("target", self.target)


@dataclass(frozen=True, slots=True)
class TapReport:
    """How a tap ended.

    Attributes:
        hop: index of the hop.
        bytes_written: bytes that the target took.
        errno: why it took no more; 0 if it has everything that crossed the hop.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> optional = Tap(0, "/dev/full", required=False)
    >>> pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
    >>> pipeline.run_sync(taps=[optional]).taps
    (TapReport(hop=0, bytes_written=0, errno=28),)
    """

    hop: int
    bytes_written: int
    errno: int = 0


class PumpError(OSError):
    """A hop failed, or the helper died: the data did not arrive whole.

    Attributes:
        errno: why; ``EIO`` where the helper died without giving a reason.
        hop: index of the hop that failed, the lowest of several; None if the
            helper failed as a whole.
        side: ``"read"`` or ``"write"``, or None where that is not known.
        report: what the failed hop had moved, if known.
        reports: one entry per hop, None where a hop's end is not known.

    >>> error = PumpError(5, "Input/output error", hop=0, side="read")
    >>> isinstance(error, OSError), error.hop, error.side
    (True, 0, 'read')
    """

    def __init__(
        self,
        errno: int,
        strerror: str,
        *,
        hop: int | None = None,
        side: Literal["read", "write"] | None = None,
        report: HopReport | None = None,
        reports: tuple[HopReport | None, ...] = (),
    ) -> None:
        super().__init__(errno, strerror)
        self.hop = hop
        self.side: Literal["read", "write"] | None = side
        self.report = report
        self.reports = reports


class TapError(OSError):
    """The copy that a required tap makes could not be written.

    Attributes:
        errno: why.
        report: what the tap had written.

    >>> from cuprum import TAR, sh
    >>> tar = sh.make(TAR)
    >>> pipeline = tar("-cf", "-", "/dev/null") | tar("-tf", "-")
    >>> pipeline.run_sync(taps=[Tap(0, "/dev/full")])
    Traceback (most recent call last):
    cuprum.pump.TapError: [Errno 28] tap of hop 0: No space left on device
    """

    def __init__(self, errno: int, strerror: str, *, report: TapReport) -> None:
        super().__init__(errno, strerror)
        self.report = report

    def __reduce__(self) -> tuple[Callable[..., TapError], tuple[int, str]]:
        """Pickle the report as well."""
        again = partial(type(self), report=self.report)
        return again, (self.errno or 0, self.strerror or "")


class PumpUnavailableError(ImportError):
    """The cuprum-pump helper is wanted and there is none that can be used.

    An ImportError, so that code written for an optional native extension keeps
    working.

    Attributes:
        is_final: no other pump may take the helper's place, either because
            ``CUPRUM_PUMP`` names something unusable, which must not be hidden, or
            because a helper that does not speak the protocol had begun.

    >>> issubclass(PumpUnavailableError, ImportError)
    True
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
