"""How differently a model treats groups: which rates are compared how, one number for the gap, and its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.group_gaps import (
    PAIR,
    deviation,
    difference,
    difference_to_overall,
    ratio,
    ratio_to_overall,
)
from pytest_leanml.stats.group_rates import RATES, Grouping, count_groups, grouping, rates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from pytest_leanml.stats.group_gaps import Gap
    from pytest_leanml.stats.group_rates import GroupCounts, Rates, Tally
    from pytest_leanml.stats.samples import BoolArray

BETWEEN, OVERALL = "between_groups", "to_overall"
METHODS = (BETWEEN, OVERALL)
MOST_GROUPS = 1000
ODDS = ("true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, slots=True)
class FairnessMetric:
    """One fairness metric.

    Attributes:
        name: as in ``leanml.yaml``.
        rates: which rates are compared; of two, the worse gap counts.
        gap: difference, ratio or deviation.
    """

    name: str
    rates: tuple[str, ...]
    gap: str

    @property
    def needs_labels(self) -> bool:
        """Whether it compares with the truth."""
        return self.rates != ("selection_rate",)

    @property
    def higher_is_fairer(self) -> bool:
        """Its orientation."""
        return self.gap == "ratio"

    @property
    def methods(self) -> tuple[str, ...]:
        """What may be compared with what; a deviation is about all groups at once."""
        return () if self.gap == "deviation" else METHODS


_COMPARED: Mapping[str, tuple[str, ...]] = {
    "demographic_parity": ("selection_rate",),
    "selection_rate": ("selection_rate",),
    "true_positive_rate": ("true_positive_rate",),
    "true_negative_rate": ("true_negative_rate",),
    "false_positive_rate": ("false_positive_rate",),
    "false_negative_rate": ("false_negative_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ODDS,
    "predictive_parity": ("precision",),
    "accuracy": ("accuracy",),
    "error_rate": ("error_rate",),
}

FAIRNESS: Mapping[str, FairnessMetric] = MappingProxyType(
    {
        **{
            f"{name}_{gap}": FairnessMetric(f"{name}_{gap}", rates, gap)
            for name, rates in _COMPARED.items()
            for gap in ("difference", "ratio")
        },
        "demographic_parity_deviation": FairnessMetric(
            "demographic_parity_deviation", ("selection_rate",), "deviation"
        ),
    }
)


def measure_fairness(  # noqa: PLR0913 - the arrays of one question
    name: str,
    *,
    selected: BoolArray,
    y_true: BoolArray | None,
    groups: npt.ArrayLike | Grouping,
    weights: npt.ArrayLike | None = None,
    method: str = BETWEEN,
    confidence: float = 0.95,
    min_group: int = 30,
) -> Estimate:
    """Measure one fairness metric over the groups; see ``measure_gap``, which counts can be handed to at once.

    Args:
        name: a key of ``FAIRNESS``.
        selected: shape (n,), rows predicted positive.
        y_true: shape (n,), rows truly positive; None where the metric does not need it.
        groups: shape (n,), a name for each row; or their Grouping.
        weights: shape (n,), what each row counts; None for all the same.
        method: between_groups or to_overall.
        confidence: two-sided level of the interval, which holds for all the groups together.
        min_group: a rate that rests on fewer rows is not compared.

    Raises:
        InconclusiveError: one group only; a rate that rests on too few rows; nobody was selected.
        MeasurementError: unequal lengths, missing labels, no such metric.
    """
    if known(name).needs_labels and y_true is None:
        raise MeasurementError(f"{name} without y_true", "the true labels")
    found = groups if isinstance(groups, Grouping) else grouping(groups)
    counts = count_groups(selected, y_true, found, weights)
    return measure_gap(name, counts, method=method, confidence=confidence, min_group=min_group)


def measure_gap(
    name: str, counts: GroupCounts, *, method: str = BETWEEN, confidence: float = 0.95, min_group: int = 30
) -> Estimate:
    """Measure one fairness metric on rows counted by group, truth and prediction.

    A ``..._difference`` is the largest minus the smallest rate, a ``..._ratio`` the smallest over the largest; measured
    ``to_overall`` they are the largest distance from the rate of all rows, and the smallest ratio to it, turned to be
    at most 1. ``equalized_odds_...`` is the worse of the true and the false positive rate (Hardt, Price and Srebro
    2016), and ``by`` shows that one. All of these as fairlearn defines them. ``demographic_parity_deviation`` is the
    standard deviation of the selection rates (k - 1 in the denominator, as pandas has it) over their plain mean.

    Args:
        name: a key of ``FAIRNESS``.
        counts: of ``count_groups``.
        method: between_groups or to_overall.
        confidence: two-sided level of the interval, which holds for all the groups together.
        min_group: a rate that rests on fewer rows is not compared.

    Raises:
        InconclusiveError: one group only, or more than 1000; a rate that rests on too few rows; nobody was selected, or
            a rate is 0 throughout where that is no equal treatment.
        MeasurementError: no such metric or method.
    """
    metric = known(name)
    if method != BETWEEN and method not in metric.methods:
        expected = f"one of {', '.join(metric.methods)}" if metric.methods else "no method: there is one way only"
        raise MeasurementError(f"the method {method!r} of {name}", expected, "correct it")
    demand_groups(name, counts.names)
    if not counts.rows[..., 1].any():
        raise InconclusiveError(
            f"{name} is undefined: not one of {counts.n} rows was selected", "some rows predicted positive"
        )
    sides = {rate: rates_of(counts, rate, min_group) for rate in metric.rates}
    for rate, side in sides.items():
        _demand_some(metric, rate, side)
    if len(sides) == 1:
        return _estimate(metric, sides[metric.rates[0]], method, confidence)
    return _worse(metric, sides, method, confidence)


def known(name: str) -> FairnessMetric:
    """Return a metric by its name.

    Raises:
        MeasurementError: there is none, with the names there are.
    """
    if name not in FAIRNESS:
        raise MeasurementError(f"no fairness metric {name!r}", f"one of {', '.join(FAIRNESS)}", "correct it")
    return FAIRNESS[name]


def demand_groups(name: str, names: tuple[str, ...]) -> None:
    """Refuse one group, and so many that they are no groups.

    Raises:
        InconclusiveError: fewer than two, or more than 1000.
    """
    if len(names) < PAIR:
        raise InconclusiveError(
            f"{name} is undefined: one group only ({names[0]!r})" if names else f"{name} is undefined: no rows",
            "at least two groups",
            "judge rows of more groups, or name another sensitive attribute",
        )
    if len(names) > MOST_GROUPS:
        raise InconclusiveError(
            f"{name}: {len(names)} groups",
            f"at most {MOST_GROUPS}",
            "join them, such as birth dates to bands of age; a column of ids is no sensitive attribute",
        )


def _demand_some(metric: FairnessMetric, rate: str, side: Rates) -> None:
    if side.tally.hits.any():
        return
    words = rate.replace("_", " ")
    if metric.gap == "ratio":
        raise InconclusiveError(
            f"{metric.name} is undefined: the {words} is 0 in every group",
            "a rate above 0 in some group",
            f"measure {metric.name.removesuffix('ratio')}difference instead",
        )
    if RATES[rate].good:
        raise InconclusiveError(
            f"{metric.name} is undefined: the {words} is 0 in every group",
            "a model that gets something right in some group",
            "nothing in every group is no equal treatment: look at the model's answers",
        )


_GAPS: Mapping[tuple[str, str], tuple[Callable[[Tally, float], Gap], str]] = {
    ("difference", BETWEEN): (difference, "newcombe"),
    ("ratio", BETWEEN): (ratio, "mover-ratio"),
    ("difference", OVERALL): (difference_to_overall, "newcombe"),
    ("ratio", OVERALL): (ratio_to_overall, "mover-ratio"),
    ("deviation", BETWEEN): (deviation, "newcombe"),
}


def _estimate(metric: FairnessMetric, rates: Rates, method: str, confidence: float) -> Estimate:
    compute, _ = _GAPS[metric.gap, method]
    value, low, high = (float(each) for each in compute(rates.tally, confidence))
    details = {"overall": rates.overall} if method == OVERALL else {}
    n, interval = int(rates.rows.sum()), _interval(metric, len(rates.names), method)
    return Estimate(value, n, low, high, interval, confidence, by=rates.parts(confidence), details=details)


def _interval(metric: FairnessMetric, groups: int, method: str) -> str:
    if metric.gap == "deviation" and groups == PAIR:
        return "mover-ratio"
    name = _GAPS[metric.gap, method][1]
    return name if groups == PAIR else f"{name}-{'tukey' if method == BETWEEN else 'sidak'}"


def _worse(metric: FairnessMetric, sides: Mapping[str, Rates], method: str, confidence: float) -> Estimate:
    """Return the worse of two gaps; they rest on different rows, so each holds with the root of the confidence."""
    found = {rate: _estimate(metric, each, method, math.sqrt(confidence)) for rate, each in sides.items()}
    pick = min if metric.higher_is_fairer else max
    rate = pick(found, key=lambda each: found[each].value)
    worse = found[rate]
    return Estimate(
        worse.value,
        sum(each.n for each in found.values()),
        pick(float(each.low or 0.0) for each in found.values()),
        pick(float(each.high or 0.0) for each in found.values()),
        worse.interval,
        confidence,
        by=sides[rate].parts(confidence),
        details={**{f"{each}_{metric.gap}": one.value for each, one in found.items()}, **worse.details},
    )
