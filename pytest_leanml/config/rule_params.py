"""The settings of data quality's rules: what leanml.yaml may write under ``params:``, and the part of the id they make.

The same words are checked here for leanml.yaml, before anything runs, and for a test that asks a fixture.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.patterns import whole
from pytest_leanml.errors import ConfigError
from pytest_leanml.vocabulary import encode_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    # Where below ``params``, what was given, what is expected, what to do next.
    Problem = tuple[tuple[str, ...], str, str, str]

DATA = ("train", "evaluation", "production")
DEFAULT = "evaluation"
SHARE = "_share"
_BOUNDS = ("min", "max", "above", "below")
_PAIR = 2
_LONG = 100


@dataclass(frozen=True, slots=True)
class Between:
    """An interval; None for no bound.

    Attributes:
        low: least value.
        high: greatest value.
        above: whether the least value itself is outside.
        below: whether the greatest value itself is outside.
    """

    low: Any = None
    high: Any = None
    above: bool = False
    below: bool = False

    def problem(self) -> tuple[str, str, str] | None:
        """Tell as (given, expected, todo) what bounds nothing or cannot be compared."""
        given = [each for each in (self.low, self.high) if each is not None]
        shown = f"the bounds [{self.low!r}, {self.high!r}]"
        if not given:
            return shown, "at least one bound", "write for example [0, 120], or [0, null]"
        if not all(map(is_number, given)) and not all(isinstance(each, str) for each in given):
            return shown, "finite numbers, or two texts or times", "correct them"
        if len(given) == _PAIR and is_number(given[0]) and self._nothing_between():
            return f"{shown}, which no number keeps", "the lower one first", "swap them"
        return None

    def _nothing_between(self) -> bool:
        return bool(self.low > self.high or (self.low == self.high and (self.above or self.below)))


def is_number(value: object) -> bool:
    """Tell a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def bounds_of(given: Any) -> Between:
    """Read ``[low, high]``, or a mapping of min or above and max or below.

    Raises:
        ConfigError: neither, or bounds that bound nothing.
    """
    problem = _bounds_shape(given)
    if problem is None:
        found = _between(given)
        problem = found.problem()
        if problem is None:
            return found
    raise ConfigError(*problem)


def _bounds_shape(given: Any) -> tuple[str, str, str] | None:
    expected = "[low, high] with null for no bound, or a mapping of min or above and max or below"
    todo = "write for example [0, 120] or {above: 0}"
    if isinstance(given, list | tuple):
        return None if len(given) == _PAIR else (f"a list of {len(given)}", expected, todo)
    if not isinstance(given, dict) or not set(given) <= set(_BOUNDS):
        return repr(given), expected, todo
    twice = next((pair for pair in (("min", "above"), ("max", "below")) if set(pair) <= set(given)), None)
    return (f"both {' and '.join(twice)}", "one of them", "drop one") if twice else None


def _between(given: Any) -> Between:
    if isinstance(given, list | tuple):
        return Between(_plain(given[0]), _plain(given[1]))
    low, high = given.get("above", given.get("min")), given.get("below", given.get("max"))
    return Between(_plain(low), _plain(high), "above" in given, "below" in given)


def _plain(value: Any) -> Any:
    """A test may give a date or a time; leanml.yaml has texts."""
    return value.isoformat() if isinstance(value, date | datetime) else value


def rule_problem(metric: str, params: Mapping[str, Any]) -> Problem | None:
    """Tell as (where, given, expected, todo) why these settings make no rule, None when they do.

    Args:
        metric: such as ``between`` or ``between_share``.
        params: the settings, each of the type that ``MetricFacts.params`` demands.
    """
    data = params.get("data", DEFAULT)
    if data not in DATA:
        return ("data",), repr(data), f"one of {', '.join(DATA)}", "name a table of `data:`"
    if params.get("name", "-") == "":
        return ("name",), "an empty name", "a short name of the rule", "write one, or remove the key"
    check = _CHECKS.get(metric.removesuffix(SHARE))
    return None if check is None else check(params)


def _some(params: Mapping[str, Any], key: str = "columns") -> Problem | None:
    """Refuse a list of no column, or of one column twice."""
    given = params.get(key)
    if given is None:
        return None
    if not given:
        return (key,), "no column", "at least one", f"name one, or remove `{key}`"
    twice = next((name for place, name in enumerate(given) if name in given[:place]), None)
    return None if twice is None else ((key,), f"{twice!r} stands here twice", "each column once", "drop one")


def _unique(params: Mapping[str, Any]) -> Problem | None:
    if ("columns" in params) == ("key" in params):
        given = "both columns and key" if "key" in params else "neither columns nor key"
        todo = "columns: [id] for each by itself, key: [a, b] for their combination"
        return (), given, "one of them", todo
    return _some(params) or _some(params, "key")


def _of_columns(check: Callable[[Any], tuple[str, str, str] | None]) -> Callable[[Mapping[str, Any]], Problem | None]:
    """Make the check of a mapping column -> setting."""

    def found(params: Mapping[str, Any]) -> Problem | None:
        given = params.get("columns")
        if not isinstance(given, dict) or not given:
            return ("columns",), "no column" if not given else repr(given), "a mapping of column to setting", ""
        for name, each in given.items():
            if not isinstance(name, str) or not name:
                return ("columns",), f"the column {name!r}", "the name of a column, as text", 'put it in quotes: "1"'
            problem = check(each)
            if problem:
                return ("columns", name), *problem
        return None

    return found


def _bounds(given: Any) -> tuple[str, str, str] | None:
    return _refused(lambda: bounds_of(given))


def _pattern(given: Any) -> tuple[str, str, str] | None:
    if not isinstance(given, str):
        return repr(given), "a regular expression, as text", "put it in quotes"
    return _refused(lambda: whole(given))


def _refused(read: Callable[[], object]) -> tuple[str, str, str] | None:
    try:
        read()
    except ConfigError as error:
        return error.given, error.expected, error.todo
    return None


def values_problem(given: Any) -> tuple[str, str, str] | None:
    """Tell why a set of values is none."""
    if not isinstance(given, list | tuple) or not given:
        return repr(given), "a list of at least one value", "write for example [EWR, JFK]"
    wrong = [each for each in given if not isinstance(each, str | bool) and not is_number(each)]
    return (f"{wrong[0]!r} as a value", "texts, finite numbers, true or false", "correct it") if wrong else None


def _home(given: Any) -> tuple[str, str, str] | None:
    expected = "{table: train, column: <name>} or {path: <file>, column: <name>, digest: sha256:...}"
    plain = isinstance(given, dict) and all(isinstance(each, str) and each for each in given.values())
    if not plain or not set(given) <= {"table", "path", "column", "digest"} or "column" not in given:
        return repr(given), expected, "say where the values are, and in which column"
    if ("table" in given) == ("path" in given) or ("digest" in given and "table" in given):
        return repr(given), expected, "name one table, or one file"
    if given.get("table", DEFAULT) not in DATA:
        return repr(given["table"]), f"one of {', '.join(DATA)}", "name a table of `data:`"
    return None


def _schema_drift(params: Mapping[str, Any]) -> Problem | None:
    if params.get("data") == "train":
        return ("data",), "train", "evaluation or production", "the training data never differs from itself"
    if params.get("levels", 1) < 1:
        return ("levels",), repr(params["levels"]), "a whole number of at least 1", "leave it out for 1000"
    return _some(params, "ignore")


def _near_constant(params: Mapping[str, Any]) -> Problem | None:
    if not 0 < params.get("share", 0.99) <= 1:
        return ("share",), repr(params["share"]), "a share above 0, of at most 1", "99 % is 0.99"
    return _some(params)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Problem | None]] = {
    "not_null": _some,
    "unique": _unique,
    "between": _of_columns(_bounds),
    "in_set": _of_columns(values_problem),
    "matches": _of_columns(_pattern),
    "references": _of_columns(_home),
    "schema_drift": _schema_drift,
    "duplicates": _some,
    "constant_columns": _some,
    "near_constant_columns": _near_constant,
}


def part_of(params: Mapping[str, Any]) -> str | None:
    """Return what stands between the brackets of a rule's id, None for all of the evaluation data.

    Its ``name`` where it has one; else the data, unless it is the evaluation data, and the columns, percent-encoded and
    joined by dots. Many columns are the first, their number, and a digest of all their names.
    """
    if "name" in params:
        return encode_group(params["name"])
    data = params.get("data", DEFAULT)
    if "path" in params:
        file = encode_group(str(params["path"]).replace("\\", "/").rpartition("/")[2])
        return file if data == DEFAULT else f"{data}.{file}"
    columns = _columns(params)
    named = [] if data == DEFAULT and not (columns and columns[0] in DATA) else [data]
    return ".".join([*named, *_shortened(columns)]) or None


def _columns(params: Mapping[str, Any]) -> tuple[str, ...]:
    if "key" in params:
        return ("key", *params["key"])
    return tuple(params.get("columns", ())) or ((params["column"],) if "column" in params else ())


def _shortened(columns: Sequence[str]) -> list[str]:
    encoded = [encode_group(each).replace(".", "%2E") for each in columns]
    if len(".".join(encoded)) <= _LONG:
        return encoded
    digest = hashlib.sha256("\n".join(columns).encode()).hexdigest()[:8]
    first = encoded[0] if len(encoded[0]) <= _LONG // 2 else "columns"
    return [first, f"and-{len(columns) - 1}-more", digest] if first != "columns" else [first, digest]
