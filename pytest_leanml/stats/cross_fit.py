"""The area under the ROC curve over the folds of a cross-validation, with an interval that knows of the folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, hanley_mcneil, logit_scale
from pytest_leanml.stats.probabilities import placements

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray


def fold_auc(truth: BoolArray, scores: FloatArray, folds: IntArray, *, confidence: float = 0.95) -> Estimate:
    """Return the mean area over the folds: that of models which never saw the rows that they score.

    The interval is for the mean area of these models on new rows; what another draw of the training rows would give is
    not in it. In each fold the area errs by DeLong's standard error. The folds' errors are not independent, since the
    rows of one have trained the models of all others: taken for independent (LeDell, Petersen and van der Laan 2015,
    Electronic Journal of Statistics 9, 1583-1607) they cover 85 % where nothing can be told apart. So the standard error
    of the mean is taken for the mean of the folds' own, which it cannot exceed however they depend on each other. It is
    conservative. On the logit scale; without scatter (a perfect area) Hanley's and McNeil's limits of one fold take its
    place.

    Args:
        truth: shape (n,), whether a row is positive.
        scores: shape (n,), each from the model of the other folds.
        folds: shape (n,), the fold of each row.
        confidence: two-sided level of the interval.

    Returns:
        Value in [0, 1]; details: standard_error, folds.

    Raises:
        InconclusiveError: a fold has fewer than two rows of either class.
        MeasurementError: the level is out of range.
    """
    found = [_area(truth[folds == fold], scores[folds == fold]) for fold in np.unique(folds)]
    areas, variances = (np.array(each) for each in zip(*found, strict=True))
    area, error = float(areas.mean()), float(np.sqrt(variances).mean())
    z, n = critical(confidence), len(truth)
    details = {"standard_error": error, "folds": float(len(areas))}
    if 0 < area < 1 and error > 0:
        low, high = logit_scale(area, error, z)
        return Estimate(area, n, low, high, "delong-logit over folds", confidence, details=details)
    sizes = [max(1, int(side.sum()) // len(areas)) for side in (truth, ~truth)]
    low, high = hanley_mcneil(area, sizes[0], sizes[1], z)
    return Estimate(area, n, low, high, "hanley-mcneil", confidence, details=details)


def _area(truth: BoolArray, scores: FloatArray) -> tuple[float, float]:
    """Return the area of one fold and DeLong's variance."""
    if min(int(truth.sum()), int((~truth).sum())) < 2:  # noqa: PLR2004 - a variance needs two
        raise InconclusiveError("a fold with fewer than two rows of a class", "two of either class in each fold")
    above, below = placements(np.sort(scores[truth]), np.sort(scores[~truth]))
    return float(above.mean()), float(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
