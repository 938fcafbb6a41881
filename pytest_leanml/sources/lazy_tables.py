"""What is known of a lazy table without reading its rows into memory: a digest, kinds of columns, rows of each label."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import narwhals as nw

from pytest_leanml.digest import PREFIX
from pytest_leanml.errors import MeasurementError, SourceError
from pytest_leanml.sources.lazy import Merge, Query, answers, engine_of, schema_of
from pytest_leanml.sources.lazy_times import times_as_numbers
from pytest_leanml.sources.narrowing import extents
from pytest_leanml.stats.columns import Side, counted_labels

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from pytest_leanml.sources.lazy import Schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = (nw.Date, nw.Datetime)
_NESTED = (nw.List, nw.Array, nw.Struct, nw.Object)


def has_order(kind: nw.dtypes.DType) -> bool:
    """Tell whether a type is one of numbers or times, which have an order, rather than categories."""
    return kind.is_numeric() or isinstance(kind, (*_TIMES, nw.Duration))


def label_counts(frame: Any, names: Sequence[str], schema: Schema) -> dict[str, Side[Counter[Any]]]:
    """Count the rows of each label of each column; labels are told apart as ``profiles.label_counts`` does.

    Raises:
        MeasurementError: values that are no labels, such as lists.
        SourceError: the engine cannot answer.
    """
    for name in names:
        if isinstance(schema[name], _NESTED):
            raise MeasurementError(f"`{name}` holds {schema[name]}, no categories", "numbers, booleans or text")
    tables = answers(frame, [_label_query(name) for name in names])
    return {name: counted_labels(_pairs(table)) for name, table in zip(names, tables, strict=True)}


def _label_query(name: str) -> Query:
    def ask(rows: Any) -> Any:
        return rows.select(label=nw.col(name)).group_by("label").agg(rows=nw.len())

    return Query((name,), ask, {"rows": Merge.SUM}, key="label")


def _pairs(table: pa.Table) -> Iterable[tuple[Any, int]]:
    return zip(table["label"].to_pylist(), table["rows"].to_pylist(), strict=True)


def newest_moment(frame: Any, time: str) -> datetime | None:
    """Return the newest value of a column of times, in UTC, None without any row; a time without a zone is UTC.

    Raises:
        SourceError: no such column, or it holds no times; nothing but missing values.
    """
    schema = schema_of(frame)
    if time not in schema or not isinstance(schema[time], _TIMES):
        held = f"holds {schema[time]}" if time in schema else "is not there"
        raise SourceError(f"`{time}` {held}", "a column of times", "correct `data.time`", key="data.time")
    # In microseconds of UTC, whatever zone the engine's session is in.
    plain = times_as_numbers(frame)
    found = extents(plain, [time], schema_of(plain))[time]
    if not found.filled:
        if found.missing:
            raise SourceError("holds missing values only", "at least one time", key=time)
        return None
    return _EPOCH + timedelta(microseconds=int(found.most))


def summary_digest(frame: Any) -> str:
    """Return a digest of what one pass says of the table: names, types, rows, and each column's filled rows and ends.

    It binds a record to a table without reading the rows out of their engine; it is not a digest of the content, and
    two tables that differ only between their ends have the same one.

    Raises:
        SourceError: the engine cannot answer.
    """
    schema = schema_of(frame)
    (answer,) = answers(frame, [_summary_query(schema)])
    (row,) = answer.to_pylist()
    plain = {"types": {name: str(kind) for name, kind in schema.items()}, "summary": _plain(row)}
    text = json.dumps({"engine": engine_of(frame), **plain}, sort_keys=True, default=str)
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()


def _summary_query(schema: Schema) -> Query:
    ends = {name for name, kind in schema.items() if has_order(kind) or isinstance(kind, nw.String)}

    def ask(rows: Any) -> Any:
        columns: dict[str, nw.Expr] = {"rows": nw.len()}
        for place, name in enumerate(schema):
            columns[f"n{place}"] = nw.col(name).count()
            if name in ends:
                columns |= {f"lo{place}": nw.col(name).min(), f"hi{place}": nw.col(name).max()}
        return rows.select(**columns)

    merge = {"rows": Merge.SUM}
    for place, name in enumerate(schema):
        merge[f"n{place}"] = Merge.SUM
        if name in ends:
            merge |= {f"lo{place}": Merge.LEAST, f"hi{place}": Merge.MOST}
    return Query(tuple(schema), ask, merge)


def _plain(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: repr(value) for name, value in row.items()}
