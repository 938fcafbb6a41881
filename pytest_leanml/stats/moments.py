"""The mean of a value per row, and how sure it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import skewed, student, unvaried

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray

NEGLIGIBLE = 1e-9


def effective(weights: FloatArray | None, n: int) -> float:
    """Return Kish's effective sample size (1965, Survey Sampling): n for equal weights, less for others."""
    return float(n) if weights is None else float(weights.sum() ** 2 / (weights @ weights))


def degrees(weights: FloatArray | None, n: int) -> int:
    """Return the degrees of freedom of an interval that rests on ``n`` rows, at least 1."""
    return max(1, int(effective(weights, n)) - 1)


def mean_of(values: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the mean; ``np.average`` where there are weights."""
    return float(values.mean()) if weights is None else float(weights @ values / weights.sum())


def standard_error(values: FloatArray, weights: FloatArray | None = None) -> float | None:
    """Return the standard error of the mean; None for one row, or where nothing varies beyond rounding.

    With weights it is the linearised one of a ratio of two sums (Cochran 1977, Sampling Techniques, 6.3), the root of
    the sum of (w (x - mean))^2 over the sum of w, times the root of m / (m - 1) with Kish's m.
    """
    if len(values) < 2 or float(values.max() - values.min()) <= 1e-12 * float(abs(values).max()):  # noqa: PLR2004
        return None
    if weights is None:
        return float(values.std(ddof=1)) / math.sqrt(len(values))
    rows = effective(weights, len(values))
    pulls = weights * (values - mean_of(values, weights))
    return math.sqrt(float(pulls @ pulls) * rows / max(rows - 1, 1e-9)) / float(weights.sum())


def skewness(values: FloatArray) -> float:
    """Return the third central moment over the cubed standard deviation, of n - 1; the rows vary."""
    away = values - values.mean()
    return float((away**3).mean() / values.std(ddof=1) ** 3)


def mean_estimate(  # noqa: PLR0913 - keyword only
    values: FloatArray,
    confidence: float,
    *,
    bounds: Limits,
    unit: str = "1",
    weights: FloatArray | None = None,
    leaning: bool = False,
) -> Estimate:
    """Return the mean of ``values`` with Student's t interval, cut to ``bounds``.

    Where all rows have the same value, t would give an interval of width zero: bounded values (to a billionth of their
    bounds) get the binomial one, "binomial-bound"; others none at all, since nothing is known of rows that would differ.

    Args:
        values: shape (n,), n >= 1, finite.
        confidence: two-sided level.
        bounds: the lowest and highest value that a row can have; infinite where there is none.
        unit: of the values.
        weights: shape (n,), above 0; None for all the same. The interval is then "weighted-t".
        leaning: rows without weights are so skewed that Hall's correction is due: "hall-t".
    """
    mean, n, width = mean_of(values, weights), len(values), bounds[1] - bounds[0]
    if math.isfinite(width) and (n == 1 or float(values.max() - values.min()) <= NEGLIGIBLE * width):
        low, high = unvaried(mean, int(effective(weights, n)), confidence, bounds)
        return Estimate(mean, n, low, high, "binomial-bound", confidence, unit)
    error = standard_error(values, weights)
    if error is None:
        return Estimate(mean, n, confidence=confidence, unit=unit)
    if leaning and weights is None:
        method, (low, high) = "hall-t", skewed(mean, error, n, skewness(values), confidence)
    else:
        method = "student-t" if weights is None else "weighted-t"
        low, high = student(mean, error, degrees(weights, n) + 1, confidence)
    return Estimate(mean, n, max(low, bounds[0]), min(high, bounds[1]), method, confidence, unit)
