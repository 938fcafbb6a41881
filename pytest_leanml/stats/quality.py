"""The quality metrics by name: value, interval, and what a blind answer would reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import classification, probabilities, regression
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import Sample


class Needs(StrEnum):
    """What a metric is computed from, beside the truth."""

    LABELS = "labels"
    SCORES = "scores"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Metric:
    """One quality metric.

    Attributes:
        name: as in ``leanml.yaml``.
        tasks: those it is defined for.
        needs: predicted labels, scores, or predicted values.
        higher_is_better: its orientation.
        range: lowest and highest possible value.
        unit: "1" for a share, "nat" for log loss, else "target".
        estimate: (sample, confidence) -> Estimate.
        floor: sample -> what is reached without looking at the features.
    """

    name: str
    tasks: frozenset[Task]
    needs: Needs
    higher_is_better: bool
    range: tuple[float, float]
    unit: str
    estimate: Callable[[Sample, float], Estimate] = field(repr=False)
    floor: Callable[[Sample], float] = field(repr=False)


def _half(_: Sample) -> float:
    return 0.5


def _log_loss_floor(sample: Sample) -> float:
    return float(probabilities.log_loss_rows(probabilities.prior_sample(sample)).mean())


def _brier_floor(sample: Sample) -> float:
    return float(probabilities.brier_rows(probabilities.prior_sample(sample)).mean())


def _rmse_floor(sample: Sample) -> float:
    return math.sqrt(float((regression.residuals(regression.mean_sample(sample)) ** 2).mean()))


def _mae_floor(sample: Sample) -> float:
    return float(np.abs(regression.residuals(regression.median_sample(sample))).mean())


def _r2_floor(_: Sample) -> float:
    return 0.0


def _label(name: str, estimate: Callable[[Sample, float], Estimate], floor: Callable[[Sample], float]) -> Metric:
    return Metric(name, _CLASSES, Needs.LABELS, True, (0.0, 1.0), "1", estimate, floor)  # noqa: FBT003


_CLASSES = frozenset({Task.BINARY, Task.MULTICLASS})
_VALUES = frozenset({Task.REGRESSION})
_ALL = (
    _label("accuracy", classification.accuracy, classification.accuracy_floor),
    _label("precision", classification.precision, classification.precision_floor),
    _label("recall", classification.recall, classification.recall_floor),
    _label("f1_score", classification.f1_score, classification.f1_floor),
    Metric("roc_auc", _CLASSES, Needs.SCORES, True, (0.0, 1.0), "1", probabilities.roc_auc, _half),  # noqa: FBT003
    Metric(
        "log_loss",
        _CLASSES,
        Needs.SCORES,
        higher_is_better=False,
        range=(0.0, probabilities.LONGEST_LOSS),
        unit="nat",
        estimate=probabilities.log_loss,
        floor=_log_loss_floor,
    ),
    Metric(
        "brier_score",
        _CLASSES,
        Needs.SCORES,
        higher_is_better=False,
        range=(0.0, 2.0),
        unit="1",
        estimate=probabilities.brier_score,
        floor=_brier_floor,
    ),
    Metric("rmse", _VALUES, Needs.VALUES, False, (0.0, math.inf), regression.UNIT, regression.rmse, _rmse_floor),  # noqa: FBT003
    Metric("mae", _VALUES, Needs.VALUES, False, (0.0, math.inf), regression.UNIT, regression.mae, _mae_floor),  # noqa: FBT003
    Metric("r2", _VALUES, Needs.VALUES, True, (-math.inf, 1.0), "1", regression.r2, _r2_floor),  # noqa: FBT003
)
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


def metric_for(name: str, sample: Sample) -> Metric:
    """Return the metric ``name``, where it can be measured on ``sample``.

    Raises:
        MeasurementError: no such metric, or not for this task.
        InconclusiveError: all rows are of one class, so that a constant answer cannot be told from a good model.
    """
    metric = METRICS.get(name)
    if metric is None:
        raise MeasurementError(f"the metric {name!r}", f"one of {', '.join(METRICS)}")
    if sample.task not in metric.tasks:
        fitting = ", ".join(each.name for each in METRICS.values() if sample.task in each.tasks)
        raise MeasurementError(f"{name} of a {sample.task} model", f"one of {fitting}")
    if sample.true_codes is not None and int(sample.true_codes.min()) == int(sample.true_codes.max()):
        raise InconclusiveError(
            f"{name} is undefined: all {len(sample)} rows are of the class {sample.y_true[0]!r}",
            "rows of at least two classes",
            "judge more rows, or a wider slice",
        )
    return metric


def measure(name: str, sample: Sample, *, confidence: float = 0.95, seed: int = 0) -> Estimate:  # noqa: ARG001
    """Measure one metric.

    Args:
        name: a key of ``METRICS``.
        sample: truth and predictions of the same rows.
        confidence: two-sided level of the interval, strictly between 0 and 1.
        seed: shared with the paired comparisons; none of these intervals resamples.

    Returns:
        The value with its interval; ``low`` and ``high`` are None only where a metric without an upper bound came out
        the same in every row (a perfect regression, a single row).

    Raises:
        InconclusiveError: the metric is undefined on these rows.
        MeasurementError: what the metric needs is not there, or the result is not finite.
    """
    metric = metric_for(name, sample)
    with np.errstate(over="ignore", invalid="ignore"):
        estimate = metric.estimate(sample, confidence)
    _demand_finite(name, estimate.value, estimate.low, estimate.high)
    return estimate


def no_skill(name: str, sample: Sample) -> float:
    """Return what an answer that never looks at the features reaches on the same rows; a model has to beat it.

    The commonest class for accuracy, the mean for RMSE and R2, the median for MAE, the classes' shares for log loss and
    the Brier score, 0.5 for the ROC AUC. Precision: the share of positives. F1: always answering "positive". Recall:
    the share that the model itself selects. Multiclass precision, recall and F1: 1 / classes.

    Raises:
        InconclusiveError: the metric is undefined on these rows.
        MeasurementError: as for ``measure``.
    """
    metric = metric_for(name, sample)
    with np.errstate(over="ignore", invalid="ignore"):
        floor = metric.floor(sample)
    _demand_finite(name, floor)
    return floor


def _demand_finite(name: str, *values: float | None) -> None:
    if not all(value is None or math.isfinite(value) for value in values):
        raise MeasurementError(f"{name} is not finite", "values whose squares fit a float", "rescale the target")
