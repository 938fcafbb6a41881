"""What predicted labels cost, where some errors are dearer than others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.classification import class_shares
from pytest_leanml.stats.confusion import joint_of, ratio_limits
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.stats.confusion import Joint
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray, Sample

UNIT = "cost"


def cost(  # noqa: PLR0913 - the four cells of a binary task
    sample: Sample,
    confidence: float,
    *,
    false_positive: float | None = None,
    false_negative: float | None = None,
    true_positive: float = 0.0,
    true_negative: float = 0.0,
    costs: Mapping[str, Mapping[str, float]] | None = None,
) -> Estimate:
    """Return the mean cost of a row.

    It is the sum over the distinct costs of each one's share of rows times the cost. The shares' Wilson limits are
    joined by MOVER (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702) with the correlations of multinomial
    shares, so that a dear error that few rows show is not taken for one that cannot happen.

    Args:
        sample: labels.
        confidence: two-sided level.
        false_positive: of a binary task, both errors are needed.
        false_negative: of a binary task.
        true_positive: of a binary task; a gain is below 0.
        true_negative: of a binary task.
        costs: true label -> predicted label -> cost, labels as text; a right answer costs 0 where none is given.

    Raises:
        MeasurementError: a pair of labels without a cost, or one that is not finite.
    """
    matrix = _matrix(sample, (true_negative, false_positive, false_negative, true_positive), costs)
    joint = joint_of(sample)
    places = np.array([sample.classes.index(label) for label in joint.labels], dtype=np.intp)
    each = matrix[places[joint.truth], places[joint.guess]]
    low, high = _limits(joint, each, (float(matrix.min()), float(matrix.max())), confidence)
    value = float(joint.share @ each)
    return Estimate(value, joint.n, min(low, value), max(high, value), "mover-cells", confidence, UNIT)


def cost_floor(sample: Sample, **params: Any) -> float:
    """Return the least that one answer to every row costs."""
    four = tuple(params.get(name) for name in ("true_negative", "false_positive", "false_negative", "true_positive"))
    matrix = _matrix(sample, (four[0] or 0.0, four[1], four[2], four[3] or 0.0), params.get("costs"))
    return float((class_shares(sample) @ matrix).min())


def _limits(joint: Joint, each: FloatArray, bounds: Limits, confidence: float) -> Limits:
    """Return MOVER's limits, of the costs above the smallest: shares sum to 1, so that the smallest is a constant."""
    levels, level = np.unique(np.append(each - bounds[0], bounds[1] - bounds[0]), return_inverse=True)
    hits, good = (
        np.asarray(np.bincount(level[:-1], weights=part, minlength=len(levels)), dtype=np.float64)
        for part in (joint.rows, joint.squares)
    )
    misses, bad = hits.sum() - hits, good.sum() - good
    low, high = ratio_limits(hits, misses, (good, bad), z=critical(confidence), weighted=joint.weighted)
    share = hits / hits.sum()
    odds = np.sqrt(share / np.maximum(1 - share, 1e-300))
    correlation = -np.outer(odds, odds)
    np.fill_diagonal(correlation, 1.0)
    below, above = levels * (share - low), levels * (high - share)
    middle = float(levels @ share) + bounds[0]
    reach = [math.sqrt(max(0.0, float(part @ correlation @ part))) for part in (below, above)]
    return max(bounds[0], middle - reach[0]), min(bounds[1], middle + reach[1])


def _matrix(
    sample: Sample, four: tuple[float, float | None, float | None, float], costs: Mapping[str, Any] | None
) -> FloatArray:
    """Return the cost of each (true class, predicted class), in the order of the sample's classes."""
    if costs is None:
        if sample.task is not Task.BINARY or four[1] is None or four[2] is None:
            raise MeasurementError(
                f"the cost of a {sample.task} model's errors is not said",
                "`params: {false_positive: 1, false_negative: 5}`, or `costs: {true label: {predicted label: cost}}`",
                "state what each error costs",
            )
        square = np.array(four, dtype=np.float64).reshape(2, 2)
        return _finite(square if sample.classes[1] == sample.positive else square[::-1, ::-1])
    names = [str(label) for label in sample.classes]
    return _finite(np.array([[_cost_of(costs, truth, guess) for guess in names] for truth in names]))


def _cost_of(costs: Mapping[str, Any], truth: str, guess: str) -> float:
    row = costs.get(truth, {})
    found = row.get(guess, 0.0 if truth == guess else None) if isinstance(row, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MeasurementError(
            f"no cost of answering {guess!r} where {truth!r} is true",
            "a number for each pair of labels",
            "complete `params: {costs: ...}`",
        )
    return float(found)


def _finite(matrix: FloatArray) -> FloatArray:
    if not np.isfinite(matrix).all() or matrix.min() == matrix.max():
        raise MeasurementError(f"the costs {matrix.tolist()}", "finite numbers that differ", "correct `params`")
    return matrix
