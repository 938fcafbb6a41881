"""Adjusted p values against scipy, and the verdict on a column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.drift import ks
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.multiplicity import ColumnVerdict, Verdict, benjamini_hochberg, drifted_columns


@given(st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.01, 1.0]), min_size=1, max_size=30))
def test_adjustment_is_scipys(p_values):
    known = stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(known, rel=1e-9, abs=1e-300)


def test_adjustment_of_benjamini_and_hochbergs_own_table():
    # 1995, section 4.1: fifteen tests, of which the first four are rejected at q = 0.05.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p_values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (benjamini_hochberg(p_values) <= 0.05).tolist() == [True] * 4 + [False] * 11


def test_no_p_values_need_no_adjustment():
    assert benjamini_hochberg([]).shape == (0,)


@pytest.mark.parametrize("bad", [[np.nan], [-0.1], [1.1], [[0.1]], 0.1])
def test_what_is_no_p_value_is_refused(bad):
    with pytest.raises(MeasurementError, match="p values"):
        benjamini_hochberg(bad)


def of(effect, p_value):
    return Estimate(effect, 100, details={"p_value": p_value})


@pytest.mark.parametrize(
    ("effect", "p_value", "verdict"),
    [
        (0.3, 0.001, Verdict.DRIFTED),
        (0.1, 0.05, Verdict.DRIFTED),
        (0.0999, 1e-300, Verdict.STABLE),
        (0.3, 0.051, Verdict.UNSETTLED),
        (0.0, 1.0, Verdict.STABLE),
    ],
)
def test_a_column_drifts_by_effect_and_significance(effect, p_value, verdict):
    found = drifted_columns({"x": of(effect, p_value)}, {"x": 0.1})
    assert found == {"x": ColumnVerdict(verdict, effect, 0.1, p_value)}


def test_p_values_are_adjusted_over_the_columns():
    estimates = {"a": of(0.5, 0.03), "b": of(0.5, 0.9)}
    limits = {"a": 0.1, "b": 0.2}
    found = drifted_columns(estimates, limits)
    assert (found["a"].verdict, found["a"].p_value, found["b"].limit) == (Verdict.UNSETTLED, 0.06, 0.2)
    assert drifted_columns(estimates, limits, fdr=0.06)["a"].verdict is Verdict.DRIFTED


def test_few_rows_are_no_proof_of_stability():
    moved = ks(np.arange(1000.0), [400.0, 900.0])
    assert moved.details["p_value"] > 0.05
    assert drifted_columns({"x": moved}, {"x": 0.1})["x"].verdict is Verdict.UNSETTLED


def test_no_columns_have_no_verdicts():
    assert drifted_columns({}, {}) == {}


@pytest.mark.parametrize("fdr", [0, 1, -0.1, np.nan])
def test_a_rate_out_of_range_is_refused(fdr):
    with pytest.raises(MeasurementError, match="false discovery rate"):
        drifted_columns({"x": of(0.5, 0.5)}, {"x": 0.1}, fdr=fdr)


@pytest.mark.parametrize("limit", [0, -1, np.nan])
def test_a_limit_that_everything_or_nothing_reaches_is_refused(limit):
    with pytest.raises(MeasurementError, match="smallest effect"):
        drifted_columns({"x": of(0.5, 0.5)}, {"x": limit})
