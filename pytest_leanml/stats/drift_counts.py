"""How far two counts over the same cells (bins or categories) are apart; all that is needed of the rows is the counts.

Each function takes the rows in each cell of reference and current, shape (k,), and returns an ``Estimate`` whose
``details`` have Pearson's p value, statistic and degrees of freedom over the same cells: it tests whether anything has
moved, whatever the distance, and its law is known. A cell that is empty on both sides counts nothing.

Two samples of one distribution are apart as well, by chance, the more so the more cells there are: Cramér's V of 1,000
categories in 20,000 rows a side is about 0.16. So the details have also ``net``, the distance without that part, and
``net_high``, its upper limit, which verdicts read: see ``_net``.

All raise InconclusiveError where a side has no row, and MeasurementError for what are not two counts of one length.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, rel_entr

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.drift_bounds import divergence_radius, shares_within, variation_radius
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.samples import FloatArray

HALF_A_ROW = 0.5
# A category of fewer rows on both sides together says nothing by itself.
FEW_ROWS = 5


def psi_counts(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return the population stability index of two counts over the same bins: sum of (q - p) ln(q / p).

    That is the symmetric divergence of Kullback and Leibler (1951, Annals of Mathematical Statistics 22, 79-86). A bin
    that is empty on one side counts half a row there, which keeps the index finite: its ceiling is about ln(2 n).

    The interval, "clopper-pearson box", is conservative: each bin adds the least and the most that it can within
    simultaneous limits of its two shares. As in the index, a true share below half a row counts as half a row.

    Args:
        reference: shape (k,), rows in each bin.
        current: shape (k,).
        confidence: two-sided level of the interval.

    Returns:
        value >= 0; details: p_value, statistic, dof (Pearson's), bins, net, net_high, reference_rows, current_rows.
    """
    return _by_cell(_symmetric, reference, current, confidence)


def kl_counts(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return Kullback's and Leibler's divergence of current from reference, in nats: sum of q ln(q / p) - q + p.

    That is ``scipy.stats.entropy(current, reference)``; the last two terms, which cancel over all cells, keep each at 0
    or above where a cell that is empty on one side counts half a row there (see ``psi_counts``, also for the interval).

    Args:
        reference: shape (k,), rows in each cell.
        current: shape (k,).
        confidence: two-sided level of the interval.

    Returns:
        value >= 0; details as those of ``psi_counts``.
    """
    return _by_cell(_directed, reference, current, confidence)


def _symmetric(old: FloatArray, new: FloatArray) -> FloatArray:
    return np.asarray((new - old) * np.log(new / old))


def _directed(old: FloatArray, new: FloatArray) -> FloatArray:
    return np.asarray(rel_entr(new, old) - new + old)


def _by_cell(
    term: Callable[[FloatArray, FloatArray], FloatArray],
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    confidence: float,
) -> Estimate:
    """Sum a term that is 0 where both shares are one, and grows with their distance whichever of them moves."""
    table = table_of(reference, current)
    totals, cells = table.sum(axis=1, keepdims=True), table.shape[1]
    floors = HALF_A_ROW / totals
    value = float(term(*np.maximum(table / totals, floors)).sum())
    # One more cell stands for whatever neither side has shown.
    limits = [shares_within(side, confidence, cells + 1) for side in table]
    (old_low, old_high), (new_low, new_high) = [
        (np.maximum(low, floor), np.maximum(high, floor))
        for (low, high), floor in zip(limits, floors.ravel(), strict=True)
    ]
    most = np.maximum(term(old_low, new_high), term(old_high, new_low))
    least = np.where(
        new_low > old_high, term(old_high, new_low), np.where(old_low > new_high, term(old_low, new_high), 0)
    )
    return Estimate(
        value,
        int(totals.sum()),
        low=float(min(value, least.sum())),
        high=float(max(value, most.sum())),
        interval="clopper-pearson box",
        confidence=confidence,
        details=_details(table, _net(table, value, _steepest(table), confidence, squared=True)),
    )


def total_variation_counts(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return half the sum of the absolute differences of shares: the share of rows that would have to move, in [0, 1].

    The interval, "weissman", is conservative: see ``drift_bounds.variation_radius``. k counts the cells that were met
    on either side, and all that were not as one more.

    Args:
        reference: shape (k,), rows in each cell.
        current: shape (k,).
        confidence: two-sided level of the interval.
    """
    table = table_of(reference, current)
    old, new = table / table.sum(axis=1, keepdims=True)
    radius = variation_radius(table.shape[1] + 1, _rows(table), confidence)
    # Cauchy and Schwarz: half the sum of |p - q| is at most V / (2 sqrt(w (1 - w))).
    most = 1 / (2 * math.sqrt(_balance(table)))
    return _within(float(np.abs(old - new).sum()) / 2, radius, "weissman", table, (most, confidence))


def jensen_shannon_counts(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return Jensen's and Shannon's distance, base 2, in [0, 1]: ``scipy.spatial.distance.jensenshannon(base=2)``.

    The root of the mean of both sides' divergence from their midpoint (Endres and Schindelin 2003, IEEE Transactions on
    Information Theory 49, 1858-1860). An empty cell needs no rule: it is finite as it stands.

    The interval, "agrawal", is conservative: it is a metric, so that it is off by the distances of both samples from
    their own shares at most, and each of these is at most the root of half of the divergence that
    ``drift_bounds.divergence_radius`` bounds (f-divergences: ln(2) / 2 is the largest ratio of both generators).

    Args:
        reference: shape (k,), rows in each cell.
        current: shape (k,).
        confidence: two-sided level of the interval.
    """
    table = table_of(reference, current)
    old, new = table / table.sum(axis=1, keepdims=True)
    middle = (old + new) / 2
    bits = float((rel_entr(old, middle) + rel_entr(new, middle)).sum()) / 2 / math.log(2)
    reach = divergence_radius(table.shape[1] + 1, confidence)
    radius = math.sqrt(reach * (1 / _rows(table)[0] + 1 / _rows(table)[1]) / 2)
    # Topsøe (2000, IEEE Transactions on Information Theory 46, 1602-1609): the divergence in bits is at most half of the
    # sum of (p - q)^2 / (p + q), and that at most V^2 / min(w, 1 - w).
    most = 1 / math.sqrt(2 * min(_rows(table)) / float(table.sum()))
    return _within(math.sqrt(min(max(bits, 0.0), 1.0)), radius, "agrawal", table, (most, confidence))


def _within(value: float, radius: float, interval: str, table: FloatArray, bound: tuple[float, float]) -> Estimate:
    """Make the estimate of a metric from 0 to 1; ``bound`` is what it is at most, as a multiple of V, and the level."""
    most, confidence = bound
    value = min(max(value, 0.0), 1.0)
    return Estimate(
        value,
        int(table.sum()),
        low=max(0.0, value - radius),
        high=min(1.0, value + radius),
        interval=interval,
        confidence=confidence,
        details=_details(table, _net(table, value, most, confidence)),
    )


def chi_squared_counts(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Return Cramér's V of two counts over the same categories: the root of chi-squared / rows, in [0, 1].

    Chi-squared is Pearson's without Yates' correction, as ``scipy.stats.chi2_contingency(correction=False)``; V is
    Cramér's (1946, Mathematical Methods of Statistics, 282), as ``scipy.stats.contingency.association``.

    The interval, "agrawal", is conservative: V is the length of a vector that moves by at most a known multiple of the
    Hellinger distance of the samples from their shares, which ``drift_bounds.divergence_radius`` bounds.

    Args:
        reference: shape (k,), rows in each category.
        current: shape (k,).
        confidence: two-sided level of the interval.

    Returns:
        value in [0, 1]; details: p_value, statistic, dof, net, net_high, least_expected (rows that the smallest cell
        should have; below 5 the p value is rough), unseen_share, reference_rows, current_rows.
    """
    table = table_of(reference, current)
    rows = float(table.sum())
    value = min(1.0, math.sqrt(pearson_of(table)["statistic"] / rows))
    radius = _steepness(table) * math.sqrt(divergence_radius(table.shape[1] + 1, confidence) / rows)
    found = _within(value, radius, "agrawal", table, (1.0, confidence))
    least = float(table.sum(axis=0).min() * table.sum(axis=1).min() / rows)
    unseen = float(table[1, table[0] == 0].sum() / table[1].sum())
    return replace(found, details={**found.details, "least_expected": least, "unseen_share": unseen})


def _steepness(table: FloatArray) -> float:
    """Return how much faster V moves than the roots of the joint shares.

    With a = sqrt(w p) and b = sqrt((1 - w) q) in polar coordinates, w being the reference's share of the rows, V's
    vector is r (cos^2 t - w) / sqrt(w (1 - w)). The square of its slope is largest at cos^2 t = (2 - w) / 3, where it is
    this value's; with as many rows on either side that is 2.
    """
    return math.sqrt(4 / 3 * (1 / _balance(table) - 1))


def _net(table: FloatArray, value: float, most: float, confidence: float, *, squared: bool = False) -> dict[str, float]:
    """Return the distance without what chance adds to it, and its upper limit.

    Chance adds dof to chi-squared, whatever has moved, and all these distances go with chi-squared, or its root, where
    they are small: ``net`` is the distance times the share of chi-squared, or its root, that is beyond dof.

    Args:
        table: rows by side and cell.
        value: the distance.
        most: the distance is at most this times V, or V squared.
        confidence: two-sided level, of which the upper side is taken.
        squared: whether it goes with chi-squared rather than with its root.
    """
    tested = pearson_of(table)
    beyond = max(0.0, 1 - tested["dof"] / tested["statistic"]) if tested["statistic"] else 0.0
    high = _highest_v(table, confidence)
    return {
        "net": value * (beyond if squared else math.sqrt(beyond)),
        "net_high": most * (high**2 if squared else high),
    }


def _highest_v(table: FloatArray, confidence: float) -> float:
    """Return the upper limit of V.

    By the normal form of the non-central chi-squared law (Patnaik 1949, Biometrika 36, 202-232), to which a category of
    fewer than five rows, where that law does not hold, adds all that it can.
    """
    rows, sides = table.sum(), table.sum(axis=1)
    dense = table.sum(axis=0) >= FEW_ROWS
    lean = float(table[:, ~dense].sum() / rows) * float(sides.max() / sides.min())
    statistic = float(_pearson_terms(table)[:, dense].sum())
    z, dof = critical(confidence), float(dense.sum())
    middle = statistic - dof + 2 * z * z
    beyond = max(0.0, middle + z * math.sqrt(max(0.0, 4 * (statistic - dof) + 4 * z * z + 2 * dof)))
    return min(1.0, math.sqrt(beyond / rows + lean))


def _balance(table: FloatArray) -> float:
    """Return w (1 - w), w being the reference's share of the rows."""
    share = float(table[0].sum() / table.sum())
    return share * (1 - share)


def _steepest(table: FloatArray) -> float:
    """Return what the population stability index is at most, as a multiple of V squared; the divergence is no larger.

    A cell of shares p and r p adds g(r) = ln r (w + (1 - w) r) / (r - 1) / (w (1 - w)) times what it adds to V squared,
    and r is at most 2 n where a share counts as half a row at least. g is convex in ln r: one of the ends has the most.
    """
    share, ratio = float(table[0].sum() / table.sum()), 2 * max(_rows(table))
    ends = (math.log(r) * (share + (1 - share) * r) / (r - 1) for r in (ratio, 1 / ratio))
    return max(ends) / _balance(table)


def _pearson_terms(table: FloatArray) -> FloatArray:
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return np.asarray((table - expected) ** 2 / expected)


def pearson_of(table: FloatArray) -> dict[str, float]:
    """Return Pearson's p value, statistic and degrees of freedom of a (2, k) table without an empty column."""
    dof = table.shape[1] - 1
    if not dof:
        return {"p_value": 1.0, "statistic": 0.0, "dof": 0.0}
    statistic = float(_pearson_terms(table).sum())
    return {"p_value": float(chdtrc(dof, statistic)), "statistic": statistic, "dof": float(dof)}


def table_of(reference: npt.ArrayLike, current: npt.ArrayLike) -> FloatArray:
    """Return both counts as one (2, k) table without the columns that are empty on both sides.

    Raises:
        InconclusiveError: a side has no row.
        MeasurementError: not two counts of one length.
    """
    old, new = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if old.ndim != 1 or old.shape != new.shape:
        raise MeasurementError(f"counts of the shapes {old.shape} and {new.shape}", "two counts over the same bins")
    table = np.stack([old, new])
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise MeasurementError("counts that are negative or not finite", "rows in each bin, 0 or more")
    for side, name in zip(table, ("reference", "current"), strict=True):
        if not side.sum():
            raise InconclusiveError(f"no rows in {name}", "at least one row on either side")
    return table[:, table.sum(axis=0) > 0]


def _rows(table: FloatArray) -> tuple[float, float]:
    return float(table[0].sum()), float(table[1].sum())


def _details(table: FloatArray, net: dict[str, float]) -> dict[str, float]:
    reference, current = _rows(table)
    cells = float(table.shape[1])
    return {**pearson_of(table), "bins": cells, **net, "reference_rows": reference, "current_rows": current}
