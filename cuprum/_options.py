"""What a caller may ask of a run."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Generic, Literal, TypeAlias, overload

from cuprum._checks import check_file, check_seconds, check_type
from cuprum._results import Captured
from cuprum.pump import PumpOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ExecutionContext",
    "IOOptions",
    "LineCallback",
    "OpenFile",
    "Redirect",
    "RunOutputOptions",
    "StdinInput",
]

LineCallback: TypeAlias = Callable[[str], Awaitable[None] | None]
"""Called with each line, without its newline; awaited before the next is read."""

OpenFile: TypeAlias = IO[str] | IO[bytes] | int
"""An open file or its descriptor. What Python has buffered is not looked at."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A file that output goes to directly, with no Python in its way.

    Attributes:
        target: a path, opened and created as the run starts, from our own working
            directory; or an open file, used from where its descriptor stands, and
            left open.
        append: add to what a path has, instead of truncating it first.

    Raises:
        TypeError: the target is neither.

    >>> from tempfile import TemporaryFile
    >>> from cuprum import ECHO, sh
    >>> with TemporaryFile("r") as file:
    ...     to_file = RunOutputOptions(stdout=Redirect(file))
    ...     _ = sh.make(ECHO)("-n", "hello").run_sync(output=to_file)
    ...     file.seek(0), file.read()
    (0, 'hello')
    """

    target: str | Path | OpenFile
    append: bool = False

    def __post_init__(self) -> None:
        check_file("target", self.target)


@dataclass(frozen=True, slots=True)
class RunOutputOptions(Generic[Captured]):
    """What happens to output.

    What is redirected is neither captured nor echoed.

    Attributes:
        capture: keep it in the result.
        echo: pass it on to the sinks while the command runs.
        text: keep it as `str`, decoded as the execution context says; if False, as
            `bytes`.
        stdout: a file that standard output goes to instead; of a pipeline, the last
            stage's.
        stderr: a file for standard error; or ``"stdout"``, to where standard output
            goes. Of a pipeline, all stages'.
        on_stdout_line: called with each line of standard output as it comes. A slow
            callback slows the command down; one that raises ends the run. One that
            is awaited when a timeout comes gets a quarter of a second to return.
        on_stderr_line: likewise for standard error; of a pipeline, all stages'.

    Raises:
        TypeError: output is to go to something that is no `Redirect`, or a callback
            cannot be called.
        ValueError: output was redirected, so that a callback would never be called.

    >>> from cuprum import ECHO, sh
    >>> echo = sh.make(ECHO)("hello")
    >>> echo.run_sync(output=RunOutputOptions(text=False)).stdout.strip()
    b'hello'
    >>> echo.run_sync(output=RunOutputOptions(False, on_stdout_line=print)).stdout
    hello
    """

    capture: bool = True
    echo: bool = False
    text: bool = field(default=True, kw_only=True)
    stdout: Redirect | None = field(default=None, kw_only=True)
    stderr: Redirect | Literal["stdout"] | None = field(default=None, kw_only=True)
    on_stdout_line: LineCallback | None = field(default=None, kw_only=True)
    on_stderr_line: LineCallback | None = field(default=None, kw_only=True)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: RunOutputOptions[str],
            capture: bool = True,
            echo: bool = False,
            *,
            text: Literal[True] = True,
            stdout: Redirect | None = None,
            stderr: Redirect | Literal["stdout"] | None = None,
            on_stdout_line: LineCallback | None = None,
            on_stderr_line: LineCallback | None = None,
        ) -> None: ...
        @overload
        def __init__(
            self: RunOutputOptions[bytes],
            capture: bool = True,
            echo: bool = False,
            *,
            text: Literal[False],
            stdout: Redirect | None = None,
            stderr: Redirect | Literal["stdout"] | None = None,
            on_stdout_line: LineCallback | None = None,
            on_stderr_line: LineCallback | None = None,
        ) -> None: ...
        def __init__(self, capture: bool = True, echo: bool = False, **_: object):
            """Accept what the fields say; the overloads tell text from bytes."""

    def __post_init__(self) -> None:
        for name in ("stdout", "stderr"):
            target: object = getattr(self, name)
            is_merged = name == "stderr" and target == "stdout"
            # Anything else must not be taken for nothing: output would be lost.
            if not is_merged:
                check_type(name, target, Redirect | None, "a Redirect")
            callback: object = getattr(self, f"on_{name}_line")
            check_type(f"on_{name}_line", callback, Callable | None, "a function")
            if target is not None and callback is not None:
                raise ValueError(f"{name} is redirected, on_{name}_line never called")


@dataclass(frozen=True, slots=True)
class IOOptions(RunOutputOptions[str]):
    """Deprecated name of `RunOutputOptions`."""

    def __post_init__(self) -> None:
        RunOutputOptions.__post_init__(self)
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
        tags: laid over the tags of every `ExecEvent`.
        linger: seconds, once a command has exited, for descendants that keep one of
            its pipes open, whether we read it or the next stage does; None sets no
            limit. What they write later is not in the result, which says so
            (`CommandResult.is_truncated`). Two seconds let a background process
            finish its last line.
        pump: how data moves between the stages of a pipeline.
        fail_fast: end a pipeline once a stage other than the last has failed, which
            may cut short what the last one was about to say. If False, the others
            go on to their own ends, as in a shell.

    Raises:
        TypeError: ``cancel_grace`` or ``linger`` is not seconds.
        ValueError: ``linger`` is negative, or one of them not a number.

    >>> from cuprum import LS, sh
    >>> context = ExecutionContext(env={"LC_ALL": "C"}, cwd="/", timeout=10)
    >>> sh.make(LS)("-d", "dev").run_sync(context=context).ok
    True
    """

    env: Mapping[str, str] | None = None
    cwd: str | Path | None = None
    cancel_grace: float = 0.5
    timeout: float | None = None
    stdout_sink: IO[str] | None = None
    stderr_sink: IO[str] | None = None
    encoding: str = "utf-8"
    errors: str = "replace"
    tags: Mapping[str, object] | None = None
    linger: float | None = field(default=2.0, kw_only=True)
    pump: PumpOptions = field(default=PumpOptions(), kw_only=True)
    fail_fast: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_seconds("cancel_grace", self.cancel_grace)
        if self.linger is not None:
            check_seconds("linger", self.linger, least=0)


_Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class StdinInput:
    """What a command, or the first of a pipeline, reads on its standard input.

    A command that does not read all of it is no failure.

    Attributes:
        text: encoded as the execution context says.
        data: taken as it is.
        path: a file, opened by us, from our own working directory, and read by the
            command itself.
        file: an open file, read by the command from where its descriptor stands.
        chunks: an iterable of bytes, asynchronous or not; asked for more only when
            the command has taken what there was. If it raises, the run ends with
            its exception.

    Raises:
        TypeError: what was given is of another type.
        ValueError: more than one was given.

    >>> from cuprum import Program, ProgramCatalogue, ProjectSettings, sh
    >>> tools = ProjectSettings("tools", (Program("cat"),), (), ())
    >>> cat = sh.make(Program("cat"), catalogue=ProgramCatalogue(projects=[tools]))
    >>> cat().run_sync(stdin=StdinInput(text="one")).stdout
    'one'
    >>> cat().run_sync(stdin=StdinInput(chunks=[b"one, ", b"two"])).stdout
    'one, two'
    """

    text: str | None = None
    data: bytes | None = None
    path: str | Path | None = field(default=None, kw_only=True)
    file: OpenFile | None = field(default=None, kw_only=True)
    chunks: Iterable[bytes] | AsyncIterable[bytes] | None = field(
        default=None, kw_only=True
    )

    def __post_init__(self) -> None:
        check_type("text", self.text, str | None, "a str")
        check_type("data", self.data, _Buffer | None, "bytes")
        check_type("path", self.path, str | Path | None, "a path")
        what, but = "an iterable of bytes", str | _Buffer
        check_type("chunks", self.chunks, Iterable | AsyncIterable | None, what, but)
        if self.file is not None:
            check_file("file", self.file)
        if self.text is not None and self.data is not None:
            raise ValueError("text and data cannot both be provided")
        given = self._given()
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} cannot be given together")

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given, which is as good as no `StdinInput`."""
        return not self._given()

    def _given(self) -> list[str]:
        names = ("text", "data", "path", "file", "chunks")
        return [name for name in names if getattr(self, name) is not None]

    def resolve(self, ctx: ExecutionContext) -> bytes | None:
        """Return the bytes to feed, or None if ``text`` and ``data`` are None.

        Raises:
            UnicodeEncodeError: the codec cannot express the text.
            LookupError: there is no such codec.
        """
        if self.text is not None:
            return self.text.encode(ctx.encoding, ctx.errors)
        return self.data
