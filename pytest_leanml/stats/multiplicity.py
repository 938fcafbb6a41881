"""Many columns, one verdict on each: false discoveries held down, and noise in few rows not taken for stability."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pytest_leanml.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import FloatArray


def benjamini_hochberg(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p values so that rejecting those up to q keeps the false discovery rate at q.

    Benjamini and Hochberg (1995, JRSS B 57, 289-300), as ``scipy.stats.false_discovery_control(method="bh")``; valid
    for independent tests and for positively dependent ones.

    Args:
        p_values: shape (k,), k may be 0.

    Returns:
        Shape (k,), in the same order, each at least its p value and at most 1.

    Raises:
        MeasurementError: a p value is not a number in [0, 1].
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise MeasurementError(f"p values {given.tolist()!r}", "numbers from 0 to 1 in one dimension")
    order = np.argsort(given)
    raised = given[order] * len(given) / np.arange(1, len(given) + 1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum.accumulate(raised[::-1])[::-1]
    return np.minimum(adjusted, 1.0)


class Verdict(StrEnum):
    """What two sets of rows say of a column."""

    DRIFTED = "drifted"
    STABLE = "stable"
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class ColumnVerdict:
    """The verdict on one column.

    Attributes:
        verdict: see ``drifted_columns``.
        effect: the estimate's value.
        limit: the smallest effect that counts as drift.
        p_value: adjusted for the number of columns.
    """

    verdict: Verdict
    effect: float
    limit: float
    p_value: float


def drifted_columns(
    estimates: Mapping[str, Estimate], limits: Mapping[str, float], *, fdr: float = 0.05
) -> dict[str, ColumnVerdict]:
    """Judge every column by its effect and its adjusted p value.

    Drifted: the effect reaches the limit and the adjusted p value is at most ``fdr``. Stable: the effect is below the
    limit. Unsettled: the effect reaches the limit, but so few rows could show it by chance. That is no pass: with three
    rows hardly anything is significant, and nearly every effect is large.

    Where chance alone makes an effect large, as Cramér's V of many categories, the details hold ``net``, the effect
    without that part, and ``net_high``, its upper limit: then ``net`` must reach the limit for drift, and a column is
    stable as well where ``net_high`` stays below.

    Args:
        estimates: column -> estimate with ``p_value`` among its details.
        limits: column -> smallest effect that counts as drift.
        fdr: false discovery rate over these columns, strictly between 0 and 1.

    Raises:
        MeasurementError: ``fdr`` out of range, or a limit is not above 0.
    """
    if not 0 < fdr < 1:
        raise MeasurementError(f"a false discovery rate of {fdr!r}", "a number strictly between 0 and 1, such as 0.05")
    adjusted = benjamini_hochberg([each.details["p_value"] for each in estimates.values()])
    return {
        name: _judge(estimate, limits[name], p_value, fdr)
        for (name, estimate), p_value in zip(estimates.items(), adjusted.tolist(), strict=True)
    }


def _judge(estimate: Estimate, limit: float, p_value: float, fdr: float) -> ColumnVerdict:
    if not limit > 0:
        raise MeasurementError(f"a smallest effect of {limit!r}", "a number above 0")
    effect = estimate.value
    if effect < limit or estimate.details.get("net_high", limit) < limit:
        return ColumnVerdict(Verdict.STABLE, effect, limit, p_value)
    large = estimate.details.get("net", effect) >= limit
    return ColumnVerdict(Verdict.DRIFTED if large and p_value <= fdr else Verdict.UNSETTLED, effect, limit, p_value)
