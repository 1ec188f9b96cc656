"""Registrations: what they install, where it goes, and how it is detached."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from cuprum import (
    AllowRegistration,
    CuprumContext,
    EnvRegistration,
    ForbiddenProgramError,
    HookRegistration,
    Program,
    ScopeConfig,
    after,
    allow,
    before,
    current_context,
    env,
    observe,
    scoped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cuprum import CommandResult, ExecEvent, SafeCmd

    Registration = AllowRegistration | HookRegistration | EnvRegistration
    Hook = Callable[..., None]

A, B, C = Program("a"), Program("b"), Program("c")
KINDS = ["before", "after", "observe"]
WAYS: list[Callable[[], Registration]] = [
    lambda: before(one),
    lambda: after(one),
    lambda: observe(one),
    lambda: allow(A),
    lambda: env(X="1"),
]
NAMES = [*KINDS, "allow", "env"]
each_way = pytest.mark.parametrize("register", WAYS, ids=NAMES)


def one(*_: SafeCmd | CommandResult | ExecEvent) -> None:
    """Be a hook of any kind."""


def two(*_: SafeCmd | CommandResult | ExecEvent) -> None:
    """Be another one."""


def three(*_: SafeCmd | CommandResult | ExecEvent) -> None:
    """Be a third one."""


def hooks(context: CuprumContext, kind: str) -> tuple[Hook, ...]:
    """Return the hooks of that kind, in the order in which they are called."""
    found: tuple[Hook, ...] = getattr(context, f"{kind}_hooks")
    return found


@pytest.fixture(autouse=True)
def _own_scope() -> Iterator[None]:
    """Leave no test's registrations to the next one."""
    with scoped(ScopeConfig()):
        yield


# --- Of every kind ----------------------------------------------------------------


@each_way
def test_it_is_effective_when_made_and_until_it_is_detached(
    register: Callable[[], Registration],
) -> None:
    outside = current_context()
    registration = register()
    assert current_context() != outside
    registration.detach()
    assert current_context() is outside


@each_way
def test_detaching_twice_does_no_more_than_once(
    register: Callable[[], Registration],
) -> None:
    registration = register()
    registration.detach()
    with scoped(ScopeConfig(timeout=3)) as inside:
        registration.detach()
        assert current_context() is inside


@each_way
def test_it_is_a_context_manager_that_detaches(
    register: Callable[[], Registration],
) -> None:
    outside = current_context()
    registration = register()
    inside = current_context()
    with registration as entered:
        assert entered is registration
        assert current_context() is inside
    assert current_context() is outside
    with pytest.raises(ZeroDivisionError), register():
        raise ZeroDivisionError
    assert current_context() is outside


@each_way
def test_it_leaves_the_rest_of_the_context_alone(
    register: Callable[[], Registration],
) -> None:
    everything = ScopeConfig(
        allowlist=frozenset([B]),
        before_hooks=(two,),
        after_hooks=(two,),
        observe_hooks=(two,),
        timeout=7,
        env_overlay={"Y": "2"},
    )
    with scoped(everything), register():
        context = current_context()
        assert B in context.allowlist
        assert all(two in hooks(context, kind) for kind in KINDS)
        assert context.timeout == 7
        assert context.env_overlay is not None
        assert context.env_overlay["Y"] == "2"


@each_way
def test_in_another_thread_it_cannot_be_detached_but_later_in_its_own(
    register: Callable[[], Registration],
) -> None:
    outside = current_context()
    registration = register()
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(registration.detach).exception()
    assert isinstance(refused, ValueError)
    assert current_context() is not outside
    registration.detach()
    assert current_context() is outside


@each_way
def test_in_another_task_it_cannot_be_detached(
    register: Callable[[], Registration],
) -> None:
    async def detach() -> None:
        with pytest.raises(ValueError, match="different Context"):
            registration.detach()

    with register() as registration:
        asyncio.run(detach())


@each_way
def test_detached_out_of_order_older_contexts_come_back(
    register: Callable[[], Registration],
) -> None:
    # As documented: what was registered in between goes as well, and comes back.
    outside = current_context()
    first = register()
    between = current_context()
    second = before(two)
    first.detach()
    assert current_context() is outside
    second.detach()
    assert current_context() is between
    with scoped(ScopeConfig()):
        pass  # leaves it as it was
    assert current_context() is between


@each_way
def test_a_registration_of_a_task_stays_in_the_task(
    register: Callable[[], Registration],
) -> None:
    seen: list[CuprumContext] = []

    async def task() -> None:
        register()
        await asyncio.sleep(0)
        seen.append(current_context())

    async def main() -> None:
        outside = current_context()
        await asyncio.gather(task(), task())
        assert current_context() is outside
        inside, other = seen
        assert inside == other != outside
        assert inside is not other

    asyncio.run(main())


@each_way
def test_a_task_keeps_what_was_registered_where_it_was_made(
    register: Callable[[], Registration],
) -> None:
    async def look() -> CuprumContext:
        return current_context()

    async def main() -> None:
        with register():
            task = asyncio.create_task(look())
            inside = current_context()
        assert await task is inside
        assert current_context() is not inside

    asyncio.run(main())


@each_way
def test_a_new_thread_has_no_registrations_and_one_on_our_behalf_has(
    register: Callable[[], Registration],
) -> None:
    seen: list[CuprumContext] = []
    with register():
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()

        async def main() -> CuprumContext:
            return await asyncio.to_thread(current_context)

        assert asyncio.run(main()) is current_context()
    assert seen == [CuprumContext()]


# --- Hooks ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_of_each_kind_goes_where_it_belongs(kind: str) -> None:
    def expect_it() -> None:
        for other in KINDS:
            found = hooks(current_context(), other)
            assert found == ((one,) if other == kind else ())

    with {"before": before, "after": after, "observe": observe}[kind](one):
        expect_it()
    with HookRegistration(one, kind):  # type: ignore[arg-type]
        expect_it()


@pytest.mark.parametrize("kind", ["", "Before", "around", "allowlist"])
def test_of_an_unknown_kind_there_is_no_hook(kind: str) -> None:
    outside = current_context()
    with pytest.raises(ValueError, match=f"^Unsupported hook type: {kind}$"):
        HookRegistration(one, kind)  # type: ignore[arg-type]
    assert current_context() is outside


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("before", (one, two, three)),
        ("observe", (one, two, three)),
        ("after", (three, two, one)),
    ],
)
def test_hooks_are_in_the_order_in_which_they_are_called(
    kind: str, order: tuple[Hook, ...]
) -> None:
    for hook in (one, two, three):
        HookRegistration(hook, kind)  # type: ignore[arg-type]
    assert hooks(current_context(), kind) == order


@pytest.mark.parametrize("kind", KINDS)
def test_scopes_join_their_hooks_inner_after_hooks_first(kind: str) -> None:
    def config(*given: Hook) -> ScopeConfig:
        return ScopeConfig(**{f"{kind}_hooks": given})  # type: ignore[arg-type]

    with scoped(config(one, two)), scoped(config(three, one)) as inner:
        pass
    inside_out = (three, one, one, two)
    outside_in = (one, two, three, one)
    assert hooks(inner, kind) == (inside_out if kind == "after" else outside_in)


@pytest.mark.parametrize("kind", KINDS)
def test_a_registration_in_a_scope_ends_with_it(kind: str) -> None:
    with scoped(ScopeConfig()):
        HookRegistration(one, kind)  # type: ignore[arg-type]
        assert hooks(current_context(), kind) == (one,)
    assert hooks(current_context(), kind) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_is_dropped_wherever_it_stands_by_identity(kind: str) -> None:
    class Equal:
        def __call__(self, *_: object) -> None: ...

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def __hash__(self) -> int:
            return 1

    first, second = Equal(), Equal()
    given = CuprumContext(**{f"{kind}_hooks": (first, second, first)})  # type: ignore[arg-type]
    without = getattr(given, f"without_{kind}_hook")
    (kept,) = hooks(without(first), kind)
    assert kept is second
    assert len(hooks(given, kind)) == 3
    assert without(one) == given


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_may_be_registered_twice(kind: str) -> None:
    for _ in range(2):
        HookRegistration(one, kind)  # type: ignore[arg-type]
    assert hooks(current_context(), kind) == (one, one)


# --- Programs ---------------------------------------------------------------------


def test_allowing_restricts_where_everything_was_allowed() -> None:
    current_context().check_allowed(B)
    with AllowRegistration(A):
        current_context().check_allowed(A)
        with pytest.raises(ForbiddenProgramError, match="'b'"):
            current_context().check_allowed(B)
    current_context().check_allowed(B)


def test_allowing_adds_to_what_is_allowed() -> None:
    with allow(A), allow(B, C):
        assert current_context().allowlist == {A, B, C}


def test_allowing_opens_what_denied_everything() -> None:
    with scoped(ScopeConfig(allowlist=frozenset())), allow(A):
        current_context().check_allowed(A)
        with pytest.raises(ForbiddenProgramError):
            current_context().check_allowed(B)


def test_allowing_nothing_changes_nothing() -> None:
    with allow():
        current_context().check_allowed(A)
        assert current_context() == CuprumContext()
    with scoped(ScopeConfig(allowlist=frozenset())) as denying, allow():
        assert current_context() == denying


# --- Variables --------------------------------------------------------------------


def test_later_variables_win_and_keywords_over_all() -> None:
    with env({"X": "1", "Y": "1", "Z": "1"}, {"Y": "2", "Z": "2"}, Z="3") as made:
        assert made.overlay == {"X": "1", "Y": "2", "Z": "3"}
        assert current_context().env_overlay == made.overlay


def test_variables_are_layered_over_those_of_the_scope() -> None:
    with scoped(ScopeConfig(env_overlay={"X": "1", "Y": "1"})), env(Y="2") as made:
        assert made.overlay == {"Y": "2"}
        assert current_context().env_overlay == {"X": "1", "Y": "2"}


def test_no_variables_are_an_empty_overlay() -> None:
    assert current_context().env_overlay is None
    with env() as made:
        assert current_context().env_overlay == {}
        assert made.overlay == {}


def test_variables_are_a_read_only_snapshot() -> None:
    given = {"X": "1"}
    with EnvRegistration(given) as made:
        given["X"] = "2"
        assert isinstance(made.overlay, MappingProxyType)
        assert made.overlay == {"X": "1"}
        assert current_context().env_overlay == {"X": "1"}
