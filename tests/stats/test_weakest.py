"""The grouped jackknife, and the search for weak slices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import weakest
from pytest_leanml.stats.jackknife import jackknife
from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import make_sample
from pytest_leanml.stats.weakest import Asked, Levels, weakest_slice


def test_the_jackknife_of_a_mean_without_remainder_is_students():
    """With as many rows in each group it is the t interval of the groups' means."""
    values = np.random.default_rng(0).normal(size=10_000)
    estimate = jackknife(lambda rows: float(values[rows].mean()), 10_000, seed=3)
    dealt = np.random.default_rng(3).permutation(10_000) % 50
    means = np.array([values[dealt == group].mean() for group in range(50)])
    half = 2.0095752371292397 * means.std(ddof=1) / math.sqrt(50)  # t of 49 degrees
    assert estimate.value == pytest.approx(values.mean(), abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-9)


def test_the_jackknife_says_nothing_where_it_knows_nothing():
    assert jackknife(lambda rows: float(len(rows)), 24).interval is None
    assert jackknife(lambda _rows: 1.0, 400).interval is None

    def fragile(rows):
        if len(rows) < 400:
            raise InconclusiveError("undefined", "more rows")
        return 1.0

    assert jackknife(fragile, 400).interval is None
    with pytest.raises(InconclusiveError):
        jackknife(fragile, 399)


@pytest.mark.parametrize(("statistic", "truth"), [(np.mean, 1.0), (np.median, math.log(2)), (np.std, 1.0)])
@pytest.mark.parametrize("n", [400, 2500])
def test_the_jackknife_covers_as_often_as_it_says(statistic, truth, n):
    """Means, medians and standard deviations of exponential rows: the median is where a plain jackknife fails."""
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        values = rng.exponential(size=n)
        each = jackknife(lambda rows, values=values: float(statistic(values[rows])), n)
        hits += each.low <= truth <= each.high
    assert 0.92 <= hits / 400 <= 0.99


def levels(codes, name="x"):
    return Levels(np.asarray(codes), tuple(f"{name} = {code}" for code in range(int(np.max(codes)) + 1)))


def answered(right, seed=0):
    y = np.random.default_rng(seed).integers(0, 2, len(right))
    return make_sample("binary", y, np.where(right, y, 1 - y), np.where(right, 0.2 + 0.6 * y, 0.8 - 0.6 * y))


def test_a_slice_of_one_class_is_measured_where_the_metric_is_a_mean_over_rows():
    """A slice of positives alone, all missed, must not escape for being of one class."""
    rows = 600
    y = np.random.default_rng(1).integers(0, 2, rows)
    missed = np.arange(rows) % 6 == 0
    y[missed] = 1
    sample = make_sample("binary", y, np.where(missed, 0, y))
    estimate = weakest_slice(sample, {"m": levels(missed.astype(int), "m")}, Asked("accuracy", min_rows=20))
    assert (estimate.value, estimate.by["m = 1"].value) == (0, 0)
    # A metric of the class is undefined there: said, not passed over.
    with pytest.raises(InconclusiveError, match="no slice"):
        weakest_slice(sample, {"m": levels(np.where(missed, 1, 0), "m")}, Asked("specificity", min_rows=400))


def test_a_slice_that_reads_like_another_does_not_hide_it():
    right = np.repeat([False, True, True], 400)
    right[400::3] = False
    codes = np.repeat([0, 1, 2], 400)
    same = Levels(codes, ("x = 1", "x = 1", "x = 1"))
    found = weakest_slice(answered(right), {"x": same}, Asked("accuracy", report=3))
    assert list(found.by) == ["x = 1", "x = 1 #2", "x = 1 #3"]
    assert (found.value, found.by["x = 1"].value, found.details["undefined"]) == (0, 0, 0)


def test_what_is_told_had_no_say_in_the_choice():
    """With 400 slices of pure noise the worst looks bad where it was found, and like all others where it is measured."""
    rng = np.random.default_rng(2)
    right = rng.random(40_000) < 0.8
    sample, codes = answered(right), rng.integers(0, 400, 40_000)
    found = weakest_slice(sample, {"x": levels(codes)}, Asked("accuracy"))
    apparent = min(right[codes == code].mean() for code in range(400))
    assert apparent < 0.69
    assert found.details["searched"] == 400
    assert np.mean([part.value for part in found.by.values()]) == pytest.approx(0.8, abs=0.05)
    assert found.details["overall"] == pytest.approx(right.mean(), abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_the_interval_of_the_worst_covers_as_often_as_it_says(name):
    """2,000 runs over eight slices of 60 rows: the least of the true values of those that were chosen."""
    rng = np.random.default_rng(3)
    shares = np.array([0.7, 0.75, 0.8, 0.8, 0.85, 0.9, 0.9, 0.95])
    codes = np.repeat(np.arange(8), 120)
    loss = {True: -math.log(0.8), False: -math.log(0.2)}
    truths = shares if name == "accuracy" else shares * loss[True] + (1 - shares) * loss[False]
    worst, hits = min if name == "accuracy" else max, 0
    for seed in range(500):
        sample = answered(rng.random(960) < shares[codes], seed)
        found = weakest_slice(sample, {"x": levels(codes)}, Asked(name, seed=seed, report=3))
        truth = worst(truths[int(each.rpartition(" ")[2])] for each in found.by)
        hits += found.low <= truth <= found.high
    assert hits / 500 >= 0.94


def test_other_metrics_are_measured_slice_by_slice():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 3, 3000)
    right = rng.random(3000) < np.where(codes == 2, 0.6, 0.9)
    sample = answered(right)
    for name in ("f1_score", "roc_auc", "matthews_corrcoef"):
        found = weakest_slice(sample, {"x": levels(codes)}, Asked(name, report=1))
        assert list(found.by) == ["x = 2"]
        assert found.value < found.details["overall"]
    values = make_sample("regression", rng.normal(size=3000), rng.normal(size=3000) * np.where(codes == 1, 3, 1))
    for name in ("rmse", "mae", "mape", "pinball_loss", "r2"):
        found = weakest_slice(values, {"x": levels(codes)}, Asked(name, report=1))
        assert list(found.by) == ["x = 1"]
    # It has no interval, so neither has the worst of it.
    largest = weakest_slice(values, {"x": levels(codes)}, Asked("max_error", report=2))
    assert (largest.low, largest.high, largest.interval) == (None, None, None)


def test_weights_count_in_the_search():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 2, 2000)
    right = np.where(codes == 0, np.arange(2000) % 4 > 0, np.arange(2000) % 3 > 0)
    y = rng.integers(0, 2, 2000)
    weights = np.where(~right & (codes == 0), 10.0, 1.0)
    for given, expected in ((None, "x = 1"), (weights, "x = 0")):
        sample = make_sample("binary", y, np.where(right, y, 1 - y), weights=given)
        assert list(weakest_slice(sample, {"x": levels(codes)}, Asked("accuracy", report=1)).by) == [expected]


def test_pairs_are_named_by_both_columns_and_large_data_is_sampled(monkeypatch):
    monkeypatch.setattr(weakest, "MOST_ROWS", {True: 500, False: 500})
    rng = np.random.default_rng(6)
    one, other = rng.integers(0, 2, 4000), rng.integers(0, 2, 4000)
    sample = answered(rng.random(4000) < np.where((one == 1) & (other == 0), 0.4, 0.9))
    found = weakest_slice(sample, {"a": levels(one, "a"), "b": levels(other, "b")}, Asked("accuracy", report=1))
    assert list(found.by) == ["a = 1 & b = 0"]
    assert found.n > 400
    assert found.details["searched"] == 8
    alone = weakest_slice(sample, {"a": levels(one, "a"), "b": levels(other, "b")}, Asked("accuracy", pairs=False))
    assert alone.details["searched"] == 4


def test_the_same_seed_finds_the_same():
    rng = np.random.default_rng(7)
    sample, columns = answered(rng.random(1000) < 0.8), {"x": levels(rng.integers(0, 5, 1000))}
    one, same, other = (weakest_slice(sample, columns, Asked("accuracy", seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one.by != other.by


def test_a_search_that_cannot_be_is_refused():
    sample = answered(np.arange(100) % 3 > 0)
    for columns, asked, kind in (
        ({}, Asked("accuracy"), MeasurementError),
        ({"x": levels([0, 1])}, Asked("accuracy"), MeasurementError),
        ({"x": levels(np.arange(100) % 2)}, Asked("accuracy", report=0), MeasurementError),
        ({"x": levels(np.arange(100) % 2)}, Asked("nothing"), MeasurementError),
        ({"x": levels(np.arange(100) % 50)}, Asked("accuracy"), InconclusiveError),
        # A slice of all rows is none.
        ({"x": Levels(np.zeros(100, dtype=int), ("all",))}, Asked("accuracy"), InconclusiveError),
    ):
        with pytest.raises(kind):
            weakest_slice(sample, columns, asked)


def test_where_the_metric_is_undefined_on_all_that_were_chosen_there_is_no_number():
    """Defined where it was searched, undefined where it is measured: never a pass."""
    rows = 400
    half = np.random.default_rng(0).permutation(rows) % 2 == 0
    y = np.where(half, np.arange(rows) // 2 % 2, 0)
    codes = np.zeros(rows, dtype=int)
    codes[np.flatnonzero(~half)[:5]] = 1
    y[np.flatnonzero(~half)[:5]] = 1
    sample = make_sample("binary", y, y, np.where(y == 1, 0.9, 0.1))
    with pytest.raises(InconclusiveError, match="undefined on each of the 1 slices"):
        weakest_slice(sample, {"x": levels(codes)}, Asked("roc_auc"))
    assert measure("roc_auc", sample).value == 1
