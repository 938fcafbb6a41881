"""Two samples of numbers, counted in cells in linear time: what sorting says of them, though few rows are sorted.

Each value has a cell that never falls as the value rises, so that a distribution function is exact where a cell ends, and
only the cells in which the widest gap, a quantile or an edge may lie are opened: their rows are gathered and sorted. A
cell of one value needs no opening, however many rows it holds.
Every answer is that of the sorted samples, to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.stats.cells import interpolated, quantile_ranks
from pytest_leanml.stats.columns import edges_of
from pytest_leanml.stats.histogram import BINS, TAIL, edges_between

if TYPE_CHECKING:
    import numpy.typing as npt

    from pytest_leanml.stats.columns import Unsorted
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray

    Places = npt.NDArray[np.uint16]

CELLS = 1 << 15
# With fewer rows, sorting is as quick.
FEW_ROWS = 1 << 16
# Rows that are worked on at once: what they take stays in the cache, and threads seldom wait for each other.
BLOCK = 1 << 18
# A larger share of rows to gather and sort is no gain.
MOST_OPEN = 0.2
EXACT = 2.0**53
# Rows of a side that are asked where its middle is, and the share of them beyond it on either end.
ASKED = 2048
BEYOND = 0.0025
# Where all values lie this many times as wide as their middle, cells are cut in the middle alone.
FAR = 3
_DECILES = np.arange(11) / 10
_TAILS = np.array([TAIL, 1 - TAIL])
_NONE = (None, False)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which cell a value is in, from 0.

    Attributes:
        low: where the first cell begins.
        scale: cells in one unit.
        cells: how many there are.
        tails: the first and the last cell hold what is beyond them too.
    """

    low: float
    scale: float
    cells: int
    tails: bool = False

    def put(self, values: FloatArray, room: FloatArray, found: Places) -> None:
        """Write the cells of values of either sample to ``found``; rounding keeps their order.

        Args:
            values: shape (n,).
            room: shape (n,), written over.
            found: shape (n,).
        """
        with np.errstate(over="ignore"):
            np.subtract(values, self.low, out=room)
            np.multiply(room, self.scale, out=room)
        if self.tails:
            np.clip(room, 0.0, float(self.cells - 1), out=found, casting="unsafe")
        else:
            found[:] = room

    def near(self, values: FloatArray) -> IntArray:
        """Return the cells of any finite values, those beyond the ends in the first or the last one."""
        with np.errstate(over="ignore"):
            spots = (np.asarray(values, dtype=np.float64) - self.low) * self.scale
        return np.asarray(np.clip(spots, 0.0, float(self.cells - 1)).astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample in cells.

    Attributes:
        values: shape (n,), as they came.
        places: shape (n,), the cell of each.
        ends: shape (cells,), rows up to the end of each cell.
        rows: shape (cells,), rows in each cell.
        inside: the values in the cells that are open, sorted.
        skipped: shape (cells,), rows before each cell that are in cells which are not open.
    """

    values: FloatArray
    places: Places
    ends: IntArray
    rows: IntArray
    inside: FloatArray
    skipped: IntArray

    @classmethod
    def of(cls, values: FloatArray, grid: Grid, *, finite: bool = True) -> Sample:
        """Count a sample; no cell is open.

        Args:
            values: shape (n,).
            grid: the cells.
            finite: whether all values are known to be; else they are looked at as well.

        Raises:
            ValueError: a value is NaN or infinite, or some are so large that their sum is.
        """
        places, room = np.empty(len(values), dtype=np.uint16), np.empty(BLOCK)
        rows = np.zeros(grid.cells, dtype=np.intp)
        for start in range(0, len(values), BLOCK):
            part, found = values[start : start + BLOCK], places[start : start + BLOCK]
            if not (finite or _has_sum(part)):
                msg = "a value that is NaN or infinite"
                raise ValueError(msg)
            grid.put(part, room[: len(part)], found)
            rows += np.bincount(found, minlength=grid.cells)
        ends = np.cumsum(rows)
        return cls(values, places, ends, rows, values[:0], ends - rows)

    @property
    def total(self) -> int:
        """Rows."""
        return len(self.values)

    def opened(self, chosen: BoolArray) -> Sample:
        """Open these cells, shape (cells,), and no others."""
        closed = np.where(chosen, 0, self.rows)
        inside = np.sort(self.values[self._rows_in(chosen)])
        return replace(self, inside=inside, skipped=np.cumsum(closed) - closed)

    def _rows_in(self, chosen: BoolArray) -> IntArray:
        found, room = np.empty(self.total, dtype=np.bool_), np.empty(BLOCK, dtype=np.intp)
        for start in range(0, self.total, BLOCK):
            part = self.places[start : start + BLOCK]
            spot = room[: len(part)]
            spot[:] = part
            # The mode makes NumPy write where it is told to, without a copy.
            np.take(chosen, spot, out=found[start : start + BLOCK], mode="clip")
        return np.flatnonzero(found)


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Both samples of one column, counted.

    Attributes:
        grid: the cells.
        old: the reference.
        new: the current rows.
        known: the widest gap of both distribution functions where the cells end.
        value: shape (cells,), the only value in each cell; NaN where there are several, or nobody has looked.
        open: shape (cells,), which cells are open; all that may hold a wider gap are.
    """

    grid: Grid
    old: Sample
    new: Sample
    known: float
    value: FloatArray
    open: BoolArray

    def opened(self, chosen: BoolArray) -> Counts:
        """Open these cells as well, but those of one value."""
        if not (chosen & ~self.open & np.isnan(self.value)).any():
            return self
        both = (chosen & np.isnan(self.value)) | self.open
        return replace(self, old=self.old.opened(both), new=self.new.opened(both), open=both)

    def rows_in(self, chosen: BoolArray) -> int:
        """Return how many rows of both samples these cells hold."""
        return int(self.old.rows[chosen].sum() + self.new.rows[chosen].sum())

    def looked_at(self) -> BoolArray:
        """Return which cells may hold the deciles, the edges of the histogram, or the ranks that they lie between."""
        below, above, _ = quantile_ranks(self.old.total, np.concatenate([_DECILES, _TAILS]))
        first, last = (np.searchsorted(self.old.ends, ranks, side="right") for ranks in (below, above))
        part = np.arange(1, BINS) / BINS
        # Edges lie at even steps between two quantiles, and these somewhere in their cells.
        starts = np.floor((1 - part) * first[-2] + part * first[-1])
        ends = np.floor((1 - part) * (last[-2] + 1) + part * (last[-1] + 1))
        found = np.zeros(self.grid.cells, dtype=np.bool_)
        for start, end in zip([*first, *starts.astype(int)], [*last, *ends.astype(int)], strict=True):
            found[start : end + 1] = True
        return found

    def distance(self) -> float:
        """Return KS' D as ``drift.ks`` does."""
        at, places = self.old.inside, np.flatnonzero(self.open)
        if not len(at):
            return self.known
        held = self.old.rows[places]
        rank = np.arange(len(at)) + np.repeat(self.old.skipped[places], held)
        passed = np.repeat(self.new.skipped[places], held)
        right = np.searchsorted(self.new.inside, at, side="right")
        upto, before = passed + right, passed + _left_of(self.new.inside, at, right)
        ahead = ((rank + 1) / self.old.total - upto / self.new.total).max()
        behind = (before / self.new.total - rank / self.old.total).max()
        return max(self.known, float(ahead), float(behind))

    def decile_edges(self) -> FloatArray:
        """Return the inner edges of the bins of the population stability index."""
        return edges_of(self.quantiles(_DECILES))

    def bar_edges(self) -> FloatArray:
        """Return the edges of the histogram."""
        first, last = self.quantiles(_TAILS)
        return edges_between(first, last)

    def quantiles(self, shares: FloatArray) -> FloatArray:
        """Return quantiles of the reference as ``np.quantile`` does; the cells of their ranks are open."""
        below, above, part = quantile_ranks(self.old.total, shares)
        return interpolated(self._ranked(below), self._ranked(above), part)

    def _ranked(self, ranks: IntArray) -> FloatArray:
        places = np.searchsorted(self.old.ends, ranks, side="right")
        found = self.value[places]
        several = np.isnan(found)
        found[several] = self.old.inside[ranks[several] - self.old.skipped[places[several]]]
        return found

    def up_to(self, edges: FloatArray) -> tuple[IntArray, IntArray]:
        """Return both samples' rows up to each edge; cells in which an edge lies are opened where they are not."""
        places = self.grid.near(edges)
        chosen = np.zeros(self.grid.cells, dtype=np.bool_)
        chosen[places] = (self.old.rows[places] > 0) | (self.new.rows[places] > 0)
        found, value = self.opened(chosen), self.value[places]

        def upto(side: Sample) -> IntArray:
            several = side.skipped[places] + np.searchsorted(side.inside, edges, side="right")
            one = side.ends[places] - np.where(edges < value, side.rows[places], 0)
            return np.where(np.isnan(value), several, one)

        return upto(found.old), upto(found.new)


def counted(old: Unsorted, new: Unsorted, *, cells: int = CELLS, few: int = FEW_ROWS) -> Counts | None:
    """Count both samples of a column, and open the cells that its distance, its deciles and its histogram need.

    Args:
        old: the reference.
        new: the current rows.
        cells: how many, at most 2^16.
        few: rows of both, below which they are not counted.

    Returns:
        None where sorting is as quick: of few rows, or of many different ones in few cells, and where the values are so
        near or so far apart that floating point cannot tell their cells.
    """
    values = old.side.present, new.side.present
    enough = len(values[0]) + len(values[1]) >= few
    grid, whole = _grid(values, min(old.least, new.least), max(old.most, new.most), cells) if enough else _NONE
    if grid is None:
        return None
    value = np.full(grid.cells, np.nan)
    if whole:
        value[:] = grid.low + np.arange(grid.cells)
    return _opened(grid, Sample.of(values[0], grid), Sample.of(values[1], grid), value)


def counted_at_once(old: FloatArray, new: FloatArray, *, cells: int = CELLS, few: int = FEW_ROWS) -> Counts | None:
    """Count both samples before anybody has looked for their ends or for missing values: one pass less over each.

    Args:
        old: the reference, shape (n,).
        new: the current rows, shape (m,).
        cells: as for ``counted``.
        few: as for ``counted``.

    Returns:
        None where ``counted`` must be asked: a value is missing or infinite, or a few rows hold whole numbers alone, or
        hardly differ; and where that returns None.
    """
    values = old, new
    if len(old) + len(new) < few or not all(map(len, values)) or all(_all_whole(each[:ASKED]) for each in values):
        return None
    grid = _cut(*_middle(values), cells, tails=True)
    if grid is None:
        return None
    try:
        sides = Sample.of(old, grid, finite=False), Sample.of(new, grid, finite=False)
    except ValueError:
        return None
    return _opened(grid, *sides, np.full(cells, np.nan))


def _opened(grid: Grid, old: Sample, new: Sample, value: FloatArray) -> Counts | None:
    """Open what is asked of every column; None where that is more than is worth it."""
    known, contending = _gaps(old, new)
    found = Counts(grid, old, new, known, value, np.zeros(grid.cells, dtype=np.bool_))
    chosen, most = contending | found.looked_at(), MOST_OPEN * (old.total + new.total)
    if found.rows_in(chosen & np.isnan(value)) > most:
        found = replace(found, value=_only_values(old, new))
    return found.opened(chosen) if found.rows_in(chosen & np.isnan(found.value)) <= most else None


def _only_values(old: Sample, new: Sample) -> FloatArray:
    """Return the value of each cell that holds one alone on both sides, NaN for any other."""
    found = np.full(len(old.rows), np.nan)
    for side in (old, new):
        found[side.places] = side.values
    several = np.zeros(len(found), dtype=np.bool_)
    for side in (old, new):
        several[side.places[found[side.places] != side.values]] = True
    return np.where(several, np.nan, found)


def _gaps(old: Sample, new: Sample) -> tuple[float, BoolArray]:
    """Return the widest gap where the cells end, and which cells may hold a wider one: the bound holds rounded as well."""
    one, other = (np.concatenate([[0.0], side.ends / side.total]) for side in (old, new))
    gap = one - other
    known = max(float(gap.max()), -float(gap.min()))
    return known, np.asarray((one[1:] - other[:-1] > known) | (other[1:] - one[:-1] > known))


def _grid(values: tuple[FloatArray, FloatArray], low: float, high: float, cells: int) -> tuple[Grid | None, bool]:
    """Return the cells, and whether each holds one whole number."""
    width = high - low
    if width < cells and max(-low, high) < EXACT and low.is_integer() and all(map(_all_whole, values)):
        return Grid(low, 1.0, int(width) + 1), True
    first, last = _middle(values)
    if 0 < last - first < width / FAR:
        return _cut(first, last, cells, tails=True), False
    return _cut(low, high, cells, tails=False), False


def _cut(low: float, high: float, cells: int, *, tails: bool) -> Grid | None:
    """Return cells of one width between two values; None where floating point cannot tell them apart."""
    width = high - low
    scale = (cells - 1) / width if width else math.inf
    return Grid(low, scale, cells, tails) if 0 < scale < math.inf else None


def _middle(values: tuple[FloatArray, FloatArray]) -> tuple[float, float]:
    """Return two values between which nearly all rows lie, from a few of them: they say how wide cells are, no more."""
    ordered = np.sort(np.concatenate([side[:: 1 + len(side) // ASKED] for side in values]))
    beyond = int(len(ordered) * BEYOND)
    return float(ordered[beyond]), float(ordered[-1 - beyond])


def _left_of(ordered: FloatArray, at: FloatArray, right: IntArray) -> IntArray:
    """Return the places where ``np.searchsorted`` puts ``at`` from the left: those from the right, but where it is met."""
    left = right.copy()
    met = np.flatnonzero(right)
    met = met[ordered[right[met] - 1] == at[met]]
    left[met] = np.searchsorted(ordered, at[met], side="left")
    return left


def _has_sum(values: FloatArray) -> bool:
    """Tell whether all values are finite, in one look at each: the sum is not where one of them is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(values.sum())


def _all_whole(values: FloatArray) -> bool:
    parts = (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
    return all(np.array_equal(np.rint(part), part) for part in parts)
