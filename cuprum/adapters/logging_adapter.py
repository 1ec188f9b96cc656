"""Events as structured log records.

>>> import sys
>>> from cuprum import ECHO, observe, sh
>>> logger = logging.getLogger("example")
>>> logger.addHandler(logging.StreamHandler(sys.stdout))
>>> logger.setLevel(logging.INFO)
>>> with observe(structured_logging_hook(logger=logger)):
...     _ = sh.make(ECHO)("hello").run_sync()  # doctest: +ELLIPSIS
cuprum.start program=echo pid=...
cuprum.exit program=echo pid=... exit_code=0 duration_s=0...
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cuprum.events import ExecEvent, ExecHook

__all__ = ["JsonLoggingFormatter", "LogLevels", "structured_logging_hook"]


@dataclass
class LogLevels:
    """The levels of the records; all other phases have DEBUG.

    Attributes:
        plan_level: of ``plan``.
        start_level: of ``start``.
        output_level: of ``stdout`` and ``stderr``, a record for each line.
        exit_level: of ``exit``.

    >>> LogLevels(output_level=logging.INFO).start_level == logging.INFO
    True
    """

    plan_level: int = logging.DEBUG
    start_level: int = logging.INFO
    output_level: int = logging.DEBUG
    exit_level: int = logging.INFO


def structured_logging_hook(
    *, logger: logging.Logger | None = None, levels: LogLevels | None = None
) -> ExecHook:
    """Return a hook that logs one record per event.

    A record has ``cuprum_phase``, ``cuprum_program``, ``cuprum_argv`` and
    ``cuprum_tags``; and, where the event has them, ``cuprum_pid``, ``cuprum_cwd``,
    ``cuprum_exit_code``, ``cuprum_duration_s``, ``cuprum_line``,
    ``cuprum_hop_index`` and ``cuprum_hop``, the hop's report as a dict.

    Args:
        logger: where to log; ``cuprum.exec`` unless given.
        levels: the levels to use.

    >>> from cuprum import ECHO, observe, sh
    >>> with observe(structured_logging_hook(levels=LogLevels(logging.INFO))):
    ...     sh.make(ECHO)("hello").run_sync().ok
    True
    """
    target = logger or logging.getLogger("cuprum.exec")
    chosen = levels or LogLevels()

    def hook(event: ExecEvent) -> None:
        level, message = _describe(event, chosen)
        if target.isEnabledFor(level):
            target.log(level, message, extra=_extra(event))

    return hook


def _describe(event: ExecEvent, levels: LogLevels) -> tuple[int, str]:
    """Return the level and the message."""
    name, program, pid = f"cuprum.{event.phase}", event.program, event.pid
    match event.phase:
        case "plan":
            return levels.plan_level, f"{name} program={program} argv={event.argv!r}"
        case "start":
            return levels.start_level, f"{name} program={program} pid={pid}"
        case "stdout" | "stderr":
            return levels.output_level, f"{name} pid={pid} line={event.line!r}"
        case "exit":
            seconds = event.duration_s
            duration = "unknown" if seconds is None else f"{seconds:.6f}"
            end = f"exit_code={event.exit_code} duration_s={duration}"
            return levels.exit_level, f"{name} program={program} pid={pid} {end}"
        case "hop_start":
            return logging.DEBUG, f"{name} hop={event.hop_index}"
        case "hop_end":
            size = "unknown" if event.hop is None else event.hop.bytes_written
            return logging.DEBUG, f"{name} hop={event.hop_index} bytes={size}"
        case _:
            return logging.DEBUG, f"{name} program={program}"


def _extra(event: ExecEvent) -> dict[str, object]:
    """Return what the record has beside its message."""
    values: dict[str, object] = {
        "phase": event.phase,
        "program": event.program,
        "argv": event.argv,
        "tags": dict(event.tags),
        "pid": event.pid,
        "cwd": event.cwd and str(event.cwd),
        "exit_code": event.exit_code,
        "duration_s": event.duration_s,
        "line": event.line,
        "hop_index": event.hop_index,
        "hop": event.hop and asdict(event.hop),
    }
    return {
        f"cuprum_{key}": value for key, value in values.items() if value is not None
    }


class JsonLoggingFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    It has ``timestamp`` (as ``datefmt`` says), ``level``, ``logger``, ``message``,
    whatever of the record has a name that begins with ``cuprum_``, and ``exception``
    where one is logged. What JSON has no type for becomes a string.

    >>> record = logging.makeLogRecord({"msg": "hi", "cuprum_tags": {1: {2}}})
    >>> json.loads(JsonLoggingFormatter().format(record))["cuprum_tags"]
    {'1': '{2}'}
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields: dict[str, object] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name.startswith("cuprum_"):
                fields[name] = _plain(value)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _plain(value: object, *outer: object) -> object:
    """Return ``value``, which lies within the ``outer`` ones, as JSON can have it."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    within = (value, *outer)
    # What contains itself would have no end.
    if not any(value is one for one in outer):
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {str(key): _plain(item, *within) for key, item in items}
        if isinstance(value, list | tuple):
            elements = cast("Sequence[object]", value)
            return [_plain(item, *within) for item in elements]
    return str(value)
