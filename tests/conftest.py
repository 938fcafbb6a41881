"""Shared by all tests."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
# Where MLflow's database says that files lie.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _outside_of_any_gate_or_runner(monkeypatch):
    """A runner's or an outer gate's environment must not reach the runs under test."""
    for name in (
        "LEANML_RUN_ID",
        "LEANML_RUN_FOLDER",
        "LEANML_SUPERVISOR_PID",
        "LEANML_ENVIRONMENT",
        "GITHUB_ACTIONS",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
        "GITLAB_CI",
        "MLFLOW_TRACKING_URI",
        "PYTEST_ADDOPTS",
    ):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Ended:
    """A run of the gate in a copy of an example."""

    root: Path
    status: int
    text: str
    before: dict[str, int]

    @property
    def decision(self):
        return json.loads((self.root / ".leanml" / "decision.json").read_text())

    @property
    def evidence(self):
        return json.loads((self.root / ".leanml" / "evidence.json").read_text())

    @property
    def aliases(self):
        return aliases(self.root)


def aliases(root):
    """Alias -> version, read without MLflow."""
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return dict(database.execute("SELECT alias, version FROM registered_model_aliases"))


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Return a function that makes a folder once for all xdist workers of this session."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name, build):
        folder, done = base / name, base / f"{name}.done"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                build(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def prepared(once):
    """Return a function that runs an example's prepare.py, once for each example."""

    def prepare(name):
        def build(folder):
            command = [sys.executable, EXAMPLES / name / "prepare.py", folder]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)

        return once(f"example-{name}", build)

    return prepare


@pytest.fixture(scope="session")
def copied(prepared):
    """Return a function that copies a prepared example, whose registry then names the files of the copy."""

    def copy(name, root):
        made = prepared(name)
        shutil.copytree(made, root)
        with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
            for table, column in _PLACES:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(made), str(root)))
        return root

    return copy


@pytest.fixture
def tell(copied, tmp_path):
    """Return a function that runs the gate for a story (see tests/examples/stories.yaml) in a fresh copy."""

    def run(story, *args):
        root = copied(story["example"], tmp_path / "project")
        for path, change in story.get("change", {}).items():
            _change(root / path, change)
        before = aliases(root)
        command = [sys.executable, "-m", "pytest", "--model-gate", *story.get("args", []), *args]
        ended = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=300)
        return Ended(root, ended.returncode, ended.stdout + ended.stderr, before)

    return run


def _change(path, change):
    if change is None:
        path.unlink()
        return
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
