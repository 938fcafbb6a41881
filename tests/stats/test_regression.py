from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import regression
from pytest_leanml.stats.quality import measure, no_skill
from pytest_leanml.stats.samples import Sample, make_sample
from pytest_leanml.vocabulary import Task

SCORERS = {"rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error, "r2": sk.r2_score}
VALUES = st.integers(-10_000, 10_000).map(lambda x: x / 100)


def regressed(n, seed, noise=0.5):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(n)
    return make_sample("regression", y, y + noise * rng.standard_normal(n))


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=60))
def test_values_agree_with_scikit_learn(rows):
    y, p = np.array(rows).T
    assume(np.ptp(y) > 0)
    sample = make_sample("regression", y, p)
    for name, scorer in SCORERS.items():
        estimate = measure(name, sample)
        assert estimate.value == pytest.approx(scorer(y, p), rel=1e-9, abs=1e-9)
        if estimate.interval is not None:
            assert estimate.low <= estimate.value + 1e-9
            assert estimate.value - 1e-9 <= estimate.high
    assert measure("r2", sample).unit == "1"
    assert measure("rmse", sample).unit == "target"


def test_the_rmse_interval_is_the_delta_methods():
    sample = regressed(5000, 1)
    squares = regression.residuals(sample) ** 2
    estimate = measure("rmse", sample)
    half = stats.t.ppf(0.975, 4999) * stats.sem(squares) / (2 * math.sqrt(squares.mean()))
    assert estimate.interval == "delta-log"
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=1e-3)
    # On the log scale of the mean square, exactly:
    exact = math.exp(stats.t.ppf(0.975, 4999) * stats.sem(squares) / squares.mean())
    assert estimate.high**2 / squares.mean() == pytest.approx(exact, rel=1e-9)


def test_the_r2_interval_is_the_delta_methods():
    """Against the jackknife, which knows nothing of our derivative."""
    sample = regressed(400, 2)
    y, p = sample.y_true, sample.y_pred
    left_out = [sk.r2_score(np.delete(y, i), np.delete(p, i)) for i in range(400)]
    error = math.sqrt(399 / 400 * np.sum((left_out - np.mean(left_out)) ** 2))
    estimate = measure("r2", sample)
    low, high = 1 - (1 - estimate.high), estimate.low
    got = (math.log(1 - high) - math.log(1 - low)) / (2 * stats.t.ppf(0.975, 399)) * (1 - estimate.value)
    assert got == pytest.approx(error, rel=0.02)


def test_a_perfect_regression_has_no_interval_and_is_not_proven():
    sample = make_sample("regression", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    for name, value in (("rmse", 0.0), ("mae", 0.0), ("r2", 1.0)):
        estimate = measure(name, sample)
        assert estimate.value == value
        assert (estimate.low, estimate.high, estimate.interval) == (None, None, None)


def test_one_row_has_no_interval():
    sample = make_sample("regression", [1.0], [2.0])
    assert measure("rmse", sample).interval is None
    assert measure("mae", sample).interval is None


def test_r2_of_equal_values_is_undefined():
    with pytest.raises(InconclusiveError, match="all the same"):
        measure("r2", make_sample("regression", [2.0, 2.0], [1.0, 3.0]))


def test_constant_answers_are_exactly_no_skill():
    y = np.random.default_rng(3).exponential(size=1001) ** 2
    mean, median = np.full(1001, y.mean()), np.full(1001, np.median(y))
    # Equal to the last bit: a rounding error must not look like skill.
    for name, constant in (("rmse", mean), ("r2", mean), ("mae", median)):
        sample = make_sample("regression", y, constant)
        assert measure(name, sample).value == no_skill(name, sample)
    assert no_skill("rmse", sample) == pytest.approx(y.std(), abs=1e-9)
    assert no_skill("mae", sample) == pytest.approx(sk.mean_absolute_error(y, median), abs=1e-9)


def test_unsigned_targets_do_not_wrap_around():
    sample = Sample(Task.REGRESSION, np.array([1, 2], dtype=np.uint8), np.array([2, 1], dtype=np.uint8))
    assert regression.residuals(sample).tolist() == [-1, 1]


def test_predictions_are_needed():
    with pytest.raises(MeasurementError, match="no predicted values"):
        measure("rmse", make_sample("regression", [1.0, 2.0]))


def test_squares_beyond_a_float_are_refused():
    with pytest.raises(MeasurementError, match="rmse is not finite"):
        measure("rmse", make_sample("regression", [1e200, -1e200], [-1e200, 1e200]))


@pytest.mark.parametrize(("name", "truth"), [("rmse", 0.5), ("mae", 0.5 * math.sqrt(2 / math.pi)), ("r2", 0.75)])
@pytest.mark.parametrize("n", [30, 300])
def test_intervals_cover_as_often_as_they_say(name, truth, n):
    estimates = [measure(name, regressed(n, seed)) for seed in range(400)]
    assert 0.925 <= np.mean([each.low <= truth <= each.high for each in estimates]) <= 0.985
