"""Hold a measurement against a limit: by its point estimate, or by the confidence limit that must clear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.checks.wording import failing_row, groups
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.evidence.doubts import advice, straddles
from pytest_leanml.evidence.records import holds, numeral
from pytest_leanml.vocabulary import Judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import Limit

COMPARATORS: Mapping[str, str] = {"min": ">=", "above": ">", "max": "<=", "below": "<"}

# The confidence limit that must clear a limit, and the one that tells a miss from a doubt.
_SIDES: Mapping[str, tuple[str, str]] = {
    "min": ("low", "high"),
    "above": ("low", "high"),
    "max": ("high", "low"),
    "below": ("high", "low"),
}


class LimitMissedError(AssertionError):
    """A measurement does not hold a limit; its text says value, limit, interval, rows and groups."""


def hold(measurement: Measurement, limit: Limit) -> None:
    """Hold a measurement against every bound of a limit, and record each comparison.

    Args:
        measurement: what was measured.
        limit: its bounds, and whether the value or the confidence limit is held against them.

    Raises:
        LimitMissedError: a bound is missed; under ``judge: bound`` the whole interval is on its wrong side.
        InconclusiveError: under ``judge: bound`` the interval lies across a bound, with the rows that would settle it.
        MeasurementError: the limit has no bound, or ``judge: bound`` for a measurement without an interval.
    """
    bounds = limit.bounds()
    if not bounds:
        raise MeasurementError(
            f"the limit of {measurement.id} has no bound", "at least one of min, max, above, below", "state one"
        )
    judge = _bound if limit.judge is Judge.BOUND else _point
    # Every bound is compared, and so recorded, before the first of them speaks.
    results = {name: judge(measurement, name, bound) for name, bound in bounds.items()}
    if False in results.values():
        raise LimitMissedError("\n  ".join(measurement.explain()))
    unsettled = [name for name, held in results.items() if held is None]
    if unsettled:
        raise _doubt(measurement, unsettled[0], bounds[unsettled[0]])


def _point(measurement: Measurement, name: str, bound: float) -> bool | None:
    return _compare(measurement, name, bound)


def _bound(measurement: Measurement, name: str, bound: float) -> bool | None:
    """Return True when held, False when missed, None when the interval lies across the bound."""
    clearing, doubting = _SIDES[name]
    if _compare(getattr(measurement, clearing), name, bound):
        return True
    other = float(getattr(measurement, doubting))
    return None if holds(other, COMPARATORS[name], bound) else False


def _compare(measured: float, name: str, bound: float) -> bool:
    if name == "min":
        return measured >= bound
    if name == "above":
        return measured > bound
    return measured <= bound if name == "max" else measured < bound


def _doubt(measurement: Measurement, name: str, bound: float) -> InconclusiveError:
    record, comparator = measurement.record, COMPARATORS[name]
    doubt = f"{record.id} is {numeral(record.value, bound)}, and {straddles(record, comparator, bound)}: not proven"
    return InconclusiveError(
        "\n  ".join([doubt, *groups(record), *failing_row(record)]),
        f"an interval wholly {comparator} {bound:g}",
        advice(record, comparator, bound),
    )
