"""Rows of one table among those of another: against sets of tuples and scikit-learn's neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestNeighbors

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import overlap
from pytest_leanml.stats.overlap import Points, combine, near, shared

COLUMNS, ROWS = st.integers(1, 3), st.integers(1, 20)
FEW = settings(max_examples=60, derandomize=True)


def keys(rows):
    return combine([rows[:, column].astype(np.int64).view(np.uint64) for column in range(rows.shape[1])])


def tables(elements):
    def both(width):
        return st.tuples(*(ROWS.flatmap(lambda n: arrays(np.int64, (n, width), elements=elements)) for _ in range(2)))

    return COLUMNS.flatmap(both)


# --- exact ---------------------------------------------------------------------------------------


@FEW
@given(tables(st.integers(-2, 2)))
def test_shared_rows_are_those_of_a_set(pair):
    old, new = pair
    found = shared(keys(old), keys(new))
    known = [tuple(row) for row in old.tolist()]
    hits = [tuple(row) in known for row in new.tolist()]
    assert (found.value, found.n, found.details["count"]) == (sum(hits) / len(hits), len(hits), sum(hits))
    assert found.low == found.value == found.high
    assert found.details["repeated"] == sum(known.count(row) > 1 for row in known) / len(known)


@FEW
@given(arrays(np.int64, (40, 2), elements=st.integers(-(2**63), 2**63 - 1)))
def test_keys_differ_where_rows_do(rows):
    assert len(np.unique(keys(rows))) == len(np.unique(rows, axis=0))


def test_the_order_of_columns_counts():
    one, two = np.array([1], dtype=np.uint64), np.array([2], dtype=np.uint64)
    assert combine([one, two]) != combine([two, one])
    assert combine([one]) != combine([one, np.zeros(1, dtype=np.uint64)])


def test_a_million_keys_of_counters_are_distinct():
    rows = np.arange(1_000_000, dtype=np.uint64)
    assert len(np.unique(combine([rows // np.uint64(1000), rows % np.uint64(1000)]))) == len(rows)


def test_nothing_to_compare_is_no_overlap():
    one = np.zeros(1, dtype=np.uint64)
    for old, new in ((one[:0], one), (one, one[:0]), (one[:0], one[:0])):
        with pytest.raises(InconclusiveError, match="no rows"):
            shared(old, new)
        with pytest.raises(InconclusiveError, match="no rows"):
            near(Points(old, np.empty((len(old), 0))), Points(new, np.empty((len(new), 0))), tolerance=0.1, sample=10)
    with pytest.raises(InconclusiveError, match="no column"):
        combine([])
    with pytest.raises(MeasurementError, match="different lengths"):
        combine([one, np.zeros(2, dtype=np.uint64)])


# --- near ----------------------------------------------------------------------------------------


def by_scikit_learn(old, new, tolerance):
    """Return for each row of new whether a row of old of the same key lies within the tolerance in every number."""
    hits = np.zeros(len(new.key), dtype=bool)
    for key in np.unique(new.key):
        known, asked = old.numbers[old.key == key], new.numbers[new.key == key]
        if len(known):
            model = NearestNeighbors(n_neighbors=1, metric="chebyshev", algorithm="brute").fit(known)
            hits[new.key == key] = model.kneighbors(asked)[0][:, 0] <= tolerance
    return hits


def drawn(seed, rows, columns=3, groups=4):
    draw = np.random.default_rng(seed)
    return Points(draw.integers(0, groups, rows).astype(np.uint64), draw.normal(size=(rows, columns)))


@pytest.mark.parametrize("tolerance", [0, 0.05, 0.2, 1])
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_near_rows_are_scikit_learns(tolerance, columns):
    old, new = drawn(1, 300, columns), drawn(2, 400, columns)
    new.numbers[:40] = old.numbers[:40]
    new.key[:40] = old.key[:40]
    found = near(old, new, tolerance=tolerance, sample=10_000)
    hits = by_scikit_learn(old, new, tolerance)
    assert (found.value, found.n) == (hits.mean(), 400)
    assert hits.mean() >= 0.1
    assert (found.low, found.high, found.interval) == (found.value, found.value, "exact")


@FEW
@given(
    arrays(np.float64, (12, 2), elements=st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.5, 1e9])),
    arrays(np.float64, (9, 2), elements=st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.5, 1e9])),
    st.sampled_from([0.0, 0.25, 0.75]),
)
def test_the_edge_of_the_tolerance_is_near(known, asked, tolerance):
    zero = np.zeros(12, dtype=np.uint64)
    found = near(Points(zero, known), Points(zero[:9], asked), tolerance=tolerance, sample=100)
    apart = np.abs(asked[:, None] - known[None]).max(axis=2)
    assert found.value == (apart <= tolerance).any(axis=1).mean()
    own = (np.abs(known[:, None] - known[None]).max(axis=2) <= tolerance).sum(axis=1) > 1
    assert found.details["repeated"] == own.mean()


def test_without_numbers_the_key_decides():
    old = Points(np.array([1, 2], dtype=np.uint64), np.empty((2, 0)))
    new = Points(np.array([2, 3, 2, 2], dtype=np.uint64), np.empty((4, 0)))
    assert near(old, new, tolerance=0.5, sample=10).value == 0.75


def test_memory_is_cut_into_blocks(monkeypatch):
    old, new = drawn(3, 200, groups=1), drawn(4, 150, groups=1)
    whole = near(old, new, tolerance=0.5, sample=1000)
    monkeypatch.setattr(overlap, "_BLOCK", 7)
    assert near(old, new, tolerance=0.5, sample=1000) == whole


def test_a_sample_is_seeded_and_its_interval_is_wilsons():
    from scipy.stats import binomtest

    old, new = drawn(5, 300, 1), drawn(6, 5_000, 1)
    found = near(old, new, tolerance=0.01, sample=400, seed=3, confidence=0.9)
    limits = binomtest(int(found.details["count"]), 400).proportion_ci(0.9, "wilson")
    assert (found.n, found.details["rows"], found.interval) == (400, 5_000, "wilson")
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high), rel=1e-12)
    assert near(old, new, tolerance=0.01, sample=400, seed=3, confidence=0.9) == found
    assert near(old, new, tolerance=0.01, sample=400, seed=4, confidence=0.9).value != found.value


def test_what_cannot_be_compared_is_refused():
    good = drawn(7, 10)
    for tolerance, sample in ((-0.1, 10), (float("nan"), 10), (0.1, 0)):
        with pytest.raises(MeasurementError, match="at least 1 row"):
            near(good, good, tolerance=tolerance, sample=sample)
    for bad in (np.nan, np.inf):
        with pytest.raises(MeasurementError, match="finite numbers"):
            Points(good.key, np.full((10, 1), bad))
    for shape in ((9, 1), (10,)):
        with pytest.raises(MeasurementError, match="10 rows"):
            Points(good.key, np.zeros(shape))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_coverage_of_a_sampled_share(share):
    """The sample's interval holds the whole table's share; drawing without repetition makes it conservative."""
    from pytest_leanml.stats.intervals import critical, wilson

    rows, sample, runs = 20_000, 2_000, 2_000
    truth = round(share * rows) / rows
    counts = np.random.default_rng(11).hypergeometric(round(share * rows), rows - round(share * rows), sample, runs)
    low, high = wilson(counts, sample, critical(0.95))
    covered = ((low <= truth + 1e-12) & (truth - 1e-12 <= high)).mean()
    assert covered >= 0.93
