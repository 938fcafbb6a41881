"""Writing a decision to the registry, in an order that leaves no ALLOW behind when it is cut short."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import LeanmlError, RegistryError
from pytest_leanml.registry.fetching import demand_ours
from pytest_leanml.registry.lookups import run_of
from pytest_leanml.registry.quiet import TRANSFER_SECONDS
from pytest_leanml.registry.records import past_decision, read_tags, tag_of
from pytest_leanml.strict import load_json
from pytest_leanml.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.registry.client import Client
    from pytest_leanml.registry.refs import ModelRef, PastDecision

_SHOWN = ("verdict", "environment", "mode", "decided_at", "digest", "policy", "evidence")


def write_record(client: Client, ref: ModelRef, decision: Mapping[str, Any], files: Sequence[Path]) -> tuple[str, ...]:
    """Write a decision: PENDING, then the files, then the verdict.

    Raises:
        RegistryError: it could not be written.
    """
    if ref.run_id is None and ref.version is None:
        return ()
    found = past_decision(decision, version=ref.version, evaluation=_evaluation(files))
    if found.digest != ref.digest:
        raise RegistryError(f"the decision speaks of {found.digest}", f"{ref.digest}, which is recorded")
    run = run_of(client, ref.run_id)
    if run is None and ref.version is None:
        raise RegistryError(f"the run {ref.run_id} is gone", "the run that was judged")
    _write_tag(client, ref, replace(found, verdict=str(Verdict.PENDING)))
    written = [_shown(ref)]
    if run is not None:
        written.append(_write_run(client, run, found, files))
    _write_tag(client, ref, found)
    return tuple(written)


def read_run_tags(client: Client, run_id: str) -> list[PastDecision]:
    """Read the decisions about a run's artifact.

    Raises:
        RegistryError: no answer.
    """
    run = run_of(client, run_id)
    return read_tags(run.data.tags, None) if run is not None else []


def _write_run(client: Client, run: Any, found: PastDecision, files: Sequence[Path]) -> str:
    run_id, folder = str(run.info.run_id), f"leanml/{found.run_id}"
    demand_ours(client, str(run.info.artifact_uri))
    for file in files:
        client.ask(
            f"keep {file.name}",
            partial(_keep, run_id=run_id, file=file, folder=folder),
            write=True,
            seconds=TRANSFER_SECONDS,
        )
    for key, value in {"run_id": found.run_id, **{each: getattr(found, each) for each in _SHOWN}}.items():
        if value:
            _tag_run(client, run_id, f"leanml.{key}", str(value))
    return f"runs:/{run_id}/{folder}"


def _keep(mlflow: Any, *, run_id: str, file: Path, folder: str) -> bool:
    mlflow.log_artifact(run_id, str(file), folder)
    return True


def _write_tag(client: Client, ref: ModelRef, found: PastDecision) -> None:
    key, value = tag_of(found)
    if ref.name is None or ref.version is None:
        _tag_run(client, str(ref.run_id), key, value)
        return
    name, version = ref.name, ref.version
    client.ask(
        f"record the decision on {name} {version}",
        lambda mlflow: mlflow.set_model_version_tag(name, version, key, value) is None,
        write=True,
    )


def _tag_run(client: Client, run_id: str, key: str, value: str) -> None:
    client.ask(f"tag the run {run_id}", lambda mlflow: mlflow.set_tag(run_id, key, value) is None, write=True)


def _shown(ref: ModelRef) -> str:
    return f"models:/{ref.name}/{ref.version}" if ref.version is not None else f"runs:/{ref.run_id}"


def _evaluation(files: Sequence[Path]) -> str | None:
    """Read from evidence.json on which data the decision rests."""
    path = next((each for each in files if each.name == "evidence.json"), None)
    if path is None:
        return None
    try:
        document = load_json(Path(path).read_bytes(), file=path)
        found = document["data"]["evaluation"]["digest"]
    except (LeanmlError, OSError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
