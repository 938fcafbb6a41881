"""What every statistic returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """One group's, slice's or column's share of an estimate.

    Attributes:
        value: the statistic within the part.
        n: rows in the part.
        low: lower confidence limit, None where no interval is defined.
        high: upper confidence limit, None where no interval is defined.
        predicted: mean of what was predicted, in a bin of a reliability diagram.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    predicted: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and how sure we are of it.

    Attributes:
        value: the point estimate, finite.
        n: rows (or pairs of rows) it rests on.
        low: lower confidence limit, None where no interval is defined.
        high: upper confidence limit, None where no interval is defined.
        interval: the interval's named method, such as "wilson"; None without one.
        confidence: two-sided confidence level of the interval.
        unit: "1" for a share, else the target's unit.
        by: value of each group, slice or column, in a stable order.
        details: further finite numbers that belong to it (p values, statistics).
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    confidence: float = 0.95
    unit: str = "1"
    by: Mapping[str, Part] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
