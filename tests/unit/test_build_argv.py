"""From Python arguments to argv, and from argv to commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cuprum import ECHO, LS, Program, UnknownProgramError, sh
from cuprum.sh import build_argv, make
from tests.support.stages import catalogue_of


@pytest.mark.parametrize(
    ("args", "kwargs", "argv"),
    [
        ((), {}, ()),
        (("-n", "a b", ""), {}, ("-n", "a b", "")),
        ((3, 1.5, True, Path("/tmp/x")), {}, ("3", "1.5", "True", "/tmp/x")),
        ((), {"max_depth": 2}, ("--max-depth=2",)),
        ((), {"_a__b_": "x"}, ("---a--b-=x",)),
        (("p",), {"z": 1, "a": 2}, ("p", "--z=1", "--a=2")),
        ((), {"flag": False}, ("--flag=False",)),
        ((), {"text": "a=b c"}, ("--text=a=b c",)),
        (("snow \N{SNOWMAN}",), {}, ("snow \N{SNOWMAN}",)),
    ],
)
def test_arguments_become_words(
    args: tuple[str | int | float | Path, ...],
    kwargs: dict[str, str | int],
    argv: tuple[str, ...],
) -> None:
    assert build_argv(*args, **kwargs) == argv
    assert make(ECHO)(*args, **kwargs).argv == argv


@pytest.mark.parametrize(("args", "kwargs"), [((None,), {}), ((), {"x": None})])
def test_none_is_refused(args: tuple[None, ...], kwargs: dict[str, None]) -> None:
    with pytest.raises(
        TypeError, match=r"None is not a valid argv element for sh\.make"
    ):
        build_argv(*args, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="None"):
        make(ECHO)(*args, **kwargs)


def test_any_other_object_is_written_out() -> None:
    class Version:
        def __str__(self) -> str:
            return "v1"

    assert build_argv(Version()) == ("v1",)  # type: ignore[arg-type]


def test_an_unknown_program_is_refused_before_any_argument() -> None:
    with pytest.raises(
        UnknownProgramError, match="Program 'rm' is not in the catalogue allowlist"
    ):
        make(Program("rm"))


def test_the_command_carries_program_argv_and_project() -> None:
    catalogue = catalogue_of("jq")
    built = make(Program("jq"), catalogue=catalogue)(".", "file")
    assert built.program == "jq"
    assert built.argv == (".", "file")
    assert built.argv_with_program == ("jq", ".", "file")
    assert built.project is catalogue.project_for("jq")


def test_a_builder_can_be_used_again() -> None:
    ls = make(LS)
    assert (ls("a").argv, ls("b").argv, ls().argv) == (("a",), ("b",), ())


def test_the_catalogue_is_keyword_only() -> None:
    with pytest.raises(TypeError):
        make(LS, catalogue_of("ls"))  # type: ignore[misc]


def test_sh_lists_its_names() -> None:
    assert {"make", "build_argv", "SafeCmd", "Pipeline"} <= set(sh.__all__)
