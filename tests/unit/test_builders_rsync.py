"""Commands of rsync: their words, and what rsync makes of them."""

from __future__ import annotations

import dataclasses
import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from cuprum import ExecutionContext
from cuprum.builders import RsyncOptions, rsync_sync

FLAGS = ("--archive", "--delete", "--dry-run", "--verbose", "--compress")

# --- Words -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "SafePath cannot be empty"),
        ("/a\0", "SafePath cannot contain NUL characters"),
        ("/a/../b", "SafePath cannot contain '..' segments"),
        ("host:a", "SafePath requires an absolute path by default"),
    ],
)
def test_neither_path_may_be_unsafe(path: str, message: str) -> None:
    for paths in ((path, "/b"), ("/a", path)):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            rsync_sync(*paths)


def test_the_source_is_looked_at_first() -> None:
    with pytest.raises(ValueError, match=r"^SafePath cannot be empty$"):
        rsync_sync("", "b")


def test_what_is_no_path_is_refused() -> None:
    for paths in ((None, "/b"), ("/a", None)):
        with pytest.raises(
            TypeError, match=r"^SafePath expects str or Path, got NoneType$"
        ):
            rsync_sync(*paths)  # type: ignore[arg-type]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("switches", list(product([False, True], repeat=5)))
def test_flags_come_in_one_order(
    switches: tuple[bool, bool, bool, bool, bool], relative: bool
) -> None:
    built = rsync_sync("/a", "/b", options=RsyncOptions(*switches, relative))
    flags = [flag for flag, on in zip(FLAGS, switches, strict=True) if on]
    assert built.argv == (*flags, "/a", "/b")


@pytest.mark.parametrize("index", range(5))
def test_a_flag_bears_the_name_of_its_option(index: int) -> None:
    name = ("archive", "delete", "dry_run", "verbose", "compress")[index]
    built = rsync_sync("/a", "/b", options=RsyncOptions(**{name: True}))
    assert built.argv == (FLAGS[index], "/a", "/b")


def test_by_default_no_flag_is_set() -> None:
    assert rsync_sync("/a", Path("/b/./c")).argv == ("/a", "/b/c")
    assert dataclasses.astuple(RsyncOptions()) == (False,) * 6


def test_paths_may_be_relative_where_the_options_say_so() -> None:
    built = rsync_sync("a/", "./b", options=RsyncOptions(allow_relative=True))
    assert built.argv == ("a", "b")


def test_options_are_frozen_slotted_and_given_by_name() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RsyncOptions().archive = True  # type: ignore[misc]
    assert not hasattr(RsyncOptions(), "__dict__")
    assert hash(RsyncOptions(archive=True)) == hash(RsyncOptions(True))
    with pytest.raises(TypeError):
        rsync_sync("/a", "/b", RsyncOptions())  # type: ignore[misc]


# --- rsync -----------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make ``source/deep/file`` and ``target``, where there is an rsync."""
    if shutil.which("rsync") is None:
        pytest.skip("no rsync")
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "deep" / "file").write_bytes(b"\0 content\n" * 10_000)
    (tmp_path / "target").mkdir()
    return tmp_path


def content(top: Path) -> dict[str, bytes | None]:
    """Return what is below *top*: files with their bytes, directories with None."""
    return {
        str(path.relative_to(top)): path.read_bytes() if path.is_file() else None
        for path in top.rglob("*")
    }


def test_rsync_tells_that_the_source_is_missing(tree: Path) -> None:
    result = rsync_sync(tree / "missing", tree / "target").run_sync()
    assert result.exit_code == 23
    assert content(tree / "target") == {}


def test_rsync_leaves_directories_out_unless_it_archives(tree: Path) -> None:
    assert rsync_sync(tree / "source", tree / "target").run_sync().ok
    assert content(tree / "target") == {}


@pytest.mark.parametrize("compress", [False, True])
def test_rsync_copies_the_directory_itself(tree: Path, compress: bool) -> None:
    options = RsyncOptions(archive=True, compress=compress)
    for source in (tree / "source", f"{tree}/source/"):
        assert rsync_sync(source, tree / "target", options=options).run_sync().ok
        assert content(tree / "target" / "source") == content(tree / "source")
        assert content(tree / "target").keys() == {
            *("source", "source/deep", "source/deep/file")
        }


def test_rsync_names_what_it_would_do_and_does_nothing(tree: Path) -> None:
    options = RsyncOptions(archive=True, dry_run=True, verbose=True)
    result = rsync_sync(tree / "source", tree / "target", options=options).run_sync()
    assert result.ok
    assert "source/deep/file" in (result.stdout or "")
    assert content(tree / "target") == {}


@pytest.mark.parametrize("delete", [False, True])
def test_rsync_removes_what_the_source_has_not_if_told(
    tree: Path, delete: bool
) -> None:
    surplus = tree / "target" / "source" / "surplus"
    surplus.parent.mkdir()
    surplus.touch()
    options = RsyncOptions(archive=True, delete=delete)
    assert rsync_sync(tree / "source", tree / "target", options=options).run_sync().ok
    assert surplus.exists() is not delete


def test_rsync_takes_relative_paths(tree: Path) -> None:
    options = RsyncOptions(archive=True, allow_relative=True)
    built = rsync_sync("source/deep/file", "target", options=options)
    assert built.run_sync(context=ExecutionContext(cwd=tree)).ok
    assert content(tree / "target") == content(tree / "source" / "deep")
