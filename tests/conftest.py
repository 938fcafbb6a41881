"""Shared by all tests."""

from __future__ import annotations

import fcntl
import gc
import importlib
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Arithmetic is explored by Hypothesis; a busy machine or an unlucky draw is no counterexample.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("unhurried")

EXAMPLES = Path(__file__).parents[1] / "examples"
# Where MLflow's database says that files lie.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)

# What asks the real opa asks for one of these, or for the engine of that name.
REAL_OPA = {"opa_binary", "opa_at_length"}

pytest_plugins = ["pytester"]


def pytest_itemcollected(item):
    """Mark what needs a server, a Spark session or the real opa: it is all that tox's `services` runs."""
    engine = item.callspec.params.get("engine") if hasattr(item, "callspec") else None
    served = Path(__file__).with_name("services") in item.path.parents
    if served or engine in ("opa", "both") or REAL_OPA & set(getattr(item, "fixturenames", ())):
        item.add_marker("services")


@settings(max_examples=1, database=None, derandomize=True)
@given(st.none())
def _first_property(_):
    """Hold of anything."""


def pytest_collection_finish():
    """Look no more at thousands of items whenever garbage is collected."""
    _first_property()  # Hypothesis asks the collector who holds its generator, once: what is frozen cannot answer.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Tell at how many points hooks were killed, in all workers."""
    reports = (each for found in terminalreporter.stats.values() for each in found)
    counts = Counter()
    for report in reports:
        if getattr(report, "when", None) != "call":  # the teardown's report has them too
            continue
        for name, value in report.user_properties:
            if name == "kill_points":
                counts.update(value)
    if counts:
        told = ", ".join(f"{hook} {count}" for hook, count in sorted(counts.items()))
        terminalreporter.write_line(f"kill points: {counts.total()} over {len(counts)} hooks ({told})")


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


def _untraced():
    """Return the environment without coverage's variables: whole gates cost half as much again when they are traced."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "COV_CORE_"))}


def aliases(root):
    """Alias -> version, read without MLflow."""
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return dict(database.execute("SELECT alias, version FROM registered_model_aliases"))


@pytest.fixture(scope="session")
def untraced():
    """The function that returns such an environment."""
    return _untraced


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
            subprocess.run(command, env=_untraced(), check=True, capture_output=True, text=True, timeout=300)

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
        ended = subprocess.run(
            command, cwd=root, env=_untraced(), check=False, capture_output=True, text=True, timeout=300
        )
        return Ended(root, ended.returncode, ended.stdout + ended.stderr, before)

    return run


def _change(path, change):
    if change is None:
        path.unlink()
        return
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))


# Plugins that are not the subject of a test cost every process of a run time.
LEAN = [part for name in ("randomly", "hypothesispytest", "anyio", "typeguard") for part in ("-p", f"no:{name}")]


@pytest.fixture
def gate(request, pytester, monkeypatch):
    """Return a function that runs pytest --model-gate in the project: what it printed, and decision.json."""
    # The tests of the gate's own modules trace it; those of a check have measured that check without it.
    if Path(__file__).with_name("checks") in request.path.parents:
        for name in set(os.environ) - set(_untraced()):
            monkeypatch.delenv(name)

    def run(*args):
        result = pytester.runpytest_subprocess("--model-gate", *LEAN, *args)
        return result, json.loads((pytester.path / ".leanml" / "decision.json").read_text())

    return run


LASTING = (
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    # Registers its types with pyarrow, which keeps them for the process and refuses them a second time.
    "pandas.core.arrays.arrow.extension_types",
    "pytest_leanml.checks.run",
    "pytest_leanml.conclusion",
    "pytest_leanml.policy.rego_tests",
    "pytest_leanml.workbench",
    "sklearn.dummy",
)


@pytest.fixture(scope="session")
def _lasting():
    from pytest_leanml.registry.quiet import quietly

    with quietly():
        for name in LASTING:
            importlib.import_module(name)
    # Every run inside of a test collects garbage five times over at its end: what lasts need not be looked at again.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _lasting_imports(request):
    """Import first what runs in this process import: pytester forgets it after each, and much of it loads but once."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("_lasting")


@pytest.fixture
def load(tmp_path):
    """Return a function that writes leanml.yaml and reads it."""

    def read(text):
        from pytest_leanml.config import load_config

        (tmp_path / "leanml.yaml").write_text(text)
        return load_config(tmp_path / "leanml.yaml")

    return read


@pytest.fixture
def plain(pytester):
    """Return a function that runs pytest in this process, without a gate."""

    def run(*args):
        return pytester.runpytest_inprocess("-p", "no:randomly", *args)

    return run


@pytest.fixture
def shown(pytester):
    """Return a function that runs the gate in this process, with plugin objects, so that it records and only shows."""

    def run(*args):
        result = pytester.runpytest_inprocess("--model-gate", "-p", "no:randomly", *args)
        decision = json.loads((pytester.path / ".leanml" / "decision.json").read_text())
        own = [reason for reason in decision["reasons"] if reason["rule"] != "G3.plugin_objects"]
        return result, {**decision, "own": {reason["rule"] for reason in own}, "reasons": own}

    return run


@pytest.fixture
def flights(pytester):
    """A project whose leanml.yaml judges a predictions file: 40 rows, of which 9 in 10 are right."""
    late = [row % 4 == 0 for row in range(40)]
    said = [value != (row % 10 == 3) for row, value in enumerate(late)]
    rows = [f"{value:d},{row},{'JFK' if row // 2 % 2 else 'EWR'}\n" for row, value in enumerate(late)]
    (pytester.path / "march.csv").write_text("late,delay,origin\n" + "".join(rows))
    (pytester.path / "said.csv").write_text(
        "prediction,score\n" + "".join(f"{value:d},{0.9 if value else 0.1}\n" for value in said)
    )
    (pytester.path / "leanml.yaml").write_text(
        "version: 1\nmodel: {name: flights, predictions: said.csv}\ndata: {evaluation: march.csv, target: late}\n"
        "checks:\n  quality: {accuracy: {min: 0.85}, f1_score: {min: 0.7}}\n"
    )
    return pytester.path


@pytest.fixture(scope="session")
def _seeding():
    spec = importlib.util.spec_from_file_location(
        "leanml_tests_registry", Path(__file__).parent / "registry/conftest.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def registered(_seeding, once, flights):
    """The same project, whose model is version 3 in an MLflow registry; its champion is version 1."""
    from pytest_leanml.registry.quiet import quietly

    def build(folder):
        with quietly():
            _seeding.seed(folder)

    made = once("registry-of-flights", build)
    shutil.copytree(made, flights, dirs_exist_ok=True)
    _seeding._move_paths(flights / "mlflow.db", str(made), str(flights))
    return flights


@pytest.fixture
def hook_context(tmp_path):
    """Return a function that makes what a deploy hook is told; what is given by name differs."""
    from pytest_leanml.deploy.hook import HookContext

    def make(seconds=60.0, **more):
        late = time.monotonic() + seconds
        told = {
            "key": "k" * 64,
            "run_id": "01RUN",
            "model": "flights",
            "version": "2",
            "digest": f"sha256:{'d' * 64}",
            "alias": "champion",
            "environment": "production",
            "before": "1",
            "registry_uri": "sqlite://",
            "root": tmp_path,
            "decision": {},
            "evidence": {},
            "deadline": late,
            "stopping": lambda: time.monotonic() > late,
            "progress": lambda _: None,
            "audit": lambda *_: None,
            "remember": lambda _: None,
        }
        return HookContext(**{**told, **more})

    return make
