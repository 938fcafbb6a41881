"""Aliases that move, approvals that are given, and the way back.

MLflow's aliases know no compare-and-set: the last writer wins. Whoever moves one holds the model's lock (see
``pytest_leanml.deploy``) and says what the alias must still name; both are looked at here, before and after.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.errors import GateUsageError, RegistryError
from pytest_leanml.registry.lookups import demand_aliases, demand_version
from pytest_leanml.registry.records import ordered, read_tags
from pytest_leanml.registry.refs import AliasMove, Approval, ModelRef, check_alias, check_name, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.registry.client import Client

# A tag of the version that came: the version that the alias named before it; empty where it named none.
BEFORE = "leanml.before."
SIGNED = ("approval", "signed")
MAX_PERSON = 200


def move_alias(client: Client, name: str, alias: str, version: str | None, *, expect: str | None) -> AliasMove:
    """Move an alias from ``expect`` to ``version``, and remember ``expect`` in a tag of ``version``.

    Args:
        client: the registry's client.
        name: registered name.
        alias: the alias.
        version: where to; None removes the alias.
        expect: the version that the alias must name now; None when it must name none.

    Raises:
        GateUsageError: the model or the version is not there.
        RegistryError: the alias names something else, or no answer.
    """
    check_name(name), check_alias(alias)
    before = demand_aliases(client, name).get(alias)
    if before != expect:
        raise RegistryError(
            f"the alias {alias!r} of {name} names version {before or 'none'} now",
            f"version {expect or 'none'}, which was judged",
            "run the gate again: another one won",
        )
    if version == before:
        return AliasMove(name, alias, before, version)
    if version is None:
        client.ask(
            f"remove {name}@{alias}",
            lambda mlflow: _done(mlflow.delete_registered_model_alias(name, alias)),
            write=True,
        )
    else:
        demand_version(client, name, check_version(version))
        _tag(client, name, version, BEFORE + alias, before or "")
        _set(client, name, alias, version)
    return _seen(client, AliasMove(name, alias, before, version))


def rollback(client: Client, name: str, alias: str, to: str | None = None) -> AliasMove:
    """Move an alias back, to the version remembered before or to one that is named.

    Args:
        client: the registry's client.
        name: registered name.
        alias: the alias.
        to: a version; None takes the remembered one.

    Raises:
        GateUsageError: nothing to move, nothing remembered, or the version is not there.
        RegistryError: no answer, or another one moved it meanwhile.
    """
    now_named = demand_aliases(client, check_name(name)).get(check_alias(alias))
    if now_named is None:
        raise GateUsageError(f"the alias {alias!r} of {name} names no version", "an alias that was promoted")
    target = check_version(to) if to is not None else _remembered(client, name, alias, now_named)
    demand_version(client, name, target)
    if target == now_named:
        raise GateUsageError(f"the alias {alias!r} of {name} names version {target} already", "another version")
    _set(client, name, alias, target)
    return _seen(client, AliasMove(name, alias, now_named, target))


def approve(client: Client, ref: ModelRef, *, by: str, at: str, digest: str | None = None) -> Approval:
    """Bind an approval to a version's bytes, as tags of that version.

    Args:
        client: the registry's client.
        ref: the version, fetched just now.
        by: who approves.
        at: RFC 3339 time.
        digest: the bytes that the person has seen; None takes those of the newest decision, or of ``ref``.

    Raises:
        GateUsageError: no version, no person, no time, or other bytes than those that were judged.
        RegistryError: no answer.
    """
    if ref.name is None or ref.version is None:
        raise GateUsageError(f"{ref.uri} is no registered version", "models:/<name>/<version>", "register it first")
    _check_person(by)
    _check_time(at)
    name, number = ref.name, ref.version
    tags = demand_version(client, name, number).tags
    seen = digest or _last_judged(tags, number) or ref.digest
    if seen != ref.digest:
        raise GateUsageError(
            f"{ref.uri} holds {ref.digest}", f"{seen}, which was judged", "run the gate on these bytes first"
        )
    if tags.get("approval.digest", seen) != seen:
        client.ask(
            f"revoke the approval of {ref.uri}",
            lambda mlflow: _done(mlflow.delete_model_version_tag(name, number, "approval.digest")),
            write=True,
        )
    # The digest goes before the word that simple policies ask for: an approval that is cut short approves nothing.
    for key, value in (("approval.by", by), ("approval.at", at), ("approval.digest", seen), SIGNED):
        _tag(client, name, number, key, value)
    return Approval(ref.uri, by, at, seen)


def fetched(fetch: Callable[[str, Path], ModelRef], uri: str) -> ModelRef:
    """Fetch a model for its digest alone; the copy is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="leanml-") as folder:
        return fetch(uri, Path(folder) / "artifact")


def _remembered(client: Client, name: str, alias: str, now_named: str) -> str:
    found = demand_version(client, name, now_named).tags.get(BEFORE + alias)
    if not found:
        why = "is the first that was promoted" if found == "" else "was not promoted by this gate"
        raise GateUsageError(
            f"version {now_named} of {name} {why}, so no version before it is known",
            f"a version that {alias!r} shall name",
            "name it with --to",
        )
    return check_version(found)


def _set(client: Client, name: str, alias: str, version: str) -> None:
    client.ask(
        f"set {name}@{alias}",
        lambda mlflow: _done(mlflow.set_registered_model_alias(name, alias, version)),
        write=True,
    )


def _tag(client: Client, name: str, version: str, key: str, value: str) -> None:
    client.ask(
        f"tag {name} {version}",
        lambda mlflow: _done(mlflow.set_model_version_tag(name, version, key, value)),
        write=True,
    )


def tag_version(client: Client, name: str, version: str, key: str, value: str | None) -> None:
    """Set a tag of a version; None takes it away.

    Raises:
        RegistryError: no answer.
    """
    if value is not None:
        _tag(client, name, version, key, value)
        return
    client.ask(
        f"remove the tag {key} of {name} {version}",
        lambda mlflow: _done(mlflow.delete_model_version_tag(name, version, key)),
        write=True,
    )


def delete_version(client: Client, name: str, version: str) -> None:
    """Delete a version that no alias names; one that is gone already is fine.

    MLflow deletes the aliases of a version with it, so that they are asked for right before.

    Raises:
        RegistryError: an alias names it, or no answer.
    """
    for alias, named in demand_aliases(client, check_name(name)).items():
        if named == check_version(version):
            raise RegistryError(f"the alias {alias!r} names version {version} of {name}", "a version without an alias")
    client.find(
        f"delete {name} {version}", lambda mlflow: _done(mlflow.delete_model_version(name, version)), write=True
    )


def _done(_: object) -> bool:
    return True


def _seen(client: Client, move: AliasMove) -> AliasMove:
    """Look whether the alias stands where it was put: somebody without the lock may have come between."""
    named = demand_aliases(client, move.name).get(move.alias)
    if named != move.after:
        raise RegistryError(
            f"the alias {move.alias!r} of {move.name} was set to version {move.after or 'none'} "
            f"and names {named or 'none'}",
            "nobody else who moves it",
            "find out who moved it, then run the gate again",
        )
    return move


def _last_judged(tags: Mapping[str, str], number: str) -> str | None:
    found = ordered(read_tags(tags, number))
    return found[-1].digest if found else None


def _check_person(by: str) -> None:
    if not by.strip() or len(by) > MAX_PERSON or not by.isprintable():
        raise GateUsageError(f"{by!r} approves", "a name of at most 200 printable characters", "give it with --by")


def _check_time(at: str) -> None:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise GateUsageError(f"approved at {at!r}", "an RFC 3339 time with its zone, such as 2026-11-23T22:10:04Z")
