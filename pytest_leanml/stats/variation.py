"""Total variation: the share of rows by which two distributions over labels differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_leanml.stats.columns import tally
from pytest_leanml.stats.drift_counts import total_variation_counts
from pytest_leanml.stats.estimate import Estimate, Part

if TYPE_CHECKING:
    from pytest_leanml.stats.columns import Labels


def total_variation(reference: Labels, current: Labels, *, confidence: float = 0.95) -> Estimate:
    """Compare two samples of labels: half the sum of the absolute differences of their shares.

    See ``drift_counts.total_variation_counts`` for the interval.

    Args:
        reference: shape (n,), labels.
        current: shape (m,), labels.
        confidence: two-sided level of the interval, strictly between 0 and 1.

    Returns:
        Value in [0, 1]; ``by`` is each label's share of the current rows.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: the level is out of range.
    """
    found = tally(reference, current)
    rows = int(found.current.sum())
    named = zip(found.names, found.current.tolist(), strict=False)  # the missing ones have no name
    by = {str(name): Part(count / rows, rows) for name, count in sorted(named, key=lambda pair: str(pair[0]))}
    return replace(total_variation_counts(found.reference, found.current, confidence=confidence), by=by)
