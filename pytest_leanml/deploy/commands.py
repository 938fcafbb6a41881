"""approve, history, rollback and the audit log: what a person asks of registry and journal, as text."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from pytest_leanml.clock import now, stamp
from pytest_leanml.config import environment_of, load_config
from pytest_leanml.deploy.audit import Head
from pytest_leanml.deploy.journal import Journal, Release, State, alias_step, journal_url, open_journal
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.errors import ExitStatus, GateUsageError, LeanmlError, RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.report.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def verify_audit(heads: Sequence[str], config: Path, registry: str | None) -> tuple[str, ExitStatus]:
    """Check the audit log of every model in the journal's store.

    Args:
        heads: ``MODEL=NUMBER:HASH`` as an earlier check printed them: these events must still be there.
        config: leanml.yaml, for its store.
        registry: URI of the registry, beside which the default lies.

    Returns:
        What was found, and 0 where nothing is wrong, else 20.

    Raises:
        GateUsageError: there is no such store, or a head is written otherwise.
        StoreError: it does not answer.
    """
    known, loaded = _registry(config, registry)
    url, _ = journal_url(loaded, known.uri)
    file = Path(str(make_url(url).database))
    if url.startswith("sqlite") and not file.exists():
        raise GateUsageError(
            f"there is no journal {file}", "one that a deploy has written", "give --config or --registry"
        )
    journal = Journal(url)
    try:
        problems, found = journal.verify()
        problems += [each for text in heads for each in journal.missing(_head(text))]
    finally:
        journal.close()
    if problems:
        return "".join(f"{one_line(problem)}\n" for problem in problems), ExitStatus.DENY
    told = [f"{each.model}: {each.number} events, head {each.model}={each.number}:{each.hash}" for each in found]
    return "".join(f"{one_line(each)}\n" for each in told) or "the audit log is empty\n", ExitStatus.ALLOW


def _head(text: str) -> Head:
    model, _, rest = text.rpartition("=")
    number, _, own = rest.partition(":")
    if not model or not number.isdigit() or not own:
        raise GateUsageError(f"the head {text!r}", "MODEL=NUMBER:HASH, as `leanml verify --audit` prints it")
    return Head(model, int(number), own)


def _moved(move: AliasMove) -> str:
    return (
        f"the alias {move.alias!r} of {move.name} names version {move.after or 'none'}; it was {move.before or 'none'}"
    )


def _registry(config: Path, uri: str | None) -> tuple[Registry, Config | None]:
    loaded = load_config(config) if config.exists() else None
    named = uri or (loaded.model.registry if loaded is not None and loaded.model is not None else None)
    return Registry(named, root=loaded.root if loaded is not None else config.absolute().parent), loaded
