from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.intervals import (
    critical,
    critical_pairs,
    critical_t,
    hanley_mcneil,
    log_scale,
    logit_scale,
    mover_mean,
    mover_ratio,
    newcombe,
    skewed,
    student,
    unvaried,
    wilson,
)

Z = critical(0.95)


def rates(*pairs):
    """Rates with their Wilson limits from (successes, trials)."""
    x, n = np.array(pairs, dtype=float).T
    return x / n, *wilson(x, n, Z)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_critical_values_are_those_of_scipy(confidence):
    assert critical(confidence) == pytest.approx(stats.norm.ppf((1 + confidence) / 2), abs=1e-12)
    assert critical_t(confidence, 7) == pytest.approx(stats.t.ppf((1 + confidence) / 2, 7), rel=1e-9)
    assert critical_pairs(confidence, 2) == critical(confidence)


def test_tukeys_critical_values_are_the_published_ones():
    # Upper 5 % points of the studentized range, infinite degrees of freedom: Pearson and Hartley (1966), table 29.
    for groups, q in ((2, 2.77), (3, 3.31), (4, 3.63), (8, 4.29), (10, 4.47)):
        assert critical_pairs(0.95, groups) * math.sqrt(2) == pytest.approx(q, abs=0.005)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 95, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence):
    for function in (critical, lambda c: critical_t(c, 3), lambda c: critical_pairs(c, 3)):
        with pytest.raises(MeasurementError, match="strictly between 0 and 1"):
            function(confidence)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_limits(hits, n, low, high):
    assert np.round(wilson(hits, n, Z), 4).tolist() == [low, high]


@given(st.integers(1, 10**6), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels(n, share, confidence):
    hits = round(share * n)
    expected = proportion_confint(hits, n, alpha=1 - confidence, method="wilson")
    low, high = wilson(hits, n, critical(confidence))
    assert (float(low), float(high)) == pytest.approx(expected, abs=1e-9)
    assert 0 <= low <= hits / n <= high <= 1
    assert low < high


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_gives_the_published_limits(one, other, low, high):
    lows, highs = newcombe(*rates(one, other))
    assert (round(float(lows[0, 1]), 4), round(float(highs[0, 1]), 4)) == (low, high)
    assert lows[1, 0] == pytest.approx(-highs[0, 1], abs=1e-15)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_newcombe_agrees_with_statsmodels(n, m, p, q):
    x, y = round(p * n), round(q * m)
    lows, highs = newcombe(*rates((x, n), (y, m)))
    expected = confint_proportions_2indep(x, n, y, m, method="newcomb", compare="diff")
    assert (float(lows[0, 1]), float(highs[0, 1])) == pytest.approx(expected, abs=1e-9)


@given(st.integers(2, 300), st.integers(2, 300), st.floats(0.05, 1), st.floats(0.05, 1))
def test_the_ratio_limits_are_the_ratios_whose_difference_could_be_zero(n, m, p, q):
    """Donner and Zou's definition, solved numerically: R is a limit where MOVER's limit of p1 - R p2 is 0."""
    x, y = max(1, round(p * n)), max(1, round(q * m))
    (p1, p2), (l1, l2), (u1, u2) = rates((x, n), (y, m))
    lows, highs = mover_ratio(*rates((x, n), (y, m)))

    def lower(ratio):
        return p1 - ratio * p2 - math.sqrt((p1 - l1) ** 2 + (ratio * (u2 - p2)) ** 2)

    def upper(ratio):
        return p1 - ratio * p2 + math.sqrt((u1 - p1) ** 2 + (ratio * (p2 - l2)) ** 2)

    ratio = p1 / p2
    assert lows[0, 1] == pytest.approx(optimize.brentq(lower, 0, ratio, xtol=1e-15), rel=1e-9)
    assert highs[0, 1] == pytest.approx(optimize.brentq(upper, ratio, 1e6 * ratio, xtol=1e-15), rel=1e-6)


def test_a_ratio_over_nothing_has_no_upper_limit():
    lows, highs = mover_ratio(*rates((5, 10), (0, 10), (0, 10)))
    assert highs[0, 1] == math.inf
    assert lows[1, 0] == 0
    assert 0 < highs[1, 0] < 1
    assert not np.isnan(lows).any()
    assert not np.isnan(highs).any()


def test_the_mean_of_two_parts_is_newcombes_interval_of_a_sum():
    p, low, high = rates((56, 70), (48, 80))
    got = mover_mean(p, low, high)
    below, above = p - low, high - p
    assert got == pytest.approx((p.mean() - math.hypot(*below) / 2, p.mean() + math.hypot(*above) / 2), abs=1e-12)


def test_parts_that_err_together_widen_the_mean():
    p, low, high = rates((56, 70), (48, 80))
    together = mover_mean(p, low, high, np.ones((2, 2)))
    assert together == pytest.approx((low.mean(), high.mean()), abs=1e-12)


def test_students_interval_is_that_of_scipy():
    expected = stats.t.interval(0.9, 11, loc=3.0, scale=0.25)
    assert student(3.0, 0.25, 12, 0.9) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "skewness"), [(20, -3.5), (50, 2.0), (50, 0.3), (400, 6.0), (8, -0.01), (30, 1e-5)])
def test_halls_interval_is_where_his_polynomial_meets_the_critical_value(n, skewness):
    low, high = skewed(1.0, 0.25, n, skewness, 0.95)

    def meets(quotient):
        g = quotient + skewness * quotient**2 / 3 + skewness**2 * quotient**3 / 27 + skewness / (6 * n)
        return g * math.sqrt(n)

    wanted, spread = stats.t.ppf(0.975, n - 1), 0.25 * math.sqrt(n)
    assert meets((1.0 - low) / spread) == pytest.approx(wanted, rel=1e-6)
    assert meets((1.0 - high) / spread) == pytest.approx(-wanted, rel=1e-6)


def test_without_skew_halls_interval_is_students():
    assert skewed(1.0, 0.25, 20, 0.0, 0.95) == student(1.0, 0.25, 20, 0.95)
    assert skewed(1.0, 0.25, 20, 2e-6, 0.95) == pytest.approx(student(1.0, 0.25, 20, 0.95), rel=1e-6)


@given(st.floats(1e-9, 1e9), st.floats(1e-12, 1e9))
def test_on_the_log_scale_a_positive_value_stays_positive(value, error):
    low, high = log_scale(value, error, Z)
    assert 0 <= low <= value <= high < math.inf
    assert low * high == pytest.approx(value**2, rel=1e-6)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(1e-9, 0.5))
def test_on_the_logit_scale_a_share_stays_inside(value, error):
    low, high = logit_scale(value, error, Z)
    assert 0 <= low <= value * (1 + 1e-12)
    assert value * (1 - 1e-12) <= high <= 1


def test_on_both_scales_a_small_error_gives_the_plain_delta_interval():
    for low, high in (log_scale(0.7, 1e-6, Z), logit_scale(0.7, 1e-6, Z)):
        assert (low, high) == pytest.approx((0.7 - Z * 1e-6, 0.7 + Z * 1e-6), abs=1e-10)


def test_what_never_varied_is_bounded_by_the_exact_binomial_limit():
    # Clopper and Pearson's limit for 0 of 20, two-sided 95 %: 0.1684 (Newcombe 1998, table I, method 5).
    assert unvaried(0.0, 20, 0.95, (0.0, 1.0)) == pytest.approx((0.0, 0.1684), abs=5e-5)
    assert unvaried(0.0, 20, 0.95, (0.0, 1.0))[1] == pytest.approx(
        proportion_confint(0, 20, method="beta")[1], abs=1e-12
    )
    assert unvaried(1.0, 20, 0.95, (0.0, 1.0))[0] == pytest.approx(1 - 0.1684, abs=5e-5)


def test_hanley_and_mcneils_variance_is_the_published_one():
    # Hanley and McNeil 1982, Radiology 143, 29-36: 51 abnormal, 58 normal images, area 0.893, SE 0.032.
    def variance(area):
        spread = (51 + 58) / 2 - 1
        return area * (1 - area) / (51 * 58) * (1 + spread * ((1 - area) / (2 - area) + area / (1 + area)))

    assert math.sqrt(variance(0.893)) == pytest.approx(0.032, abs=0.0005)
    low, high = hanley_mcneil(0.893, 51, 58, Z)
    # The definition: each limit is z of its own standard errors away.
    assert 0.893 - low == pytest.approx(Z * math.sqrt(variance(low)), abs=1e-10)
    assert high - 0.893 == pytest.approx(Z * math.sqrt(variance(high)), abs=1e-10)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (1, 50), (30, 30), (4000, 9)])
@pytest.mark.parametrize("area", [0.0, 0.5, 0.97, 1.0])
def test_an_area_never_has_a_width_of_zero(area, positives, negatives):
    low, high = hanley_mcneil(area, positives, negatives, Z)
    assert 0 <= low <= area <= high <= 1
    assert high - low > 1e-4
    mirrored = hanley_mcneil(1 - area, positives, negatives, Z)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)
