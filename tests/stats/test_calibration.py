from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.calibration import reliability
from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import make_sample


def drawn(n, seed, told=lambda chances: chances, a=1.0, b=1.0):
    rng = np.random.default_rng(seed)
    chances = rng.beta(a, b, n)
    return (rng.random(n) < told(chances)).astype(int), chances


@pytest.mark.parametrize("method", ["uniform", "quantile"])
@pytest.mark.parametrize("bins", [2, 10, 15])
def test_the_diagram_is_scikit_learns(method, bins):
    y, chances = drawn(500, 1)
    found = reliability(make_sample("binary", y, scores=chances), 0.95, bins=bins, method=method)
    observed, predicted = calibration_curve(y, chances, n_bins=bins, strategy=method)
    assert found.observed == pytest.approx(observed, abs=1e-12)
    assert found.predicted == pytest.approx(predicted, abs=1e-12)
    assert found.rows.sum() == 500


def test_the_error_by_hand():
    # Bins of five: (0, 0.2] holds 0.1 and 0.2 (one came true), (0.8, 1] holds 0.9 twice (both came true).
    sample = make_sample("binary", [0, 1, 1, 1], scores=[0.1, 0.2, 0.9, 0.9])
    estimate = measure("calibration_error", sample, options={"bins": 5})
    assert estimate.value == pytest.approx(0.5 * (0.5 - 0.15) + 0.5 * 0.1, abs=1e-12)
    assert list(estimate.by) == ["0 to 0.2", "0.8 to 1"]
    point = estimate.by["0 to 0.2"]
    assert (point.value, point.n, point.predicted) == (0.5, 2, pytest.approx(0.15))
    assert point.low < 0.5 < point.high
    # Wilson's interval of both points at once: 97.5 % each.
    assert estimate.by["0.8 to 1"].high == 1


def test_several_classes_are_judged_by_their_largest_probability():
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]])
    sample = make_sample("multiclass", [0, 1, 2, 1], scores=scores, classes=range(3))
    estimate = measure("calibration_error", sample)
    # 0.7 twice, once right; 0.4, wrong; 0.8, right.
    assert estimate.value == pytest.approx(0.5 * 0.2 + 0.25 * 0.4 + 0.25 * 0.2, abs=1e-12)


@given(st.integers(0, 10**6), st.integers(5, 200), st.sampled_from(["uniform", "quantile"]), st.booleans())
def test_the_parts_add_up_to_the_brier_score(seed, n, method, weighted):
    y, chances = drawn(n, seed)
    y[:2] = 0, 1
    weights = np.random.default_rng(seed).choice([1.0, 3.0], n) if weighted else None
    sample = make_sample("binary", y, scores=chances, weights=weights)
    parts = measure("brier_reliability", sample, options={"method": method}).details
    whole = parts["brier_reliability"] - parts["brier_resolution"] + parts["brier_uncertainty"] + parts["brier_within"]
    assert whole == pytest.approx(brier_score_loss(y, chances, sample_weight=weights), abs=1e-9)
    assert measure("brier_reliability", sample, options={"method": method}).value == parts["brier_reliability"]
    assert measure("brier_resolution", sample, options={"method": method}).value == parts["brier_resolution"]
    share = np.average(y, weights=weights)
    assert parts["brier_uncertainty"] == pytest.approx(share * (1 - share), abs=1e-9)


def test_whole_weights_are_repeated_rows():
    y, chances = drawn(60, 3)
    counts = np.random.default_rng(3).integers(1, 4, 60)
    weighted = make_sample("binary", y, scores=chances, weights=counts)
    repeated = make_sample("binary", np.repeat(y, counts), scores=np.repeat(chances, counts))
    for name in ("calibration_error", "brier_reliability", "brier_resolution"):
        assert measure(name, weighted).value == pytest.approx(measure(name, repeated).value, abs=1e-12)


def test_one_score_for_all_rows_is_calibrated_and_tells_nothing():
    sample = make_sample("binary", [0, 1, 0, 1], scores=[0.5] * 4)
    assert measure("calibration_error", sample).value == 0
    resolution = measure("brier_resolution", sample)
    assert resolution.value == resolution.low == 0
    assert resolution.high > 0.1


@pytest.mark.parametrize("options", [{"bins": 1}, {"bins": 101}, {"method": "best"}])
def test_bins_that_cannot_be_are_refused(options):
    with pytest.raises(MeasurementError, match="2 to 100 bins, uniform or quantile"):
        measure("calibration_error", make_sample("binary", [0, 1], scores=[0.1, 0.9]), options=options)


def test_scores_that_are_no_probabilities_are_refused():
    with pytest.raises(MeasurementError, match="probabilities"):
        measure("calibration_error", make_sample("binary", [0, 1], scores=[-3.0, 2.0]))


def binned_truth(told, a, b, bins=10):
    rng = np.random.default_rng(9)
    chances = rng.beta(a, b, 1_000_000)
    real = told(chances)
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], chances)
    rows = np.bincount(place, minlength=bins)
    kept = rows > 0
    means = [np.bincount(place, weights=each, minlength=bins)[kept] / rows[kept] for each in (real, chances)]
    share = rows[kept] / rows.sum()
    return {
        "calibration_error": share @ np.abs(means[0] - means[1]),
        "brier_reliability": share @ (means[0] - means[1]) ** 2,
        "brier_resolution": share @ (means[0] - real.mean()) ** 2,
    }


SETTINGS = {
    "calibrated": (lambda p: p, 300, 1.0, 1.0),
    "calibrated, rare": (lambda p: p, 1000, 1.0, 6.0),
    "overconfident": (lambda p: 0.5 + 0.6 * (p - 0.5), 1000, 1.0, 1.0),
    "too high throughout": (lambda p: 0.5 * p, 300, 1.0, 1.0),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_intervals_are_conservative(setting):
    """A bootstrap of a calibrated model's error covers next to never: noise alone makes the observed error positive."""
    told, n, a, b = SETTINGS[setting]
    truth = binned_truth(told, a, b)
    samples = [make_sample("binary", y, scores=p) for y, p in (drawn(n, seed, told, a, b) for seed in range(2000))]
    for name, value in truth.items():
        estimates = [measure(name, each) for each in samples]
        assert np.mean([each.low <= value + 1e-4 and value - 1e-4 <= each.high for each in estimates]) >= 0.96, name


def test_a_model_that_is_off_is_told_from_one_that_is_not():
    y, chances = drawn(5000, 1, lambda p: 0.5 * p)
    off = measure("calibration_error", make_sample("binary", y, scores=chances))
    assert off.low > 0.2
    assert off.high - off.low < 0.06
    y, chances = drawn(5000, 1)
    assert measure("calibration_error", make_sample("binary", y, scores=chances)).high < 0.04
