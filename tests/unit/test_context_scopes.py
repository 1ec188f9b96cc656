"""Scopes: when they begin, when they end, and who sees them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cuprum import Program, ScopeConfig, current_context, get_context, scoped

A, B = Program("a"), Program("b")


def only(*programs: Program) -> ScopeConfig:
    """Return the configuration of a scope that allows *programs*."""
    return ScopeConfig(allowlist=frozenset(programs))


def test_there_is_one_default_context() -> None:
    assert current_context() is current_context()
    assert get_context() is current_context()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_context).result() is current_context()


def test_a_scope_is_entered_and_left() -> None:
    before = current_context()
    with scoped(only(A)) as inside:
        assert current_context() is inside
        assert inside.allowlist == {A}
    assert current_context() is before


def test_scopes_nest() -> None:
    with scoped(only(A, B)) as outer:
        with scoped(only(B)) as inner:
            assert inner.allowlist == {B}
        assert current_context() is outer


def test_a_scope_is_left_on_an_exception() -> None:
    before = current_context()
    with pytest.raises(ZeroDivisionError), scoped(only(A)):
        raise ZeroDivisionError
    assert current_context() is before


def test_the_context_is_derived_when_scoped_is_called() -> None:
    prepared = scoped(only(A, B))
    with scoped(only(A)), prepared as inside:
        assert inside.allowlist == {A, B}


def test_scoped_takes_a_config_and_nothing_else() -> None:
    with pytest.raises(TypeError):
        scoped(allowlist=frozenset({A}))  # type: ignore[call-arg]
    assert not hasattr(scoped(ScopeConfig()), "__aenter__")


def test_a_new_thread_starts_from_the_default() -> None:
    default = current_context()
    seen: list[object] = []
    with scoped(only(A)):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [default]


def test_a_scope_in_a_thread_stays_there() -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold_scope() -> None:
        with scoped(only(A)):
            entered.set()
            leave.wait(5)

    default = current_context()
    thread = threading.Thread(target=hold_scope)
    thread.start()
    try:
        assert entered.wait(5)
        assert current_context() is default
    finally:
        leave.set()
        thread.join()


def test_a_task_keeps_the_scope_it_was_created_in() -> None:
    async def allowed() -> frozenset[Program]:
        await asyncio.sleep(0)
        return current_context().allowlist

    async def main() -> None:
        with scoped(only(A)):
            inside = asyncio.create_task(allowed())
        outside = asyncio.create_task(allowed())
        assert await inside == {A}
        assert await outside == frozenset()

    asyncio.run(main())


def test_scopes_of_concurrent_tasks_do_not_mix() -> None:
    async def worker(program: Program, turn: asyncio.Barrier) -> None:
        with scoped(only(program)):
            await turn.wait()
            assert current_context().allowlist == {program}
            await turn.wait()
        assert current_context().allowlist == frozenset()

    async def main() -> None:
        turn = asyncio.Barrier(2)
        await asyncio.gather(worker(A, turn), worker(B, turn))

    asyncio.run(main())
