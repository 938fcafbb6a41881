"""Calibration within groups: whether a score of 0.7 means the same share of positives in every group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.fairness import demand_groups
from pytest_leanml.stats.group_rates import count_groups, refuse_small
from pytest_leanml.stats.intervals import critical
from pytest_leanml.stats.samples import as_floats

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_leanml.stats.group_rates import Grouping
    from pytest_leanml.stats.intervals import LimitArrays
    from pytest_leanml.stats.samples import BoolArray, FloatArray

NAME = "calibration_within_groups"
BINS = 10
# The mean of |Z| for a standard normal Z: by so much of its standard error a bin that is calibrated looks off.
ABSOLUTE = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Binned:
    """Sums over the rows of each group and bin of scores; arrays of shape (..., k, b).

    Attributes:
        mass: of the weights, the rows themselves without weights.
        squares: of the squared weights.
        positives: weights of the truly positive rows.
        scores: weights times scores.
    """

    mass: FloatArray
    squares: FloatArray
    positives: FloatArray
    scores: FloatArray


def measure_calibration(  # noqa: PLR0913 - the arrays of one question
    *,
    scores: npt.ArrayLike,
    y_true: BoolArray,
    groups: Grouping,
    weights: npt.ArrayLike | None = None,
    bins: int = BINS,
    confidence: float = 0.95,
    min_group: int = 30,
) -> Estimate:
    """Measure calibration within groups: the largest expected calibration error of any group.

    The error of a group is the mean over its rows of ``|share of positives - mean score|`` of the row's bin, over bins
    of equal width (Kleinberg, Mullainathan and Raghavan 2017, condition A; Naeini, Cooper and Hauskrecht 2015).

    Args:
        scores: shape (n,), probabilities of being positive.
        y_true: shape (n,), rows truly positive.
        groups: of the n rows.
        weights: shape (n,), what each row counts; None for all the same.
        bins: how many between 0 and 1; more of them see finer faults, and more noise.
        confidence: two-sided level of the interval, which holds for all the groups together.
        min_group: a group of fewer rows is not judged.

    Raises:
        InconclusiveError: one group only, or too few rows in a group.
        MeasurementError: scores outside of 0 to 1, unequal lengths, less than one bin.
    """
    chances = _chances(scores, len(groups.codes), bins)
    counts = count_groups(y_true, None, groups, weights)
    demand_groups(NAME, counts.names)
    rows = counts.rows.sum(axis=(1, 2))
    refuse_small(counts.names, rows, rows.astype(np.float64), "rows", min_group)
    mass = counts.mass.sum(axis=(1, 2))
    refuse_small(counts.names, rows, mass**2 / counts.squares.sum(axis=(1, 2)), "rows", min_group)
    kept = [groups.names.index(name) for name in counts.names]
    binned = _binned(chances, np.asarray(y_true), groups, weights, bins)
    binned = Binned(*(each[kept] for each in (binned.mass, binned.squares, binned.positives, binned.scores)))
    value, low, high = worst_error(binned, confidence)
    lows, highs = error_limits(binned, critical(confidence))
    columns = zip(errors(binned).tolist(), rows.tolist(), lows.tolist(), highs.tolist(), strict=True)
    by = {name: Part(*column) for name, column in zip(counts.names, columns, strict=True)}
    n, details = int(rows.sum()), {"bins": float(bins)}
    return Estimate(float(value), n, float(low), float(high), "ece-normal", confidence, by=by, details=details)


def _chances(scores: npt.ArrayLike, rows: int, bins: int) -> FloatArray:
    found = as_floats(scores, "scores")
    if found.shape != (rows,) or bins < 1:
        raise MeasurementError(f"scores of the shape {found.shape}, {bins} bins", f"{rows} scores, at least one bin")
    outside = int(((found < 0) | (found > 1)).sum())
    if outside:
        raise MeasurementError(
            f"{outside} of {rows} scores lie outside of 0 to 1",
            "probabilities",
            "calibration is about probabilities: turn the scores into some, or leave the check out",
        )
    return found


def _binned(
    scores: FloatArray, y_true: BoolArray, groups: Grouping, weights: npt.ArrayLike | None, bins: int
) -> Binned:
    k = len(groups.names)
    cell = groups.codes.astype(np.intp) * bins + np.minimum((scores * bins).astype(np.intp), bins - 1)

    def total(of: FloatArray | None) -> FloatArray:
        return np.bincount(cell, of, minlength=k * bins).reshape(k, bins).astype(np.float64)

    if weights is None:
        rows = total(None)
        return Binned(rows, rows, total(y_true.astype(np.float64)), total(scores))
    shares = as_floats(weights, "weights")
    shares = shares / shares.max()
    return Binned(total(shares), total(shares**2), total(shares * y_true), total(shares * scores))


def errors(binned: Binned) -> FloatArray:
    """Return the expected calibration error of each group; shape (..., k)."""
    return np.asarray(np.abs(binned.positives - binned.scores).sum(axis=-1) / binned.mass.sum(axis=-1))


def error_limits(binned: Binned, z: float) -> LimitArrays:
    """Return limits of each group's error, given its scores; shapes (..., k).

    With s_b the standard error that bin b adds, the error has at most the standard error sqrt(sum s_b^2), since an
    absolute value varies no more than what it is taken of. It is never too small on average, and too large by at most
    sqrt(2 / pi) sum s_b, which is reached where every bin is calibrated: so the lower limit gives that way as well.
    The s_b use (x + z^2 / 2) / (n + z^2) for the share of positives (Agresti and Coull 1998), so that a bin in which
    all rows are alike is not taken for certain.
    """
    mass, whole = binned.mass, binned.mass.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        rows = np.nan_to_num(mass**2 / binned.squares)
        hits = np.nan_to_num(binned.positives / mass) * rows
    share = (hits + z * z / 2) / (rows + z * z)
    each = np.sqrt(binned.squares * share * (1 - share)) / whole
    value, error = errors(binned), np.sqrt((each**2).sum(axis=-1))
    low = value - ABSOLUTE * each.sum(axis=-1) - z * error
    return np.maximum(low, 0.0), np.minimum(value + z * error, 1.0)


def worst_error(binned: Binned, confidence: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the largest error of any group with its limits; groups are independent, so each holds with a k-th root."""
    groups = binned.mass.shape[-2]
    lows, highs = error_limits(binned, critical(confidence ** (1 / groups)))
    return errors(binned).max(axis=-1), lows.max(axis=-1), highs.max(axis=-1)
