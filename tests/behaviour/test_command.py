"""One command: what it gets, what it gives back, how it can fail to start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cuprum import (
    ECHO,
    ExecutionContext,
    ForbiddenProgramError,
    Program,
    RunOutputOptions,
    ScopeConfig,
    StdinInput,
    scoped,
    sh,
)
from tests.support.bare_pipes import payload
from tests.support.paths import TOP
from tests.support.stages import BINARY, captured_bytes, command, missing, python, shell

QUIET = RunOutputOptions(capture=False)


def test_a_result_tells_what_ran_and_how_it_ended() -> None:
    result = sh.make(ECHO)("-n", "hello").run_sync()
    assert (result.program, result.argv) == (ECHO, ("-n", "hello"))
    assert (result.exit_code, result.ok) == (0, True)
    assert (result.stdout, result.stderr) == ("hello", "")
    assert result.pid > 0


def test_run_and_run_sync_agree() -> None:
    built = shell("echo out; echo err >&2; exit 3")
    first, second = built.run_sync(), asyncio.run(built.run())
    for result in (first, second):
        assert (result.exit_code, result.ok) == (3, False)
        assert (result.stdout, result.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("signal_name", ["TERM", "KILL", "SEGV"])
def test_death_by_a_signal_is_a_negative_status(signal_name: str) -> None:
    result = shell(f"ulimit -c 0; kill -{signal_name} $$").run_sync()
    assert result.exit_code == -getattr(signal, f"SIG{signal_name}")


def test_the_pid_is_that_of_the_program() -> None:
    result = shell("echo $$").run_sync()
    assert result.stdout == f"{result.pid}\n"


def test_there_is_no_shell_between() -> None:
    words = ("$HOME", "a b", "*", ";", "", "'", "\\", "snow \N{SNOWMAN}", "\n")
    result = command("printf", "%s|", *words).run_sync()
    assert result.stdout == "".join(f"{word}|" for word in words)


def test_output_that_is_not_captured_is_none() -> None:
    result = shell("echo out; echo err >&2").run_sync(output=QUIET)
    assert (result.stdout, result.stderr, result.exit_code) == (None, None, 0)


def test_output_that_is_not_captured_goes_to_dev_null(tmp_path: Path) -> None:
    links = "' '.join(os.readlink(f'/proc/self/fd/{fd}') for fd in (1, 2))"
    code = f"import os, sys; open(sys.argv[1], 'w').write({links})"
    python(code, str(tmp_path / "links")).run_sync(output=QUIET)
    assert (tmp_path / "links").read_text() == "/dev/null /dev/null"


def test_both_outputs_may_be_large(tmp_path: Path) -> None:
    # Whoever reads one to its end before the other hangs here.
    data = payload(3_000_000)
    (tmp_path / "data").write_bytes(data)
    both = shell('cat "$1" >&2; cat "$1"; cat "$1" >&2', str(tmp_path / "data"))
    result = both.run_sync(context=BINARY, timeout=20)
    assert captured_bytes(result) == data
    assert result.stderr is not None
    assert result.stderr.encode("latin-1") == data * 2


def test_newlines_are_not_translated() -> None:
    assert command("printf", r"a\r\nb\rc\n").run_sync().stdout == "a\r\nb\rc\n"


def test_text_is_decoded_with_the_codec_of_the_context() -> None:
    printed = command("printf", r"\351")
    latin = ExecutionContext(encoding="latin-1")
    assert printed.run_sync(context=latin).stdout == "\u00e9"
    assert printed.run_sync().stdout == "\N{REPLACEMENT CHARACTER}"


def test_strict_decoding_raises_once_the_program_has_ended(tmp_path: Path) -> None:
    script = 'printf "\\377"; sleep 0.1; touch "$1"'
    strict = ExecutionContext(errors="strict")
    with pytest.raises(UnicodeDecodeError):
        shell(script, str(tmp_path / "ended")).run_sync(context=strict)
    assert (tmp_path / "ended").exists()


def test_strict_decoding_does_not_stop_a_chatty_program() -> None:
    strict = ExecutionContext(errors="strict")
    script = 'printf "\\377"; head -c 1000000 /dev/zero'
    with pytest.raises(UnicodeDecodeError):
        shell(script).run_sync(context=strict, timeout=10)


def test_an_unknown_codec_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no-such-codec"):
        command("echo").run_sync(context=ExecutionContext(encoding="no-such-codec"))


def test_the_working_directory(tmp_path: Path) -> None:
    for cwd in (tmp_path, str(tmp_path)):
        result = command("pwd").run_sync(context=ExecutionContext(cwd=cwd))
        assert result.stdout == f"{tmp_path}\n"
    assert command("pwd").run_sync().stdout == f"{Path.cwd()}\n"


def test_a_missing_working_directory_is_an_error(tmp_path: Path) -> None:
    gone = ExecutionContext(cwd=tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="gone"):
        command("pwd").run_sync(context=gone)


def test_the_environment_is_live_and_overlays_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show = shell('echo "$LIVE $SCOPED $CALL"')
    for name in ("LIVE", "SCOPED", "CALL"):
        monkeypatch.setenv(name, "live")
    overlay = {"SCOPED": "scoped", "CALL": "scoped"}
    with scoped(ScopeConfig(env_overlay=overlay)):
        assert show.run_sync().stdout == "live scoped scoped\n"
        call = ExecutionContext(env={"CALL": "call"})
        assert show.run_sync(context=call).stdout == "live scoped call\n"
    monkeypatch.setenv("LIVE", "later")
    assert show.run_sync().stdout == "later live live\n"
    assert os.environ["CALL"] == "live"


def test_a_program_is_searched_on_the_path_of_the_child(tmp_path: Path) -> None:
    tool = tmp_path / "cuprum-test-tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    elsewhere = ExecutionContext(env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert command(tool.name).run_sync(context=elsewhere).stdout == "found\n"
    with pytest.raises(FileNotFoundError):
        command(tool.name).run_sync()
    nowhere = ExecutionContext(env={"PATH": str(tmp_path / "empty")})
    with pytest.raises(FileNotFoundError):
        command("cat").run_sync(context=nowhere)


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        missing(tmp_path).run_sync()


def test_a_program_that_cannot_run_is_a_permission_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(PermissionError):
        command(str(tmp_path / "data")).run_sync()


def test_a_nul_in_an_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        command("echo", "a\0b").run_sync()


def test_a_forbidden_program_does_not_run(tmp_path: Path) -> None:
    touch = command("touch", str(tmp_path / "ran"))
    with scoped(ScopeConfig(allowlist=frozenset({ECHO}))):
        assert sh.make(ECHO)("x").run_sync().ok
        with pytest.raises(ForbiddenProgramError, match="'touch'"):
            touch.run_sync()
    assert not (tmp_path / "ran").exists()
    assert touch.run_sync().ok


def test_the_allowlist_is_looked_at_before_standard_input() -> None:
    unencodable = StdinInput(text="\N{SNOWMAN}")
    strict = ExecutionContext(encoding="ascii", errors="strict")
    other = ScopeConfig(allowlist=frozenset({Program("other")}))
    with scoped(other), pytest.raises(ForbiddenProgramError):
        command("cat").run_sync(stdin=unencodable, context=strict)


def test_run_looks_at_the_scope_it_is_awaited_in() -> None:
    async def main() -> None:
        with scoped(ScopeConfig(allowlist=frozenset({ECHO}))):
            awaited_later = command("true").run()
            kept = asyncio.create_task(command("true").run())
        assert (await awaited_later).ok
        with pytest.raises(ForbiddenProgramError):
            await kept

    asyncio.run(main())


def test_run_sync_inside_a_running_loop_is_refused(tmp_path: Path) -> None:
    touch = command("touch", str(tmp_path / "ran"))

    async def main() -> None:
        for runnable in (touch, touch | touch):
            with pytest.raises(RuntimeError, match="running event loop"):
                runnable.run_sync()

    asyncio.run(main())
    assert not (tmp_path / "ran").exists()


def test_standard_input_is_inherited() -> None:
    code = (
        "from tests.support.stages import command;"
        "print(command('cat').run_sync().stdout.upper(), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TOP,
        input="from the parent",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "FROM THE PARENT"


def test_no_descriptor_of_ours_is_inherited() -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
        assert python(code).run_sync().stdout == "[0, 1, 2]\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_the_process_stays_in_the_group_of_the_caller() -> None:
    result = python("import os; print(os.getpgrp(), os.getsid(0))").run_sync()
    assert result.stdout == f"{os.getpgrp()} {os.getsid(0)}\n"
