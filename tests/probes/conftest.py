"""A project for each probe, and a real MLflow registry in SQLite that is seeded once and copied."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest


def _seed(root):
    """Make the model ``flights``: version 1 is its champion, version 2 its candidate."""
    from mlflow.tracking import MlflowClient

    from pytest_leanml.registry.quiet import quietly

    uri = f"sqlite:///{root / 'mlflow.db'}"
    with quietly():
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.create_registered_model("flights")
        for version in ("1", "2"):
            folder = root / "models" / version
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_text("flavors: {}\n")
            (folder / "weights.bin").write_text(f"weights {version}")
            client.create_model_version("flights", str(folder))
        client.set_registered_model_alias("flights", "champion", "1")
        client.set_registered_model_alias("flights", "candidate", "2")


@pytest.fixture(scope="session")
def seeded(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeded")
    _seed(root)
    return root


@pytest.fixture
def project(request, tmp_path):
    """An empty folder, or for a probe with a registry a folder that holds a copy of the seeded one."""
    root = tmp_path / "project"
    if not request.param.registry:
        root.mkdir()
        return root
    seeded = request.getfixturevalue("seeded")
    shutil.copytree(seeded, root)
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        for column in ("source", "storage_location"):
            database.execute(f"UPDATE model_versions SET {column} = replace({column}, ?, ?)", (str(seeded), str(root)))
    return root
