"""Metrics of predicted values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical_t, log_scale, wilson
from pytest_leanml.stats.moments import degrees, effective, mean_estimate, mean_of, standard_error

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import FloatArray, Sample

UNIT = "target"
ROUNDING = 1e-12


def residuals(sample: Sample) -> FloatArray:
    """Return truth minus prediction; shape (n,), in the target's unit.

    Raises:
        MeasurementError: there are no predictions.
    """
    if sample.y_pred is None:
        raise MeasurementError("no predicted values", "a regression sample with y_pred")
    # To floats first: unsigned integers would wrap around.
    return np.asarray(sample.y_true, dtype=np.float64) - np.asarray(sample.y_pred, dtype=np.float64)


def mae(sample: Sample, confidence: float) -> Estimate:
    """Return the mean absolute error, with Student's t interval; none where all errors are the same."""
    rows = np.abs(residuals(sample))
    return mean_estimate(rows, confidence, bounds=(0.0, math.inf), unit=UNIT, weights=sample.weights)


def mape(sample: Sample, confidence: float) -> Estimate:
    """Return the mean absolute error as a share of the true value, with Student's t interval.

    Raises:
        InconclusiveError: a true value is 0, of which nothing is a share.
    """
    return mean_estimate(mape_rows(sample), confidence, bounds=(0.0, math.inf), weights=sample.weights, leaning=True)


def mape_rows(sample: Sample) -> FloatArray:
    """Return each row's absolute error over the size of its true value; shape (n,)."""
    return np.asarray(np.abs(residuals(sample)) / _sizes(sample))


def pinball_loss(sample: Sample, confidence: float, alpha: float = 0.5) -> Estimate:
    """Return the mean of max(alpha e, (alpha - 1) e), e = truth - prediction, with Student's t interval.

    Koenker and Bassett (1978, Econometrica 46, 33-50): the loss that the true quantile ``alpha`` makes least.
    """
    if not 0 < alpha < 1:
        raise MeasurementError(f"the quantile alpha = {alpha!r}", "a number strictly between 0 and 1")
    rows = pinball_rows(residuals(sample), alpha)
    return mean_estimate(rows, confidence, bounds=(0.0, math.inf), unit=UNIT, weights=sample.weights, leaning=True)


def pinball_rows(errors: FloatArray, alpha: float) -> FloatArray:
    """Return the loss of each error."""
    return np.maximum(alpha * errors, (alpha - 1) * errors)


def median_absolute_error(sample: Sample, confidence: float) -> Estimate:
    """Return the median absolute error, with the interval between two order statistics, valid for any distribution.

    The ranks are binomial (Thompson 1936, Annals of Mathematical Statistics 7, 122-128). With weights: "woodruff", the
    errors at Wilson's limits of the share one half over the effective rows (Woodruff 1952, JASA 47, 635-646). With too
    few rows for the level there is no interval.
    """
    rows = np.abs(residuals(sample))
    value, n = middle_of(rows, sample.weights), len(rows)
    if sample.weights is not None:
        m = effective(sample.weights, n)
        low, high = wilson(m / 2, m, critical_t(confidence, degrees(sample.weights, n)))
        ends = quantile_of(rows, float(low), sample.weights), quantile_of(rows, float(high), sample.weights)
        return Estimate(value, n, min(ends[0], value), max(ends[1], value), "woodruff", confidence, UNIT)
    from scipy.stats import binom  # half a second, and only here

    # The lower rank is the largest r with P(B < r) <= (1 - confidence) / 2, B of n fair coins.
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    if rank < 1:
        return Estimate(value, n, confidence=confidence, unit=UNIT)
    ordered = np.sort(rows)
    return Estimate(value, n, float(ordered[rank - 1]), float(ordered[n - rank]), "order-statistics", confidence, UNIT)


def max_error(sample: Sample, confidence: float) -> Estimate:
    """Return the largest absolute error. It has no interval: of rows not seen nothing bounds it."""
    rows = np.abs(residuals(sample))
    return Estimate(float(rows.max()), len(rows), confidence=confidence, unit=UNIT)


def rmse(sample: Sample, confidence: float) -> Estimate:
    """Return the root of the mean squared error, with the delta interval on the log scale.

    No interval where all squared errors are the same: an error of exactly 0 in every row says nothing of other rows.
    """
    squares = residuals(sample) ** 2
    mean, n = mean_of(squares, sample.weights), len(squares)
    error = standard_error(squares, sample.weights)
    if error is None:
        return Estimate(math.sqrt(mean), n, confidence=confidence, unit=UNIT)
    low, high = log_scale(mean, error, critical_t(confidence, degrees(sample.weights, n)))
    return Estimate(math.sqrt(mean), n, math.sqrt(low), math.sqrt(high), "delta-log", confidence, UNIT)


def r2(sample: Sample, confidence: float) -> Estimate:
    """Return the coefficient of determination, with the delta interval of 1 - R2 on the log scale.

    1 - R2 is the ratio of two means, of e_i squared and of (y_i - mean) squared; to first order row i moves it by
    (e_i^2 - (1 - R2) (y_i - mean)^2) / variance. No interval where nothing varies, as for a perfect prediction.

    Raises:
        InconclusiveError: the true values are all the same.
    """
    squares, spread = residuals(sample) ** 2, _squared_deviations(sample)
    variance, n = mean_of(spread, sample.weights), len(spread)
    missed = mean_of(squares, sample.weights) / variance
    error = standard_error((squares - missed * spread) / variance, sample.weights)
    if error is None or missed == 0:
        return Estimate(1 - missed, n, confidence=confidence)
    low, high = log_scale(missed, error, critical_t(confidence, degrees(sample.weights, n)))
    return Estimate(1 - missed, n, 1 - high, 1 - low, "delta-log", confidence)


def _truth(sample: Sample) -> FloatArray:
    return np.asarray(sample.y_true, dtype=np.float64)


def _sizes(sample: Sample) -> FloatArray:
    sizes = np.abs(_truth(sample))
    zeros = int(np.count_nonzero(sizes == 0))
    if zeros:
        raise InconclusiveError(
            f"MAPE is undefined: {zeros} of {len(sizes)} true values are 0", "true values other than 0", "measure mae"
        )
    return sizes


def _squared_deviations(sample: Sample) -> FloatArray:
    truth = _truth(sample)
    if float(truth.max()) == float(truth.min()):
        raise InconclusiveError("R2 is undefined: the true values are all the same", "rows with different true values")
    return np.asarray((truth - mean_of(truth, sample.weights)) ** 2)


def quantile_of(values: FloatArray, share: float, weights: FloatArray | None = None) -> float:
    """Return the value below which a share of the rows, or of their weight, lies: the lower one where there are two."""
    order = np.argsort(values, kind="stable")
    sums = np.arange(1, len(values) + 1.0) if weights is None else np.cumsum(weights[order])
    place = int(np.searchsorted(sums, share * sums[-1] * (1 - ROUNDING)))
    return float(values[order][min(place, len(values) - 1)])


def middle_of(values: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the median; with weights the mean of both values where one half lies exactly between them."""
    if weights is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    ordered, sums = values[order], np.cumsum(weights[order])
    half = sums[-1] / 2
    place = min(int(np.searchsorted(sums, half * (1 - ROUNDING))), len(values) - 1)
    even = abs(sums[place] - half) <= ROUNDING * half and place + 1 < len(values)
    return float((ordered[place] + ordered[place + 1]) / 2 if even else ordered[place])


def rmse_floor(sample: Sample) -> float:
    """Return the RMSE of the mean, the best blind answer for squares."""
    return math.sqrt(mean_of((_truth(sample) - mean_of(_truth(sample), sample.weights)) ** 2, sample.weights))


def mae_floor(sample: Sample) -> float:
    """Return the MAE of the median, the best blind answer for absolute errors."""
    return mean_of(np.abs(_truth(sample) - middle_of(_truth(sample), sample.weights)), sample.weights)


def mape_floor(sample: Sample) -> float:
    """Return the MAPE of its best blind answer: the median weighted by the inverse of each true value's size."""
    truth, sizes = _truth(sample), _sizes(sample)
    middle = quantile_of(truth, 0.5, (1.0 if sample.weights is None else sample.weights) / sizes)
    return mean_of(np.abs(truth - middle) / sizes, sample.weights)


def pinball_floor(sample: Sample, alpha: float = 0.5) -> float:
    """Return the pinball loss of the true values' own quantile."""
    truth = _truth(sample)
    return mean_of(pinball_rows(truth - quantile_of(truth, alpha, sample.weights), alpha), sample.weights)


def median_error_floor(sample: Sample) -> float:
    """Return the median absolute error of the middle of the shortest half (Rousseeuw 1984), the best blind answer.

    With weights, that of the weighted median: the shortest weighted half is not looked for.
    """
    truth = _truth(sample)
    if sample.weights is not None:
        return middle_of(np.abs(truth - middle_of(truth, sample.weights)), sample.weights)
    ordered = np.sort(truth)
    half = len(ordered) // 2 + 1
    widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
    start = int(np.argmin(widths))
    middle = (ordered[start] + ordered[start + half - 1]) / 2
    return float(np.median(np.abs(ordered - middle)))


def max_error_floor(sample: Sample) -> float:
    """Return half the range of the true values: the largest error of its middle."""
    truth = _truth(sample)
    return float(truth.max() - truth.min()) / 2
