"""The helper for a pair of descriptors of one's own, without an event loop."""

from __future__ import annotations

import errno
import operator
import os
import subprocess
import sys
from contextlib import ExitStack

from cuprum._descriptors import CHUNK_SIZE, duplicate, require_posix
from cuprum._helper_backend import require_helper
from cuprum._helper_process import EXIT_SECONDS, OwnHelper, job_options
from cuprum._status_log import StatusError, StatusLog
from cuprum.pump import PumpError, PumpOptions, PumpUnavailableError

if sys.platform != "win32":
    import fcntl

__all__ = ["helper_pump_stream"]


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
    _check_access(reader_fd, os.O_WRONLY, "reading")
    _check_access(writer_fd, os.O_RDONLY, "writing")
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


def _check_access(fd: int, wrong: int, purpose: str) -> None:
    """Raise TypeError or OSError unless ``fd`` is open, and not merely ``wrong``."""
    flags = fcntl.fcntl(operator.index(fd), fcntl.F_GETFL)
    if flags & os.O_ACCMODE == wrong:
        raise OSError(errno.EBADF, f"descriptor {fd} is not open for {purpose}")


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
