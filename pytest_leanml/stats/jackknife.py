"""An interval for any metric of rows: the grouped jackknife."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import student

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.samples import IntArray

MOST_GROUPS = 50
FEWEST_GROUPS = 5


def jackknife(score: Callable[[IntArray], float], n: int, *, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Return a metric of n rows, with Student's t over the jackknife's pseudo-values.

    Rows are dealt by seed to g groups of at least the root of n rows each, at most 50 groups, and the metric is taken
    without each group in turn (Quenouille 1956, Biometrika 43, 353-360). Leaving out so many rows makes the variance
    consistent even for medians and the like (Shao and Wu 1989, Annals of Statistics 17, 1176-1197). The cost is that of
    g evaluations, whatever n is.

    Args:
        score: positions of rows, shape (m,) -> value; InconclusiveError where it is undefined on them.
        n: all rows.
        confidence: two-sided level.
        seed: of the deal.

    Returns:
        The value on all rows; no interval with fewer than 25 rows, where the metric is undefined without one of the
        groups, or where no group makes a difference.

    Raises:
        InconclusiveError: the metric is undefined on all rows.
    """
    value = score(np.arange(n))
    groups = min(MOST_GROUPS, math.isqrt(n))
    plain = Estimate(value, n, confidence=confidence)
    if groups < FEWEST_GROUPS:
        return plain
    dealt = np.random.default_rng(seed).permutation(n) % groups
    try:
        known = np.array([score(np.flatnonzero(dealt != group)) for group in range(groups)])
    except InconclusiveError:
        return plain
    if known.min() == known.max():
        return plain
    error = math.sqrt((groups - 1) / groups * float(((known - known.mean()) ** 2).sum()))
    return Estimate(value, n, *student(value, error, groups, confidence), "grouped-jackknife", confidence)
