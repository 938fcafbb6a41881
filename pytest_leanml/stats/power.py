"""How well one column alone tells the target: what tells it too well may be the target in disguise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.intervals import critical, hanley_mcneil, student, wilson
from pytest_leanml.stats.probabilities import placements
from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray, Sample, make_sample
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDS = 5
MOST_BINS = 64
LEAST_ROWS = 30
_MOST_CELLS = 50_000_000  # 400 MB of counts
_PRIOR = 1.0  # rows of the whole that each value is mixed with


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: numbers, or categories as whole numbers from 0.

    Attributes:
        values: shape (n,); a missing number is NaN, a missing category has a code of its own.
        numeric: whether the values have an order.
    """

    values: FloatArray | IntArray
    numeric: bool


@dataclass(frozen=True, slots=True)
class Target:
    """The target, coded.

    Attributes:
        task: binary, multiclass or regression.
        values: shape (n,): 0 and 1 (positive), codes from 0, or finite numbers.
        fold: shape (n,), which fold each row belongs to.
    """

    task: Task
    values: FloatArray | IntArray
    fold: IntArray = field(repr=False)


def target_of(sample: Sample, *, seed: int = 0) -> Target:
    """Code the truth of a sample and deal its rows to five folds.

    Raises:
        InconclusiveError: fewer than 30 rows, or one class or value only.
    """
    values: Any = sample.y_true if sample.true_codes is None else sample.true_codes
    if sample.task is Task.BINARY:
        values = sample.truth.astype(np.intp)
    if len(values) < LEAST_ROWS:
        raise InconclusiveError(f"{len(values)} rows to learn a column's power from", f"at least {LEAST_ROWS}")
    if values.min() == values.max():
        raise InconclusiveError("the target has one value only", "a target that varies", "judge other rows")
    # Dealt by the order of the target, so that the folds' means hardly differ: what one fold's mean says of the others'
    # would look like skill turned round in a column that has none.
    order = np.lexsort((np.random.default_rng(seed).permutation(len(values)), values))
    fold = np.empty(len(values), dtype=np.intp)
    fold[order] = np.arange(len(values)) % FOLDS
    return Target(sample.task, values, fold)


def single_column_power(features: Mapping[str, Feature], target: Target, *, confidence: float = 0.95) -> Estimate:
    """Return the power of the column that tells the target best.

    A column's power is the larger of two:

    - by its values: each category, or each of at most 64 bins of equal size, answers with the target's mean (multiclass:
      the most frequent class) among the other four of five folds; a missing value is a category of its own;
    - by its order, for numbers: with no fitting at all.

    It is measured as ROC AUC, that of the order turned round where it is below 1/2 (binary); accuracy above that of the
    most frequent class, as a share of what is possible (multiclass: the scale of Goodman and Kruskal's lambda, 1954,
    Journal of the American Statistical Association 49, 732-764); R2, and the squared rank correlation of Spearman for
    the order (regression). 0.5, 0 and 0 are no power.

    The limits are those of the answers as they were learned from these rows: by Hanley and McNeil's variance (binary),
    the delta method (multiclass, R2), DeLong's variance and Bonett and Wright's for the order.

    Args:
        features: name -> column of shape (n,).
        target: of as many rows.
        confidence: level; the limits of all columns, each by both ways, hold at once (Bonferroni), so that those of the
            best one do, too: they are conservative.

    Returns:
        The best column's power with its limits; ``by`` holds every column, the best first.

    Raises:
        InconclusiveError: no column, or none that varies.
        MeasurementError: an infinite number, or columns of another length.
    """
    varied = {name: each for name, each in features.items() if _varies(each, len(target.values), name)}
    if not varied:
        raise InconclusiveError(
            "no column varies", "at least one column with two values", "look at how the data is made"
        )
    level = 1 - (1 - confidence) / len(varied)
    found = {name: _power(each, target, level) for name, each in varied.items()}
    ranked = dict(sorted(found.items(), key=lambda item: (-item[1].value, item[0])))
    floor = 0.5 if target.task is Task.BINARY else 0.0
    constant = {name: Part(floor, len(target.values)) for name in features if name not in varied}
    best = next(iter(ranked.values()))
    return replace(
        best,
        low=max(each.low or 0.0 for each in ranked.values()),
        high=max(1.0 if each.high is None else each.high for each in ranked.values()),
        interval=f"{best.interval}, simultaneous over {len(varied)}",
        confidence=confidence,
        by={name: Part(each.value, each.n, each.low, each.high) for name, each in ranked.items()} | constant,
        details={"columns": float(len(features)), "constant": float(len(constant))},
    )


def _varies(feature: Feature, rows: int, name: str) -> bool:
    values = feature.values
    if len(values) != rows:
        raise MeasurementError(f"{len(values)} values of `{name}`", f"one for each of {rows} rows")
    if feature.numeric and np.isinf(values).any():
        raise MeasurementError(f"infinite values in `{name}`", "finite numbers or missing ones", "clean the column")
    first = values[0]
    return not bool(np.all((values == first) | (np.isnan(values) & np.isnan(first))))


def _power(feature: Feature, target: Target, level: float) -> Estimate:
    if not feature.numeric or target.task is Task.MULTICLASS:
        return _by_values(_codes(feature), target, level)
    from scipy.stats import rankdata  # half a second, and only here

    level = 1 - (1 - level) / 2  # the better of two ways
    by_order = _by_order(rankdata(_filled(feature.values), method="dense"), target, level)
    return max(_by_values(_codes(feature), target, level), by_order, key=lambda each: each.value)


def _filled(values: FloatArray | IntArray) -> FloatArray:
    """Put missing numbers below all others, so that their being missing has an order as well."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(numbers), -np.inf, numbers)


def _codes(feature: Feature) -> IntArray:
    if not feature.numeric:
        return np.unique(feature.values, return_inverse=True)[1]
    numbers = np.asarray(feature.values, dtype=np.float64)
    present = numbers[~np.isnan(numbers)]
    bins = min(MOST_BINS, max(2, len(numbers) // LEAST_ROWS))
    edges = np.unique(np.quantile(present, np.arange(1, bins) / bins, method="inverted_cdf"))
    # Edges of repeated values are their own bin: a value of which there are many is told apart from its neighbours.
    codes = np.searchsorted(edges, numbers, "left") + np.searchsorted(edges, numbers, "right")
    return np.unique(np.where(np.isnan(numbers), -1, codes), return_inverse=True)[1]


def _by_values(codes: IntArray, target: Target, level: float) -> Estimate:
    if target.task is Task.MULTICLASS:
        return _accuracy(codes, target, level)
    answers = _means(codes, target)
    if target.task is Task.BINARY:
        return _above(0.5, _area_of_folds(answers, target, level))
    found = measure("r2", make_sample(Task.REGRESSION, target.values, answers), confidence=level)
    return _above(0.0, found)


def _means(codes: IntArray, target: Target) -> FloatArray:
    """Return for each row the mean target of its code among the other folds, mixed with the mean of all of them."""
    cell, size = codes * FOLDS + target.fold, (int(codes.max()) + 1) * FOLDS
    counts = np.bincount(cell, minlength=size).reshape(-1, FOLDS)
    sums = np.bincount(cell, weights=target.values, minlength=size).reshape(-1, FOLDS)
    others, total = counts.sum(1, keepdims=True) - counts, sums.sum(1, keepdims=True) - sums
    prior = total.sum(0) / others.sum(0)
    means: FloatArray = ((total + _PRIOR * prior) / (others + _PRIOR))[codes, target.fold]
    return means


def _accuracy(codes: IntArray, target: Target, level: float) -> Estimate:
    classes, values = int(target.values.max()) + 1, target.values.astype(np.intp)
    # Values beyond are so many that each is rare: they answer as one.
    codes = np.minimum(codes, max(1, _MOST_CELLS // (FOLDS * classes)) - 1)
    rows = (int(codes.max()) + 1) * FOLDS
    cells = np.bincount((codes * FOLDS + target.fold) * classes + values, minlength=rows * classes)
    counts = cells.reshape(-1, FOLDS, classes)
    others = counts.sum(1, keepdims=True) - counts
    prior = others.sum(0) / others.sum((0, 2))[:, None]
    answers = np.argmax(others + _PRIOR * prior, axis=2)[codes, target.fold]
    return _above(0.0, _beyond_largest(answers == values, values == np.bincount(values).argmax(), level))


def _beyond_largest(right: BoolArray, largest: BoolArray, level: float) -> Estimate:
    """Return the accuracy above the share of the largest class, over what is possible above it (delta method).

    Answers that are all right or all wrong have no scatter of their own: Wilson's limits of the accuracy, scaled alike.
    """
    accuracy, base, n = float(right.mean()), float(largest.mean()), len(right)
    value = (accuracy - base) / (1 - base)
    if accuracy in (0.0, 1.0):
        low, high = (float(each) for each in wilson(right.sum(), n, critical(level)))
        return Estimate(value, n, (low - base) / (1 - base), (high - base) / (1 - base), "wilson", level)
    rows = value + ((right - accuracy) - (1 - value) * (largest - base)) / (1 - base)
    low, high = student(value, float(rows.std(ddof=1)) / math.sqrt(n), n, level)
    return Estimate(value, n, low, high, "delta", level)


def _one(high: float | None) -> float:
    return 1.0 if high is None else high


def _above(floor: float, found: Estimate) -> Estimate:
    """Call everything at or below no power none: answers that were learned from other rows are not turned round."""
    low = floor if found.low is None else found.low
    value, low, high = (min(1.0, max(floor, each)) for each in (found.value, low, _one(found.high)))
    return replace(found, value=value, low=low, high=high)


def _area_of_folds(answers: FloatArray, target: Target, level: float) -> Estimate:
    """Return the area over pairs of rows of one fold: between folds, equal values differ by what they were learned from.

    The limits are Hanley and McNeil's by Newcombe's method 5, which needs no scatter.
    """
    above = [
        placements(*(np.sort(answers[(target.fold == fold) & (target.values == side)]) for side in (1, 0)))[0]
        for fold in range(FOLDS)
        if len(np.unique(target.values[target.fold == fold])) > 1
    ]
    area, positives = float(np.concatenate(above).mean()), int(target.values.sum())
    low, high = hanley_mcneil(area, positives, len(answers) - positives, critical(level))
    return Estimate(area, len(answers), low, high, "hanley-mcneil", level)


def _area(scores: FloatArray, target: Target, level: float) -> Estimate:
    sample = make_sample(Task.BINARY, target.values, scores=scores, classes=(0, 1), positive=1)
    return measure("roc_auc", sample, confidence=level)


def _turned(found: Estimate) -> Estimate:
    """Turn an area below 1/2 round: what falls where the target rises tells it as well."""
    if found.value >= 0.5:  # noqa: PLR2004 - chance
        return found
    return replace(found, value=1 - found.value, low=1 - _one(found.high), high=1 - (found.low or 0.0))


def _by_order(ranks: FloatArray, target: Target, level: float) -> Estimate:
    if target.task is Task.BINARY:
        return _above(0.5, _turned(_area(ranks.astype(np.float64), target, level)))
    from scipy.stats import spearmanr

    n = len(ranks)
    r = float(spearmanr(ranks, target.values).statistic)
    low, high = _spearman(r, n, critical(level))
    nearest = 0.0 if low <= 0 <= high else min(low * low, high * high)
    # A perfect correlation has no limits on that scale: rounding must not put them on one side of it.
    return Estimate(r * r, n, min(nearest, r * r), max(low * low, high * high, r * r), "bonett-wright", level)


def _spearman(r: float, n: int, z: float) -> tuple[float, float]:
    """Limits of a rank correlation on Fisher's scale (Bonett and Wright 2000, Psychometrika 65, 23-28)."""
    inside = min(max(r, -1 + 1e-15), 1 - 1e-15)
    half = z * math.sqrt((1 + inside * inside / 2) / (n - 3))
    return math.tanh(math.atanh(inside) - half), math.tanh(math.atanh(inside) + half)
