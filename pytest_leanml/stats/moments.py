"""The mean of a value per row, and how sure it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import student, unvaried

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray

NEGLIGIBLE = 1e-9


def standard_error(values: FloatArray) -> float | None:
    """Return the standard error of the mean; None for one row, or where nothing varies beyond rounding."""
    if len(values) < 2 or float(values.max() - values.min()) <= 1e-12 * float(abs(values).max()):  # noqa: PLR2004
        return None
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def mean_estimate(values: FloatArray, confidence: float, *, bounds: Limits, unit: str = "1") -> Estimate:
    """Return the mean of ``values`` with Student's t interval, cut to ``bounds``.

    Where all rows have the same value, t would give an interval of width zero: bounded values (to a billionth of their
    bounds) get the binomial one, "binomial-bound"; others none at all, since nothing is known of rows that would differ.

    Args:
        values: shape (n,), n >= 1, finite.
        confidence: two-sided level.
        bounds: the lowest and highest value that a row can have; infinite where there is none.
        unit: of the values.
    """
    mean, n, width = float(values.mean()), len(values), bounds[1] - bounds[0]
    if math.isfinite(width) and (n == 1 or float(values.max() - values.min()) <= NEGLIGIBLE * width):
        low, high = unvaried(mean, n, confidence, bounds)
        return Estimate(mean, n, low, high, "binomial-bound", confidence, unit)
    error = standard_error(values)
    if error is None:
        return Estimate(mean, n, confidence=confidence, unit=unit)
    low, high = student(mean, error, n, confidence)
    return Estimate(mean, n, max(low, bounds[0]), min(high, bounds[1]), "student-t", confidence, unit)
