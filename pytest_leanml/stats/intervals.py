"""Confidence intervals of named methods, on counts and moments; vectorised where counts may be arrays.

All take ``z``, the two-sided critical value, so that simultaneous intervals can pass a larger one, and return
``(low, high)``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.samples import FloatArray

Limits: TypeAlias = tuple[float, float]
LimitArrays: TypeAlias = tuple[FloatArray, FloatArray]
Triple: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]

EDGE = 1e-12
# Below this the closed form loses more digits than the correction has.
NO_SKEW = 1e-6


def critical(confidence: float) -> float:
    """Return the two-sided critical value of the normal distribution.

    Raises:
        MeasurementError: ``confidence`` is not strictly between 0 and 1.
    """
    return float(special.ndtri(0.5 + _level(confidence) / 2))


def critical_t(confidence: float, degrees: int) -> float:
    """Return the two-sided critical value of Student's t with ``degrees`` degrees of freedom."""
    return float(special.stdtrit(degrees, 0.5 + _level(confidence) / 2))


@lru_cache(maxsize=256)
def critical_pairs(confidence: float, groups: int) -> float:
    """Return the critical value for all pairwise differences of ``groups`` at once: Tukey's q over the root of 2.

    Tukey's studentized range with infinite degrees of freedom; for two groups it is the normal one. With unequal
    variances it is conservative (Hayter 1984, Annals of Statistics 12, 61-75). For proportions: Agresti, Bini,
    Bertaccini and Ryu (2008), Biometrics 64, 1270-1275.
    """
    if groups <= 2:  # noqa: PLR2004 - one pair
        return critical(confidence)
    # The trapezoid rule is exact to rounding for a smooth function that vanishes at both ends.
    z = np.linspace(-9.0, 9.0, 721)
    density, below = np.exp(-z * z / 2) / math.sqrt(2 * math.pi), special.ndtr(z)

    def excess(q: float) -> float:
        inside = groups * density * (below - special.ndtr(z - q)) ** (groups - 1)
        return float(inside.sum() * (z[1] - z[0])) - _level(confidence)

    return float(optimize.brentq(excess, 1e-6, 40.0, xtol=1e-13)) / math.sqrt(2)


def critical_each(confidence: float, groups: int) -> float:
    """Return the critical value for ``groups`` comparisons at once, whatever their correlation.

    Šidák's inequality (1967, JASA 62, 626-633); for two groups, whose comparisons with their whole are one and the
    same, the normal one.
    """
    return critical(confidence if groups <= 2 else _level(confidence) ** (1 / groups))  # noqa: PLR2004 - as above


def _level(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise MeasurementError(f"confidence {confidence!r}", "a number strictly between 0 and 1, such as 0.95")
    return confidence


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, z: float) -> LimitArrays:
    """Wilson's score interval of proportions (1927, JASA 22, 209-212); never of width zero.

    Args:
        successes: counts, any shape.
        trials: counts above 0, of the same shape.
        z: two-sided critical value.
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    middle = (x + z * z / 2) / (n + z * z)
    half = z * np.sqrt(x * (n - x) / n + z * z / 4) / (n + z * z)
    # Exact at the edges, where rounding would leave 1e-17 or 1 - 1e-16.
    low = np.where(x == 0, 0.0, np.maximum(middle - half, 0.0))
    return low, np.where(x == n, 1.0, np.minimum(middle + half, 1.0))


def newcombe(p: FloatArray, low: FloatArray, high: FloatArray) -> LimitArrays:
    """Limits of every pairwise difference ``p[i] - p[j]`` of independent rates; shapes (..., k) to (..., k, k).

    Newcombe's hybrid score interval (1998, Statistics in Medicine 17, 873-890, method 10).

    Args:
        p: rates.
        low: their lower limits at the critical value wanted.
        high: their upper limits.
    """
    mine, other = (..., slice(None), None), (..., None, slice(None))
    return difference_limits((p[mine], low[mine], high[mine]), (p[other], low[other], high[other]))


def difference_limits(first: Triple, second: Triple) -> LimitArrays:
    """Limits of ``first - second`` from rate, low and high of each, by Newcombe's method; shapes that broadcast."""
    (p, p_low, p_high), (q, q_low, q_high) = first, second
    gap = p - q
    return gap - np.hypot(p - p_low, q_high - q), gap + np.hypot(p_high - p, q - q_low)


def mover_ratio(p: FloatArray, low: FloatArray, high: FloatArray) -> LimitArrays:
    """Limits of every pairwise ratio ``p[i] / p[j]`` of independent rates; shapes (..., k) to (..., k, k).

    As ``ratio_limits``.
    """
    mine, other = (..., slice(None), None), (..., None, slice(None))
    return ratio_limits((p[mine], low[mine], high[mine]), (p[other], low[other], high[other]))


def ratio_limits(first: Triple, second: Triple) -> LimitArrays:
    """Limits of ``first / second`` from rate, low and high of each; shapes that broadcast.

    MOVER-R of Donner and Zou (2012, Statistical Methods in Medical Research 21, 347-359), written so that nothing
    cancels; the upper limit is infinite where the lower limit of ``second`` is 0.
    """
    (p, p_low, p_high), (q, q_low, q_high) = first, second
    product = p * q
    small, large = p_low * (2 * p - p_low), p_high * (2 * p - p_high)
    other_small, other_large = q_low * (2 * q - q_low), q_high * (2 * q - q_high)
    low_part = np.maximum(product**2 - small * other_large, 0.0)
    high_part = np.maximum(product**2 - large * other_small, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        lows = small / (product + np.sqrt(low_part))
        highs = (product + np.sqrt(high_part)) / other_small
    return np.nan_to_num(lows, nan=0.0), np.nan_to_num(highs, nan=np.inf, posinf=np.inf)


def mover_mean(values: FloatArray, low: FloatArray, high: FloatArray, correlation: FloatArray | None = None) -> Limits:
    """Limits of the plain mean of k estimates from the limits of each.

    MOVER of Zou and Donner (2008, Statistics in Medicine 27, 1693-1702): asymmetric, within the range, and never of
    width zero where the parts' intervals are not.

    Args:
        values: shape (k,).
        low: lower limits, shape (k,).
        high: upper limits, shape (k,).
        correlation: of the estimates, shape (k, k); None where they are independent.
    """
    matrix = np.eye(len(values)) if correlation is None else correlation
    below, above = values - low, high - values
    middle, k = float(values.mean()), len(values)
    return (
        middle - math.sqrt(max(float(below @ matrix @ below), 0.0)) / k,
        middle + math.sqrt(max(float(above @ matrix @ above), 0.0)) / k,
    )


def student(mean: float, error: float, n: int, confidence: float) -> Limits:
    """Student's t interval of a mean from its standard error over ``n`` >= 2 rows."""
    half = critical_t(confidence, n - 1) * error
    return mean - half, mean + half


def skewed(mean: float, error: float, n: int, skewness: float, confidence: float) -> Limits:
    """Hall's interval of the mean of ``n`` >= 2 skewed rows (1992, JRSS B 54, 221-228), with Student's t for the normal.

    Student's quotient T of skewed rows is skewed itself; g(T) = T + a T^2 + a^2 T^3 / 3 + a / (2 n), where T leaves out
    the root of n and a is a third of the skewness, is not, rises, and is solved for T in closed form.
    """
    half, a = critical_t(confidence, n - 1) / math.sqrt(n), skewness / 3
    if abs(a) < NO_SKEW:
        return student(mean, error, n, confidence)
    low, high = (float(np.cbrt(1 + 3 * a * (end - a / (2 * n))) - 1) / a for end in (half, -half))
    return mean - low * error * math.sqrt(n), mean - high * error * math.sqrt(n)


def log_scale(value: float, error: float, z: float) -> Limits:
    """Delta interval of a positive value on the log scale: it stays positive."""
    # Cut at a factor of 1e130, which says as little as infinity and can be written down.
    factor = math.exp(min(z * error / value, 300.0))
    return value / factor, value * factor


def logit_scale(value: float, error: float, z: float) -> Limits:
    """Delta interval of a value strictly inside (0, 1) on the logit scale: it stays inside."""
    middle, half = float(special.logit(value)), z * error / (value * (1 - value))
    return float(special.expit(middle - half)), float(special.expit(middle + half))


def unvaried(value: float, n: int, confidence: float, bounds: Limits) -> Limits:
    """Limits of the mean of a bounded value that came out the same in all ``n`` rows.

    With the confidence asked for, at most a share ``q = 1 - ((1 - confidence) / 2) ** (1 / n)`` of rows can differ (the
    exact binomial limit for none in n), and these by no more than the bounds allow.
    """
    share = -math.expm1(math.log((1 - _level(confidence)) / 2) / n)
    return value - share * (value - bounds[0]), value + share * (bounds[1] - value)


def hanley_mcneil(area: float, positives: int, negatives: int, z: float) -> Limits:
    """Limits of an area under the ROC curve that need no scatter; never of width zero.

    Newcombe's method 5 (2006, Statistics in Medicine 25, 559-573): the areas whose distance from the one measured is
    z standard errors, by Hanley and McNeil's variance with both counts replaced by their mean in its second part.
    """

    def beyond(candidate: float) -> float:
        spread = (positives + negatives) / 2 - 1
        inside = (1 - candidate) / (2 - candidate) + candidate / (1 + candidate)
        variance = candidate * (1 - candidate) * (1 + spread * inside) / (positives * negatives)
        return abs(area - candidate) - z * math.sqrt(variance)

    # The ends themselves have no variance, so a perfect area would be its own limit: start just inside.
    start = min(max(area, EDGE), 1 - EDGE)
    low = 0.0 if area <= EDGE else float(optimize.brentq(beyond, 0.0, start, xtol=1e-14))
    high = 1.0 if area >= 1 - EDGE else float(optimize.brentq(beyond, start, 1.0, xtol=1e-14))
    return low, high
