"""Which value each row of a column has, as codes: told by the library that holds it, no Python object for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_leanml.errors import MeasurementError
from pytest_leanml.sources.columns import arrow_of, native

if TYPE_CHECKING:
    Codes = np.ndarray[Any, np.dtype[np.integer[Any]]]


def levels(frame: Any, name: str) -> tuple[Codes, list[Any]]:
    """Return the code of each row, and the value that each code from 0 on stands for.

    Values are told apart as Python does: 1 and 1.0 are one, 1 and "1" are two. None, NaT and NA have the code -1; NaN
    may have a code of its own. A categorical may have levels without rows.

    Args:
        frame: a pandas or polars DataFrame, or a pyarrow Table.
        name: the column.

    Raises:
        MeasurementError: values that cannot be told apart, such as lists.
        SourceError: no such column, or a lazy table.
    """
    raw = native(frame, name)
    try:
        if isinstance(raw, pd.Series):
            return _of_pandas(raw)
        return _of_arrow(raw if isinstance(raw, pa.ChunkedArray) else _arrow_of_polars(raw))
    except (TypeError, pa.ArrowNotImplementedError) as fault:
        raise MeasurementError(f"`{name}` holds values that are no groups", "numbers, booleans or text") from fault


def _arrow_of_polars(raw: Any) -> pa.ChunkedArray:
    if str(raw.dtype) == "Object":
        # Arrow would be handed the objects' addresses.
        raise TypeError("objects")
    return pa.chunked_array([raw.to_arrow()])


def _of_pandas(raw: pd.Series[Any]) -> tuple[Codes, list[Any]]:
    if isinstance(raw.dtype, pd.CategoricalDtype):
        return raw.cat.codes.to_numpy(), raw.cat.categories.tolist()
    stored = arrow_of(raw)
    if stored is not None:
        return _of_arrow(stored)
    codes, found = pd.factorize(raw, use_na_sentinel=True)
    return codes, found.tolist()


def _of_arrow(raw: pa.ChunkedArray) -> tuple[Codes, list[Any]]:
    coded = raw.unify_dictionaries() if pa.types.is_dictionary(raw.type) else raw.dictionary_encode()
    if not coded.num_chunks:
        return np.zeros(0, dtype=np.int64), []
    whole = coded.combine_chunks()
    chunk = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    # polars has unsigned codes; a missing one is filled, so that NumPy need not turn them into floats.
    codes = chunk.indices.cast(pa.int64()).fill_null(-1)
    return codes.to_numpy(zero_copy_only=False), chunk.dictionary.to_pylist()
