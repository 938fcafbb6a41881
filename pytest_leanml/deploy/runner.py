"""Carry a decision out, step by step under a journal and a lock; the alias is moved last and undone first."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.config import load_config
from pytest_leanml.deploy.journal import Journal, Release, State, journal_url
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.deploy.proof import Proven, prove
from pytest_leanml.errors import ExitStatus, LeanmlError, RegistryError, UndecidedError, UnknownOutcomeError
from pytest_leanml.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.config import Config

ALIAS_STEP = "alias"


class Action(StrEnum):
    """What to do with a decision."""

    APPLY = "apply"
    PLAN = "plan"
    RESUME = "resume"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Done:
    """How a deploy ended.

    Attributes:
        status: exit status.
        message: one sentence for a person.
    """

    status: int
    message: str


def deploy(decision: Path, config_path: Path, policies: Sequence[Path] | None, action: Action) -> Done:
    """Carry out, plan, resume or undo one decision.

    Args:
        decision: decision.json, with evidence.json beside it.
        config_path: leanml.yaml.
        policies: instead of the config's ``policy.paths``.
        action: what to do.

    Returns:
        Status and message; every error of ours is turned into them.
    """
    try:
        config = load_config(config_path)
        proven = prove(decision, config, policies)
        registry = Registry(config.model.registry if config.model else None, root=config.root)
        return _within(config, proven, registry, action)
    except LeanmlError as error:
        return Done(int(error.status), str(error))


def release_of(proven: Proven) -> Release:
    """Return the release key: the same for every attempt to carry out the same decision."""
    parts = (proven.run_id, proven.digest, proven.alias, proven.version, proven.environment)
    return Release(hashlib.sha256("\n".join(parts).encode()).hexdigest(), proven.run_id, proven.model)


def _within(config: Config, proven: Proven, registry: Registry, action: Action) -> Done:
    url, warning = journal_url(config, registry.uri)
    if action is Action.PLAN:
        return Done(ExitStatus.ALLOW, f"would move {_move(proven)}, journal {url.rpartition('@')[2]}")
    journal = Journal(url)
    try:
        with model_lock(journal.engine, proven.model, config.store.lock_timeout):
            step = _Alias(journal, registry, proven)
            message = step.undo() if action is Action.UNDO else step.apply()
    finally:
        journal.close()
    return Done(ExitStatus.ALLOW, f"{message}; {warning}" if warning else message)


def _move(proven: Proven) -> str:
    return f"the alias {proven.alias!r} of {proven.model} from version {proven.before or 'none'} to {proven.version}"


class _Alias:
    """The built-in last step."""

    def __init__(self, journal: Journal, registry: Registry, proven: Proven) -> None:
        self._journal = journal
        self._registry = registry
        self._proven = proven
        self._release = release_of(proven)

    def apply(self) -> str:
        """Move the alias, once.

        Raises:
            RegistryError: the artifact or the champion is not the one that was judged.
            UnknownOutcomeError: the registry failed in between, so the alias may or may not have moved.
        """
        proven = self._proven
        if self._last() is State.UNDONE:
            raise UndecidedError(
                "this decision was carried out and taken back", "a decision of its own", "run the gate again"
            )
        now_named = self._registry.version_of_alias(proven.model, proven.alias)
        if now_named == proven.version and self._last() in {State.INTENT, State.DONE}:
            self._write(State.DONE, "it was in place already")
            return f"the alias {proven.alias!r} names version {proven.version} already"
        self._check_champion(now_named)
        self._check_artifact()
        self._write(State.INTENT, _move(proven))
        try:
            self._registry.move_alias(proven.model, proven.alias, proven.version, expect=proven.before)
        except RegistryError as error:
            raise self._after_failure(error) from None
        self._write(State.DONE, _move(proven))
        return f"moved {_move(proven)}"

    def undo(self) -> str:
        """Move the alias back to the champion that was judged.

        Raises:
            UndecidedError: the decision was never carried out, or the alias names another version by now.
        """
        proven = self._proven
        if self._last() not in {State.INTENT, State.DONE}:
            raise UndecidedError("the journal has no deploy of this decision", "one that was carried out")
        if self._registry.version_of_alias(proven.model, proven.alias) == proven.before:
            self._write(State.UNDONE, "it was not in place")
            return f"the alias {proven.alias!r} names version {proven.before} already"
        self._registry.move_alias(proven.model, proven.alias, proven.before, expect=proven.version)
        self._write(State.UNDONE, _move(proven))
        return f"took back: the alias {proven.alias!r} of {proven.model} names version {proven.before or 'none'} again"

    def _check_champion(self, now_named: str | None) -> None:
        proven = self._proven
        if now_named != proven.before:
            raise RegistryError(
                f"the alias {proven.alias!r} of {proven.model} names version {now_named or 'none'} now",
                f"version {proven.before or 'none'}, the champion that was judged",
                "run the gate again: another one won",
            )

    def _check_artifact(self) -> None:
        proven = self._proven
        with tempfile.TemporaryDirectory(prefix="leanml-") as folder:
            ref = self._registry.fetch(f"models:/{proven.model}/{proven.version}", Path(folder) / "artifact")
        if ref.digest != proven.digest:
            raise RegistryError(
                f"the artifact of {proven.model} {proven.version} has the digest {ref.digest}",
                f"{proven.digest}, which was judged",
                "find out who changed it, and run the gate again",
            )

    def _after_failure(self, error: RegistryError) -> LeanmlError:
        """Look where the alias stands after a failed move; where that cannot be seen, a person must."""
        proven = self._proven
        try:
            named = self._registry.version_of_alias(proven.model, proven.alias)
        except RegistryError:
            self._write(State.UNKNOWN, error.given)
            return UnknownOutcomeError(
                f"moving the alias failed ({error.given}) and the registry does not say where it stands",
                todo="look at the registry, then `leanml deploy --resume` or `--undo`",
            )
        if named == proven.before:
            self._write(State.FAILED, error.given)
        return error

    def _last(self) -> State | None:
        entries = [entry for entry in self._journal.entries(self._release) if entry.step == ALIAS_STEP]
        return entries[-1].state if entries else None

    def _write(self, state: State, detail: str) -> None:
        self._journal.write(self._release, ALIAS_STEP, state, detail)
