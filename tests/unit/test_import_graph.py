"""Data flows one way: no module needs, at run time, one that needs it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from tests.support.paths import TOP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = TOP / "cuprum"


def name_of(path: Path) -> str:
    """Return the name under which a file is imported."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """Yield the package's modules that are imported when the module is."""
    for node in tree.body:  # what is only for type checkers stands in an `if`
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = modules.intersection(names)
            yield from submodules or modules.intersection([node.module])
        elif isinstance(node, ast.Import):
            yield from modules.intersection(alias.name for alias in node.names)


def test_no_import_goes_in_a_circle() -> None:
    trees = {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    graph = {name: set(imported(tree, set(trees))) for name, tree in trees.items()}
    assert graph["cuprum._run"] >= {"cuprum._wiring", "cuprum._stages"}
    order = list(TopologicalSorter(graph).static_order())  # CycleError names a circle
    assert order.index("cuprum.events") < order.index("cuprum")


def test_public_modules_alone_make_up_the_root() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not [module for module in modules if module and "._" in module]
