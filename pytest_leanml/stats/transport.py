"""Wasserstein's distance: how far values have to be moved, in standard deviations of the reference.

It is the area between both distribution functions (Vallender 1974, Theory of Probability and its Applications 18,
784-786), so that steps of the two functions are all it needs: those of sorted rows, which are exact, or those at the
edges of bins, between which the area is known within limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.columns import Side, numbers
from pytest_leanml.stats.drift_bounds import doubt_of

if TYPE_CHECKING:
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Both distribution functions over consecutive stretches of the axis.

    Attributes:
        widths: shape (k,), of each stretch.
        old: shape (2, k), the reference's function at the left and at the right end of each stretch.
        new: shape (2, k), that of the current rows.
        scales: standard deviations of the reference and of the current rows.
    """

    widths: FloatArray
    old: FloatArray
    new: FloatArray
    scales: tuple[float, float]


def wasserstein(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Compare two samples of numbers by Wasserstein's first distance over the reference's standard deviation.

    That is ``scipy.stats.wasserstein_distance(reference, current) / numpy.std(reference)``. The unit is the standard
    deviation of the reference rows as they are; no error of it is in the interval.

    The interval, "gaussian concentration", is conservative. The distance is off by at most the area D under the
    absolute difference of both samples' errors. For many rows these errors are a Gaussian process: D's mean is
    sqrt(2 / pi) times the area under their standard deviation, and D exceeds it by t with a probability of at most
    exp(-t^2 / (2 s^2)), s^2 being both variances over their rows (Borell 1975; Ledoux 2001, The Concentration of
    Measure Phenomenon, theorem 7.1; a function of slope 1 varies no more than its argument).

    Missing values are treated as ``drift.ks`` does, and the p value is its own too: it tests whether anything has
    moved, and is valid whatever the distance.

    Args:
        reference: shape (n,), numbers, booleans or times.
        current: shape (m,).
        confidence: two-sided level of the interval.

    Returns:
        value >= 0, in standard deviations; details: distance, scale (the standard deviation), p_value, reference_rows,
        current_rows (with a value), reference_missing, current_missing (shares).

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values; the reference is constant and the current
            rows are not the same.
        MeasurementError: infinity, values that are no numbers, or numbers too large to be squared.
    """
    return wasserstein_sides(numbers(reference, "reference"), numbers(current, "current"), confidence=confidence)


def wasserstein_sides(old: Side[FloatArray], new: Side[FloatArray], *, confidence: float = 0.95) -> Estimate:
    """Return what ``wasserstein`` does, of sides that are sorted already."""
    points = np.sort(np.concatenate([old.present, new.present]), kind="stable")
    at = points[:-1]
    one = np.searchsorted(old.present, at, side="right") / old.filled
    other = np.searchsorted(new.present, at, side="right") / new.filled
    with np.errstate(over="ignore", invalid="ignore"):
        widths = np.diff(points)
        scales = (_scale(old.present), _scale(new.present))
    if not (np.isfinite(widths).all() and all(map(math.isfinite, scales))):
        raise MeasurementError("numbers too large to be squared", "numbers below 1e150", "compare it by ks")
    steps = Steps(widths, np.stack([one, one]), np.stack([other, other]), scales)
    return wasserstein_steps(steps, old, new, confidence=confidence)


def _scale(present: FloatArray) -> float:
    # The mean of equal numbers may differ from them by rounding, and they from it.
    return 0.0 if present[0] == present[-1] else float(present.std())


def wasserstein_counts(
    edges: FloatArray,
    old: Side[FloatArray],
    new: Side[FloatArray],
    *,
    scales: tuple[float, float],
    confidence: float = 0.95,
) -> Estimate:
    """Return ``wasserstein`` of rows that were counted in bins, wherever they are; all of them lie within the edges.

    Within a bin either function may rise anywhere. The value takes them for straight lines' ends; the interval covers
    all that they can be, and ``details["bin_error"]`` is how far the exact value may be from the one told.

    Args:
        edges: shape (k + 1,), rising; the bins are closed on the right.
        old: the reference's rows in each bin, shape (k,), as ``present``.
        new: the same of the current rows.
        scales: standard deviation of either side, computed from the rows.
        confidence: two-sided level of the interval.

    Raises:
        InconclusiveError: as ``wasserstein``.
    """
    ends = [np.concatenate([[0.0], np.cumsum(side.present)]) / side.filled for side in (old, new)]
    one, other = (np.stack([end[:-1], end[1:]]) for end in ends)
    return wasserstein_steps(Steps(np.diff(edges), one, other, scales), old, new, confidence=confidence)


def wasserstein_steps(steps: Steps, old: Side[Any], new: Side[Any], *, confidence: float = 0.95) -> Estimate:
    """Return what ``wasserstein`` says of two distribution functions.

    Args:
        steps: the functions.
        old: how many rows of the reference have a value; what is present is not looked at.
        new: the same of the current rows.
        confidence: two-sided level of the interval.
    """
    from pytest_leanml.stats.drift import ks_of

    apart = np.abs(steps.old - steps.new)
    tested = ks_of(float(apart.max(initial=0.0)), old, new, confidence=confidence)
    least, value, most = (float(each @ steps.widths) for each in (_least(steps), apart.mean(axis=0), _most(steps)))
    if not steps.scales[0]:
        return _of_a_constant(most, tested)
    gone, events = abs(old.share - new.share), 2 if old.missing or new.missing else 1
    doubt = doubt_of(confidence) / events
    radius = _radius(steps, (old.filled, new.filled), doubt)
    spread = 1 / (old.filled + old.missing) + 1 / (new.filled + new.missing)
    # Hoeffding 1963 for the change of the missing share, which has no error where nothing is missing.
    slack = math.sqrt(math.log(2 / doubt) * spread / 2) if events > 1 else 0.0
    scale = float(steps.scales[0])
    return replace(
        tested,
        value=max(value / scale, gone),
        low=max(0.0, (least - radius) / scale, gone - slack),
        high=max((most + radius) / scale, gone + slack),
        interval="gaussian concentration",
        details={
            **tested.details,
            "distance": value / scale,
            "scale": scale,
            **({"bin_error": max(most - value, value - least) / scale} if most > least else {}),
        },
    )


def _least(steps: Steps) -> FloatArray:
    """Return the least difference of both functions that each stretch allows; they rise."""
    return np.asarray(np.maximum(0.0, np.maximum(steps.old[0] - steps.new[1], steps.new[0] - steps.old[1])))


def _most(steps: Steps) -> FloatArray:
    return np.asarray(np.maximum(steps.old[1] - steps.new[0], steps.new[1] - steps.old[0]))


def _of_a_constant(most: float, tested: Estimate) -> Estimate:
    """Nothing can be told in standard deviations of a constant, but that nothing moved."""
    if most or tested.value:
        raise InconclusiveError(
            "Wasserstein's distance from a constant, which has no standard deviation",
            "a reference that varies",
            "compare it by ks, or leave the column out",
        )
    return replace(tested, value=0.0, low=0.0, high=None, interval="gaussian concentration")


def _radius(steps: Steps, rows: tuple[int, int], doubt: float) -> float:
    variances = (_variance(side) / n for side, n in zip((steps.old, steps.new), rows, strict=True))
    area = float(np.sqrt(np.sum([*variances], axis=0)) @ steps.widths)
    slope = math.sqrt(sum(scale**2 / n for scale, n in zip(steps.scales, rows, strict=True)))
    return math.sqrt(2 / math.pi) * area + math.sqrt(-2 * math.log(doubt)) * slope


def _variance(side: FloatArray) -> FloatArray:
    """Return the largest F (1 - F) on each stretch: that of the value nearest to one half."""
    nearest = np.clip(0.5, side[0], side[1])
    return np.asarray(nearest * (1 - nearest))
