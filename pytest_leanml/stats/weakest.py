"""The slices a model is worst at: looked for on one half of the rows, measured on the other.

The slice that looks worst among thousands looks worse than it is. So the search sees a random half of the rows, and
what is told comes from the other half, which had no say in the choice (sample splitting; Cox 1975, Biometrika 62,
441-444). Only the few slices that were chosen are left to allow for, by Bonferroni.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.classification import wrong_rows
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.probabilities import brier_rows, log_loss_rows
from pytest_leanml.stats.quality import METRICS, measure, metric_for
from pytest_leanml.stats.regression import mape_rows, pinball_rows, residuals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray, Sample

# The most rows that the search looks at: where a metric is a mean over rows, and where each slice is measured anew.
MOST_ROWS = {True: 200_000, False: 20_000}
REPORTED = 5
ONE_SIGMA = 0.6827
_ROWS: Mapping[str, Callable[..., FloatArray]] = {
    "accuracy": wrong_rows,
    "log_loss": log_loss_rows,
    "brier_score": brier_rows,
    "mae": lambda sample: np.abs(residuals(sample)),
    "rmse": lambda sample: residuals(sample) ** 2,
    "mape": mape_rows,
    "pinball_loss": lambda sample, alpha=0.5: pinball_rows(residuals(sample), alpha),
}


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """One column, cut into levels.

    Attributes:
        codes: shape (n,), the level of each row.
        names: of the levels, such as "origin = JFK".
    """

    codes: IntArray
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched for.

    Attributes:
        metric: a key of ``METRICS``.
        options: its settings.
        confidence: two-sided level.
        min_rows: rows that a slice must have in either half.
        report: slices that are chosen.
        pairs: whether pairs of columns are searched too.
        seed: of the split.
    """

    metric: str
    options: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 0.95
    min_rows: int = 30
    report: int = REPORTED
    pairs: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A slice: how bad it surely is, the columns it is cut by, and its level of them."""

    badness: float
    columns: tuple[str, ...]
    code: int


def weakest_slice(sample: Sample, columns: Mapping[str, Levels], asked: Asked) -> Estimate:
    """Find the slices on which the metric is worst, and measure it there on rows that the search did not see.

    A slice is a level of a column, or of two columns together. Those looked at are ordered by the metric's limit at one
    standard error on its good side, so that few rows do not make a slice look bad; the worst of them are measured.

    Args:
        sample: truth and answers.
        columns: name -> levels of the same rows.
        asked: what is searched for.

    Returns:
        The worst of the slices measured. ``by`` holds each of them with limits that hold at once; the interval is that
        of the worst of them: from the worst to the best of their ends. Details: ``searched`` slices, ``undefined`` of
        those that were chosen, ``overall``, the metric over all rows.

    Raises:
        InconclusiveError: no slice has enough rows in both halves, or the metric is undefined on all that were chosen.
        MeasurementError: no such metric, or settings that cannot be.
    """
    metric = metric_for(asked.metric, sample)
    _demand_asked(asked, sample, columns)
    overall = measure(asked.metric, sample, options=asked.options).value
    half = np.random.default_rng(asked.seed).permutation(len(sample)) % 2 == 0
    found = list(_searched(sample, columns, asked, half))
    if not found:
        raise InconclusiveError(
            f"no slice of {len(columns)} columns has {asked.min_rows} rows in either half of {len(sample)} rows",
            "columns with levels of at least twice `data.min_group` rows",
            "name coarser columns, or judge more rows",
        )
    chosen = sorted(found, key=lambda each: -each.badness)[: asked.report]
    measured, undefined = _measured(sample, columns, chosen, asked, half)
    details = {"searched": float(len(found)), "undefined": float(undefined), "overall": overall}
    worst = _worst(measured, higher=metric.higher_is_better, confidence=asked.confidence)
    return replace(worst, details=details)


def _demand_asked(asked: Asked, sample: Sample, columns: Mapping[str, Levels]) -> None:
    if asked.report < 1 or asked.min_rows < 1 or not columns:
        raise MeasurementError(
            f"{len(columns)} columns, report {asked.report}, at least {asked.min_rows} rows",
            "a column or more, and whole numbers above 0",
        )
    for name, each in columns.items():
        if len(each.codes) != len(sample):
            raise MeasurementError(f"{len(each.codes)} rows of {name}", f"{len(sample)} rows like the sample")


def _searched(sample: Sample, columns: Mapping[str, Levels], asked: Asked, half: BoolArray) -> Iterator[_Found]:
    """Yield every slice that is large enough in both halves and on which the metric is defined."""
    rows = np.flatnonzero(half)
    most = MOST_ROWS[asked.metric in _ROWS]
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(asked.seed).choice(rows, most, replace=False))
    rate = (_mean_rater if asked.metric in _ROWS else _rater)(sample.take(rows), asked)
    pairs = combinations(columns, 2) if asked.pairs else ()
    for names in [*((name,) for name in columns), *pairs]:
        codes, levels = _cut(columns, names)
        others, sizes = np.bincount(codes[~half], minlength=levels), np.bincount(codes[rows], minlength=levels)
        whole = np.bincount(codes, minlength=levels) == len(codes)
        fits = (sizes >= asked.min_rows) & (others >= asked.min_rows) & ~whole
        bad = rate(codes[rows], fits)
        for code in np.flatnonzero(fits & np.isfinite(bad)).tolist():
            yield _Found(float(bad[code]), names, code)


def _cut(columns: Mapping[str, Levels], names: tuple[str, ...]) -> tuple[IntArray, int]:
    """Return the code of each row by one column or two, and how many codes there can be."""
    first = columns[names[0]]
    if len(names) == 1:
        return first.codes, len(first.names)
    other = columns[names[1]]
    return first.codes * len(other.names) + other.codes, len(first.names) * len(other.names)


def _name(columns: Mapping[str, Levels], found: _Found) -> str:
    if len(found.columns) == 1:
        return columns[found.columns[0]].names[found.code]
    first, other = (columns[name].names for name in found.columns)
    return f"{first[found.code // len(other)]} & {other[found.code % len(other)]}"


def _mean_rater(sample: Sample, asked: Asked) -> Callable[[IntArray, BoolArray], FloatArray]:
    """Rate all slices at once by sums: the mean loss of the rows, less its standard error."""
    losses = _ROWS[asked.metric](sample, **asked.options)
    weights = np.ones(len(losses)) if sample.weights is None else sample.weights

    def rate(codes: IntArray, fits: BoolArray) -> FloatArray:
        def sums(values: FloatArray) -> FloatArray:
            return np.asarray(np.bincount(codes, weights=values, minlength=len(fits)))

        total = sums(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = sums(weights * losses) / total
            variance = sums(weights * losses**2) / total - mean**2
            error = np.sqrt(np.maximum(variance, 0) * sums(weights**2)) / total
        return np.asarray(mean - error)

    return rate


def _rater(sample: Sample, asked: Asked) -> Callable[[IntArray, BoolArray], FloatArray]:
    """Rate slice by slice: the good end of the metric's interval at one standard error, turned so that more is worse."""
    higher = METRICS[asked.metric].higher_is_better

    def one(rows: IntArray) -> float:
        try:
            found = _estimate(sample.take(rows), asked, ONE_SIGMA)
        except InconclusiveError:
            return math.nan
        end = found.high if higher else found.low
        return (-1 if higher else 1) * (found.value if end is None else end)

    def rate(codes: IntArray, fits: BoolArray) -> FloatArray:
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(len(fits) + 1))
        bad = np.full(len(fits), math.nan)
        for code in np.flatnonzero(fits).tolist():
            bad[code] = one(order[ends[code] : ends[code + 1]])
        return bad

    return rate


def _estimate(sample: Sample, asked: Asked, confidence: float) -> Estimate:
    """Measure the metric in a slice; a mean over rows also where all of them are of one class."""
    if asked.metric in _ROWS:
        return METRICS[asked.metric].estimate(sample.counted(), confidence, **asked.options)
    return measure(asked.metric, sample, confidence=confidence, options=asked.options)


def _measured(
    sample: Sample, columns: Mapping[str, Levels], chosen: list[_Found], asked: Asked, half: BoolArray
) -> tuple[dict[str, Estimate], int]:
    """Return the slices' estimates on the other half, with limits that hold at once, and how many are undefined."""
    level = 1 - (1 - asked.confidence) / len(chosen)
    measured: dict[str, Estimate] = {}
    for each in chosen:
        rows = np.flatnonzero((_cut(columns, each.columns)[0] == each.code) & ~half)
        try:
            measured[_label(_name(columns, each), measured)] = _estimate(sample.take(rows), asked, level)
        except InconclusiveError:
            continue
    if not measured:
        raise InconclusiveError(
            f"{asked.metric} is undefined on each of the {len(chosen)} slices that look worst",
            "slices on which it is defined",
            "search by a metric of rows, such as accuracy or log_loss, or name coarser columns",
        )
    return measured, len(chosen) - len(measured)


def _label(name: str, taken: Mapping[str, Estimate]) -> str:
    """Return a name that no other slice has: two values may read the same, and neither slice may hide the other."""
    again = sum(each == name or each.startswith(f"{name} #") for each in taken)
    return f"{name} #{again + 1}" if again else name


def _worst(measured: Mapping[str, Estimate], *, higher: bool, confidence: float) -> Estimate:
    end = min if higher else max
    worst = end(measured.values(), key=lambda each: each.value)
    lows = [each.low for each in measured.values() if each.low is not None]
    highs = [each.high for each in measured.values() if each.high is not None]
    sure = len(lows) == len(highs) == len(measured)
    return replace(
        worst,
        low=end(lows) if sure else None,
        high=end(highs) if sure else None,
        interval=f"{worst.interval}, worst of {len(measured)}" if sure else None,
        confidence=confidence,
        by={name: Part(each.value, each.n, each.low, each.high) for name, each in measured.items()},
    )
