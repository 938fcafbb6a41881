from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest
from sklearn import metrics

from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.config import CheckSpec, Limit, check_specs, load_config
from pytest_leanml.errors import ConfigError, FirstRelease, InconclusiveError, MeasurementError
from pytest_leanml.sources.frames import describe

EVERYTHING = """\
    version: 1
    model: {name: flights, positive: 1}
    data:
      train: train.parquet
      evaluation: march.parquet
      target: late
      groups: [sex, [sex, site]]
      ids: [id]
      schema: schema.yaml
      slices: {north: "site == 'north'"}
    checks:
      data_quality: {schema: true, rows: {min: 100}}
      quality: {accuracy: {min: 0.6, judge: bound}, f1_score: {min: 0.2, slices: [north]}, roc_auc: {above: 0.5}}
      fairness: {demographic_parity_difference: {below: 0.3}, equalized_odds_difference: {max: 0.9, groups: [site]}}
      drift: {share: {max: 0.15, judge: bound}, prediction: {max: 0.2}}
      comparison: {accuracy: {not_worse_by: 0.5}, f1_score: {better_by: 0.01, relative: true}}
      lineage: {training_age_days: {below: 30, judge: bound}}
      custom: {rows_seen: {call: "leanml_run_checks:rows_seen", params: {factor: 2}, min: 1}}
"""
IDS = [
    "data_quality.schema",
    "data_quality.rows",
    "quality.accuracy",
    "quality.f1_score[north]",
    "quality.roc_auc",
    "fairness.demographic_parity_difference[sex]",
    "fairness.demographic_parity_difference[sex.site]",
    "fairness.equalized_odds_difference[site]",
    "drift.share",
    "drift.prediction",
    "comparison.accuracy",
    "comparison.f1_score",
    "lineage.training_age_days",
    "custom.rows_seen",
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "schema.yaml").write_text("columns: {late: {dtype: int64, checks: {isin: [0, 1]}}}")
    source = "def rows_seen(evaluation_data, factor):\n    return len(evaluation_data) * factor\n"
    (tmp_path / "leanml_run_checks.py").write_text(source)

    def load(text=EVERYTHING):
        (tmp_path / "leanml.yaml").write_text(textwrap.dedent(text))
        return load_config(tmp_path / "leanml.yaml")

    return load


@pytest.fixture
def study(rows_like, told, ledger):
    def make(config, champion=None, **frames):
        data = {"train": rows_like(900, seed=1), "evaluation": rows_like(900, seed=2), **frames}
        tables = {name: describe(frame, name=name, time=None) for name, frame in data.items()}
        settings = StudySettings.of(config, training_date="2026-11-21T08:00:00Z", evaluated_at="2026-11-23T22:10:04Z")
        rival = told("sha256:two", "other") if champion is None else champion
        return Study(settings, candidate=told, champion=lambda: rival or None, table=tables.get, sink=ledger)

    return make


def test_every_kind_of_leanml_yaml_is_measured_held_and_recorded(project, study, ledger):
    config = project()
    whole = study(config)
    specs = check_specs(config)
    assert [spec.id for spec in specs] == IDS
    for spec in specs:
        measured = run_spec(spec, whole.at(ledger))
        record = ledger[-1]
        assert (measured.id, record.id) == (spec.id, spec.id)
        assert len(record.comparisons) == len(spec.limit.bounds())
        assert all(each.passed for each in record.comparisons)
        assert {each.threshold for each in record.comparisons} == set(spec.limit.bounds().values())
    assert float(run_spec(specs[0], whole)) == 0


@pytest.mark.parametrize("place", range(len(IDS)))
def test_every_kind_can_miss(project, study, ledger, place):
    config = project()
    spec = check_specs(config)[place]
    worse = {"max": -1.0} if {"max", "below"} & set(spec.limit.bounds()) else {"min": 1e9}
    with pytest.raises(LimitMissedError):
        run_spec(CheckSpec(spec.kind, spec.metric, spec.part, Limit(**worse), *_rest(spec)), study(config))
    assert [each.passed for each in ledger.comparisons] == [False]


def _rest(spec):
    return spec.groups, spec.slice, spec.settings


def test_values_are_those_of_the_whole_table(project, study, rows_like):
    config = project()
    frame = rows_like(900, seed=2)
    found = {spec.id: float(run_spec(spec, study(config))) for spec in check_specs(config)}
    north = frame[frame.site == "north"]
    new, old = (metrics.f1_score(frame.late, frame[name]) for name in ("answer", "other"))
    assert found["data_quality.rows"] == 900
    assert found["quality.accuracy"] == pytest.approx(metrics.accuracy_score(frame.late, frame.answer), abs=1e-9)
    assert found["quality.f1_score[north]"] == pytest.approx(metrics.f1_score(north.late, north.answer), abs=1e-9)
    assert found["comparison.f1_score"] == pytest.approx((new - old) / old, abs=1e-9)
    assert found["custom.rows_seen"] == 1800


def test_the_limits_confidence_is_used(project, study, ledger):
    config = project("""\
        version: 1
        data: {evaluation: x.parquet, target: late}
        checks: {quality: {accuracy: {min: 0.5, confidence: 0.8}}}
    """)
    assert run_spec(check_specs(config)[0], study(config)).confidence == 0.8
    assert ledger[-1].confidence == 0.8


DRIFT = """\
    version: 1
    data: {train: a.parquet, evaluation: b.parquet, target: late, ids: [id]}
    checks: {drift: {share: {max: %s}}}
"""


@pytest.mark.parametrize(("limit", "expected"), [(0.1, InconclusiveError), (1.0, None), (0.0, InconclusiveError)])
def test_unsettled_columns_must_not_matter_for_the_limit(project, study, rows_like, limit, expected):
    """Three rows prove no drift, and no stability either."""
    config = project(DRIFT % 0.1)
    asked = check_specs(config)[0]
    spec = replace(asked, limit=replace(asked.limit, max=limit))
    few = study(config, train=rows_like(4, seed=9), evaluation=rows_like(3, seed=5))
    if expected is None:
        assert run_spec(spec, few).details["unsettled"]
        return
    with pytest.raises(expected, match="lies across the limit"):
        run_spec(spec, few)


def test_the_shares_of_the_slices_and_of_all_rows_have_one_false_discovery_rate(project, study, ledger):
    config = project("""\
        version: 1
        data:
          {train: a.parquet, evaluation: b.parquet, target: late, ids: [id], slices: {n: "site == 'north'", s: "site == 'south'"}}
        checks: {drift: {share: {max: 0.99, slices: [n, s]}, prediction: {max: 1}, columns: [x, kind], fdr: 0.03}}
    """)
    whole = study(config)
    for spec in check_specs(config):
        run_spec(spec, whole)
    tested = {record.id: record.details for record in ledger if "tests" in record.details}
    assert set(tested) == {"drift.share", "drift.share[n]", "drift.share[s]"}
    assert [each["tests"] for each in tested.values()] == [2, 2, 2]
    assert sum(each["fdr"] for each in tested.values()) == pytest.approx(0.03)


def test_a_drift_that_is_settled_is_missed(project, study, rows_like):
    config = project(DRIFT % "0.1")
    moved = rows_like(900, seed=3).assign(x=9.0, score=1.0)
    with pytest.raises(LimitMissedError, match=r"drift\.share is"):
        run_spec(check_specs(config)[0], study(config, evaluation=moved))


COMPARED = """\
    version: 1
    model: {name: flights, first_release: %s}
    data: {evaluation: b.parquet, target: late}
    checks: {comparison: {f1_score: {better_by: 0.02}}}
"""


def test_a_first_release_is_a_signal_and_only_where_it_is_declared(project, study, ledger):
    config = project(COMPARED % "true")
    with pytest.raises(FirstRelease):
        run_spec(check_specs(config)[0], study(config, champion=False))
    config = project(COMPARED % "false")
    with pytest.raises(InconclusiveError) as found:
        run_spec(check_specs(config)[0], study(config, champion=False))
    assert not isinstance(found.value, FirstRelease)
    assert not ledger


def test_a_custom_number_has_no_interval_to_judge_by(project, study):
    config = project("""\
        version: 1
        data: {evaluation: b.parquet}
        checks: {custom: {rows_seen: {call: "leanml_run_checks:rows_seen", params: {factor: 1}, min: 1, judge: bound}}}
    """)
    with pytest.raises(MeasurementError, match="judge: point"):
        run_spec(check_specs(config)[0], study(config))


@pytest.mark.parametrize(("kind", "metric"), [("serving", "latency"), ("drift", "speed"), ("lineage", "owner")])
def test_a_kind_or_metric_that_nobody_measures(project, study, kind, metric):
    settings = {"columns": None, "method": "auto", "effect": {}, "fdr": 0.05} if kind == "drift" else {}
    with pytest.raises(ConfigError, match=f"unknown (kind|metric) .*{metric if kind != 'serving' else kind}"):
        run_spec(CheckSpec(kind, metric, None, Limit(min=0), settings=settings), study(project()))
