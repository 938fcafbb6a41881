"""Whether two sides are alike, row by row: worked by hand, against NumPy's isclose, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.parity import differing, parity


def of(*values, dtype=None):
    return np.array(values, dtype=dtype)


def test_worked_by_hand():
    offline = {"x": of(1.0, 2.0, 3.0, np.nan), "city": of("a", "b", None, "d", dtype=object)}
    served = {"x": of(1.0, 2.5, 3.0, np.nan), "city": of("a", "b", None, "e", dtype=object)}
    found = parity(offline, served, tolerance=1e-6, rows=4)
    assert (found.value, found.low, found.high, found.interval, found.n) == (0.5, 0.5, 0.5, "exact", 4)
    assert {name: part.value for name, part in found.by.items()} == {"x": 0.25, "city": 0.25}
    assert found.details == {"count": 2, "max_difference": 0.5}


def test_a_sample_has_wilsons_interval():
    offline, served = np.zeros(200), np.r_[np.ones(3), np.zeros(197)]
    found = parity({"x": offline}, {"x": served}, tolerance=0, rows=5000)
    assert (found.low, found.high) == pytest.approx(proportion_confint(3, 200, method="wilson"), abs=1e-12)
    assert (found.value, found.interval, dict(found.by)) == (0.015, "wilson", {})
    found = parity({"x": offline}, {"x": offline}, tolerance=0, rows=5000)
    assert found.high == pytest.approx(proportion_confint(0, 200, method="wilson")[1], abs=1e-12)


@pytest.mark.parametrize(("share", "n"), [(0.01, 200), (0.05, 200), (0.3, 100), (0.5, 50)])
def test_coverage(share, n):
    draw = np.random.default_rng(11)
    counts = draw.binomial(n, share, 2000)
    limits = {}
    for count in np.unique(counts):
        offline = np.zeros(n)
        found = parity({"x": offline}, {"x": (np.arange(n) < count) * 1.0}, tolerance=0, rows=10**6)
        limits[count] = found.low <= share <= found.high
    assert np.mean([limits[count] for count in counts]) >= 0.93


SIDES = [
    # offline, served, tolerance, which differ
    ([1.0, 1.0], [1.0, 1.0 + 5e-7], 1e-6, [0, 0]),
    ([1.0, 1.0], [1.0, 1.0 + 5e-6], 1e-6, [0, 1]),
    ([1e9, 1e9], [1e9 + 500, 1e9 + 5000], 1e-6, [0, 1]),
    # A column of tiny numbers has a tiny tolerance.
    ([1e-9, 2e-9, 3e-9], [1e-9, 2e-9, 3.1e-9], 1e-6, [0, 0, 1]),
    ([5e-8, 5e-8], [0.0, 0.0], 1e-6, [1, 1]),
    # Rounding about 0 in a column of larger ones is none; one that is 0 throughout has no scale.
    ([0.0, 3.0], [1e-16, 3.0], 1e-6, [0, 0]),
    ([0.0, 0.0], [1e-16, 0.0], 1e-6, [1, 0]),
    # One outlier does not make everything equal.
    ([1e15, 1.0, 2.0, 3.0], [1e15, 1.1, 2.0, 3.0], 1e-6, [0, 1, 0, 0]),
    ([np.nan, 1.0, np.nan], [np.nan, np.nan, 1.0], 1.0, [0, 1, 1]),
    ([np.inf, -np.inf, np.inf, 1.0], [np.inf, np.inf, 1e308, np.inf], 1.0, [0, 1, 1, 1]),
    ([1.7e308], [-1.7e308], 1e-6, [1]),
]


@pytest.mark.parametrize(("offline", "served", "tolerance", "expected"), SIDES)
def test_numbers(offline, served, tolerance, expected):
    assert differing(of(*offline), of(*served), tolerance).tolist() == [bool(each) for each in expected]
    # The same as objects, which is how a column of mixed types arrives.
    assert differing(of(*offline, dtype=object), of(*served), tolerance).tolist() == [bool(each) for each in expected]


def test_whole_numbers_are_equal_or_differ():
    one, other = of(12_345_678, 2**62), of(12_345_679, 2**62 + 1)
    assert differing(one, other, 0.1).tolist() == [True, True]
    assert differing(one, one.copy(), 0.0).tolist() == [False, False]
    assert differing(of(12_345_678, 3), of(12_345_679.0, 3.0), 0.1).tolist() == [True, False]
    assert differing(of(True, False), of(1, 1), 0.1).tolist() == [False, True]


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("a", "a", False),
        ("a", "A", True),
        ("1", 1, True),
        (1, "1", True),
        ("", None, True),
        (None, "", True),
        (None, None, False),
        (None, float("nan"), False),
        (None, 0, True),
        (np.float64(1), 1, False),
        (np.int64(3), 3.0, False),
        (True, "True", True),
        (True, 1, False),
        (10**18, 10**18 + 1, True),
        (3, 3.0000001, True),
        (3.0, 3.0000001, False),
        (3.0, True, True),
        ((1, 2), (1, 2), False),
        ((1, 2), [1, 2], True),
        (b"a", "a", True),
    ],
)
def test_objects(one, other, differs):
    sides = [np.empty(1, dtype=object), np.empty(1, dtype=object)]
    sides[0][0], sides[1][0] = one, other
    assert differing(sides[0], sides[1], 1e-6).tolist() == [differs]


@given(st.lists(st.tuples(st.floats(0.5, 2e3), st.floats(-1e-2, 1e-2)), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_against_numpys_isclose(pairs):
    offline = np.array([one for one, _ in pairs])
    served = offline + np.array([gap for _, gap in pairs])
    scale = np.median(np.abs(offline))
    limit = 1e-3 * np.maximum(scale, offline)
    clear = np.abs(np.abs(served - offline) - limit) > 1e-9
    expected = ~(
        np.isclose(served, offline, rtol=1e-3, atol=0) | np.isclose(served, offline, rtol=0, atol=1e-3 * scale)
    )
    assert (differing(offline, served, 1e-3) == expected)[clear].all()


def test_the_largest_difference_is_of_numbers():
    offline = {"x": of(1.0, np.nan, np.inf), "name": of("a", "b", "c", dtype=object)}
    served = {"x": of(3.5, 1.0, np.inf), "name": of("a", "b", "d", dtype=object)}
    assert parity(offline, served, tolerance=0, rows=3).details["max_difference"] == 2.5
    nothing = {"x": of(np.nan)}
    assert parity(nothing, nothing, tolerance=0, rows=1).details["max_difference"] == 0


@pytest.mark.parametrize(("offline", "served"), [({}, {}), ({"x": of()}, {"x": of()})])
def test_nothing_to_compare(offline, served):
    with pytest.raises(InconclusiveError, match="nothing to compare"):
        parity(offline, served, tolerance=0, rows=1)


@pytest.mark.parametrize(
    ("served", "tolerance"),
    [({"y": of(1.0)}, 0), ({"x": of(1.0), "y": of(1.0)}, 0), ({"x": of(1.0)}, -1), ({"x": of(1.0)}, np.nan),
     ({"x": of(1.0)}, np.inf)],
)  # fmt: skip
def test_sides_that_cannot_be_compared(served, tolerance):
    with pytest.raises(MeasurementError, match="tolerance"):
        parity({"x": of(1.0)}, served, tolerance=tolerance, rows=1)


@pytest.mark.parametrize("served", [of(1.0), of(1.0, 2.0, 3.0), of([1.0, 2.0])])
def test_sides_of_other_shapes(served):
    with pytest.raises(MeasurementError, match="one value for each row"):
        differing(of(1.0, 2.0), served, 0)
