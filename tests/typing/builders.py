"""Builders: vetted arguments are types of their own, and commands come out."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import assert_type

from cuprum import SafeCmd
from cuprum.builders import (
    Compression,
    GitRef,
    RsyncOptions,
    SafePath,
    TarCreateOptions,
    git_checkout,
    git_ref,
    git_rev_parse,
    git_status,
    rsync_sync,
    safe_path,
    tar_create,
    tar_extract,
)
from cuprum.builders.args import (
    GitRefRejection,
    PathRejection,
    classify_git_ref,
    classify_path_string,
)


def paths(entry: os.DirEntry[str], bytes_entry: os.DirEntry[bytes]) -> None:
    assert_type(safe_path("/a"), SafePath)
    assert_type(safe_path(Path("a"), allow_relative=True), SafePath)
    assert_type(safe_path(PurePosixPath("/a")), SafePath)
    assert_type(safe_path(entry), SafePath)
    _0: str = safe_path("/a")
    assert_type(safe_path(safe_path("/a")), SafePath)
    assert_type(classify_path_string("/a", allow_relative=False), PathRejection | None)

    _1: SafePath = "/a"  # pyright: ignore[reportAssignmentType]
    _2: SafePath = git_ref("a")  # pyright: ignore[reportAssignmentType]
    safe_path(b"/a")  # pyright: ignore[reportArgumentType]
    safe_path(bytes_entry)  # pyright: ignore[reportArgumentType]
    safe_path(None)  # pyright: ignore[reportArgumentType]
    safe_path("a", True)  # pyright: ignore[reportCallIssue]
    classify_path_string("/a")  # pyright: ignore[reportCallIssue]


def references() -> None:
    assert_type(git_ref("main"), GitRef)
    _0: str = git_ref("main")
    assert_type(classify_git_ref("main"), GitRefRejection | None)

    _1: GitRef = "main"  # pyright: ignore[reportAssignmentType]
    git_ref(b"main")  # pyright: ignore[reportArgumentType]
    git_ref(Path("main"))  # pyright: ignore[reportArgumentType]


def git() -> None:
    assert_type(git_status(), SafeCmd)
    assert_type(git_status(short=True, branch=True), SafeCmd)
    assert_type(git_checkout("main"), SafeCmd)
    assert_type(git_checkout(git_ref("main"), create_branch=True, force=True), SafeCmd)
    assert_type(git_checkout("main", detach=True), SafeCmd)
    assert_type(git_rev_parse("HEAD"), SafeCmd)

    git_status(True)  # pyright: ignore[reportCallIssue]
    git_checkout()  # pyright: ignore[reportCallIssue]
    git_checkout("main", True)  # pyright: ignore[reportCallIssue]
    git_rev_parse(None)  # pyright: ignore[reportArgumentType]


def rsync() -> None:
    assert_type(rsync_sync("/a", Path("/b")), SafeCmd)
    options = RsyncOptions(True, True, True, True, True, True)
    assert_type(rsync_sync(safe_path("/a"), "/b", options=options), SafeCmd)
    assert_type(options.dry_run, bool)

    rsync_sync("/a", b"/b")  # pyright: ignore[reportArgumentType]
    rsync_sync("/a", "/b", options)  # pyright: ignore[reportCallIssue]
    rsync_sync("/a", "/b", archive=True)  # pyright: ignore[reportCallIssue]
    options.archive = False  # pyright: ignore[reportAttributeAccessIssue]


def tar() -> None:
    assert_type(tar_create("/a.tar", ["/b"]), SafeCmd)
    assert_type(tar_create(Path("/a.tar"), [Path("/b")]), SafeCmd)
    assert_type(tar_create("/a.tar", ("/b", Path("/c"), safe_path("/d"))), SafeCmd)
    options = TarCreateOptions(Compression.XZ, allow_relative=True)
    assert_type(tar_create("a.tar", ["b"], options=options), SafeCmd)
    assert_type(options.compression, Compression)
    assert_type(tar_extract("/a.tar"), SafeCmd)
    assert_type(tar_extract("a", destination=Path("b"), allow_relative=True), SafeCmd)

    tar_create("/a.tar", Path("/b"))  # pyright: ignore[reportArgumentType]
    tar_create("/a.tar", [b"/b"])  # pyright: ignore[reportArgumentType]
    tar_create("/a.tar", ["/b"], options)  # pyright: ignore[reportCallIssue]
    tar_extract("/a.tar", "/b")  # pyright: ignore[reportCallIssue]
    TarCreateOptions("xz")  # pyright: ignore[reportArgumentType]
    options.compression = Compression.NONE  # pyright: ignore[reportAttributeAccessIssue]
