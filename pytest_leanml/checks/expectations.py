"""Great Expectations suites, read from their JSON files: of version 0.18 and of 1.x.

What is not supported is refused, by name and before anything is measured: a suite of which a part is left out would pass
for the whole. What is measured is how many expectations the data does not meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.expectation_kinds import SUPPORTED, OfRows, OfValues
from pytest_leanml.checks.rules import Found, Question, Tally, refuse_hollow, shortened, tallies
from pytest_leanml.errors import ConfigError
from pytest_leanml.strict import MAX_JSON_BYTES, load_json, read_bytes, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.checks.rules_rows import Rows

_NAMES = ("expectation_suite_name", "name")
_TYPES = ("expectation_type", "type")
_SUITE_BESIDE = {"id", "ge_cloud_id", "meta", "notes", "data_asset_type", "evaluation_parameters", "suite_parameters"}
# What says nothing of the data. Every severity counts: what may be missed is said by the limit.
_BESIDE = {"id", "ge_cloud_id", "meta", "notes", "description", "severity", "rendered_content", "expectation_context"}
_BESIDE_KWARGS = {"result_format", "catch_exceptions", "include_config", "batch_id", "id", "meta", "notes"}
_BESIDE_KWARGS |= {"description", "rendered_content", "severity", "condition_parser"}
_MOSTLY_LOW = 0.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite.

    Attributes:
        type: such as ``expect_column_values_to_be_in_set``.
        kwargs: what it asks, without what says nothing of the data and without nulls.
        label: what it is called in reports; unique in the suite.
    """

    type: str
    kwargs: Mapping[str, Any]
    label: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite.

    Attributes:
        name: its own.
        expectations: at least one.
    """

    name: str
    expectations: tuple[Expectation, ...] = field(default_factory=tuple)


def read_suite(path: Path) -> Suite:
    """Read a suite of Great Expectations.

    Raises:
        ConfigError: absent, no strict JSON, no suite, without an expectation, or with one that is not supported.
    """
    value = load_json(read_bytes(path, limit=MAX_JSON_BYTES), file=path)
    name = _one_of(value, _NAMES, path, "")
    _refuse_unknown(value, {*_NAMES, "expectations", *_SUITE_BESIDE}, path, "")
    given = value.get("expectations")
    if not isinstance(given, list) or not given:
        raise ConfigError("no expectation", "a list of at least one", "add one", file=path, key="expectations")
    found: list[Expectation] = []
    for place, each in enumerate(given):
        found.append(_expectation(each, path, f"expectations.{place}", {one.label for one in found}))
    return Suite(name, tuple(found))


def _one_of(value: Any, keys: Sequence[str], path: Path, key: str) -> str:
    """Return the text under the one key of ``keys`` that is there: the older layout's, or the newer one's."""
    here = [name for name in keys if isinstance(value, dict) and name in value]
    if len(here) != 1 or not isinstance(value[here[0]], str):
        given = f"both {keys[0]} and {keys[1]}" if len(here) > 1 else "this is no suite of Great Expectations"
        expected = f"`{keys[0]}` (0.18) or `{keys[1]}` (1.x), a text"
        raise ConfigError(given, expected, "export the suite again", file=path, key=key or None)
    return str(value[here[0]])


def _expectation(value: Any, path: Path, key: str, taken: set[str]) -> Expectation:
    kind = _one_of(value, _TYPES, path, key)
    _refuse_unknown(value, {*_TYPES, "kwargs", *_BESIDE}, path, key)
    asked = SUPPORTED.get(kind)
    if asked is None:
        raise ConfigError(
            f"{shorten(kind)} is not supported",
            "an expectation of the table in docs/checks.md",
            "write it as a rule of `data_quality:` or a test of your own, and take it out of the suite",
            file=path,
            key=key,
        )
    given = value.get("kwargs", {})
    if not isinstance(given, dict):
        raise ConfigError("no mapping", "the settings of the expectation", file=path, key=f"{key}.kwargs")
    kwargs = {name: each for name, each in given.items() if each is not None and name not in _BESIDE_KWARGS}
    _demand(asked, kind, kwargs, path, f"{key}.kwargs")
    return Expectation(kind, kwargs, _label(kind, kwargs, taken))


def _refuse_unknown(value: Mapping[str, Any], known: set[str], path: Path, key: str) -> None:
    unknown = [name for name in value if name not in known and value[name] not in (None, False, [], {})]
    if unknown:
        raise ConfigError(
            f"{shorten(unknown[0])!r} is not supported",
            f"one of {', '.join(sorted(known))}",
            "take it out: what is not understood is never left out in silence",
            file=path,
            key=key or None,
        )


def _demand(asked: OfValues | OfRows, kind: str, kwargs: Mapping[str, Any], path: Path, key: str) -> None:
    """Refuse settings that are missing, not supported, or make no sense."""
    mostly = {"mostly"} if asked.mostly else set()
    _refuse_unknown(kwargs, {*asked.needs, *asked.may, *mostly}, path, key)
    missing = [name for name in asked.needs if name not in kwargs]
    if missing:
        raise ConfigError(f"{kind} without {missing[0]}", missing[0], "add it", file=path, key=key)
    if not isinstance(kwargs.get("column", ""), str):
        raise ConfigError(f"column: {kwargs['column']!r}", "the name of a column", "correct it", file=path, key=key)
    share = kwargs.get("mostly", 1)
    if isinstance(share, bool) or not isinstance(share, int | float) or not _MOSTLY_LOW < share <= 1:
        raise ConfigError(f"mostly: {share!r}", "a share above 0, of at most 1", "correct it", file=path, key=key)
    try:
        asked.check(kwargs)
    except ConfigError as error:
        raise ConfigError(error.given, error.expected, error.todo, file=path, key=key) from None


def _label(kind: str, kwargs: Mapping[str, Any], taken: set[str]) -> str:
    named = kwargs.get("column") or kwargs.get("column_list")
    plain = ", ".join(map(str, named)) if isinstance(named, list) else named
    label = kind if plain is None else f"{kind}({plain})"
    again = sum(each == label or each.startswith(f"{label} #") for each in taken)
    return f"{label} #{again + 1}" if again else label


def check_suite(suite: Suite, rows: Rows) -> Found:
    """Count the expectations that a table does not meet; values are counted in one pass for all of them.

    Raises:
        InconclusiveError: no rows, or a column without any value to hold an expectation against.
        SourceError: an absent column, or values that an expectation cannot be asked of.
    """
    rows.refuse_empty()
    questions = {each.label: _question(each, rows) for each in suite.expectations if _of_values(each)}
    counted = dict(zip(questions, tallies(rows, list(questions.values())), strict=True)) if questions else {}
    missed: dict[str, str] = {}
    for each in suite.expectations:
        found = (
            _too_many(each, rows, questions[each.label], counted[each.label])
            if each.label in questions
            else _problem(each, rows)
        )
        if found is not None:
            missed[each.label] = found
    first = shortened("; ".join(f"{label}: {text}" for label, text in missed.items()))
    verdicts = {each.label: Tally(1, int(each.label in missed)) for each in suite.expectations}
    return Found(rows.count, verdicts, first, unit="expectation", details={"expectations": float(len(verdicts))})


def _of_values(each: Expectation) -> bool:
    return isinstance(SUPPORTED[each.type], OfValues)


def _question(each: Expectation, rows: Rows) -> Question:
    asked = SUPPORTED[each.type]
    (column,) = rows.columns([each.kwargs["column"]])
    if not isinstance(asked, OfValues) or asked.condition is None:
        return Question({column: None}, missing=True)
    return Question({column: asked.condition(column, each.kwargs)})


def _too_many(each: Expectation, rows: Rows, question: Question, counted: Mapping[str, Tally]) -> str | None:
    """Tell how many values fail, where more do than ``mostly`` allows."""
    ((column, tally),) = ((column, counted[column.name]) for column in question.kept)
    if not question.missing:
        refuse_hollow(rows, column, tally.present)
    if (tally.present - tally.failing) / tally.present >= each.kwargs.get("mostly", 1):
        return None
    return f"{tally.failing} of {tally.present} values"


def _problem(each: Expectation, rows: Rows) -> str | None:
    asked = SUPPORTED[each.type]
    return asked.problem(rows, each.kwargs) if isinstance(asked, OfRows) else None
