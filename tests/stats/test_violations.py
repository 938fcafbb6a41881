"""How often something happened that should not: the exact interval, shares of cases, the worst of several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.violations import clopper_pearson, counted_share, demand_trials, violation_share, worst_share


@pytest.mark.parametrize(
    ("violations", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 5.
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_the_interval_is_the_published_one(violations, n, low, high):
    assert clopper_pearson(violations, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_the_interval_is_scipys(n, share, confidence):
    violations = round(share * n)
    found = stats.binomtest(violations, n).proportion_ci(confidence, method="exact")
    assert clopper_pearson(violations, n, confidence) == (
        pytest.approx(found.low, abs=1e-9),
        pytest.approx(found.high, abs=1e-9),
    )


@pytest.mark.parametrize(("rate", "n"), [(0.0, 500), (0.001, 500), (0.01, 500), (0.1, 50), (0.3, 20), (0.5, 500)])
def test_the_interval_covers(rate, n):
    """2,000 runs each: at least its level, by its making; so it is marked as conservative."""
    found = np.random.default_rng(20261126).binomial(n, rate, 2000)
    limits = {each: clopper_pearson(each, n) for each in set(found.tolist())}
    covered = [limits[each][0] <= rate <= limits[each][1] for each in found.tolist()]
    assert np.mean(covered) >= 0.945


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 5), (6, 5), (0, 5, 0.0), (0, 5, 1.0), (0, 5, float("nan"))])
def test_counts_and_levels_that_cannot_be(arguments):
    with pytest.raises(MeasurementError):
        clopper_pearson(*arguments)


def test_a_share_says_how_many_and_on_how_many_it_rests():
    share = violation_share(3, 200, confidence=0.9)
    assert (share.value, share.n, share.interval, share.confidence) == (0.015, 200, "clopper-pearson", 0.9)
    assert share.low < share.value < share.high
    assert share.details == {"violations": 3.0}


def test_too_few_trials_say_nothing():
    with pytest.raises(InconclusiveError, match="19 texts could be tried"):
        demand_trials(19, 20, "texts")
    with pytest.raises(InconclusiveError, match="0 rows"):
        violation_share(0, 0)
    with pytest.raises(InconclusiveError, match="no cases"):
        counted_share(0, 0)


def test_cases_that_are_all_there_are_need_no_interval():
    share = counted_share(1, 4)
    assert (share.value, share.low, share.high, share.interval, share.n) == (0.25, 0.25, 0.25, "exact", 4)


def test_the_worst_has_the_worst_upper_limit_of_all():
    found = {"a": violation_share(1, 500), "b": violation_share(0, 20), "c": violation_share(3, 600)}
    worst = worst_share(found)
    assert (worst.value, worst.low) == (found["c"].value, found["c"].low)
    assert worst.high == found["b"].high > found["c"].high
    assert (worst.n, worst.interval) == (20, "clopper-pearson, worst of 3")
    assert {name: (part.value, part.n) for name, part in worst.by.items()} == {
        "a": (0.002, 500),
        "b": (0.0, 20),
        "c": (0.005, 600),
    }
    assert worst_share({"a": found["a"]}).interval == "clopper-pearson"


def test_the_worst_of_nothing_is_not_0():
    with pytest.raises(InconclusiveError, match="nothing was tried"):
        worst_share({})


@pytest.mark.parametrize("columns", [2, 5])
def test_the_worst_of_several_covers_the_worst_rate(columns):
    draw = np.random.default_rng(7)
    rates = np.linspace(0.01, 0.03, columns)
    counts = draw.binomial(300, rates, (2000, columns))
    limits = np.array([clopper_pearson(each, 300) for each in range(301)])
    high = limits[counts, 1].max(axis=1)
    assert np.mean(high >= rates.max()) >= 0.95
