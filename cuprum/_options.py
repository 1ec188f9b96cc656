"""What a caller may ask of a run."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from cuprum.pump import PumpOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ExecutionContext", "IOOptions", "RunOutputOptions", "StdinInput"]


@dataclass(frozen=True, slots=True)
class RunOutputOptions:
    """What happens to output.

    Attributes:
        capture: keep it as text in the result.
        echo: pass it on to the sinks while the command runs.
    """

    capture: bool = True
    echo: bool = False


@dataclass(frozen=True, slots=True)
class IOOptions(RunOutputOptions):
    """Deprecated name of `RunOutputOptions`."""

    def __post_init__(self) -> None:
        warnings.warn(
            "IOOptions is deprecated; use RunOutputOptions instead",
            DeprecationWarning,
            stacklevel=3,
        )


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Parameters of one run.

    Attributes:
        env: variables over the scoped overlay and the live environment.
        cwd: the child's working directory; None inherits.
        cancel_grace: seconds between SIGTERM and SIGKILL; a negative number
            counts as 0. Half a second lets most programs clean up.
        timeout: limit in seconds where ``run`` was given none; None looks further,
            to the scoped context.
        stdout_sink: where echoed output goes; None is ``sys.stdout`` at the start
            of the run.
        stderr_sink: likewise ``sys.stderr``.
        encoding: codec of captured text, of text sinks and of text for stdin.
        errors: its error policy.
        pump: how data moves between the stages of a pipeline.
    """

    env: Mapping[str, str] | None = None
    cwd: str | Path | None = None
    cancel_grace: float = 0.5
    timeout: float | None = None
    stdout_sink: IO[str] | None = None
    stderr_sink: IO[str] | None = None
    encoding: str = "utf-8"
    errors: str = "replace"
    pump: PumpOptions = field(default=PumpOptions(), kw_only=True)


@dataclass(frozen=True, slots=True)
class StdinInput:
    """What a command reads on its standard input, then end of file.

    Attributes:
        text: encoded as the execution context says.
        data: taken as it is.

    Raises:
        ValueError: both were given.
    """

    text: str | None = None
    data: bytes | None = None

    def __post_init__(self) -> None:
        if self.text is not None and self.data is not None:
            raise ValueError("text and data cannot both be provided")

    def resolve(self, ctx: ExecutionContext) -> bytes | None:
        """Return the bytes to feed, or None for none.

        Raises:
            UnicodeEncodeError: the codec cannot express the text.
            LookupError: there is no such codec.
        """
        if self.text is not None:
            return self.text.encode(ctx.encoding, ctx.errors)
        return self.data
