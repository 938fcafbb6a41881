"""A model's URI becomes a private copy, its digest, and what the registry says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import GateUsageError, RegistryError, SourceError
from pytest_leanml.registry.copies import copy_in, copy_within, download
from pytest_leanml.registry.lookups import Version, demand_version, pages, resolve_alias, run_of
from pytest_leanml.registry.refs import AliasUri, ModelRef, PathUri, RunUri, VersionUri, check_run, parse_uri
from pytest_leanml.registry.runs import run_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.registry.client import Client

# Tags that are bookkeeping, MLflow's or ours, and no annotation of a person.
_INTERNAL = ("mlflow.", "leanml.")
_APPROVAL = ("by", "at", "digest")


@dataclass(frozen=True, slots=True)
class _Place:
    """An artifact at ``path`` below ``base``; the path must not lead out of the base. Empty: the base itself."""

    base: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Facts:
    training_date: str | None
    training: Mapping[str, Any]


def fetch(client: Client, uri: str, into: Path, *, root: Path, predictions: Path | None) -> ModelRef:
    """Copy a model, digest the copy, and say what is known of it.

    Raises:
        GateUsageError: what is asked for is not there, or cannot be taken as it is.
        RegistryError: the registry does not answer, or answers with what must not be believed.
    """
    try:
        return _fetch(client, uri, into, root, predictions)
    except SourceError as error:
        raise GateUsageError(f"{uri} cannot be taken: {error.given}", error.expected, error.todo) from error


def _fetch(client: Client, uri: str, into: Path, root: Path, predictions: Path | None) -> ModelRef:
    parsed = parse_uri(uri)
    if isinstance(parsed, PathUri):
        return _from_path(uri, root / parsed.path, into, predictions)
    ref = _from_run(client, parsed, into) if isinstance(parsed, RunUri) else _from_registry(client, parsed, into)
    if predictions is None:
        return ref
    return replace(ref, predictions=_copy_path(predictions, into.with_name(f"{into.name}-predictions")))


def _from_path(uri: str, path: Path, into: Path, predictions: Path | None) -> ModelRef:
    copy = _copy_path(path, into)
    if predictions is None:
        return ModelRef(uri, None, None, None, digest_artifact(copy), copy)
    if path.resolve() == predictions.resolve():
        return ModelRef(uri, None, None, None, digest_artifact(copy), copy, source="predictions", predictions=copy)
    other = _copy_path(predictions, into.with_name(f"{into.name}-predictions"))
    return ModelRef(uri, None, None, None, digest_artifact(copy), copy, predictions=other)


def _from_registry(client: Client, parsed: VersionUri | AliasUri, into: Path) -> ModelRef:
    number = parsed.version if isinstance(parsed, VersionUri) else resolve_alias(client, parsed.name, parsed.alias)
    version = demand_version(client, parsed.name, number)
    pinned = f"models:/{version.name}/{version.number}"
    source = client.ask(
        f"locate {pinned}", lambda mlflow: str(mlflow.get_model_version_download_uri(version.name, version.number))
    )
    artifact = _take(client, _resolved(client, source), into, pinned)
    run = run_of(client, version.run_id)
    facts = _facts(run, version)
    return ModelRef(
        pinned,
        version.name,
        version.number,
        version.run_id if run is not None else None,
        digest_artifact(artifact),
        artifact,
        annotations=_annotations(version.tags),
        approval=_approval(version.tags),
        training_date=facts.training_date,
        training=facts.training,
        source="registry",
        run=run_facts(client, run),
    )


def _from_run(client: Client, parsed: RunUri, into: Path) -> ModelRef:
    pinned = f"runs:/{parsed.run_id}/{parsed.path}"
    artifact = _take(client, _place_in_run(client, parsed), into, pinned)
    run = _demand_run(client, parsed.run_id)
    facts = _facts(run, None)
    tags = {str(key): str(value) for key, value in run.data.tags.items()}
    return ModelRef(
        pinned,
        None,
        None,
        parsed.run_id,
        digest_artifact(artifact),
        artifact,
        annotations=_annotations(tags),
        approval=_approval(tags),
        training_date=facts.training_date,
        training=facts.training,
        source="run",
        run=run_facts(client, run),
    )


def _copy_path(path: Path, into: Path) -> Path:
    if path.exists():
        return copy_in(path.resolve(), into)
    folder = path.parent
    beside = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    near = get_close_matches(path.name, beside, 3, 0.4) or beside[:5]
    raise GateUsageError(
        f"{path} does not exist",
        f"a model such as {', '.join(near)}" if near else "the path of a model",
        "correct the path",
    )


def _take(client: Client, place: _Place, into: Path, shown: str) -> Path:
    """Copy or download what lies at a place, if this registry may point there."""
    demand_ours(client, place.base)
    local = local_path(place.base)
    if local is not None:
        return copy_within(local, place.path, into)
    copy = download(client, f"{place.base.rstrip('/')}/{place.path}".rstrip("/"), into)
    if copy is None:
        raise GateUsageError(f"{shown} has no artifact in the registry", "a model's files", "log the model again")
    return copy


def _resolved(client: Client, source: str) -> _Place:
    """Follow a version's source to where its bytes lie."""
    if source.startswith("runs:"):
        parsed = parse_uri(source)
        return _place_in_run(client, parsed) if isinstance(parsed, RunUri) else _Place(source)
    if source.startswith("models:/m-"):
        model_id = check_run(source.removeprefix("models:/"))
        found = client.ask(f"read {model_id}", lambda mlflow: str(mlflow.get_logged_model(model_id).artifact_location))
        return _Place(found)
    return _Place(source)


def _place_in_run(client: Client, parsed: RunUri) -> _Place:
    """Find an artifact of a run: among its files, or (since MLflow 3) as a model that it logged under that name."""
    run = _demand_run(client, parsed.run_id)
    root = str(run.info.artifact_uri)
    demand_ours(client, root)
    name, _, rest = parsed.path.partition("/")
    logged = _logged(client, run, name)
    here = _has(client, root, parsed.path)
    if len(logged) + here > 1:
        raise GateUsageError(
            f"the run {parsed.run_id} has {len(logged) + here} artifacts named {name!r}",
            "a URI that names one",
            "register the one that is meant, and name its version",
        )
    if logged:
        return _Place(logged[0], rest)
    if here:
        return _Place(root, parsed.path)
    raise GateUsageError(
        f"no artifact {parsed.path!r} in the run {parsed.run_id}",
        f"one of {', '.join(_artifacts(client, run)) or 'none; this run has no artifacts'}",
        "correct the path",
    )


def _demand_run(client: Client, run_id: str) -> Any:
    run = run_of(client, run_id)
    if run is None:
        raise GateUsageError(
            f"no run {run_id!r} in the registry {client.location.shown}", "a run that is not deleted", "correct its id"
        )
    return run


def _logged(client: Client, run: Any, name: str | None) -> list[str]:
    """Return the locations of the models of one name that a run logged; without a name, their names."""
    wanted = "artifact_location" if name else "name"
    found = pages(
        client,
        f"list the models of run {run.info.run_id}",
        lambda mlflow, token: mlflow.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string=f"source_run_id = '{run.info.run_id}'",
            page_token=token,
        ),
        lambda each: (each.source_run_id, each.name, str(getattr(each, wanted))),
    )
    return [
        found_there for source, called, found_there in found if source == run.info.run_id and name in {None, called}
    ]


def _has(client: Client, root: str, path: str) -> bool:
    folder, _, leaf = path.rpartition("/")
    return leaf in _children(client, root, folder)


def _children(client: Client, root: str, folder: str) -> list[str]:
    local = local_path(root)
    if local is not None:
        inside = local / folder
        return sorted(each.name for each in inside.iterdir()) if inside.is_dir() else []
    from mlflow import artifacts

    uri = f"{root.rstrip('/')}/{folder}".rstrip("/")
    found = client.find(
        "list a run's artifacts",
        lambda _: artifacts.list_artifacts(artifact_uri=uri, tracking_uri=client.location.uri),
    )
    return sorted(str(each.path).rpartition("/")[2] for each in (found[0] if found else []))


def _artifacts(client: Client, run: Any) -> list[str]:
    return sorted({*_logged(client, run, None), *_children(client, str(run.info.artifact_uri), "")})[:10]


def local_path(location: str) -> Path | None:
    """Return the path of a location on this machine, None for one elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "":
        return Path(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in {"", "localhost"} else None


def demand_ours(client: Client, location: str) -> None:
    """Make sure that a registry does not point where it has no business.

    A server elsewhere that names a path of this machine would have the gate read, or write, this machine's files; one
    that names another server would be sent the credentials of the first.

    Raises:
        RegistryError: it does.
    """
    parts, host = urlsplit(location), client.location.host
    if any(each in {".", ".."} for each in unquote(unquote(parts.path)).split("/")) or "\\" in location:
        raise _not_ours(location, "a location without ..")
    local = local_path(location) is not None
    if (local and client.location.elsewhere) or (not local and parts.scheme == "file"):
        raise _not_ours(location, f"a location that {host or 'the registry'} serves itself")
    if parts.scheme in {"http", "https", "mlflow-artifacts"} and parts.netloc.rpartition("@")[2] not in {"", host}:
        raise _not_ours(location, f"a location at {host or 'this machine'}")


def _not_ours(location: str, expected: str) -> RegistryError:
    return RegistryError(
        f"the registry says that the model lies at {location!a}",
        expected,
        "do not trust this registry before someone has looked at it",
    )


def _annotations(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in sorted(tags.items()) if not key.startswith(_INTERNAL)}


def _approval(tags: Mapping[str, str]) -> dict[str, str]:
    return {part: tags[f"approval.{part}"] for part in _APPROVAL if tags.get(f"approval.{part}")}


def _facts(run: Any | None, version: Version | None) -> _Facts:
    """Say when training ended: a run that was opened again later must not make an old model young."""
    if run is None:
        return _Facts(None, {})
    started, ended = run.info.start_time, run.info.end_time
    training: dict[str, Any] = {}
    if started and ended and ended >= started:
        training["seconds"] = (ended - started) / 1000
    tags = run.data.tags
    if tags.get("mlflow.source.git.commit"):
        training["git_commit"] = str(tags["mlflow.source.git.commit"])
    if tags.get("mlflow.source.git.dirty") in {"true", "false"}:
        training["git_dirty"] = tags["mlflow.source.git.dirty"] == "true"
    known = [moment for moment in (ended, version.created if version else None) if moment]
    return _Facts(_stamp(min(known)) if ended and known else None, training)


def _stamp(milliseconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError):
        return None
