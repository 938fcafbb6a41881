"""Leakage and lineage as leanml.yaml asks for them."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.evidence.runs import RunFacts
from pytest_leanml.sources.frames import describe

NOW, NOW_MS = "2026-11-23T22:10:04Z", 1_795_471_804_000
EVERYTHING = """\
version: 1
model: {name: flights, positive: 1}
data: {train: train.parquet, evaluation: march.parquet, target: late, ids: [id], time: when}
checks:
  leakage:
    overlap: {max: 0.01}
    near_overlap: {max: 0.05, judge: bound, params: {columns: [x, score], tolerance: 0.0001, rows: 200}}
    single_column_power: {max: 0.7, confidence: 0.9, params: {columns: [x, kind], data: evaluation, rows: 300}}
    time: {max: 0}
    groups: {max: 0, params: {columns: [id]}}
    identifiers: {max: 0, params: {unique: 0.9, allow: [kind]}}
  lineage:
    training_age_days: {below: 30}
    run_id: true
    git_commit: true
    clean_tree: true
    data_digests: {min: 1, params: {tables: [train]}}
    parent_run: true
    dvc: {min: 1, params: {lock: dvc.lock, dependencies: true}}
    dvc_metric: {min: 0.8, params: {file: metrics.json, name: auc}}
    training_minutes: {max: 15}
    pipeline_minutes: {max: 10}
    data_age_hours: {max: 24, params: {data: evaluation}}
    cost_share: {max: 0.15}
"""
LOCK = """\
schema: '2.0'
stages:
  fit:
    cmd: python fit.py
    outs:
    - path: metrics.json
      hash: md5
      md5: 8017fdcbcd1f94e2527c132be2de729c
"""


def timed(frame, day, first):
    times = pd.Timestamp(f"2026-11-{day}") + pd.to_timedelta(range(len(frame)), unit="min")
    return frame.drop(columns=["answer", "other"]).assign(when=times, id=frame.id + first)


@pytest.fixture
def project(tmp_path, rows_like, told, ledger):
    """Return the checks of a leanml.yaml, and a study of a candidate that is all that they ask."""
    (tmp_path / "metrics.json").write_text('{"auc": 0.91}')
    (tmp_path / "dvc.lock").write_text(LOCK)
    tables = {
        "train": describe(timed(rows_like(400, seed=1), 20, 0), name="train", time="when"),
        "evaluation": describe(timed(rows_like(400, seed=2), 23, 1_000), name="evaluation", time="when"),
    }
    run = RunFacts(
        "run-1",
        "FINISHED",
        NOW_MS - 3_600_000,
        NOW_MS - 2_900_000,
        tags={
            "mlflow.source.git.commit": "8d1f2ab",
            "mlflow.source.git.dirty": "false",
            "leanml.data.train.digest": tables["train"].digest,
        },
        metrics={"pipeline_minutes": "9.5", "cost_share": "0.1"},
        parent="sweep",
        parent_found=True,
    )

    def make(text=EVERYTHING, **changes):
        (tmp_path / "leanml.yaml").write_text(textwrap.dedent(text))
        config = load_config(tmp_path / "leanml.yaml")
        facts = SubjectFacts(Path(), "sha256:one", source="registry", run=replace(run, **changes))
        settings = StudySettings.of(config, training_date="2026-11-21T08:00:00Z", evaluated_at=NOW, subject=facts)
        study = Study(settings, candidate=told, champion=lambda: None, table=tables.get, sink=ledger)
        return {spec.metric: spec for spec in check_specs(config)}, study

    return make


def test_every_check_is_measured_held_and_recorded(project, ledger, monkeypatch):
    monkeypatch.delenv("LEANML_PIPELINE_STARTED", raising=False)
    specs, study = project()
    assert len(specs) == 18
    for spec in specs.values():
        measured = run_spec(spec, study)
        assert measured.id.partition("[")[0] == spec.id
        last = ledger[-1]
        assert last.comparisons[-1].passed
        assert last.n >= 1
    assert {record.id for record in ledger if record.low is None} == {"lineage.dvc_metric[auc]"}
    budget = {k: v for record in ledger for k, v in record.section.get("budget", {}).items()}
    assert budget == {
        "training_minutes": pytest.approx(700 / 60),
        "pipeline_minutes": 9.5,
        "data_age_hours": pytest.approx((22 * 60 + 10 - 399) / 60 + 4 / 3600),
        "cost_share": 0.1,
    }
    held = {k: v for record in ledger for k, v in record.section.get("lineage", {}).items()}
    assert {name for name, value in held.items() if value == 1} == {
        *("run_id", "git_commit", "clean_tree", "data_digests", "parent_run", "dvc")
    }


@pytest.mark.parametrize(
    ("metric", "changes"),
    [
        ("git_commit", {"tags": {}}),
        ("clean_tree", {"tags": {"mlflow.source.git.dirty": "true"}}),
        ("data_digests", {"tags": {"leanml.data.train.digest": "sha256:other"}}),
        ("parent_run", {"parent_found": False}),
        ("training_minutes", {"started": NOW_MS - 2_900_000 - 900_001}),
        ("pipeline_minutes", {"metrics": {"pipeline_minutes": "10.1"}}),
        ("cost_share", {"metrics": {"cost_share": "0.16"}}),
    ],
)
def test_what_the_run_says_may_miss_its_limit(project, metric, changes):
    specs, study = project(**changes)
    with pytest.raises(LimitMissedError, match=metric):
        run_spec(specs[metric], study)


def test_the_settings_of_a_check_are_those_of_leanml_yaml(project):
    specs, study = project()
    near = run_spec(specs["near_overlap"], study)
    assert (near.n, near.details["columns"], near.details["tolerance"]) == (200, 2, 0.0001)
    power = run_spec(specs["single_column_power"], study)
    assert (power.n, power.confidence, set(power.by), power.details["data"]) == (300, 0.9, {"x", "kind"}, "evaluation")
    assert set(run_spec(specs["groups"], study).by) == {"id"}
    assert set(run_spec(specs["data_digests"], study).by) == {"train"}


def test_a_default_confidence_reaches_the_intervals(project):
    text = EVERYTHING.replace("checks:\n", "checks:\n  defaults: {confidence: 0.8}\n")
    specs, study = project(text)
    assert run_spec(specs["near_overlap"], study).confidence == 0.8


def test_a_table_that_nobody_knows_is_an_error(project):
    specs, study = project(EVERYTHING.replace("data: evaluation}}", "data: test}}"))
    with pytest.raises(ConfigError, match="no table 'test'"):
        run_spec(specs["data_age_hours"], study)


def test_a_project_outside_of_git_is_inconclusive(project, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    specs, study = project("version: 1\nchecks: {lineage: {clean_tree_now: {min: 1, params: {untracked: true}}}}\n")
    with pytest.raises(InconclusiveError, match="git ls-files failed"):
        run_spec(specs["clean_tree_now"], study)


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ("lineage: {training_minutes: true}", "training_minutes"),
        ("lineage: [run_id]", "lineage"),
        ("lineage: {data_age_hours: {min: 24}}", "swap it, or add one"),
        ("lineage: {run_id: {max: 1}}", "swap it, or add one"),
        ("lineage: {run_id: {min: 2}}", "lies between 0 and 1"),
        ("lineage: {run_id: }", "no value"),
        ("leakage: {overlap: {max: 15}}", r"a share: 0\.15"),
        ("leakage: {time: {min: 0}}", "swap it, or add one"),
    ],
)
def test_a_limit_that_says_nothing_is_refused(tmp_path, section, match):
    (tmp_path / "leanml.yaml").write_text(f"version: 1\nchecks: {{{section}}}\n")
    with pytest.raises(ConfigError, match=match):
        load_config(tmp_path / "leanml.yaml")
