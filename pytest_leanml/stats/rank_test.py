"""Whether values of one group lie higher than those of another: Mann and Whitney's test, one-sided, with its effect size.

The p value is that of the permutation test over midranks. Up to ``EXACT`` values it is exact, with ties too (the shift
algorithm of Streitberg and Röhmel 1986, Statistical Software Newsletter 12, 10-17); beyond, it is the normal approximation
with corrections for ties and continuity (Mann and Whitney 1947, Annals of Mathematical Statistics 18, 50-60; Hollander, Wolfe
and Chicken 2014, Nonparametric Statistical Methods, 3rd ed., section 4.1).

The effect is Cliff's delta, P(X > Y) - P(X < Y) (Cliff 1993, Psychological Bulletin 114, 494-509), and A12, which is
P(X > Y) + P(X = Y) / 2 (Vargha and Delaney 2000, Journal of Educational and Behavioral Statistics 25, 101-132).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.stats.samples import FloatArray

# Values of both groups together up to which every arrangement is counted: some milliseconds, and sums far from overflow.
EXACT = 60


@dataclass(frozen=True, slots=True)
class RankTest:
    """Whether the first group lies higher.

    Attributes:
        p_value: of so much higher or more, were both groups alike.
        delta: Cliff's, -1 to 1; 0 where neither lies higher.
        n: values of the first group.
        m: values of the second.
        method: ``exact`` or ``normal``.
    """

    p_value: float
    delta: float
    n: int
    m: int
    method: str

    @property
    def a12(self) -> float:
        """The chance that a value of the first group is higher than one of the second, ties counted half."""
        return (self.delta + 1) / 2


def rank_test(first: Sequence[float], second: Sequence[float]) -> RankTest:
    """Test whether ``first`` lies higher than ``second``.

    Args:
        first: shape (n,), finite.
        second: shape (m,), finite.

    Raises:
        InconclusiveError: a group is empty.
        MeasurementError: a value is not finite.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not x.size or not y.size:
        raise InconclusiveError(f"groups of {x.size} and {y.size} values", "at least one value in each")
    both = np.concatenate([x, y])
    if not np.isfinite(both).all():
        raise MeasurementError("a value that is not finite has no rank", "finite values")
    _, which, sizes = np.unique(both, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    # Twice the midranks: whole numbers.
    ranks = (2 * ends - sizes + 1)[which]
    wins = (float(ranks[: x.size].sum()) - x.size * (x.size + 1)) / 2
    delta = 2 * wins / (x.size * y.size) - 1
    exact = both.size <= EXACT
    p_value = _exact(ranks, x.size) if exact else _normal(wins, x.size, y.size, sizes)
    return RankTest(p_value, delta, int(x.size), int(y.size), "exact" if exact else "normal")


def least_p(n: int, m: int) -> float:
    """Return the smallest p value that groups of these sizes can have: one arrangement of all."""
    return 1 / math.comb(n + m, n)


def _exact(ranks: np.ndarray, n: int) -> float:
    """Count the choices of ``n`` ranks whose sum is at least that of the first ``n``."""
    own = int(ranks[:n].sum())
    counts = np.zeros((n + 1, int(ranks.sum()) + 1))
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, :-rank].copy()
    return float(counts[n, own:].sum() / counts[n].sum())


def _normal(wins: float, n: int, m: int, sizes: FloatArray | np.ndarray) -> float:
    total = n + m
    tied = float((sizes.astype(np.float64) ** 3 - sizes).sum()) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - tied)
    if variance <= 0:
        return 1.0  # all values are one
    z = (wins - n * m / 2 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))
