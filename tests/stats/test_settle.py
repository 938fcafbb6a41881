from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, wilson
from pytest_leanml.stats.settle import rows_to_settle


def test_half_the_distance_takes_four_times_the_rows():
    assert rows_to_settle(Estimate(0.8, 100, 0.7, 0.9), 0.75) == 400


def test_the_side_of_the_limit_counts():
    lopsided = Estimate(0.8, 100, 0.6, 0.85)
    assert rows_to_settle(lopsided, 0.7) == 400
    assert rows_to_settle(lopsided, 0.9) == 25


def test_a_side_cut_at_zero_does_not_promise_too_much():
    cut = Estimate(0.05, 100, 0.0, 0.12)
    assert rows_to_settle(cut, 0.11) == 137
    assert rows_to_settle(Estimate(0.05, 100, -0.15, 0.12), 0.11) == 507


def test_what_is_settled_already_needs_no_more_rows():
    assert rows_to_settle(Estimate(0.8, 100, 0.7, 0.9), 0.5) <= 100
    assert rows_to_settle(Estimate(0.8, 1, 0.8, 0.8), 0.5) == 1


@pytest.mark.parametrize(
    ("estimate", "limit"),
    [
        (Estimate(0.8, 100, 0.7, 0.9), 0.8),
        (Estimate(0.8, 100), 0.7),
        (Estimate(0.8, 100, 0.7, 0.9), math.nextafter(0.8, 1)),
        (Estimate(0.0, 100, -1.0, 1.0), 5e-324),
    ],
)
def test_no_number_of_rows_settles_what_sits_on_the_limit(estimate, limit):
    assert rows_to_settle(estimate, limit) is None


@pytest.mark.parametrize("limit", [math.nan, math.inf])
def test_a_limit_that_is_no_number_is_refused(limit):
    with pytest.raises(MeasurementError, match="finite"):
        rows_to_settle(Estimate(0.8, 100, 0.7, 0.9), limit)


@given(st.integers(200, 5000), st.floats(0.2, 0.8), st.floats(-1, 1))
def test_with_that_many_rows_of_the_same_share_wilson_clears_the_limit(n, share, offset):
    hits = round(share * n)
    low, high = map(float, wilson(hits, n, critical(0.95)))
    estimate = Estimate(hits / n, n, low, high)
    limit = estimate.value + offset * (high - low) / 2
    assume(low <= limit <= high)
    assume(abs(offset) > 0.1)
    rows = rows_to_settle(estimate, limit)
    # A tenth more, for what the square root law leaves out.
    low, high = map(float, wilson(1.1 * rows * estimate.value, 1.1 * rows, critical(0.95)))
    assert not low <= limit <= high
