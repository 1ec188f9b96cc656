"""Building commands from approved programs, and running them.

>>> from cuprum import LS, sh
>>> sh.make(LS)("-l", sort="size").argv
('-l', '--sort=size')
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from cuprum._command import Pipeline, SafeCmd
from cuprum._options import (
    ExecutionContext,
    IOOptions,
    Redirect,
    RunOutputOptions,
    StdinInput,
)
from cuprum._results import (
    CommandResult,
    PartialOutput,
    PipelineResult,
    TimeoutExpired,
    partial_output,
)
from cuprum.catalogue import DEFAULT_CATALOGUE, ProgramCatalogue, UnknownProgramError
from cuprum.context import current_context as current_context
from cuprum.context import observe, scoped
from cuprum.program import Program as Program

__all__ = [
    "CommandResult",
    "ExecutionContext",
    "IOOptions",
    "PartialOutput",
    "Pipeline",
    "PipelineResult",
    "Redirect",
    "RunOutputOptions",
    "SafeCmd",
    "SafeCmdBuilder",
    "StdinInput",
    "TimeoutExpired",
    "UnknownProgramError",
    "build_argv",
    "make",
    "observe",
    "partial_output",
    "scoped",
]

SafeCmdBuilder: TypeAlias = Callable[..., SafeCmd]
"""What `make` returns: takes arguments as `build_argv` does."""

_Argument: TypeAlias = str | int | float | bool | Path


def build_argv(*args: _Argument, **kwargs: _Argument) -> tuple[str, ...]:
    """Turn Python arguments into a program's.

    Positional ones come first, as ``str`` gives them; then each keyword as
    ``--name=value`` with ``-`` for every ``_``. True is ``"True"``: no flags.

    Raises:
        TypeError: an argument is None.

    >>> build_argv("-l", "a b", sort="size", max_depth=1)
    ('-l', 'a b', '--sort=size', '--max-depth=1')
    """
    options = (
        f"--{name.replace('_', '-')}={_word(value)}" for name, value in kwargs.items()
    )
    return (*map(_word, args), *options)


def _word(value: _Argument | None) -> str:
    if value is None:
        raise TypeError("None is not a valid argv element for sh.make")
    return str(value)


def make(
    program: Program, *, catalogue: ProgramCatalogue = DEFAULT_CATALOGUE
) -> SafeCmdBuilder:
    """Return a builder of commands of ``program``.

    Args:
        program: what to run.
        catalogue: where it has to be listed.

    Raises:
        UnknownProgramError: the catalogue does not list the program.

    >>> from cuprum import ECHO
    >>> make(ECHO)("-n", "hello").run_sync().stdout
    'hello'
    """
    entry = catalogue.lookup(program)

    def builder(*args: _Argument, **kwargs: _Argument) -> SafeCmd:
        return SafeCmd(entry.program, build_argv(*args, **kwargs), entry.project)

    return builder
