"""Counts of a column in memory, taken by the library that holds it: no Python object for each row.

Labels are told apart as Python does: 1 and 1.0 are one, 1 and "1" are two. What is missing (None, NaN, NaT, NA) is
counted apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pytest_leanml.errors import MeasurementError
from pytest_leanml.sources.columns import arrow_of, holds_numbers
from pytest_leanml.stats.columns import Side, counted_labels

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    Pairs = Iterable[tuple[Any, int]]


def label_counts(raw: Any, name: str) -> Side[Counter[Any]]:
    """Count the rows of each label in a column; ``stats.columns.categories`` takes what it returns.

    Args:
        raw: the column as ``columns.native`` returns it.
        name: its name, for messages.

    Raises:
        MeasurementError: values that cannot be told apart, such as lists.
    """
    try:
        if isinstance(raw, pa.ChunkedArray):
            return counted_labels(_of_arrow(raw))
        return counted_labels(_of_pandas(raw) if isinstance(raw, pd.Series) else _of_polars(raw))
    except (TypeError, pa.ArrowNotImplementedError) as fault:
        raise MeasurementError(f"`{name}` holds values that are no categories", "numbers, booleans or text") from fault


def is_ordered(raw: Any) -> bool:
    """Tell whether a column, as ``columns.native`` returns it, holds numbers or times rather than categories."""
    if holds_numbers(raw):
        return True
    if isinstance(raw, pa.ChunkedArray):
        return bool(pa.types.is_timestamp(raw.type) or pa.types.is_duration(raw.type))
    if isinstance(raw, pd.Series):
        kind = raw.dtype.categories.dtype if isinstance(raw.dtype, pd.CategoricalDtype) else raw.dtype
        return getattr(kind, "kind", "O") in "mM"
    return bool(raw.dtype.is_temporal() and str(raw.dtype) != "Time")


def _of_pandas(raw: pd.Series[Any]) -> Pairs:
    if isinstance(raw.dtype, pd.CategoricalDtype):
        return _of_codes(raw.cat.codes.to_numpy(), raw.cat.categories.tolist())
    stored = arrow_of(raw)
    if stored is not None:
        return _of_arrow(stored)
    codes, labels = pd.factorize(raw, use_na_sentinel=True)
    return _of_codes(codes, labels.tolist())


def _of_codes(codes: np.ndarray[Any, Any], labels: list[Any]) -> Pairs:
    """Count codes from 0, and -1 for missing, which is the last of the numbers without a sign."""
    if codes.dtype == np.int8:
        rows = _of_bytes(codes.view(np.uint8))
    elif codes.dtype == np.int16:
        rows = np.bincount(codes.view(np.uint16), minlength=1 << 16)
    else:
        rows = np.roll(np.bincount(codes.astype(np.int64, copy=False) + 1, minlength=len(labels) + 1), -1)
    return zip([*labels, None], [*rows[: len(labels)].tolist(), int(rows[-1])], strict=True)


def _of_bytes(octets: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Count bytes, two rows at once: each pair is one of 2^16, so that there are half as many to count."""
    even = len(octets) & ~1
    pairs = np.bincount(np.ascontiguousarray(octets[:even]).view(np.uint16), minlength=1 << 16).reshape(256, 256)
    return np.asarray(pairs.sum(axis=0) + pairs.sum(axis=1) + np.bincount(octets[even:], minlength=256))


def _of_polars(raw: Any) -> Pairs:
    # Labels in the order in which they appear: that of `value_counts` differs from run to run, and with it the last digit.
    found = raw.alias("label").to_frame().group_by("label", maintain_order=True).len(name="rows")
    return zip(found["label"].to_list(), found["rows"].to_list(), strict=True)


def _of_arrow(raw: pa.ChunkedArray) -> Pairs:
    if pa.types.is_dictionary(raw.type):
        whole = raw.unify_dictionaries()
        if not whole.num_chunks:
            return []
        indices = pa.chunked_array([chunk.indices for chunk in whole.chunks])
        labels = [*whole.chunk(0).dictionary.to_pylist(), None]
        found = pc.value_counts(indices)
        places = found.field("values").to_pylist()
        return [
            (labels[-1 if at is None else at], n)
            for at, n in zip(places, found.field("counts").to_pylist(), strict=True)
        ]
    found = pc.value_counts(raw)
    return zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
