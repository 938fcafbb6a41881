"""Rows whose category the other side never had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.stats.drift_bounds import clopper_pearson, doubt_of
from pytest_leanml.stats.estimate import Estimate, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.stats.columns import Tally


def only_here(columns: Mapping[str, Tally], *, current: bool, confidence: float = 0.95) -> Estimate:
    """Return the largest share, over the columns, of one side's rows whose category the other side lacks.

    The interval is Clopper's and Pearson's of each column, all of them at once by Bonferroni (so that it holds for the
    largest), given the categories of the other side. It is conservative.

    Args:
        columns: name -> both sides' rows in each category; at least one. A missing value is no category.
        current: whether the rows are the current ones (new categories) rather than the reference's (vanished ones).
        confidence: two-sided level of the interval.

    Returns:
        Value in [0, 1]; ``by`` is each column's share; details: categories (of the column with the largest share) and
        columns.

    Raises:
        MeasurementError: the level is out of range.
    """
    sides = {name: _sides(each, current=current) for name, each in columns.items()}
    counts = np.array([here[:-1][there[:-1] == 0].sum() for here, there in sides.values()])
    rows = np.array([here.sum() for here, _ in sides.values()])
    low, high = clopper_pearson(counts, rows, doubt_of(confidence) / (2 * len(counts)))
    found = zip(sides, counts / rows, rows, low, high, strict=True)
    by = {name: Part(float(value), int(n), float(least), float(most)) for name, value, n, least, most in found}
    worst = max(by, key=lambda name: by[name].value)
    here, there = sides[worst]
    categories = float(np.count_nonzero((here[:-1] > 0) & (there[:-1] == 0)))
    details = {"categories": categories, "columns": float(len(by))}
    low_, high_ = float(low.max()), float(high.max())
    return Estimate(by[worst].value, by[worst].n, low_, high_, "clopper-pearson", confidence, by=by, details=details)


def _sides(found: Tally, *, current: bool) -> tuple[np.ndarray, np.ndarray]:
    return (found.current, found.reference) if current else (found.reference, found.current)
