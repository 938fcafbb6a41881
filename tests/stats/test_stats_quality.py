from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.quality import METRICS, Needs, measure, no_skill
from pytest_leanml.stats.samples import make_sample
from pytest_leanml.vocabulary import Task

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 2, 200)
CHANCES = np.clip(0.5 + 0.3 * (TRUTH - 0.5) + 0.1 * RNG.standard_normal(200), 0.01, 0.99)
BINARY = make_sample("binary", TRUTH, (CHANCES > 0.5).astype(int), CHANCES)
MULTICLASS = make_sample("multiclass", TRUTH, TRUTH, np.column_stack([1 - CHANCES, CHANCES]), classes=(0, 1))
REGRESSION = make_sample("regression", CHANCES, CHANCES + 0.1 * TRUTH + 0.01 * RNG.standard_normal(200))
SAMPLES = {Task.BINARY: BINARY, Task.MULTICLASS: MULTICLASS, Task.REGRESSION: REGRESSION}
CASES = [(name, task) for name, metric in METRICS.items() for task in sorted(metric.tasks)]
OPTIONS = {
    ("cost", Task.BINARY): {"false_positive": 1, "false_negative": 3},
    ("cost", Task.MULTICLASS): {"costs": {"0": {"1": 1}, "1": {"0": 3}}},
    ("top_k_accuracy", Task.MULTICLASS): {"k": 1},
}
# Of the largest error of rows not seen nothing is known.
INTERVALS = [(name, task) for name, task in CASES if name != "max_error"]
FLOORS = [(name, task) for name, task in CASES if METRICS[name].floor is not None]


def asked(name, task, sample=None, **more):
    return measure(name, SAMPLES[task] if sample is None else sample, options=OPTIONS.get((name, task)), **more)


def blind(name, task):
    return no_skill(name, SAMPLES[task], options=OPTIONS.get((name, task)))


def test_the_names_of_the_design_are_among_them():
    assert {
        *("accuracy", "precision", "recall", "f1_score", "roc_auc", "log_loss", "brier_score"),
        *("rmse", "mae", "r2"),
    } <= set(METRICS)
    assert {name for name, metric in METRICS.items() if metric.needs is Needs.SCORES} == {
        *("roc_auc", "average_precision", "top_k_accuracy", "log_loss", "brier_score"),
        *("calibration_error", "brier_reliability", "brier_resolution"),
    }
    with pytest.raises(TypeError):
        METRICS["mine"] = METRICS["accuracy"]


@pytest.mark.parametrize(("name", "task"), INTERVALS)
def test_every_metric_has_value_interval_and_unit(name, task):
    estimate, metric = asked(name, task, confidence=0.9, seed=7), METRICS[name]
    low, high = metric.range
    assert low <= estimate.low <= estimate.value <= estimate.high <= high
    assert estimate.low < estimate.high
    assert estimate.interval
    assert (estimate.confidence, estimate.unit, estimate.n) == (0.9, metric.unit, 200)
    assert type(estimate.value) is type(estimate.low) is type(estimate.high) is float


@pytest.mark.parametrize(("name", "task"), FLOORS)
def test_the_orientation_is_right_and_skill_beats_no_skill(name, task):
    gain = asked(name, task).value - blind(name, task)
    assert (gain > 0) is METRICS[name].higher_is_better
    assert type(blind(name, task)) is float


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.floor is None])
def test_where_a_blind_answer_is_as_good_as_any_there_is_no_floor(name):
    with pytest.raises(MeasurementError, match="no skill in"):
        no_skill(name, BINARY)


@pytest.mark.parametrize(("name", "task"), INTERVALS)
def test_more_confidence_is_a_wider_interval(name, task):
    narrow, wide = asked(name, task, confidence=0.8), asked(name, task, confidence=0.99)
    assert wide.low < narrow.low or narrow.low in (0, METRICS[name].range[0])
    assert narrow.high < wide.high or narrow.high == METRICS[name].range[1]


@pytest.mark.parametrize(("name", "task"), INTERVALS)
def test_the_order_of_rows_does_not_matter(name, task):
    shuffled = SAMPLES[task].take(np.random.default_rng(1).permutation(200))
    one, other = asked(name, task), asked(name, task, shuffled)
    for side in ("value", "low", "high"):
        assert getattr(one, side) == pytest.approx(getattr(other, side), rel=1e-9)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if Task.BINARY in metric.tasks])
def test_one_class_only_is_inconclusive_for_every_metric(name):
    sample = make_sample("binary", [1, 1, 1], [1, 1, 1], [0.9, 0.8, 0.9])
    for ask in (measure, no_skill):
        with pytest.raises(InconclusiveError, match=f"{name} is undefined: all 3 rows are of the class"):
            ask(name, sample)


@pytest.mark.parametrize(
    ("name", "sample", "message"),
    [
        ("f1", BINARY, "the metric 'f1'"),
        ("rmse", BINARY, "rmse of a binary model"),
        ("accuracy", REGRESSION, "accuracy of a regression model"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(name, sample, message):
    with pytest.raises(MeasurementError, match=message) as caught:
        measure(name, sample)
    assert "one of" in caught.value.expected


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "log_loss", "f1_score"])
def test_a_confidence_that_is_none_is_refused(name, confidence):
    with pytest.raises(MeasurementError, match="confidence"):
        measure(name, BINARY, confidence=confidence)


def test_a_metric_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        METRICS["accuracy"].higher_is_better = False
