"""Metrics of scores: the area under the ROC curve, log loss and the Brier score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, critical_t, hanley_mcneil, logit_scale
from pytest_leanml.stats.moments import mean_estimate
from pytest_leanml.stats.samples import FloatArray, IntArray, Sample
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import Limits

EPSILON = float(np.finfo(np.float64).eps)
LONGEST_LOSS = -math.log(EPSILON)
SUM_TOLERANCE = 1e-6


def placements(positives: FloatArray, negatives: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return DeLong's structural components, in O((m + n) log(m + n)), each in the order of its input.

    Args:
        positives: shape (m,), scores of the positive rows.
        negatives: shape (n,), scores of the negative rows.

    Returns:
        Of each positive the share of negatives below it, and of each negative the share of positives above it, ties
        counting half (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837-845). The mean of either is the area.
    """
    return _share_below(positives, np.sort(negatives)), 1 - _share_below(negatives, np.sort(positives))


def _share_below(values: FloatArray, ordered: FloatArray) -> FloatArray:
    twice = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return twice / (2 * len(ordered))


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
    positives, negatives = np.sort(scores[truth]), np.sort(scores[~truth])
    _demand_both(len(positives), len(negatives))
    above, below = placements(positives, negatives)
    area = float(above.mean())
    variance = _variance_of_mean(above) + _variance_of_mean(below)
    fallback = hanley_mcneil(area, len(positives), len(negatives), critical(confidence))
    rarest = min(len(positives), len(negatives))
    return _area_estimate(
        area, variance=variance, fallback=fallback, rarest=rarest, n=len(sample), confidence=confidence
    )


def _variance_of_mean(values: FloatArray) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.nan


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
    sizes = np.bincount(codes, minlength=len(sample.classes))
    _demand_each(sample, sizes)
    n, k = len(codes), len(sizes)
    influence, areas, limits = np.zeros(n), [], []
    for code, size in enumerate(sizes.tolist()):
        mine = codes == code
        above, below = placements(scores[mine, code], scores[~mine, code])
        areas.append(float(above.mean()))
        influence[mine] += (above - areas[-1]) / size
        influence[~mine] += (below - areas[-1]) / (n - size)
        limits.append(hanley_mcneil(areas[-1], size, n - size, critical(confidence)))
    variance = float(influence @ influence) / k**2 * n / (n - 1) if sizes.min() > 1 else math.nan
    # The mean of the limits: as if all the areas erred together.
    fallback = (float(np.mean([low for low, _ in limits])), float(np.mean([high for _, high in limits])))
    return _area_estimate(
        float(np.mean(areas)),
        variance=variance,
        fallback=fallback,
        rarest=int(sizes.min()),
        n=n,
        confidence=confidence,
    )


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
    """Return the mean of ``log_loss_rows``, with Student's t interval."""
    return mean_estimate(log_loss_rows(sample), confidence, bounds=(0.0, LONGEST_LOSS), unit="nat")


def brier_score(sample: Sample, confidence: float) -> Estimate:
    """Return the mean of ``brier_rows``, with Student's t interval."""
    top = 1.0 if sample.task is Task.BINARY else 2.0
    return mean_estimate(brier_rows(sample), confidence, bounds=(0.0, top))


def prior_sample(sample: Sample) -> Sample:
    """Return the same rows with the classes' shares among them as everybody's scores: the best blind ones."""
    if sample.task is Task.BINARY:
        truth = sample.truth
        scores = np.full(len(truth), float(truth.mean()))
    else:
        shares = np.bincount(codes_of(sample), minlength=len(sample.classes)) / len(sample)
        scores = np.tile(shares, (len(sample), 1))
    return Sample(sample.task, sample.y_true, None, scores, sample.classes, sample.positive)


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
