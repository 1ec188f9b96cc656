"""Commands, pipelines, options and results as values."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
import weakref
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    ECHO,
    LS,
    CommandResult,
    ExecutionContext,
    HopReport,
    IOOptions,
    PartialOutput,
    Pipeline,
    PipelineResult,
    Program,
    PumpOptions,
    RunOutputOptions,
    SafeCmd,
    StdinInput,
    TimeoutExpired,
    partial_output,
    sh,
)
from tests.support.stages import shell

if TYPE_CHECKING:
    from collections.abc import Callable


def echo(*words: str) -> SafeCmd:
    """Return an ``echo`` command."""
    return sh.make(ECHO)(*words)


def hop() -> HopReport:
    """Return a report of a hop that moved two bytes."""
    return HopReport(
        bytes_read=2,
        bytes_written=2,
        bytes_discarded=0,
        engine="copy",
        broken_pipe=False,
        drain=None,
        elapsed=0.5,
        waited_for_input=0.25,
        waited_for_output=0.125,
    )


def command_result(exit_code: int = 0, stdout: str | None = "out") -> CommandResult:
    """Return a result, made with positional fields in the contract's order."""
    return CommandResult(Program("p"), ("a",), exit_code, 77, stdout, "err")


VALUES = {
    "SafeCmd": lambda: echo("a"),
    "Pipeline": lambda: echo("a") | echo("b"),
    "CommandResult": command_result,
    "PipelineResult": lambda: PipelineResult((command_result(), command_result())),
    "HopReport": hop,
    "RunOutputOptions": RunOutputOptions,
    "StdinInput": lambda: StdinInput(text="x"),
    "PumpOptions": PumpOptions,
    "ExecutionContext": ExecutionContext,
}


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_values_are_frozen_slotted_and_compare_by_content(
    make: Callable[[], object],
) -> None:
    value = make()
    field = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)
    assert not hasattr(value, "__dict__")
    assert value == make()
    assert hash(value) == hash(make())


@pytest.mark.parametrize("make", VALUES.values(), ids=VALUES)
def test_values_survive_copy_and_pickle(make: Callable[[], object]) -> None:
    value = make()
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_command_has_three_fields_and_can_be_weakly_referenced() -> None:
    built = echo("a")
    names = [field.name for field in dataclasses.fields(SafeCmd)]
    assert names == ["program", "argv", "project"]
    assert SafeCmd(built.program, built.argv, built.project) == built
    assert weakref.ref(built)() is built


def test_commands_differ_by_argv_and_program() -> None:
    assert len({echo("a"), echo("a"), echo("b"), sh.make(LS)("a")}) == 3


@pytest.mark.parametrize(
    "compose",
    [
        lambda a, b, c, d: a | b | c | d,
        lambda a, b, c, d: a | (b | c | d),
        lambda a, b, c, d: (a | b) | (c | d),
        lambda a, b, c, d: a | (b | c) | d,
        lambda a, b, c, d: Pipeline.concat(Pipeline.concat(a, b), c | d),
        lambda a, b, c, d: Pipeline((a, b, c, d)),
    ],
)
def test_composition_is_flat_and_keeps_the_commands(
    compose: Callable[..., Pipeline],
) -> None:
    stages = tuple(echo(word) for word in "abcd")
    parts = compose(*stages).parts
    assert len(parts) == 4
    assert all(part is stage for part, stage in zip(parts, stages, strict=True))


def test_concat_of_two_commands() -> None:
    one, two = echo("1"), echo("2")
    assert Pipeline.concat(one, two).parts == (one, two)


def test_a_command_may_appear_twice() -> None:
    twice = echo("a")
    assert (twice | twice).parts == (twice, twice)


@pytest.mark.parametrize("parts", [(), (1,)], ids=["none", "one"])
def test_a_pipeline_needs_two_stages(parts: tuple[object, ...]) -> None:
    stages = tuple(echo("a") for _ in parts)
    with pytest.raises(
        ValueError, match=r"^Pipeline must contain at least two stages$"
    ):
        Pipeline(stages)


@pytest.mark.parametrize("other", ["text", None, 1, ["echo"]])
def test_a_foreign_operand_is_refused(other: object) -> None:
    pipeline = echo("a") | echo("b")
    for expression in (
        lambda: echo("a") | other,  # type: ignore[operator]
        lambda: other | echo("a"),  # type: ignore[operator]
        lambda: pipeline | other,  # type: ignore[operator]
        lambda: other | pipeline,  # type: ignore[operator]
    ):
        with pytest.raises(TypeError):
            expression()


@pytest.mark.parametrize("code", [1, -15, 255])
def test_a_command_is_ok_when_it_exits_with_zero(code: int) -> None:
    assert command_result(0).ok
    assert not command_result(code).ok


def test_a_pipeline_result_points_at_its_stages() -> None:
    bad, good = command_result(3), command_result(0)
    result = PipelineResult((bad, good), 0)
    assert result.final is good
    assert result.failure is bad
    assert not result.ok
    assert result.stdout == "out"
    assert (result.hops, result.bottleneck) == ((), None)


def test_ok_is_a_matter_of_the_stages_alone() -> None:
    good = command_result(0)
    result = PipelineResult((good, good))
    assert result.ok
    assert result.failure_index is None
    assert result.failure is None
    assert not PipelineResult((command_result(1), good)).ok


def test_run_output_options_defaults() -> None:
    options = RunOutputOptions()
    assert (options.capture, options.echo) == (True, False)
    assert RunOutputOptions(False, True).echo  # positional by contract


def test_io_options_warn_that_they_are_deprecated() -> None:
    told = "IOOptions is deprecated; use RunOutputOptions instead"
    with pytest.warns(DeprecationWarning, match=told) as caught:
        options = IOOptions(capture=False)
    assert caught[0].filename == __file__
    assert isinstance(options, RunOutputOptions)
    assert options != RunOutputOptions(capture=False)


def test_execution_context_defaults() -> None:
    context = ExecutionContext()
    assert (context.env, context.cwd, context.timeout) == (None, None, None)
    assert context.cancel_grace == 0.5
    assert (context.stdout_sink, context.stderr_sink) == (None, None)
    assert (context.encoding, context.errors) == ("utf-8", "replace")
    assert context.pump == PumpOptions()


def test_stdin_takes_text_or_data() -> None:
    with pytest.raises(ValueError, match=r"^text and data cannot both be provided$"):
        StdinInput(text="a", data=b"a")


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (StdinInput(), None),
        (StdinInput(text="h\u00e9"), b"h\xe9"),
        (StdinInput(text=""), b""),
        (StdinInput(data=b"\x00\xff"), b"\x00\xff"),
        (StdinInput(data=b""), b""),
    ],
)
def test_stdin_resolves_to_bytes(given: StdinInput, resolved: bytes | None) -> None:
    assert given.resolve(ExecutionContext(encoding="latin-1")) == resolved


def test_stdin_encodes_with_the_policy_of_the_context() -> None:
    snowman = StdinInput(text="\N{SNOWMAN}")
    ascii_only = ExecutionContext(encoding="ascii")
    assert snowman.resolve(ascii_only) == b"?"
    with pytest.raises(UnicodeEncodeError):
        snowman.resolve(ExecutionContext(encoding="ascii", errors="strict"))


def test_a_timeout_tells_what_ran_and_how_long() -> None:
    error = TimeoutExpired(cmd=("sleep", "9"), timeout=0, output="o", stderr="e")
    assert str(error) == "Command ('sleep', '9') timed out after 0 seconds"
    assert (error.cmd, error.timeout) == (("sleep", "9"), 0)
    assert (error.output, error.stdout, error.stderr) == ("o", "o", "e")
    assert isinstance(error, TimeoutError)
    assert isinstance(TimeoutExpired(cmd=("x",), timeout=1), OSError)


def test_the_output_of_a_run_is_found_in_a_group_of_exceptions() -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(shell("echo so far; exec sleep 60").run(timeout=0.5))

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert partial_output(caught.value) == PartialOutput("so far\n", "")


def test_a_group_without_a_run_has_no_output() -> None:
    inner = ExceptionGroup("inner", [KeyError(), ValueError()])
    assert partial_output(ExceptionGroup("outer", [inner, OSError()])) is None
