"""How far a column has moved between two sets of rows: an effect size first, a p value beside it.

A p value alone denies for nothing at a million rows, and an effect alone denies for nothing at fifty: the effect is the
``value`` of each estimate, the p value stands in its ``details``, and ``multiplicity.drifted_columns`` asks for both.

A missing value (NaN, None, NaT, NA) is never dropped in silence. Where either side has one, KS and Wasserstein take the
change of the missing share for their effect when that is the larger, and all others count missing as a category.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.columns import bin_counts, binned, numbers, tally
from pytest_leanml.stats.drift_bounds import doubt_of
from pytest_leanml.stats.drift_counts import (
    chi_squared_counts,
    jensen_shannon_counts,
    kl_counts,
    pearson_of,
    psi_counts,
    total_variation_counts,
)
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.kolmogorov import tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.columns import Side, Tally
    from pytest_leanml.stats.samples import FloatArray

FEW_PAIRS = 250_000


class DriftMethod(StrEnum):
    """How a column is compared; ``auto`` is KS for a numeric column, chi-squared for any other."""

    AUTO = "auto"
    KS = "ks"
    PSI = "psi"
    CHI_SQUARED = "chi_squared"
    JENSEN_SHANNON = "jensen_shannon"
    KL = "kl"
    WASSERSTEIN = "wasserstein"
    TOTAL_VARIATION = "total_variation"


ORDERED_ONLY = (DriftMethod.KS, DriftMethod.WASSERSTEIN)
BY_COUNTS: dict[DriftMethod, Callable[..., Estimate]] = {
    DriftMethod.PSI: psi_counts,
    DriftMethod.CHI_SQUARED: chi_squared_counts,
    DriftMethod.JENSEN_SHANNON: jensen_shannon_counts,
    DriftMethod.KL: kl_counts,
    DriftMethod.TOTAL_VARIATION: total_variation_counts,
}


def resolve(method: DriftMethod | str, *, numeric: bool) -> DriftMethod:
    """Return the method that a column is compared with.

    Raises:
        MeasurementError: no such method, or KS or Wasserstein for a column that has no order.
    """
    try:
        chosen = DriftMethod(method)
    except ValueError as error:
        raise MeasurementError(f"the drift method {method!r}", f"one of {', '.join(DriftMethod)}") from error
    if chosen is DriftMethod.AUTO:
        return DriftMethod.KS if numeric else DriftMethod.CHI_SQUARED
    if chosen in ORDERED_ONLY and not numeric:
        shown = "KS" if chosen is DriftMethod.KS else "Wasserstein"
        others = ", ".join(BY_COUNTS)
        raise MeasurementError(f"{shown} of a column that is not numeric", "numbers", f"use the method auto, {others}")
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

    All methods but KS and Wasserstein put a numeric column into the same bins (see ``psi``) and any other into its
    categories.

    Args:
        reference: shape (n,), what the model was trained on.
        current: shape (m,), what it meets now.
        numeric: whether the values are numbers or times, in an order, rather than categories.
        method: one of ``DriftMethod``.
        confidence: two-sided level of the interval.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values; Wasserstein: the reference is constant and
            the current rows are not the same.
        MeasurementError: infinity or text in a numeric column, an unknown method.
    """
    chosen = resolve(method, numeric=numeric)
    if not numeric:
        return compare_labels(tally(reference, current), chosen, confidence=confidence)
    old, new = numbers(reference, "reference"), numbers(current, "current")
    return compare_numbers(old, new, chosen, confidence=confidence)


def compare_numbers(
    old: Side[FloatArray], new: Side[FloatArray], method: DriftMethod, *, confidence: float = 0.95
) -> Estimate:
    """Compare sides that are sorted already; ``method`` is none but those that ``resolve`` returns."""
    if method is DriftMethod.KS:
        return ks_of(_distance(old.present, new.present), old, new, confidence=confidence)
    if method is DriftMethod.WASSERSTEIN:
        from pytest_leanml.stats.transport import wasserstein_sides

        return wasserstein_sides(old, new, confidence=confidence)
    return BY_COUNTS[method](*bin_counts(old, new), confidence=confidence)


def compare_labels(found: Tally, method: DriftMethod, *, confidence: float = 0.95) -> Estimate:
    """Compare categories; ``method`` is none but those that ``resolve`` returns."""
    return BY_COUNTS[method](found.reference, found.current, confidence=confidence)


def ks(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Compare two samples of numbers by the Kolmogorov-Smirnov distance: the widest gap between their distributions.

    The p value is that of ``scipy.stats.ks_2samp``: "exact" up to 500 rows on either side (n m <= 250,000; with three
    rows a side "asymp" would call a distance of 1 certain drift), "asymp" beyond, see ``kolmogorov.tail``. The interval, "dkw", is conservative: each
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
    return tail(distance, round(n * m / (n + m)))


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
    return math.sqrt(math.log(2 * events / doubt_of(confidence)) / (2 * rows))


def _missing_p_value(old: Side[Any], new: Side[Any]) -> float:
    table = np.array([[old.filled, old.missing], [new.filled, new.missing]], dtype=np.float64)
    return pearson_of(table)["p_value"]


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
    found = tally(reference, current)
    return chi_squared_counts(found.reference, found.current)


def _rows(old: Side[Any], new: Side[Any]) -> dict[str, float]:
    return {
        "reference_rows": float(old.filled),
        "current_rows": float(new.filled),
        "reference_missing": old.share,
        "current_missing": new.share,
    }
