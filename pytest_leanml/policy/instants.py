"""RFC 3339 times, read strictly: a whole date and time with its offset, on the calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC_3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: object) -> datetime | None:
    """Read an RFC 3339 time; None for anything else, also for a day that no calendar has and for a leap second."""
    found = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if found is None or text is None:
        return None
    try:
        return datetime.fromisoformat(str(text).upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def nanoseconds(moment: datetime) -> int:
    """Return nanoseconds since 1970, exact to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
