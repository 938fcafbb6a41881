"""Two tables' columns in one form, so that equal values are equal whatever the types they were read as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, require_columns, row_count, series
from pytest_leanml.sources.faults import told_as
from pytest_leanml.stats.overlap import Points, combine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study

_NUMBERS = "iufb"
_LEAST_ROWS = 30  # below, values are all distinct by chance
_FIRST_ROWS = 1_000
_SHOWN = 8
_WIDEST = 8  # bytes: unsigned numbers of 64 bits do not fit into signed ones


@dataclass(frozen=True, slots=True)
class Twin:
    """One column of both tables, in one type.

    Attributes:
        name: its name.
        old: values of the training data, shape (n,).
        new: values of the evaluation data, shape (m,).
        numeric: numbers; else codes of categories or of moments.
        unique: no value repeats on either side, and the values are whole numbers, times or text: it tells rows apart.
    """

    name: str
    old: NDArray[Any]
    new: NDArray[Any]
    numeric: bool
    unique: bool


def twin(old: Any, new: Any, name: str) -> Twin:
    """Return a column of both tables in one type.

    Floats of two precisions meet in the coarser one, 0.0 equals -0.0, a missing value equals a missing one, booleans
    are numbers beside numbers, times are compared as moments in UTC.

    Raises:
        SourceError: numbers on one side, text or times on the other.
    """
    texts = [series(frame, name) for frame in (old, new)]
    if all(isinstance(each.dtype, pd.StringDtype) for each in texts):
        # Numbered where they are: as Python's own texts they take several times as long.
        return _coded(name, pd.concat(texts, ignore_index=True), len(texts[0]))
    left, right = column(old, name), column(new, name)
    kinds = [_kind(each) for each in (left, right)]
    known = {kind for kind in kinds if kind != "empty"}
    if len(known) > 1:
        raise SourceError(
            f"`{name}` holds {kinds[0]} in the train and {kinds[1]} in the evaluation data",
            "one type on both sides: values of two types never meet",
            "read both in the same way",
        )
    kind = known.pop() if known else "empty"
    if kind == "numbers":
        return _numbers(name, left, right)
    if kind == "times":
        left, right = (_moments(each) for each in (left, right))
    dtype = None if left.dtype == right.dtype else object
    return _coded(name, np.concatenate([np.asarray(each, dtype=dtype) for each in (left, right)]), len(left))


def _kind(values: NDArray[Any]) -> str:
    if values.dtype.kind in "Mm":
        return "times"
    if values.dtype.kind == "f" and np.isnan(values).all():
        return "empty"
    if values.dtype.kind in _NUMBERS:
        return "numbers"
    return "empty" if pd.isna(values).all() else "text"


def _moments(values: NDArray[Any]) -> NDArray[Any]:
    """Return times in nanoseconds; a side without any value may have come as numbers or text."""
    return values.astype("M8[ns]") if values.dtype.kind == "M" else np.asarray(values, dtype=object)


def _numbers(name: str, left: NDArray[Any], right: NDArray[Any]) -> Twin:
    whole = all(
        each.dtype.kind in "ib" or (each.dtype.kind == "u" and each.dtype.itemsize < _WIDEST) for each in (left, right)
    )
    if whole:
        old, new = left.astype(np.int64), right.astype(np.int64)
        return Twin(name, old, new, numeric=True, unique=_distinct(old) and _distinct(new))
    coarse = min(
        (each.dtype for each in (left, right) if each.dtype.kind == "f"),
        key=lambda each: each.itemsize,
        default=np.dtype(float),
    )
    known, asked = (_coarsened(each, coarse) for each in (left, right))
    counters = all(_whole(each) and _distinct(each) for each in (known, asked))
    return Twin(name, known, asked, numeric=True, unique=counters)


def _coarsened(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Return numbers as they are in ``dtype``; a side without any value may have come as None."""
    with np.errstate(over="ignore"):
        plain = values if values.dtype == object else values.astype(dtype)
    return plain.astype(np.float64) + 0.0  # -0.0 becomes 0.0


def _whole(values: NDArray[Any]) -> bool:
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def _distinct(values: NDArray[Any]) -> bool:
    # Most columns repeat themselves early, which spares sorting all of it.
    first = values[:_FIRST_ROWS]
    return len(values) >= _LEAST_ROWS and all(len(np.unique(each)) == len(each) for each in (first, values))


def _coded(name: str, values: Any, first: int) -> Twin:
    """Number the values of both sides alike; -1 for a missing one. ``first`` of them are those of the train data."""
    with told_as(f"the values of `{name}` cannot be told apart", "plain values", "drop the column, or name others"):
        codes = pd.factorize(values)[0]
    old, new = codes[:first], codes[first:]
    return Twin(name, old, new, numeric=False, unique=_distinct(old) and _distinct(new))


def keys(twins: Sequence[Twin]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return one key for each row of the train and of the evaluation data."""
    return combine([_bits(each.old) for each in twins]), combine([_bits(each.new) for each in twins])


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    if values.dtype.kind == "f":
        return np.where(np.isnan(values), np.nan, values).view(np.uint64)  # NaN has many patterns
    return values.astype(np.int64).view(np.uint64)


def points(twins: Sequence[Twin], tolerance: float) -> tuple[Points, Points]:
    """Return both tables as places: numbers in standard deviations of the train data, all else as key.

    Numbers whose values lie further apart than the tolerance are equal or not near, and so belong to the key; so does
    whether a number is missing, and so do columns without a finite spread.
    """
    equal: list[Twin] = []
    numbers: list[Twin] = []
    for each in twins:
        scale = _scale(each)
        if scale is None or _coarser(each, tolerance * scale):
            equal.append(each)
            continue
        equal.append(replace(each, old=_outside(each.old), new=_outside(each.new), numeric=False))
        numbers.append(replace(each, old=_scaled(each.old, scale), new=_scaled(each.new, scale)))
    old, new = keys(equal)
    return (
        Points(old, _stacked([each.old for each in numbers], len(old))),
        Points(new, _stacked([each.new for each in numbers], len(new))),
    )


def _scaled(values: NDArray[Any], scale: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, 0.0) / scale


def _outside(values: NDArray[Any]) -> NDArray[Any]:
    """Return what a value is that is no finite number: missing, infinite, minus infinite; 0 for a number."""
    return np.select([np.isnan(values), np.isposinf(values), np.isneginf(values)], [1, 2, 3], 0)


def _stacked(columns: Sequence[NDArray[Any]], rows: int) -> NDArray[np.float64]:
    return np.column_stack(columns).astype(np.float64) if columns else np.empty((rows, 0))


def _scale(each: Twin) -> float | None:
    if not each.numeric:
        return None
    values = np.asarray(each.old, dtype=np.float64)
    spread = float(np.std(values[np.isfinite(values)])) if np.isfinite(values).any() else 0.0
    return spread if np.isfinite(spread) and spread > 0 else None


def _coarser(each: Twin, distance: float) -> bool:
    # Two values that near each other are enough, and most columns have them among the first.
    return all(
        _gap(np.concatenate([side[:rows] for side in (each.old, each.new)])) > distance for rows in (_FIRST_ROWS, None)
    )


def _gap(values: NDArray[Any]) -> float:
    """Return the smallest distance of two different values, infinite where there are no two."""
    found = np.unique(values[np.isfinite(values)]).astype(np.float64)
    return float(np.diff(found).min()) if len(found) > 1 else np.inf


@dataclass(frozen=True, slots=True)
class Compared:
    """The columns by which rows of both tables are compared.

    Attributes:
        twins: the columns.
        left_out: those that tell every row apart, by which no row could be found again.
    """

    twins: tuple[Twin, ...]
    left_out: tuple[str, ...]


def compared(study: Study, columns: Sequence[str] = ()) -> Compared:
    """Return the columns asked for, else all that both tables have, but for target, time, ids and row counters.

    Raises:
        InconclusiveError: none is left, or a table has no rows.
        SourceError: a column is absent, or of another type on the other side.
    """
    old, new = study.rows_of("train"), study.rows_of("evaluation")
    if columns:
        require_columns(old, columns, what="the train data")
        require_columns(new, columns, what="the evaluation data")
        return Compared(tuple(twin(old, new, name) for name in columns), ())
    settings = study.settings
    apart = {settings.target, settings.weights, settings.time, *settings.ids}
    found = [twin(old, new, name) for name in column_names(old) if name in column_names(new) and name not in apart]
    kept = tuple(each for each in found if not each.unique)
    if not kept:
        raise InconclusiveError(
            f"no column to find rows by: both tables have {row_count(old)} and {row_count(new)} rows, and besides target, "
            f"time and ids {', '.join(f'`{each.name}`' for each in found[:_SHOWN]) or 'no column in common'}",
            "at least one feature on both sides that does not tell every row apart",
            "name the features under `params: {columns: [...]}`",
        )
    return Compared(kept, tuple(each.name for each in found if each.unique))


def moments(frame: Any, name: str, what: str) -> NDArray[np.datetime64]:
    """Return a column's times in UTC, shape (n,), NaT where missing; times without a zone count as UTC.

    Raises:
        SourceError: no such column, or one that holds no times.
        InconclusiveError: nothing but missing values.
    """
    require_columns(frame, [name], what=what)
    values = column(frame, name)
    if values.dtype.kind in "iufb":
        raise SourceError(f"`{name}` of {what} holds {values.dtype}, not times", "timestamps, or text in ISO 8601")
    with told_as(f"`{name}` of {what} holds what is no time", "timestamps, or text in ISO 8601"):
        form = None if values.dtype.kind == "M" else "ISO8601"
        found = pd.Series(pd.to_datetime(pd.Series(values), utc=True, format=form)).dt.tz_convert(None)
    times: NDArray[np.datetime64] = found.to_numpy().astype("M8[ns]")
    if np.isnat(times).all():
        raise InconclusiveError(f"`{name}` of {what} has no time in any row", "a time in each row", "fill the column")
    return times
