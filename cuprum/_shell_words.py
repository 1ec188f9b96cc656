"""A pipeline typed as in a shell: its words, and nothing else of a shell.

A character that a shell would act upon is refused unless it is quoted, so that what
is accepted means here what it means there.
"""

from __future__ import annotations

import re
import shlex

__all__ = ["ShellSyntaxError", "parse"]

# Within double quotes a shell acts on `$`, a backquote, and a backslash before one
# of them or a newline; shlex does not, so these are not for double quotes.
_PIECE = r"""[^\s|&;<>()$`*?\[{~#'"\\] | [^\S \t\r\n] | \{\} | \\[^\n]
           | '[^']*' | "(?:[^"\\$`] | \\[^\n$`])*" """
_TOKEN = re.compile(
    rf"(?P<word>(?:{_PIECE})+)(?=[ \t|]|\Z) | \|(?=[^|&]|\Z) | (?P<unknown>[^ \t]+)",
    re.VERBOSE,
)
_FIRST = re.compile(
    r"!|}|case|coproc|do|done|elif|else|esac|fi|for|function|if|in|select|then|until"
    r"|while|[A-Za-z_]\w*\+?=.*",
    re.DOTALL,
)
"""What a shell would not take for a program: reserved words and assignments."""


class ShellSyntaxError(ValueError):
    """The line has something other than programs, words and pipes."""


def parse(line: str) -> list[list[str]]:
    """Return the words of each stage.

    Raises:
        ShellSyntaxError: a word was not understood, which it names.
    """
    stages: list[list[str]] = [[]]
    for token in _TOKEN.finditer(line):
        word = token["word"]
        if token["unknown"] or (word and not stages[-1] and _FIRST.fullmatch(word)):
            raise ShellSyntaxError(
                f"not understood: {_shown(token[0])} (only words, quotes and | are)"
            )
        if word:
            stages[-1] += shlex.split(word)
        elif not stages[-1]:
            raise ShellSyntaxError("not understood: | with no program before it")
        else:
            stages.append([])
    if not stages[-1]:
        raise ShellSyntaxError("not understood: the end, where a program is missing")
    if not all(stage[0] for stage in stages):
        raise ShellSyntaxError("not understood: '' as a program")
    return stages


def _shown(word: str) -> str:
    return word if word.isprintable() else repr(word)
