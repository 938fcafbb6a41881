"""Plain records of what was measured: the ledger's and the evidence's leaves."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_FEWEST, _MOST = 4, 17


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a measurement with a limit.

    Attributes:
        comparator: ">=", "<=", ">", "<", "==" or "!=", with the measured side on the left.
        threshold: the limit.
        passed: whether it held.
        side: "value", "low" or "high": which number was held against the limit.
    """

    comparator: str
    threshold: float
    passed: bool
    side: str = "value"


@dataclass(frozen=True, slots=True)
class MeasurementRecord:
    """One measured number, as it travels from a test to the evidence.

    Attributes:
        id: ``kind.metric`` or ``kind.metric[part]``; the name given to ``evidence.record``.
        metric: the metric's name, without kind and part.
        value: a finite float.
        low: lower confidence limit.
        high: upper confidence limit.
        confidence: level of the interval.
        interval: named method of the interval.
        n: rows it rests on.
        unit: "1" for a share.
        method: how it was computed, where there is more than one way.
        by: group name -> {"value", "n", and "low", "high" where defined}.
        section: where the evidence shows it flat: (path, ..) -> number, such as ("metrics", "accuracy").
        comparisons: what it was held against, in order.
        user: recorded by the project itself, not by one of our measuring fixtures.
        details: further finite numbers and short texts that belong to it.
    """

    id: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    interval: str | None = None
    n: int | None = None
    unit: str = "1"
    method: str | None = None
    by: Mapping[str, Mapping[str, float | int | None]] = field(default_factory=dict)
    section: Mapping[str, Any] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    user: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> MeasurementRecord:
        """Read what ``plain`` wrote."""
        comparisons = tuple(Comparison(**each) for each in plain["comparisons"])
        return cls(**{**plain, "comparisons": comparisons})


def holds(value: float, comparator: str, threshold: float) -> bool:
    """Tell whether ``value comparator threshold`` holds, for one of the six comparators."""
    return _HOLDS[comparator](float(value), float(threshold))


def numeral(value: float, *others: float) -> str:
    """Write ``value`` with four significant digits, or with as many as keep it apart from each of ``others``.

    0.84996 against a limit of 0.85 must not read 0.85.
    """
    whole = len(str(int(abs(value)))) if abs(value) < 10**_MOST else 0
    digits = max(_FEWEST, whole)
    while digits < _MOST and any(other != value and f"{other:.{digits}g}" == f"{value:.{digits}g}" for other in others):
        digits += 1
    return f"{value:.{digits}g}"
