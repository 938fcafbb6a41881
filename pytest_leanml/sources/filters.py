"""Filters for slices: a small language read by our own hands, since ``eval`` and ``DataFrame.query`` run code.

A comparison with a missing value is unknown, as in SQL (Kleene's three values): such a row is selected neither by
``x > 5`` nor by ``not x > 5`` nor by ``x != 5``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.sources.columns import column_names, nearest, row_count, series
from pytest_leanml.sources.faults import brief

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 2000
GRAMMAR = "columns, numbers, text, == != < <= > >=, in [...], and, or, not; such as `origin == 'JFK' and delay > 60`"
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
BOUNDS: dict[str, Callable[[Any, Any], Any]] = {
    "min": operator.ge,
    "max": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


@dataclass(frozen=True, slots=True)
class _Truth:
    """Rows that hold and rows that do not; in neither: unknown."""

    yes: NDArray[np.bool_]
    no: NDArray[np.bool_]

    def both(self, other: _Truth) -> _Truth:
        return _Truth(self.yes & other.yes, self.no | other.no)

    def opposite(self) -> _Truth:
        return _Truth(self.no, self.yes)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The frame of one filter, and the filter's text for messages."""

    frame: Any
    text: str

    def fault(self, given: str, expected: str = GRAMMAR) -> ConfigError:
        return ConfigError(f"in the filter `{self.text}`: {given}", expected, "correct the filter under `data.slices`")

    def column(self, name: str) -> pd.Series[Any]:
        names = column_names(self.frame)
        if name not in names:
            raise self.fault(f"no column `{name}`{nearest(name, names)}", f"one of {', '.join(names[:20])}")
        return series(self.frame, name)

    def compare(self, left: Any, test: Callable[[Any, Any], Any], right: Any) -> _Truth:
        """Compare a column with a constant or a column (or the other way round), row by row."""
        left, right = self._comparable(left, right), self._comparable(right, left)
        try:
            raw: pd.Series[Any] = test(left, right)
        except (TypeError, ValueError) as fault:
            raise self.fault(f"values that cannot be compared ({fault})", "values of one type") from fault
        known = np.ones(row_count(self.frame), dtype=bool)
        for side in (left, right):
            if isinstance(side, pd.Series):
                known &= side.notna().to_numpy()
        holds = np.zeros(len(known), dtype=bool)
        holds[known] = raw.to_numpy()[known].astype(bool)
        return _Truth(holds, known & ~holds)

    def _comparable(self, side: Any, other: Any) -> Any:
        """Read text as a time beside a column of times; refuse what never equals the column's values."""
        if isinstance(side, pd.Series) or not isinstance(other, pd.Series):
            return side
        if other.dtype.kind == "M":
            return self._time(side, other)
        held, fits = None, True
        if pd.api.types.is_numeric_dtype(other.dtype):
            held, fits = "numbers", isinstance(side, int | float)
        elif pd.api.types.infer_dtype(other, skipna=True) == "string":
            held, fits = "text", isinstance(side, str)
        if not fits:
            raise self.fault(f"column `{other.name}` holds {held}, compared with {side!r}", f"a value as {held}")
        return side

    def _time(self, side: Any, other: pd.Series[Any]) -> pd.Timestamp:
        if not isinstance(side, str | date):
            raise self.fault(
                f"column `{other.name}` holds times, compared with {side!r}", "a time such as '2013-03-31'"
            )
        try:
            moment = pd.Timestamp(side)
        except ValueError as fault:
            raise self.fault(f"{side!r} is no time", "a time such as '2013-03-31'") from fault
        zone = getattr(other.dtype, "tz", None)
        if zone is None:
            return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment
        return moment.tz_convert(zone) if moment.tzinfo else moment.tz_localize(zone)


def mask(frame: Any, filter_: str | Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return which rows a filter selects.

    Args:
        frame: a pandas or polars frame of n rows.
        filter_: an expression such as ``origin == 'JFK' and dep_delay > 60``; or a mapping of a column to a value or
            to ``{min, max, above, below, in}``, all of which must hold.

    Returns:
        A boolean array of shape (n,) with at least one true value.

    Raises:
        ConfigError: anything but that language, an unknown column, values of other types than the column's.
        InconclusiveError: no row matches.
    """
    text = filter_ if isinstance(filter_, str) else str(dict(filter_))
    rows = _Rows(frame, text if len(text) <= 200 else f"{text[:200]}...")  # noqa: PLR2004 - fits a message
    truth = _of_text(rows, filter_) if isinstance(filter_, str) else _of_mapping(rows, filter_)
    if not truth.yes.any():
        raise InconclusiveError(
            f"the filter `{rows.text}` matches none of {row_count(frame)} rows",
            "at least one row",
            "correct the filter, or evaluate on data that holds such rows",
        )
    return truth.yes


def _of_mapping(rows: _Rows, wanted: Mapping[str, Any]) -> _Truth:
    if not wanted:
        raise rows.fault("no column", "a column and its value")
    truths = [truth for name, test in wanted.items() for truth in _of_entry(rows, name, test)]
    return _all(truths)


def _of_entry(rows: _Rows, name: str, test: Any) -> list[_Truth]:
    column = rows.column(name)
    if not isinstance(test, Mapping):
        return [rows.compare(column, operator.eq, _constant(rows, test))]
    if not test:
        raise rows.fault(f"nothing is asked of `{name}`", f"a value, or {', '.join(BOUNDS)}, in")
    return [_of_bound(rows, column, bound, value) for bound, value in test.items()]


def _of_bound(rows: _Rows, column: pd.Series[Any], bound: str, value: Any) -> _Truth:
    if bound == "in":
        if not isinstance(value, list | tuple):
            raise rows.fault(f"`in` of `{column.name}` is {value!r}", "a list of values")
        return _among(rows, column, value)
    if bound not in BOUNDS:
        raise rows.fault(f"unknown test `{bound}`{nearest(bound, [*BOUNDS, 'in'])}", f"{', '.join(BOUNDS)} or in")
    return rows.compare(column, BOUNDS[bound], _constant(rows, value))


def _of_text(rows: _Rows, text: str) -> _Truth:
    if len(text) > LONGEST:
        raise rows.fault(f"{len(text)} characters", f"at most {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _truth(rows, tree.body)
    except (SyntaxError, ValueError) as fault:
        raise rows.fault(f"it cannot be read ({brief(fault)})") from fault
    except (RecursionError, MemoryError) as fault:
        raise rows.fault("it is nested too deeply") from fault


def _truth(rows: _Rows, node: ast.expr) -> _Truth:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return _all([_truth(rows, value) for value in values])
        case ast.BoolOp(op=ast.Or(), values=values):
            return _all([_truth(rows, value).opposite() for value in values]).opposite()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _truth(rows, operand).opposite()
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            pairs = zip(sides, ops, comparators, strict=False)  # a < b < c is a < b and b < c
            return _all([_compared(rows, one, op, other) for one, op, other in pairs])
        case ast.Name(id=name):
            return _flag(rows, name)
    raise rows.fault(f"`{ast.unparse(node)}` is no comparison")


def _compared(rows: _Rows, left: ast.expr, op: ast.cmpop, right: ast.expr) -> _Truth:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(left, ast.Name) or not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise rows.fault("`in` takes a column and a list", "such as `origin in ['JFK', 'EWR']`")
        found = _among(rows, rows.column(left.id), [_value(rows, each) for each in right.elts])
        return found if isinstance(op, ast.In) else found.opposite()
    if type(op) not in COMPARE:
        raise rows.fault("`is` is not supported")
    one, other = _value(rows, left), _value(rows, right)
    if not isinstance(one, pd.Series) and not isinstance(other, pd.Series):
        raise rows.fault(f"`{one!r}` and `{other!r}` are both constants", "a column on one side")
    return rows.compare(one, COMPARE[type(op)], other)


def _value(rows: _Rows, node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name):
            return rows.column(name)
        case ast.Constant(value=value):
            return _constant(rows, value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if value is not True:
            return -_constant(rows, value)
    raise rows.fault(f"`{ast.unparse(node)}` is neither a column nor a constant")


def _constant(rows: _Rows, value: Any) -> Any:
    if isinstance(value, str | int | date) or (isinstance(value, float) and np.isfinite(value)):
        return value
    raise rows.fault(f"{value!r} is no value to compare with", "a number, text, true or false, or a time")


def _among(rows: _Rows, column: pd.Series[Any], values: list[Any] | tuple[Any, ...]) -> _Truth:
    if not values:
        raise rows.fault("an empty list", "at least one value")
    return _all([rows.compare(column, operator.ne, _constant(rows, value)) for value in values]).opposite()


def _flag(rows: _Rows, name: str) -> _Truth:
    column = rows.column(name)
    if not pd.api.types.is_bool_dtype(column.dropna().infer_objects().dtype):
        raise rows.fault(f"column `{name}` holds no truth values", f"a comparison, such as `{name} == 1`")
    return rows.compare(column, operator.eq, right=True)


def _all(truths: list[_Truth]) -> _Truth:
    first, *rest = truths
    for truth in rest:
        first = first.both(truth)
    return first
