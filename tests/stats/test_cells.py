"""What cells say of two samples, against a look at every value and NumPy on the samples themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.cells import Cells, contending, quantile_ranks, quantiles, unsettled_ranks, widest_gap

VALUES = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=40)
EDGES = st.lists(st.integers(-20, 20), max_size=8, unique=True).map(sorted)
TENTHS = np.arange(11) / 10


def distance(old, new):
    """Find the widest gap by looking at every value."""
    return max(abs(np.mean(np.array(old) <= at) - np.mean(np.array(new) <= at)) for at in [*old, *new])


def cells_of(old, new, edges) -> Cells:
    """Cut two samples at edges, in the simplest way there is."""
    parts = []
    for low, high in zip([-np.inf, *edges], [*edges, np.inf], strict=True):
        sides = [np.array([value for value in side if low < value <= high]) for side in (old, new)]
        if any(len(side) for side in sides):
            ends = [(side.min(), side.max()) if len(side) else (np.nan, np.nan) for side in sides]
            parts.append(([len(side) for side in sides], *zip(*ends, strict=True)))
    return Cells(*(np.array(part, dtype=float).T for part in zip(*parts, strict=True)))


@given(VALUES, VALUES, EDGES)
def test_the_distance_lies_within_its_bounds(old, new, edges):
    value, most = widest_gap(cells_of(old, new, edges))
    assert value - 1e-12 <= distance(old, new) <= most + 1e-12


@given(VALUES, VALUES)
def test_of_single_values_the_distance_is_exact_and_nothing_contends(old, new):
    cells = cells_of(old, new, list(range(-21, 21)))
    value, most = widest_gap(cells)
    assert value == most == pytest.approx(distance(old, new), abs=1e-12)
    assert not contending(cells).any()
    assert not cells.open.any()


@given(VALUES, VALUES, EDGES)
def test_opening_every_contender_and_every_unsettled_rank_makes_both_exact(old, new, edges):
    cells = cells_of(old, new, edges)
    ranks = np.concatenate(quantile_ranks(len(old), TENTHS)[:2])
    gone = (contending(cells) | unsettled_ranks(cells, ranks)) & cells.open
    if gone.any():
        inside = [
            [value for value in side if ((cells.low[gone] <= value) & (value <= cells.high[gone])).any()]
            for side in (old, new)
        ]
        cells = cells.replaced(gone, cells_of(*inside, list(range(-21, 21))))
    assert (np.diff(cells.low) > 0).all()
    assert widest_gap(cells)[0] == pytest.approx(distance(old, new), abs=1e-12)
    np.testing.assert_array_equal(quantiles(cells, TENTHS), np.quantile(old, TENTHS))


def test_a_quantile_within_a_wide_cell_is_not_guessed():
    cells = cells_of([1.0, 2.0, 3.0, 4.0], [1.0], [])
    assert unsettled_ranks(cells, [1]).tolist() == [True]
    assert unsettled_ranks(cells, [0, 3]).tolist() == [False]
    with pytest.raises(MeasurementError, match="too wide"):
        quantiles(cells, np.array([0.5]))


def test_a_side_without_rows_has_no_distribution():
    with pytest.raises(MeasurementError, match="without a value"):
        widest_gap(cells_of([1.0], [], []))
