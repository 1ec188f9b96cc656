"""Commands of Git: their words, and what Git makes of them."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from cuprum import GIT, ExecutionContext, sh
from cuprum.builders import git_checkout, git_rev_parse, git_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cuprum import SafeCmd


# --- Words -----------------------------------------------------------------


@pytest.mark.parametrize("build", [git_checkout, git_rev_parse])
@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("", "GitRef cannot be empty"),
        ("--force", "GitRef cannot start with '-'"),
        ("a b", "GitRef cannot contain whitespace"),
        ("main~1", "GitRef contains unsupported characters"),
    ],
)
def test_what_is_no_reference_never_gets_into_a_command(
    build: Callable[[str], SafeCmd], ref: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(ref)


@pytest.mark.parametrize("build", [git_checkout, git_rev_parse])
def test_nor_does_what_is_no_string(build: Callable[[object], SafeCmd]) -> None:
    with pytest.raises(TypeError, match=r"^GitRef expects str, got NoneType$"):
        build(None)


@pytest.mark.parametrize("force", [False, True])
def test_a_new_branch_is_not_checked_out_detached(force: bool) -> None:
    with pytest.raises(
        ValueError, match=r"^create_branch and detach cannot both be True$"
    ):
        git_checkout("main", create_branch=True, detach=True, force=force)


def test_flags_are_given_by_name() -> None:
    for build in (git_status, git_checkout):
        with pytest.raises(TypeError):
            build("main", True)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("short", "branch", "words"),
    [
        (False, False, ()),
        (True, False, ("--short",)),
        (False, True, ("--branch",)),
        (True, True, ("--short", "--branch")),
    ],
)
def test_the_words_of_status(short: bool, branch: bool, words: tuple[str, ...]) -> None:
    assert git_status(short=short, branch=branch).argv == ("status", *words)


@pytest.mark.parametrize(
    ("create_branch", "detach", "force", "words"),
    [
        (False, False, False, ()),
        (False, False, True, ("--force",)),
        (False, True, False, ("--detach",)),
        (False, True, True, ("--detach", "--force")),
        (True, False, False, ("-b",)),
        (True, False, True, ("-B",)),
    ],
)
def test_the_words_of_checkout(
    create_branch: bool, detach: bool, force: bool, words: tuple[str, ...]
) -> None:
    built = git_checkout(
        "topic", create_branch=create_branch, detach=detach, force=force
    )
    assert built.argv == ("checkout", *words, "topic")


def test_by_default_no_flag_is_set() -> None:
    assert git_status().argv == ("status",)
    assert git_checkout("topic").argv == ("checkout", "topic")
    assert git_rev_parse("v1.0").argv == ("rev-parse", "v1.0")


# --- Git -------------------------------------------------------------------


class Repository:
    """A work tree with one commit, on ``main``, of one file."""

    def __init__(self, top: Path) -> None:
        self.file = top / "file"
        self._context = ExecutionContext(
            cwd=top,
            env={
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_CONFIG_NOSYSTEM": "1",
                "LC_ALL": "C",
            },
        )
        self.file.write_text("first\n")
        for words in (
            ("init", "--quiet", "--initial-branch=main"),
            ("config", "user.name", "Tester"),
            ("config", "user.email", "tester@example.org"),
            ("add", "file"),
        ):
            self.succeed(sh.make(GIT)(*words))
        self.commit("first")

    def run(self, command: SafeCmd) -> tuple[int, str]:
        """Run *command* in the work tree; return its status and all it printed."""
        result = command.run_sync(context=self._context)
        return result.exit_code, f"{result.stdout}{result.stderr}"

    def succeed(self, command: SafeCmd) -> str:
        """Run *command*, which must not fail; return what it printed."""
        status, printed = self.run(command)
        assert status == 0, printed
        return printed

    def commit(self, message: str) -> str:
        """Commit the file and return the commit's name."""
        self.succeed(sh.make(GIT)("commit", "--quiet", "--all", f"--message={message}"))
        return self.commit_of("HEAD")

    def commit_of(self, ref: str) -> str:
        """Return the name of the commit of *ref*."""
        return self.succeed(git_rev_parse(ref)).strip()

    def branch(self) -> str:
        """Return what the short status says of the branch."""
        return self.succeed(git_status(short=True, branch=True)).splitlines()[0]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Make a repository, where there is a Git; it is not that of a hook we run in."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    return Repository(tmp_path)


def test_git_names_the_commit(repository: Repository) -> None:
    status, printed = repository.run(git_rev_parse("no-such-branch"))
    assert status == 128
    assert "no-such-branch" in printed
    name = repository.commit_of("HEAD")
    assert re.fullmatch(r"[0-9a-f]{40}", name)
    assert repository.commit_of("refs/heads/main") == name


def test_git_tells_the_status(repository: Repository) -> None:
    assert "working tree clean" in repository.succeed(git_status())
    assert repository.succeed(git_status(short=True)) == ""
    repository.file.write_text("second\n")
    assert "modified:" in repository.succeed(git_status(branch=True))
    assert repository.succeed(git_status(short=True)) == " M file\n"
    both = repository.succeed(git_status(short=True, branch=True))
    assert both == "## main\n M file\n"


def test_git_makes_a_branch_once_unless_it_is_forced_to(repository: Repository) -> None:
    assert repository.run(git_checkout("topic"))[0] == 1
    first = repository.commit_of("main")
    repository.succeed(git_checkout("topic", create_branch=True))
    assert repository.branch() == "## topic"
    repository.file.write_text("second\n")
    second = repository.commit("second")
    repository.succeed(git_checkout("main"))
    assert repository.file.read_text() == "first\n"

    again = git_checkout("topic", create_branch=True)
    assert repository.run(again)[0] == 128
    assert repository.commit_of("topic") == second
    repository.succeed(git_checkout("topic", create_branch=True, force=True))
    assert repository.commit_of("topic") == first


def test_git_throws_changes_away_only_if_it_is_forced_to(
    repository: Repository,
) -> None:
    repository.succeed(git_checkout("topic", create_branch=True))
    repository.file.write_text("second\n")
    repository.commit("second")
    repository.file.write_text("not committed\n")
    assert repository.run(git_checkout("main"))[0] == 1
    assert repository.file.read_text() == "not committed\n"
    repository.succeed(git_checkout("main", force=True))
    assert repository.file.read_text() == "first\n"


@pytest.mark.parametrize("force", [False, True])
def test_git_leaves_every_branch(repository: Repository, force: bool) -> None:
    repository.succeed(git_checkout("main", detach=True, force=force))
    assert repository.branch() == "## HEAD (no branch)"
