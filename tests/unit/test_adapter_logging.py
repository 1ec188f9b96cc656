"""Events as log records: what each says, what it carries, at which level."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cuprum.adapters.logging_adapter import (
    JsonLoggingFormatter,
    LogLevels,
    structured_logging_hook,
)
from tests.support.exec_events import CWD, REPORT, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cuprum.events import ExecEvent

PLAIN = set(vars(logging.makeLogRecord({})))


class Kept(logging.Handler):
    """A handler that keeps records as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


@pytest.fixture
def default_logger() -> Iterator[Kept]:
    """Have the default logger keep all its records for the test."""
    logger = logging.getLogger("cuprum.exec")
    handler, level = Kept(), logger.level
    logger.addHandler(handler)
    logger.setLevel(1)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def record_of(made: ExecEvent, levels: LogLevels | None = None) -> logging.LogRecord:
    """Return the one record that is made of an event."""
    logger = logging.Logger("own", level=1)
    handler = Kept()
    logger.addHandler(handler)
    assert structured_logging_hook(logger=logger, levels=levels)(made) is None
    (record,) = handler.records
    return record


@pytest.mark.parametrize(
    ("made", "level", "message"),
    [
        (
            event("plan"),
            logging.DEBUG,
            "cuprum.plan program=sort argv=('sort', '-u')",
        ),
        (event("start"), logging.INFO, "cuprum.start program=sort pid=7"),
        (event("stdout"), logging.DEBUG, 'cuprum.stdout pid=7 line="it\'s"'),
        (event("stderr"), logging.DEBUG, "cuprum.stderr pid=7 line=''"),
        (
            event("stdout", line="100%s %(pid)s"),
            logging.DEBUG,
            "cuprum.stdout pid=7 line='100%s %(pid)s'",
        ),
        (
            event("exit"),
            logging.INFO,
            "cuprum.exit program=sort pid=7 exit_code=3 duration_s=0.250000",
        ),
        (
            event("exit", exit_code=0, duration_s=None),
            logging.INFO,
            "cuprum.exit program=sort pid=7 exit_code=0 duration_s=unknown",
        ),
        (event("stdin"), logging.DEBUG, "cuprum.stdin program=sort"),
        (event("stdin_error"), logging.DEBUG, "cuprum.stdin_error program=sort"),
        (event("hop_start"), logging.DEBUG, "cuprum.hop_start hop=1"),
        (event("hop_end"), logging.DEBUG, "cuprum.hop_end hop=1 bytes=90"),
        (
            event("hop_end", hop=None),
            logging.DEBUG,
            "cuprum.hop_end hop=1 bytes=unknown",
        ),
        (event("new_phase"), logging.DEBUG, "cuprum.new_phase program=sort"),
    ],
    ids=lambda value: value.phase if hasattr(value, "phase") else "",
)
def test_the_message_and_the_level_of_each_phase(
    made: ExecEvent, level: int, message: str
) -> None:
    record = record_of(made)
    assert (record.levelno, record.getMessage()) == (level, message)


@pytest.mark.parametrize(
    ("made", "also"),
    [
        (event("plan"), {}),
        (event("plan", cwd=CWD), {"cuprum_cwd": str(CWD)}),
        (event("start"), {"cuprum_pid": 7}),
        (event("stdin"), {"cuprum_pid": 7}),
        (event("stdin_error"), {"cuprum_pid": 7}),
        (event("stdout"), {"cuprum_pid": 7, "cuprum_line": "it's"}),
        (event("stderr"), {"cuprum_pid": 7, "cuprum_line": ""}),
        (
            event("exit"),
            {"cuprum_pid": 7, "cuprum_exit_code": 3, "cuprum_duration_s": 0.25},
        ),
        (
            event("exit", exit_code=0, duration_s=0.0),
            {"cuprum_pid": 7, "cuprum_exit_code": 0, "cuprum_duration_s": 0.0},
        ),
        (event("hop_start", hop_index=0), {"cuprum_hop_index": 0}),
        (event("hop_end"), {"cuprum_hop_index": 1, "cuprum_hop": asdict(REPORT)}),
        (event("hop_end", hop=None), {"cuprum_hop_index": 1}),
        (event("new_phase"), {}),
    ],
    ids=lambda value: value.phase if hasattr(value, "phase") else "",
)
def test_a_record_carries_these_keys_and_no_others(
    made: ExecEvent, also: dict[str, object]
) -> None:
    record = record_of(made)
    extra = {key: value for key, value in vars(record).items() if key not in PLAIN}
    assert extra == {
        "cuprum_phase": made.phase,
        "cuprum_program": "sort",
        "cuprum_argv": ("sort", "-u"),
        "cuprum_tags": {"project": "tests", "capture": True, "echo": False},
        **also,
    }
    assert type(extra["cuprum_tags"]) is dict


def test_levels_are_the_callers_and_may_change_later() -> None:
    levels = LogLevels(plan_level=11, start_level=12, output_level=13, exit_level=14)
    phases = ("plan", "start", "stdout", "stderr", "exit", "stdin", "hop_end")
    found = [record_of(event(phase), levels).levelno for phase in phases]
    assert found == [11, 12, 13, 13, 14, logging.DEBUG, logging.DEBUG]
    levels.exit_level = logging.ERROR
    assert record_of(event("exit"), levels).levelno == logging.ERROR


def test_a_level_that_is_disabled_makes_no_record() -> None:
    logger = logging.Logger("own", level=logging.INFO)
    handler = Kept()
    logger.addHandler(handler)
    hook = structured_logging_hook(logger=logger)
    hook(event("stdout", tags=None))  # of which no dict is made
    for phase in ("plan", "start", "stdin", "stdout", "hop_start", "hop_end", "exit"):
        hook(event(phase))
    assert [vars(record)["cuprum_phase"] for record in handler.records] == [
        "start",
        "exit",
    ]


def test_the_default_logger_has_a_name_callers_rely_on(default_logger: Kept) -> None:
    structured_logging_hook()(event("start"))
    assert [record.name for record in default_logger.records] == ["cuprum.exec"]


# --- JSON -----------------------------------------------------------------------------


def formatted(
    record: logging.LogRecord, datefmt: str | None = None
) -> dict[str, object]:
    """Return what one line of JSON says, strictly read."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"not JSON: {constant}")

    line = JsonLoggingFormatter(datefmt=datefmt).format(record)
    assert "\n" not in line
    return json.loads(line, parse_constant=refuse)


def test_json_has_the_record_and_all_that_is_ours() -> None:
    record = record_of(event("hop_end"))
    record.created, record.foreign = 0.0, "not ours"
    fields = formatted(record, datefmt="%Y")
    assert fields.pop("timestamp") in ("1969", "1970")
    assert fields == {
        "level": "DEBUG",
        "logger": "own",
        "message": "cuprum.hop_end hop=1 bytes=90",
        "cuprum_phase": "hop_end",
        "cuprum_program": "sort",
        "cuprum_argv": ["sort", "-u"],
        "cuprum_tags": {"project": "tests", "capture": True, "echo": False},
        "cuprum_hop_index": 1,
        "cuprum_hop": asdict(REPORT),
    }


class Odd:
    """Something that JSON knows nothing of."""

    def __str__(self) -> str:
        """Be called odd."""
        return "odd"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("\n\ud800é", "\n\ud800é"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Odd(), "odd"),
        (CWD, str(CWD)),
        (b"raw", "b'raw'"),
        ({1}, "{1}"),
        ((1, [2, (Odd(),)]), [1, [2, ["odd"]]]),
        ({1: {None: {Odd(): [Odd()]}}}, {"1": {"None": {"odd": ["odd"]}}}),
        (MappingProxyType({(1, 2): CWD}), {"(1, 2)": str(CWD)}),
        (OrderedDict(a=OrderedDict(b=1)), {"a": {"b": 1}}),
    ],
    ids=repr,
)
def test_json_of_odd_tags(value: object, expected: object) -> None:
    record = record_of(event("start", tags={"odd": value}))
    assert formatted(record)["cuprum_tags"] == {"odd": expected}


def test_json_of_tags_that_contain_themselves() -> None:
    tags: dict[str, object] = {"name": "loop"}
    tags["again"] = [tags]
    inner: list[object] = [1]
    inner.append(inner)
    found = formatted(record_of(event("start", tags={"one": tags, "two": inner})))
    assert found["cuprum_tags"] == {
        "one": {"name": "loop", "again": [str(tags)]},
        "two": [1, "[1, [...]]"],
    }


def test_json_repeats_what_is_shared_without_a_loop() -> None:
    shared = [1]
    record = record_of(event("start", tags={"a": shared, "b": [shared, shared]}))
    assert formatted(record)["cuprum_tags"] == {"a": [1], "b": [[1], [1]]}


def test_json_keeps_a_traceback() -> None:
    record = logging.makeLogRecord({"msg": "oh %s", "args": ("no",)})
    try:
        raise ValueError("reason")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    fields = formatted(record)
    assert fields["message"] == "oh no"
    assert str(fields["exception"]).endswith("ValueError: reason")
