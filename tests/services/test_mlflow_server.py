"""The registry against a real MLflow server on a real PostgreSQL, and against that PostgreSQL directly."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from itertools import count

import pytest

from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import GateUsageError, RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly
from pytest_leanml.strict import dump_json

STARTED = 1_795_161_600_000
ENDED = STARTED + 150_000
NAMES = (f"flights{number}" for number in count())


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "made"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights ü.bin").write_bytes(b"weights" * 1000)
    return folder


def _register(client, name, model):
    run = client.create_run("0", start_time=STARTED)
    client.log_artifacts(run.info.run_id, str(model), "model")
    client.set_terminated(run.info.run_id, end_time=ENDED)
    client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
    return run.info.run_id


@pytest.fixture
def name(mlflow_server, model):
    """A registered model of its own: version 1 is champion, 2 follows; they differ."""
    found = next(NAMES)
    with quietly():
        client = mlflow_server.client
        client.create_registered_model(found)
        _register(client, found, model)
        (model / "MLmodel").write_text("flavors: {newer: {}}\n")
        _register(client, found, model)
        client.set_registered_model_alias(found, "champion", "1")
    return found


@pytest.fixture(params=["server", "database"])
def registry(request, mlflow_server, tmp_path) -> Registry:
    if request.param == "database":
        return Registry(mlflow_server.database, root=tmp_path)
    return Registry(mlflow_server.url, root=tmp_path)


@pytest.fixture
def remote(mlflow_server, tmp_path) -> Registry:
    return Registry(mlflow_server.url, root=tmp_path)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "evidence.json").write_text(dump_json({"data": {"evaluation": {"digest": "sha256:e"}}}))
    (folder / "report.md").write_text("# ALLOW\n")
    return sorted(folder.iterdir())


def _decision(ref, run_id, verdict="ALLOW"):
    return {
        "run_id": run_id,
        "verdict": verdict,
        "mode": "enforce",
        "environment": "staging",
        "decided_at": f"2026-11-23T22:10:0{run_id[-1]}Z",
        "subject": {"digest": ref.digest},
        "policy": {"digest": "sha256:p"},
        "evidence": {"digest": "sha256:e"},
    }


@contextmanager
def in_time(seconds=25):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def test_a_version_becomes_a_private_copy(remote, name, model, tmp_path, capfd):
    ref = remote.fetch(f"models:/{name}/2", tmp_path / "into")
    assert ref.digest == digest_artifact(ref.artifact) == digest_artifact(model)
    assert ref.artifact.parent.stat().st_mode & 0o777 == 0o700
    assert ref.training_date == "2026-11-20T08:02:30Z"
    assert capfd.readouterr() == ("", "")


def test_champion_and_candidate_differ(remote, name, tmp_path):
    champion = remote.fetch(f"models:/{name}@champion", tmp_path / "champion")
    assert champion.uri == f"models:/{name}/1"
    assert champion.digest != remote.fetch(f"models:/{name}/2", tmp_path / "other").digest


def test_a_runs_artifact_and_one_of_its_files(remote, name, mlflow_server, model, tmp_path):
    run_id = remote.fetch(f"models:/{name}/2", tmp_path / "version").run_id
    ref = remote.fetch(f"runs:/{run_id}/model", tmp_path / "into")
    assert (ref.digest, ref.source) == (digest_artifact(model), "run")
    assert remote.fetch(f"runs:/{run_id}/model/MLmodel", tmp_path / "file").artifact.is_file()


def test_a_model_logged_by_name(remote, name, mlflow_server, model, tmp_path):
    with quietly():
        client = mlflow_server.client
        run = client.create_run("0")
        logged = client.create_logged_model("0", name="classifier", source_run_id=run.info.run_id)
        client.log_model_artifacts(logged.model_id, str(model))
        client.finalize_logged_model(logged.model_id, "READY")
        client.create_model_version(name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id)
    ref = remote.fetch(f"runs:/{run.info.run_id}/classifier", tmp_path / "into")
    assert ref.digest == digest_artifact(model)
    assert remote.fetch(f"models:/{name}/3", tmp_path / "version").digest == ref.digest


@pytest.mark.parametrize(
    ("uri", "exists"),
    [
        ("models:/{name}/9", "one of 1, 2"),
        ("models:/{name}@chmpion", "@champion (version 1)"),
        ("models:/{name}x/1", "one of "),
        ("runs:/0123456789abcdef0123456789abcdef/model", "a run that is not deleted"),
        ("runs:/{run}/nothing", "one of model"),
    ],
)
def test_what_is_not_there_is_status_4(remote, name, tmp_path, uri, exists):
    run_id = remote.fetch(f"models:/{name}/1", tmp_path / "version").run_id
    with pytest.raises(GateUsageError) as caught:
        remote.fetch(uri.format(name=name, run=run_id), tmp_path / "into")
    assert exists in str(caught.value)


def test_a_decision_is_recorded_and_counted(remote, name, mlflow_server, files, tmp_path):
    ref = remote.fetch(f"models:/{name}/2", tmp_path / "into")
    for run_id in ("R1", "R2"):
        remote.record(ref, _decision(ref, run_id), files)
    again = Registry(mlflow_server.url, root=tmp_path)
    assert again.streak(ref, environment="staging").counted == ("R1", "R2")
    assert [(each.run_id, each.version) for each in again.history(name)] == [("R1", "2"), ("R2", "2")]
    with quietly():
        kept = mlflow_server.client.list_artifacts(ref.run_id, "leanml/R1")
    assert {each.path.rpartition("/")[2] for each in kept} == {"evidence.json", "report.md"}
    remote.record(ref, _decision(ref, "R3", "DENY"), files)
    assert again.streak(ref, environment="staging").count == 0


def test_an_alias_moves_and_comes_back(registry, name):
    assert registry.version_of_alias(name, "champion") == "1"
    registry.move_alias(name, "champion", "2", expect="1")
    with pytest.raises(RegistryError, match="which was judged"):
        registry.move_alias(name, "champion", "2", expect="1")
    assert registry.rollback(name, "champion").after == "1"
    assert registry.version_of_alias(name, "champion") == "1"
    assert registry.version_of_alias(name, "staging") is None
    assert registry.version_of_alias(f"{name}x", "champion") is None


def test_an_approval(remote, name, tmp_path):
    remote.approve(f"models:/{name}/2", by="risk", at="2026-11-23T22:10:04Z")
    ref = remote.fetch(f"models:/{name}/2", tmp_path / "into")
    assert ref.approval["digest"] == ref.digest
    assert ref.annotations["approval"] == "signed"


def test_a_server_that_stands_still_is_status_21_and_changes_nothing(remote, name, mlflow_server):
    assert remote.version_of_alias(name, "champion") == "1"
    os.killpg(mlflow_server.process.pid, signal.SIGSTOP)
    try:
        with in_time(), pytest.raises(RegistryError, match="failed to"):
            remote.move_alias(name, "champion", "2", expect="1")
    finally:
        os.killpg(mlflow_server.process.pid, signal.SIGCONT)
    assert remote.version_of_alias(name, "champion") == "1"


def test_a_locked_table_is_status_21(name, mlflow_server, tmp_path):
    import psycopg

    registry = Registry(mlflow_server.database, root=tmp_path)
    assert registry.version_of_alias(name, "champion") == "1"
    with psycopg.connect(mlflow_server.database.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE registered_models, registered_model_aliases IN ACCESS EXCLUSIVE MODE")
        with in_time(), pytest.raises(RegistryError, match="failed to read"):
            registry.move_alias(name, "champion", "2", expect="1")
        other.rollback()
    assert registry.version_of_alias(name, "champion") == "1"


def test_a_database_without_a_registry_is_status_4_and_stays_empty(postgres, tmp_path):
    import psycopg

    url = postgres.create("empty")
    with pytest.raises(GateUsageError, match="there is no MLflow registry"):
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")
    with psycopg.connect(url.replace("+psycopg", "")) as database:
        found = database.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchone()
    assert found == (0,)
