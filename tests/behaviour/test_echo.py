"""Echo: output that is shown while it comes."""

from __future__ import annotations

import io
import sys

import pytest

from cuprum import ExecutionContext, Pipeline, RunOutputOptions, SafeCmd
from tests.support.stages import cat, command, shell

TEE = RunOutputOptions(capture=True, echo=True)
SHOW = RunOutputOptions(capture=False, echo=True)


class Terminal:
    """A sink with a ``buffer``, as ``sys.stdout`` is one; counts flushes."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        self.flushes = 0

    def write(self, text: str) -> int:
        """Refuse text: with a buffer there, bytes go to it."""
        raise AssertionError(text)

    def flush(self) -> None:
        """Count."""
        self.flushes += 1


def sinks(out: object, err: object) -> ExecutionContext:
    """Return a context that echoes to *out* and *err*."""
    return ExecutionContext(stdout_sink=out, stderr_sink=err)  # type: ignore[arg-type]


@pytest.mark.parametrize("output", [TEE, SHOW], ids=["tee", "show"])
def test_text_goes_to_text_sinks(output: RunOutputOptions) -> None:
    out, err = io.StringIO(), io.StringIO()
    talk = shell("echo one; echo two >&2")
    result = talk.run_sync(output=output, context=sinks(out, err))
    assert (out.getvalue(), err.getvalue()) == ("one\n", "two\n")
    captured = ("one\n", "two\n") if output.capture else (None, None)
    assert (result.stdout, result.stderr) == captured
    assert not out.closed


def test_bytes_go_to_the_buffer_of_a_sink_unchanged() -> None:
    terminal = Terminal()
    command("printf", r"a\377\r\nb").run_sync(
        output=SHOW, context=sinks(terminal, io.StringIO())
    )
    assert terminal.buffer.getvalue() == b"a\xff\r\nb"


def test_a_character_split_between_writes_survives() -> None:
    out = io.StringIO()
    script = r"printf '\342\230'; sleep 0.1; printf '\203\n'"
    result = shell(script).run_sync(output=TEE, context=sinks(out, None))
    assert out.getvalue() == "\N{SNOWMAN}\n"
    assert result.stdout == "\N{SNOWMAN}\n"


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    out = io.StringIO()
    command("printf", r"a\342\230").run_sync(output=SHOW, context=sinks(out, None))
    assert out.getvalue() == "a\N{REPLACEMENT CHARACTER}"


def test_the_default_sinks_are_looked_up_when_the_run_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    shell("echo one; echo two >&2").run_sync(output=SHOW)
    assert (out.getvalue(), err.getvalue()) == ("one\n", "two\n")


class Broken(io.StringIO):
    """A sink that has no room."""

    def write(self, _text: str) -> int:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")


TALK = command("head", "-c", 1_000_000, "/dev/zero")


@pytest.mark.parametrize("runnable", [TALK, TALK | cat()], ids=["command", "pipeline"])
def test_a_sink_that_fails_is_an_error_once_a_chatty_program_has_ended(
    runnable: SafeCmd | Pipeline,
) -> None:
    with pytest.raises(OSError, match="No space left"):
        runnable.run_sync(output=TEE, context=sinks(Broken(), None), timeout=10)


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_shows_the_last_output_and_every_error() -> None:
    out, err = io.StringIO(), io.StringIO()
    first = shell("echo hidden; echo e1 >&2; sleep 0.1")
    second = shell("cat >/dev/null; echo shown; echo e2 >&2")
    result = (first | second).run_sync(output=SHOW, context=sinks(out, err))
    assert out.getvalue() == "shown\n"
    assert sorted(err.getvalue().split()) == ["e1", "e2"]
    assert [stage.stderr for stage in result.stages] == [None, None]


@pytest.mark.usefixtures("stream_backend")
def test_a_pipeline_can_be_captured_and_shown() -> None:
    out = io.StringIO()
    result = (command("printf", "hi") | cat()).run_sync(
        output=TEE, context=sinks(out, io.StringIO())
    )
    assert (out.getvalue(), result.stdout) == ("hi", "hi")
