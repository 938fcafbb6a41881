"""Wasserstein's distance, against scipy, and from counts of bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.columns import Side, numbers
from pytest_leanml.stats.drift import column_drift, ks
from pytest_leanml.stats.transport import wasserstein, wasserstein_counts

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40) | st.lists(
    st.integers(-3, 3).map(float), min_size=2, max_size=40
)


@given(NUMBERS.filter(lambda values: len(set(values)) > 1), NUMBERS)
def test_it_is_scipys_over_the_standard_deviation(reference, current):
    scale = np.std(reference)
    if scale < 1e-100:
        return
    found = wasserstein(reference, current)
    assert found.value == pytest.approx(stats.wasserstein_distance(reference, current) / scale, rel=1e-9, abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high
    assert found.details["p_value"] == ks(reference, current).details["p_value"]


def test_by_hand():
    # Each value moves by 1, and 0, 2 have the standard deviation 1.
    found = wasserstein([0, 2, 0, 2], [1, 3, 1, 3])
    assert (found.value, found.details["scale"], found.n) == (1.0, 1.0, 8)
    assert wasserstein([0, 2], [0, 2]).value == 0


def test_the_unit_is_the_references():
    draw = np.random.default_rng(0)
    old, new = draw.normal(size=500), draw.normal(0.4, 2, size=300)
    one, many = wasserstein(old, new), wasserstein(old * 1000 + 7, new * 1000 + 7)
    assert many.value == pytest.approx(one.value)
    assert (many.low, many.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_missing_values_that_appear_are_drift_of_their_own():
    reference = np.random.default_rng(0).normal(size=1000)
    found = wasserstein(reference, np.where(np.arange(1000) % 2 == 0, np.nan, reference))
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert found.details["distance"] < 0.1
    assert found.details["p_value"] < 1e-9


def test_a_constant_has_no_scale():
    with pytest.raises(InconclusiveError, match="no standard deviation"):
        wasserstein([0.1] * 30, [0.2] * 30)
    with pytest.raises(InconclusiveError, match="no standard deviation"):
        wasserstein([0.1] * 30, [0.1] * 15 + [np.nan] * 15)
    same = wasserstein([0.1] * 30, [0.1] * 20)
    assert (same.value, same.low, same.high) == (0.0, 0.0, None)


def test_a_current_constant_is_no_trouble():
    assert wasserstein([0.0, 2.0], [1.0, 1.0]).value == 1.0


@pytest.mark.parametrize("bad", [[1e300, -1e300], [1.7e308, -1.7e308]])
def test_numbers_too_large_are_refused(bad):
    with pytest.raises(MeasurementError, match="too large"):
        wasserstein(bad, [1.0, 2.0])


def test_infinity_and_text_are_refused():
    for bad in ([np.inf, 1.0], ["a", "b"]):
        with pytest.raises(MeasurementError):
            wasserstein([1.0, 2.0], np.array(bad))


def test_column_drift_knows_it():
    draw = np.random.default_rng(0)
    old, new = draw.normal(size=90), draw.normal(size=80)
    assert column_drift(old, new, numeric=True, method="wasserstein") == wasserstein(old, new)


def counted(values, edges):
    side = numbers(values, "values")
    rows = np.diff(np.searchsorted(side.present, edges, side="right")).astype(float)
    return Side(rows, side.filled, side.missing)


@pytest.mark.parametrize("bins", [5, 20, 200])
@pytest.mark.parametrize("shift", [0.0, 0.05, 1.0])
def test_from_bins_the_exact_distance_is_within_the_error(bins, shift):
    draw = np.random.default_rng(bins)
    old, new = draw.normal(size=2000), draw.normal(shift, 1.1, size=1500)
    old[::7] = np.nan
    edges = np.linspace(-8, 8, bins + 1)
    exact = wasserstein(old, new)
    scales = (float(np.nanstd(old)), float(np.nanstd(new)))
    found = wasserstein_counts(edges, counted(old, edges), counted(new, edges), scales=scales)
    gone = abs(found.details["reference_missing"] - found.details["current_missing"])
    assert found.value == max(found.details["distance"], gone)
    assert abs(found.details["distance"] - exact.details["distance"]) <= found.details["bin_error"]
    assert found.low <= exact.low + 1e-12
    assert found.high >= exact.high - 1e-12


def test_bins_of_single_values_are_exact():
    edges = np.array([-1.0, 0.0, 1.0, 2.0])
    old, new = np.array([0.0, 1, 1, 2]), np.array([0.0, 0, 2, 2])
    scales = (float(old.std()), float(new.std()))
    found = wasserstein_counts(edges, counted(old, edges), counted(new, edges), scales=scales)
    exact = wasserstein(old, new).value
    assert abs(found.value - exact) <= found.details["bin_error"]
