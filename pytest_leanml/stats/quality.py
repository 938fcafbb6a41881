"""The quality metrics by name: value, interval, and what a blind answer would reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import averages, calibration, classification, costs, probabilities, ranking, regression
from pytest_leanml.stats.moments import effective, mean_of
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
        unit: "1" for a share, "nat" for log loss, "cost", else "target".
        estimate: (sample, confidence, **options) -> Estimate.
        floor: (sample, **options) -> what is reached without looking at the features; None where a blind answer is
            as good as any, as in calibration.
        options: what ``method`` and ``params`` may set.
        shared: the options that the floor needs too.
    """

    name: str
    tasks: frozenset[Task]
    needs: Needs
    higher_is_better: bool
    range: tuple[float, float]
    unit: str
    estimate: Callable[..., Estimate] = field(repr=False)
    floor: Callable[..., float] | None = field(repr=False)
    options: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()


def _half(_: Sample) -> float:
    return 0.5


def _zero(_: Sample) -> float:
    return 0.0


def _log_loss_floor(sample: Sample) -> float:
    return mean_of(probabilities.log_loss_rows(probabilities.prior_sample(sample)), sample.weights)


def _brier_floor(sample: Sample) -> float:
    return mean_of(probabilities.brier_rows(probabilities.prior_sample(sample)), sample.weights)


_BINARY = frozenset({Task.BINARY})
_MULTICLASS = frozenset({Task.MULTICLASS})
_CLASSES = _BINARY | _MULTICLASS
_SHARE, _SIGNED, _AMOUNT = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)
_AVERAGED = frozenset({"method"})
_BINNED = frozenset({"bins", "method"})
_COSTS = frozenset({"false_positive", "false_negative", "true_positive", "true_negative", "costs"})


def _of(  # noqa: PLR0913 - a row of the table below
    name: str,
    estimate: Callable[..., Estimate],
    floor: Callable[..., float] | None,
    *,
    needs: Needs = Needs.LABELS,
    tasks: frozenset[Task] = _CLASSES,
    better: str = "higher",
    range: tuple[float, float] = _SHARE,  # noqa: A002 - the attribute's name
    unit: str = "1",
    options: frozenset[str] = frozenset(),
    shared: frozenset[str] = frozenset(),
) -> Metric:
    return Metric(name, tasks, needs, better == "higher", range, unit, estimate, floor, options, shared)


def _value(name: str, estimate: Callable[..., Estimate], floor: Callable[..., float], **more: Any) -> Metric:
    """Return a metric of predicted values, in the target's unit and better when lower where nothing else is said."""
    return _of(
        name,
        estimate,
        floor,
        **{
            "needs": Needs.VALUES,
            "tasks": frozenset({Task.REGRESSION}),
            "better": "lower",
            "range": _AMOUNT,
            "unit": regression.UNIT,
            **more,
        },
    )


def _chance(name: str, estimate: Callable[..., Estimate], floor: Callable[..., float] | None, **more: Any) -> Metric:
    return _of(name, estimate, floor, needs=Needs.SCORES, **more)


_ALL = (
    _of("accuracy", classification.accuracy, classification.accuracy_floor),
    _of("balanced_accuracy", classification.balanced_accuracy, classification.balanced_floor),
    _of("precision", classification.precision, classification.precision_floor, options=_AVERAGED, shared=_AVERAGED),
    _of("recall", classification.recall, classification.recall_floor, options=_AVERAGED, shared=_AVERAGED),
    _of("specificity", classification.specificity, classification.specificity_floor, tasks=_BINARY),
    _of(
        "negative_predictive_value",
        classification.negative_predictive_value,
        classification.negative_floor,
        tasks=_BINARY,
    ),
    _of("f1_score", classification.f1_score, classification.f1_floor, options=_AVERAGED, shared=_AVERAGED),
    _of("matthews_corrcoef", averages.matthews_corrcoef, _zero, range=_SIGNED),
    _of("cohen_kappa", averages.cohen_kappa, _zero, range=_SIGNED),
    _of(
        "cost",
        costs.cost,
        costs.cost_floor,
        better="lower",
        range=(-math.inf, math.inf),
        unit=costs.UNIT,
        options=_COSTS,
        shared=_COSTS,
    ),
    _chance("roc_auc", probabilities.roc_auc, _half),
    _chance("average_precision", ranking.average_precision, ranking.average_precision_floor),
    _chance(
        "top_k_accuracy",
        ranking.top_k_accuracy,
        ranking.top_k_floor,
        tasks=_MULTICLASS,
        options=frozenset({"k"}),
        shared=frozenset({"k"}),
    ),
    _chance(
        "log_loss",
        probabilities.log_loss,
        _log_loss_floor,
        better="lower",
        range=(0.0, probabilities.LONGEST_LOSS),
        unit="nat",
    ),
    _chance("brier_score", probabilities.brier_score, _brier_floor, better="lower", range=(0.0, 2.0)),
    _chance("calibration_error", calibration.calibration_error, None, better="lower", options=_BINNED),
    _chance("brier_reliability", calibration.brier_reliability, None, better="lower", tasks=_BINARY, options=_BINNED),
    _chance("brier_resolution", calibration.brier_resolution, _zero, tasks=_BINARY, options=_BINNED),
    _value("rmse", regression.rmse, regression.rmse_floor),
    _value("mae", regression.mae, regression.mae_floor),
    _value("mape", regression.mape, regression.mape_floor, unit="1"),
    _value("median_absolute_error", regression.median_absolute_error, regression.median_error_floor),
    _value(
        "pinball_loss",
        regression.pinball_loss,
        regression.pinball_floor,
        options=frozenset({"alpha"}),
        shared=frozenset({"alpha"}),
    ),
    _value("max_error", regression.max_error, regression.max_error_floor),
    _value("r2", regression.r2, _zero, better="higher", range=(-math.inf, 1.0), unit="1"),
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
    code = 0 if sample.true_codes is None else int(sample.true_codes[0])
    if sample.true_codes is not None and bool((sample.true_codes == code).all()):
        raise InconclusiveError(
            f"{name} is undefined: all {len(sample)} rows are of the class {sample.classes[code]!r}",
            "rows of at least two classes",
            "judge more rows, or a wider slice",
        )
    return metric


def measure(
    name: str,
    sample: Sample,
    *,
    confidence: float = 0.95,
    seed: int = 0,  # noqa: ARG001 - shared with the paired comparisons
    options: Mapping[str, Any] | None = None,
) -> Estimate:
    """Measure one metric.

    Args:
        name: a key of ``METRICS``.
        sample: truth and predictions of the same rows; those of weight 0 do not count.
        confidence: two-sided level of the interval, strictly between 0 and 1.
        seed: shared with the paired comparisons; none of these intervals depends on it.
        options: settings among the metric's ``options``.

    Returns:
        The value with its interval; ``low`` and ``high`` are None only where a metric without an upper bound came out
        the same in every row (a perfect regression, a single row), and for ``max_error``. With weights the interval
        rests on the effective sample size, which the details name.

    Raises:
        InconclusiveError: the metric is undefined on these rows.
        MeasurementError: what the metric needs is not there, an option that it has not, or the result is not finite.
    """
    sample = sample.counted()
    metric = metric_for(name, sample)
    with np.errstate(over="ignore", invalid="ignore"):
        estimate = metric.estimate(sample, confidence, **_options(metric, options))
    _demand_finite(name, estimate.value, estimate.low, estimate.high)
    return estimate if sample.weights is None else _with_effective(estimate, sample)


def no_skill(name: str, sample: Sample, *, options: Mapping[str, Any] | None = None) -> float:
    """Return what an answer that never looks at the features reaches on the same rows; a model has to beat it.

    The commonest class for accuracy, the mean for RMSE and R2, the median for MAE, the classes' shares for log loss and
    the Brier score, 0.5 for the ROC AUC, the share of positives for average precision and precision. F1: always
    answering "positive". Recall: the share that the model itself selects. Multiclass precision, recall and F1:
    1 / classes. The cheapest constant answer for a cost.

    Raises:
        InconclusiveError: the metric is undefined on these rows.
        MeasurementError: as for ``measure``, or a metric for which a blind answer is as good as any.
    """
    sample = sample.counted()
    metric = metric_for(name, sample)
    if metric.floor is None:
        raise MeasurementError(f"no skill in {name}", "a metric that a blind answer does badly at")
    known = {key: value for key, value in _options(metric, options).items() if key in metric.shared}
    with np.errstate(over="ignore", invalid="ignore"):
        floor = metric.floor(sample, **known)
    _demand_finite(name, floor)
    return floor


def _options(metric: Metric, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    strange = sorted(set(options or {}) - metric.options)
    if strange:
        known = f"one of {', '.join(sorted(metric.options))}" if metric.options else "none"
        raise MeasurementError(f"the setting {strange[0]!r} of {metric.name}", known, "remove it")
    return options or {}


def _with_effective(estimate: Estimate, sample: Sample) -> Estimate:
    rows = effective(sample.weights, len(sample))
    return replace(estimate, details={**estimate.details, "effective_rows": rows})


def _demand_finite(name: str, *values: float | None) -> None:
    if not all(value is None or math.isfinite(value) for value in values):
        raise MeasurementError(f"{name} is not finite", "values whose squares fit a float", "rescale the target")
