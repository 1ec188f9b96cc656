"""Changes to the active context that last until they are detached."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from cuprum._checks import check_function, check_type
from cuprum.context.env_overlay import merge_env_overlays
from cuprum.context.state import current_context, install, restore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from cuprum.context.core import AfterHook, BeforeHook, CuprumContext
    from cuprum.events import ExecHook
    from cuprum.program import Program

__all__ = [
    "AllowRegistration",
    "EnvRegistration",
    "HookRegistration",
    "after",
    "allow",
    "before",
    "env",
    "observe",
]

HookType: TypeAlias = Literal["before", "after", "observe"]


class _Registration:
    """A context that is active from its making until it is detached.

    A context manager, which detaches when it is left.
    """

    def __init__(self, context: CuprumContext) -> None:
        self._token = install(context)
        self._is_detached = False

    def detach(self) -> None:
        """Bring back the very context that was active before; once.

        So detach in reverse order: what was registered in between goes as well.

        Raises:
            ValueError: this is another thread, or task, than that of the making.
        """
        if not self._is_detached:
            restore(self._token)
            self._is_detached = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


class AllowRegistration(_Registration):
    """Programs added to the allowlist; see `allow`.

    >>> from cuprum import LS
    >>> registration = AllowRegistration(LS)
    >>> current_context().is_allowed(LS)
    True
    >>> registration.detach()
    >>> current_context().is_allowed(LS)
    False
    """

    def __init__(self, *programs: Program) -> None:
        for program in programs:
            check_type("allow", program, str, "programs")
        active = current_context()
        super().__init__(active.with_allowlist(active.allowlist.union(programs)))


class HookRegistration(_Registration):
    """A hook that is called; see `before`, `after` and `observe`.

    Raises:
        TypeError: the hook cannot be called.
        ValueError: there is no such type of hook.

    >>> with HookRegistration(print, "before"):
    ...     current_context().before_hooks
    (<built-in function print>,)
    """

    def __init__(
        self, hook: BeforeHook | AfterHook | ExecHook, hook_type: HookType
    ) -> None:
        if hook_type not in ("before", "after", "observe"):
            raise ValueError(f"Unsupported hook type: {hook_type}")
        check_function(hook_type, hook)
        super().__init__(getattr(current_context(), f"with_{hook_type}_hook")(hook))


class EnvRegistration(_Registration):
    """Variables for the children; see `env`.

    Attributes:
        overlay: what was added, read-only.

    >>> with EnvRegistration({"LANG": "C"}) as registration:
    ...     dict(registration.overlay)
    {'LANG': 'C'}
    """

    def __init__(self, overlay: Mapping[str, str]) -> None:
        self.overlay: Mapping[str, str] = MappingProxyType(dict(overlay))
        super().__init__(current_context().with_env_overlay(self.overlay))


def allow(*programs: Program) -> AllowRegistration:
    """Add programs to the allowlist.

    A context that allowed everything becomes one that allows these alone. Without a
    program nothing changes.

    >>> from cuprum import ECHO, LS, current_context
    >>> with allow(ECHO), allow(LS):
    ...     sorted(current_context().allowlist)
    ['echo', 'ls']
    """
    return AllowRegistration(*programs)


def before(hook: BeforeHook) -> HookRegistration:
    """Call ``hook(command)`` before each command, and each stage, is started.

    What it raises leaves ``run``, and nothing is started.

    >>> from cuprum import ECHO, sh
    >>> with before(lambda command: print(*command.argv_with_program)):
    ...     _ = sh.make(ECHO)("hello").run_sync()
    echo hello
    """
    return HookRegistration(hook, "before")


def after(hook: AfterHook) -> HookRegistration:
    """Call ``hook(command, result)`` after each command, and each stage, has ended.

    Hooks that were registered last are called first. Not called where ``run``
    raises. What it raises leaves ``run``.

    >>> from cuprum import ECHO, sh
    >>> with after(lambda command, result: print(command.program, result.exit_code)):
    ...     _ = sh.make(ECHO)("hello").run_sync()
    echo 0
    """
    return HookRegistration(hook, "after")


def observe(hook: ExecHook) -> HookRegistration:
    """Call ``hook(event)`` with each `ExecEvent` of each run.

    If it returns an awaitable, that goes on beside the run, which waits for it at
    its end. What it raises leaves ``run``: at once where something was about to
    start or has started, which is ended; later, when the commands have ended.

    >>> from cuprum import ECHO, sh
    >>> with observe(lambda event: print(event.phase, event.exit_code)):
    ...     _ = sh.make(ECHO)("-n").run_sync()
    plan None
    start None
    exit 0
    """
    return HookRegistration(hook, "observe")


def env(*overlays: Mapping[str, str], **variables: str) -> EnvRegistration:
    """Set variables for the children, later ones and then keywords winning.

    >>> from cuprum import current_context
    >>> with env({"LANG": "C", "TZ": "UTC"}, LANG="C.UTF-8"):
    ...     dict(current_context().env_overlay)
    {'LANG': 'C.UTF-8', 'TZ': 'UTC'}
    """
    merged: Mapping[str, str] = {}
    for overlay in (*overlays, variables):
        merged = merge_env_overlays(merged, overlay) or {}
    return EnvRegistration(merged)
