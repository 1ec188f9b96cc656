"""The helper for descriptors of one's own, without an event loop."""

from __future__ import annotations

import errno
import mmap
import operator
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import IO

from cuprum._descriptors import CHUNK_SIZE, duplicate, require_posix
from cuprum._files import check_access
from cuprum._helper_backend import require_helper
from cuprum._helper_process import EXIT_SECONDS, OwnHelper, job_options
from cuprum._status_log import StatusError, StatusLog
from cuprum.pump import PumpError, PumpOptions, PumpUnavailableError

__all__ = ["helper_consume_stream", "helper_pump_stream"]


def helper_pump_stream(
    reader_fd: int, writer_fd: int, *, buffer_size: int = 65536
) -> int:
    """Pump from ``reader_fd`` to ``writer_fd`` until the end of file, and wait.

    Blocks, without the GIL, so ``loop.run_in_executor`` may carry it. After a
    broken pipe the input is still drained to its end. The descriptors stay open.

    Args:
        reader_fd: where to read.
        writer_fd: where to write.
        buffer_size: bytes per copy, 1 to 1 GiB; see `PumpOptions`.

    Returns:
        The number of bytes written.

    Raises:
        TypeError: a descriptor is not an integer.
        ValueError: the buffer size is out of range.
        OSError: ``EBADF``, a descriptor is not open, or not for that direction;
            or what reading or writing failed with, if not a broken pipe.
        PumpUnavailableError: there is no helper that can be used.
    """
    require_posix()
    options = PumpOptions(buffer_size=buffer_size, drain=None)
    check_access(operator.index(reader_fd), os.O_RDONLY)
    check_access(operator.index(writer_fd), os.O_WRONLY)
    path = require_helper()
    log = StatusLog(hops=1)
    with ExitStack() as stack:
        # Duplicates, for the numbers given may be those of standard streams, which
        # in the helper are others.
        pair = (duplicate(reader_fd, stack), duplicate(writer_fd, stack))
        numbers = [end.fileno() for end in pair]
        helper = OwnHelper(path, job_options(options), numbers, stack)
        try:
            for end in pair:
                end.close()
            while not log.ended and (
                data := os.read(helper.status.fileno(), CHUNK_SIZE)
            ):
                log.feed(data)
            if not log.ended:
                helper.kill()
            exit_status = helper.process.popen.wait(EXIT_SECONDS)
        except StatusError as error:
            message = f"cuprum-pump reported {error}"
            if not log.started:
                raise PumpUnavailableError(message, is_final=True) from None
            raise PumpError(errno.EPROTO, message) from None
        except subprocess.TimeoutExpired:
            exit_status = 0  # that it would not go says nothing of the data
        return _bytes_written(log, exit_status, helper.last_words())


def helper_consume_stream(reader_fd: int, *, buffer_size: int = 65536) -> str:
    """Read ``reader_fd`` to its end, and wait; return it as text.

    Blocks, without the GIL, so ``loop.run_in_executor`` may carry it. The helper
    moves the data to a file in memory; of what is not UTF-8 there is a replacement
    character. The descriptor stays open.

    Args:
        reader_fd: where to read.
        buffer_size: bytes per copy, 1 to 1 GiB; see `PumpOptions`.

    Raises:
        OSError: there is no room for the data; or see `helper_pump_stream`.
        Exception: see `helper_pump_stream`.
    """
    require_posix()
    with _scratch_file() as file:
        size = helper_pump_stream(reader_fd, file.fileno(), buffer_size=buffer_size)
        if size == 0:
            return ""
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
            return str(data, "utf-8", "replace")


def _scratch_file() -> IO[bytes]:
    """Open a file without a name: in memory, or on disk where that cannot be."""
    if sys.platform == "linux":
        with suppress(OSError):
            return open(os.memfd_create("cuprum-pump"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _bytes_written(log: StatusLog, exit_status: int, last_words: str) -> int:
    """Judge the records as for a pipeline's only hop."""
    outcome = log.outcomes.get(0)
    report = outcome and outcome.report
    number = (outcome and outcome.errno) or log.errno
    if number:
        message = os.strerror(number)
    elif report is None or not log.ended or exit_status:
        number = errno.EIO
        message = f"cuprum-pump ended with status {exit_status} before it was done"
    else:
        return report.bytes_written
    raise PumpError(
        number,
        message + last_words,
        hop=0,
        side=outcome and outcome.side,
        report=report,
        reports=(report,),
    )
