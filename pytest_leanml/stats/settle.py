"""How many rows would settle a limit that the interval straddles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_leanml.errors import MeasurementError

if TYPE_CHECKING:
    from pytest_leanml.stats.estimate import Estimate


def rows_to_settle(estimate: Estimate, limit: float) -> int | None:
    """Return the rows at which the interval would clear ``limit``, were the value to stay where it is.

    The half-width shrinks with the square root of n, so that it clears a distance d at ``n * (width / d) ** 2`` rows.
    Intervals grow symmetric as they shrink, so the width is the larger of half the whole and the limit's own side. An
    order of magnitude to plan with, not a promise: the value will move.

    Args:
        estimate: with an interval, or None is returned.
        limit: finite, in the unit of the value.

    Returns:
        At least 1; the number is not above ``estimate.n`` where the interval clears the limit already. None where the
        value sits on the limit (no number of rows settles that) or where no interval is defined.

    Raises:
        MeasurementError: the limit is not finite.
    """
    if not math.isfinite(limit):
        raise MeasurementError(f"the limit {limit!r}", "a finite number")
    distance = abs(limit - estimate.value)
    if estimate.low is None or estimate.high is None or distance == 0:
        return None
    width = estimate.value - estimate.low if limit < estimate.value else estimate.high - estimate.value
    if width >= distance:
        width = max(width, (estimate.high - estimate.low) / 2)
    # Squared only where it stays a finite number of rows.
    ratio = width / distance
    return max(1, math.ceil(estimate.n * ratio**2)) if ratio < math.sqrt(2**53) else None
