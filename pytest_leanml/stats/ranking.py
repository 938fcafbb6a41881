"""Metrics of how scores order rows or classes, beside the area under the ROC curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.classification import class_shares
from pytest_leanml.stats.confusion import share_estimate
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, critical_t, logit_scale, wilson
from pytest_leanml.stats.moments import effective, mean_of
from pytest_leanml.stats.probabilities import codes_of, scores_of
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import BoolArray, FloatArray, Sample

TINY = 1e-24


def average_precision(sample: Sample, confidence: float) -> Estimate:
    """Return the area under the precision-recall curve, by steps; multiclass: the mean of each class against the rest.

    The mean, over the positive rows, of the precision at each one's score, as scikit-learn has it. Its interval is the
    delta method's, on the logit scale as Boyd, Eng and Page advise (2013, ECML PKDD, 451-466), with Student's t of the
    rarest class. Without scatter to build on (a perfect order) Wilson's interval over the positive rows takes its place.

    Raises:
        InconclusiveError: a class has no row.
    """
    scores, codes = scores_of(sample), codes_of(sample)
    columns = [(sample.truth, scores)] if sample.task is Task.BINARY else _columns(sample, scores)
    pull, areas, ends, rarest = np.zeros(len(codes)), [], [], math.inf
    for mine, score in columns:
        area, each = _precision_pulls(mine, score, sample.weights)
        size, others = (_effective(sample.weights, part) for part in (mine, ~mine))
        pull += each
        areas.append(area)
        ends.append(wilson(area * size, size, critical(confidence)))
        rarest = min(rarest, size, others)
    value = float(np.mean(areas))
    variance = float(pull @ pull) / len(areas) ** 2 * rarest / max(rarest - 1, 1e-9)
    limits = float(np.mean([low for low, _ in ends])), float(np.mean([high for _, high in ends]))
    return _area_estimate(value, variance, limits, rarest=int(rarest), n=len(codes), confidence=confidence)


def _area_estimate(  # noqa: PLR0913 - private
    value: float, variance: float, fallback: Limits, *, rarest: int, n: int, confidence: float
) -> Estimate:
    if variance <= TINY or not 0 < value < 1 or rarest < 2:  # noqa: PLR2004 - one row has no scatter
        return Estimate(value, n, fallback[0], max(value, fallback[1]), "wilson-positives", confidence)
    low, high = logit_scale(value, math.sqrt(variance), critical_t(confidence, rarest - 1))
    return Estimate(value, n, low, high, "delta-logit", confidence)


def _effective(weights: FloatArray | None, mask: BoolArray) -> float:
    return effective(None if weights is None else weights[mask], int(mask.sum()))


def _columns(sample: Sample, scores: FloatArray) -> list[tuple[BoolArray, FloatArray]]:
    codes = codes_of(sample)
    return [(np.asarray(codes == code), scores[:, code]) for code in range(len(sample.classes))]


def _precision_pulls(mine: BoolArray, scores: FloatArray, weights: FloatArray | None) -> tuple[float, FloatArray]:
    """Return the average precision, and what each row adds to its error to first order, shape (n,).

    With T and N the weight of the positives and the negatives scored as high as row i or higher, and P that of all
    positives, it is the sum of w_i T_i / (T_i + N_i) over the positives, divided by P. A row k moves T or N of all
    positives scored no higher than itself.
    """
    if mine.all() or not mine.any():
        raise InconclusiveError(
            f"average precision is undefined: {int(mine.sum())} of {len(mine)} rows are of the class",
            "rows of the class, and others",
        )
    order = np.argsort(-scores, kind="stable")
    falling, weight = -scores[order], np.ones(len(order)) if weights is None else weights[order]
    positive = weight * mine[order]
    first, last = (np.searchsorted(falling, falling, side=side) for side in ("left", "right"))
    above, below = np.cumsum(positive)[last - 1], np.cumsum(weight - positive)[last - 1]
    total, known = positive.sum(), above + below
    precision = above / known
    area = min(1.0, float(positive @ precision / total))
    gained, lost = (_from(positive * part / known**2, first) for part in (below, above))
    pull = np.empty(len(order))
    pull[order] = weight * np.where(mine[order], precision - area + gained, -lost) / total
    return area, pull


def _from(values: FloatArray, first: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    """Return the sums of ``values`` from each place ``first`` to the end."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(sums[-1] - sums[first])


def average_precision_floor(sample: Sample) -> float:
    """Return what one score for all rows reaches: the share of positives; multiclass: the mean of the classes' shares."""
    if sample.task is Task.BINARY:
        return mean_of(sample.truth.astype(np.float64), sample.weights)
    return 1 / len(sample.classes)


def top_k_accuracy(sample: Sample, confidence: float, k: int = 5) -> Estimate:
    """Return the share of rows whose true class is among the ``k`` that score highest, with Wilson's interval.

    Of equal scores the later class ranks first, as in scikit-learn.

    Raises:
        MeasurementError: ``k`` is not between 1 and the number of classes less one.
    """
    scores, codes = scores_of(sample), codes_of(sample)
    _demand_k(k, scores.shape[1])
    own = scores[np.arange(len(codes)), codes][:, None]
    later = np.arange(scores.shape[1]) > codes[:, None]
    before = ((scores > own) | ((scores == own) & later)).sum(axis=1)
    return share_estimate(np.asarray(before < k), sample.weights, confidence)


def top_k_floor(sample: Sample, k: int = 5) -> float:
    """Return the share of the ``k`` commonest classes."""
    shares = np.sort(class_shares(sample))[::-1]
    _demand_k(k, len(shares))
    return float(shares[:k].sum())


def _demand_k(k: int, classes: int) -> None:
    if not 1 <= k < classes:
        raise MeasurementError(
            f"the top {k} of {classes} classes", f"k from 1 to {classes - 1}", "set `params: {k: ...}`"
        )
