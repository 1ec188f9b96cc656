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
import asyncio, os, pathlib, subprocess, threading, pytest
def wait():
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
"""
GUARDS = ("loops", "leak_guard", "time_limit", "strict_ci")


def run_pytest(
    tmp_path: Path, body: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run *body* as a test module of its own, under the guards, with *variables*."""
    module = tmp_path / "test_sample.py"
    module.write_text(PREAMBLE + body)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plugins = [word for name in GUARDS for word in ("-p", f"tests.support.{name}")]
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    environment |= {"PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
    # Other people's plugins have warnings of their own, which may be errors here.
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | variables
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


def test_a_test_whose_loop_complains_fails(tmp_path: Path) -> None:
    body = (
        "async def main():\n"
        "    asyncio.get_running_loop().create_future().set_exception(OSError('odd'))\n"
        "def test_it():\n"
        "    asyncio.run(main())\n"
    )
    done = run_pytest(tmp_path, body)
    assert done.returncode == 1
    assert "exception was never retrieved" in done.stdout
    assert "OSError: odd" in done.stdout


def test_a_leak_does_not_fail_the_next_test(tmp_path: Path) -> None:
    body = (
        "def test_one():\n    test_one.kept = subprocess.Popen(['sleep', '60'])\n"
        "def test_two():\n    pass\n"
    )
    assert "2 passed, 1 error" in run_pytest(tmp_path, body).stdout


def test_a_hanging_test_ends_with_its_children(tmp_path: Path) -> None:
    body = (
        "def test_it():\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    pathlib.Path('pid').write_text(str(child.pid))\n"
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
    done = run_pytest(tmp_path, body, CI="true")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("CI is set")]
    assert len(lines) == 1
    assert "test_sample.py" in lines[0]
    assert told in lines[0]


@pytest.mark.parametrize("variables", [{}, {"CI": ""}], ids=["unset", "empty"])
def test_elsewhere_a_skip_is_a_skip(tmp_path: Path, variables: dict[str, str]) -> None:
    body = "def test_it():\n    pytest.skip('no disk')\n"
    body += "def test_other():\n    pass\n"
    assert run_pytest(tmp_path, body, **variables).returncode == 0


ON_A_LOOP = """
import sys
SHOW = "import asyncio; print(asyncio.get_event_loop_policy().__class__.__module__)"
def test_it():
    exec(SHOW)
    subprocess.run([sys.executable, "-c", SHOW], check=True)
"""

STAND_IN = """
import asyncio
class EventLoopPolicy(asyncio.DefaultEventLoopPolicy): pass
new_event_loop = asyncio.new_event_loop
"""


def test_the_loop_that_is_asked_for_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text(STAND_IN)
    path = os.pathsep.join((str(TOP), str(tmp_path)))
    for name, module in (("uvloop", "uvloop"), ("asyncio", "asyncio.unix_events")):
        variables = {"CUPRUM_TEST_LOOP": name, "PYTHONPATH": path}
        done = run_pytest(tmp_path, ON_A_LOOP, "-s", **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines().count(module) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [("uvloop", "no such thing here"), ("trio", "asyncio or uvloop"), ("", "uvloop")],
)
def test_a_loop_that_cannot_be_had_is_an_error(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('no such thing here')\n")
    path = os.pathsep.join((str(TOP), str(tmp_path)))
    variables = {"CUPRUM_TEST_LOOP": name, "PYTHONPATH": path}
    done = run_pytest(tmp_path, "def test_it():\n    pass\n", **variables)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"CUPRUM_TEST_LOOP={name}: " in done.stderr
    assert told in done.stderr
