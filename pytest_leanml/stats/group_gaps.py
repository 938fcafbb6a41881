"""One number for how far the rates of k groups lie apart, with limits that hold for it; arrays of shape (..., k).

A gap is a largest minus a smallest, so that a bootstrap of it is biased upwards and covers nothing where the groups
are equal. The limits here come from all comparisons at once: those of the largest one then hold for the truly largest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_leanml.stats.intervals import (
    critical,
    critical_each,
    critical_pairs,
    difference_limits,
    mover_ratio,
    newcombe,
    ratio_limits,
)
from pytest_leanml.stats.samples import FloatArray

if TYPE_CHECKING:
    from pytest_leanml.stats.group_rates import Tally
    from pytest_leanml.stats.intervals import LimitArrays, Triple

Gap: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]

PAIR = 2
BOTH = (-2, -1)


def difference(tally: Tally, confidence: float) -> Gap:
    """Largest minus smallest rate, with limits from all pairwise differences at once; each of shape (...).

    Tukey's critical value (Agresti, Bini, Bertaccini and Ryu 2008, Biometrics 64, 1270-1275) with Newcombe's
    combination of Wilson limits (1998, Statistics in Medicine 17, 873-890).
    """
    lows, highs = _differences(tally, critical_pairs(confidence, tally.trials.shape[-1]))
    values = tally.values
    return np.ptp(values, axis=-1), np.maximum(lows.max(axis=BOTH), 0.0), highs.max(axis=BOTH)


def _differences(tally: Tally, z: float) -> LimitArrays:
    """Return limits of every difference between two groups, shape (..., k, k); the diagonal is 0."""
    lows, highs = newcombe(tally.values, *tally.limits(z))
    apart = 1 - np.eye(lows.shape[-1])
    return lows * apart, highs * apart


def ratio(tally: Tally, confidence: float) -> Gap:
    """Smallest over largest rate, with limits from all pairwise ratios at once; each of shape (...).

    Tukey's critical value with Donner and Zou's combination of Wilson limits (2012, Statistical Methods in Medical
    Research 21, 347-359). At least one rate must be above 0.
    """
    values = tally.values
    lows, highs = mover_ratio(values, *tally.limits(critical_pairs(confidence, values.shape[-1])))
    same = np.eye(values.shape[-1], dtype=bool)
    # A group over itself is 1: its limits bound those of the smallest ratio from above.
    low, high = (np.where(same, 1.0, each).min(axis=BOTH) for each in (lows, highs))
    return values.min(axis=-1) / values.max(axis=-1), low, high


def deviation(tally: Tally, confidence: float) -> Gap:
    """Standard deviation of the rates (k - 1 in the denominator) over their plain mean; each of shape (...).

    Two groups: with the ratio r of their rates it is sqrt(2) (1 - r) / (1 + r), and so are its limits. More: the
    squared deviation is the sum of the squared pairwise differences over k (k - 1), each at its limit, and the mean at
    its own; each of the two holds with half the doubt.
    """
    values, k = tally.values, tally.trials.shape[-1]
    value = values.std(axis=-1, ddof=1) / values.mean(axis=-1)
    if k == PAIR:
        _, worst, best = ratio(tally, confidence)
        low, high = (math.sqrt(2) * (1 - r) / (1 + r) for r in (best, worst))
        return value, low, high
    halved = (1 + confidence) / 2
    lows, highs = _differences(tally, critical_pairs(halved, k))
    mean_low, mean_high = _mean_limits((values, *tally.limits(critical(halved))))
    # Each pair stands twice in the matrix, once with either sign.
    least = np.sqrt((np.maximum(lows, 0.0) ** 2).sum(axis=BOTH) / (k * (k - 1)))
    most = np.sqrt((np.maximum(np.abs(lows), np.abs(highs)) ** 2).sum(axis=BOTH) / (2 * k * (k - 1)))
    # No deviation of k rates exceeds sqrt(k) of their mean: one group takes all.
    return value, least / mean_high, np.minimum(most / mean_low, math.sqrt(k))


def _mean_limits(rates: Triple) -> LimitArrays:
    """MOVER limits of the plain mean (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702)."""
    values, low, high = rates
    middle, k = values.mean(axis=-1), values.shape[-1]
    below, above = np.sqrt(((values - low) ** 2).sum(axis=-1)), np.sqrt(((high - values) ** 2).sum(axis=-1))
    return middle - below / k, middle + above / k


def difference_to_overall(tally: Tally, confidence: float) -> Gap:
    """Largest distance of a group's rate from the rate of all rows; each of shape (...).

    A group is part of the whole, so the two are correlated; but with the group's share s of it, and q the rate of all
    other rows, the distance is (1 - s)(p - q), and p and q are independent. Shares are taken as given. Limits of all k
    distances at once by Šidák's inequality.
    """
    own, rest = _own_and_rest(tally, confidence)
    lows, highs = ((1 - tally.shares) * each for each in difference_limits(own, rest))
    value = np.abs((1 - tally.shares) * (own[0] - rest[0])).max(axis=-1)
    low = np.maximum(lows, -highs).max(axis=-1)
    return value, np.maximum(low, 0.0), np.maximum(np.abs(lows), np.abs(highs)).max(axis=-1)


def ratio_to_overall(tally: Tally, confidence: float) -> Gap:
    """Smallest ratio of a group's rate and the rate of all rows, turned so that it is at most 1; each of shape (...).

    With s and q as in ``difference_to_overall`` and r = p / q, the ratio is r / (s r + 1 - s), which rises with r.
    """
    own, rest = _own_and_rest(tally, confidence)
    shares, whole = tally.shares, (tally.values * tally.shares).sum(axis=-1, keepdims=True)
    lows, highs = (_of_whole(each, shares) for each in ratio_limits(own, rest))
    value = own[0] / whole
    return _folded(value).min(axis=-1), np.minimum(_folded(lows), _folded(highs)).min(axis=-1), _best(lows, highs)


def _of_whole(ratios: FloatArray, shares: FloatArray) -> FloatArray:
    """Turn ratios to the rest into ratios to the whole; infinite ones become 1 / s."""
    with np.errstate(divide="ignore"):
        return np.asarray(1 / (shares + (1 - shares) / ratios))


def _folded(ratios: FloatArray) -> FloatArray:
    return np.where(ratios > 1, 1 / np.maximum(ratios, 1.0), ratios)


def _best(lows: FloatArray, highs: FloatArray) -> FloatArray:
    """Return the smallest of the largest folded ratios that the limits allow; 1 where they have 1 between them."""
    across = (lows <= 1) & (highs >= 1)
    best: FloatArray = np.where(across, 1.0, np.maximum(_folded(lows), _folded(highs))).min(axis=-1)
    return best


def _own_and_rest(tally: Tally, confidence: float) -> tuple[Triple, Triple]:
    """Return each group's rate with its limits, and those of all other groups taken together; shapes (..., k).

    The rest is a sum of independent rates, weighted by their shares; its limits by MOVER for linear functions of
    proportions (Zou, Huang and Zhang 2009, Computational Statistics and Data Analysis 53, 1080-1085).
    """
    values, shares = tally.values, tally.shares
    low, high = tally.limits(critical_each(confidence, values.shape[-1]))
    others = 1 - np.eye(values.shape[-1])
    weights = shares[..., None, :] * others / (1 - shares)[..., :, None]

    def combined(of: FloatArray) -> FloatArray:
        return np.asarray((weights * of[..., None, :]).sum(axis=-1))

    def spread(of: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(((weights * of[..., None, :]) ** 2).sum(axis=-1)))

    rest = combined(values)
    rest_low, rest_high = rest - spread(values - low), rest + spread(high - values)
    return (values, low, high), (rest, np.maximum(rest_low, 0.0), np.minimum(rest_high, 1.0))
