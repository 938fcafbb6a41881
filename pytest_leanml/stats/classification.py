"""Metrics of predicted labels that are ratios of counts, or plain means of such ratios over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.averages import averaged
from pytest_leanml.stats.confusion import joint_of, ratio_limits
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, mover_mean
from pytest_leanml.stats.moments import mean_of
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.confusion import Joint
    from pytest_leanml.stats.samples import BoolArray, FloatArray, Sample

# Beyond it the matrix of the classes' correlations is no longer written down; the delta method takes its place.
MOST_CLASSES = 500
AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a binary task, or their weights: true positives, false positives, false negatives, true negatives."""

    tp: float
    fp: float
    fn: float
    tn: float


def counts(sample: Sample) -> Counts:
    """Return the four counts of a binary sample."""
    truth, selected = sample.truth, sample.selected
    parts = (truth & selected, ~truth & selected, truth & ~selected, ~truth & ~selected)
    if sample.weights is None:
        return Counts(*(int(part.sum()) for part in parts))
    return Counts(*(float(sample.weights[part].sum()) for part in parts))


def wrong_rows(sample: Sample) -> FloatArray:
    """Return 1 for each row whose label is wrong, else 0; shape (n,).

    Raises:
        MeasurementError: there are no predicted labels.
    """
    if sample.true_codes is None or sample.pred_codes is None:
        raise MeasurementError("no predicted labels", "a classification sample with y_pred")
    return np.asarray(sample.true_codes != sample.pred_codes, dtype=np.float64)


def accuracy(sample: Sample, confidence: float) -> Estimate:
    """Return the share of rows whose label is right, with Wilson's interval."""
    joint = joint_of(sample)
    return _ratio(joint, joint.right, ~joint.right, confidence)


def precision(sample: Sample, confidence: float, method: str = "macro") -> Estimate:
    """Return tp / (tp + fp), with Wilson's interval given the number selected; multiclass: their plain mean, MOVER.

    Args:
        sample: labels.
        confidence: two-sided level.
        method: of several classes: "macro"; "weighted" by their rows, by the delta method; "micro", which is accuracy.

    Raises:
        InconclusiveError: nobody, or nobody of some class, was predicted.
    """
    joint = joint_of(sample)
    if _of_positives(sample, method):
        selected = _is(joint.guess, joint.place(sample.positive))
        return _ratio(joint, selected & joint.right, selected & ~joint.right, confidence, _NOBODY)
    return _over_classes(joint, "precision", method, confidence)


def recall(sample: Sample, confidence: float, method: str = "macro") -> Estimate:
    """Return tp / (tp + fn), with Wilson's interval given the number of positives; multiclass as ``precision``.

    Raises:
        InconclusiveError: there is no row of the positive class, or of one that was predicted.
    """
    joint = joint_of(sample)
    if _of_positives(sample, method):
        positive = _is(joint.truth, joint.place(sample.positive))
        return _ratio(joint, positive & joint.right, positive & ~joint.right, confidence, _NO_POSITIVE)
    return _over_classes(joint, "recall", method, confidence)


def specificity(sample: Sample, confidence: float) -> Estimate:
    """Return tn / (tn + fp), the recall of the negative class, with Wilson's interval given the negatives.

    Raises:
        InconclusiveError: there is no negative row.
    """
    joint = joint_of(sample)
    negative = ~_is(joint.truth, joint.place(sample.positive))
    return _ratio(joint, negative & joint.right, negative & ~joint.right, confidence, _NO_NEGATIVE)


def negative_predictive_value(sample: Sample, confidence: float) -> Estimate:
    """Return tn / (tn + fn), the precision of the negative class, with Wilson's interval given those not selected.

    Raises:
        InconclusiveError: everybody was predicted positive.
    """
    joint = joint_of(sample)
    left = ~_is(joint.guess, joint.place(sample.positive))
    return _ratio(joint, left & joint.right, left & ~joint.right, confidence, _EVERYBODY)


def balanced_accuracy(sample: Sample, confidence: float) -> Estimate:
    """Return the plain mean of the recalls of the classes that have rows (Brodersen et al. 2010), MOVER."""
    joint = joint_of(sample)
    return _macro(joint, joint.by_truth, confidence, only=joint.by_truth(joint.rows) > 0)


def f1_score(sample: Sample, confidence: float, method: str = "macro") -> Estimate:
    """Return 2 tp / (2 tp + fp + fn); multiclass: its plain mean over the classes met.

    F1 is 2 J / (1 + J) of the share J = tp / (tp + fp + fn), which is binomial given its denominator, so that Wilson's
    interval of J carries over (the "indirect" Wilson interval of Lam, Gopal and Qian 2023, arXiv 2309.14621). The mean
    over classes joins theirs by MOVER, with the delta method's correlations (Takahashi et al. 2022, Applied
    Intelligence 52, 4961-4972, for the covariances).

    Args:
        sample: labels.
        confidence: two-sided level.
        method: as for ``precision``.

    Raises:
        InconclusiveError: no row is positive, neither truly nor as predicted.
    """
    joint = joint_of(sample)
    if _of_positives(sample, method):
        place = joint.place(sample.positive)
        met = _is(joint.truth, place) | _is(joint.guess, place)
        share = _ratio(joint, met & joint.right, met & ~joint.right, confidence, _NEITHER)
        limits = _f1_of(share.low or 0.0), _f1_of(1.0 if share.high is None else share.high)
        return Estimate(_f1_of(share.value), share.n, *limits, share.interval, confidence)
    return _over_classes(joint, "f1_score", method, confidence)


def _of_positives(sample: Sample, method: str) -> bool:
    """Tell whether the metric is the positive class's own; refuse an average that is none, or would be ignored."""
    if method not in AVERAGES or (sample.task is Task.BINARY and method != "macro"):
        raise MeasurementError(
            f"the average {method!r} of a {sample.task} model",
            f"one of {', '.join(AVERAGES)} for several classes; a binary model's is that of the positive class",
            "correct or remove `method`",
        )
    return sample.task is Task.BINARY


def _f1_of(share: float) -> float:
    return 2 * share / (1 + share)


def _is(codes: object, place: int | None) -> BoolArray:
    return np.asarray(codes == (-1 if place is None else place))


def _ratio(
    joint: Joint, hits: BoolArray, misses: BoolArray, confidence: float, undefined: str | None = None
) -> Estimate:
    """Return the weight of the cells ``hits`` over that of both, with Wilson's interval."""
    parts = [np.asarray([values[mask].sum()]) for values in (joint.rows, joint.squares) for mask in (hits, misses)]
    total = float(parts[0][0] + parts[1][0])
    if total == 0:
        raise InconclusiveError(
            undefined or "no row counts", "at least one such row", "judge more rows, or another metric"
        )
    low, high = ratio_limits(parts[0], parts[1], (parts[2], parts[3]), z=critical(confidence), weighted=joint.weighted)
    limits = float(low[0]), float(high[0])
    return Estimate(float(parts[0][0]) / total, joint.n, *limits, _name(joint, "wilson"), confidence)


def _over_classes(joint: Joint, name: str, method: str, confidence: float) -> Estimate:
    """Return the average over classes that ``method`` names."""
    if method == "micro" or (method == "weighted" and name == "recall"):
        # Each row has one true and one predicted class: pooled over the classes, all three are the accuracy.
        return _ratio(joint, joint.right, ~joint.right, confidence)
    _demand_all(joint, name)
    if method == "weighted" or len(joint.labels) > MOST_CLASSES:
        return averaged(joint, name, method, confidence)
    if name == "f1_score":
        return _macro_f1(joint, confidence)
    return _macro(joint, joint.by_guess if name == "precision" else joint.by_truth, confidence)


def _demand_all(joint: Joint, name: str) -> None:
    if name == "f1_score":
        return
    trials, why = (
        (joint.by_guess(joint.rows), "was never predicted")
        if name == "precision"
        else (joint.by_truth(joint.rows), "has no row")
    )
    if (trials == 0).any():
        label = joint.labels[int(np.argmin(trials))]
        raise InconclusiveError(
            f"{name} is undefined: the class {label!r} {why}", "every class both in truth and in predictions"
        )


def _macro(
    joint: Joint, along: Callable[[FloatArray], FloatArray], confidence: float, only: BoolArray | None = None
) -> Estimate:
    """Return the mean over classes of hits given the sums ``along`` truth (recall) or predictions (precision)."""
    parts = [along(values * mask) for values in (joint.rows, joint.squares) for mask in (joint.right, ~joint.right)]
    hits, misses, good, bad = parts if only is None else [part[only] for part in parts]
    low, high = ratio_limits(hits, misses, (good, bad), z=critical(confidence), weighted=joint.weighted)
    values = hits / (hits + misses)
    limits = mover_mean(values, low, high)
    return Estimate(float(values.mean()), joint.n, *limits, _name(joint, "mover"), confidence)


def _macro_f1(joint: Joint, confidence: float) -> Estimate:
    hits = joint.by_truth(joint.rows * joint.right)
    margins = joint.by_truth(joint.rows) + joint.by_guess(joint.rows)
    good = joint.by_truth(joint.squares * joint.right)
    bad = joint.by_truth(joint.squares) + joint.by_guess(joint.squares) - 2 * good
    low, high = ratio_limits(hits, margins - 2 * hits, (good, bad), z=critical(confidence), weighted=joint.weighted)
    values = 2 * hits / margins
    correlation = f1_correlation(_table(joint), values, margins)
    limits = mover_mean(values, 2 * low / (1 + low), 2 * high / (1 + high), correlation)
    return Estimate(float(values.mean()), joint.n, *limits, _name(joint, "mover"), confidence)


def _table(joint: Joint) -> FloatArray:
    """Return the sums of the squared weights by (true class, predicted class), shape (k, k): counts without weights."""
    table = np.zeros((len(joint.labels), len(joint.labels)))
    table[joint.truth, joint.guess] = joint.squares
    return table


def f1_correlation(table: FloatArray, f1: FloatArray, margins: FloatArray) -> FloatArray:
    """Return the delta method's correlations of the classes' F1; shape (k, k), 0 where a class does not vary.

    One row of the cell (i, j) moves F1 of class a by (2 [i = j = a] - F_a ([i = a] + [j = a])) / (row_a + column_a), so
    two classes share the rows confused between them, and nothing else.

    Args:
        table: rows, or sums of squared weights, by (true class, predicted class); shape (k, k).
        f1: of each class, shape (k,).
        margins: row and column sums of the (weighted) counts, shape (k,).
    """
    hits, sums = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    slope = f1 / margins
    shared = (table + table.T) * slope[:, None] * slope[None, :]
    own = (hits * (2 - 2 * f1) ** 2 + (sums - 2 * hits) * f1**2) / margins**2
    np.fill_diagonal(shared, own)
    deviation = np.sqrt(np.where(own > 0, own, np.inf))
    correlation: FloatArray = shared / (deviation[:, None] * deviation[None, :])
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _name(joint: Joint, method: str) -> str:
    return f"{method}-effective" if joint.weighted else method


_NOBODY = "precision is undefined: no row was predicted positive"
_NO_POSITIVE = "recall is undefined: no row is truly positive"
_NO_NEGATIVE = "specificity is undefined: no row is truly negative"
_EVERYBODY = "the negative predictive value is undefined: every row was predicted positive"
_NEITHER = "F1 is undefined: no row is positive, neither truly nor as predicted"


def class_shares(sample: Sample) -> FloatArray:
    """Return the share of the rows, or of their weight, in each class; shape (k,).

    Raises:
        MeasurementError: a regression sample.
    """
    if sample.true_codes is None:
        raise MeasurementError("a regression sample", "a classification sample")
    sums = np.bincount(sample.true_codes, weights=sample.weights, minlength=len(sample.classes))
    return np.asarray(sums / sums.sum())


def accuracy_floor(sample: Sample, _method: str = "") -> float:
    """Return the accuracy of always answering the commonest class."""
    return float(class_shares(sample).max())


def balanced_floor(sample: Sample) -> float:
    """Return 1 / classes that have rows, which every blind answer reaches."""
    return 1 / int(np.count_nonzero(class_shares(sample)))


def precision_floor(sample: Sample, method: str = "macro") -> float:
    """Return the precision expected without looking: the share of positives; multiclass: 1 / classes met.

    Weighted over several classes: the sum of their squared shares, which answers drawn from the shares reach.
    """
    if sample.task is Task.BINARY:
        return mean_of(sample.truth.astype(float), sample.weights)
    return _blind(sample, method, lambda shares: float(shares @ shares))


def recall_floor(sample: Sample, method: str = "macro") -> float:
    """Return the recall expected of as many blind positives as the model gave; multiclass: 1 / classes met.

    Always answering "positive" would have the recall 1, which nothing beats, and answering the majority has 0, which
    everything beats; what a blind answer can expect at the model's own rate is the share that the model selects.
    """
    if sample.task is Task.BINARY:
        return mean_of(sample.selected.astype(float), sample.weights)
    return _blind(sample, method, lambda shares: float(shares.max()))


def specificity_floor(sample: Sample) -> float:
    """Return the share that the model does not select: its own rate of negatives, given blindly."""
    return mean_of((~sample.selected).astype(float), sample.weights)


def negative_floor(sample: Sample) -> float:
    """Return the share of negatives."""
    return mean_of((~sample.truth).astype(float), sample.weights)


def f1_floor(sample: Sample, method: str = "macro") -> float:
    """Return the best F1 expected without looking: that of always answering "positive"; multiclass: 1 / classes met.

    Of all blind answers none has a higher expected ratio; the majority's own would be 0 wherever positives are rare,
    and a model that always answers "positive" would beat it. Weighted over several classes: the better of always
    answering the commonest and answers drawn from the shares.
    """
    if sample.task is Task.BINARY:
        share = mean_of(sample.truth.astype(float), sample.weights)
        return 2 * share / (1 + share)
    return _blind(sample, method, lambda p: float(max(p @ p, 2 * p.max() ** 2 / (1 + p.max()))))


def _blind(sample: Sample, method: str, weighted: Callable[[FloatArray], float]) -> float:
    if method == "micro":
        return accuracy_floor(sample)
    return weighted(class_shares(sample)) if method == "weighted" else 1 / len(joint_of(sample).labels)
