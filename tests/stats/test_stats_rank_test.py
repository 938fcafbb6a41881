"""The rank test against scipy's, against every arrangement counted by hand, and what it rejects under no difference."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.rank_test import EXACT, least_p, rank_test


def _wins(x, y):
    return sum((a > b) + 0.5 * (a == b) for a in x for b in y)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 4), (8, 9), (20, 7), (30, 30)])
def test_without_ties_it_is_scipys_exact_test(n, m):
    both = np.random.default_rng(n * 100 + m).permutation(n + m).astype(float)
    x, y = both[:n], both[n:]
    theirs = mannwhitneyu(x, y, alternative="greater", method="exact")
    ours = rank_test(x, y)
    assert ours.method == "exact"
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-12)
    assert ours.a12 * n * m == pytest.approx(theirs.statistic)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_it_is_every_arrangement(seed):
    draws = np.random.default_rng(seed).integers(0, 4, 11).astype(float)
    x, y = draws[:5], draws[5:]
    seen = _wins(x, y)
    chosen = [set(each) for each in combinations(range(11), 5)]
    as_high = [
        _wins([draws[i] for i in each], [draws[i] for i in range(11) if i not in each]) >= seen for each in chosen
    ]
    assert rank_test(x, y).p_value == pytest.approx(np.mean(as_high), rel=1e-12)


@pytest.mark.parametrize("kinds", [5, 10**6])
def test_many_values_are_scipys_normal_approximation(kinds):
    rng = np.random.default_rng(kinds)
    x, y = rng.integers(0, kinds, 60) + kinds / 10, rng.integers(0, kinds, 45).astype(float)
    theirs = mannwhitneyu(x, y, alternative="greater", method="asymptotic")
    ours = rank_test(x, y)
    assert (ours.method, ours.n, ours.m) == ("normal", 60, 45)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_the_approximation_begins_near_the_exact_value():
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.5, 1, 30), rng.normal(0, 1, 30)
    exact = rank_test(x, y)
    assert (exact.method, len(x) + len(y)) == ("exact", EXACT)
    assert rank_test([*x, 0.1], y).p_value == pytest.approx(exact.p_value, abs=0.02)


def test_the_effect_is_cliffs_delta():
    # Of nine pairs, 6 are higher, 1 is equal and 2 are lower: (6 - 2) / 9.
    found = rank_test([2, 4, 5], [1, 3, 4.5])
    assert found.delta == pytest.approx((6 - 3) / 9)
    tied = rank_test([2, 4, 5], [1, 3, 4])
    assert (tied.delta, tied.a12) == (pytest.approx((6 - 2) / 9), pytest.approx(6.5 / 9))
    assert (rank_test([1.0], [2.0]).delta, rank_test([2.0], [1.0]).delta) == (-1.0, 1.0)


@pytest.mark.parametrize("size", [4, 40])
def test_all_alike_shows_nothing(size):
    found = rank_test([0.0] * size, [0.0] * size)
    assert (found.p_value, found.delta) == (1.0, 0.0)


def test_few_values_can_never_be_sure():
    assert least_p(3, 3) == pytest.approx(1 / 20)
    assert rank_test([4, 5, 6], [1, 2, 3]).p_value == pytest.approx(least_p(3, 3))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_rank_is_refused(value):
    with pytest.raises(MeasurementError):
        rank_test([1.0, value], [2.0])


def test_an_empty_group_is_inconclusive():
    for x, y in (([], [1.0]), ([1.0], [])):
        with pytest.raises(InconclusiveError):
            rank_test(x, y)


def test_it_rejects_no_more_than_its_level():
    rng = np.random.default_rng(20)
    rejected = np.mean([rank_test(each[:8], each[8:]).p_value <= 0.05 for each in rng.normal(size=(2000, 16))])
    assert 0.03 <= rejected <= 0.06
