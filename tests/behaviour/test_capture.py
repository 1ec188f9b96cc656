"""What is captured: text or bytes, of a command and of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cuprum import ExecutionContext, RunOutputOptions
from tests.support.bare_pipes import SIZES, payload
from tests.support.pacing import saying
from tests.support.stages import cat, command, producer, shell

if TYPE_CHECKING:
    from pathlib import Path

BYTES = RunOutputOptions(text=False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.usefixtures("stream_backend")
def test_bytes_are_captured_as_they_are(size: int, stages: int, tmp_path: Path) -> None:
    data = payload(size)
    (tmp_path / "data").write_bytes(data)
    first = producer(tmp_path / "data")
    runnable = first if stages == 1 else first | cat()
    result = runnable.run_sync(output=BYTES, timeout=20)
    assert result.stdout == data


def test_bytes_are_not_decoded_whatever_the_codec() -> None:
    said = shell(r"printf 'a\377\r\n'; printf '\376' >&2")
    for context in (
        ExecutionContext(errors="strict"),
        ExecutionContext(encoding="no-such-codec"),
    ):
        result = said.run_sync(output=BYTES, context=context)
        assert (result.stdout, result.stderr) == (b"a\xff\r\n", b"\xfe")


@pytest.mark.usefixtures("stream_backend")
def test_standard_error_of_a_pipeline_is_captured_as_bytes() -> None:
    stages = [shell(f"cat; printf '{n}\\377' >&2") for n in range(3)]
    result = (stages[0] | stages[1] | stages[2]).run_sync(output=BYTES)
    assert [stage.stderr for stage in result.stages] == [b"0\xff", b"1\xff", b"2\xff"]
    assert [stage.stdout for stage in result.stages] == [None, None, b""]


def test_nothing_captured_is_empty_bytes() -> None:
    result = command("true").run_sync(output=BYTES)
    assert (result.stdout, result.stderr) == (b"", b"")


def test_bytes_that_are_not_captured_are_none() -> None:
    output = RunOutputOptions(capture=False, text=False)
    result = shell("echo out; echo err >&2").run_sync(output=output)
    assert (result.stdout, result.stderr) == (None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7", "gb18030"])
def test_text_is_decoded_as_one_however_it_was_written(encoding: str) -> None:
    text = "caf\u00e9\r\n\u30c6\u30b9\u30c8\n"
    said = saying(*(bytes([byte]) for byte in text.encode(encoding)))
    assert said.run_sync(context=ExecutionContext(encoding=encoding)).stdout == text


def test_much_text_is_captured_whole() -> None:
    result = command("seq", 3_000_000).run_sync(timeout=20)
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 3_000_001))
