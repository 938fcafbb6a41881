"""Rows of lazy columns up to given values, and their spread: what needs one more pass over the rows, and no more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from pytest_leanml.sources.lazy import Merge, Query, answers
from pytest_leanml.sources.narrowing import value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.sources.lazy import Schema
    from pytest_leanml.sources.narrowing import Extent
    from pytest_leanml.stats.samples import FloatArray


def rows_up_to(frame: Any, edges: Mapping[str, FloatArray], schema: Schema) -> dict[str, FloatArray]:
    """Count the rows of each column whose value is at most each of its edges, in one pass.

    Args:
        frame: a lazy table.
        edges: column -> values, shape (k,), in any order.
        schema: column -> narwhals type.

    Returns:
        Column -> counts, shape (k,).

    Raises:
        SourceError: the engine cannot answer.
    """
    rising = {name: np.unique(each) for name, each in edges.items()}
    tables = answers(frame, [_edge_query(name, each, schema) for name, each in rising.items()])
    found = {}
    for (name, each), table in zip(rising.items(), tables, strict=True):
        counts = np.array([table[f"e{place}"][0].as_py() or 0 for place in range(len(each))], dtype=np.float64)
        found[name] = counts[np.searchsorted(each, edges[name])]
    return found


def _edge_query(name: str, edges: FloatArray, schema: Schema) -> Query:
    names = [f"e{place}" for place in range(len(edges))]

    def ask(rows: Any) -> Any:
        values = rows.select(value=value_of(name, schema))
        if isinstance(rows, nw.DataFrame):
            # Looked up, where an expression would compare each row with each edge.
            counts = _up_to(np.asarray(values["value"].to_numpy(), dtype=np.float64), edges)
            return nw.from_native(pa.table({each: [count] for each, count in zip(names, counts, strict=True)}))
        below = [(nw.col("value") <= float(edge)).cast(nw.Int64).sum() for edge in edges]
        return values.select(**dict(zip(names, below, strict=True)))

    return Query((name,), ask, dict.fromkeys(names, Merge.SUM))


def _up_to(values: FloatArray, edges: FloatArray) -> list[int]:
    place = np.searchsorted(edges, values, side="left")  # NaN, which is missing, comes after the last
    return [int(each) for each in np.cumsum(np.bincount(place, minlength=len(edges)))[: len(edges)]]


def deviations(frame: Any, known: Mapping[str, Extent], schema: Schema) -> dict[str, float]:
    """Return the standard deviation of each column's values, over n, in two passes: the mean first.

    Args:
        frame: a lazy table.
        known: column -> its extent there.
        schema: column -> narwhals type.

    Raises:
        SourceError: the engine cannot answer.
    """
    # Deviations from the middle of the range stay small where the values themselves are large.
    middles = {name: each.least / 2 + each.most / 2 for name, each in known.items()}
    means = {
        name: middles[name] + total / known[name].filled
        for name, total in _sums(frame, middles, schema, squared=False).items()
    }
    squares = _sums(frame, means, schema, squared=True)
    return {
        name: 0.0 if each.least == each.most else math.sqrt(squares[name] / each.filled) for name, each in known.items()
    }


def _sums(frame: Any, about: Mapping[str, float], schema: Schema, *, squared: bool) -> dict[str, float]:
    names = {name: f"s{place}" for place, name in enumerate(about)}

    def ask(rows: Any) -> Any:
        apart = {name: value_of(name, schema) - float(about[name]) for name in names}
        return rows.select(**{at: (apart[name] ** 2 if squared else apart[name]).sum() for name, at in names.items()})

    (answer,) = answers(frame, [Query(tuple(names), ask, dict.fromkeys(names.values(), Merge.SUM))])
    (row,) = answer.to_pylist()
    return {name: float(row[at] or 0.0) for name, at in names.items()}
