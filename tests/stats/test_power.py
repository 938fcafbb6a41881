"""What one column tells of the target: against scikit-learn, scipy and learning by hand, and the limits' coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import ndtri
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.power import FOLDS, Feature, single_column_power, target_of
from pytest_leanml.stats.samples import make_sample
from pytest_leanml.vocabulary import Task


def binary(values, seed=0):
    return target_of(make_sample(Task.BINARY, values, classes=(0, 1), positive=1), seed=seed)


def multiclass(values, seed=0):
    return target_of(make_sample(Task.MULTICLASS, values, classes=tuple(np.unique(values).tolist())), seed=seed)


def regression(values, seed=0):
    return target_of(make_sample(Task.REGRESSION, values), seed=seed)


def power(values, target, *, numeric=True, **more):
    return single_column_power({"x": Feature(np.asarray(values), numeric=numeric)}, target, **more)


@pytest.fixture
def draw():
    return np.random.default_rng(7)


# --- folds ---------------------------------------------------------------------------------------


def test_every_fold_has_its_part_of_the_target(draw):
    target = binary((draw.random(1_000) < 0.1).astype(int))
    shares = pd.Series(target.values).groupby(target.fold).mean()
    assert np.bincount(target.fold).tolist() == [200] * FOLDS
    assert shares.max() - shares.min() <= 1 / 200
    other = binary(target.values, seed=1)
    assert (target.fold != other.fold).any()
    assert (target.fold == binary(target.values).fold).all()


# --- values, by hand -----------------------------------------------------------------------------


def learned(values, truth, fold):
    """Mean target of each value over the other folds, mixed with one row of their mean."""
    frame = pd.DataFrame({"x": values, "y": truth, "fold": fold})
    out = pd.Series(0.0, frame.index)
    for each in range(FOLDS):
        others = frame[frame.fold != each]
        grouped = others.groupby("x").y.agg(["sum", "count"])
        means = (grouped["sum"] + others.y.mean()) / (grouped["count"] + 1)
        inside = frame.fold == each
        out[inside] = frame.x[inside].map(means).fillna(others.y.mean())
    return out.to_numpy()


def test_categories_and_two_classes(draw):
    values = draw.integers(0, 9, 400)
    truth = (draw.random(400) < values / 10).astype(int)
    target = binary(truth)
    answers = learned(values, truth, target.fold)
    areas, weights = [], []
    for each in range(FOLDS):
        inside = target.fold == each
        areas.append(roc_auc_score(truth[inside], answers[inside]))
        weights.append(truth[inside].sum())
    found = power(values, target, numeric=False)
    assert found.value == pytest.approx(np.average(areas, weights=weights), abs=1e-12)
    assert found.low < found.value < found.high
    assert found.interval == "hanley-mcneil, simultaneous over 1"


def test_categories_and_numbers(draw):
    values = draw.integers(0, 9, 400)
    truth = values % 3 + draw.normal(size=400)
    target = regression(truth)
    found = power(values, target, numeric=False)
    assert found.value == pytest.approx(r2_score(truth, learned(values, truth, target.fold)), abs=1e-12)


def test_categories_and_several_classes(draw):
    values = draw.integers(0, 6, 500)
    truth = np.where(draw.random(500) < 0.7, values % 3, draw.integers(0, 3, 500))
    target = multiclass(truth)
    scores = np.column_stack([learned(values, (truth == each).astype(float), target.fold) for each in range(3)])
    accuracy, base = accuracy_score(truth, scores.argmax(axis=1)), np.bincount(truth).max() / 500
    found = power(values, target, numeric=False)
    assert found.value == pytest.approx((accuracy - base) / (1 - base), abs=1e-12)
    right, most = scores.argmax(axis=1) == truth, truth == np.bincount(truth).argmax()
    # The delta method's variance, from the covariance of both means.
    slope = np.array([1, -(1 - accuracy) / (1 - base)]) / (1 - base)
    error = math.sqrt(slope @ np.cov(right, most) @ slope / 500)
    half = stats.t.ppf(0.975, 499) * error
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=1e-9)


# --- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_the_order_of_numbers_and_two_classes(draw, sign):
    truth = (draw.random(300) < 0.4).astype(int)
    values = sign * (truth + draw.normal(size=300))
    area = roc_auc_score(truth, sign * values)
    assert power(values, binary(truth)).value == pytest.approx(area, abs=1e-12)


def test_the_order_of_numbers_and_numbers(draw):
    values = draw.normal(size=300)
    truth = np.exp(4 * values + draw.normal(size=300))
    found = power(-values, regression(truth))
    assert found.value == pytest.approx(stats.spearmanr(values, truth).statistic ** 2, abs=1e-12)
    # Bonett and Wright (2000), both ways at once: 1.25 % on either side.
    r = stats.spearmanr(values, truth).statistic
    half = ndtri(1 - 0.0125) * math.sqrt((1 + r**2 / 2) / 297)
    limits = [math.tanh(math.atanh(r) + each) ** 2 for each in (-half, half)]
    assert (found.low, found.high) == pytest.approx(limits, abs=1e-9)


def test_a_number_that_tells_by_its_values_alone(draw):
    values = draw.uniform(-1, 1, 2_000)
    truth = (np.abs(values) > 0.5).astype(int)
    assert roc_auc_score(truth, values) == pytest.approx(0.5, abs=0.05)
    assert power(values, binary(truth)).value > 0.95
    assert power(values, regression(values**2)).value > 0.95


def test_missing_values_tell_as_well(draw):
    truth = (draw.random(400) < 0.5).astype(int)
    gone = np.where(truth == 1, np.nan, draw.normal(size=400))
    assert power(gone, binary(truth)).value == 1
    assert power(np.where(truth == 1, 0, draw.integers(1, 4, 400)), binary(truth), numeric=False).value == 1


def test_many_equal_numbers_are_a_value_of_their_own(draw):
    values = np.where(draw.random(1_000) < 0.5, 0.0, draw.normal(size=1_000))
    truth = (values == 0).astype(int)
    assert power(values, binary(truth)).value > 0.99


# --- the target in disguise, and nothing at all ---------------------------------------------------


def test_the_target_itself_has_all_power(draw):
    truth = draw.integers(0, 2, 200)
    for target in (binary(truth), multiclass(draw.integers(0, 3, 200)), regression(draw.normal(size=200))):
        found = power(np.asarray(target.values, dtype=float) * 3 - 1, target)
        assert found.value > 0.95
        assert found.high == pytest.approx(1)
        assert found.low < 1
    found = power(truth, multiclass(truth), numeric=False)
    assert (found.value, found.interval) == (1, "wilson, simultaneous over 1")


@pytest.mark.parametrize("numeric", [True, False])
def test_a_column_of_distinct_values_has_no_power(draw, numeric):
    values = draw.permutation(900)
    for target, floor in ((binary(draw.integers(0, 2, 900)), 0.5), (multiclass(draw.integers(0, 3, 900)), 0)):
        found = power(values, target, numeric=numeric)
        assert floor <= found.value < floor + 0.1
        assert found.low == pytest.approx(floor, abs=0.03)
    found = power(values, regression(draw.normal(size=900)), numeric=numeric)
    assert 0 <= found.low <= found.value < 0.05


def test_answers_that_are_all_wrong_have_no_power():
    truth = np.arange(300) % 3
    # What a value of two rows says of one of them was learned from the other, which differs.
    values = np.arange(300) // 2
    found = power(values, multiclass(truth), numeric=False)
    assert (found.value, found.low) == (0, 0)


def test_the_best_column_comes_first_and_its_limits_hold_for_all(draw):
    truth = draw.integers(0, 2, 500)
    columns = {
        "noise": Feature(draw.normal(size=500), numeric=True),
        "some": Feature(truth + draw.normal(size=500), numeric=True),
        "told": Feature(truth.astype(float), numeric=True),
        "constant": Feature(np.zeros(500), numeric=True),
        "empty": Feature(np.full(500, np.nan), numeric=True),
        "letters": Feature(np.zeros(500, dtype=int), numeric=False),
    }
    found = single_column_power(columns, binary(truth))
    assert list(found.by)[:3] == ["told", "some", "noise"]
    assert {name: found.by[name].value for name in ("constant", "empty", "letters")} == dict.fromkeys(
        ("constant", "empty", "letters"), 0.5
    )
    assert (found.value, found.details) == (1, {"columns": 6, "constant": 3})
    assert found.interval.endswith("simultaneous over 3")
    alone = single_column_power({"some": columns["some"]}, binary(truth))
    assert found.by["some"].low < alone.low
    assert found.by["some"].high > alone.high


def test_values_beyond_what_memory_holds_answer_as_one(draw, monkeypatch):
    truth = draw.integers(0, 3, 600)
    values = np.where(draw.random(600) < 0.5, truth, 3 + np.arange(600))
    whole = power(values, multiclass(truth), numeric=False)
    monkeypatch.setattr("pytest_leanml.stats.power._MOST_CELLS", 4 * FOLDS * 3)
    cut = power(values, multiclass(truth), numeric=False)
    assert 0.3 < cut.value == pytest.approx(whole.value, abs=0.1)


def test_rare_positives_in_some_folds_alone():
    truth = np.zeros(100, dtype=int)
    truth[[3, 50]] = 1
    found = power(np.where(truth == 1, 0, np.arange(100) % 2), binary(truth), numeric=False)
    assert 0.5 <= found.low <= found.value <= found.high <= 1


# --- refused -------------------------------------------------------------------------------------


def test_nothing_to_learn_from():
    with pytest.raises(InconclusiveError, match="29 rows"):
        binary(np.arange(29) % 2)
    with pytest.raises(InconclusiveError, match="one value only"):
        regression(np.ones(40))
    target = binary(np.arange(40) % 2)
    for columns in ({}, {"x": Feature(np.ones(40), numeric=True)}, {"x": Feature(np.full(40, np.nan), numeric=True)}):
        with pytest.raises(InconclusiveError, match="no column varies"):
            single_column_power(columns, target)


def test_columns_that_cannot_be_judged():
    target = binary(np.arange(40) % 2)
    for bad in (np.inf, -np.inf):
        with pytest.raises(MeasurementError, match="infinite values in `x`"):
            power(np.where(np.arange(40) == 3, bad, 1.0), target)
    with pytest.raises(MeasurementError, match="39 values of `x`"):
        power(np.arange(39.0), target)


# --- coverage ------------------------------------------------------------------------------------

RUNS = 2_000
SHARES, POSITIVE = np.array([0.3, 0.5, 0.2]), np.array([0.1, 0.4, 0.8])
TABLE = np.array([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]])
LEVELS = np.array([0.0, 1.0, 3.0])


def numbers_and_two_classes(draw, n, area):
    truth = (draw.random(n) < 0.3).astype(int)
    return Feature(draw.normal(size=n) + ndtri(area) * math.sqrt(2) * truth, numeric=True), binary(truth)


def categories_and_two_classes(draw, n):
    codes = draw.choice(3, n, p=SHARES)
    return Feature(codes, numeric=False), binary((draw.random(n) < POSITIVE[codes]).astype(int))


def categories_and_three_classes(draw, n):
    codes = draw.choice(3, n, p=SHARES)
    return Feature(codes, numeric=False), multiclass((draw.random((n, 1)) > TABLE[codes].cumsum(1)).sum(1))


def categories_and_numbers(draw, n):
    codes = draw.choice(3, n, p=SHARES)
    return Feature(codes, numeric=False), regression(LEVELS[codes] + draw.normal(size=n))


def ordered_numbers(draw, n):
    z = draw.normal(size=(n, 2))
    return Feature(z[:, 0], numeric=True), regression(np.exp(3 * (0.8 * z[:, 0] + 0.6 * z[:, 1])))


def area_of_categories():
    high, low = SHARES * POSITIVE, SHARES * (1 - POSITIVE)
    above = np.sign(np.subtract.outer(np.arange(3), np.arange(3))) / 2 + 0.5
    return high @ above @ low / (high.sum() * low.sum())


def accuracy_of_categories():
    largest = (SHARES @ TABLE).max()
    return (SHARES @ TABLE.max(axis=1) - largest) / (1 - largest)


def r2_of_categories():
    between = SHARES @ LEVELS**2 - (SHARES @ LEVELS) ** 2
    return between / (between + 1)


def covered(make, truth, n, seed=5):
    draw, hits = np.random.default_rng(seed), 0
    for _ in range(RUNS):
        feature, target = make(draw, n)
        found = single_column_power({"x": feature}, target)
        hits += found.low <= truth <= found.high
    return hits / RUNS


@pytest.mark.parametrize("area", [0.6, 0.8, 0.95])
def test_coverage_of_numbers_and_two_classes(area):
    assert covered(lambda draw, n: numbers_and_two_classes(draw, n, area), area, 100) >= 0.93


@pytest.mark.parametrize("n", [150, 600])
def test_coverage_of_categories_and_two_classes(n):
    assert covered(categories_and_two_classes, area_of_categories(), n) >= 0.93


@pytest.mark.parametrize("n", [150, 600])
def test_coverage_of_categories_and_three_classes(n):
    assert covered(categories_and_three_classes, accuracy_of_categories(), n) >= 0.93


@pytest.mark.parametrize("n", [300, 1_000])
def test_coverage_of_categories_and_numbers(n):
    assert covered(categories_and_numbers, r2_of_categories(), n) >= 0.93


def test_coverage_of_ordered_numbers():
    # Spearman's correlation of a bivariate normal pair, whatever monotone scale it is measured on.
    assert covered(ordered_numbers, (6 / math.pi * math.asin(0.8 / 2)) ** 2, 150) >= 0.93
