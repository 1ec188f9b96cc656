"""The ways in which bytes may cross a hop, to be tried one after the other.

Unlike the fixture ``stream_backend``, which runs a test once for each backend, these
are for tests that compare what comes of them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cuprum._helper_pool import close_pool
from tests.support.backends import forget_backend
from tests.support.processes import helper_pids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cuprum import PipelineResult


class Way(NamedTuple):
    """A backend, and whether its helpers are kept."""

    name: str
    backend: str
    warm: str = "1"

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have all pipelines go this way."""
        close_pool()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CUPRUM_STREAM_BACKEND", self.backend)
            patch.setenv("CUPRUM_PUMP_WARM", self.warm)
            forget_backend()
            yield
        forget_backend()

    def check(self, result: PipelineResult[str] | PipelineResult[bytes]) -> None:
        """See that the run which has just ended well went this way."""
        assert len(result.hops) == len(result.stages) - 1
        for hop in result.hops:
            assert (hop.engine == "python") == (self.backend == "python"), hop
        assert bool(helper_pids()) == (self is WARM)


WARM = Way("warm helper", "helper")
OWN = Way("a helper of its own", "helper", "0")
PYTHON_PUMP = Way("Python pump", "python")
WAYS = (WARM, OWN, PYTHON_PUMP)
