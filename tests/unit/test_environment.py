"""Overlays on the environment."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cuprum import merge_env_overlays, resolve_env

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("parent", "child", "merged"),
    [
        (None, None, None),
        ({}, None, {}),
        (None, {}, {}),
        ({"A": "1"}, None, {"A": "1"}),
        (None, {"A": "1"}, {"A": "1"}),
        ({"A": "1", "B": "1"}, {"B": "2", "C": "2"}, {"A": "1", "B": "2", "C": "2"}),
    ],
)
def test_overlays_merge_and_the_child_wins(
    parent: Mapping[str, str] | None,
    child: Mapping[str, str] | None,
    merged: Mapping[str, str] | None,
) -> None:
    assert merge_env_overlays(parent, child) == merged


def test_a_merged_overlay_is_read_only_and_its_own() -> None:
    for parent, child in (({"A": "1"}, None), (None, {"A": "1"}), ({}, {"A": "1"})):
        merged = merge_env_overlays(parent, child)
        for given in (parent, child):
            if given is not None:
                given["A"] = "changed"
        assert merged == {"A": "1"}
        assert isinstance(merged, MappingProxyType)


@pytest.mark.parametrize("layers", [(), (None,), ({},), (None, {}, None)])
def test_nothing_to_add_means_inherit(layers: tuple[dict[str, str] | None]) -> None:
    assert resolve_env(*layers) is None


def test_layers_apply_from_left_to_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPRUM_TEST", "live")
    monkeypatch.setenv("CUPRUM_KEPT", "kept")
    resolved = resolve_env({"CUPRUM_TEST": "1", "X": "1"}, None, {"X": "2"}, {})
    assert resolved is not None
    assert resolved["CUPRUM_TEST"] == "1"
    assert resolved["CUPRUM_KEPT"] == "kept"
    assert resolved["X"] == "2"
    assert "X" not in os.environ


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPRUM_TEST", "1")
    first = resolve_env({"X": "1"})
    monkeypatch.setenv("CUPRUM_TEST", "2")
    second = resolve_env({"X": "1"})
    assert first is not None
    assert second is not None
    assert (first["CUPRUM_TEST"], second["CUPRUM_TEST"]) == ("1", "2")


def test_the_result_belongs_to_the_caller() -> None:
    resolved = resolve_env({"X": "1"})
    assert resolved is not None
    resolved["CUPRUM_TEST_OWN"] = "1"
    assert "CUPRUM_TEST_OWN" not in os.environ
