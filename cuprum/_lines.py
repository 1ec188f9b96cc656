"""Bytes as they come, cut into lines of text."""

from __future__ import annotations

import codecs

__all__ = ["LineSplitter"]


class LineSplitter:
    """Decode and split a stream chunk by chunk; lines may be of any length.

    Lines end where `str.splitlines` says. A newline, a carriage return, or both are
    taken off; rarer boundaries, such as a form feed, stay at the end of their line.

    Args:
        encoding: codec.
        errors: its error policy.

    Raises:
        LookupError: there is no such codec.
    """

    def __init__(self, encoding: str, errors: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._partial: list[str] = []
        """Text without a boundary; or with one CR at its end, which awaits more."""

    def feed(self, chunk: bytes | memoryview, *, final: bool = False) -> list[str]:
        """Return the lines that ``chunk`` completes; if ``final``, the rest as well.

        Raises:
            UnicodeDecodeError: the policy is strict and the chunk not in the codec.
        """
        text = self._decoder.decode(chunk, final)
        lines = self._split(text) if text else []
        if final and self._partial:
            lines.append(_strip("".join(self._partial)))
            self._partial.clear()
        return lines

    def _split(self, text: str) -> list[str]:
        is_waiting = bool(self._partial) and self._partial[-1].endswith("\r")
        if "\n" not in text and not is_waiting and not _has_boundary(text):
            self._partial.append(text)  # not to be joined every time
            return []
        text = "".join((*self._partial, text))
        end = text.rfind("\n") + 1
        lines = text[:end].splitlines()
        rest = text[end:]
        if len(lines) != text.count("\n") or _has_boundary(rest):
            return self._split_rarely(text)
        self._partial = [rest] if rest else []
        return lines

    def _split_rarely(self, text: str) -> list[str]:
        """Split where there are other boundaries than newlines."""
        lines = text.splitlines(keepends=True)
        is_open = not _ends(lines[-1]) or lines[-1].endswith("\r")
        self._partial = [lines.pop()] if is_open else []
        return [_strip(line) for line in lines]


def _has_boundary(text: str) -> bool:
    return len(text.splitlines()) > 1 or _ends(text)


def _ends(text: str) -> bool:
    """Tell whether the last character is a boundary."""
    return bool(text[-1:].splitlines()) and not text[-1:].splitlines()[0]


def _strip(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(("\n", "\r")) else line
