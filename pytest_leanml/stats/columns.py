"""Columns as drift compares them: sorted numbers, rows in each bin or rows in each category, and what is missing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.samples import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_leanml.stats.samples import FloatArray

Present = TypeVar("Present")


@dataclass(frozen=True, slots=True)
class Side(Generic[Present]):
    """One side of a comparison: what is there, in how many rows, and how many rows have nothing.

    Attributes:
        present: the values that are there: sorted numbers, or a count of each category.
        filled: rows with a value.
        missing: rows without one.
    """

    present: Present
    filled: int
    missing: int

    @property
    def share(self) -> float:
        """Missing rows as a share of all."""
        return self.missing / (self.filled + self.missing)


Labels = npt.ArrayLike | Side[Counter[Any]]


def binned(reference: npt.ArrayLike, current: npt.ArrayLike, bins: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return both sides' rows in each bin of the reference (``drift.psi`` has the rule), the missing ones last.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: infinity or values that are no numbers; fewer than two bins.
    """
    return bin_counts(numbers(reference, "reference"), numbers(current, "current"), bins)


def bin_counts(old: Side[FloatArray], new: Side[FloatArray], bins: int = 10) -> tuple[FloatArray, FloatArray]:
    """Return what ``binned`` does, of sides that are sorted already."""
    edges = quantile_edges(old.present, bins)
    return fill(old, edges), fill(new, edges)


def quantile_edges(ordered: FloatArray, bins: int) -> FloatArray:
    """Return the inner edges of the bins of sorted numbers; see ``edges_of``."""
    if bins < 2:  # noqa: PLR2004 - one bin compares nothing
        raise MeasurementError(f"{bins} bins", "at least 2")
    return edges_of(np.quantile(ordered, np.arange(bins + 1) / bins))


def edges_of(quantiles: FloatArray) -> FloatArray:
    """Return the inner edges of bins between quantiles; an atom has one just below itself and one on itself.

    Args:
        quantiles: shape (bins + 1,), from the least value to the most.
    """
    found, times = np.unique(quantiles, return_counts=True)
    atoms = found[times > 1]
    return np.unique(np.concatenate([quantiles[1:-1], atoms, np.nextafter(atoms, -np.inf)]))


def fill(side: Side[FloatArray], edges: FloatArray) -> FloatArray:
    """Return the rows in each bin, closed on the right, the outer two open to infinity; the missing ones last."""
    return between(np.searchsorted(side.present, edges, side="right"), side)


def between(below: npt.ArrayLike, side: Side[Any]) -> FloatArray:
    """Return the rows in each bin, of the rows up to each edge; the missing ones last."""
    return np.diff(np.concatenate([[0.0], np.asarray(below), [side.filled, side.filled + side.missing]]))


def categories(reference: Labels, current: Labels) -> tuple[FloatArray, FloatArray]:
    """Return both sides' rows in each category, the missing ones last.

    Args:
        reference: shape (n,), labels of any kind; or the rows of each, as ``counted_labels`` makes them.
        current: the same.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: values that cannot be told apart, such as lists.
    """
    found = tally(reference, current)
    return found.reference, found.current


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Both sides' rows in each category.

    Attributes:
        names: the categories, k of them.
        reference: shape (k + 1,), rows in each, the missing ones last.
        current: shape (k + 1,).
    """

    names: Sequence[Any]
    reference: FloatArray
    current: FloatArray


def tally(reference: Labels, current: Labels) -> Tally:
    """Count both sides' categories; ``categories`` with their names.

    Raises:
        InconclusiveError: a side has no row, or nothing but missing values.
        MeasurementError: values that cannot be told apart, such as lists.
    """
    old, new = _labels(reference, "reference"), _labels(current, "current")
    names = dict.fromkeys([*old.present, *new.present])
    return Tally(tuple(names), _line_up(old, names), _line_up(new, names))


def _line_up(side: Side[Counter[Any]], names: dict[Any, None]) -> FloatArray:
    return np.array([*(side.present[name] for name in names), side.missing], dtype=np.float64)


def counted_labels(pairs: Iterable[tuple[Any, int]]) -> Side[Counter[Any]]:
    """Gather rows of each label, counted elsewhere, perhaps in parts: what is equal is added up.

    Args:
        pairs: a label and a number of rows; a label may come several times, one that is missing (None, NaN, NaT, NA)
            as well.

    Raises:
        TypeError: a label that cannot be told apart from others, such as a list.
    """
    found: Counter[Any] = Counter()
    missing = 0
    for label, rows in pairs:
        if _is_missing(label):
            missing += rows
        elif rows:
            found[label] += rows
    return Side(found, found.total(), missing)


def numbers(values: npt.ArrayLike, name: str) -> Side[FloatArray]:
    """Return the numbers that are there, sorted; times become microseconds.

    Raises:
        InconclusiveError: there is no row, or nothing but missing values.
        MeasurementError: infinity or values that are no numbers.
    """
    return in_order(unsorted(values, name).side)


def in_order(side: Side[FloatArray]) -> Side[FloatArray]:
    """Return the same side, sorted."""
    return Side(np.sort(side.present), side.filled, side.missing)


@dataclass(frozen=True, slots=True, eq=False)
class Unsorted:
    """The numbers of one side, as they came.

    Attributes:
        side: those that are there; all of them are finite.
        least: the least of them.
        most: the most.
    """

    side: Side[FloatArray]
    least: float
    most: float


def unsorted(values: npt.ArrayLike, name: str) -> Unsorted:
    """Return the numbers that are there, as they came; times become microseconds.

    Raises:
        InconclusiveError: there is no row, or nothing but missing values.
        MeasurementError: infinity or values that are no numbers.
    """
    array = _column(values, name)
    try:
        floats = _floats(array)
    except (OverflowError, TypeError, ValueError) as error:
        raise MeasurementError(
            f"{name}: values of the type {array.dtype} that are no numbers", "numbers", "compare it as categories"
        ) from error
    present, least, most = _there(floats)
    if math.isinf(least) or math.isinf(most):
        raise MeasurementError(
            f"{name}: {int(np.isinf(floats).sum())} infinite values", "finite numbers or missing ones"
        )
    return Unsorted(_filled(Side(present, len(present), len(floats) - len(present)), name), least, most)


def _there(floats: FloatArray) -> tuple[FloatArray, float, float]:
    """Return the values but NaN, the least and the most of them; NaN without any."""
    # One NaN makes the least value NaN: a column without any is neither searched for it nor copied.
    parts = (floats[start : start + PIECE] for start in range(0, len(floats), PIECE))
    ends = [(part.min(), part.max()) for part in parts]
    least = float(np.min(ends)) if ends else math.nan
    if not math.isnan(least):
        return floats, least, float(np.max(ends))
    present = floats[~np.isnan(floats)]
    return (present, float(present.min()), float(present.max())) if len(present) else (present, math.nan, math.nan)


def _floats(array: npt.NDArray[Any]) -> FloatArray:
    if array.dtype.kind == "O":
        return np.array([math.nan if _is_missing(each) else _number(each) for each in array.tolist()])
    if array.dtype.kind in "mM":
        return np.where(np.isnat(array), np.nan, array.astype(np.int64).astype(np.float64))
    if array.dtype.kind not in "biuf":
        raise TypeError(array.dtype)
    return np.asarray(array, dtype=np.float64)


def _number(value: Any) -> float:
    """Return a float; text that looks like a number is text."""
    if isinstance(value, str | bytes):
        raise TypeError(value)
    return float(value)


def _labels(values: Labels, name: str) -> Side[Counter[Any]]:
    if isinstance(values, Side):
        return _filled(values, name)
    array = _column(values, name)
    try:
        found = _count(array)
    except TypeError as error:
        raise MeasurementError(f"{name} holds values that are no categories", "numbers, booleans or text") from error
    return _filled(counted_labels(found.items()), name)


def _count(array: npt.NDArray[Any]) -> Counter[Any]:
    if array.dtype.kind in "biuf":
        # NaN equals nothing, so a Counter of a million of them would hold a million keys; unique() takes them as one.
        found, times = np.unique(array, return_counts=True)
        return Counter(dict(zip(found.tolist(), times.tolist(), strict=True)))
    return Counter(array.tolist())


def _is_missing(value: Any) -> bool:
    """Tell None, NaN, NaT and pandas' NA, whose comparison with itself is neither true nor false."""
    if value is None:
        return True
    different = value != value  # noqa: PLR0124 - what is missing differs from itself
    return bool(different) if isinstance(different, bool | np.bool_) else True


def _column(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise MeasurementError(f"{name} has the shape {array.shape}", "one column")
    if array.dtype.kind in "mM":
        # One unit for both sides: the same day in nanoseconds and in seconds is the same day.
        return array.astype(f"{array.dtype.kind}8[us]")
    return array


def _filled(side: Side[Present], name: str) -> Side[Present]:
    if not side.filled:
        raise InconclusiveError(
            f"{name}: nothing to compare in {side.missing} rows",
            "at least one value that is not missing",
            "look at the filter or the source of the column",
        )
    return side
