"""What a real MLflow store says of the run that made a model."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from pytest_leanml.errors import RegistryError
from pytest_leanml.evidence.runs import LoggedData, RunFacts
from pytest_leanml.registry.quiet import quietly
from pytest_leanml.sources.faults import quiet

STARTED = round(datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp() * 1000)
COMMIT = {"mlflow.source.git.commit": "8d1f2ab", "mlflow.source.git.dirty": "false"}


@pytest.fixture
def facts(seeded, tmp_path):
    """Return what is known of the run of version 2 after something was done to the store."""

    def read(change=None):
        if change is not None:
            with quietly():
                change(seeded.client)
        return seeded.registry.fetch("models:/flights/2", tmp_path / "into").run

    return read


def dataset(frame, context, name="flights"):
    import mlflow.data
    from mlflow.entities import DatasetInput, InputTag

    tags = [InputTag("mlflow.data.context", context)] if context else []
    with quiet():
        made = mlflow.data.from_pandas(frame, name=name)
        return DatasetInput(made._to_mlflow_entity(), tags), made.digest


def test_times_commit_and_status(facts, seeded):
    found = facts()
    assert found == RunFacts(seeded.run_2, "FINISHED", STARTED, STARTED + 150_000, COMMIT)
    assert RunFacts.of(json.loads(json.dumps(found.plain()))) == found


def test_only_what_speaks_of_lineage_and_budget_is_taken(facts, seeded):
    def change(client):
        client.set_tag(seeded.run_2, "leanml.data.train.digest", "sha256:" + "0" * 64)
        client.set_tag(seeded.run_2, "cost_budget", "80")
        client.set_tag(seeded.run_2, "secret", "hunter2")
        client.set_tag(seeded.run_2, "cost_shares", "1")
        for name, value in {"cost_share": 0.15, "pipeline_minutes": float("nan"), "auc": 0.9}.items():
            client.log_metric(seeded.run_2, name, value)

    found = facts(change)
    assert found.tags == {**COMMIT, "leanml.data.train.digest": "sha256:" + "0" * 64, "cost_budget": "80"}
    assert found.metrics == {"cost_share": "0.15", "pipeline_minutes": "nan"}


def test_the_newest_value_of_a_metric_counts(facts, seeded):
    def change(client):
        for step, value in enumerate((0.1, 0.4, 0.2)):
            client.log_metric(seeded.run_2, "cost_share", value, step=step)

    assert facts(change).metrics == {"cost_share": "0.2"}


def test_data_that_was_logged(facts, seeded):
    import mlflow.data
    import numpy as np
    from mlflow.entities import DatasetInput

    train, digest = dataset(pd.DataFrame({"late": [0, 1], "origin": ["JFK", "EWR"]}), "training")
    other, second = dataset(pd.DataFrame({"late": [1, 1]}), None, "march")
    array = mlflow.data.from_numpy(np.arange(3), name="array")

    def change(client):
        client.log_inputs(seeded.run_2, [train, other, DatasetInput(array._to_mlflow_entity(), [])])

    found = {each.name: each for each in facts(change).data}
    assert found == {
        "flights": LoggedData("flights", digest, "training", table=True),
        "march": LoggedData("march", second, "", table=True),
        "array": LoggedData("array", array.digest),
    }


def test_the_parent_is_looked_up(facts, seeded):
    def change(client):
        client.set_tag(seeded.run_2, "mlflow.parentRunId", seeded.run_1)

    found = facts(change)
    assert (found.parent, found.parent_found) == (seeded.run_1, True)


def test_a_parent_that_is_not_there(seeded, tmp_path):
    for place, parent in enumerate(("0" * 32, "../../etc", "", "a b")):
        with quietly():
            seeded.client.set_tag(seeded.run_2, "mlflow.parentRunId", parent)
        assert seeded.registry.fetch("models:/flights/2", tmp_path / str(place)).run.parent_found is False


def test_a_parent_that_was_deleted(facts, seeded):
    def change(client):
        client.set_tag(seeded.run_2, "mlflow.parentRunId", seeded.run_1)
        client.delete_run(seeded.run_1)

    assert facts(change).parent_found is False


def test_a_run_that_has_not_ended_has_no_end(facts, seeded):
    found = facts(lambda client: client.update_run(seeded.run_2, status="RUNNING"))
    assert (found.status, found.started) == ("RUNNING", STARTED)


def test_a_long_tag_is_cut_to_one_line(facts, seeded):
    found = facts(lambda client: client.set_tag(seeded.run_2, "leanml.data.x", "a\nb" * 2_000))
    assert len(found.tags["leanml.data.x"]) <= 500
    assert "\n" not in found.tags["leanml.data.x"]


def test_a_version_without_a_run_and_a_deleted_run(seeded, tmp_path):
    assert seeded.registry.fetch("models:/flights/3", tmp_path / "three").run is None
    with quietly():
        seeded.client.delete_run(seeded.run_2)
    assert seeded.registry.fetch("models:/flights/2", tmp_path / "two").run is None


def test_a_store_that_breaks_while_the_parent_is_read_is_no_answer(facts, seeded, monkeypatch):
    from mlflow.tracking import MlflowClient

    true_one = MlflowClient.get_run

    def broken(self, run_id):
        if run_id == seeded.run_1:
            raise OSError("gone")
        return true_one(self, run_id)

    def change(client):
        client.set_tag(seeded.run_2, "mlflow.parentRunId", seeded.run_1)

    monkeypatch.setattr(MlflowClient, "get_run", broken)
    with pytest.raises(RegistryError, match=r"failed to .*: OSError: gone") as caught:
        facts(change)
    assert isinstance(caught.value.__cause__, OSError)
