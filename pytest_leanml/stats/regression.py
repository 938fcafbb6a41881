"""Metrics of predicted values."""

from __future__ import annotations

import math

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical_t, log_scale
from pytest_leanml.stats.moments import mean_estimate, standard_error
from pytest_leanml.stats.samples import FloatArray, Sample
from pytest_leanml.vocabulary import Task

UNIT = "target"


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
    return mean_estimate(np.abs(residuals(sample)), confidence, bounds=(0.0, math.inf), unit=UNIT)


def rmse(sample: Sample, confidence: float) -> Estimate:
    """Return the root of the mean squared error, with the delta interval on the log scale.

    No interval where all squared errors are the same: an error of exactly 0 in every row says nothing of other rows.
    """
    squares = residuals(sample) ** 2
    mean, n = float(squares.mean()), len(squares)
    error = standard_error(squares)
    if error is None:
        return Estimate(math.sqrt(mean), n, confidence=confidence, unit=UNIT)
    low, high = log_scale(mean, error, critical_t(confidence, n - 1))
    return Estimate(math.sqrt(mean), n, math.sqrt(low), math.sqrt(high), "delta-log", confidence, UNIT)


def r2(sample: Sample, confidence: float) -> Estimate:
    """Return the coefficient of determination, with the delta interval of 1 - R2 on the log scale.

    1 - R2 is the ratio of two means, of e_i squared and of (y_i - mean) squared; to first order row i moves it by
    (e_i^2 - (1 - R2) (y_i - mean)^2) / variance. No interval where nothing varies, as for a perfect prediction.

    Raises:
        InconclusiveError: the true values are all the same.
    """
    squares, spread = residuals(sample) ** 2, _squared_deviations(sample)
    variance, n = float(spread.mean()), len(spread)
    missed = float(squares.sum() / spread.sum())
    error = standard_error((squares - missed * spread) / variance)
    if error is None or missed == 0:
        return Estimate(1 - missed, n, confidence=confidence)
    low, high = log_scale(missed, error, critical_t(confidence, n - 1))
    return Estimate(1 - missed, n, 1 - high, 1 - low, "delta-log", confidence)


def _squared_deviations(sample: Sample) -> FloatArray:
    truth = np.asarray(sample.y_true, dtype=np.float64)
    if float(truth.max()) == float(truth.min()):
        raise InconclusiveError("R2 is undefined: the true values are all the same", "rows with different true values")
    return np.asarray((truth - truth.mean()) ** 2)


def mean_sample(sample: Sample) -> Sample:
    """Return the same rows with their mean as everybody's prediction: the best blind one for squares."""
    return _constant(sample, float(np.mean(sample.y_true)))


def median_sample(sample: Sample) -> Sample:
    """Return the same rows with their median as everybody's prediction: the best blind one for absolute errors."""
    return _constant(sample, float(np.median(sample.y_true)))


def _constant(sample: Sample, value: float) -> Sample:
    return Sample(Task.REGRESSION, sample.y_true, np.full(len(sample), value))
