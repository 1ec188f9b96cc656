"""``python -m cuprum run``: a pipeline typed as in a shell, and its live table."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from typing import IO, TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuprum._shell_words import ShellSyntaxError, parse
from tests.support.paths import TOP
from tests.support.processes import end_and_reap, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = (sys.executable, "-m", "cuprum", "run")


def environment(**more: str) -> dict[str, str]:
    """Return ours, on a terminal that can draw, without what would tell more."""
    left_out = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONASYNCIODEBUG", "PYTHONDEVMODE")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "TERM": "xterm", **more}


def run(
    line: str,
    *options: str,
    stdin: bytes = b"",
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    **variables: str,
) -> subprocess.CompletedProcess[bytes]:
    """Run *line*, with its outputs captured unless they go elsewhere."""
    return subprocess.run(
        [*RUN, *options, line],
        cwd=TOP,
        env=environment(**variables),
        check=False,
        input=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def refusal(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one line that it said instead of running anything."""
    assert done.stdout == b""
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith("cuprum: ")
    return told


# --- What is not understood ----------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("seq 3 > x", ">"),
        ("seq 3 2>x", "2>x"),
        ("sort <x", "<x"),
        ("seq 3; ls", "3;"),
        ("seq 3 & ls", "&"),
        ("seq 3 && ls", "&&"),
        ("seq 3 || ls", "||"),
        ("seq 3 |& ls", "|&"),
        ("echo $HOME", "$HOME"),
        ('echo "a $HOME"', '"a'),
        (r'echo "\$x"', r'"\$x"'),
        ("echo a\\\nb", r"'a\\\nb'"),
        ("echo `ls`", "`ls`"),
        ("ls *.py", "*.py"),
        ("ls [ab]", "[ab]"),
        ("ls a?", "a?"),
        ("ls {a,b}", "{a,b}"),
        ("ls ~/x", "~/x"),
        ("(ls)", "(ls)"),
        ("seq 3 # three", "#"),
        ("ls\nls", r"'ls\nls'"),
        ("LANG=C sort", "LANG=C"),
        ("while true", "while"),
        ("echo 'open", "'open"),
        ("echo end\\", "end\\"),
        ("seq 3 |", "the end"),
        ("| sort", "|"),
        ("seq 3 | | sort", "|"),
        ("", "the end"),
        ("seq 3 | ''", "''"),
    ],
)
def test_what_is_not_understood_is_named_and_nothing_runs(
    line: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        parse(f"touch {tmp_path}/ran | {line}")
    assert f"understood: {named}" in str(caught.value)


def test_a_refusal_is_one_line_and_bad_usage(tmp_path: Path) -> None:
    done = run(f"touch {tmp_path}/ran; ls")
    assert done.returncode == 64
    assert f"{tmp_path}/ran;" in refusal(done)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", [[], ["--colour", "ls"], ["seq", "3"]])
def test_arguments_that_are_not_understood_are_bad_usage(words: list[str]) -> None:
    done = subprocess.run([*RUN, *words], cwd=TOP, capture_output=True, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith(b"usage: ")


# --- What is -------------------------------------------------------------------------

WORD = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))
STAGES = st.lists(
    st.tuples(WORD.map("/{}".format), st.lists(WORD)).map(lambda s: [s[0], *s[1]]),
    min_size=1,
)


@given(STAGES)
def test_what_shlex_joins_comes_back(stages: list[list[str]]) -> None:
    assert parse(" | ".join(map(shlex.join, stages))) == stages


WORDS = ["a", "b", "=x", "-y", "{}", "]", "}", "!", "%^:,.", "é", "''", '""']
ESCAPED = ["\\$", "\\'", '\\"', "\\*", "\\\\"]
PLAIN = st.sampled_from([*WORDS, *ESCAPED])
QUOTED = st.text('a $`*|&;<>()\\"\n\t#~').map("'{}'".format)
BLANK = st.sampled_from(" \t")
ANY = st.text("a=-{}[]!#~*?$`\\'\"|&;<>() \n\r", max_size=3)
FRAGMENT = st.one_of(PLAIN, QUOTED, BLANK, ANY, ANY.map('"{}"'.format))


def understood(line: str) -> list[list[str]]:
    """Return the stages of *line*, none if it is refused."""
    try:
        return parse(line)
    except ShellSyntaxError:
        return []


@pytest.mark.parametrize("shell", ["sh", "bash"])
@settings(deadline=None)
@given(st.lists(FRAGMENT).map("".join))
def test_what_is_accepted_means_what_it_means_to_a_shell(shell: str, line: str) -> None:
    stages = understood(f"printf '%s\\0' {line}")
    if len(stages) != 1:
        return
    done = subprocess.run(
        [shell, "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True
    )
    expected = "".join(f"{word}\0" for word in stages[0][2:] or [""])
    assert done.stdout.decode() == expected


# --- What fails ----------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "seq 3 | "])
def test_a_program_that_is_missing(before: str, tmp_path: Path) -> None:
    done = run(f"{before}{tmp_path}/nonesuch -x")
    assert done.returncode == 127
    assert f"could not be started: {tmp_path}/nonesuch -x" in refusal(done)


@pytest.mark.parametrize(("mode", "text"), [(0o644, "#!/bin/sh\n"), (0o755, "\0\1")])
def test_a_file_that_is_no_program(mode: int, text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    (tmp_path / "file").chmod(mode)
    done = run(f"seq 3 | {tmp_path}/file")
    assert done.returncode == 126
    assert f"could not be started: {tmp_path}/file" in refusal(done)


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [("exit 3", 3, "exit status 3"), ("kill -9 $$", 137, "Killed")],
)
@pytest.mark.parametrize("line", ["sh -c '{}'", "seq 3 | sh -c '{}' | cat"])
def test_a_stage_that_fails_is_named_and_its_status_is_ours(
    line: str, script: str, status: int, told: str
) -> None:
    done = run(line.format(f"cat >/dev/null; {script}"))
    assert done.returncode == status
    stage = line.count("|", 0, line.index("sh -c"))
    assert f"stage {stage}, sh: {told}\n" in done.stderr.decode()


def test_the_last_stage_that_failed_gives_the_status() -> None:
    done = run("sh -c 'exit 4' | sh -c 'cat; exit 5' | cat", "--json")
    assert done.returncode == 5
    stages = json.loads(done.stderr)["result"]["stages"]
    assert [stage["exit_code"] for stage in stages] == [4, 5, 0]


def test_a_stage_that_fails_takes_nothing_from_what_it_has_written() -> None:
    """Nor from what the others make of it: ``grep -c`` says 0 and fails."""
    for _ in range(20):
        done = run("sh -c 'echo data; exit 1' | sh -c 'sleep .01; cat'")
        assert (done.returncode, done.stdout) == (1, b"data\n")


def test_what_a_stage_leaves_behind_is_waited_for(tmp_path: Path) -> None:
    slow = f"{{ sleep 2.5; seq 3 5; }} 2>/dev/null & echo $! >{tmp_path}/pid; seq 2"
    done = run(f"{shlex.join(['sh', '-c', slow])} | cat")
    end_and_reap({int((tmp_path / "pid").read_text())})
    assert (done.returncode, done.stdout) == (0, b"1\n2\n3\n4\n5\n")


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    done = run("yes | head -2")
    assert (done.returncode, done.stdout) == (0, b"y\ny\n")


def test_a_reader_of_ours_that_leaves_is_what_a_shell_calls_it() -> None:
    process = subprocess.Popen(
        [*RUN, "--quiet", "yes | cat"], cwd=TOP, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read(2) == b"y\n"
    assert process.wait() == 128 + signal.SIGPIPE


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_standard_stream_that_is_closed(number: int, tmp_path: Path) -> None:
    touch = shlex.join([*RUN, f"touch {tmp_path}/ran | cat"])
    done = subprocess.run(
        ["sh", "-c", f"exec {touch} {number}>&-"],
        cwd=TOP,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 74
    assert not (tmp_path / "ran").exists()
    if number != 2:
        assert refusal(done) == "cuprum: [Errno 9] Bad file descriptor"


def test_a_full_disk_fails_the_stage_that_writes_to_it() -> None:
    with open("/dev/full", "wb") as full:
        done = run("seq 3 | cat", stdout=full)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.decode()
    assert "stage 1, cat: exit status 1\n" in done.stderr.decode()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_summary_that_cannot_be_written_is_a_failure(options: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = run("seq 3 | cat", *options, stderr=full)
    assert (done.returncode, done.stdout) == (74, b"1\n2\n3\n")


def test_a_helper_that_is_demanded_and_missing(tmp_path: Path) -> None:
    missing = str(tmp_path / "cuprum-pump")
    done = run("seq 3 | cat", CUPRUM_PUMP=missing, CUPRUM_STREAM_BACKEND="auto")
    assert done.returncode == 78
    assert refusal(done) == f"cuprum: CUPRUM_PUMP={missing}: no such file"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_all(number: int, tmp_path: Path) -> None:
    # The leak guard sees stages that stay behind.
    script = f"touch {tmp_path}/started; exec sleep 60"
    line = f"{shlex.join(['sh', '-c', script])} | cat | cat"
    process = subprocess.Popen([*RUN, line], cwd=TOP, stdin=subprocess.DEVNULL)
    wait_until((tmp_path / "started").exists, what="the first stage", within=10)
    process.send_signal(number)
    assert process.wait() == 128 + number


# --- What works ----------------------------------------------------------------------


@pytest.mark.usefixtures("stream_backend")
def test_our_standard_streams_are_those_of_the_stages() -> None:
    data = bytes(range(256)) * 4096
    done = run("sh -c 'cat; echo told >&2' | cat", "--quiet", stdin=data)
    assert done.returncode == 0
    assert done.stdout == data
    assert done.stderr == b"told\n"


def test_a_single_command_has_no_table() -> None:
    done = run("tr a-z A-Z", stdin=b"one")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ONE", b"")


def test_words_arrive_as_they_were_quoted() -> None:
    done = run(r"""printf '%s\n' 'a  b' "c'd" e\ f '$x' '*' '' g""", "--quiet")
    assert done.stdout.decode() == "a  b\nc'd\ne f\n$x\n*\n\ng\n"


def test_a_table_in_plain_text_where_there_is_no_terminal() -> None:
    # The first stage is slow, on purpose.
    done = run("sh -c 'seq 1000; sleep 0.3' | sort -n | wc -l")
    assert (done.returncode, done.stdout) == (0, b"1000\n")
    heading, *rows, slow = done.stderr.decode().splitlines()
    assert heading.split()[:5] == ["hop", "read", "rate", "starved", "blocked"]
    assert [row[: row.index("  ")] for row in rows] == ["sh* | sort", "sort | wc"]
    assert all("3.802 KiB" in row for row in rows)
    assert rows[0].endswith("<<<<<<<<")
    assert slow == "slow stage: 0, sh"


def test_a_summary_for_programs() -> None:
    done = run("seq 3 | sort -r", "--json")
    summary = json.loads(done.stderr)
    assert summary["exit_status"] == 0
    assert summary["error"] is None
    result = summary["result"]
    assert [(stage["program"], stage["argv"]) for stage in result["stages"]] == [
        ("seq", ["3"]),
        ("sort", ["-r"]),
    ]
    assert result["hops"][0]["bytes_written"] == 6
    assert {"failure_index", "bottleneck"} <= result.keys()


def test_a_summary_for_programs_has_the_error() -> None:
    done = run("seq 3 | nonesuch", "--json")
    summary = json.loads(done.stderr)
    assert summary["exit_status"] == done.returncode == 127
    assert "nonesuch" in summary["error"]
    assert summary["result"] is None


# --- The terminal --------------------------------------------------------------------


class Terminal:
    """A pseudo-terminal of so many columns and lines, and what was written to it."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.master, self.slave = os.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self.seen = ""

    def start(self, *words: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a program that has it as its terminal."""
        slave = self.slave
        return subprocess.Popen(
            words, cwd=TOP, env=env, preexec_fn=lambda: os.login_tty(slave)
        )

    def read(self, *, until: str | None = None) -> str:
        """Return all that comes, until all others have closed it, or a text comes."""
        if until is None:
            os.close(self.slave)
            self.slave = -1
        while until is None or until not in self.seen:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # EIO: closed
                break
            self.seen += chunk.decode()
        return self.seen

    def close(self) -> None:
        """Close what is open."""
        for end in (self.master, self.slave):
            if end != -1:
                os.close(end)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a terminal of 80 columns and 24 lines."""
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture(params=["rich", "plain"])
def rich(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return an environment with rich, or with one that cannot be imported."""
    if request.param == "rich":
        pytest.importorskip("rich")
        return environment(COLOURS="yes")
    (tmp_path / "rich.py").write_text("raise ImportError\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    return environment(PYTHONPATH=path)


REGION = re.compile(r"\x1b\[1;(\d+)r")
CONTROL = re.compile(r"\x1b(?:[78D]|\[[?\d;]*[A-Za-z])")
SLOW = "sh -c 'echo told; seq 1000; sleep 0.8' | sort | wc -l"


def test_a_live_table_at_the_bottom(terminal: Terminal, rich: dict[str, str]) -> None:
    process = terminal.start(*RUN, SLOW, env=rich)
    seen = terminal.read()
    assert process.wait() == 0
    assert REGION.findall(seen) == ["21"]  # once; of 24 lines three are the table's
    assert seen.count("hop ") >= 3
    # The terminal is as it was, and the table stays.
    begun, ended = seen.rindex("\x1b[1;21r"), seen.rindex("\x1b[r")
    assert begun < ended
    left = CONTROL.sub("", seen[ended:])
    assert re.search(r"^sh\* \| sort +3\.807 KiB .* <+\r$", left, re.MULTILINE)
    assert "slow stage: 0, sh\r\n" in left
    # What the stages wrote is there, and not within a drawing.
    outside = re.sub(r"\x1b7.*?\x1b8", "", seen, flags=re.DOTALL)
    assert "1001\r\n" in outside
    is_coloured = "\x1b[33m<" in seen or "\x1b[1;31msh*" in seen
    assert is_coloured == ("COLOURS" in rich)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_row_is_wider_than_the_terminal(columns: int, rich: dict[str, str]) -> None:
    terminal = Terminal(columns)
    try:
        process = terminal.start(*RUN, SLOW, env=rich)
        seen = CONTROL.sub("\n", terminal.read())
    finally:
        terminal.close()
    assert process.wait() == 0
    rows = [row for row in re.split(r"[\r\n]+", seen) if row.startswith("hop")]
    assert len(rows) >= 3
    assert max(map(len, re.split(r"[\r\n]+", seen))) <= columns


@pytest.mark.parametrize(
    ("options", "lines", "term"),
    [(["--no-progress"], 24, "xterm"), ([], 4, "xterm"), ([], 24, "dumb")],
)
def test_no_live_table_where_it_is_not_wanted_or_has_no_room(
    options: list[str], lines: int, term: str
) -> None:
    terminal = Terminal(lines=lines)
    try:
        process = terminal.start(*RUN, *options, SLOW, env=environment(TERM=term))
        seen = terminal.read()
    finally:
        terminal.close()
    assert process.wait() == 0
    assert not REGION.search(seen)
    assert seen.count("starved") == 2  # in the heading of one table


@pytest.mark.parametrize("options", [["--quiet"], ["--json"]])
def test_no_table_where_there_is_to_be_none(
    options: list[str], terminal: Terminal
) -> None:
    process = terminal.start(*RUN, *options, SLOW, env=environment())
    seen = terminal.read()
    assert process.wait() == 0
    assert seen.startswith("1001\r\n")
    assert "\x1b" not in seen


def test_an_interrupt_ends_all_and_leaves_the_table(terminal: Terminal) -> None:
    line = "sh -c 'trap \"\" INT; exec sleep 60' | cat | cat"
    process = terminal.start(*RUN, line, env=environment())
    terminal.read(until="starved")
    os.write(terminal.master, b"\x03")
    seen = terminal.read()
    assert process.wait() == 130
    assert "Traceback" not in seen
    left = CONTROL.sub("", seen[seen.rindex("\x1b[r") :])
    assert re.search(r"^sh\*? \| cat +0 B ", left, re.MULTILINE)


# --- In a script of one's own --------------------------------------------------------

SCRIPT = """
import sys
from cuprum.progress import live
from tests.support.stages import cat, shell
pipeline = shell("seq 10; sleep .6") | cat()
with live({}) as table:
    print("printed", pipeline.run_sync(on_progress=table).ok)
"""


@pytest.mark.parametrize(
    ("arguments", "label"), [("", "stage 0* | stage 1"), ("pipeline", "sh* | cat")]
)
def test_a_script_shows_the_same_table(
    arguments: str, label: str, terminal: Terminal, rich: dict[str, str]
) -> None:
    code = SCRIPT.format(arguments)
    process = terminal.start(sys.executable, "-c", code, env=rich)
    seen = terminal.read()
    assert process.wait() == 0
    assert REGION.findall(seen) == ["22"]
    left = CONTROL.sub("", seen[seen.rindex("\x1b[r") :])
    assert re.search(rf"^{re.escape(label)} +21 B ", left, re.MULTILINE)
    assert "printed True\r\n" in seen


def test_a_table_serves_pipelines_of_any_length(terminal: Terminal) -> None:
    code = SCRIPT.format("pipeline").replace("sleep .6", "sleep .1")
    code += "    (pipeline | cat() | cat()).run_sync(on_progress=table)\n" * 2
    code += "    pipeline.run_sync(on_progress=table)\n"
    process = terminal.start(sys.executable, "-c", code, env=environment())
    seen = terminal.read()
    assert process.wait() == 0
    assert REGION.findall(seen) == ["22", "20", "22"]
    assert "stage 2 | stage 3" in seen
    assert "sh* | cat" in CONTROL.sub("", seen[seen.rindex("\x1b[r") :])


def test_a_script_that_fails_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    code = SCRIPT.format("").replace(
        "on_progress=table", "on_progress=table, timeout=1"
    )
    code = code.replace("sleep .6", "exec sleep 60")
    process = terminal.start(sys.executable, "-c", code, env=environment())
    seen = terminal.read()
    assert process.wait() == 1
    assert seen.rindex("\x1b[r") > seen.rindex("\x1b[1;22r")
    assert "TimeoutExpired" in seen


def test_a_script_whose_errors_go_to_a_file_gets_plain_text(tmp_path: Path) -> None:
    code = SCRIPT.format("pipeline, file=open(sys.argv[1], 'w')")
    log = tmp_path / "log"
    subprocess.run([sys.executable, "-c", code, str(log)], cwd=TOP, check=True)
    heading, row = log.read_text().splitlines()
    assert heading.startswith("hop")
    assert row.startswith("sh* | cat ")
