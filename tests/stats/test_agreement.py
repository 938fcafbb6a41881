"""Flips between two models and McNemar's tests: against statsmodels, published p values and a hand-worked table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.agreement import Agreement, agreement, mcnemar_exact, mcnemar_mid, regressions
from pytest_leanml.stats.samples import make_sample


def pair(truth, ours, theirs, **more):
    return make_sample("multiclass", truth, ours, **more), make_sample("multiclass", truth, theirs, **more)


def test_rows_are_counted_by_who_is_right():
    truth = ["a", "b", "c", "a", "b", "c", "a"]
    ours = ["a", "b", "c", "b", "a", "c", "c"]
    theirs = ["a", "a", "c", "a", "c", "b", "b"]
    found = agreement(*pair(truth, ours, theirs))
    assert found == Agreement(both=2, gained=2, lost=1, neither=2)
    assert (found.n, found.flips) == (7, 3)
    known = {"gained": 2, "lost": 1, "mcnemar_exact_p": 1.0, "mcnemar_mid_p": 1 - 3 / 8}
    assert found.details() == pytest.approx(known)


def test_models_with_classes_in_another_order_are_compared_by_label():
    truth = ["a", "b"] * 4
    ours = make_sample("multiclass", truth, truth, classes=("a", "b"))
    theirs = make_sample("multiclass", truth, ["b", "b"] * 4, classes=("z", "b", "a"))
    assert agreement(ours, theirs) == Agreement(both=4, gained=4, lost=0, neither=0)


def test_published_p_values():
    """Fagerland, Lydersen and Laake (2013), airway reactivity before and after transplantation: 1 and 7 pairs flip."""
    assert mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar_mid(1, 7) == pytest.approx(0.0391, abs=5e-5)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_exact_test_is_that_of_statsmodels(gained, lost):
    assert mcnemar_exact(gained, lost) == pytest.approx(mcnemar([[9, gained], [lost, 9]], exact=True).pvalue, abs=1e-12)
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_mid_p_value_counts_half_of_what_was_seen(gained, lost):
    found = mcnemar_mid(gained, lost)
    assert found == mcnemar_mid(lost, gained)
    assert 0 < found <= min(1.0, mcnemar_exact(gained, lost))
    if gained != lost:
        flips = stats.binom(gained + lost, 0.5)
        tail = flips.cdf(min(gained, lost) - 1) + 0.5 * flips.pmf(min(gained, lost))
        assert found == pytest.approx(2 * tail, abs=1e-12)


def test_without_a_flip_nothing_is_known():
    assert (mcnemar_exact(0, 0), mcnemar_mid(0, 0)) == (1.0, 1.0)


@pytest.mark.parametrize("pairs", [20, 50])
def test_the_exact_test_keeps_its_size_and_the_mid_p_test_nearly_uses_it(pairs):
    """The chance of p <= 0.05 were both directions alike, summed over all numbers of flips and their outcomes."""

    def sizes(test):
        rejected = [
            sum(stats.binom.pmf(g, flips, 0.5) for g in range(flips + 1) if test(g, flips - g) <= 0.05)
            for flips in range(pairs + 1)
        ]
        return [float(stats.binom.pmf(range(pairs + 1), pairs, share) @ rejected) for share in np.linspace(0.05, 1, 20)]

    exact, mid = sizes(mcnemar_exact), sizes(mcnemar_mid)
    assert max(exact) <= 0.05
    # Fagerland and others (2013) found at most 5.93 % short of every row flipping.
    assert max(mid[:-1]) <= 0.0593
    assert all(narrow <= wide for narrow, wide in zip(exact, mid, strict=True))


def test_the_share_of_regressions_has_wilsons_interval():
    truth = np.zeros(200, dtype=int)
    ours, theirs = truth.copy(), truth.copy()
    ours[:14], theirs[10:40] = 1, 1
    truth[-1] = ours[-1] = theirs[-1] = 1
    found = regressions(*(make_sample("binary", truth, each) for each in (ours, theirs)), confidence=0.9)
    assert (found.value, found.n, found.interval, found.confidence) == (10 / 200, 200, "wilson", 0.9)
    assert (found.low, found.high) == pytest.approx(proportion_confint(10, 200, 0.1, "wilson"))
    counts = {name: (part.n, part.value) for name, part in found.by.items()}
    assert counts == {
        "right to wrong": (10, 0.05),
        "wrong to right": (26, 0.13),
        "right in both": (160, 0.8),
        "wrong in both": (4, 0.02),
    }
    assert found.details["mcnemar_mid_p"] == mcnemar_mid(26, 10)


def test_what_has_no_right_or_wrong_is_refused():
    value = make_sample("regression", [0.1, 0.2], [0.1, 0.3])
    with pytest.raises(InconclusiveError, match="neither right nor wrong"):
        agreement(value, value)
    silent = make_sample("binary", [0, 1], None, [0.1, 0.9])
    with pytest.raises(MeasurementError, match="no predicted labels"):
        regressions(silent, silent)
    short, long = make_sample("binary", [0, 1], [0, 1]), make_sample("binary", [0, 1, 1], [0, 1, 1])
    with pytest.raises(MeasurementError, match="the same rows"):
        agreement(short, long)
