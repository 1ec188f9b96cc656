"""The adapters as a package: what is in it, its examples, what it does without."""

from __future__ import annotations

import doctest
import importlib
import sys

import pytest

import cuprum.adapters

MODULES = ["logging_adapter", "metrics_adapter", "tracing_adapter", "tracing_memory"]


def test_the_package_itself_exports_nothing() -> None:
    assert cuprum.adapters.__all__ == []


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    module = importlib.import_module(f"cuprum.adapters.{name}")
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted > 0 or name == "tracing_memory"


def test_without_opentelemetry_the_error_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "cuprum.adapters.opentelemetry_adapter"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match="opentelemetry-api") as caught:
        importlib.import_module(name)
    assert isinstance(caught.value.__cause__, ImportError)
