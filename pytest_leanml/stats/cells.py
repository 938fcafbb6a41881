"""Numbers of two samples as rows in disjoint cells: what counts alone can say of them, and where to look closer.

A cell is a range of values that holds at least one row of either sample. Beside its rows it knows the least and the most
value that each sample has there, so that what is said stays exact at the cells' borders, and wrong by no more than what a
cell holds within them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One column of reference and current in k cells, in ascending order.

    Attributes:
        rows: shape (2, k), rows of the reference and of the current sample in each cell; no cell is empty on both sides.
        least: shape (2, k), the least value there; NaN where a sample has none.
        most: shape (2, k), the most.
    """

    rows: FloatArray
    least: FloatArray
    most: FloatArray

    @property
    def low(self) -> FloatArray:
        """Shape (k,), the least value of either sample."""
        return np.asarray(np.fmin(self.least[0], self.least[1]))

    @property
    def high(self) -> FloatArray:
        """Shape (k,), the most value of either sample."""
        return np.asarray(np.fmax(self.most[0], self.most[1]))

    @property
    def open(self) -> BoolArray:
        """Shape (k,), whether a cell holds more than one value."""
        return self.high > self.low

    def shares(self) -> tuple[FloatArray, FloatArray]:
        """Return both distribution functions, shape (2, k) each: before a cell begins, and where it ends.

        Raises:
            MeasurementError: a sample without a row.
        """
        totals = self.rows.sum(axis=1, keepdims=True)
        if not totals.all():
            raise MeasurementError("a sample without a value", "at least one on either side")
        ends = np.cumsum(self.rows, axis=1)
        return (ends - self.rows) / totals, ends / totals

    def replaced(self, gone: BoolArray, by: Cells) -> Cells:
        """Return the cells in which ``by`` stands for those that are ``gone``, shape (k,)."""
        parts = [
            np.concatenate([old[:, ~gone], new], axis=1)
            for old, new in ((self.rows, by.rows), (self.least, by.least), (self.most, by.most))
        ]
        order = np.argsort(np.fmin(parts[1][0], parts[1][1]), kind="stable")
        return Cells(*(part[:, order] for part in parts))


def widest_gap(cells: Cells) -> tuple[float, float]:
    """Return the largest distance of both distribution functions at the cells' ends, and what it may be at most.

    The true distance lies between the two: within a cell one function has at most risen to its end while the other one
    still is where it began.
    """
    _, ends = cells.shares()
    value = float(np.abs(ends[0] - ends[1]).max())
    return value, max(value, float(_within(cells).max(initial=0.0)))


def contending(cells: Cells, tolerance: float = 0.0) -> BoolArray:
    """Return which cells may hold a gap that is wider than any that is known by more than a tolerance; shape (k,)."""
    return np.asarray(_within(cells) > widest_gap(cells)[0] + tolerance)


def _within(cells: Cells) -> FloatArray:
    before, ends = cells.shares()
    gap = np.maximum(ends[0] - before[1], ends[1] - before[0])
    return np.where(cells.open, gap, 0.0)


def quantile_ranks(rows: int, shares: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return for each share the two order statistics, from 0, between which its quantile lies, and how far between.

    That is definition 7 of Hyndman and Fan (1996, The American Statistician 50, 361-365), NumPy's default.
    """
    place = (rows - 1) * np.asarray(shares, dtype=np.float64)
    below = np.floor(place).astype(np.int64)
    return below, np.minimum(below + 1, rows - 1), place - below


def quantiles(cells: Cells, shares: FloatArray) -> FloatArray:
    """Return quantiles of the reference as ``np.quantile`` does.

    Raises:
        MeasurementError: the cells are too wide to tell; see ``unsettled_ranks``.
    """
    below, above, part = quantile_ranks(int(cells.rows[0].sum()), shares)
    return interpolated(_order_statistics(cells, below), _order_statistics(cells, above), part)


def interpolated(low: FloatArray, high: FloatArray, part: FloatArray) -> FloatArray:
    """Return what lies between two order statistics, as NumPy interpolates, so that both have the same last bit."""
    step = high - low
    return np.where(part >= 0.5, high - step * (1 - part), low + step * part)  # noqa: PLR2004 - the nearer end


def _order_statistics(cells: Cells, ranks: IntArray) -> FloatArray:
    place, first, last = _located(cells, ranks)
    if unsettled_ranks(cells, ranks).any():
        raise MeasurementError("cells that are too wide to name a quantile", "one value in each cell that holds one")
    return np.asarray(np.where(last & ~first, cells.most[0][place], cells.least[0][place]))


def _located(cells: Cells, ranks: IntArray) -> tuple[IntArray, BoolArray, BoolArray]:
    """Return the cell of each order statistic, and whether it is the first or the last of the reference there."""
    ends = np.cumsum(cells.rows[0])
    place = np.searchsorted(ends, ranks, side="right")
    return place, ranks == ends[place] - cells.rows[0][place], ranks == ends[place] - 1


def unsettled_ranks(cells: Cells, ranks: IntArray | Sequence[int]) -> BoolArray:
    """Return which cells must be opened to name these order statistics of the reference; shape (k,)."""
    place, first, last = _located(cells, np.asarray(ranks, dtype=np.int64))
    known = first | last | (cells.least[0][place] == cells.most[0][place])
    found = np.zeros(cells.rows.shape[1], dtype=np.bool_)
    found[place[~known]] = True
    return found
