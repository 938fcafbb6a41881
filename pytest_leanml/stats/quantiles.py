"""Quantiles of a sample, and limits that hold whatever its distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate

if TYPE_CHECKING:
    import numpy.typing as npt


def quantile(values: npt.ArrayLike, share: float, *, confidence: float = 0.95, unit: str = "1") -> Estimate:
    """Return a quantile with the order statistics that bound it.

    The value is the smallest one that at least ``share`` of the sample does not exceed (type 1 of Hyndman and Fan 1996,
    American Statistician 50, 361-365). Its limits are order statistics whose ranks come from the binomial distribution
    (Conover 1999, Practical Nonparametric Statistics, section 3.2), each side with half of the doubt: they hold for any
    distribution, and cover at least the level asked for. Where the sample is too small for a side, there is no limit on
    it; ``details["rows_needed"]`` says from which size on both exist.

    Args:
        values: shape (n,), finite.
        share: strictly between 0 and 1.
        confidence: two-sided level of the interval.
        unit: of the values.

    Raises:
        InconclusiveError: there is no value.
        MeasurementError: a value is NaN or infinite; share or level are out of range.
    """
    found = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not found.size:
        raise InconclusiveError("nothing was measured", "at least one value", "measure more")
    if not np.isfinite(found).all():
        raise MeasurementError("a quantile of values that are NaN or infinite", "finite values")
    if not 0 < share < 1 or not 0 < confidence < 1:
        raise MeasurementError(f"share {share!r}, confidence {confidence!r}", "numbers strictly between 0 and 1")
    n = len(found)
    value = float(found[min(n, max(1, math.ceil(n * share - 1e-9))) - 1])
    low, high = _ranks(n, share, confidence)
    return Estimate(
        value,
        n,
        float(found[low - 1]) if low >= 1 else None,
        float(found[high - 1]) if high <= n else None,
        "order statistics",
        confidence,
        unit,
        details={"rows_needed": float(rows_needed(share, confidence))},
    )


def _ranks(n: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the ranks, from 1, of the two limits; 0 and n + 1 stand for none.

    The low one is the largest r with P(B < r) <= a / 2, the high one the smallest r with P(B >= r) <= a / 2, where B
    counts the values at or below the true quantile.
    """
    from scipy.stats import binom  # half a second, and only here

    doubt = _doubt(confidence)
    law = binom(n, share)
    low = int(law.ppf(doubt)) + 1
    while low > 0 and law.cdf(low - 1) > doubt:
        low -= 1
    high = max(1, int(law.ppf(1 - doubt)))
    while law.sf(high - 1) > doubt:
        high += 1
    return low, high


def rows_needed(share: float, confidence: float) -> int:
    """Return the smallest sample in which both limits of a quantile exist (Wilks 1941, Ann. Math. Statist. 12, 91-96)."""
    doubt, rarer = _doubt(confidence), max(share, 1 - share)
    n = max(1, math.ceil(math.log(doubt) / math.log(rarer)) - 1)
    while rarer**n > doubt:
        n += 1
    return n


def _doubt(confidence: float) -> float:
    """Return half of the doubt; a hair more, since 0.5 ** 3 must not lie above 0.125 for the sake of a last digit."""
    return (1 - confidence) / 2 * (1 + 1e-9)
