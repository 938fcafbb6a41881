"""Metrics of predicted labels, from the counts of the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, mover_mean, wilson
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray, IntArray, Sample


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a binary task: true positives, false positives, false negatives, true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


def confusion(sample: Sample) -> IntArray:
    """Return the counts of (true class, predicted class); shape (k, k), in the order of ``sample.classes``.

    Raises:
        MeasurementError: the sample has no predicted labels.
    """
    if sample.true_codes is None or sample.pred_codes is None:
        raise MeasurementError("no predicted labels", "a classification sample with y_pred")
    k = len(sample.classes)
    return np.bincount(sample.true_codes * k + sample.pred_codes, minlength=k * k).reshape(k, k)


def counts(sample: Sample) -> Counts:
    """Return the four counts of a binary sample."""
    table = confusion(sample)
    yes = sample.classes.index(sample.positive)
    no = 1 - yes
    return Counts(tp=int(table[yes, yes]), fp=int(table[no, yes]), fn=int(table[yes, no]), tn=int(table[no, no]))


def accuracy(sample: Sample, confidence: float) -> Estimate:
    """Return the share of rows whose label is right, with Wilson's interval."""
    table = confusion(sample)
    return _share(int(np.trace(table)), len(sample), len(sample), confidence)


def precision(sample: Sample, confidence: float) -> Estimate:
    """Return tp / (tp + fp), with Wilson's interval given the number selected; multiclass: their plain mean, MOVER.

    Raises:
        InconclusiveError: nobody, or nobody of some class, was predicted.
    """
    if sample.task is Task.BINARY:
        cells = counts(sample)
        _demand(cells.tp + cells.fp, "precision is undefined: no row was predicted positive")
        return _share(cells.tp, cells.tp + cells.fp, len(sample), confidence)
    return _macro(sample, 0, confidence)


def recall(sample: Sample, confidence: float) -> Estimate:
    """Return tp / (tp + fn), with Wilson's interval given the number of positives; multiclass: their plain mean, MOVER.

    Raises:
        InconclusiveError: there is no row of the positive class, or of one that was predicted.
    """
    if sample.task is Task.BINARY:
        cells = counts(sample)
        _demand(cells.tp + cells.fn, "recall is undefined: no row is truly positive")
        return _share(cells.tp, cells.tp + cells.fn, len(sample), confidence)
    return _macro(sample, 1, confidence)


def f1_score(sample: Sample, confidence: float) -> Estimate:
    """Return 2 tp / (2 tp + fp + fn); multiclass: its plain mean over the classes met.

    F1 is 2 J / (1 + J) of the share J = tp / (tp + fp + fn), which is binomial given its denominator, so that Wilson's
    interval of J carries over (the "indirect" Wilson interval of Lam, Gopal and Qian 2023, arXiv 2309.14621). The mean
    over classes joins theirs by MOVER, with the delta method's correlations (Takahashi et al. 2022, Applied
    Intelligence 52, 4961-4972, for the covariances).

    Raises:
        InconclusiveError: no row is positive, neither truly nor as predicted.
    """
    if sample.task is Task.BINARY:
        cells = counts(sample)
        return _f1_binary(cells, len(sample), confidence)
    table = _met(sample)[1].astype(np.float64)
    values, (low, high) = _f1_parts(np.diag(table), table.sum(axis=0) + table.sum(axis=1), critical(confidence))
    limits = mover_mean(values, low, high, _f1_correlation(table, values))
    return _estimate(float(values.mean()), len(sample), limits, "mover", confidence)


def f1_of(tp: float, fp: float, fn: float) -> float:
    """Return F1 from counts or shares, not all zero."""
    return 2 * tp / (2 * tp + fp + fn)


def _f1_binary(cells: Counts, n: int, confidence: float) -> Estimate:
    _demand(cells.tp + cells.fp + cells.fn, "F1 is undefined: no row is positive, neither truly nor as predicted")
    total = np.asarray([2.0 * cells.tp + cells.fp + cells.fn])
    _, (low, high) = _f1_parts(np.asarray([float(cells.tp)]), total, critical(confidence))
    value = f1_of(cells.tp, cells.fp, cells.fn)
    return _estimate(value, n, (float(low[0]), float(high[0])), "wilson", confidence)


def _f1_parts(hits: FloatArray, margins: FloatArray, z: float) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Return F1 and its limits for each class, from true positives and the sum of both margins."""
    low, high = wilson(hits, margins - hits, z)
    return 2 * hits / margins, (2 * low / (1 + low), 2 * high / (1 + high))


def _f1_correlation(table: FloatArray, f1: FloatArray) -> FloatArray:
    """Return the delta method's correlations of the classes' F1; shape (k, k), 0 where a class does not vary.

    One row of the cell (i, j) moves F1 of class a by (2 [i = j = a] - F_a ([i = a] + [j = a])) / (row_a + column_a), so
    two classes share the rows confused between them, and nothing else.
    """
    hits, margins = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    slope = f1 / margins
    shared = (table + table.T) * slope[:, None] * slope[None, :]
    own = (hits * (2 - 2 * f1) ** 2 + (margins - 2 * hits) * f1**2) / margins**2
    np.fill_diagonal(shared, own)
    deviation = np.sqrt(np.where(own > 0, own, np.inf))
    correlation: FloatArray = shared / (deviation[:, None] * deviation[None, :])
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _met(sample: Sample) -> tuple[tuple[Any, ...], IntArray]:
    """Return the classes that occur in truth or predictions, and their confusion matrix, as scikit-learn averages."""
    table = confusion(sample)
    met = np.flatnonzero(table.sum(axis=0) + table.sum(axis=1))
    return tuple(sample.classes[code] for code in met), table[np.ix_(met, met)]


def _macro(sample: Sample, axis: int, confidence: float) -> Estimate:
    """Return the mean over classes of hits given the table's sums along ``axis``: 0 for precision, 1 for recall."""
    labels, table = _met(sample)
    hits, trials = np.diag(table), table.sum(axis=axis)
    if (trials == 0).any():
        what, why = (("precision", "was never predicted"), ("recall", "has no row"))[axis]
        label = labels[int(np.argmin(trials))]
        raise InconclusiveError(
            f"{what} is undefined: the class {label!r} {why}", "every class both in truth and in predictions"
        )
    values = hits / trials
    low, high = wilson(hits, trials, critical(confidence))
    return _estimate(float(values.mean()), len(sample), mover_mean(values, low, high), "mover", confidence)


def _share(hits: int, trials: int, n: int, confidence: float) -> Estimate:
    low, high = wilson(hits, trials, critical(confidence))
    return _estimate(hits / trials, n, (float(low), float(high)), "wilson", confidence)


def _estimate(value: float, n: int, limits: Limits, method: str, confidence: float) -> Estimate:
    return Estimate(value, n, limits[0], limits[1], method, confidence)


def _demand(count: int, message: str) -> None:
    if count == 0:
        raise InconclusiveError(message, "at least one such row", "judge more rows, or another metric")


def accuracy_floor(sample: Sample) -> float:
    """Return the accuracy of always answering the commonest class."""
    return float(_class_counts(sample).max() / len(sample))


def precision_floor(sample: Sample) -> float:
    """Return the precision expected without looking: the share of positives; multiclass: 1 / classes met."""
    return _blind(sample, lambda cells: (cells.tp + cells.fn) / len(sample))


def recall_floor(sample: Sample) -> float:
    """Return the recall expected of as many blind positives as the model gave; multiclass: 1 / classes met.

    Always answering "positive" would have the recall 1, which nothing beats, and answering the majority has 0, which
    everything beats; what a blind answer can expect at the model's own rate is the share that the model selects.
    """
    return _blind(sample, lambda cells: (cells.tp + cells.fp) / len(sample))


def f1_floor(sample: Sample) -> float:
    """Return the best F1 expected without looking: that of always answering "positive"; multiclass: 1 / classes met.

    Of all blind answers none has a higher expected ratio; the majority's own would be 0 wherever positives are rare,
    and a model that always answers "positive" would beat it.
    """
    return _blind(sample, lambda cells: f1_of(cells.tp + cells.fn, cells.fp + cells.tn, 0))


def _blind(sample: Sample, binary: Callable[[Counts], float]) -> float:
    if sample.task is Task.BINARY:
        return binary(counts(sample))
    return 1 / len(_met(sample)[0])


def _class_counts(sample: Sample) -> IntArray:
    if sample.true_codes is None:
        raise MeasurementError("a regression sample", "a classification sample")
    return np.bincount(sample.true_codes, minlength=len(sample.classes))
