"""Drift of one column, against scipy, with the ways a moved column could pass as a still one."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.drift import DriftMethod, chi_squared, column_drift, ks, psi, resolve
from pytest_leanml.stats.drift_counts import chi_squared_counts, psi_counts

EXACT = pytest.approx
CLOSE = {"rel": 1e-9, "abs": 1e-12}
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40) | st.lists(
    st.integers(-3, 3).map(float), min_size=2, max_size=40
)
COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8)


def rng(seed=7):
    return np.random.default_rng(seed)


def scipys_exact(reference, current):
    """Ask scipy for the exact p value; where its own sum exceeds 1 by rounding it gives up, and the answer is 1."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        known = stats.ks_2samp(reference, current, method="exact")
    return (known.statistic, 1.0 if caught else known.pvalue)


@given(NUMBERS, NUMBERS)
def test_ks_is_scipys(reference, current):
    found = ks(reference, current)
    assert (found.value, found.details["p_value"]) == EXACT(scipys_exact(reference, current), **CLOSE)


@given(NUMBERS, NUMBERS)
def test_ks_does_not_care_which_side_is_which_nor_about_order(reference, current):
    assert ks(reference, current).value == EXACT(ks(current[::-1], reference).value, **CLOSE)


def test_ks_of_many_rows_is_scipys():
    reference, current = rng().normal(size=50_000), rng(8).normal(0.02, 1.01, size=20_000)
    known = stats.ks_2samp(reference, current, method="asymp")
    found = ks(reference, current)
    assert (found.value, found.details["p_value"]) == EXACT((known.statistic, known.pvalue), abs=1e-9)
    assert (found.n, found.interval, found.confidence) == (70_000, "dkw", 0.95)


def test_ks_band_is_that_of_dvoretzky_kiefer_wolfowitz():
    reference, current = rng().normal(size=400), rng(8).normal(1, size=900)
    found = ks(reference, current, confidence=0.9)
    # P(sup |F_n - F| > e) <= 2 exp(-2 n e^2), half of the error on either side.
    margin = sum(math.sqrt(math.log(2 / 0.05) / (2 * n)) for n in (400, 900))
    assert (found.low, found.high) == EXACT((found.value - margin, found.value + margin), **CLOSE)


def test_ks_band_covers_and_stays_within_bounds():
    shift, source = 0.3, rng(1)
    truth = 2 * special.ndtr(shift / 2) - 1
    found = [ks(source.normal(size=150), source.normal(shift, size=100), confidence=0.8) for _ in range(400)]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.8
    assert all(0 <= each.low <= each.value <= each.high <= 1 for each in found)


def test_one_row_on_either_side_proves_nothing():
    found = ks([1.0], [2.0])
    assert (found.value, found.details["p_value"], found.low, found.high) == (1.0, 1.0, 0.0, 1.0)


def test_missing_values_that_appear_are_drift_of_their_own():
    reference = rng().normal(size=1000)
    current = np.where(np.arange(1000) % 2 == 0, np.nan, reference)
    found = ks(reference, current)
    table = [[1000, 0], [500, 500]]
    assert found.value == 0.5
    assert found.details["distance"] < 0.1
    assert (found.details["reference_missing"], found.details["current_missing"]) == (0.0, 0.5)
    p_missing = stats.chi2_contingency(table, correction=False).pvalue
    assert found.details["p_value"] == EXACT(2 * p_missing, **CLOSE)
    assert found.high - found.low > ks(reference, current[1::2]).high - ks(reference, current[1::2]).low


def test_equal_missing_shares_do_not_hide_a_moved_value():
    reference, current = rng().normal(size=1000), rng(8).normal(1, size=1000)
    reference[::2] = current[::2] = np.nan
    known = stats.ks_2samp(reference[1::2], current[1::2], method="exact")
    found = ks(reference, current)
    assert found.value == EXACT(known.statistic, **CLOSE)
    assert found.details["p_value"] == EXACT(min(1, 2 * known.pvalue), **CLOSE)
    assert found.n == 1000


@pytest.mark.parametrize("numeric", [True, False])
@pytest.mark.parametrize("method", ["auto", "psi", "chi_squared"])
@pytest.mark.parametrize("empty", [[], [np.nan, np.nan], [None, None]])
def test_nothing_to_compare_is_inconclusive(numeric, method, empty):
    for sides in (([1.0, 2.0], empty), (empty, [1.0, 2.0])):
        with pytest.raises(InconclusiveError, match="nothing to compare in"):
            column_drift(*(np.array(side, dtype=object) for side in sides), numeric=numeric, method=method)


@pytest.mark.parametrize("bad", [[1.0, np.inf], [-np.inf, np.nan], ["1", "2"], [1.0, "2"], [1 + 2j], [10**400]])
@pytest.mark.parametrize("compare", [ks, psi])
def test_what_is_no_finite_number_is_refused(bad, compare):
    values = np.array(bad, dtype=object) if isinstance(bad[0], int | float) else np.array(bad)
    with pytest.raises(MeasurementError):
        compare([1.0, 2.0], values)


def test_a_plain_array_with_infinity_is_refused_with_their_number():
    with pytest.raises(MeasurementError, match="current: 2 infinite values"):
        ks([1.0, 2.0], np.array([np.inf, 1.0, -np.inf, np.nan]))


def test_tables_are_no_columns():
    with pytest.raises(MeasurementError, match=r"\(2, 2\)"):
        ks([1.0], [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_out_of_range_is_refused(confidence):
    with pytest.raises(MeasurementError, match="confidence"):
        ks([1.0, 2.0], [1.0, 2.0], confidence=confidence)


def test_the_p_value_of_ks_is_level_for_few_rows():
    # The asymptotic one of scipy calls D = 1 of three rows against two certain: its p value is 0.
    assert stats.ks_2samp([1, 2, 3], [4, 5], method="asymp").pvalue == 0
    assert ks([1, 2, 3], [4, 5]).details["p_value"] == EXACT(0.2, **CLOSE)
    assert ks([1] * 500, [2] * 500).details["p_value"] < ks([1] * 5, [2] * 5).details["p_value"] < 0.01


def test_times_compare_in_one_unit_and_nat_is_missing():
    days = np.array(["2013-01-01", "2013-01-02", "2013-01-03"], dtype="datetime64[D]")
    same = ks(days, days.astype("datetime64[ns]"))
    assert same.value == 0.0
    later = np.append(days[:2] + np.timedelta64(365, "D"), np.datetime64("NaT"))
    assert ks(days, later).details == {
        "distance": 1.0,
        "p_value": EXACT(2 * 0.2, **CLOSE),
        "reference_rows": 3.0,
        "current_rows": 2.0,
        "reference_missing": 0.0,
        "current_missing": 1 / 3,
    }
    assert chi_squared(days, days.astype("datetime64[s]")).value == 0.0
    assert chi_squared(days, later).value == 1.0


def test_nullable_columns_of_pandas_are_read():
    column = pd.array([1, None, 3, 4], dtype="Int64")
    found = ks(np.array([1.0, 3.0, 4.0]), np.asarray(column, dtype=object))
    assert (found.details["distance"], found.details["current_missing"]) == (0.0, 0.25)
    words = pd.array(["a", None, "b"], dtype="string")
    assert chi_squared(np.asarray(words, dtype=object), ["a", "b", None]).value == 0.0


@given(COUNTS)
def test_psi_is_the_symmetric_divergence_of_scipy(pairs):
    table = np.array([pair for pair in pairs if all(pair)] or [(3, 4)], dtype=float)
    old, new = table.T / table.sum(axis=0)[:, None]
    known = stats.entropy(old, new) + stats.entropy(new, old)
    assert psi_counts(*table.T).value == EXACT(known, **CLOSE)


def test_psi_of_a_worked_table():
    # Three income bands: (.35 - .40) ln(.35 / .40) + (.25 - .30) ln(.25 / .30) + (.40 - .30) ln(.40 / .30), term by
    # term 0.006677, 0.009116 and 0.028768.
    assert psi_counts([40, 30, 30], [35, 25, 40]).value == EXACT(0.044561, abs=5e-7)


def test_an_empty_bin_counts_half_a_row_and_sets_the_ceiling():
    found = psi_counts([1000, 0], [0, 500])
    share, other = 0.5 / 500, 0.5 / 1000
    known = (share - 1) * math.log(share / 1) + (1 - other) * math.log(1 / other)
    assert found.value == EXACT(known, **CLOSE)
    assert found.value < 2 * math.log(2 * 1000)
    assert psi_counts([10, 0, 5], [3, 0, 8]).value == psi_counts([10, 5], [3, 8]).value


def test_psi_bins_are_deciles_of_the_reference():
    reference, current = rng().normal(size=5000), rng(8).normal(0.3, size=3000)
    edges = np.concatenate([[-np.inf], np.quantile(reference, np.arange(1, 10) / 10), [np.inf]])
    counts = [
        [np.count_nonzero((values > low) & (values <= high)) for low, high in itertools.pairwise(edges)]
        for values in (reference, current)
    ]
    known = psi_counts(*counts)
    found = psi(reference, current)
    assert found.value == EXACT(known.value, **CLOSE)
    assert found.details["bins"] == 10
    contingency = stats.chi2_contingency(counts, correction=False)
    assert found.details["p_value"] == EXACT(contingency.pvalue, **CLOSE)
    assert found.details["statistic"] == EXACT(contingency.statistic, **CLOSE)
    assert found.interval == "clopper-pearson box"
    assert 0 < found.low < found.value < found.high


def test_psi_counts_missing_values_as_a_bin():
    reference = rng().normal(size=1000)
    found = psi(reference, np.where(np.arange(1000) % 2 == 0, np.nan, reference))
    assert found.value > 2
    assert found.details["bins"] == 11


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([5.0] * 100, [3.0] * 100),
        ([5.0] * 100, [7.0] * 100),
        ([0.0] * 90 + list(range(1, 11)), [-1.0] * 90 + list(range(1, 11))),
        ([0.0, 1.0] * 50, [0.4, 0.6] * 50),
        (list(range(1, 11)) + [11.0] * 90, list(range(1, 11)) + [11.5] * 90),
    ],
    ids=["constant falls", "constant rises", "pile moves down", "between two values", "pile at the top moves up"],
)
def test_a_repeated_value_cannot_move_unnoticed_within_a_bin(reference, current):
    assert psi(reference, reference).value == 0
    assert psi(reference, current).value > 1
    assert column_drift(reference, current, numeric=True, method="chi_squared").value > 0.5


def test_one_bin_is_refused():
    with pytest.raises(MeasurementError, match="1 bins"):
        psi([1.0, 2.0], [1.0, 2.0], bins=1)


@given(COUNTS)
def test_chi_squared_is_scipys(pairs):
    table = np.array([pair for pair in pairs if any(pair)] or [(3, 4)], dtype=float).T
    table[:, 0] += 1
    known = stats.chi2_contingency(table, correction=False)
    found = chi_squared_counts(*table)
    assert found.details["statistic"] == EXACT(known.statistic, **CLOSE)
    assert found.details["p_value"] == EXACT(known.pvalue, **CLOSE)
    assert found.details["dof"] == known.dof
    assert found.details["least_expected"] == EXACT(known.expected_freq.min(), **CLOSE)
    if table.shape[1] > 1:
        association = stats.contingency.association(table.astype(int), method="cramer")
        assert found.value == EXACT(association, **CLOSE)


def test_categories_are_counted_by_name():
    reference = np.array(["a"] * 60 + ["b"] * 40, dtype=object)
    current = np.array(["b"] * 30 + ["a"] * 50 + ["c"] * 20, dtype=object)
    found = chi_squared(reference, current)
    known = stats.chi2_contingency([[60, 40, 0], [50, 30, 20]], correction=False)
    assert found.details["statistic"] == EXACT(known.statistic, **CLOSE)
    assert (found.details["unseen_share"], found.details["dof"], found.n) == (0.2, 2.0, 200)


@pytest.mark.parametrize(
    ("reference", "current", "value"),
    [
        (["a", "b"], ["c", "d"], 1.0),
        ([1, 2], ["1", "2"], 1.0),
        ([1, 2], [1.0, 2.0], 0.0),
        ([True, False], [1, 0], 0.0),
        (["x"], ["x"], 0.0),
    ],
)
def test_categories_are_told_apart_as_python_does(reference, current, value):
    assert chi_squared(np.array(reference), np.array(current)).value == value


def test_missing_is_a_category():
    found = chi_squared(np.array(["a", "b"] * 50, dtype=object), np.array(["a", None, np.nan, "b"] * 25, dtype=object))
    known = stats.chi2_contingency([[50, 50, 0], [25, 25, 50]], correction=False)
    assert found.details["statistic"] == EXACT(known.statistic, **CLOSE)
    numbers = chi_squared(np.array([1.0, 2.0] * 50), np.array([1.0, np.nan, np.float64("nan"), 2.0] * 25))
    assert numbers.details["statistic"] == EXACT(known.statistic, **CLOSE)


def test_lists_are_no_categories():
    column = np.empty(2, dtype=object)
    column[:] = [[1], [2]]
    with pytest.raises(MeasurementError, match="no categories"):
        chi_squared(["a"], column)


@pytest.mark.parametrize("counts", [([1, 2], [1]), ([[1]], [[1]]), ([-1, 2], [1, 1]), ([1, np.nan], [1, 1])])
@pytest.mark.parametrize("compare", [psi_counts, chi_squared_counts])
def test_what_are_no_counts_is_refused(compare, counts):
    with pytest.raises(MeasurementError, match="counts"):
        compare(*counts)


@pytest.mark.parametrize(("counts", "side"), [(([0, 0], [1, 1]), "reference"), (([1, 1], [0, 0]), "current")])
@pytest.mark.parametrize("compare", [psi_counts, chi_squared_counts])
def test_counts_of_no_rows_are_inconclusive(compare, counts, side):
    with pytest.raises(InconclusiveError, match=f"no rows in {side}"):
        compare(*counts)


def test_the_p_value_of_psi_is_level():
    source = rng(3)
    pairs = [(source.normal(size=300), source.normal(size=200)) for _ in range(300)]
    rejected = np.mean([psi(old, new).details["p_value"] <= 0.1 for old, new in pairs])
    assert 0.04 < rejected < 0.16


@pytest.mark.parametrize(
    ("method", "numeric", "chosen"),
    [
        ("auto", True, DriftMethod.KS),
        ("auto", False, DriftMethod.CHI_SQUARED),
        ("ks", True, DriftMethod.KS),
        (DriftMethod.PSI, False, DriftMethod.PSI),
        ("chi_squared", True, DriftMethod.CHI_SQUARED),
    ],
)
def test_auto_follows_the_kind_of_column(method, numeric, chosen):
    assert resolve(method, numeric=numeric) is chosen


def test_column_drift_dispatches():
    numbers, words = (rng().normal(size=99), rng(8).normal(size=80)), (["a", "b", "b"], ["b", "b", "a", "c"])
    assert column_drift(*numbers, numeric=True, confidence=0.9) == ks(*numbers, confidence=0.9)
    assert column_drift(*numbers, numeric=True, method="psi") == psi(*numbers)
    assert column_drift(*words, numeric=False) == chi_squared(*words)
    assert column_drift(*words, numeric=False, method="psi").value == psi_counts([1, 2, 0], [1, 2, 1]).value


def test_a_method_that_does_not_fit_is_refused():
    with pytest.raises(MeasurementError, match="not numeric"):
        column_drift(["a"], ["b"], numeric=False, method="ks")
    with pytest.raises(MeasurementError, match="Wasserstein of a column that is not numeric"):
        column_drift(["a"], ["b"], numeric=False, method="wasserstein")
    with pytest.raises(MeasurementError, match="'energy'"):
        column_drift([1.0], [2.0], numeric=True, method="energy")
