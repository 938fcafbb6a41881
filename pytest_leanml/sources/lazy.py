"""Tables whose rows stay where they are: only counts, extents and histograms come back.

A question (``Query``) is written once, over narwhals expressions, and asked of a polars LazyFrame, a DuckDB relation or
a PySpark DataFrame, which answer it in their engine, or of a Parquet file, batch by batch. What each batch answers is
merged by sums, least and most values, so that memory does not grow with the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from narwhals import dependencies as libraries

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.faults import told_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Schema = Mapping[str, nw.dtypes.DType]

MERGE_AT = 1_000_000


class Merge(StrEnum):
    """How two batches' answers become one."""

    SUM = "sum"
    LEAST = "min"
    MOST = "max"


_INTO = MappingProxyType({Merge.SUM: np.add, Merge.LEAST: np.minimum, Merge.MOST: np.maximum})


@dataclass(frozen=True, slots=True)
class Query:
    """A question whose answer is small.

    Attributes:
        columns: the columns it reads.
        ask: takes a narwhals frame, eager or lazy, with at least these columns, and returns one of few rows.
        merge: column of the answer -> how batches' answers are merged.
        key: column of the answer that tells its rows apart; None for an answer of one row.
        cells: where the key is a whole number from 0, what it stays below; 0 for any other key.
    """

    columns: tuple[str, ...]
    ask: Callable[[Any], Any]
    merge: Mapping[str, Merge]
    key: str | None = None
    cells: int = 0


class Batched(ABC):
    """Rows that are read a batch at a time, such as ``lazy_parquet.ParquetRows``."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns and their types."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of rows."""

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read these columns, a batch at a time; where there are no rows, one batch of none."""


def is_lazy(frame: object) -> bool:
    """Tell whether the rows of ``frame`` are not in memory: see this module's first words."""
    return isinstance(frame, Batched) or (not _is_pandas(frame) and _is_engine(frame))


def _is_pandas(frame: object) -> bool:
    """Tell pandas' own frames at once: the libraries' words for it cost more than many a question about them."""
    return type(frame).__module__.partition(".")[0] == "pandas"


def _is_engine(frame: object) -> bool:
    return (
        libraries.is_polars_lazyframe(frame)
        or libraries.is_duckdb_relation(frame)
        or libraries.is_pyspark_dataframe(frame)
        or libraries.is_pyspark_connect_dataframe(frame)
    )


def refuse_lazy(frame: Any, what: str) -> None:
    """Refuse a lazy table where rows are needed: they are never collected in silence.

    Raises:
        SourceError: it is lazy.
    """
    if is_lazy(frame):
        raise SourceError(
            f"{what} of a lazy table ({engine_of(frame)})",
            "a table in memory: this check needs its rows",
            "leave out `lazy: true`, return a collected frame from the fixture, or measure what counts can answer",
        )


def engine_of(frame: Any) -> str:
    """Return the name of what holds the rows, for messages and records."""
    if isinstance(frame, Batched):
        return "parquet"
    found = nw.from_native(frame).implementation
    return "polars lazy" if found is nw.Implementation.POLARS else str(found.value).partition("[")[0]


def schema_of(frame: Any) -> Schema:
    """Return column -> narwhals type."""
    if isinstance(frame, Batched):
        return dict(nw.from_native(frame.schema.empty_table()).schema)
    return dict(nw.from_native(frame).collect_schema())


def lazy_names(frame: Any) -> tuple[str, ...]:
    """Return the names of the columns in order."""
    return tuple(frame.schema.names) if isinstance(frame, Batched) else tuple(schema_of(frame))


def lazy_rows(frame: Any) -> int:
    """Return the number of rows; an engine counts them."""
    if isinstance(frame, Batched):
        return frame.rows
    (answer,) = answers(frame, [Query((), lambda rows: rows.select(rows=nw.len()), {"rows": Merge.SUM})])
    return int(answer["rows"][0].as_py())


def answers(frame: Any, queries: Sequence[Query]) -> list[pa.Table]:
    """Answer each query; a Parquet file is read once for all of them.

    Args:
        frame: a lazy table.
        queries: what to ask.

    Returns:
        For each query a small table: one row, or one for each value of its key, in no order.

    Raises:
        SourceError: the engine cannot answer, or the file cannot be read.
    """
    if not queries:
        return []
    if isinstance(frame, Batched):
        return _of_batches(frame, queries)
    todo = "look at how the table is made; the engine's own message is above"
    with told_as(f"{engine_of(frame)} cannot answer", "rows that the engine can count", todo, also=_any_engine_error()):
        return [_collected(query.ask(nw.from_native(frame))) for query in queries]


def _any_engine_error() -> tuple[type[Exception], ...]:
    # Each engine has errors of its own, which this package does not know without importing the engine.
    return (Exception,)


def _collected(answer: nw.LazyFrame[Any]) -> pa.Table:
    if answer.implementation is nw.Implementation.POLARS:
        # The streaming engine holds a part of the rows at a time.
        found: pa.Table = answer.to_native().collect(engine="streaming").to_arrow()
        return found
    table: pa.Table = answer.collect("pyarrow").to_native()
    return table


def _of_batches(frame: Batched, queries: Sequence[Query]) -> list[pa.Table]:
    columns = tuple(dict.fromkeys(name for query in queries for name in query.columns))
    kept: list[list[pa.Table]] = [[] for _ in queries]
    for batch in frame.batches(columns):
        rows = nw.from_native(batch, eager_only=True)
        for query, parts in zip(queries, kept, strict=True):
            parts.append(query.ask(rows).to_native())
            if sum(part.num_rows for part in parts) > MERGE_AT:
                parts[:] = [merged(parts, query)]
    return [merged(parts, query) for parts, query in zip(kept, queries, strict=True)]


def merged(parts: Sequence[pa.Table], query: Query) -> pa.Table:
    """Merge what batches answered to one query."""
    whole = pa.concat_tables(parts)
    if query.key is not None and query.cells:
        return _merged_cells(whole, query.key, query)
    keys = [] if query.key is None else [query.key]
    found = whole.group_by(keys).aggregate([(name, how.value) for name, how in query.merge.items()])
    names = {f"{name}_{how.value}": name for name, how in query.merge.items()}
    return found.rename_columns([names.get(name, name) for name in found.column_names])


def _merged_cells(whole: pa.Table, key: str, query: Query) -> pa.Table:
    """Merge numbers by cells that are numbered: each is a place in an array, and none is hashed."""
    places = np.asarray(whole[key]).astype(np.intp)
    met = np.zeros(query.cells, dtype=np.bool_)
    met[places] = True
    found = {key: np.flatnonzero(met).astype(np.float64)}
    for name, how in query.merge.items():
        values = np.asarray(whole[name])
        start = {Merge.SUM: 0, Merge.LEAST: np.inf, Merge.MOST: -np.inf}[how]
        total = np.full(query.cells, start, dtype=values.dtype)
        _INTO[how].at(total, places, values)
        found[name] = total[met]
    return pa.table(found)
