"""Distances between counts, against scipy, published and hand-worked numbers, with their bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.columns import tally
from pytest_leanml.stats.drift import DriftMethod, compare_labels
from pytest_leanml.stats.drift_bounds import clopper_pearson, divergence_radius, shares_within, variation_radius
from pytest_leanml.stats.drift_counts import (
    chi_squared_counts,
    jensen_shannon_counts,
    kl_counts,
    psi_counts,
    total_variation_counts,
)

ALL = [psi_counts, kl_counts, jensen_shannon_counts, total_variation_counts, chi_squared_counts]
TABLES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=9).filter(
    lambda pairs: all(any(pair[side] for pair in pairs) for side in (0, 1))
)
CLOSE = {"rel": 1e-9, "abs": 1e-12}


def split(pairs):
    return np.array(pairs, dtype=float).T


@given(TABLES)
def test_jensen_shannon_is_scipys(pairs):
    old, new = split(pairs)
    known = jensenshannon(old, new, base=2)
    assert jensen_shannon_counts(old, new).value == pytest.approx(0.0 if np.isnan(known) else known, abs=1e-7)


@given(TABLES)
def test_kl_is_scipys_entropy_where_no_cell_is_empty(pairs):
    old, new = split([(one + 1, other + 1) for one, other in pairs])
    assert kl_counts(old, new).value == pytest.approx(stats.entropy(new, old), **CLOSE)


def test_kl_of_an_empty_cell_counts_half_a_row():
    # Shares .5, .5 against 1, 0: q ln(q / p) is ln 2, and the empty cell counts 0.5 / 4 rows: its term is
    # 0.125 ln(0.125 / 0.5) - 0.125 + 0.5, that of the other ln 2 - 1 + 0.5.
    known = math.log(2) - 0.5 + 0.125 * math.log(0.25) + 0.375
    assert kl_counts([2, 2], [4, 0]).value == pytest.approx(known, **CLOSE)


@given(TABLES)
def test_psi_is_the_sum_of_both_divergences(pairs):
    old, new = split([(one + 1, other + 1) for one, other in pairs])
    assert psi_counts(old, new).value == pytest.approx(kl_counts(old, new).value + kl_counts(new, old).value, **CLOSE)


def test_psi_of_a_hand_worked_scorecard():
    """A score of five bands, 20 % in each at development; term by term (a - e) ln(a / e) by hand."""
    old, new = [200, 200, 200, 200, 200], [150, 180, 200, 220, 250]
    terms = [0.05 * math.log(0.2 / 0.15), 0.02 * math.log(0.2 / 0.18), 0, 0.02 * math.log(1.1), 0.05 * math.log(1.25)]
    assert psi_counts(old, new).value == pytest.approx(sum(terms), **CLOSE)
    assert psi_counts(old, new).value == pytest.approx(0.0295545, abs=1e-6)


@given(TABLES)
def test_total_variation_by_hand(pairs):
    old, new = split(pairs)
    known = np.abs(old / old.sum() - new / new.sum()).sum() / 2
    assert total_variation_counts(old, new).value == pytest.approx(known, **CLOSE)


@pytest.mark.parametrize("compare", ALL)
@given(pairs=TABLES)
def test_what_all_have_in_common(compare, pairs):
    old, new = split(pairs)
    found = compare(old, new)
    assert 0 <= found.low <= found.value <= found.high
    assert found.interval
    assert found.n == old.sum() + new.sum()
    assert compare(old, old).value == pytest.approx(0, abs=1e-12)
    assert 0 <= found.details["net"] <= found.value
    table = np.stack([old, new])[:, old + new > 0]
    if table.shape[1] > 1:
        known = stats.chi2_contingency(table, correction=False)
        assert found.details["p_value"] == pytest.approx(known.pvalue, abs=1e-9)
    # The order of the cells says nothing, nor do cells that nobody is in.
    again = compare(np.append(old[::-1], 0), np.append(new[::-1], 0))
    assert again.value == pytest.approx(found.value, **CLOSE)


@pytest.mark.parametrize("compare", ALL)
@pytest.mark.parametrize("counts", [([1, 2], [1]), ([[1]], [[1]]), ([-1, 2], [1, 1]), ([1, np.nan], [1, 1])])
def test_what_are_no_counts_is_refused(compare, counts):
    with pytest.raises(MeasurementError, match="counts"):
        compare(*counts)


@pytest.mark.parametrize("compare", ALL)
@pytest.mark.parametrize(("counts", "side"), [(([0, 0], [1, 1]), "reference"), (([1, 1], [0, 0]), "current")])
def test_counts_of_no_rows_are_inconclusive(compare, counts, side):
    with pytest.raises(InconclusiveError, match=f"no rows in {side}"):
        compare(*counts)


@pytest.mark.parametrize("compare", ALL)
@pytest.mark.parametrize("level", [0, 1, -1, 95, math.nan])
def test_a_level_out_of_range(compare, level):
    with pytest.raises(MeasurementError, match="confidence"):
        compare([5, 5], [4, 6], confidence=level)


@pytest.mark.parametrize("compare", ALL)
def test_one_category_has_not_moved(compare):
    found = compare([40], [70])
    assert (found.value, found.low, found.details["p_value"], found.details["net"]) == (0.0, 0.0, 1.0, 0.0)
    # What neither side has shown may be there all the same.
    assert found.high > 0


@pytest.mark.parametrize("compare", ALL)
def test_disjoint_categories_are_as_far_as_can_be(compare):
    found = compare([500, 500, 0, 0], [0, 0, 500, 500])
    ceiling = {psi_counts: 2 * math.log(1000), kl_counts: math.log(1000)}.get(compare, 1.0)
    assert found.value == pytest.approx(ceiling, rel=0.02)
    assert found.details["net"] > 0.9 * found.value


@pytest.mark.parametrize("compare", ALL)
@pytest.mark.parametrize(("categories", "rows"), [(1000, 20_000), (20_000, 200_000)])
def test_what_chance_adds_for_many_categories_is_told_apart(compare, categories, rows):
    """V of 1,000 categories is 0.16 where nothing has moved; PSI of 20,000 is 0.2."""
    draw = np.random.default_rng(5)
    old, new = draw.multinomial(rows, np.full(categories, 1 / categories), size=2)
    found = compare(old, new)
    limit = 0.2 if compare is psi_counts else 0.1
    assert found.value > 0.05
    assert found.details["net"] < limit / 2
    assert found.details["net_high"] < limit


@pytest.mark.parametrize("compare", ALL)
def test_many_categories_that_did_move_keep_their_distance(compare):
    draw = np.random.default_rng(6)
    shares = np.full(1000, 1 / 1000)
    moved = shares * np.repeat([0.4, 1.6], 500)
    found = compare(draw.multinomial(20_000, shares), draw.multinomial(20_000, moved))
    limit = 0.2 if compare is psi_counts else 0.1
    assert found.details["net"] > limit
    assert found.details["p_value"] < 1e-9


@pytest.mark.parametrize("compare", ALL)
def test_categories_of_few_rows_cannot_prove_stability(compare):
    """Identifiers: each row its own category. No test can tell; the upper limit must not say that all is well."""
    found = compare([1] * 5000 + [0] * 5000, [0] * 5000 + [1] * 5000)
    assert found.details["net_high"] >= 0.5


def test_the_upper_limit_of_v_without_chance_holds():
    """The non-central law's limit, over 2,000 draws; nominal 97.5 %, one side."""
    draw = np.random.default_rng(7)
    old, new = np.array([0.3, 0.3, 0.2, 0.2]), np.array([0.34, 0.28, 0.2, 0.18])
    truth = math.sqrt(float((0.25 * (old - new) ** 2 / ((old + new) / 2)).sum()))
    tables = zip(draw.multinomial(800, old, size=2000), draw.multinomial(800, new, size=2000), strict=True)
    below = [truth <= chi_squared_counts(*table).details["net_high"] for table in tables]
    assert np.mean(below) >= 0.96


@pytest.mark.parametrize("method", ["psi", "kl", "jensen_shannon", "total_variation", "chi_squared"])
def test_seventy_thousand_rows_give_a_tiny_p_and_no_drift(method):
    """KS .017 and PSI .003 at p = 1e-8: all effects stay far below their limits."""
    draw = np.random.default_rng(1)
    shares = np.full(10, 0.1)
    moved = shares + 0.005 * np.where(np.arange(10) < 5, 1, -1)
    names = [np.repeat(np.arange(10), draw.multinomial(70_000, each)) for each in (shares, moved)]
    found = compare_labels(tally(*names), DriftMethod(method))
    assert found.details["p_value"] < 1e-8
    assert found.value < 0.06
    assert found.details["net_high"] < (0.2 if method == "psi" else 0.1)


# Bounds.


def test_clopper_pearson_is_scipys():
    counts = np.array([0.0, 3.0, 17.0, 20.0])
    low, high = clopper_pearson(counts, 20.0, 0.025)
    for count, one, other in zip(counts, low, high, strict=True):
        known = stats.binomtest(int(count), 20).proportion_ci(0.95, method="exact")
        assert (one, other) == pytest.approx((known.low, known.high), **CLOSE)


def test_shares_are_bonferronis():
    low, high = shares_within(np.array([30.0, 70.0]), 0.95, 3)
    known = stats.binomtest(30, 100).proportion_ci(1 - 0.05 / 6, method="exact")
    assert (low[0], high[0]) == pytest.approx((known.low, known.high), **CLOSE)


@pytest.mark.parametrize("cells", [2, 5, 50, 2000])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.999])
def test_the_divergence_radius_solves_its_equation(cells, confidence):
    shape, x = 2 * (cells - 1), divergence_radius(cells, confidence)
    assert x > shape
    assert shape - x + shape * math.log(x / shape) == pytest.approx(math.log(1 - confidence), rel=1e-6)
    assert divergence_radius(1, confidence) == 0


def test_the_variation_radius_is_the_smaller_of_two():
    spread, tail = 1 / 100 + 1 / 200, math.log(20)
    assert variation_radius(3, (100, 200), 0.95) == pytest.approx(math.sqrt((math.log(6) + tail) * spread / 2))
    many = math.sqrt(4999 * spread) / 2 + math.sqrt(tail * spread / 2)
    assert variation_radius(5000, (100, 200), 0.95) == pytest.approx(many)
    assert variation_radius(1, (100, 200), 0.95) == 0


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_what_the_bounds_rest_on(cells, seed):
    """Inequalities between the distances, at random shares: those by which V bounds the others, and the ratio of JS to KL."""
    draw = np.random.default_rng(seed)
    p, q = draw.dirichlet(np.full(cells, 0.5), size=2)
    w = draw.uniform(0.02, 0.98)
    mixed = w * p + (1 - w) * q
    v = math.sqrt(float((w * (1 - w) * (p - q) ** 2 / mixed)[mixed > 0].sum()))
    middle = (p + q) / 2
    js = math.sqrt(max(0.0, float((rel_entr(p, middle) + rel_entr(q, middle)).sum()) / 2 / math.log(2)))
    assert np.abs(p - q).sum() / 2 <= v / (2 * math.sqrt(w * (1 - w))) + 1e-9
    assert js <= v / math.sqrt(2 * min(w, 1 - w)) + 1e-9
    assert js**2 <= float(rel_entr(p, q).sum()) / 2 + 1e-9
    # Half a row of 1,000 as the least share: PSI is at most `_steepest` times V squared.
    p, q = np.maximum(p, 0.0005), np.maximum(q, 0.0005)
    index = float(((q - p) * np.log(q / p)).sum())
    floored = float((w * (1 - w) * (p - q) ** 2 / (w * p + (1 - w) * q)).sum())
    most = max(math.log(r) * (w + (1 - w) * r) / (r - 1) for r in (2000, 1 / 2000)) / (w * (1 - w))
    assert index <= most * floored + 1e-9
