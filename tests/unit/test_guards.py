"""The guards catch what they are there to catch."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import TOP
from tests.support.processes import is_alive

if TYPE_CHECKING:
    from pathlib import Path

PREAMBLE = """
import asyncio, os, subprocess, threading, pytest
def wait():
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
"""
GUARDS = ("leak_guard", "time_limit", "strict_ci")


def run_pytest(
    tmp_path: Path, body: str, *options: str, ci: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run *body* as a test module of its own, under the guards."""
    module = tmp_path / "test_sample.py"
    module.write_text(PREAMBLE + body)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plugins = [word for name in GUARDS for word in ("-p", f"tests.support.{name}")]
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    environment |= {"PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
    if ci is not None:
        environment["CI"] = ci
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(*plugins, *options, str(module)),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )


def test_a_clean_test_passes(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "def test_it():\n    asyncio.run(asyncio.sleep(0))\n")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        ("os.open(os.devnull, os.O_RDONLY)", "-> /dev/null"),
        ("os.pipe()", "-> pipe:["),
        ("subprocess.Popen(['sleep', '60'])", "sleep 60"),
        # Kept, or the object would reap the child when it is collected.
        ("globals()['kept'] = subprocess.Popen(['true']); wait()", "(state Z)"),
        ("subprocess.run(['sh', '-c', 'sleep 60 >/dev/null 2>&1 &'])", "sleep 60"),
        (
            "threading.Thread(target=__import__('time').sleep, args=[1.6]).start()",
            "thre",
        ),
    ],
    ids=["file", "pipe", "child", "zombie", "grandchild", "thread"],
)
def test_a_test_that_leaves_something_behind_fails(
    tmp_path: Path, leak: str, told: str
) -> None:
    done = run_pytest(tmp_path, f"def test_it():\n    {leak}\n")
    assert done.returncode == 1
    assert "left behind" in done.stdout
    assert told in done.stdout


def test_a_test_that_leaves_a_task_behind_fails(tmp_path: Path) -> None:
    body = (
        "async def main():\n"
        "    main.kept = asyncio.create_task(asyncio.sleep(60), name='straggler')\n"
        "    await asyncio.sleep(0)\n"
        "def test_it():\n"
        "    asyncio.run(main())\n"
    )
    done = run_pytest(tmp_path, body)
    assert done.returncode == 1
    assert "straggler" in done.stdout


def test_a_leak_does_not_fail_the_next_test(tmp_path: Path) -> None:
    body = (
        "def test_one():\n    subprocess.Popen(['sleep', '60'])\n"
        "def test_two():\n    pass\n"
    )
    assert "2 passed, 1 error" in run_pytest(tmp_path, body).stdout


def test_a_hanging_test_ends_with_its_children(tmp_path: Path) -> None:
    body = (
        "def test_it(tmp_path):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "    asyncio.run(asyncio.sleep(60))\n"
    )
    done = run_pytest(tmp_path, body, "--time-limit=0.5")
    assert done.returncode == 1
    assert "took over 0.5 s; ended its children" in done.stdout
    assert "sleep 60" in done.stdout
    assert not is_alive(int((tmp_path / "pid").read_text()))


SKIPS = [
    pytest.param("def test_it():\n    pytest.skip('no disk')\n", "no disk", id="skip"),
    pytest.param(
        "@pytest.mark.skipif(True, reason='no tape')\ndef test_it():\n    pass\n",
        "no tape",
        id="mark",
    ),
    pytest.param("pytest.importorskip('no_such_module')\n", "no_such", id="module"),
    pytest.param(
        "@pytest.mark.xfail\ndef test_it():\n    assert False\n", "test_it", id="xfail"
    ),
    pytest.param(
        "@pytest.mark.xfail\ndef test_it():\n    pass\n", "test_it", id="xpass"
    ),
]


@pytest.mark.parametrize(("body", "told"), SKIPS)
def test_in_ci_a_skip_fails_the_run(tmp_path: Path, body: str, told: str) -> None:
    body += "def test_other():\n    pass\n"
    done = run_pytest(tmp_path, body, ci="true")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("CI is set")]
    assert len(lines) == 1
    assert "test_sample.py" in lines[0]
    assert told in lines[0]


@pytest.mark.parametrize("ci", [None, ""], ids=["unset", "empty"])
def test_elsewhere_a_skip_is_a_skip(tmp_path: Path, ci: str | None) -> None:
    body = "def test_it():\n    pytest.skip('no disk')\n"
    body += "def test_other():\n    pass\n"
    assert run_pytest(tmp_path, body, ci=ci).returncode == 0
