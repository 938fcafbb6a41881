"""Limits of gaps hold as often as they say: 2,000 draws at listed settings, all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats import group_gaps
from pytest_leanml.stats.group_rates import Tally
from pytest_leanml.stats.intervals import critical, critical_each, critical_pairs, difference_limits, ratio_limits

DRAWS = 2000
# rates and rows of the groups
EQUAL = {
    "2 of 100": ([0.4] * 2, [100] * 2),
    "5 of 100": ([0.4] * 5, [100] * 5),
    "8 of 100": ([0.4] * 8, [100] * 8),
    "5 of unequal size": ([0.4] * 5, [1000, 200, 100, 50, 30]),
    "8 rare": ([0.1] * 8, [50] * 8),
}
UNEQUAL = {
    "2": ([0.5, 0.4], [100, 300]),
    "5": ([0.5, 0.4, 0.45, 0.3, 0.35], [400, 200, 100, 50, 50]),
    "5, one apart": ([0.6, 0.4, 0.4, 0.4, 0.4], [200] * 5),
    "8": ([0.3, 0.32, 0.34, 0.36, 0.38, 0.4, 0.42, 0.5], [400, 300, 200, 100, 100, 80, 60, 40]),
    "2 often": ([0.9, 0.95], [200, 50]),
}
GAPS = ("difference", "ratio", "deviation", "difference_to_overall", "ratio_to_overall")


def truth(gap, p, shares):
    overall = (p * shares).sum()
    return {
        "difference": np.ptp(p),
        "ratio": p.min() / p.max(),
        "deviation": stats.variation(p, ddof=1),
        "difference_to_overall": np.abs(p - overall).max(),
        "ratio_to_overall": np.minimum(p / overall, overall / np.maximum(p, 1e-300)).min(),
    }[gap]


def covered(gap, p, n, seed=3):
    """Share of draws whose limits have the true gap between them."""
    p, n = np.array(p), np.array(n)
    hits = np.random.default_rng(seed).binomial(n, p, (DRAWS, len(p))).astype(float)
    tally = Tally(hits, np.broadcast_to(n, hits.shape).astype(float), n / n.sum())
    value, low, high = getattr(group_gaps, gap)(tally, 0.95)
    assert value.shape == low.shape == high.shape == (DRAWS,)
    assert (low <= value + 1e-12).all()
    assert (value <= high + 1e-12).all()
    true = truth(gap, p, n / n.sum())
    return ((low - 1e-12 <= true) & (true <= high + 1e-12)).mean()


@pytest.mark.parametrize("setting", EQUAL)
@pytest.mark.parametrize("gap", GAPS)
def test_limits_of_equal_groups_cover(gap, setting):
    assert covered(gap, *EQUAL[setting]) >= 0.93


@pytest.mark.parametrize("setting", UNEQUAL)
@pytest.mark.parametrize("gap", GAPS)
def test_limits_of_unequal_groups_cover(gap, setting):
    assert covered(gap, *UNEQUAL[setting]) >= 0.93


@pytest.mark.parametrize("gap", ["difference", "ratio", "difference_to_overall", "ratio_to_overall"])
def test_equal_groups_are_told_apart_no_more_rarely_than_they_should(gap):
    """Not so wide that they would never deny: with equal groups the level is used up."""
    assert covered(gap, *EQUAL["8 of 100"]) <= 0.97


def test_limits_of_conditional_rates_cover():
    """Rates among truly positive rows, whose number is a draw as well: two and five groups, the latter unequal."""
    rng = np.random.default_rng(8)
    for p, n in (([0.7, 0.7], [150, 150]), ([0.7, 0.75, 0.7, 0.6, 0.7], [400, 150, 150, 150, 100])):
        trials = rng.binomial(n, 0.4, (DRAWS, len(p)))
        tally = Tally(rng.binomial(trials, p).astype(float), trials.astype(float), trials / trials.sum(1)[:, None])
        for gap in ("difference", "ratio"):
            _, low, high = getattr(group_gaps, gap)(tally, 0.95)
            true = truth(gap, np.array(p), np.ones(len(p)) / len(p))
            assert ((low - 1e-12 <= true) & (true <= high + 1e-12)).mean() >= 0.93


@pytest.mark.parametrize("k", [2, 5, 8])
def test_limits_with_weights_cover(k):
    """Weights from 0.5 to 2 that have nothing to do with the answers; the effective rows are Kish's."""
    rng = np.random.default_rng(9)
    weights = rng.uniform(0.5, 2, (k, 100))
    hits = ((rng.random((DRAWS, k, 100)) < 0.4) * weights).sum(axis=-1)
    mass, squares = weights.sum(axis=-1), (weights**2).sum(axis=-1)
    effective = mass**2 / squares
    tally = Tally(hits * effective / mass, np.broadcast_to(effective, hits.shape), mass / mass.sum())
    for gap, true in (("difference", 0), ("ratio", 1), ("difference_to_overall", 0), ("ratio_to_overall", 1)):
        _, low, high = getattr(group_gaps, gap)(tally, 0.95)
        assert ((low <= true + 1e-12) & (true <= high + 1e-12)).mean() >= 0.93


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("k", [2, 3, 5, 8, 80, 1000])
def test_the_critical_value_of_all_pairs_is_tukeys(k, confidence):
    expected = stats.studentized_range.ppf(confidence, k, np.inf) / np.sqrt(2)
    assert critical_pairs(confidence, k) == pytest.approx(expected, rel=1e-7)


def test_the_critical_value_of_each_against_the_whole():
    assert critical_each(0.95, 2) == critical(0.95)
    assert critical_each(0.95, 5) == pytest.approx(stats.norm.ppf(0.5 + 0.95**0.2 / 2), abs=1e-12)
    for wrong in (critical_each, critical_pairs):
        with pytest.raises(MeasurementError, match="strictly between 0 and 1"):
            wrong(1.0, 5)


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=2, max_size=6))
def test_whatever_is_counted_the_value_lies_within_its_limits(groups):
    trials = np.array([n for n, _ in groups], dtype=float)
    hits = np.array([round(n * share) for n, share in groups], dtype=float)
    assume(hits.any())
    tally = Tally(hits, trials, trials / trials.sum())
    for gap in GAPS:
        value, low, high = getattr(group_gaps, gap)(tally, 0.95)
        assert np.isfinite([value, low, high]).all()
        assert 0 <= low <= value + 1e-12
        assert value <= high + 1e-12
        assert value == pytest.approx(truth(gap, hits / trials, tally.shares), abs=1e-9)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_whom_a_group_is_compared_with_does_not_depend_on_the_order(n, m):
    hits, trials = np.array([n // 2 + 1.0, m // 3, 5]), np.array([n + 1.0, m, 10])
    one = Tally(hits, trials, trials / trials.sum())
    other = Tally(hits[::-1], trials[::-1], one.shares[::-1])
    for gap in GAPS:
        found = [np.array(getattr(group_gaps, gap)(each, 0.95)) for each in (one, other)]
        assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_limits_of_one_pair_broadcast():
    first, second = ((np.array(0.5), np.array(0.4), np.array(0.6)), (np.array([0.5, 0.0]), np.zeros(2), np.ones(2)))
    low, high = difference_limits(first, second)
    assert low.shape == high.shape == (2,)
    assert ratio_limits(first, second)[1][1] == np.inf
