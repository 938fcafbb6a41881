"""What leanml.yaml writes as a bound or a value, as a column of a certain type is compared with it.

Text and numbers are never equal, nor are true and 1; a time without an offset counts as UTC. What no value of the
column's type can equal is left out, so that every value fails.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import narwhals as nw
import numpy as np

from pytest_leanml.checks.rules_objects import key_of, utc
from pytest_leanml.checks.rules_rows import Column, Kind
from pytest_leanml.config.rule_params import Between, is_number
from pytest_leanml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)


def within(column: Column, bounds: Between) -> nw.Expr | None:
    """Return whether a value lies between bounds; None where no value of the column's type can.

    An infinite value lies between no bounds, be one of them open; NaN is missing.
    """
    if is_number(bounds.low) or is_number(bounds.high):
        return _number_within(column, bounds)
    if column.kind in (Kind.TIME, Kind.DATE):
        return _compared(column.value, _converted(bounds, column))
    return _compared(column.text, bounds) if column.kind in (Kind.TEXT, Kind.MIXED) else None


def _number_within(column: Column, bounds: Between) -> nw.Expr | None:
    if column.kind is Kind.WHOLE:
        return _whole_within(column, bounds)
    if column.kind is Kind.MIXED:
        return _compared(column.number, _closed(column, bounds))
    return _compared(column.value, _closed(column, bounds)) if column.kind is Kind.NUMBER else None


def _closed(column: Column, bounds: Between) -> Between:
    """Close an open end by infinity, which itself is outside: so NaN, which some engines sort last, is too."""
    low = -math.inf if bounds.low is None else _float(column, bounds.low)
    high = math.inf if bounds.high is None else _float(column, bounds.high)
    return Between(low, high, bounds.above or math.isinf(low), bounds.below or math.isinf(high))


def _whole_within(column: Column, bounds: Between) -> nw.Expr | None:
    """Compare whole numbers with whole numbers: an engine would make floats of both, and lose digits."""
    least, most = _UINT64 if isinstance(column.dtype, nw.UInt64) else _INT64
    low, high = least, most
    if bounds.low is not None:
        low = math.floor(bounds.low) + 1 if bounds.above else math.ceil(bounds.low)
    if bounds.high is not None:
        high = math.ceil(bounds.high) - 1 if bounds.below else math.floor(bounds.high)
    if low > most or high < least or low > high:
        return None
    found: nw.Expr = (column.value >= _whole(max(low, least), column)) & (
        column.value <= _whole(min(high, most), column)
    )
    return found


def _whole(value: int, column: Column) -> nw.Expr:
    if isinstance(column.dtype, nw.UInt64):
        return nw.lit(str(value)).cast(nw.UInt64)  # narwhals would hand pyarrow a signed number
    return nw.lit(value, nw.Int64)


def _compared(value: nw.Expr, bounds: Between) -> nw.Expr:
    lower = [value > bounds.low if bounds.above else value >= bounds.low] if bounds.low is not None else []
    upper = [value < bounds.high if bounds.below else value <= bounds.high] if bounds.high is not None else []
    found: nw.Expr = lower[0] & upper[0] if lower and upper else (lower or upper)[0]
    return found


def _float(column: Column, value: float) -> float:
    """Return a number as the column has it: the 0.1 of a column of single precision is not the 0.1 of a double."""
    try:
        plain = float(value)
    except OverflowError:
        plain = math.inf if value > 0 else -math.inf
    with np.errstate(over="ignore"):  # beyond what single precision has lies infinity
        return float(np.float32(plain)) if isinstance(column.dtype, nw.Float32) else plain


def _converted(bounds: Between, column: Column) -> Between:
    low, high = (None if each is None else _moment(each, column) for each in (bounds.low, bounds.high))
    return replace(bounds, low=low, high=high)


def _moment(text: str, column: Column) -> date | datetime | nw.Expr:
    wanted = "a date such as 2026-11-24" if column.kind is Kind.DATE else "a time such as 2026-11-24T08:00:00Z"
    try:
        return date.fromisoformat(text) if column.kind is Kind.DATE else _as_in(column, datetime.fromisoformat(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} for the column `{column.name}`, of {column.kind}", wanted, "correct it") from error


def _as_in(column: Column, moment: datetime) -> datetime | nw.Expr:
    """Return a time as the column has it: in its time zone, or without one."""
    zone = getattr(column.dtype, "time_zone", None)
    plain = utc(moment).replace(tzinfo=None)
    if zone is None and column.sql:
        return nw.lit(plain.isoformat()).cast(nw.Datetime("us"))  # Spark would read the clock in its session's zone
    if zone is None:
        return plain
    try:
        return utc(moment).astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return moment.astimezone(UTC)


def among(column: Column, values: Sequence[Any]) -> nw.Expr | None:
    """Return whether a value is one of ``values``; None where no value of the column's type can be.

    Raises:
        ConfigError: a text that is no time, for a column of times.
    """
    if column.kind is Kind.MIXED:
        return column.value.is_in([key_of(each) for each in values])
    fitting = _fitting(column, values)
    if not fitting:
        return None
    if column.kind in (Kind.TIME, Kind.DATE, Kind.BOOLEAN):
        return nw.any_horizontal(*(column.value == each for each in fitting), ignore_nulls=False)
    # polars looks categories up by their codes, where their texts would first be written out for every row.
    if isinstance(column.dtype, nw.UInt64):
        return nw.any_horizontal(*(column.value == _whole(each, column) for each in fitting), ignore_nulls=False)
    if isinstance(column.dtype, nw.Categorical):
        return nw.col(column.name).is_in(fitting)
    return (column.positive if column.kind is Kind.NUMBER else column.value).is_in(fitting)


def _fitting(column: Column, values: Sequence[Any]) -> list[Any]:
    texts = [each for each in values if isinstance(each, str)]
    numbers = [each for each in values if is_number(each)]
    match column.kind:
        case Kind.TEXT:
            return texts
        case Kind.BOOLEAN:
            return [each for each in values if isinstance(each, bool)]
        case Kind.TIME | Kind.DATE:
            return [_moment(each, column) for each in texts]
        case Kind.WHOLE:
            least, most = _UINT64 if isinstance(column.dtype, nw.UInt64) else _INT64
            return [int(each) for each in numbers if each == int(each) and least <= each <= most]
        case Kind.NUMBER:
            return [_float(column, each) for each in numbers]
    return []


def matching(column: Column, pattern: str) -> nw.Expr | None:
    """Return whether a text has a pattern (``config.patterns``); None where the column has no text."""
    if column.kind not in (Kind.TEXT, Kind.MIXED):
        return None
    # A number among mixed values has no text at all, which is a failure and not unknown.
    return column.text.str.contains(pattern).fill_null(value=False)
