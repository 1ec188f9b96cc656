"""A plugin that runs the tests on the event loop that CUPRUM_TEST_LOOP names.

``asyncio``, the default, or ``uvloop``. It goes for the Pythons that tests start as
well. What is asked for and is not there is an error, never a run on something else.

The rest is Python's own: PYTHONASYNCIODEBUG=1 and PYTHONDEVMODE=1.
"""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.support.paths import TOP

VARIABLE = "CUPRUM_TEST_LOOP"


def pytest_configure() -> None:
    """Choose what ``asyncio.run`` makes, here and in the Pythons that tests start."""
    name = os.environ.get(VARIABLE, "asyncio")
    path = [str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    if name == "uvloop":
        try:
            import uvloop
        except ImportError as error:
            raise pytest.UsageError(f"{VARIABLE}={name}: {error}") from error
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        uvloop.new_event_loop().close()  # the first one leaves a pipe open for all
        path.insert(0, str(TOP / "tests" / "support" / "started"))
    elif name != "asyncio":
        raise pytest.UsageError(f"{VARIABLE}={name}: it takes asyncio or uvloop")
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    if sys.flags.dev_mode:
        # Here pytest sees to it. For the whole of this process it would not do, for
        # pytest's plugins have warnings of their own.
        os.environ["PYTHONWARNINGS"] = "error"


def pytest_report_header() -> str:
    """Tell what it has come to."""
    loop = asyncio.new_event_loop()
    try:
        return (
            f"event loop: {type(loop).__module__}, debug: {loop.get_debug()}, "
            f"dev mode: {sys.flags.dev_mode}"
        )
    finally:
        loop.close()
