"""The Python in the documents runs, and prints what they say it prints."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

import pytest

from cuprum._helper_pool import close_pool
from tests.support.paths import TOP
from tests.support.processes import child_pids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
"""A block of Python and, where the next thing is a block of text, its output."""


def blocks(document: Path) -> Iterator[tuple[str, str | None]]:
    """Yield code and output; blank lines keep the document's line numbers."""
    text = document.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        lines_before = text.count("\n", 0, block.start("code"))
        yield "\n" * lines_before + block["code"], block["printed"]


@pytest.fixture
def kept_log_level() -> Iterator[None]:
    """Undo what the guide shows for those who do not want the warnings."""
    logger = logging.getLogger("cuprum._streams")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def strays_awaited() -> Iterator[None]:
    """Reap what the examples leave behind on purpose; it ends by itself, and soon."""
    children = child_pids()
    yield
    close_pool()
    while strays := child_pids() - children:
        for pid in strays:
            os.waitpid(pid, 0)


@pytest.mark.usefixtures("stream_backend", "kept_log_level", "strays_awaited")
@pytest.mark.parametrize(
    "name",
    ["docs/users-guide.md", "docs/gotchas.md", "docs/coming-from.md", "README.md"],
)
def test_the_examples_of_a_document_run_from_top_to_bottom(
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    document = TOP / name
    namespace: dict[str, object] = {"__name__": "__main__"}
    count = 0
    for code, printed in blocks(document):
        exec(compile(code, document, "exec"), namespace)
        output = capsys.readouterr().out
        assert printed is None or output == printed, code.lstrip()
        count += 1
    assert count > 0, f"{name} has no example"


def test_the_default_catalogue_points_to_a_heading_of_the_guide() -> None:
    guide = (TOP / "docs" / "users-guide.md").read_text(encoding="utf-8")
    assert "\n## Program catalogue\n" in guide
