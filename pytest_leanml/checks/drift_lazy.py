"""Columns of lazy tables as drift compares them: counts that the engine took, exact or with what they may be off by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import narwhals as nw
import numpy as np
import pyarrow as pa

from pytest_leanml.checks.drift_columns import Categories, found_in, ordered_alike, told_of
from pytest_leanml.checks.side_by_side import in_turn, keep_freed_memory, threads
from pytest_leanml.errors import LeanmlError, SourceError
from pytest_leanml.sources.columns import is_polars, require_columns, row_count, to_pandas
from pytest_leanml.sources.faults import quiet
from pytest_leanml.sources.lazy import is_lazy, schema_of
from pytest_leanml.sources.lazy_counts import deviations, rows_up_to
from pytest_leanml.sources.lazy_parquet import ArrowRows
from pytest_leanml.sources.lazy_tables import has_order, label_counts
from pytest_leanml.sources.lazy_times import times_as_numbers
from pytest_leanml.sources.narrowing import extents, narrowed
from pytest_leanml.stats.cells import contending, quantile_ranks, quantiles, unsettled_ranks, widest_gap
from pytest_leanml.stats.columns import Side, edges_of, tally
from pytest_leanml.stats.counting import FEW_ROWS
from pytest_leanml.stats.drift import BY_COUNTS, DriftMethod, ks_of
from pytest_leanml.stats.histogram import TAIL, edges_between
from pytest_leanml.stats.transport import Steps, wasserstein_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_leanml.checks.drift_columns import Pair, Sides
    from pytest_leanml.sources.lazy import Schema
    from pytest_leanml.sources.narrowing import Extent
    from pytest_leanml.stats.cells import Cells
    from pytest_leanml.stats.columns import Tally
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import BoolArray, FloatArray

Told = TypeVar("Told")

BINS = 10
_SHARES = np.concatenate([np.arange(BINS + 1) / BINS, [TAIL, 1 - TAIL]])
# A gap that may be wider by no more than this is close enough: fewer than one row in 100,000.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Lazy:
    """Both tables, asked in the same way.

    Attributes:
        frames: reference and current.
        schemas: column -> narwhals type, of both.
    """

    frames: tuple[Any, Any]
    schemas: tuple[Schema, Schema]

    @classmethod
    def of(cls, pair: Pair) -> Lazy:
        """Take over both tables; one that is in memory is asked as a lazy one is."""
        frames = (times_as_numbers(_in_lazy_words(pair.old)), times_as_numbers(_in_lazy_words(pair.new)))
        return cls(frames, (schema_of(frames[0]), schema_of(frames[1])))


@dataclass(frozen=True, slots=True, eq=False)
class LazyNumbers:
    """One column of numbers or times, counted where it is.

    Attributes:
        cells: both sides' rows, fine enough for the largest gap and the quantiles.
        old: the reference; nothing is present but the numbers of rows.
        new: the current rows.
        bins: both sides' rows in the bins of the population stability index, the missing ones last.
        drawn: what a report draws.
        scales: both sides' standard deviations, asked for when a method needs them.
    """

    cells: Cells
    old: Side[None]
    new: Side[None]
    bins: tuple[FloatArray, FloatArray]
    drawn: Mapping[str, Any]
    scales: Callable[[], tuple[float, float]]
    ordered: bool = True

    def compare(self, method: DriftMethod, confidence: float) -> Estimate:
        """Compare both sides."""
        if method is DriftMethod.KS:
            value, most = widest_gap(self.cells)
            return ks_of(value, self.old, self.new, confidence=confidence, error=most - value)
        if method is DriftMethod.WASSERSTEIN:
            return wasserstein_steps(_steps(self.cells, self.scales()), self.old, self.new, confidence=confidence)
        return BY_COUNTS[method](*self.bins, confidence=confidence)

    def histogram(self) -> dict[str, Any]:
        """Return what a report draws."""
        return dict(self.drawn)


def read_each(pair: Pair, names: Sequence[str], use: Callable[[str, Sides], Told]) -> Iterator[tuple[str, Told]]:
    """Yield what is told of each column of both tables: of those in memory by several threads, few at once.

    Args:
        pair: both tables.
        names: of the columns.
        use: tells it, of a name and its column, which is forgotten then.

    Raises:
        LeanmlError: as ``drift_columns.found_in`` and ``read_lazily``, and what ``use`` raises.
    """
    if is_lazy(pair.old) or is_lazy(pair.new):
        yield from ((name, use(name, sides)) for name, sides in read_lazily(pair, names).items())
    else:
        many = row_count(pair.old) + row_count(pair.new) >= FEW_ROWS
        if many:
            keep_freed_memory()
        jobs = (partial(_used, use, name, found_in(pair, name)) for name in names)
        yield from zip(names, in_turn(jobs, threads() if many else 1), strict=True)


def _used(use: Callable[[str, Sides], Told], name: str, count: Callable[[], Sides]) -> Told:
    return use(name, count())


def read_labels(pair: Pair, names: Sequence[str]) -> dict[str, Tally]:
    """Count the categories of both tables; columns of numbers or times are passed over.

    Raises:
        LeanmlError: as ``drift_columns.found_in`` and ``read_lazily``.
    """
    if is_lazy(pair.old) or is_lazy(pair.new):
        kinds = lazily_ordered(pair, names)
    else:
        kinds = {name: ordered_alike(pair, name) for name in names}
    found = read_each(pair, [name for name, ordered in kinds.items() if not ordered], lambda _, sides: sides)
    return {name: sides.found for name, sides in found if isinstance(sides, Categories)}


def read_lazily(pair: Pair, names: Sequence[str]) -> dict[str, LazyNumbers | Categories]:
    """Read columns of both tables, all at once: each pass over the rows answers for every column.

    Raises:
        InconclusiveError: a column without a value on a side, or a side without rows.
        MeasurementError: infinity, or values that cannot be told apart.
        SourceError: a column on one side only, or of numbers or times on one side only; the engine cannot answer.
    """
    ordered = lazily_ordered(pair, names)
    lazy, told = Lazy.of(pair), schema_of(_in_lazy_words(pair.old))
    found = _numbers(lazy, [name for name in names if ordered[name]], told)
    labels = [name for name in names if not ordered[name]]
    counts = [label_counts(frame, labels, schema) for frame, schema in zip(lazy.frames, lazy.schemas, strict=True)]
    return {name: found[name] if ordered[name] else _categories(name, *counts) for name in names}


def lazily_ordered(pair: Pair, names: Sequence[str]) -> dict[str, bool]:
    """Tell which columns are compared by their order.

    Raises:
        SourceError: a column on one side only, of numbers or times on one side only, or of times with a zone on one
            side only.
    """
    for data, frame in pair.named().items():
        require_columns(frame, names, what=f"the {data} data")
    schemas = [schema_of(_in_lazy_words(frame)) for frame in (pair.old, pair.new)]
    return {name: _ordered([schema[name] for schema in schemas], name, pair.current) for name in names}


def _ordered(kinds: Sequence[nw.dtypes.DType], name: str, current: str) -> bool:
    ordered = {has_order(kind) for kind in kinds}
    zoned = {kind.time_zone is not None for kind in kinds if isinstance(kind, nw.Datetime)}
    for differ, what, expected in (
        (len(ordered) > 1, "numbers or times", "one type on both sides"),
        (len(zoned) > 1, "times with a zone", "a time zone on both sides, or on neither"),
    ):
        if differ:
            raise SourceError(
                f"`{name}` holds {what} in one of the train and {current} data only",
                expected,
                "read both in the same way",
            )
    return ordered == {True}


def _in_lazy_words(frame: Any) -> Any:
    if is_lazy(frame):
        return frame
    if is_polars(frame):
        return frame.lazy()
    if isinstance(frame, pa.Table):
        return ArrowRows(frame)
    with quiet():
        return ArrowRows(pa.Table.from_pandas(to_pandas(frame), preserve_index=False))


def _categories(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Categories:
    try:
        return Categories(tally(old[name], new[name]))
    except LeanmlError as fault:
        raise told_of(fault, f"`{name}`") from fault


def _numbers(lazy: Lazy, names: Sequence[str], told: Schema) -> dict[str, LazyNumbers]:
    if not names:
        return {}
    ends = [extents(frame, names, schema) for frame, schema in zip(lazy.frames, lazy.schemas, strict=True)]
    known = {name: (ends[0][name], ends[1][name]) for name in names}
    cells = narrowed(lazy.frames, known, lazy.schemas, dict.fromkeys(names, _wanted))
    edges = {name: _edges(each) for name, each in cells.items()}
    counts = [
        rows_up_to(frame, {name: np.concatenate(each) for name, each in edges.items()}, schema)
        for frame, schema in zip(lazy.frames, lazy.schemas, strict=True)
    ]
    found = {}
    for name in names:
        sides = [Side(None, each.filled, each.missing) for each in known[name]]
        tables = [_split(edges[name], count[name], side) for count, side in zip(counts, sides, strict=True)]
        drawn = _drawn(edges[name][1], [table[1] for table in tables], sides, times=not told[name].is_numeric())
        bins = (tables[0][0], tables[1][0])
        scales = partial(_scales, lazy, name, known[name])
        found[name] = LazyNumbers(cells[name], sides[0], sides[1], bins, drawn, scales)
    return found


def _wanted(cells: Cells) -> BoolArray:
    ranks = np.concatenate(quantile_ranks(int(cells.rows[0].sum()), _SHARES)[:2])
    return contending(cells, TOLERANCE) | unsettled_ranks(cells, ranks)


def _edges(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Return the edges of the population stability index, and those of the histogram."""
    found = quantiles(cells, _SHARES)
    return edges_of(found[: BINS + 1]), edges_between(found[-2], found[-1])


def _split(edges: tuple[FloatArray, FloatArray], count: FloatArray, side: Side[None]) -> list[FloatArray]:
    parts = np.split(count, [len(edges[0])])
    return [np.diff(np.concatenate([[0.0], part, [side.filled, side.filled + side.missing]])) for part in parts]


def _drawn(
    edges: FloatArray, counts: Sequence[FloatArray], sides: Sequence[Side[None]], *, times: bool
) -> dict[str, Any]:
    return {
        "type": "time" if times else "number",
        "edges": edges.tolist(),
        "reference": [int(each) for each in counts[0][:-1]],
        "current": [int(each) for each in counts[1][:-1]],
        "missing": [side.missing for side in sides],
    }


def _scales(lazy: Lazy, name: str, known: tuple[Extent, Extent]) -> tuple[float, float]:
    old, new = (
        deviations(frame, {name: extent}, schema)[name]
        for frame, extent, schema in zip(lazy.frames, known, lazy.schemas, strict=True)
    )
    return old, new


def _steps(cells: Cells, scales: tuple[float, float]) -> Steps:
    """Return both distribution functions within each cell, and between one and the next."""
    before, ends = cells.shares()
    inside = cells.high - cells.low
    between = cells.low[1:] - cells.high[:-1]
    widths = np.concatenate([inside, between])
    old, new = (
        np.concatenate([np.stack([before[side], ends[side]]), np.stack([ends[side][:-1]] * 2)], axis=1)
        for side in (0, 1)
    )
    return Steps(widths, old, new, scales)
