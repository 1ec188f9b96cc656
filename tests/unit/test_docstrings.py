"""Every public name says what it is, and its examples are true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import types
from typing import TYPE_CHECKING

import pytest

import cuprum

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDS_A_PACKAGE = "cuprum.adapters.opentelemetry_adapter"
"""Tested where that package can be had."""

_PROTOCOLS = {"MetricsCollector", "Span", "Tracer"}
_DEPRECATED = {"IOOptions"}


def public_modules() -> Iterator[types.ModuleType]:
    """Yield the modules of which no part is private."""
    yield cuprum
    for found in pkgutil.walk_packages(cuprum.__path__, "cuprum."):
        is_public = not any(part.startswith("_") for part in found.name.split("."))
        if is_public and found.name != _NEEDS_A_PACKAGE:
            yield importlib.import_module(found.name)


def exports() -> Iterator[tuple[str, type | types.FunctionType]]:
    """Yield the classes and functions that public modules list."""
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            thing = inspect.unwrap(getattr(module, name))
            if isinstance(thing, type | types.FunctionType):
                yield f"{module.__name__}.{name}", thing


def public_objects() -> Iterator[tuple[str, object]]:
    """Yield the exports, and what the classes define themselves."""
    for name, thing in exports():
        yield name, thing
        if isinstance(thing, type):
            for part, member in vars(thing).items():
                is_code = isinstance(
                    member, types.FunctionType | property | classmethod
                )
                if is_code and not part.startswith("_"):
                    yield f"{name}.{part}", member


def modules_with_examples() -> list[str]:
    """Return the public modules, and the private ones that exports come from."""
    public = {module.__name__ for module in public_modules()}
    return sorted(public | {thing.__module__ for _, thing in exports()})


@pytest.mark.parametrize("name", modules_with_examples())
@pytest.mark.usefixtures("stream_backend")
def test_the_examples_of_a_module_are_true(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    failed, _ = doctest.testmod(module)
    assert failed == 0


def test_every_class_and_function_has_an_example() -> None:
    examples = doctest.DocTestParser().get_examples
    bare = {
        thing.__name__
        for _, thing in exports()
        if not examples(inspect.getdoc(thing) or "")
    }
    assert bare == _PROTOCOLS | _DEPRECATED


def test_every_public_name_has_a_docstring() -> None:
    bare = [name for name, thing in public_objects() if not inspect.getdoc(thing)]
    assert bare == []
