"""``python -m cuprum doctor``: what is wrong is named, and what is said is so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import fake_helper
from tests.support.paths import TOP

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = ("pipe-max-size", "pipe-user-pages-soft")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with no helper, and nothing that makes asyncio talk."""
    left_out = ("CUPRUM_PUMP", "CUPRUM_STREAM_BACKEND")
    left_out += ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PATH": str(tmp_path)}


def doctor(
    environment: Mapping[str, str], *options: str, stdout: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(
        [sys.executable, "-m", "cuprum", "doctor", *options],
        cwd=TOP,
        env=environment,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def findings(environment: Mapping[str, str], *, status: int) -> dict[str, Any]:
    """Run it with ``--json`` and see its exit status."""
    done = doctor(environment, "--json")
    assert (done.returncode, done.stderr) == (status, "")
    return json.loads(done.stdout)


def helper_at(path: Path, text: str, *, mode: int = 0o755) -> Path:
    """Write something in a helper's place."""
    path.write_text(text)
    path.chmod(mode)
    return path


ANOTHER_PROTOCOL = "#!/bin/sh\necho cuprum-pump 9\necho protocol 2\n"


# --- Something is wrong --------------------------------------------------------------


def test_no_helper_anywhere_leaves_python(environment: dict[str, str]) -> None:
    found = findings(environment, status=1)
    assert found["backend"] == "python"
    assert found["why"].endswith("no usable helper is there")
    assert found["helper"] is found["version"] is found["sandbox"] is None
    assert len(found["places"]) == 4
    assert "usable" not in found["places"].values()
    assert found["self_test"]["error"] is None
    assert found["self_test"]["engine"] == "python"


def test_no_helper_where_it_is_demanded_is_a_bad_configuration(
    environment: dict[str, str],
) -> None:
    found = findings({**environment, "CUPRUM_STREAM_BACKEND": "helper"}, status=78)
    assert found["backend"] is None
    assert "not available" in found["why"]
    assert found["self_test"] == {"error": "not run"}


@pytest.mark.parametrize(
    ("text", "mode", "defect"),
    [
        (None, 0, "no such file"),
        (ANOTHER_PROTOCOL, 0o644, "not executable"),
        (ANOTHER_PROTOCOL, 0o755, "speaks protocol 2, not 1"),
    ],
)
def test_what_is_wrong_with_the_helper_that_is_named(
    environment: dict[str, str],
    tmp_path: Path,
    text: str | None,
    mode: int,
    defect: str,
) -> None:
    named = tmp_path / "named"
    if text is not None:
        helper_at(named, text, mode=mode)
    found = findings({**environment, "CUPRUM_PUMP": str(named)}, status=78)
    assert found["places"] == {f"CUPRUM_PUMP={named}": defect}
    assert found["why"] == f"CUPRUM_PUMP={named}: {defect}"
    assert found["helper"] is None


def test_what_is_wrong_with_the_helper_that_is_found(
    environment: dict[str, str], tmp_path: Path
) -> None:
    helper_at(tmp_path / "cuprum-pump", ANOTHER_PROTOCOL)
    done = doctor({**environment}, "--json")
    assert done.returncode == 1
    places = json.loads(done.stdout)["places"]
    assert places[f"cuprum-pump on PATH ({tmp_path})"] == "speaks protocol 2, not 1"


def test_a_backend_that_there_is_not(environment: dict[str, str]) -> None:
    found = findings({**environment, "CUPRUM_STREAM_BACKEND": "rust"}, status=78)
    assert "invalid CUPRUM_STREAM_BACKEND value 'rust'" in found["why"]


def test_a_helper_that_answers_and_then_moves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    named = fake_helper.install(tmp_path, after=None, status=1)
    found = findings(
        {**environment, "CUPRUM_PUMP": str(named), "CUPRUM_PUMP_WARM": "0"}, status=74
    )
    assert found["helper"] == str(named)
    assert found["self_test"]["error"]


def test_findings_that_cannot_be_written(environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        done = doctor(environment, stdout=full.fileno())
    assert done.returncode == 74
    assert done.stderr == "cuprum: [Errno 28] No space left on device\n"


def test_an_option_that_there_is_not_is_bad_usage(environment: dict[str, str]) -> None:
    done = doctor(environment, "--cure")
    assert done.returncode == 64
    assert "--cure" in done.stderr
    assert done.stdout == ""


# --- All is well ---------------------------------------------------------------------


def test_a_helper_is_described_and_tried(
    environment: dict[str, str], helper_path: Path
) -> None:
    found = findings({**environment, "CUPRUM_PUMP": str(helper_path)}, status=0)
    answer = subprocess.run(
        [helper_path, "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert answer.startswith(
        f"cuprum-pump {found['version']}\nprotocol {found['protocol']}\n"
    )
    assert found["splice"] == ("+splice" in answer)
    assert found["sandbox"] == ("seccomp" if "+seccomp" in answer else "none")
    assert found["helper"] == str(helper_path)
    assert found["places"] == {f"CUPRUM_PUMP={helper_path}": "usable"}
    for name in LIMITS:
        assert found[name] == int(Path("/proc/sys/fs", name).read_text())
    test = found["self_test"]
    assert test["error"] is None
    assert test["engine"] in {"splice", "copy"}
    assert test["seconds"] > 0.9
    assert test["bytes_per_second"] == round(test["bytes"] / test["seconds"])


def test_a_helper_that_is_not_asked_for_is_not_used(
    environment: dict[str, str], helper_path: Path
) -> None:
    asked = {"CUPRUM_PUMP": str(helper_path), "CUPRUM_STREAM_BACKEND": "Python"}
    found = findings({**environment, **asked}, status=1)
    assert found["backend"] == "python"
    assert found["why"] == "CUPRUM_STREAM_BACKEND is Python"
    assert found["helper"] == str(helper_path)


def test_places_after_the_helper_are_not_looked_at(
    environment: dict[str, str], tmp_path: Path, helper_path: Path
) -> None:
    (tmp_path / "cuprum-pump").symlink_to(helper_path)
    found = findings(environment, status=0)
    assert list(found["places"].values())[-1] == "usable"
    assert found["why"].endswith("is not set; a usable helper is there")


def test_people_are_told_the_same(
    environment: dict[str, str], helper_path: Path
) -> None:
    done = doctor({**environment, "CUPRUM_PUMP": str(helper_path)})
    assert done.returncode == 0
    told = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line
    )
    assert told["backend"] == "helper"
    assert told["error"] == "none"
    assert int(told["bytes_per_second"]) > 0
    assert told[f"CUPRUM_PUMP={helper_path}"] == "usable"
    assert set(LIMITS) <= told.keys()
