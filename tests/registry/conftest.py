"""A real MLflow registry in SQLite, seeded once and copied for each test: MLflow's migrations take seconds."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly

# 2026-11-20T08:00:00Z to 08:02:30Z
STARTED = 1_795_161_600_000
ENDED = STARTED + 150_000
COLUMNS = {
    "runs": ("artifact_uri",),
    "experiments": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


@dataclass(frozen=True)
class Seeded:
    """A registry with the model ``flights``: version 1 is champion, 2 and 3 follow, 3 is candidate.

    Version 1 and 2 come from runs, version 3 has no run. The run of version 2 has the file ``notes.txt`` and a model
    that it logged as ``logged``.
    """

    root: Path
    run_1: str
    run_2: str

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def registry(self) -> Registry:
        return Registry(self.uri, root=self.root)

    @property
    def client(self):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def source(self, version: str) -> Path:
        """Where the bytes of a version lie."""
        with closing(sqlite3.connect(self.root / "mlflow.db")) as database:
            query = "SELECT storage_location FROM model_versions WHERE name = 'flights' AND version = ?"
            return Path(database.execute(query, (version,)).fetchone()[0])


def write_model(folder: Path, text: str) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights.bin").write_text(text)
    return folder


def _run(client, model: Path | None) -> str:
    tags = {"mlflow.source.git.commit": "8d1f2ab", "mlflow.source.git.dirty": "false", "team": "risk"}
    run = client.create_run("1", start_time=STARTED, tags=tags)
    if model is not None:
        client.log_artifacts(run.info.run_id, str(model), "model")
    client.set_terminated(run.info.run_id, end_time=ENDED)
    return run.info.run_id


def _log_model(client, run_id: str, folder: Path) -> None:
    logged = client.create_logged_model("1", name="logged", source_run_id=run_id)
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")


def seed(root: Path) -> tuple[str, str]:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{root / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_experiment("flights", artifact_location=str(root / "artifacts"))
    client.create_registered_model("flights")
    client.create_registered_model("mortgage")
    runs = [_run(client, write_model(root / "made" / number, f"weights {number}")) for number in ("1", "2")]
    for run_id in runs:
        client.create_model_version(
            "flights", f"{root}/artifacts/{run_id}/artifacts/model", run_id, {"approval": "signed"}
        )
    client.create_model_version("flights", str(write_model(root / "plain", "weights 3")))
    (root / "notes.txt").write_text("notes")
    client.log_artifact(runs[1], str(root / "notes.txt"))
    _log_model(client, runs[1], write_model(root / "made" / "logged", "weights logged"))
    client.set_registered_model_alias("flights", "champion", "1")
    client.set_registered_model_alias("flights", "candidate", "3")
    return runs[0], runs[1]


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Seeded:
    root = tmp_path_factory.mktemp("template")
    with quietly():
        return Seeded(root, *seed(root))


def _move_paths(database: Path, before: str, after: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, columns in COLUMNS.items():
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (before, after))


@pytest.fixture
def seeded(template, tmp_path, monkeypatch) -> Seeded:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "registry"
    shutil.copytree(template.root, root)
    # MLflow remembers for each run id where its artifacts lie; here the same runs lie elsewhere in each test.
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    _move_paths(root / "mlflow.db", str(template.root), str(root))
    return Seeded(root, template.run_1, template.run_2)
