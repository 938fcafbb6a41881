"""Decisions of a real gate about two candidates of one champion, made once; each test gets a copy of everything."""

from __future__ import annotations

import importlib.util
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

from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.proof import Action, prove
from pytest_leanml.deploy.runner import Done, deploy, release_of
from pytest_leanml.digest import digest_bytes
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly

_SPEC = importlib.util.spec_from_file_location(
    "leanml_tests_seeding", Path(__file__).parents[1] / "registry" / "conftest.py"
)
seeding = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = seeding  # dataclasses look their module up
_SPEC.loader.exec_module(seeding)

CONFIG = """\
version: 1
model: flights
require: [accuracy]
policy: {environment: production, paths: [own.rego], thresholds: {accuracy: {min: 0.85}}}
environments:
  production: {alias: champion}
  staging: {alias: staging}
store: {lock_timeout: 20s}
"""
OWN = """\
package own

import rego.v1

default allow := false

allow if input.metrics.accuracy >= 0.85
"""
CHECKS = """\
import pytest

@pytest.mark.quality_check(id="accuracy")
def test_accuracy(evidence):
    assert evidence.record("accuracy", 0.91) >= 0.85
"""
INI = "[pytest]\naddopts = -p no:randomly -p no:hypothesispytest -p no:anyio -p no:typeguard -p no:pytest_cov\n"


def environment() -> dict[str, str]:
    kept = ("COVERAGE_", "COV_CORE_", "HOME", "LEANML_OPA", "XDG_")
    clean = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    return clean | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def gate(root: Path, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--model-gate", *args]
    # Tracing makes a whole gate half as dear again, and the deployer is traced in the commands below.
    untraced = {name: value for name, value in environment().items() if not name.startswith("COV")}
    given = untraced | (env or {})
    return subprocess.run(command, cwd=root, env=given, capture_output=True, text=True, check=False, timeout=120)


@dataclass(frozen=True)
class Project:
    """A folder with leanml.yaml, MLflow in SQLite, and decisions in ``2/`` and ``3/`` about these versions."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "leanml.yaml"

    @property
    def registry(self) -> Registry:
        return Registry(f"sqlite:///{self.root / 'mlflow.db'}", root=self.root)

    @property
    def client(self):
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{self.root / 'mlflow.db'}"
        return MlflowClient(tracking_uri=uri, registry_uri=uri)

    @property
    def alias(self) -> str | None:
        """What ``champion`` names, read without any code of ours."""
        with closing(sqlite3.connect(self.root / "mlflow.db")) as database:
            query = "SELECT version FROM registered_model_aliases WHERE name = 'flights' AND alias = 'champion'"
            found = database.execute(query).fetchone()
        return None if found is None else str(found[0])

    def set_alias(self, version: str) -> None:
        with quietly():
            self.client.set_registered_model_alias("flights", "champion", version)

    def decision(self, version: str) -> Path:
        return self.root / version / "decision.json"

    def deploy(self, version: str = "2", action: Action = Action.APPLY) -> Done:
        return deploy(self.decision(version), self.config, None, action)

    def command(self, version: str, *args: str) -> list[str]:
        return [sys.executable, "-m", "pytest_leanml.deploy", f"--decision={self.decision(version)}", *args]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=self.root, env=environment(), text=True, **both)

    def run(self, command: list[str]) -> tuple[int, str]:
        process = self.start(command)
        output = process.communicate(timeout=120)[0]
        return process.returncode, output

    def gate(self, *args: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        ended = gate(self.root, *args, env=env)
        return ended.returncode, ended.stdout + ended.stderr

    def states(self, version: str = "2") -> list[str]:
        """The journal's states of the deploy of a decision, oldest first."""
        proven = prove(self.decision(version), self._config(), None, Action.UNDO)
        journal = Journal(f"sqlite:///{self.root / 'leanml.db'}")
        try:
            return [str(entry.state) for entry in journal.entries(release_of(proven))]
        finally:
            journal.close()

    def _config(self):
        from pytest_leanml.config import load_config

        return load_config(self.config)

    def change(self, version: str, edit) -> None:
        """Change decision and evidence as a forger would: the decision names the new evidence's digest."""
        path = self.decision(version)
        decision, evidence = (json.loads(each.read_text()) for each in (path, path.with_name("evidence.json")))
        edit(decision, evidence)
        text = json.dumps(evidence)
        path.with_name("evidence.json").write_text(text)
        decision["evidence"]["digest"] = digest_bytes(text.encode())
        path.write_text(json.dumps(decision))


@pytest.fixture(scope="session")
def judged(once) -> Path:
    return once("judged", _judge)


def _judge(root: Path) -> None:
    with quietly():
        seeding.seed(root)
    for name, text in (("leanml.yaml", CONFIG), ("own.rego", OWN), ("test_checks.py", CHECKS), ("pytest.ini", INI)):
        (root / name).write_text(text)
    for version in ("2", "3"):
        ended = gate(
            root, "--gate-no-deploy", f"--gate-candidate=models:/flights/{version}", f"--gate-output={version}"
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def copied(before: Path, root: Path) -> Project:
    shutil.copytree(before, root)
    # MLflow remembers for each run id where its artifacts lie; here the same runs lie elsewhere in each test.
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()
    seeding._move_paths(root / "mlflow.db", str(before), str(root))
    return Project(root)


@pytest.fixture
def copy_of(tmp_path):
    """Copies of a project as it is now."""
    return lambda project: copied(project.root, tmp_path / "copy")


@pytest.fixture
def project(judged, tmp_path) -> Project:
    return copied(judged, tmp_path / "project")


class RegisteredVersions:
    """One registered model of the server, changed without any code of ours."""

    def __init__(self, server, name, versions):
        self.client, self.name, self.uri = server.client, name, server.url
        with quietly():
            self.client.create_registered_model(name)
            run = self.client.create_run("0")
            for _ in range(versions):
                self.client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
            self.client.set_registered_model_alias(name, "champion", "1")

    def stages(self):
        with quietly():
            found = self.client.search_model_versions(f"name='{self.name}'")
        return {int(each.version): each.tags.get("leanml.stage") for each in found}

    def tag(self, version, value, key="leanml.stage"):
        with quietly():
            self.client.set_model_version_tag(self.name, version, key, value)

    def alias(self, alias, version):
        with quietly():
            self.client.set_registered_model_alias(self.name, alias, version)


@pytest.fixture
def registered_versions():
    """The class, for a registry that has ``client`` and ``url``."""
    return RegisteredVersions
