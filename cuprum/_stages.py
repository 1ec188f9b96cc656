"""The stages of a run: started in turn, then read, fed and watched."""

from __future__ import annotations

import os
from errno import ETIMEDOUT
from typing import TYPE_CHECKING, Any

from cuprum._child import Child, Outlet, spawn
from cuprum._feed import Inlet, tell_failure
from cuprum._results import PartialOutput

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from contextlib import ExitStack

    from cuprum._command import SafeCmd
    from cuprum._descriptors import Descriptor
    from cuprum._observability import Observation
    from cuprum._plan import RunPlan
    from cuprum._process import Process
    from cuprum._wiring import Wiring

__all__ = ["Stages"]


class Stages:
    """The commands of a run, once `spawn` has started them.

    Args:
        commands: one per stage.
        plan: what they read, and where their output goes.
        wiring: the pipes between them.
        observation: told of starts, lines and standard input.
        owner: ends all of it, at the latest.

    Attributes:
        processes: those that have been started.
        children: the same with their outputs, once all have been.
        feeding: the task that feeds the first, if it is fed by us.
        pipes: inode numbers of the pipes that they may pass on to others.
    """

    def __init__(
        self,
        commands: Sequence[SafeCmd],
        plan: RunPlan,
        wiring: Wiring,
        observation: Observation,
        owner: ExitStack,
    ) -> None:
        self._commands = commands
        self._plan = plan
        self._wiring = wiring
        self._observation = observation
        self._owner = owner
        self._last = len(commands) - 1
        self.processes: list[Process] = []
        self.children: list[Child] = []
        self.feeding: asyncio.Task[None] | None = None
        self.pipes = set(wiring.inodes)

    def spawn(self) -> None:
        """Start every stage; OSError of the first that cannot be started."""
        plan, owner = self._plan, self._owner
        inlet = Inlet.open(plan, owner, is_piped=self._last > 0)
        stdout = Outlet.open(plan.stdout, owner)
        self._note_pipes(inlet.sink, stdout.reader)
        shared: Outlet | None = None
        if plan.stderr.target == "stdout":
            shared = Outlet(stdout.writer)
        elif plan.stderr.target is not None:
            shared = Outlet.open(plan.stderr, owner)
            if stdout.is_same_path(shared):
                shared = Outlet(stdout.writer)
        outlets: list[tuple[Outlet, Outlet]] = []
        for stage, command in enumerate(self._commands):
            is_last = stage == self._last
            stderr = shared or Outlet.open(plan.stderr, owner)
            self._note_pipes(stderr.reader)
            process = spawn(
                command,
                stage,
                plan,
                owner,
                stdin=self._wiring.stdin(stage) if stage else inlet.number,
                stdout=stdout.number if is_last else self._wiring.stdout(stage),
                stderr=stderr.number,
            )
            self.processes.append(process)
            self._observation.start(stage, process.pid)
            self._wiring.close_outer_ends(stage)
            if stage == 0:
                inlet.close()
            if is_last:
                stdout.close()
            if stderr is not shared:
                stderr.close()
            outlets.append((stdout if is_last else Outlet(None), stderr))
        if shared is not None:
            shared.close()
        # Only now what takes us time: the stages are busy with themselves meanwhile.
        lines = self._observation.lines
        for stage, (out, err) in enumerate(outlets):
            process = self.processes[stage]
            child = Child(
                self._commands[stage],
                process,
                stdout=out.read(plan.stdout, plan, lines("stdout", stage)),
                stderr=err.read(plan.stderr, plan, lines("stderr", stage)),
            )
            self.children.append(child)
            process.watch()
        self.feeding = inlet.begin(self.processes[0].pid, self._observation)

    def _note_pipes(self, *ends: Descriptor | None) -> None:
        """Remember the pipes that stages may pass on to others."""
        for end in ends:
            if end is not None:
                self.pipes.add(os.fstat(end.fileno()).st_ino)

    def ends(self) -> list[asyncio.Future[None]]:
        """Return what, beside the exits, has to end."""
        ends = [output.ended for child in self.children for output in child.outputs]
        return ends if self.feeding is None else [*ends, self.feeding]

    def stop_feeding(self) -> None:
        """Give nothing more to those who read on after the first stage has exited."""
        if self.feeding is not None and not self.feeding.done():
            self.feeding.cancel()
            error = TimeoutError(ETIMEDOUT, "others read on after the command's exit")
            tell_failure("write", self.processes[0].pid, error, self._observation)

    def have_exited(self) -> bool:
        """Tell whether every process has exited."""
        return all(process.exited.done() for process in self.processes)

    def name_strays(self, error: BaseException) -> None:
        """Say in ``error`` which stages could not be ended."""
        for stage, process in enumerate(self.processes):
            if process.returncode is None and not process.is_ours:
                error.add_note(f"stage {stage} runs on: pid {process.pid} is not ours")

    def partial_output(self) -> PartialOutput:
        """Return what has been captured so far."""
        empty: Any = "" if self._plan.text else b""
        stdout: Any = empty if self._plan.stdout.keep else None
        stderr: Any = empty if self._plan.stderr.keep else None
        for child in self.children:
            if child.stdout is not None:
                stdout = child.stdout.partial_value()
            if child.stderr is not None and stderr is not None:
                stderr += child.stderr.partial_value()
        return PartialOutput(stdout, stderr)
