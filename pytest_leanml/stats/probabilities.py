"""Metrics of scores: the area under the ROC curve, log loss and the Brier score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, critical_t, hanley_mcneil, logit_scale
from pytest_leanml.stats.moments import effective, mean_estimate, mean_of, standard_error
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray, IntArray, Sample

EPSILON = float(np.finfo(np.float64).eps)
LONGEST_LOSS = -math.log(EPSILON)
SUM_TOLERANCE = 1e-6


def placements(
    positives: FloatArray, negatives: FloatArray, *, weights: tuple[FloatArray, FloatArray] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return DeLong's structural components, in O((m + n) log(m + n)), each in the order of its input.

    Args:
        positives: shape (m,), scores of the positive rows.
        negatives: shape (n,), scores of the negative rows.
        weights: of the positive and of the negative rows; None for all the same.

    Returns:
        Of each positive the share of negatives below it, and of each negative the share of positives above it, ties
        counting half (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837-845). The mean of either is the area.
    """
    if weights is None:
        return _share_below(positives, np.sort(negatives)), 1 - _share_below(negatives, np.sort(positives))
    return _weight_below(positives, negatives, weights[1]), 1 - _weight_below(negatives, positives, weights[0])


def _share_below(values: FloatArray, ordered: FloatArray) -> FloatArray:
    twice = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return twice / (2 * len(ordered))


def _weight_below(values: FloatArray, others: FloatArray, weights: FloatArray) -> FloatArray:
    order = np.argsort(others, kind="stable")
    ordered, sums = others[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    twice = sum(sums[np.searchsorted(ordered, values, side=side)] for side in _SIDES)
    return np.asarray(twice / (2 * sums[-1]))


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def roc_auc(sample: Sample, confidence: float) -> Estimate:
    """Return the area under the ROC curve; multiclass: the plain mean of each class against the rest.

    DeLong's variance (``details["standard_error"]``), on the logit scale, with Student's t of the rarest class. Without
    scatter to build on (a perfect area, constant scores, a single row of a class) Hanley and McNeil's variance takes
    its place: the interval is then called "hanley-mcneil".

    Raises:
        InconclusiveError: a class has no row.
    """
    scores = scores_of(sample)
    return (
        _binary_area(sample, scores, confidence)
        if sample.task is Task.BINARY
        else _macro_area(sample, scores, confidence)
    )


def _binary_area(sample: Sample, scores: FloatArray, confidence: float) -> Estimate:
    truth = sample.truth
    # Sorted needles make both searches walk memory in order.
    (positives, ours), (negatives, theirs) = (_ordered(scores, sample.weights, mask) for mask in (truth, ~truth))
    _demand_both(len(positives), len(negatives))
    above, below = placements(positives, negatives, weights=_both(ours, theirs))
    area = mean_of(above, ours)
    sizes = _whole(ours, len(positives)), _whole(theirs, len(negatives))
    fallback = hanley_mcneil(area, sizes[0], sizes[1], critical(confidence))
    variance = _variance_of_mean(above, ours) + _variance_of_mean(below, theirs)
    return _area_estimate(
        area, variance=variance, fallback=fallback, rarest=min(sizes), n=len(sample), confidence=confidence
    )


def _both(ours: FloatArray | None, theirs: FloatArray | None) -> tuple[FloatArray, FloatArray] | None:
    return None if ours is None or theirs is None else (ours, theirs)


def _ordered(
    scores: FloatArray, weights: FloatArray | None, mask: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray | None]:
    """Return the scores of the rows of ``mask`` in rising order, and their weights."""
    if weights is None:
        return np.sort(scores[mask]), None
    order = np.argsort(scores[mask], kind="stable")
    return scores[mask][order], weights[mask][order]


def _variance_of_mean(values: FloatArray, weights: FloatArray | None) -> float:
    if len(values) < 2:  # noqa: PLR2004 - one row has no scatter
        return math.nan
    return (standard_error(values, weights) or 0.0) ** 2


def _area_estimate(  # noqa: PLR0913 - keyword only
    area: float, *, variance: float, fallback: Limits, rarest: int, n: int, confidence: float
) -> Estimate:
    if not variance > EPSILON**2 or not 0 < area < 1:
        return Estimate(area, n, fallback[0], fallback[1], "hanley-mcneil", confidence)
    error = math.sqrt(variance)
    # The scatter is known no better than that of the rarest class: t, since z covers 0.89 with four positives.
    low, high = logit_scale(area, error, critical_t(confidence, rarest - 1))
    return Estimate(area, n, low, high, "delong-logit", confidence, details={"standard_error": error})


def _macro_area(sample: Sample, scores: FloatArray, confidence: float) -> Estimate:
    """One against the rest: each row's influence on every area, summed, gives the variance of their mean."""
    codes = codes_of(sample)
    _demand_each(sample, np.bincount(codes, minlength=len(sample.classes)))
    influence, areas, limits, rarest = np.zeros(len(codes)), [], [], len(codes)
    for code in range(len(sample.classes)):
        area, pull, sizes = _against_the_rest(codes == code, scores[:, code], sample.weights)
        areas.append(area)
        influence += pull
        limits.append(hanley_mcneil(area, *sizes, critical(confidence)))
        rarest = min(rarest, sizes[0])
    known = effective(sample.weights, len(codes))
    variance = float(influence @ influence) / len(areas) ** 2 * known / (known - 1) if rarest > 1 else math.nan
    # The mean of the limits: as if all the areas erred together.
    fallback = (float(np.mean([low for low, _ in limits])), float(np.mean([high for _, high in limits])))
    return _area_estimate(
        float(np.mean(areas)), variance=variance, fallback=fallback, rarest=rarest, n=len(codes), confidence=confidence
    )


def _against_the_rest(
    mine: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray | None
) -> tuple[float, FloatArray, tuple[int, int]]:
    """Return the area of a class, what each row adds to its error, and the effective rows of the class and the rest."""
    ours, theirs = (None if weights is None else weights[mask] for mask in (mine, ~mine))
    above, below = placements(scores[mine], scores[~mine], weights=_both(ours, theirs))
    area, pull = mean_of(above, ours), np.zeros(len(mine))
    for mask, side, each in ((mine, above, ours), (~mine, below, theirs)):
        pull[mask] = (side - area) / len(side) if each is None else each * (side - area) / each.sum()
    return area, pull, (_whole(ours, len(above)), _whole(theirs, len(below)))


def _whole(weights: FloatArray | None, n: int) -> int:
    return max(1, int(effective(weights, n)))


def log_loss_rows(sample: Sample) -> FloatArray:
    """Return minus the log of the probability given to each row's true class; shape (n,), in nats.

    Probabilities are clipped to [eps, 1 - eps] of float64, as scikit-learn does, so that no row costs more than 36.04.
    """
    chances = probabilities_of(sample)
    if sample.task is Task.BINARY:
        given = np.where(sample.truth, chances, 1 - chances)
    else:
        given = chances[np.arange(len(sample)), codes_of(sample)]
    return np.asarray(-np.log(np.clip(given, EPSILON, 1 - EPSILON)))


def brier_rows(sample: Sample) -> FloatArray:
    """Return each row's squared distance from the truth; shape (n,), within [0, 1], multiclass [0, 2].

    Brier's own sum over the classes for a multiclass task, half of it for a binary one, as scikit-learn has it.
    """
    chances = probabilities_of(sample)
    if sample.task is Task.BINARY:
        return np.asarray((chances - sample.truth) ** 2)
    wanted = np.zeros_like(chances)
    wanted[np.arange(len(sample)), codes_of(sample)] = 1.0
    return np.asarray(((chances - wanted) ** 2).sum(axis=1))


def log_loss(sample: Sample, confidence: float) -> Estimate:
    """Return the mean of ``log_loss_rows``, with Hall's interval: few rows cost much, and most cost little."""
    rows, bounds = log_loss_rows(sample), (0.0, LONGEST_LOSS)
    return mean_estimate(rows, confidence, bounds=bounds, unit="nat", weights=sample.weights, leaning=True)


def brier_score(sample: Sample, confidence: float) -> Estimate:
    """Return the mean of ``brier_rows``, with Student's t interval."""
    top = 1.0 if sample.task is Task.BINARY else 2.0
    return mean_estimate(brier_rows(sample), confidence, bounds=(0.0, top), weights=sample.weights)


def prior_sample(sample: Sample) -> Sample:
    """Return the same rows with the classes' shares among them as everybody's scores: the best blind ones."""
    if sample.task is Task.BINARY:
        scores = np.full(len(sample), mean_of(sample.truth.astype(np.float64), sample.weights))
    else:
        sums = np.bincount(codes_of(sample), weights=sample.weights, minlength=len(sample.classes))
        scores = np.tile(sums / sums.sum(), (len(sample), 1))
    return replace(sample, y_pred=None, scores=scores)


def scores_of(sample: Sample) -> FloatArray:
    """Return the scores.

    Raises:
        MeasurementError: there are none.
    """
    if sample.scores is None:
        raise MeasurementError(
            "no scores", "a score for each row", "use a model with predict_proba, or give the predictions' score column"
        )
    return sample.scores


def probabilities_of(sample: Sample) -> FloatArray:
    """Return the scores where they are probabilities.

    Raises:
        MeasurementError: a score is outside [0, 1], or a row does not sum to 1.
    """
    scores = scores_of(sample)
    low, high = float(scores.min()), float(scores.max())
    if low < 0 or high > 1:
        raise MeasurementError(f"scores from {low:.6g} to {high:.6g}", "probabilities within [0, 1]")
    if scores.ndim == 2 and (off := float(np.abs(scores.sum(axis=1) - 1).max())) > SUM_TOLERANCE:  # noqa: PLR2004
        raise MeasurementError(f"rows of scores that miss the sum 1 by up to {off:.3g}", "probabilities that sum to 1")
    return scores


def codes_of(sample: Sample) -> IntArray:
    """Return the position of each row's true class."""
    if sample.true_codes is None:
        raise MeasurementError("a regression sample", "a classification sample")
    return sample.true_codes


def _demand_both(positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise InconclusiveError(
            f"ROC AUC is undefined: {positives} positive and {negatives} negative rows",
            "at least one row of each class",
        )


def _demand_each(sample: Sample, sizes: IntArray) -> None:
    if not sizes.all():
        label = sample.classes[int(np.argmin(sizes))]
        raise InconclusiveError(
            f"ROC AUC is undefined: the class {label!r} has no row", "at least one row of each class"
        )
