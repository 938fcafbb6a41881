"""``use: command``: any program, given as a list of arguments; no shell reads it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_leanml.config.deploy import Variables  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import LocalPath, Section, Text
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.program import Program, environment, run
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Argv = Annotated[tuple[Text, ...], Field(min_length=1)]
_IN_PLACE, _ABSENT = 0, 1


class CommandConfig(Section):
    """Settings: programs as lists of arguments, and which variables they get."""

    argv: Argv
    undo: Argv | None = None
    observe: Argv | None = None
    env: Variables = ()
    cwd: LocalPath | None = None


class Command:
    """Runs a program. Without ``observe`` nobody can tell whether it ran, so it runs at most once."""

    Config = CommandConfig

    def __init__(self, config: CommandConfig) -> None:
        self._config = config
        self.undoable = config.undo is not None

    def plan(self, _context: HookContext) -> str:
        """Show the program with its arguments."""
        return f"run {_shown(self._config.argv)}"

    def apply(self, context: HookContext) -> Applied:
        """Run it.

        Raises:
            DeployError: it cannot be started, or ended with a status other than 0.
            UnknownOutcomeError: it was ended in the middle.
        """
        status, said = self._run(self._config.argv, context)
        if status != 0:
            raise DeployError(f"{_shown(self._config.argv)} ended with status {status}{said}")
        return Applied({"status": status}, observable=self._config.observe is not None)

    def observe(self, context: HookContext) -> Observed:
        """Run ``observe``: 0 is in place, 1 absent, and anything else says nothing."""
        if self._config.observe is None:
            return Observed.UNKNOWN
        status, _ = self._run(self._config.observe, context)
        return {_IN_PLACE: Observed.IN_PLACE, _ABSENT: Observed.ABSENT}.get(status, Observed.UNKNOWN)

    def undo(self, context: HookContext, _detail: Mapping[str, object]) -> None:
        """Run ``undo``, where the program has one.

        Raises:
            DeployError: it did not end with 0.
        """
        if self._config.undo is None:
            return
        status, said = self._run(self._config.undo, context)
        if status != 0:
            raise DeployError(f"{_shown(self._config.undo)} ended with status {status}{said}")

    def _run(self, argv: Sequence[str], context: HookContext) -> tuple[int, str]:
        folder = context.root / (self._config.cwd or ".")
        ended = run(Program(argv, folder, environment(context, self._config.env)), context)
        if ended.status is None:
            raise UnknownOutcomeError(f"{_shown(argv)} was ended in the middle{ended.said}")
        return ended.status, ended.said


def _shown(argv: Sequence[str]) -> str:
    return shlex.join(argv)
