"""How differently a model treats groups: rates per group, one number for the gap, and an interval that is valid for it.

The gap is a largest minus a smallest, so that a bootstrap of it is biased upwards and covers nothing where the groups
are equal. The intervals here start from all pairwise comparisons at once (Tukey's critical value, Newcombe's or Donner
and Zou's combination of Wilson limits): the limits of the largest pair then hold for the largest true pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.intervals import critical, critical_pairs, mover_mean, mover_ratio, newcombe, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray

PAIR = 2


@dataclass(frozen=True, slots=True)
class FairnessMetric:
    """One fairness metric.

    Attributes:
        name: as in ``leanml.yaml``.
        needs_labels: whether it compares with the truth.
        unit: "1", a share or a ratio of shares.
        higher_is_fairer: its orientation.
    """

    name: str
    needs_labels: bool
    unit: str
    higher_is_fairer: bool


FAIRNESS: Mapping[str, FairnessMetric] = MappingProxyType(
    {
        name: FairnessMetric(name, needs_labels, "1", higher_is_fairer)
        for name, needs_labels, higher_is_fairer in (
            ("demographic_parity_difference", False, False),
            ("demographic_parity_ratio", False, True),
            ("demographic_parity_deviation", False, False),
            ("equalized_odds_difference", True, False),
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """To which group each row belongs.

    Attributes:
        codes: shape (n,), positions in ``names``.
        names: of the k groups.
    """

    codes: IntArray
    names: tuple[str, ...]


def grouping(values: npt.ArrayLike) -> Grouping:
    """Number the groups of ``values`` in the order of their names.

    Args:
        values: shape (n,); each becomes its text. Join the columns of an intersection first.

    Raises:
        MeasurementError: a row has no group: None, NaN or an empty text.
    """
    seen: dict[Any, int] = {}
    rows = np.asarray(values).tolist()
    codes = np.fromiter((seen.setdefault(each, len(seen)) for each in rows), dtype=np.intp, count=len(rows))
    missing = [code for value, code in seen.items() if value is None or value != value or value == ""]  # noqa: PLR0124
    if missing:
        raise MeasurementError(
            f"{int(np.isin(codes, missing).sum())} of {len(rows)} rows belong to no group",
            "a group for every row",
            "give the unknown ones a group of their own: leaving them out would hide how they fare",
        )
    names = sorted({str(value) for value in seen})
    place = {name: code for code, name in enumerate(names)}
    order = np.asarray([place[str(value)] for value in seen], dtype=np.intp)
    return Grouping(order[codes] if len(rows) else codes, tuple(names))


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Of each group: how many of ``trials`` rows were selected; arrays of shape (k,)."""

    names: tuple[str, ...]
    selected: IntArray
    trials: IntArray

    @property
    def values(self) -> FloatArray:
        """The share selected; shape (k,)."""
        return np.asarray(self.selected / self.trials)

    def limits(self, z: float) -> tuple[FloatArray, FloatArray]:
        """Wilson's limits of each rate."""
        return wilson(self.selected, self.trials, z)

    def parts(self, confidence: float) -> dict[str, Part]:
        """Each group's rate with its own Wilson interval."""
        low, high = self.limits(critical(confidence))
        columns = zip(self.names, self.values.tolist(), self.trials.tolist(), low.tolist(), high.tolist(), strict=True)
        return {name: Part(value, n, lower, upper) for name, value, n, lower, upper in columns}


def measure_fairness(  # noqa: PLR0913 - the arrays of one question
    name: str,
    *,
    selected: BoolArray,
    y_true: BoolArray | None,
    groups: npt.ArrayLike | Grouping,
    confidence: float = 0.95,
    min_group: int = 30,
) -> Estimate:
    """Measure one fairness metric over the groups.

    * ``demographic_parity_difference``: largest minus smallest share selected.
    * ``demographic_parity_ratio``: smallest over largest share selected.
    * ``demographic_parity_deviation``: standard deviation of the groups' shares (k - 1 in the denominator, as pandas
      has it) over their plain mean.
    * ``equalized_odds_difference``: the larger of the same difference among the truly positive and among the truly
      negative rows (Hardt, Price and Srebro 2016); ``by`` shows the side with the larger one.

    The first, second and fourth as fairlearn defines them.

    Args:
        name: a key of ``FAIRNESS``.
        selected: shape (n,), rows predicted positive.
        y_true: shape (n,), rows truly positive; None where the metric does not need it.
        groups: shape (n,), a name for each row; or their Grouping, which is faster when asked for twice.
        confidence: two-sided level of the interval, which holds for all the groups together.
        min_group: a rate that rests on fewer rows is not compared.

    Raises:
        InconclusiveError: one group only; a rate that rests on too few rows; nobody was selected.
        MeasurementError: unequal lengths, missing labels, no such metric.
    """
    metric = FAIRNESS.get(name)
    if metric is None:
        raise MeasurementError(f"the fairness metric {name!r}", f"one of {', '.join(FAIRNESS)}")
    cube, names = _cube(selected, y_true if metric.needs_labels else None, groups, metric)
    if len(names) < PAIR:
        raise InconclusiveError(
            f"{name} is undefined: one group only ({names[0]!r})" if names else f"{name} is undefined: no rows",
            "at least two groups",
            "judge rows of more groups, or name another sensitive attribute",
        )
    if not cube[..., 1].any():
        raise InconclusiveError(
            f"{name} is undefined: not one of {int(cube.sum())} rows was selected", "some rows predicted positive"
        )
    sides = [_rates(names, cube[:, side], what, min_group) for side, what in _sides(metric)]
    return _ESTIMATORS[name](sides, confidence)


def _sides(metric: FairnessMetric) -> tuple[tuple[int, str], ...]:
    return ((1, "truly positive rows"), (0, "truly negative rows")) if metric.needs_labels else ((0, "rows"),)


def _cube(
    selected: BoolArray, y_true: BoolArray | None, groups: npt.ArrayLike | Grouping, metric: FairnessMetric
) -> tuple[IntArray, tuple[str, ...]]:
    """Count rows by (group, truth, selected), in one pass; shape (k, 2, 2), the truth 0 where it is not needed."""
    if metric.needs_labels and y_true is None:
        raise MeasurementError(f"{metric.name} without y_true", "the true labels")
    grouped = groups if isinstance(groups, Grouping) else grouping(groups)
    chosen = _flags(selected, "selected", len(grouped.codes))
    code = grouped.codes * 4 + chosen
    if y_true is not None:
        code += 2 * _flags(y_true, "y_true", len(chosen))
    k = len(grouped.names)
    cube = np.bincount(code, minlength=4 * k).reshape(k, 2, 2)
    # A Grouping of the whole table may name groups that a slice of it has not.
    met = np.flatnonzero(cube.sum(axis=(1, 2)))
    return cube[met], tuple(grouped.names[each] for each in met)


def _flags(values: BoolArray, name: str, rows: int) -> BoolArray:
    flags = np.asarray(values)
    if flags.dtype != np.bool_ or flags.shape != (rows,):
        raise MeasurementError(f"{name}: {flags.dtype} of the shape {flags.shape}", f"{rows} booleans")
    return flags


def _rates(names: tuple[str, ...], table: IntArray, what: str, min_group: int) -> Rates:
    """Return the rates of a (k, 2) table of rows left out and rows selected."""
    trials = table.sum(axis=1)
    demanded = max(min_group, 1)
    small = [f"{name!r} has {n}" for name, n in zip(names, trials.tolist(), strict=True) if n < demanded]
    if small:
        raise InconclusiveError(
            f"too few {what} to compare: {', '.join(small)}",
            f"at least {demanded} in every group (data.min_group)",
            "judge more rows, or join small groups",
        )
    return Rates(names, table[:, 1], trials)


def _difference(sides: list[Rates], confidence: float) -> Estimate:
    rates = sides[0]
    value, limits = _gap(rates, confidence)
    return _estimate(value, limits, _pairs("newcombe", rates), rates, confidence)


def _gap(rates: Rates, confidence: float) -> tuple[float, Limits]:
    """Return largest minus smallest rate with limits from all pairwise differences at once."""
    low, high = _pairwise(rates, confidence)
    values = rates.values
    return float(values.max() - values.min()), (max(float(low.max()), 0.0), float(high.max()))


def _pairwise(rates: Rates, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Return limits of every difference between two groups, which hold together; the diagonal is 0."""
    low, high = newcombe(rates.values, *rates.limits(critical_pairs(confidence, len(rates.names))))
    np.fill_diagonal(low, 0.0)
    np.fill_diagonal(high, 0.0)
    return low, high


def _ratio(sides: list[Rates], confidence: float) -> Estimate:
    rates = sides[0]
    value = float(rates.values.min() / rates.values.max())
    return _estimate(value, _ratio_limits(rates, confidence), _pairs("mover-ratio", rates), rates, confidence)


def _ratio_limits(rates: Rates, confidence: float) -> Limits:
    """Return limits of smallest over largest rate from all pairwise ratios at once."""
    low, high = mover_ratio(rates.values, *rates.limits(critical_pairs(confidence, len(rates.names))))
    np.fill_diagonal(low, 1.0)
    np.fill_diagonal(high, 1.0)
    return float(low.min()), float(high.min())


def _deviation(sides: list[Rates], confidence: float) -> Estimate:
    """Return standard deviation over mean.

    Two groups: with the ratio r of their rates it is sqrt(2) (1 - r) / (1 + r), and so are its limits. More: the
    squared deviation is the sum of the squared pairwise differences over k (k - 1), each at its limit, and the mean at
    its own; each of the two holds with half the doubt.
    """
    rates = sides[0]
    k, values = len(rates.names), rates.values
    value = float(values.std(ddof=1) / values.mean())
    if k == PAIR:
        low, high = (math.sqrt(2) * (1 - r) / (1 + r) for r in _ratio_limits(rates, confidence))
        return _estimate(value, (high, low), "mover-ratio", rates, confidence)
    halved = (1 + confidence) / 2
    lows, highs = _pairwise(rates, halved)
    mean_low, mean_high = mover_mean(values, *rates.limits(critical(halved)))
    # Each pair stands twice in the matrix, once with either sign.
    least = math.sqrt(float((np.maximum(lows, 0.0) ** 2).sum()) / (k * (k - 1)))
    most = math.sqrt(float((np.maximum(np.abs(lows), np.abs(highs)) ** 2).sum()) / (2 * k * (k - 1)))
    # No deviation of k rates exceeds sqrt(k) of their mean: one group takes all.
    return _estimate(
        value, (least / mean_high, min(most / mean_low, math.sqrt(k))), "newcombe-tukey", rates, confidence
    )


def _odds(sides: list[Rates], confidence: float) -> Estimate:
    """Return the larger of the two gaps; they rest on different rows, so each holds with the root of the confidence."""
    gaps = [_gap(rates, math.sqrt(confidence)) for rates in sides]
    worse = int(gaps[1][0] > gaps[0][0])
    limits = (max(low for _, (low, _) in gaps), max(high for _, (_, high) in gaps))
    details = {"true_positive_rate_difference": gaps[0][0], "false_positive_rate_difference": gaps[1][0]}
    estimate = _estimate(gaps[worse][0], limits, _pairs("newcombe", sides[worse]), sides[worse], confidence)
    n = sum(int(rates.trials.sum()) for rates in sides)
    return Estimate(estimate.value, n, *limits, estimate.interval, confidence, by=estimate.by, details=details)


def _pairs(method: str, rates: Rates) -> str:
    return method if len(rates.names) == PAIR else f"{method}-tukey"


def _estimate(value: float, limits: Limits, method: str, rates: Rates, confidence: float) -> Estimate:
    return Estimate(
        value, int(rates.trials.sum()), limits[0], limits[1], method, confidence, by=rates.parts(confidence)
    )


_ESTIMATORS: Mapping[str, Callable[[list[Rates], float], Estimate]] = MappingProxyType(
    {
        "demographic_parity_difference": _difference,
        "demographic_parity_ratio": _ratio,
        "demographic_parity_deviation": _deviation,
        "equalized_odds_difference": _odds,
    }
)
