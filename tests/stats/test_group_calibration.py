from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.group_calibration import Binned, error_limits, measure_calibration, worst_error
from pytest_leanml.stats.group_rates import grouping

DRAWS = 2000


def scored(seed=0, n=600, off=0.0):
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return {
        "scores": scores,
        "y_true": rng.random(n) < np.clip(scores + off * np.sin(6 * scores), 0, 1),
        "groups": grouping(rng.choice(["a", "b", "c"], n)),
    }


def test_by_hand():
    """Group a: 0.2, 0.2 with one positive of two; 0.9, 0.9 with two of two. Group b: 0.5, 0.5, 0.5, 0.5 with one."""
    data = {
        "scores": [0.2, 0.2, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5],
        "y_true": np.array([1, 0, 1, 1, 1, 0, 0, 0], dtype=bool),
        "groups": grouping(list("aaaabbbb")),
    }
    estimate = measure_calibration(**data, min_group=1)
    assert estimate.by["a"].value == pytest.approx(0.5 * 0.3 + 0.5 * 0.1, abs=1e-12)
    assert estimate.by["b"].value == pytest.approx(0.25, abs=1e-12)
    assert estimate.value == pytest.approx(0.25, abs=1e-12)
    assert (estimate.n, estimate.by["a"].n, estimate.details["bins"]) == (8, 4, 10)
    one_bin = measure_calibration(**data, bins=1, min_group=1)
    assert one_bin.by["a"].value == pytest.approx(abs(0.75 - 0.55), abs=1e-12)


@pytest.mark.parametrize("bins", [5, 10, 20])
def test_agrees_with_scikit_learns_curve(bins):
    data = scored()
    estimate = measure_calibration(**data, bins=bins)
    for code, name in enumerate(data["groups"].names):
        rows = data["groups"].codes == code
        share, mean = calibration_curve(data["y_true"][rows], data["scores"][rows], n_bins=bins)
        found, _ = np.histogram(data["scores"][rows], bins=bins, range=(0, 1))
        expected = (np.abs(share - mean) * found[found > 0]).sum() / rows.sum()
        assert estimate.by[name].value == pytest.approx(expected, abs=1e-9)
    assert estimate.low <= estimate.value <= estimate.high


def test_a_score_of_one_is_in_the_last_bin():
    data = {"scores": [1.0, 0.95] * 2, "y_true": np.ones(4, dtype=bool), "groups": grouping(list("aabb"))}
    assert measure_calibration(**data, min_group=1).value == pytest.approx(0.025, abs=1e-12)


def test_weights_count_as_rows_do():
    data = scored(1)
    times = np.random.default_rng(2).integers(0, 3, 600)
    weighted = measure_calibration(**data, weights=times.astype(float))
    names = np.array(data["groups"].names)[data["groups"].codes]
    repeated = measure_calibration(
        scores=np.repeat(data["scores"], times),
        y_true=np.repeat(data["y_true"], times),
        groups=grouping(np.repeat(names, times)),
    )
    assert weighted.value == pytest.approx(repeated.value, abs=1e-12)
    # Rows that count twice are no two rows.
    assert weighted.high > repeated.high
    assert weighted.n == (times > 0).sum()


def test_a_bin_in_which_all_rows_are_alike_is_not_certain():
    data = {"scores": np.full(80, 0.05), "y_true": np.zeros(80, dtype=bool), "groups": grouping(["a", "b"] * 40)}
    estimate = measure_calibration(**data)
    assert estimate.high > estimate.value + 0.03


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scores": np.linspace(-1, 1, 600)}, MeasurementError, "300 of 600 scores lie outside of 0 to 1"),
        ({"scores": np.ones(3)}, MeasurementError, "600 scores"),
        ({"scores": np.full(600, np.nan)}, MeasurementError, "NaN"),
        ({"bins": 0}, MeasurementError, "at least one bin"),
        ({"y_true": np.ones(600)}, MeasurementError, "600 booleans"),
        ({"groups": grouping(["a"] * 600)}, InconclusiveError, "one group only"),
        ({"groups": grouping(["a"] * 599 + ["b"])}, InconclusiveError, "'b' has 1"),
        ({"weights": np.r_[np.full(599, 1e-9), 1.0]}, InconclusiveError, "by their weights"),
        ({"weights": np.zeros(600)}, InconclusiveError, "weight 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        measure_calibration(**{**scored(), **change})


@pytest.mark.parametrize("off", [0.0, 0.05, 0.15])
@pytest.mark.parametrize(("k", "n"), [(2, 200), (5, 100), (8, 100), (2, 30)])
def test_limits_cover(off, k, n):
    """2,000 draws of labels for given scores; calibrated, slightly off and badly off. Conservative throughout."""
    rng = np.random.default_rng(5)
    scores = rng.random((k, n))
    chances = np.clip(scores + off * np.sin(6 * scores), 0, 1)
    inside = (np.minimum((scores * 10).astype(int), 9)[..., None] == np.arange(10)).astype(np.float32)
    true = np.abs(((chances - scores)[..., None] * inside).sum(axis=1)).sum(axis=-1).max() / n
    labels = (rng.random((DRAWS, k, n), dtype=np.float32) < chances).astype(np.float32)
    positives = np.matmul(labels.transpose(1, 0, 2), inside).transpose(1, 0, 2).astype(float)
    rows = np.broadcast_to(inside.sum(axis=1), positives.shape).astype(float)
    binned = Binned(rows, rows, positives, np.broadcast_to((scores[..., None] * inside).sum(axis=1), positives.shape))
    value, low, high = worst_error(binned, 0.95)
    assert (low <= value).all()
    assert ((low <= true) & (true <= high)).mean() >= 0.95


def test_a_badly_calibrated_group_is_seen_in_many_rows():
    rng = np.random.default_rng(7)
    scores = rng.random(20_000)
    data = {"scores": scores, "y_true": rng.random(20_000) < scores**2, "groups": grouping(["a", "b"] * 10_000)}
    assert measure_calibration(**data).low > 0.1


def test_an_empty_bin_says_nothing():
    rows = np.array([[40.0, 0.0]])
    low, high = error_limits(Binned(rows, rows, np.array([[20.0, 0.0]]), np.array([[18.0, 0.0]])), 1.96)
    assert np.isfinite([low, high]).all()
