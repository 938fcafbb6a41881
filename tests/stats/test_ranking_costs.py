from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.quality import measure, no_skill
from pytest_leanml.stats.ranking import average_precision
from pytest_leanml.stats.samples import make_sample


def test_average_precision_by_hand():
    # Falling: + - + -: precision 1 at the first positive, 2/3 at the second.
    sample = make_sample("binary", [1, 0, 1, 0], scores=[0.9, 0.8, 0.7, 0.1])
    assert measure("average_precision", sample).value == pytest.approx((1 + 2 / 3) / 2, abs=1e-12)
    assert no_skill("average_precision", sample) == 0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_the_influence_of_a_row_is_what_its_weight_moves(weighted):
    """The standard error against the numerical derivative by each row's weight."""
    rng = np.random.default_rng(0)
    y, scores = rng.permutation(np.arange(40) % 2), np.round(rng.random(40), 1)
    weights = rng.choice([1.0, 2.0], 40) if weighted else np.ones(40)
    step = 1e-6
    slopes = []
    for row in range(40):
        up, down = (weights + sign * step * (np.arange(40) == row) for sign in (1, -1))
        values = [average_precision_score(y, scores, sample_weight=each) for each in (up, down)]
        slopes.append((values[0] - values[1]) / (2 * step))
    pulls = weights * np.array(slopes)
    known = min(weights[y == label].sum() ** 2 / (weights[y == label] ** 2).sum() for label in (0, 1))
    error = np.sqrt(pulls @ pulls * known / (known - 1))
    estimate = measure("average_precision", make_sample("binary", y, scores=scores, weights=weights))
    half = stats.t.ppf(0.975, int(known) - 1) * error / (estimate.value * (1 - estimate.value))
    logit = np.log(estimate.value / (1 - estimate.value))
    assert estimate.low == pytest.approx(1 / (1 + np.exp(-(logit - half))), abs=1e-6)
    assert estimate.high == pytest.approx(1 / (1 + np.exp(-(logit + half))), abs=1e-6)


def test_a_perfect_order_is_not_beyond_doubt():
    perfect = measure("average_precision", make_sample("binary", [0] * 10 + [1] * 10, scores=np.arange(20) / 20))
    assert perfect.value == perfect.high == 1
    assert (perfect.interval, round(perfect.low, 3)) == ("wilson-positives", 0.722)
    alone = measure("average_precision", make_sample("binary", [0, 0, 1], scores=[0.1, 0.9, 0.5]))
    assert (alone.value, alone.interval) == (0.5, "wilson-positives")


def test_without_a_class_it_is_undefined():
    with pytest.raises(InconclusiveError, match="average precision is undefined"):
        average_precision(make_sample("binary", [1, 1], scores=[0.1, 0.2]), 0.95)
    missing = make_sample("multiclass", [0, 1, 1], scores=np.full((3, 3), 1 / 3), classes=range(3))
    with pytest.raises(InconclusiveError, match="0 of 3 rows are of the class"):
        measure("average_precision", missing)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
@pytest.mark.parametrize(
    ("n", "share", "apart"), [(200, 0.1, 1.5), (500, 0.1, 1.5), (1000, 0.05, 2.0), (300, 0.5, 1.0)]
)
def test_average_precision_covers_as_often_as_it_says(n, share, apart, weights):
    rng = np.random.default_rng(6)
    y = rng.random(1_000_000) < share
    truth = average_precision_score(y, rng.normal(size=len(y)) + apart * y)
    hits = 0
    for _ in range(2000):
        y = rng.random(n) < share
        scores = rng.normal(size=n) + apart * y
        drawn = None if weights is None else rng.choice(weights, n)
        each = measure("average_precision", make_sample("binary", y.astype(int), scores=scores, weights=drawn))
        hits += each.low <= truth <= each.high
    assert 0.93 <= hits / 2000 <= 0.97


def test_the_top_k_of_equal_scores_are_those_of_scikit_learn():
    sample = make_sample("multiclass", [0, 1, 2], scores=np.full((3, 3), 1 / 3), classes=range(3))
    assert measure("top_k_accuracy", sample, options={"k": 2}).value == pytest.approx(2 / 3)
    assert no_skill("top_k_accuracy", sample, options={"k": 2}) == pytest.approx(2 / 3)
    for k in (0, 3):
        with pytest.raises(MeasurementError, match=f"the top {k} of 3 classes"):
            measure("top_k_accuracy", sample, options={"k": k})


ERRORS = {"false_positive": 1.0, "false_negative": 10.0}


def test_a_cost_by_hand():
    sample = make_sample("binary", [1, 1, 1, 0, 0], [1, 0, 1, 1, 0])
    estimate = measure("cost", sample, options={**ERRORS, "true_positive": -2.0})
    assert estimate.value == pytest.approx((10 + 1 - 4) / 5, abs=1e-12)
    # Everybody positive: 2 - 6 = -4; nobody: 30.
    assert no_skill("cost", sample, options={**ERRORS, "true_positive": -2.0}) == pytest.approx(-4 / 5, abs=1e-12)
    assert no_skill("cost", sample, options=ERRORS) == pytest.approx(2 / 5, abs=1e-12)
    assert -2 <= estimate.low < estimate.value < estimate.high <= 10


def test_the_positive_label_may_be_the_first():
    sample = make_sample("binary", ["a", "a", "b"], ["b", "a", "b"], classes=("a", "b"), positive="a")
    assert measure("cost", sample, options=ERRORS).value == pytest.approx(10 / 3, abs=1e-12)


def test_costs_of_several_classes():
    costs = {"a": {"b": 1, "c": 4}, "b": {"a": 2, "c": 3, "b": -1}, "c": {"a": 5, "b": 6}}
    sample = make_sample("multiclass", list("aabbc"), list("abbca"), classes=list("abc"))
    assert measure("cost", sample, options={"costs": costs}).value == pytest.approx((0 + 1 - 1 + 3 + 5) / 5, abs=1e-12)
    always = {"a": (0 + 4 + 5) / 5, "b": (2 - 2 + 6) / 5, "c": (8 + 6 + 0) / 5}
    assert no_skill("cost", sample, options={"costs": costs}) == pytest.approx(min(always.values()), abs=1e-12)


def test_an_error_that_was_not_seen_is_not_taken_for_one_that_cannot_be():
    estimate = measure("cost", make_sample("binary", [0, 1] * 50, [0, 1] * 50), options=ERRORS)
    assert estimate.value == estimate.low == 0
    # Wilson's upper limit of none in 100, at ten each.
    assert estimate.high == pytest.approx(10 * 0.03699, abs=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"false_positive": 1},
        {"false_positive": 1, "false_negative": float("inf")},
        {"false_positive": 0, "false_negative": 0},
        {"costs": {"0": {"1": 1}}},
        {"costs": {"0": {"1": 1}, "1": 3}},
        {"costs": {"0": {"1": True}, "1": {"0": 1}}},
    ],
)
def test_costs_that_are_not_said_are_refused(options):
    with pytest.raises(MeasurementError, match="cost"):
        measure("cost", make_sample("binary", [0, 1], [0, 1]), options=options)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_costs_cover_as_often_as_they_say(weights):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(2000):
        cells = rng.choice(4, 400, p=[0.88, 0.02, 0.03, 0.07])
        drawn = None if weights is None else rng.choice(weights, 400)
        sample = make_sample("binary", cells // 2, cells % 2, weights=drawn)
        each = measure("cost", sample, options=ERRORS)
        hits += each.low <= 0.32 <= each.high
    assert 0.93 <= hits / 2000 <= 0.98
