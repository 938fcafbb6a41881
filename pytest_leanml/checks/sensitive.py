"""Sensitive attributes: which group each row belongs to, by one column or by several."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import MeasurementError
from pytest_leanml.sources.levels import levels
from pytest_leanml.stats.group_rates import Grouping, is_missing, refuse_groupless
from pytest_leanml.vocabulary import encode_group

if TYPE_CHECKING:
    from collections.abc import Sequence

# Combinations beyond this many are numbered anew after each column, so that codes cannot overflow.
MOST_CELLS = 10_000


def attribute(columns: Sequence[str]) -> str:
    """Return what stands between the brackets of an id for a sensitive attribute of one or more columns."""
    return ".".join(encode_group(name) for name in columns)


def grouping_of(frame: Any, columns: Sequence[str]) -> Grouping:
    """Return the group of each row; of several columns, one group for each combination of their values.

    Args:
        frame: a pandas or polars DataFrame, or a pyarrow Table.
        columns: of the sensitive attribute, at least one.

    Raises:
        MeasurementError: as ``coded`` and ``combined``.
        SourceError: no such column, or a lazy table.
    """
    return combined([coded(frame, name) for name in columns])


def coded(frame: Any, name: str) -> Grouping:
    """Return the value of each row in one column; the code is -1 where there is none.

    Raises:
        MeasurementError: two values, such as 1 and "1", that would read the same and so become one group; values that
            are no groups.
        SourceError: no such column, or a lazy table.
    """
    codes, values = levels(frame, name)
    missing = np.array([is_missing(value) for value in values], dtype=bool)
    texts = tuple(str(value) for value in values)
    if len(set(texts)) != len(texts):
        _refuse_doubles(codes, texts, name)
    if missing.any():
        codes = np.where((codes >= 0) & missing[codes], -1, codes)
    return Grouping(codes, texts)


def combined(columns: Sequence[Grouping]) -> Grouping:
    """Return the group of each row from its values in one column or several.

    Raises:
        MeasurementError: rows without a value in any of the columns.
    """
    _refuse_groupless(columns)
    if len(columns) == 1:
        return columns[0]
    return reduce(_crossed, (Grouping(each.codes, tuple(map(_dotless, each.names))) for each in columns))


def _refuse_doubles(codes: np.ndarray[Any, Any], texts: Sequence[str], name: str) -> None:
    """Refuse values that read the same, where each of them has rows."""
    met = [texts[code] for code in np.unique(codes).tolist() if code >= 0]
    if len(set(met)) != len(met):
        raise MeasurementError(
            f"two values of `{name}` read the same, such as 1 and '1'",
            "one spelling for each group",
            "clean the column",
        )


def _refuse_groupless(columns: Sequence[Grouping]) -> None:
    gaps = [each.codes < 0 for each in columns if len(each.codes) and each.codes.min() < 0]
    refuse_groupless(int(np.logical_or.reduce(gaps).sum()) if gaps else 0, len(columns[0].codes))


def _crossed(first: Grouping, second: Grouping) -> Grouping:
    width = len(second.names)
    cells = len(first.names) * width
    codes = np.multiply(first.codes, width, dtype=_whole(cells), casting="unsafe")
    np.add(codes, second.codes, out=codes, casting="unsafe")
    if cells <= MOST_CELLS:
        return Grouping(codes, tuple(f"{one}.{other}" for one in first.names for other in second.names))
    met, codes = np.unique(codes, return_inverse=True)
    names = (f"{first.names[one]}.{second.names[other]}" for one, other in zip(*np.divmod(met, width), strict=True))
    return Grouping(codes, tuple(names))


def _whole(cells: int) -> type[np.signedinteger[Any]]:
    """Return the narrowest type that holds so many codes: what is written once and read once costs by its bytes."""
    return next((kind for kind in (np.int8, np.int16) if cells <= min(np.iinfo(kind).max, MOST_CELLS)), np.int64)


def _dotless(text: str) -> str:
    """Encode dots as well, so that "a.b" with "c" is another group than "a" with "b.c"."""
    return encode_group(text).replace(".", "%2E")
