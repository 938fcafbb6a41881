"""approve, history and rollback: what a person asks of the registry, as text."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from pytest_leanml.clock import now, stamp
from pytest_leanml.config import environment_of, load_config
from pytest_leanml.deploy.journal import Release, State, alias_step, open_journal
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.errors import LeanmlError, RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.report.escape import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_leanml.config import Config
    from pytest_leanml.registry import AliasMove, PastDecision

_LOCK_SECONDS = 60.0


def approve(uri: str, by: str, config: Path, registry: str | None) -> str:
    """Bind an approval to the bytes of a version.

    Args:
        uri: ``models:/name/3`` or ``models:/name@alias``.
        by: who approves.
        config: leanml.yaml, for its registry; may be absent.
        registry: URI that wins over it.

    Raises:
        GateUsageError: the version is not there.
        RegistryError: no answer.
    """
    approval = _registry(config, registry)[0].approve(uri, by=by, at=stamp(now()))
    return f"{approval.uri} with the digest {approval.digest} is approved by {approval.by} at {approval.at}"


def history(model: str, config: Path, registry: str | None) -> str:
    """Tell what was decided about a model, oldest first.

    Raises:
        GateUsageError: no model has that name.
        RegistryError: no answer.
    """
    found = _registry(config, registry)[0].history(model)
    return "".join(f"{one_line(_line(each))}\n" for each in found) or f"no decision about {model} is recorded\n"


def _line(each: PastDecision) -> str:
    parts = (each.decided_at, each.run_id, f"version {each.version}", each.environment, each.verdict, each.broken)
    return "  ".join(str(part) for part in parts if part)


def rollback(model: str, to: str | None, environment: str | None, config: Path, registry: str | None) -> str:
    """Move an environment's alias back, under the model's lock, with a line in the journal.

    Args:
        model: registry name.
        to: version; by default the one that the alias named before.
        environment: whose alias; by default the config's.
        config: leanml.yaml.
        registry: URI that wins over it.

    Raises:
        GateUsageError: nothing is remembered, or the version is not there.
        UndecidedError: the registry or the journal does not answer, or another run holds the lock.
    """
    known, loaded = _registry(config, registry)
    alias = environment_of(loaded, environment)[1].alias if loaded is not None else environment or "champion"
    moment = stamp(now())
    release, step = Release.of(f"rollback {moment}", model, alias, str(to), secrets.token_hex(8)), alias_step(alias)
    journal, warning = open_journal(loaded, known.uri)
    try:
        with model_lock(
            journal.engine, model, loaded.store.lock_timeout if loaded is not None else _LOCK_SECONDS
        ) as held:
            held()
            journal.write(release, step, State.INTENT, f"rollback to {to or 'the version before'}")
            try:
                told = _moved(known.rollback(model, alias, to))
            except LeanmlError as error:
                unknown = isinstance(error, RegistryError)
                journal.write(release, step, State.UNKNOWN if unknown else State.FAILED, error.given)
                raise
            journal.write(release, step, State.DONE, told)
    finally:
        journal.close()
    return f"{told}; {warning}" if warning else told


def _moved(move: AliasMove) -> str:
    return (
        f"the alias {move.alias!r} of {move.name} names version {move.after or 'none'}; it was {move.before or 'none'}"
    )


def _registry(config: Path, uri: str | None) -> tuple[Registry, Config | None]:
    loaded = load_config(config) if config.exists() else None
    named = uri or (loaded.model.registry if loaded is not None and loaded.model is not None else None)
    return Registry(named, root=loaded.root if loaded is not None else config.absolute().parent), loaded
