"""How much of one table's rows another one holds, exactly and nearly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pytest_leanml.stats.samples import FloatArray

Keys: TypeAlias = "npt.NDArray[np.uint64]"
Rows: TypeAlias = "npt.NDArray[np.intp]"

# The increment and the two multipliers of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA 453-472).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_BLOCK = 1 << 22  # pairs of rows compared at once: 32 MB a column
_FIRST_ROWS = 20_000


def combine(columns: Sequence[Keys]) -> Keys:
    """Make one key of 64 bits for each row from the keys of its columns; their order matters.

    Two rows that differ share a key with probability 2^-64, as if by chance: among a million rows against a million
    one false match is expected in 18 million tables.

    Args:
        columns: one array of shape (n,) for each column, at least one.

    Raises:
        InconclusiveError: there is no column.
        MeasurementError: arrays of different lengths.
    """
    if not len(columns):
        raise InconclusiveError("there is no column to compare rows by", "at least one")
    if len({len(each) for each in columns}) > 1:
        raise MeasurementError("columns of different lengths", "one key for each row and column")
    key = np.zeros(len(columns[0]), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for each in columns:
            key = _mixed((key ^ np.asarray(each, dtype=np.uint64)) + _STEP)
    return key


def _mixed(key: Keys) -> Keys:
    key = (key ^ (key >> np.uint64(30))) * _FIRST
    key = (key ^ (key >> np.uint64(27))) * _SECOND
    return key ^ (key >> np.uint64(31))


def shared(known: npt.NDArray[np.generic], asked: npt.NDArray[np.generic], confidence: float = 0.95) -> Estimate:
    """Share of ``asked`` that is among ``known``: counted in all rows, so that the interval is the value.

    Args:
        known: keys of the rows that were seen, shape (n,).
        asked: keys of the rows in question, shape (m,).
        confidence: level to state.

    Returns:
        Value in [0, 1], n = m; details: ``count`` of them, and ``repeated``, the share of ``known`` rows that have a
        twin there, which is what chance alone makes of such columns.

    Raises:
        InconclusiveError: a side has no row.
    """
    _demand_rows(len(known), len(asked))
    seen, counts = np.unique(known, return_counts=True)
    # By sorting: NumPy 2.0 would look for a range of keys, and 64 unsigned bits do not fit into its numbers.
    count = int(np.isin(asked, seen, kind="sort").sum())
    repeated = float(counts[counts > 1].sum()) / len(known)
    value = count / len(asked)
    details = {"count": float(count), "known": float(len(known)), "repeated": repeated}
    return Estimate(value, len(asked), value, value, "exact", confidence, details=details)


def _demand_rows(known: int, asked: int) -> None:
    if not known or not asked:
        raise InconclusiveError("there are no rows to compare", "at least one on either side")


@dataclass(frozen=True, slots=True)
class Points:
    """Rows as places: equal in the key, and near each other in every number.

    Attributes:
        key: what must be equal, shape (n,).
        numbers: shape (n, k), finite, in units in which ``tolerance`` means the same for each column.
    """

    key: Keys
    numbers: FloatArray

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if self.numbers.ndim != 2 or len(self.numbers) != len(self.key):  # noqa: PLR2004 - rows and columns
            raise MeasurementError(f"numbers of shape {self.numbers.shape}", f"{len(self.key)} rows")
        if not np.isfinite(self.numbers).all():
            raise MeasurementError("a distance of rows with NaN or infinite numbers", "finite numbers")


def near(  # noqa: PLR0913 - two tables, what is near, and how it is sampled
    known: Points,
    asked: Points,
    *,
    tolerance: float,
    sample: int,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Share of ``asked`` that has a row of ``known`` within ``tolerance`` in every number and of the same key.

    Exact for the rows that are looked at: those of ``known`` are sorted by key and by the number with the most values,
    and each row is compared with all that lie in its window. Where there are more than ``sample`` rows, a seeded
    sample without repetition is looked at and the interval is Wilson's (1927), which is conservative for such a sample.

    Args:
        known: rows that were seen.
        asked: rows in question.
        tolerance: largest distance that is near, 0 or more.
        sample: rows of ``asked`` to look at.
        seed: of the sample.
        confidence: two-sided level of the interval.

    Returns:
        Value in [0, 1]; n is the rows looked at; details: ``repeated``, the share of as many rows of ``known`` that
        are near another row of ``known``, which is what chance alone makes of such columns.

    Raises:
        InconclusiveError: a side has no row.
        MeasurementError: a tolerance below 0, or a sample of none.
    """
    _demand_rows(len(known.key), len(asked.key))
    if not tolerance >= 0 or sample < 1:
        raise MeasurementError(f"tolerance {tolerance!r}, sample {sample!r}", "0 or more, and at least 1 row")
    draw = np.random.default_rng(seed)
    looked, twins = _some(len(asked.key), sample, draw), _some(len(known.key), sample, draw)
    index = _Sorted(known, tolerance)
    count = int((index.neighbours(asked, looked) > 0).sum())
    repeated = float((index.neighbours(known, twins) > 1).mean())
    n, z = len(looked), critical(confidence)
    low, high = (float(limit) for limit in wilson(count, n, z))
    if n == len(asked.key):
        low = high = count / n
    details = {"count": float(count), "rows": float(len(asked.key)), "repeated": repeated, "tolerance": tolerance}
    method = "exact" if n == len(asked.key) else "wilson"
    return Estimate(count / n, n, low, high, method, confidence, details=details)


def _some(rows: int, sample: int, draw: np.random.Generator) -> Rows:
    return np.arange(rows) if rows <= sample else np.sort(draw.choice(rows, sample, replace=False))


class _Sorted:
    """Rows sorted by key and by one number, so that those that may be near lie side by side."""

    def __init__(self, points: Points, tolerance: float) -> None:
        self.tolerance = tolerance
        self.lead = _most_varied(points.numbers)
        ahead = points.numbers[:, self.lead] if self.lead is not None else np.zeros(len(points.key))
        order = np.lexsort((ahead, points.key))
        self.key, self.ahead, self.numbers = points.key[order], ahead[order], points.numbers[order]

    def neighbours(self, points: Points, rows: Rows) -> npt.NDArray[np.int64]:
        """Count the rows near each of ``rows``; a row that is itself among them counts as well."""
        key, numbers = points.key[rows], points.numbers[rows]
        first, last = self._window(key, numbers)
        found = np.zeros(len(rows), dtype=np.int64)
        start = 0
        while start < len(rows):
            # As many rows at once as memory allows; the window of one row alone may be larger than that.
            reach = np.searchsorted(np.cumsum(last[start:] - first[start:]), _BLOCK)
            stop = min(len(rows), start + max(1, int(reach)))
            found[start:stop] = self._count(numbers[start:stop], first[start:stop], last[start:stop])
            start = stop
        return found

    def _window(self, key: Keys, numbers: FloatArray) -> tuple[Rows, Rows]:
        first = np.searchsorted(self.key, key, "left")
        last = np.searchsorted(self.key, key, "right")
        if self.lead is None:
            return first, last
        for row, value in enumerate(numbers[:, self.lead]):
            inside = self.ahead[first[row] : last[row]]
            # A little wider than the tolerance: the exact comparison follows.
            edge = self.tolerance + abs(value) * 1e-12
            low, high = np.searchsorted(inside, [value - edge, np.nextafter(value + edge, np.inf)])
            first[row], last[row] = first[row] + low, first[row] + high
        return first, last

    def _count(self, numbers: FloatArray, first: Rows, last: Rows) -> npt.NDArray[np.int64]:
        widths = last - first
        owner = np.repeat(np.arange(len(widths)), widths)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(widths) - widths, widths) + np.repeat(first, widths)
        for column in range(numbers.shape[1]):
            close = np.abs(self.numbers[place, column] - numbers[owner, column]) <= self.tolerance
            owner, place = owner[close], place[close]
        return np.bincount(owner, minlength=len(widths)).astype(np.int64)


def _most_varied(numbers: FloatArray) -> int | None:
    if numbers.shape[1] == 0:
        return None
    # Which column leads is a matter of speed alone, so that the first rows tell it well enough.
    first = numbers[:_FIRST_ROWS]
    return int(np.argmax([len(np.unique(first[:, column])) for column in range(numbers.shape[1])]))
