"""Every quality metric against scikit-learn, with and without weights, and how often their intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import averages, classification
from pytest_leanml.stats.confusion import joint_of, share_estimate
from pytest_leanml.stats.quality import METRICS, measure, no_skill
from pytest_leanml.stats.regression import middle_of, quantile_of
from pytest_leanml.stats.samples import make_sample

BINARY = {
    "accuracy": lambda y, p, _, w: sk.accuracy_score(y, p, sample_weight=w),
    "balanced_accuracy": lambda y, p, _, w: sk.balanced_accuracy_score(y, p, sample_weight=w),
    "precision": lambda y, p, _, w: sk.precision_score(y, p, sample_weight=w),
    "recall": lambda y, p, _, w: sk.recall_score(y, p, sample_weight=w),
    "specificity": lambda y, p, _, w: sk.recall_score(y, p, pos_label=0, sample_weight=w),
    "negative_predictive_value": lambda y, p, _, w: sk.precision_score(y, p, pos_label=0, sample_weight=w),
    "f1_score": lambda y, p, _, w: sk.f1_score(y, p, sample_weight=w),
    "matthews_corrcoef": lambda y, p, _, w: sk.matthews_corrcoef(y, p, sample_weight=w),
    "cohen_kappa": lambda y, p, _, w: sk.cohen_kappa_score(y, p, sample_weight=w),
    "roc_auc": lambda y, _, s, w: sk.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, _, s, w: sk.average_precision_score(y, s, sample_weight=w),
    "log_loss": lambda y, _, s, w: sk.log_loss(y, s, sample_weight=w),
    "brier_score": lambda y, _, s, w: sk.brier_score_loss(y, s, sample_weight=w),
}
VALUES = {
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "median_absolute_error": sk.median_absolute_error,
    "pinball_loss": sk.mean_pinball_loss,
    "r2": sk.r2_score,
}
AVERAGED = {"precision": sk.precision_score, "recall": sk.recall_score, "f1_score": sk.f1_score}


def weights_of(rng, n, given):
    return None if not given else rng.choice([0.0, 0.3, 1.0, 2.0, 5.0], n)


def binary(seed, given):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 200))
    y = rng.integers(0, 2, n)
    scores = np.clip(np.round(0.6 * rng.random(n) + 0.4 * y, int(rng.integers(1, 5))), 0.001, 0.999)
    return y, (scores > 0.6).astype(int), scores, weights_of(rng, n, given)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", BINARY)
def test_binary_metrics_are_scikit_learns(name, given):
    for seed in range(20):
        y, labels, scores, weights = binary(seed, given)
        estimate = measure(name, make_sample("binary", y, labels, scores, weights=weights))
        assert estimate.value == pytest.approx(BINARY[name](y, labels, scores, weights), abs=1e-9)
        assert estimate.low <= estimate.value <= estimate.high


def several(seed, given, k=4):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(60, 200))
    y = rng.integers(0, k, n)
    y[:k] = range(k)
    scores = np.round(rng.dirichlet(np.ones(k), n), 2) + 0.001
    scores /= scores.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(n) < 0.5, y, scores.argmax(axis=1))
    labels[:k] = range(k)
    weights = weights_of(rng, n, given)
    if weights is not None:
        weights[:k] = 1
    return y, labels, scores, weights


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("average", classification.AVERAGES)
@pytest.mark.parametrize("name", AVERAGED)
def test_averages_over_classes_are_scikit_learns(name, average, given):
    for seed in range(10):
        y, labels, _, weights = several(seed, given)
        sample = make_sample("multiclass", y, labels, weights=weights)
        estimate = measure(name, sample, options={"method": average})
        expected = AVERAGED[name](y, labels, average=average, sample_weight=weights)
        assert estimate.value == pytest.approx(expected, abs=1e-9)
        assert estimate.low < estimate.value < estimate.high
        assert 0 < no_skill(name, sample, options={"method": average}) < 1


@pytest.mark.parametrize("given", [False, True])
def test_other_metrics_of_several_classes_are_scikit_learns(given):
    for seed in range(10):
        y, labels, scores, w = several(seed, given)
        sample = make_sample("multiclass", y, labels, scores, classes=range(4), weights=w)
        expected = {
            "accuracy": sk.accuracy_score(y, labels, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(y, labels, sample_weight=w),
            "matthews_corrcoef": sk.matthews_corrcoef(y, labels, sample_weight=w),
            "cohen_kappa": sk.cohen_kappa_score(y, labels, sample_weight=w),
            "roc_auc": sk.roc_auc_score(y, scores, multi_class="ovr", sample_weight=w),
            "average_precision": sk.average_precision_score(y, scores, sample_weight=w),
            "log_loss": sk.log_loss(y, scores, sample_weight=w),
        }
        for name, value in expected.items():
            estimate = measure(name, sample)
            assert estimate.value == pytest.approx(value, abs=1e-9), name
            assert estimate.low < estimate.value < estimate.high, name
        for k in (1, 2, 3):
            found = measure("top_k_accuracy", sample, options={"k": k}).value
            assert found == pytest.approx(sk.top_k_accuracy_score(y, scores, k=k, sample_weight=w), abs=1e-9)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_regression_metrics_are_scikit_learns(name, given):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(30, 200))
        y = np.round(rng.normal(3, 1, n), 1) + 0.01
        answers, w = np.round(y + rng.normal(0, 1, n), 1), weights_of(rng, n, given)
        estimate = measure(name, make_sample("regression", y, answers, weights=w))
        assert estimate.value == pytest.approx(VALUES[name](y, answers, sample_weight=w), abs=1e-9)
        assert estimate.low <= estimate.value <= estimate.high


def test_quantiles_of_a_loss_are_scikit_learns():
    rng = np.random.default_rng(0)
    y, answers = rng.normal(size=50), rng.normal(size=50)
    sample = make_sample("regression", y, answers)
    for alpha in (0.1, 0.9):
        expected = sk.mean_pinball_loss(y, answers, alpha=alpha)
        assert measure("pinball_loss", sample, options={"alpha": alpha}).value == pytest.approx(expected, abs=1e-12)
        assert no_skill("pinball_loss", sample, options={"alpha": alpha}) > 0
    with pytest.raises(MeasurementError, match="alpha = 1"):
        measure("pinball_loss", sample, options={"alpha": 1})
    assert measure("max_error", sample).value == pytest.approx(sk.max_error(y, answers), abs=1e-12)


def test_shares_of_nothing_are_undefined():
    sample = make_sample("regression", [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(InconclusiveError, match="MAPE is undefined: 1 of 2 true values are 0"):
        measure("mape", sample)
    few = measure("median_absolute_error", make_sample("regression", [1.0, 2.0], [1.5, 2.0]))
    assert (few.value, few.interval) == (0.25, None)
    uneven = make_sample("regression", [1.0, 2.0, 4.0], [1.0, 2.0, 3.0], weights=[1, 2, 1])
    # Errors 0 of one half of the weight, 1 and 2 of the other: the middle is between 0 and 1.
    assert no_skill("median_absolute_error", uneven) == 0.5
    assert no_skill("max_error", uneven) == 1.5
    with pytest.raises(InconclusiveError, match="R2 is undefined"):
        measure("r2", make_sample("regression", [1.0, 1.0], [1.0, 2.0]))


@given(st.lists(st.integers(1, 4), min_size=6, max_size=25), st.integers(0, 10**6))
def test_whole_weights_are_repeated_rows(counts, seed):
    rng = np.random.default_rng(seed)
    n = len(counts)
    y, scores = rng.permutation(np.arange(n) % 2), rng.random(n)
    labels = (scores > 0.5).astype(int)
    weighted = make_sample("binary", y, labels, scores, weights=counts)
    repeated = make_sample("binary", *(np.repeat(each, counts) for each in (y, labels, scores)))
    for name in ("accuracy", "f1_score", "roc_auc", "average_precision", "log_loss", "balanced_accuracy"):
        assert measure(name, weighted).value == pytest.approx(measure(name, repeated).value, abs=1e-9)
        assert no_skill(name, weighted) == pytest.approx(no_skill(name, repeated), abs=1e-9)
    whole = make_sample("regression", scores, rng.random(n), weights=counts)
    each = make_sample("regression", *(np.repeat(part, counts) for part in (whole.y_true, whole.y_pred)))
    for name in ("mae", "mape", "rmse", "r2", "median_absolute_error", "pinball_loss"):
        assert measure(name, whole).value == pytest.approx(measure(name, each).value, abs=1e-9)
    for name in ("mae", "mape", "rmse", "pinball_loss"):
        assert no_skill(name, whole) == pytest.approx(no_skill(name, each), abs=1e-9)


def test_fewer_effective_rows_make_wider_intervals():
    rng = np.random.default_rng(1)
    y, scores = rng.integers(0, 2, 500), rng.random(500)
    labels = (scores > 0.5).astype(int)
    plain = make_sample("binary", y, labels, scores)
    uneven = make_sample("binary", y, labels, scores, weights=rng.choice([1.0, 20.0], 500))
    for name in ("accuracy", "f1_score", "roc_auc", "average_precision", "log_loss", "matthews_corrcoef"):
        one, other = measure(name, plain), measure(name, uneven)
        assert other.high - other.low > one.high - one.low
        assert other.details["effective_rows"] < 500
        assert "effective_rows" not in one.details


@pytest.mark.parametrize("weights", [[1, -1, 1, 1], [1, math.nan, 1, 1], [1, math.inf, 1, 1], ["a", 1, 1, 1]])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(MeasurementError, match="weights"):
        make_sample("binary", [0, 1, 0, 1], [0, 1, 0, 1], weights=weights)


def test_weights_of_nobody_or_of_other_rows():
    with pytest.raises(InconclusiveError, match="all 4 rows have the weight 0"):
        make_sample("binary", [0, 1, 0, 1], [0, 1, 0, 1], weights=[0, 0, 0, 0])
    with pytest.raises(MeasurementError, match="4 rows like y_true"):
        make_sample("binary", [0, 1, 0, 1], [0, 1, 0, 1], weights=[1, 2])


def test_a_class_of_weight_0_is_not_there():
    sample = make_sample("binary", [0, 1, 0, 1], [0, 1, 0, 1], weights=[1, 0, 2, 0])
    with pytest.raises(InconclusiveError, match="all 2 rows are of the class 0"):
        measure("accuracy", sample)


def test_a_correlation_of_one_answer_is_undefined():
    sample = make_sample("binary", [0, 1, 0, 1], [1, 1, 1, 1])
    with pytest.raises(InconclusiveError, match="correlation is undefined"):
        measure("matthews_corrcoef", sample)
    assert measure("cohen_kappa", sample).value == 0
    with pytest.raises(InconclusiveError, match="correlation is undefined"):
        averages.cohen_kappa(make_sample("binary", [1, 1], [1, 1]), 0.95)


@pytest.mark.parametrize("name", ["matthews_corrcoef", "cohen_kappa"])
def test_perfect_agreement_is_not_beyond_doubt(name):
    for n, low in ((20, 0.3), (2000, 0.98)):
        estimate = measure(name, make_sample("binary", np.arange(n) % 2, np.arange(n) % 2))
        assert estimate.value == estimate.high == 1
        assert low < estimate.low < 1
        assert estimate.interval == "binomial-bound"


def test_many_classes_go_by_the_delta_method():
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(600), 5)
    labels = np.where(rng.random(3000) < 0.7, y, rng.permutation(y))
    sample = make_sample("multiclass", y, labels)
    for name in ("recall", "f1_score"):
        estimate = measure(name, sample)
        assert estimate.interval == "delta-wilson"
        expected = AVERAGED[name](y, labels, average="macro")
        assert estimate.value == pytest.approx(expected, abs=1e-9)
        assert estimate.low < estimate.value < estimate.high
    # So many classes that the matrix of pairs is never laid out.
    cells = joint_of(make_sample("multiclass", np.arange(2000), np.arange(2000)))
    assert len(cells.rows) == 2000


def test_a_share_is_wilsons():
    plain, counted = (share_estimate(np.arange(10) < 7, w, 0.95) for w in (None, np.where(np.arange(10) < 5, 1.0, 2.0)))
    assert (plain.value, plain.interval) == (0.7, "wilson")
    assert counted.value == pytest.approx((5 + 4) / 15)
    assert counted.high - counted.low > plain.high - plain.low


def test_medians_and_quantiles_of_weights():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    assert middle_of(values) == 2
    assert middle_of(values, weights) == 2
    assert middle_of(np.array([1.0, 2.0]), np.array([1.0, 1.0 + 1e-15])) == 1.5
    assert middle_of(np.array([1.0, 2.0]), np.array([1.0, 3.0])) == 2
    assert [quantile_of(values, share, weights) for share in (0, 0.25, 0.26, 0.75, 0.76, 1)] == [1, 1, 2, 2, 3, 3]


# Coverage: 2,000 runs at each setting.


def coverage(name, truth, draw, runs=2000, **options):
    estimates = [measure(name, draw(), options=options) for _ in range(runs)]
    return np.mean([each.low <= truth <= each.high for each in estimates])


def confused(shares, n, rng, weights=None):
    """Draw samples of n rows with these shares by true and predicted class."""
    k = len(shares)
    task = {"task": "binary", "positive": 1} if k == 2 else {"task": "multiclass"}

    def draw():
        cells = rng.choice(k * k, n, p=shares.ravel())
        drawn = None if weights is None else rng.choice(weights, n)
        return make_sample(y_true=cells // k, y_pred=cells % k, classes=range(k), weights=drawn, **task)

    return draw


THREE = np.array([[0.34, 0.04, 0.02], [0.03, 0.30, 0.02], [0.02, 0.03, 0.20]])
RARE = np.array([[0.88, 0.02], [0.03, 0.07]])


def truths(shares):
    hits, rows, columns = np.diag(shares), shares.sum(axis=1), shares.sum(axis=0)
    chance = rows @ columns
    return {
        "balanced_accuracy": (hits / rows).mean(),
        "matthews_corrcoef": (hits.sum() - chance) / np.sqrt((1 - rows @ rows) * (1 - columns @ columns)),
        "cohen_kappa": (hits.sum() - chance) / (1 - chance),
    }


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
@pytest.mark.parametrize("name", ["balanced_accuracy", "matthews_corrcoef", "cohen_kappa"])
@pytest.mark.parametrize(("shares", "n"), [(THREE, 200), (RARE, 400)], ids=["three", "rare"])
def test_correlations_cover_as_often_as_they_say(name, shares, n, weights):
    draw = confused(shares, n, np.random.default_rng(1), weights)
    assert 0.93 <= coverage(name, truths(shares)[name], draw) <= 0.98


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
@pytest.mark.parametrize("name", ["precision", "f1_score"])
def test_weighted_averages_cover_as_often_as_they_say(name, weights):
    hits, rows, columns = np.diag(THREE), THREE.sum(axis=1), THREE.sum(axis=0)
    truth = {"precision": rows @ (hits / columns), "f1_score": rows @ (2 * hits / (rows + columns))}[name]
    draw = confused(THREE, 200, np.random.default_rng(2), weights)
    assert 0.93 <= coverage(name, truth, draw, method="weighted") <= 0.97


@pytest.mark.parametrize(("name", "truth"), [("recall", 0.7), ("f1_score", 0.14 / 0.19), ("accuracy", 0.95)])
def test_ratios_of_weights_cover_as_often_as_they_say(name, truth):
    draw = confused(RARE, 400, np.random.default_rng(3), [1.0, 2.0, 5.0])
    assert 0.93 <= coverage(name, truth, draw) <= 0.985


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
@pytest.mark.parametrize("name", ["mae", "median_absolute_error", "mape", "rmse", "r2", "pinball_loss"])
def test_errors_cover_as_often_as_they_say(name, weights):
    rng = np.random.default_rng(4)

    def draw(n=200):
        y = rng.normal(5, 0.8, n)
        drawn = None if weights is None else rng.choice(weights, n)
        return make_sample("regression", y, y + rng.normal(0, 0.5, n), weights=drawn)

    size = 0.5 * math.sqrt(2 / math.pi)
    y = np.random.default_rng(5).normal(5, 0.8, 1_000_000)
    truth = {
        "mae": size,
        "median_absolute_error": 0.5 * 0.6744897501960817,
        "mape": size * (1 / np.abs(y)).mean(),
        "rmse": 0.5,
        "r2": 1 - 0.25 / 0.64,
        "pinball_loss": size / 2,
    }[name]
    assert 0.93 <= coverage(name, truth, draw) <= 0.975


def test_the_metrics_that_take_settings_say_which():
    assert {name for name, metric in METRICS.items() if metric.options} == {
        *("precision", "recall", "f1_score", "cost", "top_k_accuracy"),
        *("calibration_error", "brier_reliability", "brier_resolution", "pinball_loss"),
    }
    for metric in METRICS.values():
        assert metric.shared <= metric.options
