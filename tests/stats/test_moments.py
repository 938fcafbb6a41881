from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from pytest_leanml.stats.moments import mean_estimate, standard_error

UNBOUNDED = (-math.inf, math.inf)


@given(hnp.arrays(np.float64, st.integers(3, 60), elements=st.floats(-100, 100).map(lambda x: round(x, 3))))
def test_mean_and_interval_are_those_of_scipy(values):
    estimate = mean_estimate(values, 0.9, bounds=UNBOUNDED)
    assert estimate.value == pytest.approx(values.mean(), abs=1e-9)
    if np.ptp(values) > 0:
        expected = stats.t.interval(0.9, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
        assert (estimate.low, estimate.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_limits_do_not_leave_the_bounds():
    estimate = mean_estimate(np.array([0.0, 0.0, 0.9]), 0.95, bounds=(0.0, 1.0))
    assert (estimate.low, estimate.high) == (0.0, 1.0)
    assert estimate.interval == "student-t"


@pytest.mark.parametrize("values", [[0.0] * 20, [0.1] * 20, [0.3], [0.0, 1e-16] * 10])
def test_where_nothing_varies_bounded_values_get_the_binomial_limit(values):
    estimate = mean_estimate(np.array(values), 0.95, bounds=(0.0, 1.0))
    assert estimate.interval == "binomial-bound"
    assert estimate.high - estimate.low > 0.16
    assert estimate.low <= estimate.value <= estimate.high


def test_where_nothing_varies_unbounded_values_get_no_interval():
    estimate = mean_estimate(np.zeros(20), 0.95, bounds=(0.0, math.inf), unit="target")
    assert (estimate.low, estimate.high, estimate.interval) == (None, None, None)
    assert estimate.unit == "target"


def test_rounding_is_no_scatter():
    assert standard_error(np.array([0.1 + 0.2, 0.3, 0.3])) is None
