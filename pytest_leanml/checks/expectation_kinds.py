"""What each supported expectation of Great Expectations asks, by its name there.

Their meaning is that of Great Expectations' own documentation, with this package's rules for values: text and numbers are
never equal, NaN is missing, and infinity lies outside of any bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw

from pytest_leanml.checks.rules import refuse_hollow
from pytest_leanml.checks.rules_rows import Column, Kind, Rows
from pytest_leanml.checks.rules_values import among, matching, within
from pytest_leanml.config.patterns import portable
from pytest_leanml.config.rule_params import Between, bounds_of, is_number, values_problem
from pytest_leanml.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Kwargs = Mapping[str, Any]

_BOUNDS = ("min_value", "max_value")
_STRICT = ("strict_min", "strict_max")


def _nothing(_kwargs: Kwargs) -> None:
    """Demand nothing beyond the names."""


@dataclass(frozen=True, slots=True)
class OfValues:
    """An expectation that each value of a column meets or not.

    Attributes:
        condition: whether a present value meets it; None for the expectation that no value is missing.
        needs: settings that it must have.
        may: settings that it may have.
        check: raises ConfigError for settings that make no sense.
        mostly: whether a share of the values may do.
    """

    condition: Callable[[Column, Kwargs], nw.Expr | None] | None
    needs: tuple[str, ...] = ("column",)
    may: tuple[str, ...] = ()
    check: Callable[[Kwargs], object] = _nothing
    mostly: bool = True


@dataclass(frozen=True, slots=True)
class OfRows:
    """An expectation of a whole column, of several, or of the table.

    Attributes:
        problem: what is wrong, None where it is met.
        needs: settings that it must have.
        may: settings that it may have.
        check: raises ConfigError for settings that make no sense.
        mostly: whether a share of the values may do.
    """

    problem: Callable[[Rows, Kwargs], str | None]
    needs: tuple[str, ...] = ("column",)
    may: tuple[str, ...] = ()
    check: Callable[[Kwargs], object] = _nothing
    mostly: bool = False


def _bounds(kwargs: Kwargs) -> Between:
    """Read min_value, max_value, strict_min and strict_max.

    Raises:
        ConfigError: they bound nothing.
    """
    above, below = (kwargs.get(name, False) for name in _STRICT)
    if not isinstance(above, bool) or not isinstance(below, bool):
        raise ConfigError("strict_min or strict_max that is neither true nor false", "true or false", "correct it")
    keys = {"above" if above else "min": kwargs.get("min_value"), "below" if below else "max": kwargs.get("max_value")}
    return bounds_of(keys)


def _numbers(kwargs: Kwargs) -> Between:
    found = _bounds(kwargs)
    for each in (found.low, found.high):
        if each is not None and not is_number(each):
            raise ConfigError(f"the bound {each!r}", "a finite number", "correct it")
    return found


def _whole_number(name: str) -> Callable[[Kwargs], int]:
    def check(kwargs: Kwargs) -> int:
        value = kwargs[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigError(f"{name}: {value!r}", "a whole number of at least 0", "correct it")
        return value

    return check


def _set(kwargs: Kwargs) -> None:
    problem = values_problem(kwargs["value_set"])
    if problem:
        raise ConfigError(*problem)


def _names(name: str) -> Callable[[Kwargs], list[str]]:
    def check(kwargs: Kwargs) -> list[str]:
        value = kwargs[name]
        if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
            raise ConfigError(f"{name}: {value!r}", "a list of names of columns", "correct it")
        return value

    return check


def _patterns(kwargs: Kwargs) -> list[str]:
    given = kwargs["regex_list"] if "regex_list" in kwargs else [kwargs["regex"]]
    if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
        name = "regex_list" if "regex_list" in kwargs else "regex"
        raise ConfigError(f"{name}: {given!r}", "regular expressions, as text", "correct it")
    if kwargs.get("match_on", "any") not in ("any", "all"):
        raise ConfigError(f"match_on: {kwargs['match_on']!r}", "any or all", "correct it")
    return [portable(each) for each in given]


def _searched(column: Column, kwargs: Kwargs) -> nw.Expr | None:
    """Whether a value has a pattern somewhere in it."""
    found = [each for each in (matching(column, pattern) for pattern in _patterns(kwargs)) if each is not None]
    if not found:
        return None
    join = nw.all_horizontal if kwargs.get("match_on") == "all" else nw.any_horizontal
    return join(*found, ignore_nulls=False)


def _not_searched(column: Column, kwargs: Kwargs) -> nw.Expr | None:
    """Whether a value has none of the patterns; what has no text has no pattern, and is a failure still."""
    found = _searched(column, {**kwargs, "match_on": "any"})
    return None if found is None else ~found & ~column.text.is_null()


def _outside(column: Column, kwargs: Kwargs) -> nw.Expr:
    found = among(column, kwargs["value_set"])
    if found is None:
        raise SourceError(
            f"the column `{column.name}` holds {column.kind}, which no value of the set can be",
            "a set of values that could be there: nothing else is forbidden by it",
            "correct the set, or the type of the column",
        )
    return ~found


def _lengths(bounds: Callable[[Kwargs], Between]) -> Callable[[Column, Kwargs], nw.Expr | None]:
    def condition(column: Column, kwargs: Kwargs) -> nw.Expr | None:
        if column.kind is not Kind.TEXT:
            return None
        found = bounds(kwargs)
        size = column.text.str.len_chars()
        parts = [] if found.low is None else [size > found.low if found.above else size >= found.low]
        parts += [] if found.high is None else [size < found.high if found.below else size <= found.high]
        whole: nw.Expr = parts[0] if len(parts) == 1 else parts[0] & parts[1]
        return whole

    return condition


def _exactly(kwargs: Kwargs) -> Between:
    size = _whole_number("value")(kwargs)
    return Between(size, size)


def _lies(value: float, bounds: Between) -> bool:
    low = bounds.low is None or (value > bounds.low if bounds.above else value >= bounds.low)
    high = bounds.high is None or (value < bounds.high if bounds.below else value <= bounds.high)
    return bool(low and high)


def _number_between(name: str, number: Callable[[Rows, Kwargs], float]) -> Callable[[Rows, Kwargs], str | None]:
    def problem(rows: Rows, kwargs: Kwargs) -> str | None:
        value = number(rows, kwargs)
        return None if _lies(value, _numbers(kwargs)) else f"{name} is {value:g}"

    return problem


def _present(rows: Rows, column: Column) -> int:
    present = rows.count - int(rows.ask([column], {"missing": column.missing})["missing"])
    refuse_hollow(rows, column, present)
    return present


def _distinct(rows: Rows, kwargs: Kwargs) -> int:
    columns = rows.columns([kwargs["column"]])
    present = _present(rows, columns[0])
    return rows.distinct(columns)[columns[0].name] - (present < rows.count)


def _distinct_share(rows: Rows, kwargs: Kwargs) -> float:
    return _distinct(rows, kwargs) / _present(rows, *rows.columns([kwargs["column"]]))


def _sum(rows: Rows, kwargs: Kwargs) -> float:
    (column,) = rows.columns([kwargs["column"]])
    _present(rows, column)
    if column.kind not in (Kind.WHOLE, Kind.NUMBER):
        raise SourceError(f"the column `{column.name}` of {rows.name} holds {column.kind}", "numbers to add up")
    return float(rows.ask([column], {}, totals={"sum": column.plain})["sum"])


def _mean(rows: Rows, kwargs: Kwargs) -> float:
    return _sum(rows, kwargs) / _present(rows, *rows.columns([kwargs["column"]]))


def _extreme(*, least: bool) -> Callable[[Rows, Kwargs], str | None]:
    """Tell whether the least value lies between bounds: all values keep the lower one, and one keeps the upper one."""

    def problem(rows: Rows, kwargs: Kwargs) -> str | None:
        (column,) = rows.columns([kwargs["column"]])
        present, bounds = _present(rows, column), _bounds(kwargs)
        low, high = Between(bounds.low, None, bounds.above), Between(None, bounds.high, below=bounds.below)
        every, some = (low, high) if least else (high, low)
        beyond = present - _keeping(rows, column, every, present)
        if beyond:
            return f"{beyond} of {present} values lie beyond the bound"
        return None if _keeping(rows, column, some, present) else "no value lies within the bounds"

    return problem


def _keeping(rows: Rows, column: Column, bounds: Between, present: int) -> int:
    if bounds.low is None and bounds.high is None:
        return present
    kept = within(column, bounds)
    return 0 if kept is None else int(rows.ask([column], {"kept": ~column.missing & kept})["kept"] or 0)


def _set_of(*, within_set: bool, all_of_it: bool) -> Callable[[Rows, Kwargs], str | None]:
    """Compare the distinct values of a column with a set."""

    def problem(rows: Rows, kwargs: Kwargs) -> str | None:
        (column,) = rows.columns([kwargs["column"]])
        present, values = _present(rows, column), kwargs["value_set"]
        each = {str(place): among(column, [value]) for place, value in enumerate(values)}
        asked = {name: ~column.missing & kept for name, kept in each.items() if kept is not None}
        whole = among(column, values)
        asked |= {} if whole is None else {"whole": ~column.missing & whole}
        found = rows.ask([column], asked) if asked else {}
        strange = present - int(found.get("whole") or 0)
        if within_set and strange:
            return f"{strange} of {present} values are not in the set"
        absent = [value for place, value in enumerate(values) if not found.get(str(place))]
        return f"{absent[0]!r} is not there" if all_of_it and absent else None

    return problem


def _unique(rows: Rows, kwargs: Kwargs) -> str | None:
    (column,) = rows.columns([kwargs["column"]])
    present = _present(rows, column)
    failing = rows.repeats([column], ~column.missing)
    enough = (present - failing) / present >= kwargs.get("mostly", 1)
    return None if enough else f"{failing} of {present} values are not unique"


def _all_missing(rows: Rows, kwargs: Kwargs) -> str | None:
    (column,) = rows.columns([kwargs["column"]])
    missing = int(rows.ask([column], {"missing": column.missing})["missing"])
    enough = missing / rows.count >= kwargs.get("mostly", 1)
    return None if enough else f"{rows.count - missing} of {rows.count} values are not missing"


_IGNORED = ("all_values_are_missing", "any_value_is_missing", "never")


def _ignored(kwargs: Kwargs) -> None:
    _names("column_list")(kwargs)
    given = kwargs.get("ignore_row_if", _IGNORED[0])
    if given not in _IGNORED:
        raise ConfigError(f"ignore_row_if: {given!r}", f"one of {', '.join(_IGNORED)}", "correct it")


def _unique_rows(rows: Rows, kwargs: Kwargs) -> str | None:
    columns = rows.columns(kwargs["column_list"])
    there = [~each.missing for each in columns]
    where = {
        "all_values_are_missing": nw.any_horizontal(*there, ignore_nulls=False),
        "any_value_is_missing": nw.all_horizontal(*there, ignore_nulls=False),
        "never": None,
    }[kwargs.get("ignore_row_if", _IGNORED[0])]
    looked_at = rows.count if where is None else int(rows.ask(columns, {"whole": where})["whole"] or 0)
    for column in columns if looked_at == 0 else ():
        refuse_hollow(rows, column, 0)
    failing = rows.repeats(columns, where)
    enough = (looked_at - failing) / looked_at >= kwargs.get("mostly", 1)
    return None if enough else f"{failing} of {looked_at} rows are not unique"


def _exists(rows: Rows, kwargs: Kwargs) -> str | None:
    name, place = kwargs["column"], kwargs.get("column_index")
    if name not in rows.names:
        return "there is no such column"
    return None if place is None or rows.names.index(name) == place else f"it is column {rows.names.index(name)}"


def _same_set(rows: Rows, kwargs: Kwargs) -> str | None:
    wanted, exact = set(kwargs["column_set"]), kwargs.get("exact_match", True)
    absent = sorted(wanted - set(rows.names))
    strange = sorted(set(rows.names) - wanted) if exact else []
    return f"absent: {absent}; unexpected: {strange}" if absent or strange else None


def _same_order(rows: Rows, kwargs: Kwargs) -> str | None:
    return None if list(rows.names) == kwargs["column_list"] else f"the columns are {list(rows.names)}"


def _flagged(kwargs: Kwargs) -> None:
    _names("column_set")(kwargs)
    if not isinstance(kwargs.get("exact_match", True), bool):
        raise ConfigError(f"exact_match: {kwargs['exact_match']!r}", "true or false", "correct it")


def _equal(name: str, number: Callable[[Rows], int]) -> Callable[[Rows, Kwargs], str | None]:
    def problem(rows: Rows, kwargs: Kwargs) -> str | None:
        return None if number(rows) == kwargs["value"] else f"there are {number(rows)} {name}"

    return problem


def _regex(condition: Callable[[Column, Kwargs], nw.Expr | None], name: str, *may: str) -> OfValues:
    return OfValues(condition, ("column", name), may, _patterns)


def _range(name: str, number: Callable[[Rows, Kwargs], float], *needs: str) -> OfRows:
    return OfRows(_number_between(name, number), needs, (*_BOUNDS, *_STRICT), _numbers)


_COUNT = _whole_number("value")
_OF_SET = ("column", "value_set")
_COLUMN = "column"

SUPPORTED: Mapping[str, OfValues | OfRows] = {
    "expect_column_values_to_not_be_null": OfValues(None),
    "expect_column_values_to_be_null": OfRows(_all_missing, mostly=True),
    "expect_column_values_to_be_unique": OfRows(_unique, mostly=True),
    "expect_column_values_to_be_in_set": OfValues(
        lambda column, kwargs: among(column, kwargs["value_set"]), _OF_SET, check=_set
    ),
    "expect_column_values_to_not_be_in_set": OfValues(_outside, _OF_SET, check=_set),
    "expect_column_values_to_be_between": OfValues(
        lambda column, kwargs: within(column, _bounds(kwargs)), may=(*_BOUNDS, *_STRICT), check=_bounds
    ),
    "expect_column_values_to_match_regex": _regex(_searched, "regex"),
    "expect_column_values_to_not_match_regex": _regex(_not_searched, "regex"),
    "expect_column_values_to_match_regex_list": _regex(_searched, "regex_list", "match_on"),
    "expect_column_values_to_not_match_regex_list": _regex(_not_searched, "regex_list"),
    "expect_column_value_lengths_to_be_between": OfValues(_lengths(_numbers), may=(*_BOUNDS, *_STRICT), check=_numbers),
    "expect_column_value_lengths_to_equal": OfValues(_lengths(_exactly), ("column", "value"), check=_COUNT),
    "expect_column_distinct_values_to_be_in_set": OfRows(
        _set_of(within_set=True, all_of_it=False), _OF_SET, check=_set
    ),
    "expect_column_distinct_values_to_contain_set": OfRows(
        _set_of(within_set=False, all_of_it=True), _OF_SET, check=_set
    ),
    "expect_column_distinct_values_to_equal_set": OfRows(_set_of(within_set=True, all_of_it=True), _OF_SET, check=_set),
    "expect_column_unique_value_count_to_be_between": _range("the number of distinct values", _distinct, _COLUMN),
    "expect_column_proportion_of_unique_values_to_be_between": _range(
        "the share of distinct values", _distinct_share, _COLUMN
    ),
    "expect_column_min_to_be_between": OfRows(_extreme(least=True), may=(*_BOUNDS, *_STRICT), check=_bounds),
    "expect_column_max_to_be_between": OfRows(_extreme(least=False), may=(*_BOUNDS, *_STRICT), check=_bounds),
    "expect_column_sum_to_be_between": _range("the sum", _sum, _COLUMN),
    "expect_column_mean_to_be_between": _range("the mean", _mean, _COLUMN),
    "expect_compound_columns_to_be_unique": OfRows(
        _unique_rows, ("column_list",), ("ignore_row_if",), _ignored, mostly=True
    ),
    "expect_column_to_exist": OfRows(_exists, may=("column_index",)),
    "expect_table_columns_to_match_set": OfRows(_same_set, ("column_set",), ("exact_match",), _flagged),
    "expect_table_columns_to_match_ordered_list": OfRows(_same_order, ("column_list",), check=_names("column_list")),
    "expect_table_column_count_to_equal": OfRows(
        _equal("columns", lambda rows: len(rows.names)), ("value",), check=_COUNT
    ),
    "expect_table_column_count_to_be_between": _range("the number of columns", lambda rows, _: len(rows.names)),
    "expect_table_row_count_to_equal": OfRows(_equal("rows", lambda rows: rows.count), ("value",), check=_COUNT),
    "expect_table_row_count_to_be_between": _range("the number of rows", lambda rows, _: rows.count),
}
