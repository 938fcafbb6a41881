"""Numbers of lazy tables, looked at closer and closer: the engine counts, and only cells come back.

The first pass cuts a column into cells of one width between its least and its most value. Each further pass cuts those
cells again that somebody still wants to see into, all columns and all cells at once, so that few passes end at single
values. Cutting is monotone whatever an engine's rounding is: cells never overlap.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.lazy import Merge, Query, answers
from pytest_leanml.stats.cells import Cells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_leanml.sources.lazy import Schema
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray

    Wanted = Callable[[Cells], BoolArray]

CUTS = 4096
RANGES = 16
PASSES = 16
NEAREST = 1e-300


@dataclass(frozen=True, slots=True)
class Extent:
    """What one pass says of a column of numbers or times.

    Attributes:
        filled: rows with a value.
        missing: rows without one: null or NaN.
        least: the least value, NaN without any; times are microseconds.
        most: the most value.
    """

    filled: int
    missing: int
    least: float
    most: float


def value_of(name: str, schema: Schema) -> nw.Expr:
    """Return a column as floating-point numbers, null where it has none; times are microseconds since 1970."""
    kind, column = schema[name], nw.col(name)
    if isinstance(kind, nw.Date):
        column = column.cast(nw.Datetime("us"))
    if isinstance(kind, nw.Date | nw.Datetime):
        return column.dt.timestamp("us").cast(nw.Float64)
    if isinstance(kind, nw.Duration):
        return column.dt.total_microseconds().cast(nw.Float64)
    number = column.cast(nw.Float64)
    return nw.when(~number.is_nan()).then(number) if kind.is_float() else number


def extents(frame: Any, names: Sequence[str], schema: Schema) -> dict[str, Extent]:
    """Return the extent of each column, in one pass.

    Args:
        frame: a lazy table.
        names: columns of numbers or times.
        schema: column -> narwhals type.

    Raises:
        InconclusiveError: no row at all.
        MeasurementError: infinite values.
        SourceError: the engine cannot answer.
    """
    (answer,) = answers(frame, [_extent_query(names, schema)])
    (row,) = answer.to_pylist()
    found = {}
    for place, name in enumerate(names):
        filled, least, most = row[f"n{place}"] or 0, row[f"lo{place}"], row[f"hi{place}"]
        _refuse_infinite(name, (least, most))
        rows = row["rows"] or 0
        found[name] = Extent(filled, rows - filled, *(math.nan if each is None else each for each in (least, most)))
    return found


def _extent_query(names: Sequence[str], schema: Schema) -> Query:
    def ask(rows: Any) -> Any:
        columns: dict[str, nw.Expr] = {"rows": nw.len()}
        for place, name in enumerate(names):
            value = value_of(name, schema)
            columns |= {f"n{place}": value.count(), f"lo{place}": value.min(), f"hi{place}": value.max()}
        return rows.select(**columns)

    merge = {"rows": Merge.SUM}
    for place in range(len(names)):
        merge |= {f"n{place}": Merge.SUM, f"lo{place}": Merge.LEAST, f"hi{place}": Merge.MOST}
    return Query(tuple(names), ask, merge)


def _refuse_infinite(name: str, ends: tuple[float | None, ...]) -> None:
    if any(each is not None and math.isinf(each) for each in ends):
        raise MeasurementError(f"`{name}` holds infinite values", "finite numbers or missing ones")


def narrowed(
    frames: tuple[Any, Any],
    known: Mapping[str, tuple[Extent, Extent]],
    schemas: tuple[Schema, Schema],
    wanted: Mapping[str, Wanted],
    *,
    passes: int = PASSES,
) -> dict[str, Cells]:
    """Cut columns of two lazy tables into cells, as fine as is wanted.

    Args:
        frames: reference and current.
        known: column -> its extents there.
        schemas: column -> narwhals type, of both.
        wanted: column -> which of its cells should be cut again; asked after each pass, for all columns at once.
        passes: how often the rows are read at most, after which cells stay as they are.

    Raises:
        InconclusiveError: a column without a value on a side.
        SourceError: an engine cannot answer.
    """
    found = {name: _whole(name, known[name]) for name in wanted}
    for _ in range(passes):
        ranges = {name: _ranges(cells, wanted[name](cells) & _divisible(cells)) for name, cells in found.items()}
        ranges = {name: each for name, each in ranges.items() if each}
        if not ranges:
            break
        cut = _cut(frames, schemas, ranges)
        for name, each in ranges.items():
            gone = _inside(found[name], each)
            found[name] = found[name].replaced(gone, cut[name])
    return found


def _whole(name: str, sides: tuple[Extent, Extent]) -> Cells:
    for side, what in zip(sides, ("reference", "current"), strict=True):
        if not side.filled:
            raise InconclusiveError(
                f"{what}: nothing to compare in {side.missing} rows of `{name}`",
                "at least one value that is not missing",
                "look at the filter or the source of the column",
            )
    rows, least, most = ([[getattr(side, each)] for side in sides] for each in ("filled", "least", "most"))
    return Cells(np.array(rows, dtype=np.float64), np.array(least), np.array(most))


def _divisible(cells: Cells) -> BoolArray:
    # Values so near that their distance fits into no number of cuts: see _cut_of.
    return np.asarray(cells.high * 0.5 - cells.low * 0.5 > NEAREST)


def _ranges(cells: Cells, chosen: BoolArray) -> list[tuple[float, float]]:
    """Return at most ``RANGES`` ranges that hold the chosen cells; those that hold most rows come first.

    Cells side by side are one range, or several where there is room for more: cut as one, a run that holds nearly all rows
    would come out hardly finer than it was.
    """
    places = np.flatnonzero(chosen)
    if not len(places):
        return []
    weights = cells.rows.sum(axis=0)
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    runs = sorted(runs, key=lambda run: -float(weights[run].sum()))[:RANGES]
    return [(float(cells.low[run[0]]), float(cells.high[run[-1]])) for run in _halved(runs, weights)]


def _halved(runs: Sequence[IntArray], weights: FloatArray) -> list[IntArray]:
    """Halve the run that holds most rows, until there are ``RANGES`` or each is one cell."""
    heap = [(-float(weights[run].sum()), int(run[0]), run) for run in runs]
    heapq.heapify(heap)
    single: list[IntArray] = []
    while heap and len(heap) + len(single) < RANGES:
        run = heapq.heappop(heap)[2]
        if len(run) == 1:
            single.append(run)
            continue
        passed = np.cumsum(weights[run])
        middle = min(max(int(np.searchsorted(passed, passed[-1] / 2)), 1), len(run) - 1)
        for half in (run[:middle], run[middle:]):
            heapq.heappush(heap, (-float(weights[half].sum()), int(half[0]), half))
    return [*single, *(run for _, _, run in heap)]


def _inside(cells: Cells, ranges: Sequence[tuple[float, float]]) -> BoolArray:
    found = np.zeros(cells.rows.shape[1], dtype=np.bool_)
    for low, high in ranges:
        found |= (cells.low >= low) & (cells.high <= high)
    return found


def _cut(
    frames: tuple[Any, Any], schemas: tuple[Schema, Schema], ranges: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, Cells]:
    tables = [
        answers(frame, [_cut_query(name, schema, each) for name, each in ranges.items()])
        for frame, schema in zip(frames, schemas, strict=True)
    ]
    return {name: _lined_up(pair[0], pair[1]) for name, pair in zip(ranges, zip(*tables, strict=True), strict=True)}


def _cut_query(name: str, schema: Schema, ranges: Sequence[tuple[float, float]]) -> Query:
    def ask(rows: Any) -> Any:
        values = rows.select(value=value_of(name, schema))
        if isinstance(rows, nw.DataFrame):
            # Arrow works out every branch of an expression for every row; NumPy looks each row's range up.
            return nw.from_native(_counted(np.asarray(values["value"].to_numpy(), dtype=np.float64), ranges))
        keyed = values.with_columns(cell=_key(ranges)).filter(~nw.col("cell").is_null())
        value = nw.col("value")
        return keyed.group_by("cell").agg(rows=nw.len(), least=value.min(), most=value.max())

    merge = {"rows": Merge.SUM, "least": Merge.LEAST, "most": Merge.MOST}
    return Query((name,), ask, merge, key="cell", cells=len(ranges) * (CUTS + 1))


def _key(ranges: Sequence[tuple[float, float]]) -> nw.Expr:
    value = nw.col("value")
    key: Any = nw.lit(None, dtype=nw.Float64)
    for place, (low, high) in enumerate(sorted(ranges)):
        code = _cut_of(value, low, high).round() + float(place * (CUTS + 1))
        key = nw.when((value >= low) & (value <= high)).then(code).otherwise(key)
    found: nw.Expr = key
    return found


def _counted(values: FloatArray, ranges: Sequence[tuple[float, float]]) -> pa.Table:
    low, high = np.array(sorted(ranges)).T
    place: Any = 0
    if len(low) > 1:
        place = np.maximum(np.searchsorted(low, values, side="right") - 1, 0)
    inside = (values >= low[place]) & (values <= high[place])
    values, place = values[inside], place[inside] if len(low) > 1 else place
    code = np.rint(_cut_of(values, low[place], high[place])).astype(np.int64) + place * (CUTS + 1)
    rows = np.bincount(code)
    cell = np.flatnonzero(rows)
    least, most = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    np.minimum.at(least, code, values)
    np.maximum.at(most, code, values)
    return pa.table({"cell": cell.astype(np.float64), "rows": rows[cell], "least": least[cell], "most": most[cell]})


def _cut_of(value: Any, low: Any, high: Any) -> Any:
    # Halves: the width of a range may be more than floating point holds.
    return (value * 0.5 - low * 0.5) * (CUTS / (high * 0.5 - low * 0.5))


def _lined_up(old: pa.Table, new: pa.Table) -> Cells:
    sides = [(np.asarray(table["cell"]), table) for table in (old, new)]
    keys = np.union1d(sides[0][0], sides[1][0])
    parts = {"rows": np.zeros((2, len(keys))), "least": np.full((2, len(keys)), np.nan)}
    parts["most"] = parts["least"].copy()
    for side, (codes, table) in enumerate(sides):
        place = np.searchsorted(keys, codes)
        for name, part in parts.items():
            part[side, place] = np.asarray(table[name])
    return Cells(**parts)
