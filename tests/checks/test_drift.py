from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp
from scipy.stats.contingency import association

from pytest_leanml.checks.drift import Drift, DriftPlan
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError

DRIFT = {"target": "late", "ids": ("id",)}
COLUMNS = ["x", "kind", "sex", "site", "answer", "other", "score"]


@pytest.fixture
def train(rows_like):
    return rows_like(1500, seed=1)


@pytest.fixture
def recent(rows_like):
    frame = rows_like(1200, seed=2)
    return frame.assign(x=frame.x + 0.5, kind=np.where(frame.index % 3 == 0, "d", frame.kind))


def plan(**changed):
    settings = {"columns": None, "method": "auto", "effect": {"ks": 0.1, "psi": 0.2, "chi_squared": 0.1}, "fdr": 0.05}
    return DriftPlan(**{**settings, **changed})


def test_the_share_of_drifted_columns(train, recent, make_study, ledger):
    measured = Drift(make_study(recent, train=train, **DRIFT)).share()
    facts = ledger[-1].section["drift"]["columns"]
    assert sorted(facts) == sorted(COLUMNS)
    assert [name for name, fact in facts.items() if fact["drifted"]] == ["x", "kind"]
    assert float(measured) == pytest.approx(2 / 7)
    assert ledger[-1].section["drift"]["share"] == float(measured)
    assert (float(measured.low), float(measured.high)) == (float(measured), float(measured))
    assert measured.details == {
        "reference": "train",
        "current": "evaluation",
        "columns": 7,
        "drifted": 2,
        "tests": 7,
        "fdr": 0.05,
    }
    assert measured.n == 2700
    assert measured.confidence is None


def test_each_column_agrees_with_scipy(train, recent, make_study, ledger):
    Drift(make_study(recent, train=train, **DRIFT)).share()
    facts = ledger[-1].section["drift"]["columns"]
    tables = {name: pd.crosstab(np.r_[[0] * 1500, [1] * 1200], np.r_[train[name], recent[name]]) for name in COLUMNS}
    effect, p_value = {}, {}
    for name in COLUMNS:
        if facts[name]["method"] == "ks":
            found = ks_2samp(train[name], recent[name], method="asymp")
            effect[name], p_value[name] = found.statistic, found.pvalue
        else:
            effect[name] = association(tables[name], correction=False)
            p_value[name] = chi2_contingency(tables[name], correction=False).pvalue
    adjusted = dict(zip(facts, false_discovery_control([p_value[name] for name in facts]), strict=True))
    for name, fact in facts.items():
        assert fact["effect"] == pytest.approx(effect[name], abs=1e-9)
        assert fact["p_value"] == pytest.approx(adjusted[name], abs=1e-9)
        assert fact["drifted"] is bool(fact["effect"] >= fact["limit"] and fact["p_value"] <= 0.05)
    assert {name: fact["method"] for name, fact in facts.items()} == {
        **dict.fromkeys(["x", "answer", "other", "score"], "ks"),
        **dict.fromkeys(["kind", "sex", "site"], "chi_squared"),
    }


def test_many_rows_alone_are_no_drift(make_study):
    """ACS 2015 to 2018 in small: p is tiny and nothing has happened."""
    draw = np.random.default_rng(0)
    train = pd.DataFrame({"x": draw.normal(0, 1, 200_000), "late": 0})
    recent = pd.DataFrame({"x": draw.normal(0.05, 1, 200_000), "late": 0})
    assert ks_2samp(train.x, recent.x).pvalue < 1e-6
    assert float(Drift(make_study(recent, train=train)).share()) == 0


def test_few_rows_are_no_stability(rows_like, make_study, ledger):
    """With three rows nothing is ever significant: the share must not read 0."""
    drift = Drift(make_study(rows_like(3, seed=5), train=rows_like(4, seed=9), **DRIFT))
    with pytest.raises(InconclusiveError, match="large in too few rows"):
        drift.share()
    assert not ledger
    measured = drift.share(settled=False)
    assert float(measured) == 0
    assert float(measured.high) > 0.5
    assert "`x`" in measured.details["unsettled"]


def test_production_wins_over_evaluation(train, recent, make_study):
    drift = Drift(make_study(train, train=train, production=recent.drop(columns="late"), **DRIFT))
    assert drift.current == "production"
    assert float(drift.share()) > 0
    assert float(Drift(make_study(train, train=train, **DRIFT)).share()) == 0


@pytest.mark.parametrize("side", ["train", "recent"])
def test_a_column_on_one_side_only_is_an_error(train, recent, make_study, side):
    frames = {"train": train, "recent": recent}
    frames[side] = frames[side].drop(columns=["kind", "x"])
    with pytest.raises(SourceError, match="only one of the train and evaluation data has `kind`, `x`"):
        Drift(make_study(frames["recent"], train=frames["train"], **DRIFT)).share()


def test_named_columns_must_be_on_both_sides(train, recent, make_study):
    study = make_study(recent.drop(columns="x"), train=train, **DRIFT)
    assert float(Drift(study, plan(columns=("site",))).share()) == 0
    with pytest.raises(SourceError, match="the evaluation data has no column `x`"):
        Drift(study, plan(columns=("x", "site"))).share()
    with pytest.raises(SourceError, match="the evaluation data has no column `x`"):
        Drift(study).column("x")


@pytest.mark.parametrize("side", ["train", "recent"])
@pytest.mark.parametrize("column", ["x", "kind"])
def test_a_column_without_any_value_is_inconclusive(train, recent, make_study, side, column):
    """An empty column of a CSV file reads as numbers, whatever it was."""
    frames = {"train": train, "recent": recent}
    frames[side][column] = np.nan
    with pytest.raises(InconclusiveError, match=f"drift of `{column}`"):
        Drift(make_study(frames["recent"], train=frames["train"], **DRIFT)).share()


def test_missing_values_are_drift(train, recent, make_study, ledger):
    recent = train.assign(x=train.x.where(train.index % 2 == 0))
    assert float(Drift(make_study(recent, train=train, **DRIFT)).share()) == pytest.approx(1 / 7)
    assert ledger[-1].section["drift"]["columns"]["x"]["drifted"]


def test_numbers_that_became_text_are_an_error(train, recent, make_study):
    recent["x"] = recent.x.astype(str)
    with pytest.raises(SourceError, match="`x` holds numbers or times in one of"):
        Drift(make_study(recent, train=train, **DRIFT)).share()


def test_infinity_is_an_error(train, recent, make_study):
    recent.loc[0, "x"] = np.inf
    with pytest.raises(MeasurementError, match="infinite"):
        Drift(make_study(recent, train=train, **DRIFT)).share()


def test_times_have_an_order(make_study, ledger):
    days = pd.date_range("2026-01-01", periods=300)
    train, recent = (
        pd.DataFrame({"day": days, "late": 0}),
        pd.DataFrame({"day": days + pd.Timedelta("900D"), "late": 0}),
    )
    assert float(Drift(make_study(recent, train=train)).share()) == 1
    assert ledger[-1].section["drift"]["columns"]["day"]["method"] == "ks"
    with pytest.raises(InconclusiveError, match="no columns to compare"):
        Drift(make_study(recent, train=train, time="day")).share()


@pytest.mark.parametrize("method", ["psi", "chi_squared"])
def test_another_method_for_all_columns(train, recent, make_study, ledger, method):
    Drift(make_study(recent, train=train, **DRIFT), plan(method=method)).share()
    facts = ledger[-1].section["drift"]["columns"]
    assert {fact["method"] for fact in facts.values()} == {method}
    assert facts["kind"]["drifted"]


def test_ks_of_text_is_an_error(train, recent, make_study):
    with pytest.raises(MeasurementError, match="KS of a column that is not numeric"):
        Drift(make_study(recent, train=train, **DRIFT), plan(method="ks")).share()


def test_two_plans_do_not_share_their_answers(train, recent, make_study):
    study = make_study(recent, train=train, **DRIFT)
    lax = Drift(study, plan(effect={"ks": 0.9, "psi": 9, "chi_squared": 0.9})).share()
    assert float(lax) == 0
    assert float(Drift(study.at(lambda _: None)).share()) > 0


def test_polars_frames(train, recent, make_study):
    study = make_study(pl.from_pandas(recent), train=pl.from_pandas(train), **DRIFT)
    assert float(Drift(study).share()) == pytest.approx(2 / 7)


def test_one_column(train, recent, make_study):
    measured = Drift(make_study(recent, train=train, **DRIFT)).column("x")
    assert measured.id == "drift.column[x]"
    assert float(measured) == pytest.approx(ks_2samp(train.x, recent.x).statistic, abs=1e-9)
    assert measured.record.method == "ks"


def test_without_training_data(recent, make_study):
    with pytest.raises(ConfigError, match="there is no train data"):
        Drift(make_study(recent)).share()
    with pytest.raises(ConfigError, match="there is no evaluation data"):
        Drift(make_study(train=recent)).share()


def test_an_empty_side_is_inconclusive(train, recent, make_study):
    with pytest.raises(InconclusiveError, match="has no rows"):
        Drift(make_study(recent.head(0), train=train, **DRIFT)).share()
    with pytest.raises(InconclusiveError, match="has no rows"):
        Drift(make_study(recent, train=train.head(0), **DRIFT)).prediction()


def test_drift_of_scores(train, recent, make_study, ledger):
    recent = recent.assign(score=recent.score**2)
    measured = Drift(make_study(recent, train=train, **DRIFT)).prediction(confidence=0.9)
    assert float(measured) == pytest.approx(ks_2samp(train.score, recent.score).statistic, abs=1e-9)
    section = ledger[-1].section["drift"]
    assert section["prediction"] == float(measured)
    assert sum(section["prediction_histogram"]["current"]) == len(recent)
    assert (measured.id, measured.interval, measured.confidence) == ("drift.prediction", "dkw", 0.9)
    assert ledger[-1].method == "ks"


def test_drift_of_labels(train, recent, make_study, told):
    recent = recent.assign(answer=1)
    measured = Drift(make_study(recent, train=train, candidate=told(score=None), **DRIFT)).prediction()
    assert float(measured) == pytest.approx(1 - train.answer.mean(), abs=1e-12)
    assert measured.record.method == "total variation"


def test_drift_of_values(train, recent, make_study, told):
    model = told(classes=None, score=None, answer="x")
    measured = Drift(make_study(recent, train=train, candidate=model, **DRIFT)).prediction()
    assert float(measured) == pytest.approx(ks_2samp(train.x, recent.x).statistic, abs=1e-9)


def test_drift_of_several_classes_is_one_of_labels(train, recent, make_study, told):
    class Wide(told):
        def scores(self, frame):
            return np.tile([0.2, 0.3, 0.5], (len(frame), 1))

    model = Wide(answer="kind", classes=tuple("abcd"))
    measured = Drift(make_study(recent, train=train, candidate=model, **DRIFT)).prediction()
    shares = [frame.kind.value_counts(normalize=True).reindex(list("abcd"), fill_value=0) for frame in (train, recent)]
    assert float(measured) == pytest.approx(abs(shares[0] - shares[1]).sum() / 2, abs=1e-12)
