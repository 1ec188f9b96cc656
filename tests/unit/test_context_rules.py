"""The context: what is allowed, and how a scope narrows it."""

from __future__ import annotations

import dataclasses
import logging
import math
import pickle
from types import MappingProxyType

import pytest

from cuprum import CuprumContext, ForbiddenProgramError, Program, ScopeConfig
from cuprum.context import ContextError

A, B, C = Program("a"), Program("b"), Program("c")
NONE = frozenset[Program]()


def allowing(*programs: Program) -> CuprumContext:
    """Return a context that allows *programs*."""
    return CuprumContext(allowlist=frozenset(programs))


def deny_all() -> CuprumContext:
    """Return a restricted context that allows nothing."""
    return CuprumContext().narrow(ScopeConfig(allowlist=NONE))


def permits(context: CuprumContext, program: Program) -> bool:
    """Tell whether *context* would let *program* run."""
    try:
        context.check_allowed(program)
    except ForbiddenProgramError:
        return False
    return True


def test_the_default_context_is_permissive() -> None:
    assert CuprumContext().allowlist == NONE
    assert permits(CuprumContext(), A)
    assert not CuprumContext().is_allowed(A)  # membership, no more


def test_an_allowlist_permits_its_members_only() -> None:
    assert permits(allowing(A), A)
    assert not permits(allowing(A), B)
    assert allowing(A).is_allowed(A)


@pytest.mark.parametrize(
    ("parent", "asked", "allowed"),
    [
        (CuprumContext(), None, {A, B, C}),
        (CuprumContext(), {A, B}, {A, B}),
        (CuprumContext(), set(), set()),
        (allowing(A, B), None, {A, B}),
        (allowing(A, B), {B, C}, {B}),
        (allowing(A, B), {C}, set()),
        (allowing(A, B), set(), set()),
        (deny_all(), None, set()),
        (deny_all(), {A}, set()),
        (deny_all(), set(), set()),
    ],
)
def test_narrowing_never_widens(
    parent: CuprumContext, asked: set[Program] | None, allowed: set[Program]
) -> None:
    listed = None if asked is None else frozenset(asked)
    narrowed = parent.narrow(ScopeConfig(allowlist=listed))
    assert {p for p in (A, B, C) if permits(narrowed, p)} == allowed


def test_a_disjoint_scope_stays_closed_for_the_scopes_inside() -> None:
    closed = allowing(A).narrow(ScopeConfig(allowlist=frozenset({B})))
    inside = closed.narrow(ScopeConfig(allowlist=frozenset({A, B})))
    assert not permits(inside, A)
    assert not permits(inside, B)


def test_narrowing_leaves_the_parent_alone() -> None:
    parent = allowing(A, B)
    parent.narrow(
        ScopeConfig(allowlist=frozenset({A}), timeout=1, env_overlay={"X": "1"})
    )
    assert parent == allowing(A, B)


@pytest.mark.parametrize(
    ("outer", "inner", "effective"),
    [(None, None, None), (5, None, 5.0), (None, 2, 2.0), (5, 9, 9.0), (5, 0, 0.0)],
)
def test_the_inner_timeout_wins(
    outer: float | None, inner: float | None, effective: float | None
) -> None:
    narrowed = CuprumContext(timeout=outer).narrow(ScopeConfig(timeout=inner))
    assert narrowed.timeout == effective


def test_the_inner_environment_wins() -> None:
    outer = CuprumContext(env_overlay={"X": "1", "Y": "1"})
    inner = outer.narrow(ScopeConfig(env_overlay={"Y": "2"}))
    assert inner.env_overlay == {"X": "1", "Y": "2"}
    assert outer.narrow(ScopeConfig()).env_overlay == {"X": "1", "Y": "1"}


@pytest.mark.parametrize("make", [ScopeConfig, CuprumContext])
class TestValidation:
    """ScopeConfig and CuprumContext check their fields alike."""

    @pytest.mark.parametrize("timeout", [math.inf, -math.inf, math.nan])
    def test_a_timeout_is_finite(self, make: type[ScopeConfig], timeout: float) -> None:
        told = f"^{make.__name__} timeout must be finite, got {timeout}$"
        with pytest.raises(ValueError, match=told):
            make(timeout=timeout)

    def test_a_timeout_is_not_negative(self, make: type[ScopeConfig]) -> None:
        told = f"^{make.__name__} timeout must be non-negative, got -1.0$"
        with pytest.raises(ValueError, match=told):
            make(timeout=-1.0)

    @pytest.mark.parametrize("timeout", [3, "3", 3.0])
    def test_a_timeout_becomes_a_float(
        self, make: type[ScopeConfig], timeout: float
    ) -> None:
        assert isinstance(make(timeout=timeout).timeout, float)
        assert make(timeout=timeout).timeout == 3.0

    def test_an_overlay_is_a_read_only_snapshot(self, make: type[ScopeConfig]) -> None:
        given = {"X": "1"}
        overlay = make(env_overlay=given).env_overlay
        given["X"] = "2"
        assert isinstance(overlay, MappingProxyType)
        assert overlay == {"X": "1"}

    def test_an_empty_overlay_is_not_none(self, make: type[ScopeConfig]) -> None:
        assert make(env_overlay={}).env_overlay == {}
        assert make().env_overlay is None

    def test_it_is_frozen(self, make: type[ScopeConfig]) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            make().timeout = 1.0  # type: ignore[misc]


def test_with_allowlist_replaces() -> None:
    replaced = allowing(A).with_allowlist(frozenset({B}))
    assert replaced.allowlist == {B}
    assert not permits(replaced, A)


@pytest.mark.parametrize(
    ("context", "permissive"),
    [
        (CuprumContext().with_allowlist(NONE), True),
        (allowing(A).with_allowlist(NONE), False),
        (allowing(A).without_program(A), False),
        (deny_all().with_allowlist(NONE), False),
        (CuprumContext().with_program(A).without_program(A), False),
        (CuprumContext().without_program(A), True),
    ],
)
def test_an_emptied_allowlist_denies_all(
    context: CuprumContext, *, permissive: bool
) -> None:
    assert context.allowlist == NONE
    assert permits(context, A) is permissive


def test_programs_are_added_and_removed_one_by_one() -> None:
    context = allowing(A).with_program(B)
    assert context.allowlist == {A, B}
    assert context.without_program(A).allowlist == {B}
    assert context.without_program(C).allowlist == {A, B}


def test_with_env_overlay_layers() -> None:
    context = CuprumContext(env_overlay={"X": "1", "Y": "1"})
    assert context.with_env_overlay({"Y": "2"}).env_overlay == {"X": "1", "Y": "2"}
    assert CuprumContext().with_env_overlay({}).env_overlay == {}


@pytest.mark.parametrize(
    ("context", "restricted"),
    [(allowing(A), False), (deny_all(), True)],
    ids=["listed", "deny-all"],
)
def test_a_denial_names_the_program_and_is_logged(
    context: CuprumContext, caplog: pytest.LogCaptureFixture, *, restricted: bool
) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.context")
    with pytest.raises(ForbiddenProgramError) as caught:
        context.check_allowed(B)
    error = caught.value
    assert str(error) == "Program 'b' is not allowed in the current context"
    assert (error.program, error.restricted_state) == (B, restricted)
    assert isinstance(error, ContextError)
    assert isinstance(error, PermissionError)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("cuprum.context", logging.WARNING)
    told = f"Program b denied by context allowlist restricted_state={restricted}"
    assert record.getMessage() == told
    assert record.__dict__["operation"] == B
    assert record.__dict__["restricted_state"] is restricted


def test_what_is_allowed_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "cuprum.context")
    allowing(A).check_allowed(A)
    CuprumContext().check_allowed(B)
    assert not caplog.records


def test_the_error_survives_pickling() -> None:
    error = ForbiddenProgramError(A, restricted_state=True)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.program) == (str(error), A)
