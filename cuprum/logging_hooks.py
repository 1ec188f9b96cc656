"""A log record when a command starts, and one when it has exited.

>>> from cuprum import ECHO, logging_hook, sh
>>> with logging_hook():
...     _ = sh.make(ECHO)("hello").run_sync()
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cuprum._checks import check_type
from cuprum.context import HookRegistration, after, before

if TYPE_CHECKING:
    from typing import Self

    from cuprum._command import SafeCmd
    from cuprum._results import CommandResult

__all__ = ["LoggingHookRegistration", "logging_hook"]


@dataclass(slots=True)
class LoggingHookRegistration:
    """The two hooks of `logging_hook`; a context manager, which detaches them.

    >>> registration = logging_hook()
    >>> registration.detach()
    """

    start_registration: HookRegistration
    exit_registration: HookRegistration
    _detached: bool = field(default=False, repr=False)

    def detach(self) -> None:
        """Take the hooks off, in reverse order; once."""
        if not self._detached:
            self._detached = True
            self.exit_registration.detach()
            self.start_registration.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


def logging_hook(
    *,
    logger: logging.Logger | None = None,
    start_level: int = logging.INFO,
    exit_level: int = logging.INFO,
) -> LoggingHookRegistration:
    """Log each command, and each stage, of the active context.

    Args:
        logger: by default ``cuprum``.
        start_level: of the record before the start.
        exit_level: of the record after the exit.

    Raises:
        TypeError: one of them is not of its kind.

    >>> import sys
    >>> from cuprum import ECHO, sh
    >>> log = logging.getLogger("example.hook")
    >>> log.addHandler(logging.StreamHandler(sys.stdout))
    >>> log.setLevel(logging.INFO)
    >>> with logging_hook(logger=log):
    ...     _ = sh.make(ECHO)("hello").run_sync()  # doctest: +ELLIPSIS
    cuprum.start program=echo argv=('echo', 'hello')
    cuprum.exit program=echo pid=... exit_code=0 duration_s=... stderr_len=0
    """
    log = logger or logging.getLogger("cuprum")
    check_type("logger", log, logging.Logger | logging.LoggerAdapter, "a Logger")
    check_type("start_level", start_level, int, "an int")
    check_type("exit_level", exit_level, int, "an int")
    # By equality: of equal commands at once, the one that ends first has the time.
    starts: WeakKeyDictionary[SafeCmd, float] = WeakKeyDictionary()
    lock = threading.Lock()

    def on_start(command: SafeCmd) -> None:
        with lock:
            starts[command] = monotonic()
        log.log(
            start_level,
            "cuprum.start program=%s argv=%r",
            command.program,
            command.argv_with_program,
        )

    def on_exit(command: SafeCmd, result: CommandResult) -> None:
        if not log.isEnabledFor(exit_level):
            return
        with lock:
            began = starts.pop(command, None)
        log.log(
            exit_level,
            "cuprum.exit program=%s pid=%s exit_code=%s duration_s=%s "
            "stdout_len=%s stderr_len=%s",
            command.program,
            result.pid,
            result.exit_code,
            "unknown" if began is None else f"{monotonic() - began:.6f}",
            len(result.stdout or ""),
            len(result.stderr or ""),
        )

    return LoggingHookRegistration(before(on_start), after(on_exit))
