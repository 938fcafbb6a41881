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


def test_the_names_are_those_of_the_design():
    assert list(METRICS) == [
        *("accuracy", "precision", "recall", "f1_score", "roc_auc", "log_loss", "brier_score"),
        *("rmse", "mae", "r2"),
    ]
    assert {name for name, metric in METRICS.items() if metric.needs is Needs.SCORES} == {
        "roc_auc",
        "log_loss",
        "brier_score",
    }
    with pytest.raises(TypeError):
        METRICS["mine"] = METRICS["accuracy"]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_every_metric_has_value_interval_floor_and_unit(name, task):
    estimate, metric = measure(name, SAMPLES[task], confidence=0.9, seed=7), METRICS[name]
    low, high = metric.range
    assert low <= estimate.low <= estimate.value <= estimate.high <= high
    assert estimate.low < estimate.high
    assert estimate.interval
    assert (estimate.confidence, estimate.unit, estimate.n) == (0.9, metric.unit, 200)
    assert (
        type(estimate.value)
        is type(estimate.low)
        is type(estimate.high)
        is type(no_skill(name, SAMPLES[task]))
        is float
    )


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_orientation_is_right_and_skill_beats_no_skill(name, task):
    gain = measure(name, SAMPLES[task]).value - no_skill(name, SAMPLES[task])
    assert (gain > 0) is METRICS[name].higher_is_better


@pytest.mark.parametrize(("name", "task"), CASES)
def test_more_confidence_is_a_wider_interval(name, task):
    narrow, wide = measure(name, SAMPLES[task], confidence=0.8), measure(name, SAMPLES[task], confidence=0.99)
    assert wide.low < narrow.low
    assert narrow.high < wide.high or narrow.high == METRICS[name].range[1]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_order_of_rows_does_not_matter(name, task):
    shuffled = SAMPLES[task].take(np.random.default_rng(1).permutation(200))
    one, other = measure(name, SAMPLES[task]), measure(name, shuffled)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), rel=1e-9)


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
