from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from pytest_leanml.checks.quality import Quality
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.quality import METRICS
from pytest_leanml.vocabulary import Task

CLASSES = {
    "accuracy": lambda f: metrics.accuracy_score(f.late, f.answer),
    "precision": lambda f: metrics.precision_score(f.late, f.answer),
    "recall": lambda f: metrics.recall_score(f.late, f.answer),
    "f1_score": lambda f: metrics.f1_score(f.late, f.answer),
    "roc_auc": lambda f: metrics.roc_auc_score(f.late, f.score),
    "log_loss": lambda f: metrics.log_loss(f.late, f.score),
    "brier_score": lambda f: metrics.brier_score_loss(f.late, f.score),
}
VALUES = {
    "rmse": lambda f: metrics.root_mean_squared_error(f.late, f.answer),
    "mae": lambda f: metrics.mean_absolute_error(f.late, f.answer),
    "r2": lambda f: metrics.r2_score(f.late, f.answer),
}


@pytest.fixture
def amounts():
    draw = np.random.default_rng(3)
    truth = draw.normal(10, 3, 200)
    return pd.DataFrame({"late": truth, "answer": truth + draw.normal(0, 1, 200)})


def check(quality, name, expected, ledger):
    measured = getattr(quality, name)()
    assert float(measured) == pytest.approx(expected, abs=1e-9)
    record = ledger[-1]
    assert (record.id, record.metric, record.unit) == (f"quality.{name}", name, METRICS[name].unit)
    assert record.low < record.value < record.high
    assert (record.interval is not None, record.confidence) == (True, 0.95)
    floor = record.details["no_skill"]
    assert record.section == {"metrics": {name: record.value}, "baseline": {"no_skill": {name: floor}}}
    assert METRICS[name].higher_is_better is (record.value > floor)


@pytest.mark.parametrize("name", CLASSES)
def test_classification_agrees_with_scikit_learn(frame, make_study, ledger, name):
    frame["score"] = frame["score"].clip(1e-6, 1 - 1e-6)
    check(Quality(make_study(frame)), name, CLASSES[name](frame), ledger)


@pytest.mark.parametrize("name", VALUES)
def test_regression_agrees_with_scikit_learn(amounts, make_study, told, ledger, name):
    quality = Quality(make_study(amounts, candidate=told(classes=None, score=None)))
    check(quality, name, VALUES[name](amounts), ledger)


def test_there_is_a_method_for_every_metric():
    assert {*CLASSES, *VALUES} <= set(METRICS)
    assert all(callable(getattr(Quality, name)) for name in METRICS)


SETTINGS = {
    "cost": {"false_positive": 1, "false_negative": 2},
    "pinball_loss": {"alpha": 0.9},
    "top_k_accuracy": {"k": 1},
}


def asked(quality, name):
    return getattr(quality, name)(**SETTINGS.get(name, {}))


@pytest.mark.parametrize("name", METRICS)
def test_each_method_measures_its_own_metric(frame, amounts, make_study, told, name):
    metric = METRICS[name]
    if Task.REGRESSION in metric.tasks:
        quality = Quality(make_study(amounts, candidate=told(classes=None, score=None)))
    elif Task.BINARY in metric.tasks:
        quality = Quality(make_study(frame))
    else:
        frame["late"], scores = np.arange(len(frame)) % 3, np.random.default_rng(0).dirichlet(np.ones(3), len(frame))
        model = told(classes=(0, 1, 2))
        model.scores = lambda _frame: scores
        quality = Quality(make_study(frame, candidate=model))
    measured = asked(quality, name)
    assert (measured.id, measured.unit) == (f"quality.{name}", metric.unit)
    assert metric.range[0] <= float(measured) <= metric.range[1]
    assert ("no_skill" in measured.details) is (metric.floor is not None)


def test_the_majority_is_the_baseline(frame, make_study):
    share = (frame.late == 0).mean()
    assert Quality(make_study(frame)).accuracy().details["no_skill"] == pytest.approx(share, abs=1e-12)


def test_confidence_comes_from_the_settings_or_the_call(frame, make_study):
    quality = Quality(make_study(frame, confidence=0.8))
    narrow, wide = quality.accuracy(), quality.accuracy(confidence=0.99)
    assert (narrow.confidence, wide.confidence) == (0.8, 0.99)
    assert float(wide.low) < float(narrow.low)


def test_asked_twice_it_answers_from_memory_and_keeps_both_comparisons(frame, make_study, told, ledger):
    model = told()
    quality = Quality(make_study(frame, candidate=model))
    assert not quality.accuracy() >= 1
    assert quality.accuracy() >= 0
    assert model.asked["predict"] == 1
    assert [each.passed for each in ledger.comparisons] == [False, True]


def test_a_slice_is_no_fact_about_the_whole(frame, make_study, ledger):
    quality = Quality(make_study(frame, slices={"north shore": "site == 'north'"}))
    measured = quality.f1_score(slice="north shore")
    north = frame[frame.site == "north"]
    assert float(measured) == pytest.approx(metrics.f1_score(north.late, north.answer), abs=1e-9)
    assert (measured.id, measured.n) == ("quality.f1_score[north%20shore]", len(north))
    assert ledger[-1].section == {}
    assert "no_skill" in measured.details


def test_one_class_only_is_inconclusive(frame, make_study):
    quality = Quality(make_study(frame[frame.late == 0]))
    for name in CLASSES:
        with pytest.raises(InconclusiveError, match="undefined"):
            quality.measure(name)


def test_scores_that_are_nan_are_an_error(frame, make_study):
    frame.loc[3, "score"] = np.nan
    with pytest.raises(MeasurementError):
        Quality(make_study(frame)).roc_auc()


def test_a_metric_of_another_task_or_of_none(frame, make_study):
    quality = Quality(make_study(frame))
    with pytest.raises(MeasurementError, match="no metric 'f1'"):
        quality.measure("f1")
    with pytest.raises(MeasurementError, match="rmse of a binary model"):
        quality.rmse()


def test_multiclass(make_study, told):
    frame = pd.DataFrame({"answer": list("aabbccab"), "late": list("abbbccca")})
    measured = Quality(make_study(frame, candidate=told(classes=("a", "b", "c"), score=None))).f1_score()
    assert float(measured) == pytest.approx(metrics.f1_score(frame.late, frame.answer, average="macro"), abs=1e-9)
