"""Times as they are written, and how long ago they were."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_leanml.errors import InconclusiveError, MeasurementError

if TYPE_CHECKING:
    from pytest_leanml.checks.study import Study

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def moment(text: str) -> datetime:
    """Read an RFC 3339 time with its offset.

    Raises:
        MeasurementError: it is not one, or not in the calendar.
    """
    try:
        found = datetime.fromisoformat(text.upper()) if _RFC3339.fullmatch(text) else None
    except ValueError:
        found = None  # in no calendar: February 30
    if found is None:
        raise MeasurementError(
            f"{text!r} is no time", "RFC 3339 with an offset, such as 2026-11-21T08:00:00Z", "correct it"
        )
    return found


def of_milliseconds(given: int) -> datetime:
    """Return the time of so many milliseconds since 1970.

    Raises:
        MeasurementError: in no calendar.
    """
    try:
        return datetime.fromtimestamp(given / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise MeasurementError(f"{given} ms since 1970 is no time", "a time in the calendar", "correct it") from None


def seconds_since(study: Study, then: datetime, what: str) -> float:
    """Return the seconds from ``then`` to this run.

    Raises:
        InconclusiveError: this run has no time.
        MeasurementError: it is in the future: out of range, not young.
    """
    judged = study.settings.evaluated_at
    if judged is None:
        raise InconclusiveError("this run has no time", "the time that the supervisor stamps", "run it under the gate")
    passed = (moment(judged) - then).total_seconds()
    if passed < 0:
        raise MeasurementError(
            f"{what} is {then.isoformat()}, in the future of this run ({judged})",
            "a time before this run: the future is out of range, not young",
            "correct the clock, the time zone or what it came from",
        )
    return passed
