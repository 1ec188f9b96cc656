"""Paths and references: what is refused, why, and what comes through."""

from __future__ import annotations

import os
import re
import string
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cuprum.builders.args import (
    GitRefRejection,
    PathRejection,
    classify_git_ref,
    classify_path_string,
    git_ref,
    safe_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Nothing is kept on disk, and a busy machine is no failure.
SETTINGS = settings(max_examples=500, deadline=None, database=None)

#: Any text, a lone surrogate's included, and often what the rules are about.
TEXTS = st.text() | st.lists(
    st.sampled_from(
        [
            *("", "/", "//", "\\", ".", "..", "-", "@", "{", ".lock", "C:", "Ä:"),
            *("\0", " ", "\n", "\x1c", "\u2028", "a", "main", "~", "é", "\ud800"),
        ]
    ),
    max_size=6,
).map("".join)


class Like:
    """Something that says it is a path."""

    def __init__(self, path: object) -> None:
        self.path = path

    def __fspath__(self) -> object:
        return self.path


# --- Paths -----------------------------------------------------------------

PATH_MESSAGES = {
    "EMPTY": "SafePath cannot be empty",
    "NUL": "SafePath cannot contain NUL characters",
    "PARENT_SEGMENT": "SafePath cannot contain '..' segments",
    "NOT_ABSOLUTE": "SafePath requires an absolute path by default",
}

#: The rules once more, in order, in the words of the standard library.
PATH_RULES: dict[str, Callable[[str], bool]] = {
    "EMPTY": lambda raw: raw == "",
    "NUL": lambda raw: "\0" in raw,
    "PARENT_SEGMENT": lambda raw: ".." in PurePosixPath(raw).parts,
    "NOT_ABSOLUTE": lambda raw: (
        not PurePosixPath(raw).is_absolute()
        and not (raw[:1] in set(string.ascii_letters) and raw[1:3] in {":\\", ":/"})
    ),
}


def first_broken(
    rules: dict[str, Callable[[str], bool]], text: str, *, without: Iterable[str] = ()
) -> str | None:
    """Return the name of the first rule that *text* breaks."""
    return next(
        (
            name
            for name, breaks in rules.items()
            if name not in without and breaks(text)
        ),
        None,
    )


@pytest.mark.parametrize(
    "value",
    [None, 3, b"/tmp", ["/tmp"], Like(b"/tmp"), Like(None), Like(3)],
    ids=repr,
)
def test_what_is_no_path_of_characters_is_refused(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        safe_path(value)  # type: ignore[arg-type]
    given = type(value).__name__
    assert str(caught.value) == f"SafePath expects str or Path, got {given}"


def test_an_entry_of_a_directory_named_in_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (entry,) = entries
    with pytest.raises(
        TypeError, match=r"^SafePath expects str or Path, got DirEntry$"
    ):
        safe_path(entry)  # type: ignore[arg-type]


def test_the_reasons_to_refuse_a_path_come_in_order() -> None:
    assert {why.name: why.value for why in PathRejection} == PATH_MESSAGES
    assert [why.name for why in PathRejection] == list(PATH_MESSAGES)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "EMPTY"),  # and not absolute
        ("/a\0b", "NUL"),
        ("/a/../\0", "NUL"),  # and has a parent segment
        ("a\0", "NUL"),  # and is not absolute
        ("..", "PARENT_SEGMENT"),  # and is not absolute
        ("../a", "PARENT_SEGMENT"),
        ("/..", "PARENT_SEGMENT"),
        ("/a/../b", "PARENT_SEGMENT"),
        ("/a//..//b", "PARENT_SEGMENT"),
        ("/a/..", "PARENT_SEGMENT"),
        ("C:/../a", "PARENT_SEGMENT"),
        ("a", "NOT_ABSOLUTE"),
        (".", "NOT_ABSOLUTE"),
        ("~/a", "NOT_ABSOLUTE"),
        (" /a", "NOT_ABSOLUTE"),
        ("\n/a", "NOT_ABSOLUTE"),
        ("C:", "NOT_ABSOLUTE"),
        ("C:a", "NOT_ABSOLUTE"),
        ("CD:/a", "NOT_ABSOLUTE"),
        ("1:/a", "NOT_ABSOLUTE"),
        ("Ä:/a", "NOT_ABSOLUTE"),
        ("\\a", "NOT_ABSOLUTE"),
    ],
)
def test_a_path_is_refused_for_the_first_reason(raw: str, why: str) -> None:
    assert classify_path_string(raw, allow_relative=False) is PathRejection[why]
    with pytest.raises(ValueError, match=f"^{re.escape(PATH_MESSAGES[why])}$"):
        safe_path(raw)


@pytest.mark.parametrize(
    ("raw", "why"), [("", "EMPTY"), ("a\0", "NUL"), ("a/../b", "PARENT_SEGMENT")]
)
def test_a_relative_path_may_be_asked_for_but_no_more(raw: str, why: str) -> None:
    assert classify_path_string(raw, allow_relative=True) is PathRejection[why]
    with pytest.raises(ValueError, match=f"^{re.escape(PATH_MESSAGES[why])}$"):
        safe_path(raw, allow_relative=True)


def test_an_empty_path_object_is_the_working_directory() -> None:
    with pytest.raises(ValueError, match="absolute"):
        safe_path(Path(""))
    assert safe_path(Path(""), allow_relative=True) == "."


@SETTINGS
@given(TEXTS, st.booleans())
@example("/..", False)
def test_the_classifier_of_paths_knows_every_string(raw: str, relative: bool) -> None:
    why = classify_path_string(raw, allow_relative=relative)
    waived = ["NOT_ABSOLUTE"] if relative else []
    assert (why and why.name) == first_broken(PATH_RULES, raw, without=waived)


@SETTINGS
@given(TEXTS, st.booleans())
@example("C:/", False)
def test_safe_path_refuses_what_its_classifier_does_and_only_that(
    raw: str, relative: bool
) -> None:
    why = classify_path_string(raw, allow_relative=relative)
    if why is not None:
        with pytest.raises(ValueError, match=f"^{re.escape(why.value)}$"):
            safe_path(raw, allow_relative=relative)
        return
    path = safe_path(raw, allow_relative=relative)
    assert PurePath(path) == PurePath(raw)
    assert safe_path(path, allow_relative=relative) == path
    assert safe_path(Like(raw), allow_relative=relative) == path  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("//a", "//a"),  # POSIX leaves to the system what two slashes mean
        ("///a", "/a"),
        ("/a//b/./c/.", "/a/b/c"),
        ("/a b\n", "/a b\n"),
        ("/..a/b../...", "/..a/b../..."),
        ("/..\n", "/..\n"),
        ("/snow \N{SNOWMAN}", "/snow \N{SNOWMAN}"),
        (Path("/a/./b"), "/a/b"),
        (PurePosixPath("/a"), "/a"),
        (Like("/a//b"), "/a/b"),
        ("C:/a", "C:/a"),
        ("c:/a//b/", "c:/a/b"),
        ("C:\\a", "C:\\a"),
        ("C:\\", "C:\\"),
        ("C:/", "C:/"),
        ("C:/.", "C:/"),
    ],
    ids=repr,
)
def test_an_absolute_path_comes_through_tidied(
    value: str | Path | PurePosixPath, path: str
) -> None:
    assert safe_path(value) == safe_path(value, allow_relative=True) == path
    assert type(safe_path(value)) is str


@pytest.mark.parametrize(
    ("raw", "path"), [("a", "a"), ("./a//b", "a/b"), ("", "."), ("C:", "C:")]
)
def test_a_relative_path_comes_through_where_it_may(raw: str, path: str) -> None:
    assert safe_path(raw or Path(raw), allow_relative=True) == path


def test_whether_a_path_may_be_relative_is_said_by_name() -> None:
    with pytest.raises(TypeError):
        safe_path("a", True)  # type: ignore[misc]


# --- Git references --------------------------------------------------------

REF_MESSAGES = {
    "EMPTY": "GitRef cannot be empty",
    "LEADING_DASH": "GitRef cannot start with '-'",
    "WHITESPACE": "GitRef cannot contain whitespace",
    "SLASH_BOUNDARY": "GitRef cannot start or end with '/'",
    "LOCK_SUFFIX": "GitRef cannot end with '.lock'",
    "DOT_SUFFIX": "GitRef cannot end with '.'",
    "PARENT_SEQUENCE": "GitRef cannot contain '..'",
    "DOUBLE_SLASH": "GitRef cannot contain '//' sequences",
    "AT_BRACE": "GitRef cannot contain '@{' sequences",
    "UNSUPPORTED_CHARS": "GitRef contains unsupported characters",
}

REF_RULES: dict[str, Callable[[str], bool]] = {
    "EMPTY": lambda ref: ref == "",
    "LEADING_DASH": lambda ref: ref.startswith("-"),
    "WHITESPACE": lambda ref: any(map(str.isspace, ref)),
    "SLASH_BOUNDARY": lambda ref: ref.startswith("/") or ref.endswith("/"),
    "LOCK_SUFFIX": lambda ref: ref.endswith(".lock"),
    "DOT_SUFFIX": lambda ref: ref.endswith("."),
    "PARENT_SEQUENCE": lambda ref: ".." in ref,
    "DOUBLE_SLASH": lambda ref: "//" in ref,
    "AT_BRACE": lambda ref: "@{" in ref,
    "UNSUPPORTED_CHARS": lambda ref: (
        not set(ref) <= set(string.ascii_letters + string.digits + "._/-")
    ),
}


@pytest.mark.parametrize("value", [None, 3, b"main", Path("main"), ["main"]], ids=repr)
def test_what_is_no_string_is_no_reference(value: object) -> None:
    with pytest.raises(TypeError) as caught:
        git_ref(value)  # type: ignore[arg-type]
    assert str(caught.value) == f"GitRef expects str, got {type(value).__name__}"


def test_the_reasons_to_refuse_a_reference_come_in_order() -> None:
    assert {why.name: why.value for why in GitRefRejection} == REF_MESSAGES
    assert [why.name for why in GitRefRejection] == list(REF_MESSAGES)


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("", "EMPTY"),
        ("-f", "LEADING_DASH"),
        ("- ", "LEADING_DASH"),  # and has whitespace
        ("a b", "WHITESPACE"),
        ("main\n", "WHITESPACE"),
        ("a\u2003b", "WHITESPACE"),  # and an unsupported character
        ("/ a", "WHITESPACE"),  # and starts with a slash
        ("/a", "SLASH_BOUNDARY"),
        ("a/", "SLASH_BOUNDARY"),
        ("/a.lock", "SLASH_BOUNDARY"),
        ("a.lock", "LOCK_SUFFIX"),
        ("a..lock", "LOCK_SUFFIX"),  # and has two dots
        ("a.", "DOT_SUFFIX"),
        ("a..", "DOT_SUFFIX"),  # likewise
        ("a..b", "PARENT_SEQUENCE"),
        ("a//..b", "PARENT_SEQUENCE"),  # and has two slashes
        ("a//b", "DOUBLE_SLASH"),
        ("a@{//b", "DOUBLE_SLASH"),  # and a reflog's sign
        ("main@{1}", "AT_BRACE"),  # and unsupported characters
        ("HEAD~1", "UNSUPPORTED_CHARS"),
        ("HEAD^", "UNSUPPORTED_CHARS"),
        ("a:b", "UNSUPPORTED_CHARS"),
        ("@", "UNSUPPORTED_CHARS"),
        ("a\0", "UNSUPPORTED_CHARS"),
        ("é", "UNSUPPORTED_CHARS"),
        ("\N{ARABIC-INDIC DIGIT ONE}", "UNSUPPORTED_CHARS"),
    ],
)
def test_a_reference_is_refused_for_the_first_reason(ref: str, why: str) -> None:
    assert classify_git_ref(ref) is GitRefRejection[why]
    with pytest.raises(ValueError, match=f"^{re.escape(REF_MESSAGES[why])}$"):
        git_ref(ref)


@SETTINGS
@given(TEXTS)
def test_the_classifier_of_references_knows_every_string(ref: str) -> None:
    why = classify_git_ref(ref)
    assert (why and why.name) == first_broken(REF_RULES, ref)


@SETTINGS
@given(TEXTS | st.from_regex(r"\A[A-Za-z0-9._/-]+\Z"))
def test_git_ref_refuses_what_its_classifier_does_and_only_that(ref: str) -> None:
    why = classify_git_ref(ref)
    if why is None:
        assert git_ref(ref) is ref
        return
    with pytest.raises(ValueError, match=f"^{re.escape(why.value)}$"):
        git_ref(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "HEAD",
        "v1.0",
        "feature/a-b_c",
        "a.lock.b",
        "deadlock",
        ".a",
        "_",
        "a-",
        "0" * 40,
    ],
)
def test_a_reference_comes_through_as_it_is(ref: str) -> None:
    assert git_ref(ref) is ref
