"""Files that a run is told to read or write: opened here, or the caller's."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cuprum._descriptors import Descriptor, above_stdio, duplicate

if TYPE_CHECKING:
    from contextlib import ExitStack

if sys.platform != "win32":
    import fcntl

__all__ = ["BorrowedFile", "check_access", "open_input", "open_output"]


class BorrowedFile(Descriptor):
    """A duplicate of the caller's descriptor; O_NONBLOCK is put back as it closes.

    The flag is seen by all who share the open file, and whoever sets it for a while
    may be killed meanwhile. Where several runs have borrowed one file, what the first
    has found is put back by the last.
    """

    __slots__ = ("_file",)

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        status = os.fstat(fd)
        self._file = status.st_dev, status.st_ino
        with _lock:
            was_blocking, users = _borrowed.get(self._file, (os.get_blocking(fd), 0))
            _borrowed[self._file] = was_blocking, users + 1

    def close(self) -> None:
        """See `Descriptor`."""
        with suppress(ValueError), _lock:  # ValueError: closed already
            fd = self.fileno()
            was_blocking, users = _borrowed.pop(self._file)
            if users > 1:
                _borrowed[self._file] = was_blocking, users - 1
            else:
                os.set_blocking(fd, was_blocking)
        super().close()


_borrowed: dict[tuple[int, int], tuple[bool, int]] = {}
"""By device and inode: whether the file was blocking, and how many have it."""

_lock = threading.Lock()


def open_input(
    source: str | Path | IO[str] | IO[bytes] | int, owner: ExitStack
) -> Descriptor:
    """Return a descriptor for reading ``source``; see `open_output`."""
    return _open(source, os.O_RDONLY, owner)


def open_output(
    target: str | Path | IO[str] | IO[bytes] | int,
    owner: ExitStack,
    *,
    append: bool,
    kind: type[Descriptor] = Descriptor,
) -> Descriptor:
    """Return a descriptor for writing to ``target``.

    Args:
        target: a path, or an open file, whose buffered text is written out first.
        owner: closes what was opened here.
        append: add to what a path has, instead of truncating it.
        kind: what stands for an open file.

    Raises:
        OSError: it cannot be opened, or is not open, or not for that direction.
        ValueError: a file object is closed.
    """
    how = os.O_APPEND if append else os.O_TRUNC
    return _open(target, os.O_WRONLY | os.O_CREAT | how, owner, kind)


def _open(
    file: str | Path | IO[str] | IO[bytes] | int,
    flags: int,
    owner: ExitStack,
    kind: type[Descriptor] = Descriptor,
) -> Descriptor:
    if isinstance(file, str | Path):
        descriptor = Descriptor(os.open(file, flags | os.O_CLOEXEC, 0o666))
        owner.callback(descriptor.close)
        if stat.S_ISDIR(os.fstat(descriptor.fileno()).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        return above_stdio(descriptor, owner)
    if not isinstance(file, int):
        if flags & os.O_ACCMODE != os.O_RDONLY:
            file.flush()  # or it would come out after what the command writes
        file = file.fileno()
    check_access(file, flags & os.O_ACCMODE)
    # A duplicate: the caller may close the file while the run goes on, and a child's
    # standard streams would overwrite the numbers below 3.
    return duplicate(file, owner, kind)


def check_access(fd: int, mode: int) -> None:
    """Raise OSError, ``EBADF``, unless ``fd`` is open for O_RDONLY or O_WRONLY."""
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE not in (mode, os.O_RDWR):
        purpose = "reading" if mode == os.O_RDONLY else "writing"
        raise OSError(errno.EBADF, f"descriptor {fd} is not open for {purpose}")
