"""A table as the rules of data quality ask it: in whatever library or engine it is, a few numbers at a time.

Narwhals writes each question in the words of polars, pyarrow, DuckDB or Spark, so that rows stay where they are and
counts come back. A pandas frame is asked through pyarrow, column by column and mostly without a copy: there a missing
value is one thing, a category is its value, and a column of objects has the type of all its values, not of the first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd
import pyarrow as pa

from pytest_leanml.checks.rules_objects import NUMBERS, TEXTS, arrow_of, as_mixed, decoded
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.columns import column_names, is_polars, require_columns, row_count
from pytest_leanml.sources.faults import quiet, told_as
from pytest_leanml.sources.frames import refuse_duplicates
from pytest_leanml.sources.lazy import MERGE_AT, Batched, Query, answers, engine_of, is_lazy, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from narwhals.dtypes import DType

_DECODED = (nw.Categorical, nw.Enum)
_SMALL = (nw.Int8, nw.Int16, nw.Int32, nw.UInt8, nw.UInt16, nw.UInt32)


class Kind(StrEnum):
    """What the values of a column are; values of two kinds are never equal, save numbers."""

    WHOLE = "whole numbers"
    NUMBER = "numbers"
    TEXT = "text"
    BOOLEAN = "true and false"
    TIME = "times"
    DATE = "dates"
    MIXED = "mixed values"
    OTHER = "values that are no numbers, text or times"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, ready to be asked.

    Attributes:
        name: its name.
        kind: what it holds.
        dtype: its narwhals type.
        sql: whether an engine of SQL holds it.
    """

    name: str
    kind: Kind
    dtype: DType
    sql: bool = False

    @property
    def value(self) -> nw.Expr:
        """The value: a category as its text, a small number as a large one, so that every engine compares alike."""
        found = nw.col(self.name)
        if isinstance(self.dtype, _DECODED):
            return found.cast(nw.String)
        if isinstance(self.dtype, _SMALL):
            return found.cast(nw.Int64)
        return found.cast(nw.Float64) if self.kind is Kind.NUMBER and self.dtype != nw.Float64 else found

    @property
    def positive(self) -> nw.Expr:
        """The number, with one zero: some engines tell -0.0 from 0.0, whose sum is 0.0."""
        return self.value + 0.0

    @property
    def plain(self) -> nw.Expr:
        """The value, with NaN as what it is here: missing."""
        return self.positive.fill_nan(None) if self.kind is Kind.NUMBER else self.value

    @property
    def missing(self) -> nw.Expr:
        """Whether there is no value: null or NaN."""
        null = nw.col(self.name).is_null()
        return null | self.value.is_nan() if self.kind is Kind.NUMBER else null

    @property
    def number(self) -> nw.Expr:
        """The numbers among mixed values."""
        return nw.col(self.name + NUMBERS)

    @property
    def text(self) -> nw.Expr:
        """The texts among mixed values, else the value."""
        return nw.col(self.name + TEXTS) if self.kind is Kind.MIXED else self.value


class Rows:
    """One table.

    Args:
        frame: a pandas or polars frame, a pyarrow table, or a lazy table (``sources.lazy``).
        name: what it is called in messages.

    Raises:
        SourceError: it has a column name twice. Whatever asks it raises one where its engine cannot answer.
    """

    def __init__(self, frame: Any, name: str) -> None:
        self.name = name
        self.names = column_names(frame)
        refuse_duplicates(self.names, name)
        self._frame = frame
        with quiet():
            self._batched = isinstance(frame, Batched)
        # Spark adds up numbers alone; elsewhere a cast costs time.
        self._sql = not self._batched and is_lazy(frame) and engine_of(frame) != "polars lazy"
        self._count: int | None = None
        self._columns: dict[str, Column] = {}
        self._arrays: dict[str, dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """Number of rows; a lazy table is asked once."""
        if self._count is None:
            self._count = row_count(self._frame)
        return self._count

    def refuse_empty(self) -> None:
        """Refuse a table without rows: whatever one asks of it, nothing is wrong.

        Raises:
            InconclusiveError: it has none.
        """
        if self.count == 0:
            raise InconclusiveError(f"{self.name} has no rows", "at least one row", "look at how it is made")

    def columns(self, names: Iterable[str]) -> tuple[Column, ...]:
        """Return columns by their names.

        Raises:
            SourceError: one is absent.
        """
        wanted = tuple(names)
        require_columns(self._frame, wanted, what=self.name)
        with self._told():
            for name in wanted:
                if name not in self._columns:
                    self._columns[name] = self._made(name)
        return tuple(self._columns[name] for name in wanted)

    def ask(
        self,
        columns: Sequence[Column],
        flags: Mapping[str, nw.Expr],
        *,
        totals: Mapping[str, nw.Expr] | None = None,
        least: Mapping[str, nw.Expr] | None = None,
        most: Mapping[str, nw.Expr] | None = None,
    ) -> dict[str, Any]:
        """Ask any number of counts, sums and extents in one pass.

        Args:
            columns: those that they are about.
            flags: name -> what is true of the rows to count.
            totals: name -> the number to add up.
            least: name -> what to take the least of.
            most: name -> what to take the most of.

        Returns:
            Name -> value; a count or a sum over no row is 0, an extent of no value None.
        """
        totals, least, most = totals or {}, least or {}, most or {}
        asked = {
            **{name: (each.cast(nw.Int64) if self._sql else each).sum() for name, each in flags.items()},
            **{name: each.sum() for name, each in totals.items()},
            **{name: each.min() for name, each in least.items()},
            **{name: each.max() for name, each in most.items()},
        }
        answers = [part.rows(named=True)[0] for part in self._each(columns, lambda view: view.select(**asked))]
        return {name: _merged([each[name] for each in answers], name in least, name in most) for name in asked}

    def counts(
        self, columns: Sequence[Column], where: nw.Expr | None = None, *, first: int | None = None, least: int = 1
    ) -> list[tuple[Any, ...]]:
        """Count the rows of each value, or each combination.

        Args:
            columns: what makes a combination; missing values are equal to each other.
            where: which rows; all of them by default.
            first: how many to return at most, those of the most rows, then of the least value; None for all.
            least: leave out what fewer rows have.

        Returns:
            The values in the order of ``columns``, and behind them the number of rows.
        """
        found: list[tuple[Any, ...]] = self.table(columns, where, first=first, least=least).rows()
        return found

    def table(
        self, columns: Sequence[Column], where: nw.Expr | None = None, *, first: int | None = None, least: int = 1
    ) -> Any:
        """Return what ``counts`` does, as a narwhals frame; the last column holds the rows."""
        keys = _keys(columns)

        def cut(found: Any) -> Any:
            found = found if least == 1 else found.filter(nw.col("rows") >= least)
            if first is None:
                return found
            return found.sort("rows", *keys, descending=[True] + [False] * len(keys)).head(first)

        if not self._batched:
            return self._one(columns, lambda view: cut(_grouped(view, keys, where)))
        with self._told():
            return cut(self._of_batches(columns, keys, where))

    def repeats(self, columns: Sequence[Column], where: nw.Expr | None = None) -> int:
        """Count the rows whose combination of values other rows have too; missing values are equal to each other."""
        keys = _keys(columns)

        def total(found: Any) -> Any:
            return found.filter(nw.col("rows") > 1).select(nw.col("rows").sum())

        if self._batched:
            return int(total(self._of_batches(columns, keys, where)).rows()[0][0] or 0)
        return int(self._one(columns, lambda view: total(_grouped(view, keys, where))).rows()[0][0] or 0)

    def _of_batches(self, columns: Sequence[Column], keys: Mapping[str, nw.Expr], where: nw.Expr | None) -> Any:
        """Count the rows of each combination, batch by batch; memory grows with the combinations, not with the rows."""
        parts: list[Any] = []
        for part in self._each(columns, lambda view: _grouped(view, keys, where)):
            parts.append(part)
            if sum(map(len, parts)) > MERGE_AT:
                parts = [_united(parts, keys)]
        return _united(parts, keys)

    def combinations(self, columns: Sequence[Column]) -> int:
        """Count the distinct rows over some columns; missing values are equal to each other."""
        if self._batched:
            return len(self.table(columns))
        keys = _keys(columns)
        found = self._one(columns, lambda view: _grouped(view, keys).select(rows=nw.len()))
        return int(found.rows()[0][0])

    def distinct(self, columns: Sequence[Column]) -> dict[str, int]:
        """Count the distinct values of each column; a missing value counts as one."""
        if self._batched:
            return {each.name: self.combinations([each]) for each in columns}
        asked = {f"of{place}": each.plain.n_unique() for place, each in enumerate(columns)}
        found = self._one(columns, lambda view: view.select(**asked)).rows()[0]
        return {each.name: int(value) for each, value in zip(columns, found, strict=True)}

    def _one(self, columns: Sequence[Column], ask: Callable[[Any], Any]) -> Any:
        return next(iter(self._each(columns, ask)))

    def _each(self, columns: Sequence[Column], ask: Callable[[Any], Any]) -> Iterator[Any]:
        """Answer a question for each part of the table: one, or as many as it has batches."""
        with self._told(), quiet():
            if is_lazy(self._frame) and not self._batched:
                (found,) = answers(self._frame, [Query((), ask, {})])
                yield nw.from_native(found, eager_only=True)
                return
            for view in self._views(columns):
                asked = ask(view)
                yield asked.collect() if isinstance(asked, nw.LazyFrame) else asked

    def _told(self) -> Any:
        todo = "look at the fault; the rule may not suit the column's type"
        return told_as(f"{self.name} cannot be asked", "a table that can be read", todo, also=engine_errors())

    def _made(self, name: str) -> Column:
        frame = self._frame
        if isinstance(frame, pd.DataFrame):
            return self._taken(name, arrow_of(frame.iloc[:, self.names.index(name)]))
        if isinstance(frame, pa.Table):
            return self._taken(name, decoded(frame.column(name)))
        dtype = _schema_of(frame)[name]
        if _kind_of(dtype) is Kind.OTHER and is_polars(frame):
            return self._taken(name, frame.get_column(name).to_list())
        return Column(name, _kind_of(dtype), dtype, self._sql)

    def _taken(self, name: str, values: Any) -> Column:
        """Keep one column as pyarrow has it; a list of objects as their keys, their numbers and their texts."""
        if isinstance(values, list):
            self._arrays[name] = as_mixed(name, values)
            return Column(name, Kind.MIXED, nw.String())
        dtype = nw.from_native(pa.table({name: values})).schema[name]
        if _kind_of(dtype) is Kind.OTHER:
            return self._taken(name, values.to_pylist())
        self._arrays[name] = {name: values}
        return Column(name, _kind_of(dtype), dtype)

    def _views(self, columns: Sequence[Column]) -> Iterator[Any]:
        """Yield some columns as narwhals has them."""
        taken = {key: each for column in columns for key, each in self._arrays.get(column.name, {}).items()}
        names = [each.name for each in columns]
        if isinstance(self._frame, pd.DataFrame | pa.Table):
            yield nw.from_native(pa.table(taken))
        elif self._batched:
            for batch in self._frame.batches(names):
                yield nw.from_native(pa.table({name: decoded(batch.column(name)) for name in names}))
        elif taken:  # polars, and a column of objects among those asked
            made = nw.from_arrow(pa.table(taken), backend="polars").to_native().get_columns()
            yield nw.from_native(self._frame.with_columns(made).select(list(dict.fromkeys([*names, *taken]))).lazy())
        else:  # polars answers on all cores when it is asked lazily
            yield nw.from_native(self._frame.lazy())


def _keys(columns: Sequence[Column]) -> dict[str, nw.Expr]:
    # Names of our own, so that no column's name can be that of the count.
    return {f"key{place}": each.plain for place, each in enumerate(columns)}


def _grouped(rows: Any, keys: Mapping[str, nw.Expr], where: nw.Expr | None = None) -> Any:
    kept = rows if where is None else rows.filter(where)
    return kept.select(**keys).group_by(*keys).agg(nw.len().alias("rows"))


def _united(parts: Sequence[Any], keys: Iterable[str]) -> Any:
    return nw.concat(list(parts)).group_by(*keys).agg(nw.col("rows").sum())


def _merged(answers: Sequence[Any], least: bool, most: bool) -> Any:  # noqa: FBT001 - of one caller
    found = [each for each in answers if each is not None]
    if least or most:
        return (min if least else max)(found, default=None)
    return sum(found)


def _schema_of(frame: Any) -> Mapping[str, DType]:
    if isinstance(frame, Batched):
        none = frame.schema.empty_table()
        found = nw.from_native(pa.table({name: decoded(none.column(name)) for name in none.column_names}))
        return dict(found.schema)
    return nw.from_native(frame).schema if is_polars(frame) else schema_of(frame)


def _kind_of(dtype: DType) -> Kind:
    if dtype.is_integer():
        return Kind.WHOLE
    if dtype.is_float() or isinstance(dtype, nw.Decimal):
        return Kind.NUMBER
    found = {nw.String: Kind.TEXT, nw.Boolean: Kind.BOOLEAN, nw.Datetime: Kind.TIME, nw.Date: Kind.DATE}
    return Kind.TEXT if isinstance(dtype, _DECODED) else found.get(type(dtype), Kind.OTHER)


def engine_errors() -> tuple[type[Exception], ...]:
    """Return what the engines at hand raise beside Python's own errors."""
    homes = {
        "duckdb": "Error",
        "polars.exceptions": "PolarsError",
        "pyspark.errors": "PySparkException",
        "py4j.protocol": "Py4JError",
        "narwhals.exceptions": "NarwhalsError",
        "pyarrow": "ArrowException",
    }
    found = [getattr(sys.modules.get(home), name, None) for home, name in homes.items()]
    return tuple(each for each in found if each is not None)
