"""Leakage and lineage under the gate: the run of a real MLflow store reaches the checks, and they the evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from pytest_leanml.registry.quiet import quietly

CHECKS = """\
checks:
  leakage: {overlap: {max: 0}, groups: {max: 0}, time: {max: 0}}
  lineage:
    {run_id: true, git_commit: true, clean_tree: true, data_digests: true, parent_run: true, training_minutes: {max: 15},
     pipeline_minutes: {max: 10}, data_age_hours: {max: 24}, cost_share: {max: 0.15}}
"""


def row(number, hours):
    when = datetime.now(UTC) - timedelta(hours=hours)
    return f"{number % 4 == 0:d},{number},{number / 7},{when:%Y-%m-%dT%H:%M:%SZ}\n"


@pytest.fixture
def client(registered):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{registered / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@pytest.fixture
def trained(registered, client):
    """The project of a model whose run says all that is asked: version 2, with version 1's run as its parent."""
    from pytest_leanml.digest import digest_file

    header = "late,row,delay,when\n"
    (registered / "train.csv").write_text(header + "".join(row(number, 20) for number in range(60)))
    (registered / "march.csv").write_text(header + "".join(row(number, 2) for number in range(100, 140)))
    (registered / "leanml.yaml").write_text(
        "version: 1\nmodel: {name: flights, predictions: said.csv, candidate: 'models:/flights/2'}\n"
        "data: {train: train.csv, evaluation: march.csv, target: late, ids: [row], time: when}\n" + CHECKS
    )
    with quietly():
        run, parent = (client.get_model_version("flights", number).run_id for number in ("2", "1"))
        client.set_tag(run, "mlflow.parentRunId", parent)
        client.set_tag(run, "leanml.data.train.digest", digest_file(registered / "train.csv"))
        client.log_metric(run, "pipeline_minutes", 8)
        client.log_metric(run, "cost_share", 0.12)
    return registered, client, run


def evidence_in(root):
    return json.loads((root / ".leanml" / "evidence.json").read_text())


def outcomes(root):
    return {check["id"]: check["outcome"] for check in evidence_in(root)["checks"]}


def test_what_the_run_says_reaches_the_evidence(trained, gate):
    root, _client, _run = trained
    _result, decision = gate("--gate-dry-run")
    assert {"leanml:leakage/leakage.rego", "leanml:lineage/lineage.rego"} <= set(decision["policy"]["files"])
    assert not [each for each in decision["reasons"] if each["rule"].startswith(("leakage.", "lineage."))]
    found = evidence_in(root)
    assert {name: outcome for name, outcome in outcomes(root).items() if outcome != "passed"} == {}
    assert len(found["checks"]) == 12
    assert found["lineage"] == {
        "training_date_source": "registry",
        **dict.fromkeys(("run_id", "git_commit", "clean_tree", "data_digests", "parent_run"), 1),
    }
    assert found["budget"] == {
        "training_minutes": 2.5,
        "pipeline_minutes": 8,
        "data_age_hours": pytest.approx(20, abs=0.5),
        "cost_share": 0.12,
    }
    assert found["measurements"]["leakage.overlap"]["value"] == 0
    assert found["measurements"]["lineage.training_minutes"]["unit"] == "minute"


def test_a_run_that_says_nothing_or_too_much_does_not_pass(trained, gate):
    root, client, run = trained
    with quietly():
        client.set_tag(run, "mlflow.parentRunId", "0" * 32)
        client.set_tag(run, "mlflow.source.git.dirty", "true")
        client.delete_tag(run, "leanml.data.train.digest")
        client.log_metric(run, "cost_share", float("nan"))
        client.log_metric(run, "pipeline_minutes", 10.5)
    (root / "march.csv").write_text((root / "train.csv").read_text())
    (root / "said.csv").write_text("prediction,score\n" + "0,0.1\n" * 60)
    _result, decision = gate()
    assert decision["verdict"] == "DENY"
    assert {name: outcome for name, outcome in outcomes(root).items() if outcome != "passed"} == {
        "leakage.overlap": "failed",
        "leakage.groups": "failed",
        "leakage.time": "failed",
        "lineage.clean_tree": "failed",
        "lineage.parent_run": "failed",
        "lineage.data_digests": "inconclusive",
        "lineage.pipeline_minutes": "failed",
        "lineage.cost_share": "error",
    }
    assert "cost_share" not in evidence_in(root)["budget"]
    rules = {each["rule"] for each in decision["reasons"]}
    assert {"leakage.leakage.overlap", "lineage.lineage.clean_tree", "lineage.lineage.cost_share"} <= rules


def test_a_model_without_a_run_does_not_pass(trained, gate):
    root, _client, _run = trained
    text = (root / "leanml.yaml").read_text().replace("models:/flights/2", "models:/flights/3")
    (root / "leanml.yaml").write_text(text)
    _result, decision = gate()
    assert decision["verdict"] == "DENY"
    found = outcomes(root)
    assert found["lineage.run_id"] == "failed"
    asked = ("git_commit", "clean_tree", "data_digests", "parent_run", "training_minutes", "cost_share")
    assert {found[f"lineage.{name}"] for name in asked} == {"inconclusive"}


def test_a_test_of_ones_own(trained, pytester, plain):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.leakage_check(id="rows", owner="risk")
        def test_rows(leakage):
            assert leakage.overlap() == 0
            assert leakage.near_overlap(tolerance=0).high == 0
            assert leakage.groups("row") == 0

        @pytest.mark.lineage_check(severity="warning")
        def test_run(lineage):
            assert lineage.run_id() == 1
            assert lineage.training_minutes() <= 15
            assert lineage.cost_share() < 0.15
        """
    )
    plain("-m", "leakage_check or lineage_check").assert_outcomes(passed=2)
