"""The built-in last step of a deploy: moving the environment's alias; it is undone first."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.deploy.journal import State, alias_step
from pytest_leanml.deploy.proof import RefusedError
from pytest_leanml.errors import LeanmlError, StoreError, UndecidedError, UnknownOutcomeError

if TYPE_CHECKING:
    from pytest_leanml.deploy.journal import Journal, Release
    from pytest_leanml.deploy.lock import Held
    from pytest_leanml.deploy.proof import Proven
    from pytest_leanml.registry import Registry

# Begun, and as far as the journal knows neither failed nor taken back.
BEGUN = {State.INTENT, State.DONE, State.UNKNOWN}


def move_of(proven: Proven) -> str:
    """Say which move it is."""
    return f"the alias {proven.alias!r} of {proven.model} from version {proven.before or 'none'} to {proven.version}"


def demand_champion(proven: Proven, named: str | None) -> None:
    """Refuse where the alias does not name the champion that was judged."""
    if named != proven.before:
        raise RefusedError(
            f"the alias {proven.alias!r} of {proven.model} names version {named or 'none'} now",
            f"version {proven.before or 'none'}, the champion that was judged",
            "run the gate again: another one won",
        )


def demand_artifact(proven: Proven, registry: Registry) -> None:
    """Refuse where the version's artifact has other bytes than those that were judged."""
    with tempfile.TemporaryDirectory(prefix="leanml-") as folder:
        ref = registry.fetch(f"models:/{proven.model}/{proven.version}", Path(folder) / "artifact")
    if ref.digest != proven.digest:
        raise RefusedError(
            f"the artifact of {proven.model} {proven.version} has the digest {ref.digest}",
            f"{proven.digest}, which was judged",
            "find out who changed it, and run the gate again",
        )


class AliasStep:
    """The built-in last step; whoever holds one holds the model's lock."""

    def __init__(self, journal: Journal, registry: Registry, proven: Proven, release: Release, held: Held) -> None:
        self._journal = journal
        self._registry = registry
        self._proven = proven
        self._held = held
        self._release = release
        self._step = alias_step(proven.alias)

    def demand(self) -> None:
        """Refuse, before the first hook, what ``apply`` would refuse after the last one.

        Raises:
            RefusedError: the artifact or the champion is not the one that was judged.
            UndecidedError: it was carried out and taken back, or another one came after it.
        """
        self._demand_open(self.last())
        demand_champion(self._proven, self._named())
        demand_artifact(self._proven, self._registry)

    def in_place(self) -> bool:
        """Whether it was begun, and the alias names the version: what is left is a line in the journal."""
        return self.last() in BEGUN and self._named() == self._proven.version

    def apply(self, *, begun: bool) -> str:
        """Move the alias, once.

        Args:
            begun: demand that the journal knows of a beginning: only then an old decision may still be carried out.

        Raises:
            RefusedError: the artifact or the champion is not the one that was judged.
            UndecidedError: there is nothing to resume, or it was carried out and taken back.
            UnknownOutcomeError: the registry failed in between, so the alias may or may not have moved.
        """
        proven, last = self._proven, self.last()
        if begun and last not in BEGUN:
            raise UndecidedError(
                "the journal has no deploy of this decision that was cut off",
                "one that was begun",
                "leave --resume out",
            )
        named = self._named()
        if named == proven.version and last in BEGUN:
            self._write(State.DONE, "it was in place already")
            return f"the alias {proven.alias!r} names version {proven.version} already"
        self._demand_open(last)
        demand_champion(proven, named)
        demand_artifact(proven, self._registry)
        self._held()
        self._write(State.INTENT, move_of(proven))
        return self._moved(to=proven.version, expect=proven.before, end=State.DONE, told=f"moved {move_of(proven)}")

    def undo(self) -> str:
        """Move the alias back to the champion that was judged.

        Raises:
            UndecidedError: the decision was never carried out, or the alias names another version by now.
            UnknownOutcomeError: the registry failed in between.
        """
        proven, last = self._proven, self.last()
        if last is State.UNDONE:
            return f"it was taken back already; the alias {proven.alias!r} names version {self._named() or 'none'}"
        if last not in {*BEGUN, State.UNDOING}:
            raise UndecidedError("the journal has no deploy of this decision", "one that was carried out")
        named = self._named()
        if named == proven.before:
            self._write(State.UNDONE, "it was not in place")
            return f"the alias {proven.alias!r} names version {proven.before or 'none'} already"
        if named != proven.version:
            raise UndecidedError(
                f"the alias {proven.alias!r} of {proven.model} names version {named or 'none'} now",
                f"version {proven.version}, which this decision put there",
                "take back what came after it first, or use `leanml rollback --to`",
            )
        self._held()
        self._write(State.UNDOING, move_of(proven))
        told = f"took back: the alias {proven.alias!r} of {proven.model} names version {proven.before or 'none'} again"
        return self._moved(to=proven.before, expect=proven.version, end=State.UNDONE, told=told)

    def _demand_open(self, last: State | None) -> None:
        """A decision is carried out once: what was taken back, or overtaken, is not done again."""
        taken_back = last in {State.UNDONE, State.UNDOING, State.DONE}
        if taken_back or (last is not None and self._journal.overtaken(self._release, self._step)):
            raise UndecidedError(
                "this decision was carried out and taken back, or another one came after it",
                "a decision of its own",
                "run the gate again",
            )

    def _moved(self, *, to: str | None, expect: str | None, end: State, told: str) -> str:
        proven = self._proven
        try:
            self._registry.move_alias(proven.model, proven.alias, to, expect=expect)
        except LeanmlError as error:
            self._look(error, to=to, undoing=end is State.UNDONE)
        try:
            self._write(end, told)
        except StoreError as error:
            raise UnknownOutcomeError(
                f"{told}, and this could not be written down: {error.given}",
                todo="`leanml deploy --resume` or `--undo`",
            ) from None
        return told

    def _look(self, error: LeanmlError, *, to: str | None, undoing: bool) -> None:
        """After a failed move look where the alias stands: it may have moved all the same, and then all is well."""
        try:
            named = self._named()
        except LeanmlError:
            raise self._unknown(error, "the registry does not say where it stands") from None
        if named == to:
            return
        stands = f"the alias names version {named or 'none'} now"
        if undoing:
            raise self._unknown(error, stands)
        self._write(State.FAILED, f"{error.given}; {stands}")
        raise UndecidedError(f"{error.given}; {stands}", error.expected, error.todo) from None

    def _unknown(self, error: LeanmlError, stands: str) -> UnknownOutcomeError:
        """A person must look; where even the journal is silent, its last line still says what was begun."""
        told = f"moving the alias failed ({error.given}); {stands}"
        with suppress(StoreError):
            self._write(State.UNKNOWN, told)
        return UnknownOutcomeError(told, todo="look at the registry, then `leanml deploy --resume` or `--undo`")

    def _named(self) -> str | None:
        return self._registry.version_of_alias(self._proven.model, self._proven.alias)

    def last(self) -> State | None:
        """Return the last state that the journal has of it."""
        entries = [entry for entry in self._journal.entries(self._release) if entry.step == self._step]
        return entries[-1].state if entries else None

    def _write(self, state: State, detail: str) -> None:
        self._journal.write(self._release, self._step, state, detail)
