"""Valid bounds on what two samples of counts say of the shares behind them, at any number of rows.

A statistic of drift is at least 0 and piles up there, so that neither a normal interval nor percentiles of a bootstrap
(which is biased upwards) cover near 0. These bounds start from where the true shares can be, all of them at once, and
take the least and the most that the statistic can be there. They are conservative.

The cells must not depend on the current rows. Bins at the reference's own quantiles may depend on the reference: its
shares then follow Dirichlet's law, which is no wider than the multinomial one (Marchal and Arbel 2017, Electronic
Communications in Probability 22, 54).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv, lambertw

from pytest_leanml.errors import MeasurementError

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import FloatArray


def doubt_of(confidence: float) -> float:
    """Return 1 - confidence.

    Raises:
        MeasurementError: the level is out of range.
    """
    if not 0 < confidence < 1:
        raise MeasurementError(f"confidence {confidence!r}", "a number strictly between 0 and 1, such as 0.95")
    return 1 - confidence


def variation_radius(cells: int, rows: tuple[float, float], confidence: float) -> float:
    """Return how far the total variation of two samples is from that of what they were drawn from, at most.

    Half the L1 distance of both differences is the largest error over all sets of cells. Of one set it is a sum of
    n + m bounded terms (Hoeffding 1963, JASA 58, 13-30); over all 2^k - 2 sets, as Weissman, Ordentlich, Seroussi, Verdu
    and Weinberger (2003, HP Labs HPL-2003-97R1) have it of one sample. With many cells its mean, at most
    sqrt((k - 1) (1/n + 1/m)) / 2, plus McDiarmid's term (1989) is the smaller bound. The smaller of both is taken.

    Args:
        cells: k >= 1.
        rows: n and m.
        confidence: two-sided level.
    """
    spread = 1 / rows[0] + 1 / rows[1]
    tail = -math.log(doubt_of(confidence))
    if cells == 1:
        return 0.0
    # ln(2^k - 2) without 2^k, which overflows a float beyond 1023 cells.
    subsets = cells * math.log(2) + math.log1p(-(2.0 ** (1 - cells)))
    by_sets = math.sqrt((subsets + tail) * spread / 2)
    by_mean = math.sqrt((cells - 1) * spread) / 2 + math.sqrt(tail * spread / 2)
    return min(by_sets, by_mean)


def divergence_radius(cells: int, confidence: float) -> float:
    """Return x: with this confidence n KL(shares seen of n rows || true ones) + m KL(of m rows) <= x, in nats.

    Each term's moments are those of a gamma variable of shape k - 1 at most (Agrawal 2020, IEEE Transactions on
    Information Theory 66, 6297-6302), so that of their sum has shape d = 2 (k - 1), and Chernoff's bound gives
    exp(d - x) (x / d)^d = 1 - confidence, solved by Lambert's W.
    """
    tail, shape = -math.log(doubt_of(confidence)), 2 * (cells - 1)
    if not shape:
        return 0.0
    return -shape * float(lambertw(-math.exp(-1 - tail / shape), k=-1).real)


def shares_within(counts: FloatArray, confidence: float, cells: int) -> tuple[FloatArray, FloatArray]:
    """Return low and high of each cell's true share, all of 2 ``cells`` (both samples') at once.

    Clopper and Pearson (1934, Biometrika 26, 404-413) with Bonferroni's part of the doubt.

    Args:
        counts: shape (k,), rows in each cell.
        confidence: level of all together.
        cells: k.
    """
    return clopper_pearson(counts, float(counts.sum()), doubt_of(confidence) / (4 * cells))


def clopper_pearson(counts: FloatArray, rows: float | FloatArray, tail: float) -> tuple[FloatArray, FloatArray]:
    """Return low and high of true shares, each of which is beyond either end with a probability of at most ``tail``.

    Args:
        counts: shape (k,), rows that have what is counted.
        rows: of how many, at least 1.
        tail: of each end of each interval.
    """
    rest = rows - counts
    # The functions want shapes above 0; where there is none the limit is the end of the range.
    low = np.where(counts > 0, betaincinv(np.maximum(counts, 0.5), rest + 1, tail), 0.0)
    return low, np.where(rest > 0, betaincinv(counts + 1, np.maximum(rest, 0.5), 1 - tail), 1.0)
