"""Columns of a pandas, polars or pyarrow table, so that nothing else asks which of them it is.

A lazy table (``sources.lazy``) has names and a number of rows here; whatever else needs its rows in memory is refused.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.lazy import is_lazy, lazy_names, lazy_rows, refuse_lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# The version of pandas from which on a frame's values are copied when one of two frames changes them.
_COPY_ON_WRITE = 3


def is_polars(frame: object) -> bool:
    """Tell a polars DataFrame without importing polars."""
    kind = type(frame)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "polars"


def is_arrow(frame: object) -> bool:
    """Tell a pyarrow Table."""
    return isinstance(frame, pa.Table)


def is_frame(frame: object) -> bool:
    """Tell whether ``frame`` holds its rows in memory: a pandas or polars DataFrame, or a pyarrow Table."""
    return isinstance(frame, pd.DataFrame | pa.Table) or is_polars(frame)


def apart(frame: Any) -> Any:
    """Return a frame of the same rows that no change of the given one in place reaches.

    Only pandas and polars frames can be changed in place. Under copy-on-write (pandas 3) no value is copied.
    """
    if is_polars(frame):
        return frame.clone()
    if isinstance(frame, pd.DataFrame):
        return frame.copy(deep=int(pd.__version__.partition(".")[0]) < _COPY_ON_WRITE)
    return frame


def column_names(frame: Any) -> tuple[str, ...]:
    """Return the names in order, as text."""
    if isinstance(frame, pd.DataFrame):
        # As a list first: pandas hands out text one by one more slowly than all at once.
        return tuple(map(str, frame.columns.tolist()))
    if is_lazy(frame):
        return lazy_names(frame)
    return tuple(str(name) for name in (frame.column_names if is_arrow(frame) else frame.columns))


def row_count(frame: Any) -> int:
    """Return the number of rows; a lazy table counts them where they are."""
    return lazy_rows(frame) if is_lazy(frame) else int(frame.shape[0])


def nearest(name: str, names: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for the nearest of ``names``, or nothing."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean `{close[0]}`?)" if close else ""


def require_columns(frame: Any, wanted: Sequence[str], *, what: str) -> None:
    """Refuse a frame that lacks one of ``wanted``.

    Raises:
        SourceError: naming each absent column and, for the first, its nearest neighbour.
    """
    if isinstance(frame, pd.DataFrame) and None not in [_place(frame, name) for name in wanted]:
        return
    names = column_names(frame)
    absent = [name for name in wanted if name not in names]
    if absent:
        shown = ", ".join(f"`{name}`" for name in absent[:10]) + (
            f" and {len(absent) - 10} more" if absent[10:] else ""
        )
        columns = ", ".join(names[:20]) + (", ..." if names[20:] else "")
        raise SourceError(
            f"{what} has no column {shown}{nearest(absent[0], names)}",
            f"the columns there are: {columns}",
            "correct the name, or add the column to the data",
        )


def series(frame: Any, name: str) -> pd.Series[Any]:
    """Return one column as a pandas Series on a plain 0..n-1 index; categoricals become their values.

    Raises:
        SourceError: no such column, or a lazy table.
    """
    return _series(native(frame, name))


def _series(raw: Any) -> pd.Series[Any]:
    found: pd.Series[Any] = raw.reset_index(drop=True) if isinstance(raw, pd.Series) else _pandas(raw)
    if isinstance(found.dtype, pd.CategoricalDtype):
        return found.astype(object if found.isna().any() else found.cat.categories.dtype)
    return found


def native(frame: Any, name: str) -> Any:
    """Return one column as its library has it: a pandas or polars Series, or a pyarrow ChunkedArray.

    Raises:
        SourceError: no such column, or a lazy table.
    """
    if isinstance(frame, pd.DataFrame) and (place := _place(frame, name)) is not None:
        # By name is quicker, where a name is one column and text.
        return frame[name] if _named_plainly(frame) else frame.iloc[:, place]
    refuse_lazy(frame, f"the values of `{name}`")
    require_columns(frame, [name], what="the frame")
    return frame.column(name) if is_arrow(frame) else frame[name]


def arrow_of(raw: pd.Series[Any]) -> pa.ChunkedArray | None:
    """Return a pandas column as Arrow has it where that is how it is stored, or where Arrow is faster than Python.

    Returns:
        Text and Arrow's own types; None for whatever else.
    """
    if not isinstance(raw.dtype, pd.StringDtype | pd.ArrowDtype):
        return None
    found = pa.array(raw.array, from_pandas=True)
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _pandas(raw: Any) -> pd.Series[Any]:
    found: pd.Series[Any] = raw.to_pandas()
    return found


def _named_plainly(frame: pd.DataFrame) -> bool:
    """Tell whether all names are text and none comes twice."""
    return bool(frame.columns.is_unique and frame.columns.inferred_type == "string")


def _place(frame: pd.DataFrame, name: str) -> int | None:
    """Return where a column is, None where it is not: pandas looks it up, where all names are text and none comes twice."""
    if _named_plainly(frame):
        return cast("int", frame.columns.get_loc(name)) if name in frame.columns else None
    names = column_names(frame)
    return names.index(name) if name in names else None


def column(frame: Any, name: str) -> np.ndarray[Any, Any]:
    """Return one column as a NumPy array of shape (n,).

    Numbers and booleans keep their dtype (nullable integers with a missing value become float with NaN); text is an
    object array in which a missing value is None. Numbers are not copied where their library keeps them so.

    Raises:
        SourceError: no such column, or a lazy table.
    """
    return array_of(native(frame, name))


def array_of(raw: Any) -> np.ndarray[Any, Any]:
    """Return what ``column`` does, of a column as ``native`` returns it."""
    plain = _plain_numbers(raw)
    return np.asarray(_values(_series(raw))) if plain is None else plain


def _plain_numbers(raw: Any) -> np.ndarray[Any, Any] | None:
    """Return a column of numbers without a copy where that can be, None for a column of anything else."""
    if isinstance(raw, pd.Series):
        # NumPy's own numbers are as they should be, NaN and all; pandas' nullable ones are not.
        return raw.to_numpy() if isinstance(raw.dtype, np.dtype) and raw.dtype.kind in "biuf" else None
    number = _arrow_number(raw.type) if isinstance(raw, pa.ChunkedArray) else raw.dtype.is_integer() or _is_float(raw)
    return np.asarray(raw.to_numpy()) if number else None


def _arrow_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_float(raw: Any) -> bool:
    return bool(raw.dtype.is_float())


def _values(found: pd.Series[Any]) -> Any:
    missing = found.isna().to_numpy()
    boolean = pd.api.types.is_bool_dtype(found.dtype)
    if boolean and not missing.any():
        return found.to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(found.dtype) and not boolean:
        return found.to_numpy(dtype=float, na_value=np.nan) if missing.any() else found.to_numpy()
    if found.dtype.kind == "M":
        return found.dt.tz_convert(None).to_numpy() if getattr(found.dtype, "tz", None) else found.to_numpy()
    values = found.to_numpy(dtype=object, copy=True)
    values[missing] = None
    return values


def is_numeric(frame: Any, name: str) -> bool:
    """Tell whether a column holds numbers; booleans, text, categories and times are no numbers."""
    require_columns(frame, [name], what="the frame")
    refuse_lazy(frame, f"the type of `{name}`")
    return holds_numbers(native(frame, name))


def holds_numbers(raw: Any) -> bool:
    """Tell what ``is_numeric`` does, of a column as ``native`` returns it."""
    if isinstance(raw, pa.ChunkedArray):
        return _arrow_number(raw.type) or bool(pa.types.is_decimal(raw.type))
    if isinstance(raw, pd.Series):
        return bool(pd.api.types.is_numeric_dtype(raw.dtype) and not pd.api.types.is_bool_dtype(raw.dtype))
    return bool(raw.dtype.is_numeric())


def select(frame: Any, names: Sequence[str]) -> Any:
    """Return the frame with ``names`` in this order, of the same library.

    Raises:
        SourceError: a column is absent, or a lazy table.
    """
    refuse_lazy(frame, "a choice of columns")
    require_columns(frame, names, what="the frame")
    if is_polars(frame) or is_arrow(frame):
        return frame.select(list(names))
    have = column_names(frame)
    return frame.iloc[:, [have.index(name) for name in names]]


def to_pandas(frame: Any) -> pd.DataFrame:
    """Return the frame as pandas; a pandas frame as it is.

    Raises:
        SourceError: a lazy table.
    """
    refuse_lazy(frame, "all of its rows")
    found: pd.DataFrame = frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()
    return found


def take_rows(frame: Any, rows: np.ndarray[Any, Any]) -> Any:
    """Return the rows at these places, an array of shape (m,), in that order and as often as they are named.

    Raises:
        SourceError: a lazy table.
    """
    refuse_lazy(frame, "a choice of rows")
    if is_arrow(frame):
        return frame.take(rows)
    return frame[rows] if is_polars(frame) else frame.iloc[rows].reset_index(drop=True)


def keep_rows(frame: Any, mask: np.ndarray[Any, Any]) -> Any:
    """Return the rows where ``mask``, a boolean array of shape (n,), is true.

    Raises:
        SourceError: a lazy table.
    """
    refuse_lazy(frame, "a choice of rows")
    return frame.loc[mask] if isinstance(frame, pd.DataFrame) else frame.filter(mask)
