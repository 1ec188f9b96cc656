"""Scopes, and what may be registered with the active context."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from cuprum import (
    ECHO,
    LS,
    AfterHook,
    AllowRegistration,
    BeforeHook,
    CommandResult,
    CuprumContext,
    EnvRegistration,
    ExecEvent,
    ExecHook,
    HookRegistration,
    Program,
    SafeCmd,
    ScopeConfig,
    after,
    allow,
    before,
    current_context,
    env,
    get_context,
    merge_env_overlays,
    observe,
    resolve_env,
    scoped,
)


def scopes() -> None:
    config = ScopeConfig(frozenset([ECHO, LS]), timeout=1, env_overlay={"A": "b"})
    with scoped(config) as context:
        assert_type(context, CuprumContext)
    assert_type(ScopeConfig().allowlist, frozenset[Program] | None)
    assert_type(config.timeout, float | None)
    assert_type(config.before_hooks, tuple[BeforeHook, ...])
    assert_type(config.after_hooks, tuple[AfterHook, ...])
    assert_type(config.observe_hooks, tuple[ExecHook, ...])
    assert_type(ScopeConfig(before_hooks=(tell_command,)), ScopeConfig)
    assert_type(ScopeConfig(observe_hooks=(tell_event_in_time,)), ScopeConfig)
    assert_type(config.env_overlay, Mapping[str, str] | None)

    scoped(allowlist=frozenset([ECHO]))  # pyright: ignore[reportCallIssue]
    ScopeConfig(allowlist={"ls"})  # pyright: ignore[reportArgumentType]
    ScopeConfig(before_hooks=(tell_result,))  # pyright: ignore[reportArgumentType]
    ScopeConfig(after_hooks=tell_result)  # pyright: ignore[reportArgumentType]
    ScopeConfig(env_overlay={"A": 1})  # pyright: ignore[reportArgumentType]
    config.timeout = 1  # pyright: ignore[reportAttributeAccessIssue]


async def a_scope_does_not_wait() -> None:
    async with scoped(ScopeConfig()):  # pyright: ignore[reportGeneralTypeIssues]
        pass


def active() -> None:
    context = current_context()
    assert_type(context, CuprumContext)
    assert_type(get_context(), CuprumContext)
    assert_type(context.allowlist, frozenset[Program])
    assert_type(context.timeout, float | None)
    assert_type(context.before_hooks, tuple[BeforeHook, ...])
    assert_type(context.after_hooks, tuple[AfterHook, ...])
    assert_type(context.observe_hooks, tuple[ExecHook, ...])
    assert_type(context.env_overlay, Mapping[str, str] | None)
    assert_type(context.is_allowed(ECHO), bool)
    assert_type(context.check_allowed(ECHO), None)
    assert_type(context.narrow(ScopeConfig()), CuprumContext)
    assert_type(context.with_allowlist(frozenset()), CuprumContext)
    assert_type(context.with_program(ECHO), CuprumContext)
    assert_type(context.without_program(ECHO), CuprumContext)
    assert_type(context.with_env_overlay({"A": "b"}), CuprumContext)
    assert_type(context.with_before_hook(tell_command), CuprumContext)
    assert_type(context.with_after_hook(tell_result), CuprumContext)
    assert_type(context.with_observe_hook(tell_event), CuprumContext)
    assert_type(context.without_before_hook(tell_command), CuprumContext)
    assert_type(context.without_after_hook(tell_result), CuprumContext)
    assert_type(context.without_observe_hook(tell_event), CuprumContext)

    context.is_allowed("echo")  # pyright: ignore[reportArgumentType]
    context.with_before_hook(tell_result)  # pyright: ignore[reportArgumentType]
    context.with_after_hook(tell_command)  # pyright: ignore[reportArgumentType]
    context.with_observe_hook(tell_command)  # pyright: ignore[reportArgumentType]


def environments(overlay: Mapping[str, str] | None) -> None:
    assert_type(merge_env_overlays(overlay, None), Mapping[str, str] | None)
    assert_type(resolve_env(overlay, {"A": "b"}), dict[str, str] | None)
    with env({"A": "b"}, {"B": "c"}, C="d") as registration:
        assert_type(registration, EnvRegistration)
        assert_type(registration.overlay, Mapping[str, str])
        assert_type(registration.detach(), None)

    env({"A": 1})  # pyright: ignore[reportArgumentType]
    env(A=None)  # pyright: ignore[reportArgumentType]


def tell_command(command: SafeCmd) -> None:
    print(command)


async def tell_command_in_time(command: SafeCmd) -> None:
    print(command)


def tell_result(command: SafeCmd, result: CommandResult[str]) -> None:
    print(command, result)


def tell_event(event: ExecEvent) -> None:
    print(event)


async def tell_event_in_time(event: ExecEvent) -> None:
    print(event)


def count_events(event: ExecEvent) -> int:
    return len(event.argv)


def registrations(hook: ExecHook) -> None:
    with before(tell_command) as registration:
        assert_type(registration, HookRegistration)
    assert_type(after(tell_result), HookRegistration)
    assert_type(observe(tell_event), HookRegistration)
    assert_type(observe(tell_event_in_time), HookRegistration)
    assert_type(observe(hook), HookRegistration)
    assert_type(observe(hook).detach(), None)
    with allow(ECHO, LS) as allowed:
        assert_type(allowed, AllowRegistration)

    before(tell_command_in_time)  # pyright: ignore[reportArgumentType]
    before(tell_result)  # pyright: ignore[reportArgumentType]
    after(tell_command)  # pyright: ignore[reportArgumentType]
    observe(tell_command)  # pyright: ignore[reportArgumentType]
    observe(count_events)  # pyright: ignore[reportArgumentType]
    allow("echo")  # pyright: ignore[reportArgumentType]
    allow([ECHO])  # pyright: ignore[reportArgumentType]
    HookRegistration(tell_command, "during")  # pyright: ignore[reportArgumentType]
