"""Quantiles and their distribution-free limits, held against published ranks, scipy's binomial law and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.quantiles import _ranks, quantile, rows_needed

# Ranks of the 95 % limits of a median, as Altman, Machin, Bryant and Gardner 2000 (Statistics with Confidence) tabulate
# them; n -> (low, high).
MEDIAN = {6: (1, 6), 8: (1, 8), 9: (2, 8), 10: (2, 9), 15: (4, 12), 20: (6, 15), 25: (8, 18), 30: (10, 21), 50: (18, 33), 100: (40, 61)}  # fmt: skip
# Samples in which the largest value bounds a quantile at a one-sided level: Wilks 1941; tabulated in Hahn and Meeker 1991.
WILKS = {(0.90, 0.95): 29, (0.95, 0.95): 59, (0.99, 0.95): 299, (0.90, 0.99): 44, (0.95, 0.99): 90, (0.99, 0.99): 459}


@pytest.mark.parametrize(("n", "ranks"), MEDIAN.items())
def test_published_ranks_of_the_median(n, ranks):
    found = quantile(np.arange(1, n + 1), 0.5)
    assert (found.low, found.high) == ranks
    assert found.interval == "order statistics"


@pytest.mark.parametrize(("case", "n"), WILKS.items())
def test_published_sample_sizes(case, n):
    share, level = case
    two_sided = 1 - 2 * (1 - level)
    assert rows_needed(share, two_sided) == n
    assert rows_needed(1 - share, two_sided) == n
    assert quantile(np.arange(n), share, confidence=two_sided).high is not None
    assert quantile(np.arange(n - 1), share, confidence=two_sided).high is None


@pytest.mark.parametrize(("level", "n"), [(0.5, 2), (0.75, 3), (0.875, 4), (0.9375, 5), (0.95, 6), (0.99, 8)])
def test_a_median_needs_so_many(level, n):
    """Min and max of n values cover the median with 1 - 2 / 2^n."""
    assert rows_needed(0.5, level) == n
    found = quantile(np.arange(n), 0.5, confidence=level)
    assert (found.low, found.high) == (0, n - 1)
    assert quantile(np.arange(n - 1), 0.5, confidence=level).low is None
    assert found.details == {"rows_needed": n}


@given(
    n=st.integers(1, 3000),
    share=st.sampled_from([0.01, 0.1, 0.5, 0.9, 0.95, 0.99]),
    level=st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_ranks_are_the_tightest_that_scipys_binomial_law_allows(n, share, level):
    low, high = _ranks(n, share, level)
    doubt = (1 - level) / 2
    law = stats.binom(n, share)
    # The true quantile lies below the value of rank r where at most r - 1 values lie at or below it.
    assert low == 0 or law.cdf(low - 1) <= doubt + 1e-8
    assert law.cdf(low) > doubt - 1e-8
    assert law.sf(high - 1) <= doubt + 1e-8
    assert high == 1 or law.sf(high - 2) > doubt - 1e-8


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    share=st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95, 0.99]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_value_is_numpys_inverted_cdf_and_lies_within_its_limits(values, share):
    found = quantile(values, share)
    assert found.value == np.quantile(values, share, method="inverted_cdf")
    assert found.n == len(values)
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


SETTINGS = [
    (law, n, share)
    for law in ("exponential", "lognormal", "discrete")
    for n, share in [(6, 0.5), (10, 0.5), (100, 0.95), (400, 0.5), (400, 0.95), (400, 0.99), (1000, 0.99)]
]


@pytest.mark.parametrize(("law", "n", "share"), SETTINGS)
def test_coverage(law, n, share):
    """2,000 samples of each: at least 93 % for 95 %; with ties, and in few rows, more."""
    draw = np.random.default_rng(20_261_126)
    sample = {
        "exponential": lambda: draw.exponential(3, (2000, n)),
        "lognormal": lambda: draw.lognormal(0, 1, (2000, n)),
        "discrete": lambda: draw.poisson(4, (2000, n)).astype(float),
    }[law]()
    true = {
        "exponential": stats.expon(scale=3),
        "lognormal": stats.lognorm(1),
        "discrete": stats.poisson(4),
    }[law].ppf(share)
    low, high = _ranks(n, share, 0.95)
    ordered = np.sort(sample, axis=1)
    below = ordered[:, low - 1] <= true if low >= 1 else np.ones(2000, dtype=bool)
    above = ordered[:, high - 1] >= true if high <= n else np.ones(2000, dtype=bool)
    assert (below & above).mean() >= 0.945
    first = quantile(sample[0], share)
    assert (first.low, first.high) == (ordered[0, low - 1], ordered[0, high - 1] if high <= n else None)


def test_too_few_have_no_upper_limit():
    found = quantile(np.arange(200), 0.99)
    # P(at most 194 of 200 at or below) is 0.016, of 195 it is 0.052: the 195th smallest is the limit.
    assert (found.value, found.low, found.high) == (197, 194, None)
    assert found.details == {"rows_needed": 368}
    assert quantile(np.arange(368), 0.99).high == 367


@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf], [1.0, -np.inf]])
def test_no_numbers(values):
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        quantile(values, 0.5)


def test_nothing():
    with pytest.raises(InconclusiveError, match="nothing was measured"):
        quantile([], 0.5)


@pytest.mark.parametrize(("share", "level"), [(0, 0.95), (1, 0.95), (1.5, 0.95), (np.nan, 0.95), (0.5, 0), (0.5, 1)])
def test_shares_and_levels_that_are_none(share, level):
    with pytest.raises(MeasurementError, match="strictly between 0 and 1"):
        quantile([1.0], share, confidence=level)
