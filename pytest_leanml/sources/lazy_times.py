"""Times of a lazy table as microseconds since 1970, in the words of engines that narwhals has no word for."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from pytest_leanml.sources.lazy import Batched, is_lazy, schema_of

_TIMES = (nw.Date, nw.Datetime)


def times_as_numbers(frame: Any) -> Any:
    """Return a lazy table whose times are whole numbers where its engine needs to be asked in its own words.

    A time without a zone counts as UTC. A polars LazyFrame and batches stay as they are: ``narrowing.value_of`` asks
    them.
    """
    if isinstance(frame, Batched) or not is_lazy(frame):
        return frame
    times = [name for name, kind in schema_of(frame).items() if isinstance(kind, _TIMES)]
    if not times:
        return frame
    kind = nw.from_native(frame).implementation
    if kind is nw.Implementation.DUCKDB:
        return _of_duckdb(frame, times)
    return frame if kind is nw.Implementation.POLARS else _of_spark(frame, times)


def _of_duckdb(frame: Any, times: list[str]) -> Any:
    from duckdb import ColumnExpression, FunctionExpression

    columns = [
        FunctionExpression("epoch_us", ColumnExpression(name)).alias(name) if name in times else ColumnExpression(name)
        for name in frame.columns
    ]
    return frame.select(*columns)


def _of_spark(frame: Any, times: list[str]) -> Any:
    from pyspark.sql import functions

    kinds = dict(frame.dtypes)
    micros = {
        "date": "unix_date(`{}`) * 86400000000L",
        "timestamp": "unix_micros(`{}`)",
        "timestamp_ntz": "timestampdiff(MICROSECOND, TIMESTAMP_NTZ'1970-01-01 00:00:00', `{}`)",
    }
    quoted = {name: name.replace("`", "``") for name in times}
    return frame.withColumns({name: functions.expr(micros[kinds[name]].format(quoted[name])) for name in times})
