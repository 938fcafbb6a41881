"""Rules that need more than one table or a clock: values that must be in another table, and how old the newest is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute

from pytest_leanml.checks.rules import SHOWN, Found, Tally, counted, hollow, refuse_hollow, shortened
from pytest_leanml.checks.rules_objects import key_of, utc
from pytest_leanml.checks.rules_rows import Column, Kind, Rows
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.faults import quiet, told_as

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ALIKE = (Kind.TEXT, Kind.WHOLE)


def strangers(rows: Rows, homes: Mapping[str, tuple[Rows, str]]) -> Found:
    """Count the present values of each column that are no value of a column of another table.

    Only distinct values travel. Numbers are equal across types (1 and 1.0), text and numbers never.

    Args:
        rows: the table that refers.
        homes: column -> the table that must have its values, and the column there.

    Raises:
        InconclusiveError: no rows, or a column without any value, on either side.
        SourceError: an absent column.
    """
    rows.refuse_empty()
    tallies, parts = {}, []
    for name, (home, there) in homes.items():
        (column,), (known,) = rows.columns([name]), home.columns([there])
        home.refuse_empty()
        found = rows.table([column], ~column.missing).to_arrow()
        values = home.table([known], ~known.missing).to_arrow()
        present = int(pa.compute.sum(found["rows"]).as_py() or 0)
        refuse_hollow(rows, column, present)
        refuse_hollow(home, known, len(values))
        lost = found.filter(_absent(found, values, column, known))
        tallies[name] = Tally(present, int(pa.compute.sum(lost["rows"]).as_py() or 0))
        shown = lost.sort_by([("rows", "descending"), ("key0", "ascending")]).slice(0, SHOWN).to_pylist()
        parts += (
            [f"{name}: {', '.join(counted(each['key0'], each['rows'], column) for each in shown)}"] if shown else []
        )
    return Found(rows.count, tallies, shortened("; ".join(parts[:SHOWN])))


def _absent(found: pa.Table, values: pa.Table, column: Column, known: Column) -> Any:
    if column.kind is known.kind and column.kind in _ALIKE:
        wanted = pa.large_string() if column.kind is Kind.TEXT else _whole(column, known)
        mine, theirs = found["key0"].cast(wanted), values["key0"].cast(wanted).combine_chunks()
        return pa.compute.invert(pa.compute.is_in(mine, value_set=theirs))
    keys = set(_keys(values, known))
    return pa.array([key not in keys for key in _keys(found, column)], type=pa.bool_())


def _whole(*columns: Column) -> pa.DataType:
    unsigned = any(str(each.dtype) == "UInt64" for each in columns)
    return pa.decimal128(20) if unsigned else pa.int64()


def _keys(found: pa.Table, column: Column) -> list[str]:
    values = found["key0"].to_pylist()
    return values if column.kind is Kind.MIXED else [key_of(each) for each in values]


def newest(rows: Rows, column: Column) -> datetime:
    """Return the newest value of a column.

    Times without an offset count as UTC, dates as their midnight in UTC; text must be ISO 8601.

    Raises:
        InconclusiveError: no rows, or no value.
        SourceError: the column holds no times.
    """
    rows.refuse_empty()
    found = _newest(rows, column)
    if found is None:
        raise hollow(rows, column)
    return found


def _newest(rows: Rows, column: Column) -> datetime | None:
    if column.kind is Kind.TEXT:
        return _newest_text([value for value, _ in rows.counts([column], ~column.missing)], rows, column)
    if column.kind is Kind.MIXED:
        return _newest_text([each.partition(" ")[2] for each, _ in _moments(rows, column)], rows, column)
    if column.kind not in (Kind.TIME, Kind.DATE):
        raise _no_times(rows, column)
    found = rows.ask([column], {}, most={"newest": column.value})["newest"]
    if found is None:
        return None
    return utc(found) if isinstance(found, datetime) else datetime(found.year, found.month, found.day, tzinfo=UTC)


def _moments(rows: Rows, column: Column) -> Sequence[tuple[str, int]]:
    """Return the keys of mixed values, which must all be times or dates."""
    found: list[tuple[Any, ...]] = rows.counts([column], ~column.missing)
    if not all(str(key).startswith(("time ", "date ")) for key, _ in found):
        raise _no_times(rows, column)
    return [(str(key), int(count)) for key, count in found]


def _newest_text(texts: Sequence[str], rows: Rows, column: Column) -> datetime | None:
    if not texts:
        return None
    what = f"the column `{column.name}` of {rows.name} holds what is no time"
    with told_as(what, "timestamps, dates, or text in ISO 8601"), quiet():
        latest: datetime = pd.to_datetime(pd.Series(list(texts)), utc=True, format="ISO8601").max().to_pydatetime()
    return latest


def _no_times(rows: Rows, column: Column) -> SourceError:
    given = f"the column `{column.name}` of {rows.name} holds {column.kind}, not times"
    return SourceError(given, "timestamps, dates, or text in ISO 8601", "name the column of times")
