"""How far a column has moved between two sets of rows: an effect size first, a p value beside it.

A p value alone denies for nothing at a million rows, and an effect alone denies for nothing at fifty: the effect is the
``value`` of each estimate, the p value stands in its ``details``, and ``multiplicity.drifted_columns`` asks for both.

A missing value (NaN, None, NaT, NA) is never dropped in silence. Where either side has one, KS takes the change of the
missing share for its effect when that is the larger, and PSI and chi-squared count missing as a category of its own.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc
from scipy.stats import kstwo

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.columns import binned, categories, numbers
from pytest_leanml.stats.estimate import Estimate

if TYPE_CHECKING:
    from pytest_leanml.stats.columns import Side
    from pytest_leanml.stats.samples import FloatArray

HALF_A_ROW = 0.5
FEW_PAIRS = 250_000


class DriftMethod(StrEnum):
    """How a column is compared; ``auto`` is KS for a numeric column, chi-squared for any other."""

    AUTO = "auto"
    KS = "ks"
    PSI = "psi"
    CHI_SQUARED = "chi_squared"


def resolve(method: DriftMethod | str, *, numeric: bool) -> DriftMethod:
    """Return the method that a column is compared with.

    Raises:
        MeasurementError: no such method, or KS for a column that has no order.
    """
    try:
        chosen = DriftMethod(method)
    except ValueError as error:
        raise MeasurementError(f"the drift method {method!r}", f"one of {', '.join(DriftMethod)}") from error
    if chosen is DriftMethod.AUTO:
        return DriftMethod.KS if numeric else DriftMethod.CHI_SQUARED
    if chosen is DriftMethod.KS and not numeric:
        raise MeasurementError(
            "KS of a column that is not numeric", "numbers", "use the method auto, psi or chi_squared"
        )
    return chosen


def column_drift(
    reference: npt.ArrayLike,
    current: npt.ArrayLike,
    *,
    numeric: bool,
    method: DriftMethod | str = DriftMethod.AUTO,
    confidence: float = 0.95,
) -> Estimate:
    """Compare one column of two frames.

    PSI and chi-squared put a numeric column into the same bins (see ``psi``) and any other into its categories.

    Args:
        reference: shape (n,), what the model was trained on.
        current: shape (m,), what it meets now.
        numeric: whether the values are numbers or times, in an order, rather than categories.
        method: auto, ks, psi or chi_squared.
        confidence: two-sided level of the interval, which KS alone has.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: infinity or text in a numeric column, an unknown method.
    """
    chosen = resolve(method, numeric=numeric)
    if chosen is DriftMethod.KS:
        return ks(reference, current, confidence=confidence)
    tabulate = binned if numeric else categories
    compare = psi_counts if chosen is DriftMethod.PSI else chi_squared_counts
    return compare(*tabulate(reference, current))


def ks(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Compare two samples of numbers by the Kolmogorov-Smirnov distance: the widest gap between their distributions.

    The p value is that of ``scipy.stats.ks_2samp``: "exact" up to 500 rows on either side (n m <= 250,000; with three
    rows a side "asymp" would call a distance of 1 certain drift), "asymp" beyond. The interval, "dkw", is conservative: each
    empirical distribution lies within sqrt(ln(2 / a) / (2 n)) of its own (Dvoretzky, Kiefer and Wolfowitz 1956, with
    Massart's constant, 1990, Annals of Probability 18, 1269-1283), so the true distance is within the sum of both
    margins, ``a`` being the error shared out evenly over the two of them.

    With missing values the effect is the larger of the distance between the values present and the change of the
    missing share; the p value is twice the smaller one of both tests (Bonferroni), and the error is shared by four
    margins (Hoeffding 1963 for the missing shares, never wider than those above). Without any, missing shares are
    taken as zero.

    Args:
        reference: shape (n,), numbers, booleans or times.
        current: shape (m,).
        confidence: two-sided level of the interval.

    Returns:
        value in [0, 1]; details: distance, p_value, reference_rows, current_rows (with a value), reference_missing,
        current_missing (shares).

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: infinity or values that are no numbers.
    """
    old, new = numbers(reference, "reference"), numbers(current, "current")
    return ks_of(_distance(old.present, new.present), old, new, confidence=confidence)


def ks_of(distance: float, old: Side[Any], new: Side[Any], *, confidence: float = 0.95, error: float = 0.0) -> Estimate:
    """Return what ``ks`` says of a distance that was already measured, however that was done.

    Args:
        distance: the largest distance of both sides' distribution functions, where they have values.
        old: how many rows of the reference have a value; what is present is not looked at.
        new: the same of the current rows.
        confidence: two-sided level of the interval.
        error: by how much the true distance of these rows may be larger, such as within a bin; the interval's upper
            limit covers it, and ``details`` name it ``bin_error``.
    """
    p_value, events = _ks_p_value(distance, old.filled, new.filled), 2
    value, most = distance, distance + error
    if old.missing or new.missing:
        gone = abs(old.share - new.share)
        value, most = max(value, gone), max(most, gone)
        p_value, events = min(1.0, 2 * min(p_value, _missing_p_value(old, new))), 4
    margin = _dkw(old.filled, confidence, events) + _dkw(new.filled, confidence, events)
    return Estimate(
        value,
        old.filled + new.filled,
        low=max(0.0, value - margin),
        high=min(1.0, most + margin),
        interval="dkw",
        confidence=confidence,
        details={
            "distance": distance,
            "p_value": p_value,
            **({"bin_error": error} if error else {}),
            **_rows(old, new),
        },
    )


def _distance(old: FloatArray, new: FloatArray) -> float:
    """Return KS' D of two sorted samples.

    The gap is widest at a step of ``old``: just after it where ``old`` is ahead, just before it where ``new`` is. With
    ties, ranks that are off by less than the tie only make a gap smaller than the right one beside it.
    """
    steps = np.arange(len(old) + 1) / len(old)
    ahead = (steps[1:] - np.searchsorted(new, old, side="right") / len(new)).max()
    behind = (np.searchsorted(new, old, side="left") / len(new) - steps[:-1]).max()
    return max(0.0, float(ahead), float(behind))


def _ks_p_value(distance: float, n: int, m: int) -> float:
    if n * m <= FEW_PAIRS:
        return _exact_p_value(distance, min(n, m), max(n, m))
    return float(np.clip(kstwo.sf(distance, np.round(n * m / (n + m))), 0.0, 1.0))


def _exact_p_value(distance: float, fewer: int, more: int) -> float:
    """Return the chance of a distance at least as large, if all orders of both samples' rows are equally likely.

    Each order is a path over a grid, and the recursion sums the weights of the paths whose distance stays below (Hodges
    1958, Arkiv for Matematik 3, 469-486). With ties the chance is at most this.
    """
    # The grid has steps of 1 / (fewer more): half a step below the distance is safe from rounding.
    limit = (math.floor(distance * fewer * more - 1e-7) + 0.5) / (fewer * more)
    columns = np.arange(more + 1) / more
    weights = (columns <= limit).astype(np.float64)
    for row in range(1, fewer + 1):
        within = np.abs(row / fewer - columns) <= limit
        weights = np.where(within, np.cumsum(np.where(within, weights * row / (row + more), 0.0)), 0.0)
    return float(np.clip(1 - weights[-1], 0.0, 1.0))


def _dkw(rows: int, confidence: float, events: int) -> float:
    if not 0 < confidence < 1:
        raise MeasurementError(f"confidence {confidence!r}", "a number strictly between 0 and 1, such as 0.95")
    return math.sqrt(math.log(2 * events / (1 - confidence)) / (2 * rows))


def _missing_p_value(old: Side[Any], new: Side[Any]) -> float:
    table = np.array([[old.filled, old.missing], [new.filled, new.missing]], dtype=np.float64)
    return _pearson(table)[1]


def psi(reference: npt.ArrayLike, current: npt.ArrayLike, *, bins: int = 10) -> Estimate:
    """Compare two samples of numbers by the population stability index over the reference's quantiles.

    The bins are the deciles of the reference, closed on the right, the outer two open to infinity. A value that fills
    more than one decile becomes a bin of its own, so that a constant or much repeated value cannot move unnoticed
    within a bin. See ``psi_counts`` for the rest.

    Args:
        reference: shape (n,), numbers, booleans or times.
        current: shape (m,).
        bins: number of quantile bins, at least 2.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: infinity or values that are no numbers; fewer than two bins.
    """
    return psi_counts(*binned(reference, current, bins))


def psi_counts(reference: npt.ArrayLike, current: npt.ArrayLike) -> Estimate:
    """Return the population stability index of two counts over the same bins: sum of (q - p) ln(q / p).

    That is the symmetric divergence of Kullback and Leibler (1951, Annals of Mathematical Statistics 22, 79-86). A bin
    that is empty on one side counts half a row there, which keeps the index finite: its ceiling is about ln(2 n). A bin
    that is empty on both sides counts nothing.

    No interval: the index is at least 0 and its law changes there, so that neither the delta method nor percentiles
    of a bootstrap, which is biased upwards, cover near 0. The p value is Pearson's over the same bins.

    Args:
        reference: shape (k,), rows in each bin.
        current: shape (k,).

    Returns:
        value >= 0; details: p_value, statistic, dof (Pearson's), bins, reference_rows, current_rows.

    Raises:
        InconclusiveError: a side has no row.
        MeasurementError: not two counts of one length.
    """
    table = _table(reference, current)
    totals = table.sum(axis=1, keepdims=True)
    old, new = np.maximum(table, HALF_A_ROW) / totals
    statistic, p_value, dof = _pearson(table)
    details = {"p_value": p_value, "statistic": statistic, "dof": dof, "bins": float(table.shape[1]), **_totals(table)}
    return Estimate(float(((new - old) * np.log(new / old)).sum()), int(totals.sum()), details=details)


def chi_squared(reference: npt.ArrayLike, current: npt.ArrayLike) -> Estimate:
    """Compare two samples of categories by Cramér's V of the table of sample by category.

    Categories are told apart as Python does: 1 and 1.0 are one, 1 and "1" are two. A category that is new or gone is a
    cell of 0 on the other side.

    Args:
        reference: shape (n,), labels of any kind.
        current: shape (m,).

    Returns:
        See ``chi_squared_counts``; details have also unseen_share: the current rows whose category the reference lacks.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: values that cannot be told apart, such as lists.
    """
    return chi_squared_counts(*categories(reference, current))


def chi_squared_counts(reference: npt.ArrayLike, current: npt.ArrayLike) -> Estimate:
    """Return Cramér's V of two counts over the same categories: the root of chi-squared / rows, in [0, 1].

    Chi-squared is Pearson's without Yates' correction, as ``scipy.stats.chi2_contingency(correction=False)``; V is
    Cramér's (1946, Mathematical Methods of Statistics, 282), as ``scipy.stats.contingency.association``.

    No interval: V has PSI's trouble at 0, and inverting the non-central chi-squared law covers for small effects only.

    Args:
        reference: shape (k,), rows in each category.
        current: shape (k,).

    Returns:
        value in [0, 1]; details: p_value, statistic, dof, least_expected (rows that the smallest cell should have; below
        5 the p value is rough), unseen_share, reference_rows, current_rows.

    Raises:
        InconclusiveError: a side has no row.
        MeasurementError: not two counts of one length.
    """
    table = _table(reference, current)
    statistic, p_value, dof = _pearson(table)
    rows = float(table.sum())
    details = {
        "p_value": p_value,
        "statistic": statistic,
        "dof": dof,
        "least_expected": float(table.sum(axis=0).min() * table.sum(axis=1).min() / rows),
        "unseen_share": float(table[1, table[0] == 0].sum() / table[1].sum()),
        **_totals(table),
    }
    return Estimate(min(1.0, math.sqrt(statistic / rows)), int(rows), details=details)


def _pearson(table: FloatArray) -> tuple[float, float, float]:
    """Return Pearson's chi-squared of a (2, k) table without an empty column, its p value and degrees of freedom."""
    dof = table.shape[1] - 1
    if not dof:
        return 0.0, 1.0, 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(chdtrc(dof, statistic)), float(dof)


def _table(reference: npt.ArrayLike, current: npt.ArrayLike) -> FloatArray:
    """Return both counts as one (2, k) table without the columns that are empty on both sides."""
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


def _totals(table: FloatArray) -> dict[str, float]:
    return {"reference_rows": float(table[0].sum()), "current_rows": float(table[1].sum())}


def _rows(old: Side[Any], new: Side[Any]) -> dict[str, float]:
    return {
        "reference_rows": float(old.filled),
        "current_rows": float(new.filled),
        "reference_missing": old.share,
        "current_missing": new.share,
    }
