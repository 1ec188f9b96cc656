"""Pipelines: how they are made, what running one returns, and what it reports."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_type

from cuprum import (
    CommandResult,
    ExecutionContext,
    HopReport,
    Pipeline,
    PipelineResult,
    PumpOptions,
    RunOutputOptions,
    SafeCmd,
    StdinInput,
    Tap,
    TapReport,
)


def joined(command: SafeCmd, pipeline: Pipeline) -> None:
    assert_type(command | command, Pipeline)
    assert_type(command | pipeline, Pipeline)
    assert_type(pipeline | command, Pipeline)
    assert_type(pipeline | pipeline, Pipeline)
    assert_type(command | command | command, Pipeline)
    assert_type(Pipeline.concat(command, pipeline), Pipeline)
    assert_type(pipeline.parts, tuple[SafeCmd, ...])

    _0: Pipeline = command | "wc"  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    _1: Pipeline = "ls" | command  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    _2: Pipeline = pipeline | None  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    pipeline.parts = ()  # pyright: ignore[reportAttributeAccessIssue]


def tell(reports: tuple[HopReport, ...]) -> None:
    print(sum(report.bytes_written for report in reports))


def tell_one(report: HopReport) -> None:
    print(report)


async def run(pipeline: Pipeline) -> None:
    assert_type(await pipeline.run(), PipelineResult[str])
    assert_type(await pipeline.run(output=None), PipelineResult[str])
    assert_type(await pipeline.run(output=RunOutputOptions()), PipelineResult[str])
    assert_type(
        await pipeline.run(output=RunOutputOptions(text=False)), PipelineResult[bytes]
    )
    assert_type(
        await pipeline.run(
            timeout=1,
            context=ExecutionContext(pump=PumpOptions(drain=None)),
            stdin=StdinInput(path="/etc/passwd"),
            taps=[Tap(0, Path("/tmp/copy"), append=True), Tap(1, 3, required=False)],
            on_progress=tell,
            progress_interval=1,
        ),
        PipelineResult[str],
    )
    assert_type(await pipeline.run(capture=False, echo=True), PipelineResult[str])

    await pipeline.run(on_progress=tell_one)  # pyright: ignore[reportArgumentType]
    await pipeline.run(taps=Tap(0, "copy"))  # pyright: ignore[reportArgumentType]
    await pipeline.run(capture="no")  # pyright: ignore[reportArgumentType]
    pipeline.run()  # pyright: ignore[reportUnusedCoroutine]


def run_sync(pipeline: Pipeline) -> None:
    assert_type(pipeline.run_sync(), PipelineResult[str])
    assert_type(pipeline.run_sync(output=RunOutputOptions()), PipelineResult[str])
    assert_type(
        pipeline.run_sync(output=RunOutputOptions(text=False)), PipelineResult[bytes]
    )
    assert_type(pipeline.run_sync(taps=(), on_progress=tell), PipelineResult[str])

    pipeline.run_sync(RunOutputOptions())  # pyright: ignore[reportCallIssue]


def results(text: PipelineResult[str], data: PipelineResult[bytes]) -> None:
    assert_type(text.stages, tuple[CommandResult[str], ...])
    assert_type(data.stages, tuple[CommandResult[bytes], ...])
    assert_type(text.final, CommandResult[str])
    assert_type(data.final, CommandResult[bytes])
    assert_type(text.failure, CommandResult[str] | None)
    assert_type(data.failure, CommandResult[bytes] | None)
    assert_type(text.failure_index, int | None)
    assert_type(text.stdout, str | None)
    assert_type(data.stdout, bytes | None)
    assert_type(text.ok, bool)
    assert_type(text.hops, tuple[HopReport, ...])
    assert_type(text.bottleneck, int | None)
    assert_type(text.taps, tuple[TapReport, ...])

    print(text.failure.exit_code)  # pyright: ignore[reportOptionalMemberAccess]
    text.hops = ()  # pyright: ignore[reportAttributeAccessIssue]


def text_is_the_default(result: PipelineResult) -> None:
    assert_type(result, PipelineResult[str])


def reports(hop: HopReport, tap: TapReport) -> None:
    assert_type(hop.bytes_read, int)
    assert_type(hop.bytes_written, int)
    assert_type(hop.bytes_discarded, int)
    assert_type(hop.engine, str)
    assert_type(hop.broken_pipe, bool)
    assert_type(hop.drain, Literal["eof", "timeout", "closed"] | None)
    assert_type(hop.elapsed, float)
    assert_type(hop.waited_for_input, float)
    assert_type(hop.waited_for_output, float)
    assert_type(hop.waiting, Literal["input", "output"] | None)
    assert_type(tap.hop, int)
    assert_type(tap.bytes_written, int)
    assert_type(tap.errno, int)

    hop.bytes_read = 0  # pyright: ignore[reportAttributeAccessIssue]
    tap.errno = 0  # pyright: ignore[reportAttributeAccessIssue]
