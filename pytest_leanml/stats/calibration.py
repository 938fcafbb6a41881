"""Whether probabilities mean what they say: reliability in bins, its error, and the parts of the Brier score.

Bins are (low, high], the first one with its lower end, as scikit-learn's ``calibration_curve`` has them; empty ones
count nothing. Binary: the probability of the positive class. Multiclass: the largest probability, and whether that
class is the true one (Guo, Pleiss, Sun and Weinberger 2017, ICML, PMLR 70, 1321-1330).

What is estimated is the binned quantity at the bins' edges, of which the observed one is a biased estimate: noise alone
makes gaps, so that resampling the rows gives an interval around too large a number. The limits here hold whatever the
signs of the true gaps are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.confusion import ratio_limits
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.intervals import critical
from pytest_leanml.stats.moments import effective
from pytest_leanml.stats.probabilities import codes_of, probabilities_of
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import BoolArray, FloatArray, Sample

BINS = 10
MOST_BINS = 100
DRAWS = 4_000
METHODS = ("uniform", "quantile")


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The reliability diagram; all arrays of shape (k,), of the bins that have rows.

    Attributes:
        edges: lower and upper ends, shape (k, 2).
        rows: how many rows there are.
        share: of the weight.
        predicted: mean probability.
        observed: share of rows where it came true.
        error: standard error of ``observed``: half of Wilson's interval over its critical value, at least what the
            mean probability lets expect; never 0.
        low: lower limit of ``observed``, simultaneous over the bins.
        high: upper limit.
        within: what the spread of the probabilities inside the bins adds to the Brier score.
        effective: rows that the weights leave.
        n: all rows.
    """

    edges: FloatArray
    rows: FloatArray
    share: FloatArray
    predicted: FloatArray
    observed: FloatArray
    error: FloatArray
    low: FloatArray
    high: FloatArray
    within: float
    effective: float
    n: int

    @property
    def gap(self) -> FloatArray:
        """Observed minus predicted."""
        return self.observed - self.predicted

    @property
    def rate(self) -> float:
        """Share of rows where it came true."""
        return float(self.share @ self.observed)

    def parts(self) -> dict[str, Part]:
        """Return the points of the diagram, by bin."""
        names = [f"{low:.4g} to {high:.4g}" for low, high in self.edges.tolist()]
        columns = (self.observed, self.rows, self.low, self.high, self.predicted)
        points = zip(*(column.tolist() for column in columns), strict=True)
        return {name: Part(point[0], int(point[1]), *point[2:]) for name, point in zip(names, points, strict=True)}

    def details(self) -> dict[str, float]:
        """Return Murphy's parts of the Brier score (1973, Journal of Applied Meteorology 12, 595-600).

        The score is reliability - resolution + uncertainty + within (the last: Stephenson, Coelho and Jolliffe 2008,
        Weather and Forecasting 23, 752-757).
        """
        return {
            "brier_reliability": float(self.share @ self.gap**2),
            "brier_resolution": float(self.share @ (self.observed - self.rate) ** 2),
            "brier_uncertainty": self.rate * (1 - self.rate),
            "brier_within": self.within,
        }


def reliability(sample: Sample, confidence: float, *, bins: int = BINS, method: str = "uniform") -> Reliability:
    """Return the reliability diagram.

    Args:
        sample: with probabilities.
        confidence: level at which the points' limits hold together.
        bins: how many, 2 to 100.
        method: "uniform", of equal width; "quantile", of equally many rows.

    Raises:
        MeasurementError: no probabilities, or no such bins.
    """
    if not 2 <= bins <= MOST_BINS or method not in METHODS:  # noqa: PLR2004 - one bin says nothing
        raise MeasurementError(f"{bins} bins, {method}", f"2 to {MOST_BINS} bins, {' or '.join(METHODS)}")
    chances, came_true = _outcomes(sample)
    spots = np.linspace(0, 1, bins + 1)
    edges = spots if method == "uniform" else np.quantile(chances, spots)
    place = np.searchsorted(edges[1:-1], chances)
    weights = np.ones(len(place)) if sample.weights is None else sample.weights
    rows = np.bincount(place, minlength=bins)
    kept = rows > 0

    def sums(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(place, weights=values, minlength=bins)[kept])

    size, hits = sums(weights), sums(weights * came_true)
    predicted, observed = sums(weights * chances) / size, hits / size
    squares = sums(weights**2 * came_true), sums(weights**2 * ~came_true)
    limits = [
        ratio_limits(hits, size - hits, squares, z=z, weighted=sample.weights is not None)
        for z in (critical(confidence), critical(1 - (1 - confidence) / int(kept.sum())))
    ]
    half = (limits[0][1] - limits[0][0]) / (2 * critical(confidence))
    index = np.cumsum(kept)[place] - 1
    strayed, residual = chances - predicted[index], came_true - observed[index]
    return Reliability(
        edges=np.column_stack([edges[:-1], edges[1:]])[kept],
        rows=rows[kept].astype(np.float64),
        share=size / size.sum(),
        predicted=predicted,
        observed=observed,
        error=np.maximum(half, np.sqrt(predicted * (1 - predicted) * (squares[0] + squares[1])) / size),
        low=limits[1][0],
        high=limits[1][1],
        within=float(weights @ (strayed * (strayed - 2 * residual)) / weights.sum()),
        effective=effective(sample.weights, len(place)),
        n=len(place),
    )


def _outcomes(sample: Sample) -> tuple[FloatArray, BoolArray]:
    """Return the probability that is judged, and whether it came true; both shape (n,)."""
    chances = probabilities_of(sample)
    if sample.task is Task.BINARY:
        return chances, sample.truth
    top = chances.argmax(axis=1)
    return chances[np.arange(len(top)), top], np.asarray(top == codes_of(sample))


def calibration_error(sample: Sample, confidence: float, *, bins: int = BINS, method: str = "uniform") -> Estimate:
    """Return the expected calibration error: the mean gap, without its sign, between observed and predicted.

    Naeini, Cooper and Hauskrecht (2015, AAAI, 2901-2907). Interval "signed-sum": with the signs of the true gaps, the
    observed error exceeds the true one by at least a sum of mean 0, whose standard error is that of a stratified mean;
    this bounds the true error from above. It exceeds it by at most the sum of the bins' own errors, whose quantile bounds
    it from below. Conservative, most of all where the model is well calibrated.

    Args:
        sample: with probabilities.
        confidence: two-sided level.
        bins: how many.
        method: "uniform" or "quantile".

    Returns:
        ``by`` holds the reliability diagram: of each bin the observed share as value, and the predicted mean.
    """
    found = reliability(sample, confidence, bins=bins, method=method)
    sizes = np.abs(found.gap)
    value = float(found.share @ sizes)
    pull, z = found.share * found.error, critical(confidence)
    between = max(0.0, float(found.share @ sizes**2) - value**2) / found.effective
    high = value + z * math.sqrt(float(pull @ pull) + between)
    low = value - math.hypot(_quantile(_draws(len(pull)) @ pull, confidence), z * math.sqrt(between))
    return _estimate(found, value, (max(0.0, low), min(1.0, high)), "signed-sum", confidence)


def brier_reliability(sample: Sample, confidence: float, *, bins: int = BINS, method: str = "uniform") -> Estimate:
    """Return the Brier score's reliability: the mean squared gap between observed and predicted; 0 is perfect.

    Interval "norm": its root is a weighted length of the gaps, which errors change by at most their own length.
    """
    found = reliability(sample, confidence, bins=bins, method=method)
    return _length(found, found.gap, confidence)


def brier_resolution(sample: Sample, confidence: float, *, bins: int = BINS, method: str = "uniform") -> Estimate:
    """Return the Brier score's resolution: the mean squared distance of the bins' shares from that of all rows.

    0 where the probabilities tell no row from another. Interval as ``brier_reliability``.
    """
    found = reliability(sample, confidence, bins=bins, method=method)
    return _length(found, found.observed - found.rate, confidence)


def _length(found: Reliability, gaps: FloatArray, confidence: float) -> Estimate:
    """Return the squared weighted length of ``gaps`` with its interval.

    Seen along the true gaps the observed length exceeds the true one by an error of mean 0, whose standard error no
    direction makes larger than the largest of the bins'; it exceeds it by at most the length of the errors.
    """
    value = float(found.share @ gaps**2)
    root, pull = math.sqrt(value), found.share * found.error**2
    between = max(0.0, float(found.share @ gaps**4) - value**2) / found.effective
    spread = math.sqrt(float(pull.max()) + (between / (4 * value) if value else 0.0))
    high = root + critical(confidence) * spread
    drift = _quantile(np.sqrt(_draws(len(pull)) ** 2 @ pull), confidence)
    low = root - math.hypot(drift, critical(confidence) * math.sqrt(between / (4 * value)) if value else 0.0)
    return _estimate(found, value, (max(0.0, low) ** 2, min(1.0, high) ** 2), "norm", confidence)


@lru_cache(maxsize=8)
def _draws(bins: int) -> FloatArray:
    """Return sizes of normal errors, shape (draws, bins): the same ones every time."""
    return np.abs(np.random.default_rng(0).standard_normal((DRAWS, bins)))


def _quantile(values: FloatArray, confidence: float) -> float:
    return float(np.quantile(values, 0.5 + confidence / 2))


def _estimate(found: Reliability, value: float, limits: tuple[float, float], name: str, confidence: float) -> Estimate:
    return Estimate(value, found.n, *limits, name, confidence, by=found.parts(), details=found.details())
