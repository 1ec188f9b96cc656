"""Which pump moves data between stages: the choice, made once per process."""

from __future__ import annotations

import functools
import logging
import os
from enum import StrEnum

from cuprum import _helper_backend
from cuprum.pump import PumpUnavailableError

__all__ = [
    "StreamBackend",
    "get_stream_backend",
    "helper_is_required",
    "is_helper_available",
    "set_helper_availability_for_testing",
]

_VARIABLE = "CUPRUM_STREAM_BACKEND"
_logger = logging.getLogger(__name__)


class StreamBackend(StrEnum):
    """The values of ``CUPRUM_STREAM_BACKEND``."""

    AUTO = "auto"
    HELPER = "helper"
    PYTHON = "python"


_availability_override: bool | None = None
_requested: StreamBackend = StreamBackend.AUTO


@functools.cache
def get_stream_backend() -> StreamBackend:
    """Resolve the backend from the environment: ``HELPER`` or ``PYTHON``.

    The answer is cached for the process; a failure is not.

    Raises:
        ValueError: ``CUPRUM_STREAM_BACKEND`` has no known value.
        PumpUnavailableError: the helper was asked for and there is none; or
            ``CUPRUM_PUMP`` names something unusable.
    """
    global _requested
    requested = _read_request()
    match requested:
        case StreamBackend.PYTHON:
            resolved, available = StreamBackend.PYTHON, None
        case StreamBackend.HELPER:
            resolved, available = _require_helper()
        case StreamBackend.AUTO:
            resolved, available = _prefer_helper()
        case _:
            raise AssertionError(f"unreachable backend {requested!r}")
    _requested = requested
    _logger.debug(
        "stream backend %s resolved to %s",
        requested,
        resolved,
        extra={
            "event": "cuprum.stream_backend_resolved",
            "requested_backend": requested.value,
            "resolved_backend": resolved.value,
            "helper_available": available,
        },
    )
    return resolved


def helper_is_required() -> bool:
    """Tell whether the helper was asked for, as a backend or as a binary.

    If so, one that fails to start must not be replaced.
    """
    return _requested is StreamBackend.HELPER or _helper_backend.is_configured()


def _read_request() -> StreamBackend:
    value = os.environ.get(_VARIABLE, "").strip().lower() or StreamBackend.AUTO
    try:
        return StreamBackend(value)
    except ValueError:
        expected = ", ".join(StreamBackend)
        raise ValueError(
            f"invalid {_VARIABLE} value '{value}'; expected one of: {expected}"
        ) from None


def _require_helper() -> tuple[StreamBackend, bool]:
    try:
        available = is_helper_available()
    except ImportError:
        _warn_unavailable(None)
        raise
    if not available:
        _warn_unavailable(False)
        tried = "; ".join(place.label for place in _helper_backend.places())
        raise PumpUnavailableError(
            f"Helper stream backend requested via {_VARIABLE}=helper but the "
            f"cuprum-pump helper is not available; tried: {tried}"
        )
    return StreamBackend.HELPER, True


def _prefer_helper() -> tuple[StreamBackend, bool]:
    try:
        available = is_helper_available()
    except ImportError as error:
        if isinstance(error, PumpUnavailableError) and error.is_final:
            _warn_unavailable(None, StreamBackend.AUTO)
            raise
        available = False
        _logger.debug(
            "helper probe failed; using the Python pump",
            exc_info=True,
            extra={
                "event": "cuprum.stream_backend_auto_probe_failed",
                "helper_available": None,
                "source": "probe",
            },
        )
    return (StreamBackend.HELPER if available else StreamBackend.PYTHON), available


def _warn_unavailable(
    available: bool | None, requested: StreamBackend = StreamBackend.HELPER
) -> None:
    _logger.warning(
        "stream backend unavailable",
        extra={
            "event": "cuprum.stream_backend_unavailable",
            "requested_backend": requested.value,
            "helper_available": available,
        },
    )


@functools.cache
def is_helper_available() -> bool:
    """Tell whether the cuprum-pump helper can be used.

    The answer is found out once per process, and is the one that pipelines go by.
    It does not depend on ``CUPRUM_STREAM_BACKEND``.

    Raises:
        PumpUnavailableError: a helper is there, and is unusable.

    >>> is_helper_available() in (True, False)
    True
    """
    override = _availability_override
    available = _helper_backend.is_available() if override is None else override
    _logger.debug(
        "helper availability resolved: %s",
        available,
        extra={
            "event": "cuprum.helper_availability_resolved",
            "helper_available": available,
            "source": "probe" if override is None else "override",
        },
    )
    return available


def set_helper_availability_for_testing(*, is_available: bool | None) -> None:
    """Force the answer of `is_helper_available`; None asks the system again.

    Either way everything remembered is forgotten: the answer, the resolved backend
    and where the helper was found.
    """
    global _availability_override
    _availability_override = is_available
    is_helper_available.cache_clear()
    get_stream_backend.cache_clear()
    _helper_backend.find_helper.cache_clear()
    _logger.debug(
        "helper availability override updated",
        extra={
            "event": "cuprum.helper_availability_override_updated",
            "override_active": is_available is not None,
            "helper_availability_override": is_available,
        },
    )
