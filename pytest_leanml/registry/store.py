"""The registry as the rest of the gate sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.registry.client import Client
from pytest_leanml.registry.fetching import fetch
from pytest_leanml.registry.lookups import Version, aliases_of, demand_aliases, demand_version, versions
from pytest_leanml.registry.promotion import approve, delete_version, fetched, move_alias, rollback, tag_version
from pytest_leanml.registry.reach import locate
from pytest_leanml.registry.records import count_streak, ordered, read_tags
from pytest_leanml.registry.refs import (
    AliasMove,
    Approval,
    Distinct,
    ModelRef,
    PastDecision,
    Streak,
    check_alias,
    check_name,
)
from pytest_leanml.registry.writing import read_run_tags, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Registry:
    """An MLflow model registry. Nothing is imported, opened or asked before the first question.

    Args:
        uri: its URI; None takes MLFLOW_TRACKING_URI, else mlflow.db in ``root``. Credentials come from MLflow's own
            environment variables only.
        root: folder of leanml.yaml, which relative paths start from.

    Raises:
        GateUsageError: a URI that cannot hold a registry.
    """

    def __init__(self, uri: str | None, *, root: Path) -> None:
        self._root = Path(root)
        self._client = Client(locate(uri, self._root))

    @property
    def uri(self) -> str:
        """The URI in force; of a SQLite file with its absolute path."""
        return self._client.location.uri

    def fetch(self, uri: str, into: Path, *, predictions: Path | None = None) -> ModelRef:
        """Copy a model into a private folder, digest the copy and pin its URI; an alias is resolved once.

        Args:
            uri: ``models:/name/3``, ``models:/name@alias``, ``runs:/id/path``, or a path.
            into: folder for the copy, made here with mode 0700; must be empty if it exists.
            predictions: a file that is judged in place of loading the model; copied beside ``into``.

        Raises:
            GateUsageError: what is asked for is not there, with what is; or it holds links or devices.
            RegistryError: the registry does not answer, or points where it must not.
        """
        return fetch(self._client, uri, Path(into), root=self._root, predictions=predictions)

    def version_of_alias(self, name: str, alias: str) -> str | None:
        """Return the version that an alias names; None when there is no such alias or model.

        Raises:
            GateUsageError: no name, no alias, or no registry at that place.
            RegistryError: no answer.
        """
        known = aliases_of(self._client, check_name(name))
        return (known or {}).get(check_alias(alias))

    def move_alias(self, name: str, alias: str, version: str | None, *, expect: str | None) -> AliasMove:
        """Move an alias, if it still names ``expect``; the caller holds the model's lock.

        Args:
            name: registered name.
            alias: the alias.
            version: where to; None removes the alias.
            expect: the version that it must name now; None when it must name none.

        Raises:
            GateUsageError: the model or the version is not there.
            RegistryError: it names something else (another gate won), or no answer.
        """
        return move_alias(self._client, name, alias, version, expect=expect)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a registered model, oldest first.

        Raises:
            GateUsageError: no name, or no registry at that place.
            RegistryError: no answer.
        """
        return tuple(versions(self._client, check_name(name)))

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias -> version of a registered model.

        Raises:
            GateUsageError: no model has that name.
            RegistryError: no answer.
        """
        return demand_aliases(self._client, check_name(name))

    def tag(self, name: str, version: str, key: str, value: str | None) -> None:
        """Set a tag of a version; None takes it away.

        Raises:
            RegistryError: no answer.
        """
        tag_version(self._client, name, version, key, value)

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version for good; its run and its artifact stay. One that is gone already is fine.

        Raises:
            RegistryError: an alias names it, or no answer.
        """
        delete_version(self._client, name, version)

    def record(self, ref: ModelRef, decision: Mapping[str, Any], files: Sequence[Path]) -> tuple[str, ...]:
        """Write a decision to the candidate's version and run.

        The version (or the run of a ``runs:/`` URI) gets the tag that streaks are read from, first as PENDING, then as
        it is; the run gets the files under ``leanml/<run id>/`` and the tags ``leanml.*``.

        Args:
            ref: the candidate.
            decision: the document of decision.json, of an enforcing run.
            files: evidence.json, decision.json, report.md.

        Returns:
            Where it was written; empty for a model that is in no registry.

        Raises:
            RegistryError: it could not be written; a record that was begun stays PENDING and ends a streak.
        """
        return write_record(self._client, ref, decision, files)

    def history(self, name: str) -> tuple[PastDecision, ...]:
        """Return all decisions about a model's versions, oldest first; broken records say so.

        Raises:
            GateUsageError: no model has that name.
            RegistryError: no answer.
        """
        demand_aliases(self._client, check_name(name))
        found = versions(self._client, name)
        return ordered(each for version in found for each in read_tags(version.tags, version.number))

    def streak(
        self, ref: ModelRef, *, environment: str, distinct: Distinct = "run", exclude_run_id: str | None = None
    ) -> Streak:
        """Count the consecutive ALLOWs of this version's bytes in an environment; a DENY there ends it.

        Args:
            ref: the candidate.
            environment: where they must have been judged.
            distinct: count each run, each day (UTC), or each evaluation data set once.
            exclude_run_id: the present run, which never counts.

        Raises:
            RegistryError: no answer.
        """
        if ref.name is not None and ref.version is not None:
            found = read_tags(demand_version(self._client, ref.name, ref.version).tags, ref.version)
        elif ref.run_id is not None:
            found = read_run_tags(self._client, ref.run_id)
        else:
            return Streak(0, (), "none")
        return count_streak(
            found, digest=ref.digest, environment=environment, distinct=distinct, exclude_run_id=exclude_run_id
        )

    def approve(self, uri: str, *, by: str, at: str, digest: str | None = None) -> Approval:
        """Bind an approval to the bytes of a version: tags ``approval.by``, ``.at``, ``.digest`` and ``approval``.

        Args:
            uri: ``models:/name/3`` or ``models:/name@alias``.
            by: who approves.
            at: RFC 3339 time.
            digest: the bytes that were looked at, where they are known.

        Raises:
            GateUsageError: the version is not there, or holds other bytes than those that were judged.
            RegistryError: no answer.
        """
        ref = fetched(self.fetch, uri)
        return approve(self._client, ref, by=by, at=at, digest=digest)

    def rollback(self, name: str, alias: str, to: str | None = None) -> AliasMove:
        """Move an alias back to the version remembered before, or to one that is named; the caller holds the lock.

        Raises:
            GateUsageError: nothing is remembered, or the version is not there.
            RegistryError: no answer, or another one moved it meanwhile.
        """
        return rollback(self._client, name, alias, to)
