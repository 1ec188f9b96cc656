"""Commands of tar: their words, and what tar makes of them."""

from __future__ import annotations

import dataclasses
import random
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from cuprum import ExecutionContext
from cuprum.builders import Compression, TarCreateOptions, tar_create, tar_extract

if TYPE_CHECKING:
    from collections.abc import Sequence

RELATIVE = TarCreateOptions(allow_relative=True)

# --- Words -----------------------------------------------------------------


@pytest.mark.parametrize(
    "sources", ["", "/a", b"/a", Path("/a"), PurePosixPath("/a")], ids=repr
)
@pytest.mark.parametrize("archive", ["/a.tar", ""])
def test_one_path_is_no_sequence_of_paths(archive: str, sources: str) -> None:
    with pytest.raises(TypeError) as caught:
        tar_create(archive, sources)
    assert str(caught.value) == (
        "tar_create requires a sequence of source paths, not a single path"
    )


@pytest.mark.parametrize("archive", ["/a.tar", ""])
@pytest.mark.parametrize("sources", [(), []])
def test_there_must_be_a_source(archive: str, sources: Sequence[str]) -> None:
    with pytest.raises(
        ValueError, match=r"^tar_create requires at least one source path$"
    ):
        tar_create(archive, sources)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "SafePath cannot be empty"),
        ("/a\0", "SafePath cannot contain NUL characters"),
        ("/a/../b", "SafePath cannot contain '..' segments"),
        ("--to-command=sh", "SafePath requires an absolute path by default"),
    ],
)
def test_no_path_may_be_unsafe(path: str, message: str) -> None:
    said = f"^{re.escape(message)}$"
    for sources in ([path], ["/a", path]):
        with pytest.raises(ValueError, match=said):
            tar_create("/a.tar", sources)
    with pytest.raises(ValueError, match=said):
        tar_create(path, ["/a"])
    with pytest.raises(ValueError, match=said):
        tar_extract(path)
    with pytest.raises(ValueError, match=said):
        tar_extract("/a.tar", destination=path)


def test_the_archive_is_looked_at_first() -> None:
    with pytest.raises(ValueError, match=r"^SafePath cannot be empty$"):
        tar_create("", ["a"])
    with pytest.raises(ValueError, match=r"^SafePath cannot be empty$"):
        tar_extract("", destination="a")


def test_what_is_no_path_is_refused() -> None:
    said = "^SafePath expects str or Path, got "
    with pytest.raises(TypeError, match=f"{said}NoneType$"):
        tar_create(None, ["/a"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"{said}int$"):
        tar_create("/a.tar", [3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=f"{said}NoneType$"):
        tar_extract(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=f"{said}bytes$"):
        tar_extract("/a.tar", destination=b"/a")  # type: ignore[arg-type]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "flags"),
    [
        ("NONE", "none", ()),
        ("GZIP", "gzip", ("-z",)),
        ("BZIP2", "bzip2", ("-j",)),
        ("XZ", "xz", ("-J",)),
    ],
)
def test_the_words_of_packing(
    name: str, value: str, flags: tuple[str, ...], relative: bool
) -> None:
    assert Compression(value) is Compression[name]
    options = TarCreateOptions(Compression(value), relative)
    built = tar_create("/a.tar", ("/b", Path("/c/./d")), options=options)
    assert built.argv == ("-c", *flags, "-f", "/a.tar", "/b", "/c/d")


def test_there_are_four_compressions() -> None:
    assert [kind.value for kind in Compression] == ["none", "gzip", "bzip2", "xz"]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("destination", "words"), [(None, ()), ("/b//c", ("-C", "/b/c"))]
)
def test_the_words_of_unpacking(
    destination: str | None, words: tuple[str, ...], relative: bool
) -> None:
    built = tar_extract(
        Path("/a.tar"), destination=destination, allow_relative=relative
    )
    assert built.argv == ("-x", "-f", "/a.tar", *words)


def test_by_default_nothing_is_compressed_and_paths_are_absolute() -> None:
    assert tar_create("/a.tar", ["/b"]).argv == ("-c", "-f", "/a.tar", "/b")
    assert TarCreateOptions() == TarCreateOptions(Compression.NONE, False)
    assert tar_extract("/a.tar").argv == ("-x", "-f", "/a.tar")


def test_paths_may_be_relative_where_that_is_said() -> None:
    built = tar_create("a.tar", ["./b", "c/"], options=RELATIVE)
    assert built.argv == ("-c", "-f", "a.tar", "b", "c")
    built = tar_extract("a.tar", destination="./b", allow_relative=True)
    assert built.argv == ("-x", "-f", "a.tar", "-C", "b")


def test_options_are_frozen_slotted_and_given_by_name() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TarCreateOptions().allow_relative = True  # type: ignore[misc]
    assert not hasattr(TarCreateOptions(), "__dict__")
    assert hash(TarCreateOptions()) == hash(TarCreateOptions())
    with pytest.raises(TypeError):
        tar_create("/a.tar", ["/b"], RELATIVE)  # type: ignore[misc]
    with pytest.raises(TypeError):
        tar_extract("/a.tar", "/b")  # type: ignore[misc]


# --- tar -------------------------------------------------------------------

#: How an archive begins; that of tar alone with the name of its first member.
MAGIC = {
    Compression.NONE: b"tree/",
    Compression.GZIP: b"\x1f\x8b",
    Compression.BZIP2: b"BZh",
    Compression.XZ: b"\xfd7zXZ\0",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a tree of files of several kinds, and an empty directory ``out``."""
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "empty").touch()
    (tree / "deep" / "random").write_bytes(random.Random(1).randbytes(300_000))
    (tree / "deep" / "er" / "snow \N{SNOWMAN}").write_text("text\n" * 1000)
    script = tree / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    (tree / "link").symlink_to("deep/random")
    (tmp_path / "out").mkdir()
    return tree


def content(top: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Return the mode of all that is below *top*, and bytes or a link's target."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode,
            str(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else None,
        )
        for path in top.rglob("*")
    }


def test_tar_tells_that_a_source_is_missing(tmp_path: Path) -> None:
    result = tar_create(tmp_path / "a.tar", [tmp_path / "missing"]).run_sync()
    assert result.exit_code == 2
    assert "missing" in (result.stderr or "")


def test_tar_unpacks_only_into_what_is_there(tree: Path) -> None:
    archive = tree.parent / "a.tar"
    assert tar_create(archive, [tree]).run_sync().ok
    result = tar_extract(archive, destination=tree / "missing").run_sync()
    assert result.exit_code == 2
    assert not (tree / "missing").exists()


@pytest.mark.parametrize("compression", Compression)
def test_tar_unpacks_what_it_has_packed(compression: Compression, tree: Path) -> None:
    if compression is not Compression.NONE and shutil.which(compression.value) is None:
        pytest.skip(f"no {compression.value}")
    top = tree.parent
    context = ExecutionContext(cwd=top)
    options = TarCreateOptions(compression, allow_relative=True)
    packed = tar_create("a.tar", ["tree"], options=options).run_sync(context=context)
    assert packed.ok, packed.stderr
    assert (top / "a.tar").read_bytes().startswith(MAGIC[compression])

    unpacked = tar_extract("a.tar", destination="out", allow_relative=True)
    assert unpacked.run_sync(context=context).ok
    assert content(top / "out" / "tree") == content(tree)


def test_tar_unpacks_absolute_paths_below_the_destination(tree: Path) -> None:
    archive, out = tree.parent / "a.tar", tree.parent / "out"
    assert tar_create(archive, [tree / "deep", tree / "empty"]).run_sync().ok
    assert tar_extract(archive, destination=out).run_sync().ok
    below = out / tree.relative_to("/")
    assert content(below / "deep") == content(tree / "deep")
    assert {path.name for path in below.iterdir()} == {"deep", "empty"}


def test_tar_unpacks_in_the_working_directory_by_default(tree: Path) -> None:
    archive, out = tree.parent / "a.tar", tree.parent / "out"
    context = ExecutionContext(cwd=tree.parent)
    packed = tar_create("a.tar", ["tree"], options=RELATIVE)
    assert packed.run_sync(context=context).ok
    assert tar_extract(archive).run_sync(context=ExecutionContext(cwd=out)).ok
    assert content(out / "tree") == content(tree)
