"""Commands of rsync."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

from cuprum.builders.args import StrPath, enabled_flags, safe_path
from cuprum.catalogue import RSYNC
from cuprum.sh import SafeCmd, make

__all__ = ["RsyncOptions", "rsync_sync"]

_rsync = make(RSYNC)


@dataclass(frozen=True, slots=True)
class RsyncOptions:
    """How `rsync_sync` copies.

    Attributes:
        archive: with subdirectories, links, permissions, times and owners.
        delete: remove from the destination what the source has not.
        dry_run: change nothing.
        verbose: name the files.
        compress: compress what is sent.
        allow_relative: let relative paths through; see `safe_path`.

    >>> RsyncOptions(archive=True).delete
    False
    """

    archive: bool = False
    delete: bool = False
    dry_run: bool = False
    verbose: bool = False
    compress: bool = False
    allow_relative: bool = False


def rsync_sync(
    source: StrPath, destination: StrPath, *, options: RsyncOptions | None = None
) -> SafeCmd:
    """Return ``rsync`` of ``source`` to ``destination``.

    A slash at the end of ``source``, by which rsync tells a directory's content from
    the directory, is taken off: it is always the directory.

    Args:
        source: what to copy; see `safe_path`.
        destination: the directory to copy it into, likewise.
        options: by default all off.

    Raises:
        TypeError: a path is none.
        ValueError: a path is refused.

    >>> rsync_sync("/srv/a", "/mnt", options=RsyncOptions(archive=True)).argv
    ('--archive', '/srv/a', '/mnt')
    """
    switches = asdict(options or RsyncOptions())
    checked = partial(safe_path, allow_relative=switches.pop("allow_relative"))
    return _rsync(*enabled_flags(**switches), checked(source), checked(destination))
