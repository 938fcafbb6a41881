"""Columns of Python objects, and of pandas, as pyarrow has them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_leanml.sources.faults import quiet

NUMBERS, TEXTS = " (leanml: numbers)", " (leanml: text)"
# What a missing value may be in a column of Python objects.
_NOTHING = (None, pd.NA, pd.NaT)


def arrow_of(series: pd.Series[Any]) -> Any:
    """Return a pandas column as pyarrow has it, or as a list of objects where it holds more than one type."""
    try:
        with quiet():
            found = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return series.tolist()
    # pyarrow makes bytes of a column of bytes and text, and times of one of times and dates
    mixed = series.dtype == object and not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type))
    return series.tolist() if mixed and len(_types(series)) > 1 else decoded(found)


def _types(series: pd.Series[Any]) -> set[type]:
    return {type(value) for value in series[series.notna()]} - {int, float}


def decoded(found: Any) -> Any:
    """Return a column of pyarrow with categories as their values, times in UTC, and nulls as missing texts."""
    if pa.types.is_null(found.type):
        return found.cast(pa.string())
    if pa.types.is_timestamp(found.type) and found.type.tz is not None:
        # The same instants. A bound in another zone is not safe with pyarrow: once pandera is imported, `pa.array` takes
        # the clock of a ZoneInfo for UTC.
        return found.cast(pa.timestamp(found.type.unit, "UTC"))
    if not pa.types.is_dictionary(found.type):
        return found
    whole = found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
    return decoded(pa.chunked_array([each.dictionary_decode() for each in whole.chunks], type=found.type.value_type))


def as_mixed(name: str, values: list[Any]) -> dict[str, pa.Array]:
    """Return a column of Python objects as their keys, their numbers and their texts."""
    plain = [None if _is_missing(each) else each for each in values]
    return {
        name: pa.array([None if each is None else key_of(each) for each in plain], type=pa.string()),
        name + NUMBERS: pa.array([_number_of(each) for each in plain], type=pa.float64()),
        name + TEXTS: pa.array([each if isinstance(each, str) else None for each in plain], type=pa.string()),
    }


def _is_missing(value: Any) -> bool:
    return any(value is nothing for nothing in _NOTHING) or (isinstance(value, float | np.floating) and value != value)  # noqa: PLR0124 - NaN


def _number_of(value: Any) -> float | None:
    if not _is_number(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | np.number) and not isinstance(value, bool | np.bool_)


def key_of(value: Any) -> str:
    """Return a text that two values share when they are equal: 1 and 1.0 are, 1 and "1" are not, nor 1 and true."""
    if _is_number(value):
        plain = value.item() if isinstance(value, np.generic) else value
        finite = isinstance(plain, int) or np.isfinite(float(plain))
        return f"number {Fraction(plain) if finite else plain}"
    if isinstance(value, str):
        return f"text {value!r}"
    if isinstance(value, bool | np.bool_):
        return f"boolean {bool(value)}"
    if isinstance(value, datetime):
        return f"time {utc(value).isoformat()}"
    return f"date {value.isoformat()}" if isinstance(value, date) else f"{type(value).__name__} {value!r}"


def utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without an offset counts as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
