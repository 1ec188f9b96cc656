"""Bytes into lines: the same, wherever the stream is cut into chunks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuprum._lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Nothing is kept on disk, and a busy machine is no failure.
SETTINGS = settings(max_examples=500, deadline=None, database=None)

BOUNDARIES = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"

TEXTS = st.lists(
    st.sampled_from([*BOUNDARIES, "\r\n", "\n\r", "a", "bc", "é", "☃", "\U0001f600"])
).map("".join)

#: Sequences that are cut short, and bytes that are never valid, among good ones.
PIECES = [b"\n", b"\r", b"\r\n", b"a", b"\xe2\x98\x83", b"\xe2\x98", b"\xff", b"\xf0"]
BYTES = st.lists(st.sampled_from(PIECES)).map(b"".join)

CUTS = st.lists(st.integers(0, 64))


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut *data* at each place of *cuts* that lies in it."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def split(chunks: Iterable[bytes], encoding: str = "utf-8") -> list[str]:
    """Return the lines of a stream that came in *chunks*."""
    splitter = LineSplitter(encoding, "replace")
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.feed(b"", final=True)]


def lines_of(text: str) -> list[str]:
    """Return what the lines of *text* are to be: newlines and CRs taken off."""
    lines = text.splitlines(keepends=True)
    for end in ("\r\n", "\n", "\r"):
        lines = [line.removesuffix(end) for line in lines]
    return lines


@SETTINGS
@given(TEXTS, CUTS, st.sampled_from(["utf-8", "utf-16", "utf-7", "gb18030"]))
def test_the_lines_of_a_text_do_not_depend_on_its_chunks(
    text: str, cuts: list[int], encoding: str
) -> None:
    assert split(pieces(text.encode(encoding), cuts), encoding) == lines_of(text)


@SETTINGS
@given(BYTES, CUTS)
def test_nor_do_those_of_what_is_no_text(data: bytes, cuts: list[int]) -> None:
    assert split(pieces(data, cuts)) == split([data])
    assert split([data]) == lines_of(data.decode("utf-8", "replace"))


@SETTINGS
@given(TEXTS)
def test_bytes_may_come_one_by_one(text: str) -> None:
    data = text.encode()
    assert split(data[i : i + 1] for i in range(len(data))) == lines_of(text)


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"\n"], [""]),
        ([b"a"], ["a"]),
        ([b"a\n"], ["a"]),
        ([b"a\r\nb"], ["a", "b"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"a\r", b"b"], ["a", "b"]),
        ([b"a\r", b"", b"\n"], ["a"]),
        ([b"a\r"], ["a"]),
        ([b"a\r\r\n"], ["a", ""]),
        ([b"10%\r20%\r", b"30%\n"], ["10%", "20%", "30%"]),
        ([b"page\fnext"], ["page\f", "next"]),
        ([b"a\xe2", b"\x98\x83\n"], ["a☃"]),
        ([b"a\xe2\x98"], ["a\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_what_ends_a_line(chunks: list[bytes], lines: list[str]) -> None:
    assert split(chunks) == lines


def test_a_line_is_told_as_soon_as_it_is_complete() -> None:
    splitter = LineSplitter("utf-8", "replace")
    assert splitter.feed(b"a\nb") == ["a"]
    assert splitter.feed(b"c\n") == ["bc"]
    assert splitter.feed(b"d\r") == []  # a newline may follow
    assert splitter.feed(b"e") == ["d"]
    assert splitter.feed(b"", final=True) == ["e"]
    assert splitter.feed(b"", final=True) == []


def test_strict_decoding_raises_where_the_bytes_are_bad() -> None:
    splitter = LineSplitter("utf-8", "strict")
    assert splitter.feed(b"good\nba\xe2") == ["good"]
    with pytest.raises(UnicodeDecodeError):
        splitter.feed(b"d\n")


def test_an_unknown_codec_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no-such-codec"):
        LineSplitter("no-such-codec", "strict")
