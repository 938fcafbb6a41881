"""What counting says of two samples, against what sorting says of them: every answer to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.columns import between, bin_counts, in_order, quantile_edges, unsorted
from pytest_leanml.stats.counting import CELLS, FEW_ROWS, counted, counted_at_once
from pytest_leanml.stats.drift import ks
from pytest_leanml.stats.histogram import histogram_of, number_histogram

CUTS = st.sampled_from([2, 3, 7, 64, 1000, CELLS])
FLOATS = st.floats(-1e6, 1e6) | st.floats(-2, 2) | st.floats(-1e307, 1e307)
SAMPLES = (
    st.lists(FLOATS, min_size=1, max_size=60)
    | st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60)
    | st.lists(st.sampled_from([0.0, -0.0, 0.1, 0.1 + 2**-56, np.nextafter(0.1, 1), 1e-300, 5e-324]), min_size=1)
)
SHAPES = {
    "normal": lambda draw, n: draw.normal(size=n),
    "shifted": lambda draw, n: draw.normal(0.2 * (n % 2), 1, size=n),
    "uniform": lambda draw, n: draw.random(n),
    "rounded": lambda draw, n: draw.normal(size=n).round(2),
    "few values": lambda draw, n: draw.choice([0.1, 0.25, 7.5], n),
    "mostly zero": lambda draw, n: np.where(draw.random(n) < 0.9, 0.0, draw.lognormal(size=n)),
    "whole": lambda draw, n: draw.poisson(20, n).astype(float),
    "whole and far away": lambda draw, n: 1e15 + draw.integers(0, 900, n),
    "nearly whole": lambda draw, n: np.r_[draw.integers(-9, 9, n - 1).astype(float), 2.0**-60],
    "lognormal": lambda draw, n: draw.lognormal(0, 1, n),
    "very skewed": lambda draw, n: draw.lognormal(0, 5, n),
    "cauchy": lambda draw, n: draw.standard_cauchy(n),
    "a value and all others": lambda draw, n: np.where(draw.random(n) < 0.5, 0.123, draw.normal(size=n)),
    "constant": lambda draw, n: np.full(n, 0.7),
    "one of it far out": lambda draw, n: np.r_[draw.normal(size=n - 1), 1e300],
    "as wide as can be": lambda draw, n: np.r_[draw.normal(size=n - 2), -1.7e308, 1.7e308],
    "as near as can be": lambda draw, n: draw.choice([1.0, np.nextafter(1, 2), np.nextafter(1, 0)], n),
    "beyond 2^53": lambda draw, n: draw.integers(2**60, 2**60 + 5000, n),
    "small floats": lambda draw, n: draw.normal(size=n).astype(np.float32),
    "bytes": lambda draw, n: draw.integers(-128, 128, n).astype(np.int8),
    "booleans": lambda draw, n: draw.random(n) < 0.3,
    "times": lambda draw, n: np.datetime64("2026-01-01", "ns") + draw.integers(0, 10**12, n),
    "missing": lambda draw, n: np.where(draw.random(n) < 0.1, np.nan, draw.normal(size=n)),
}


def in_bins(counts, edges, *sides):
    return [between(up_to, side) for up_to, side in zip(counts.up_to(edges), sides, strict=True)]


def assert_alike(old, new, *, cells=CELLS, few=FEW_ROWS):
    """Compare all that drift asks of a column, counted in either way; tell in which it was."""
    sides = unsorted(old, "reference"), unsorted(new, "current")
    ways = {"known": counted(*sides, cells=cells, few=few)}
    if old.dtype == new.dtype == np.float64:
        ways["at once"] = counted_at_once(old, new, cells=cells, few=few)
    found = {name: counts for name, counts in ways.items() if counts is not None}
    for counts in found.values():
        assert_sorted_alike(old, new, counts, *(in_order(each.side) for each in sides))
    return set(found)


def assert_sorted_alike(old, new, counts, one, other):
    assert counts.distance() == ks(old, new).details["distance"]
    deciles, bars = counts.decile_edges(), counts.bar_edges()
    np.testing.assert_array_equal(deciles, quantile_edges(one.present, 10))
    for found, known in zip(in_bins(counts, deciles, one, other), bin_counts(one, other), strict=True):
        np.testing.assert_array_equal(found, known)
    assert histogram_of(bars, *in_bins(counts, bars, one, other)) == number_histogram(one, other)


@given(SAMPLES, SAMPLES, CUTS)
@settings(max_examples=300)
def test_any_samples_in_any_number_of_cells(old, new, cells):
    assert_alike(np.array(old), np.array(new), cells=cells, few=0)


@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 2**32 - 1), st.integers(3, 3000), st.integers(3, 3000), CUTS)
@settings(max_examples=150)
def test_samples_of_many_shapes(name, seed, n, m, cells):
    draw = np.random.default_rng(seed)
    assert_alike(SHAPES[name](draw, n), SHAPES[name](draw, m), cells=cells, few=0)


@given(SAMPLES, st.lists(FLOATS, min_size=1, max_size=10), CUTS)
def test_rows_up_to_any_value_at_all(values, edges, cells):
    side = unsorted(np.array(values), "reference")
    counts = counted(side, side, cells=cells, few=0)
    if counts is not None:
        expected = np.searchsorted(np.sort(values), edges, side="right")
        for found in counts.up_to(np.array(edges)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_many_rows(name):
    """The same at the size from which it is done, and which shapes of a column are sorted all the same."""
    draw = np.random.default_rng(3)
    ways = assert_alike(SHAPES[name](draw, 70_000), SHAPES[name](draw, 50_001))
    sorted_all_the_same = {"a value and all others", "constant", "very skewed"}
    assert ("known" in ways) is (name not in sorted_all_the_same)
    simple = {"normal", "shifted", "uniform", "rounded", "few values", "mostly zero", "lognormal", "cauchy"}
    assert ("at once" in ways) is (name in simple | {"one of it far out", "as wide as can be", "as near as can be"})


def test_the_distance_is_scipys():
    draw = np.random.default_rng(1)
    old, new = draw.normal(size=60_000), draw.normal(0.01, 1, 40_000)
    assert counted(unsorted(old, "a"), unsorted(new, "b")).distance() == ks_2samp(old, new).statistic


def test_cells_are_cut_where_nearly_all_values_are():
    """One value far out must not put all others into one cell."""
    draw = np.random.default_rng(1)
    plain, far = draw.normal(size=100_000), np.r_[draw.normal(size=99_999), 1e9]
    for new, tails in ((plain, False), (far, True)):
        counts = counted(unsorted(draw.normal(size=100_000), "a"), unsorted(new, "b"))
        assert counts.grid.tails is tails
        assert counts.new.rows.max() < 2_000
        assert counts.rows_in(counts.open) < 20_000


def test_few_rows_are_not_counted():
    few = np.random.default_rng(1).normal(size=FEW_ROWS // 2 - 1)
    assert counted(unsorted(few, "reference"), unsorted(few, "current")) is None
    assert counted_at_once(few, few) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 69_999, 40_001])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_number_is_never_counted_at_once(value, place, side):
    values = [np.random.default_rng(each).normal(size=70_000) for each in (1, 2)]
    assert counted_at_once(*values) is not None
    values[side][place] = value
    assert counted_at_once(*values) is None


def test_nothing_is_not_counted_at_once():
    many = np.random.default_rng(1).normal(size=70_000)
    assert counted_at_once(many, many[:0]) is None
    assert counted_at_once(many[:0], many) is None
    assert counted_at_once(np.full(70_000, np.nan), many) is None


def test_few_rows_of_many_are_gathered():
    draw = np.random.default_rng(1)
    counts = counted(*(unsorted(draw.normal(size=200_000), "a") for _ in range(2)))
    assert 0 < len(counts.old.inside) < 10_000
    assert len(counts.old.inside) == counts.old.rows[counts.open].sum()


@pytest.mark.parametrize("place", [0, 7, -1])
def test_infinity_and_nothing_at_all_are_refused(place):
    values = np.zeros(9)
    values[place] = -np.inf
    with pytest.raises(MeasurementError, match="1 infinite values"):
        unsorted(np.append(values, np.nan), "current")
    with pytest.raises(InconclusiveError, match="nothing to compare in 3 rows"):
        unsorted([np.nan] * 3, "current")
