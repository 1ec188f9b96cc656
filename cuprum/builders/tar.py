"""Commands of tar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from os import PathLike

from cuprum._checks import check_type
from cuprum.builders.args import StrPath, safe_path
from cuprum.catalogue import TAR
from cuprum.sh import SafeCmd, make

__all__ = ["Compression", "TarCreateOptions", "tar_create", "tar_extract"]

_tar = make(TAR)


class Compression(Enum):
    """How an archive is compressed.

    >>> Compression("xz")
    <Compression.XZ: 'xz'>
    """

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"


_FLAGS = {
    Compression.NONE: (),
    Compression.GZIP: ("-z",),
    Compression.BZIP2: ("-j",),
    Compression.XZ: ("-J",),
}


@dataclass(frozen=True, slots=True)
class TarCreateOptions:
    """How `tar_create` packs.

    Attributes:
        compression: by default none.
        allow_relative: let relative paths through; see `safe_path`.

    Raises:
        TypeError: the compression is none.

    >>> TarCreateOptions(Compression.XZ).compression.value
    'xz'
    """

    compression: Compression = Compression.NONE
    allow_relative: bool = False

    def __post_init__(self) -> None:
        check_type("compression", self.compression, Compression, "a Compression")


def tar_create(
    archive: StrPath,
    sources: Sequence[StrPath],
    *,
    options: TarCreateOptions | None = None,
) -> SafeCmd:
    """Return ``tar`` that packs ``sources`` into ``archive``.

    Args:
        archive: the file to write; see `safe_path`.
        sources: files and directories, at least one, likewise. tar takes the slash
            off an absolute path, says so on standard error, and unpacks below its
            directory.
        options: by default not compressed, absolute paths alone.

    Raises:
        TypeError: a path is none; or ``sources`` is one path.
        ValueError: a path is refused; or there is no source.

    >>> gzip = TarCreateOptions(Compression.GZIP)
    >>> tar_create("/tmp/a.tgz", ["/srv"], options=gzip).argv
    ('-c', '-z', '-f', '/tmp/a.tgz', '/srv')
    """
    if isinstance(sources, str | bytes | PathLike):
        raise TypeError(
            "tar_create requires a sequence of source paths, not a single path"
        )
    check_type("sources", sources, Iterable, "a sequence of paths")
    check_type("options", options, TarCreateOptions | None, "TarCreateOptions")
    sources = list(sources)  # which may be gone through only once
    if not sources:
        raise ValueError("tar_create requires at least one source path")
    options = options or TarCreateOptions()
    checked = partial(safe_path, allow_relative=options.allow_relative)
    paths = map(checked, (archive, *sources))
    return _tar("-c", *_FLAGS[options.compression], "-f", *paths)


def tar_extract(
    archive: StrPath,
    *,
    destination: StrPath | None = None,
    allow_relative: bool = False,
) -> SafeCmd:
    """Return ``tar`` that unpacks ``archive``; it sees itself how it is compressed.

    Args:
        archive: the file to read; see `safe_path`.
        destination: the directory to unpack in, which must exist; by default the
            working directory.
        allow_relative: let relative paths through.

    Raises:
        TypeError: a path is none.
        ValueError: a path is refused.

    >>> tar_extract("/tmp/a.tgz", destination="/srv").argv
    ('-x', '-f', '/tmp/a.tgz', '-C', '/srv')
    """
    checked = partial(safe_path, allow_relative=allow_relative)
    words = ["-x", "-f", checked(archive)]
    if destination is not None:
        words += ["-C", checked(destination)]
    return _tar(*words)
