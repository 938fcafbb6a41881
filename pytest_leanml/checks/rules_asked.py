"""From the settings of a rule to what it finds in a table: one function for each metric of data quality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks import rules, rules_tables
from pytest_leanml.checks.expectations import check_suite, read_suite
from pytest_leanml.checks.moments import seconds_since
from pytest_leanml.checks.rules_rows import Rows
from pytest_leanml.checks.rules_values import among, matching, within
from pytest_leanml.checks.schema_drift import LEVELS, schema_differences
from pytest_leanml.config.patterns import whole
from pytest_leanml.config.rule_params import bounds_of
from pytest_leanml.errors import ConfigError
from pytest_leanml.sources.frames import read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import narwhals as nw

    from pytest_leanml.checks.rules import Found, Question
    from pytest_leanml.checks.rules_rows import Column
    from pytest_leanml.checks.study import Study

    Params = Mapping[str, Any]

NEAR_CONSTANT = 0.99
_HOUR = 3600


def rows_of(study: Study, data: str) -> Rows:
    """Return a table of the study as rules ask it; made once per run.

    Raises:
        ConfigError: it is not declared.
        SourceError: it cannot be read.
    """
    frame = study.table(data).frame
    return study.once(("rows", data), lambda: Rows(frame, f"the {data} data"))


def question(metric: str, params: Params, rows: Rows) -> Question | None:
    """Return what a rule counts in the one pass that it shares with others; None where it needs a pass of its own.

    Raises:
        ConfigError: a value that is no time, for a column of times.
        SourceError: an absent column.
    """
    if metric == "not_null":
        return rules.Question(dict.fromkeys(rows.columns(params.get("columns", rows.names))), missing=True)
    condition = _CONDITIONS.get(metric)
    if condition is None:
        return None
    return rules.Question(
        {each: condition(each, params["columns"][each.name]) for each in rows.columns(params["columns"])}
    )


_CONDITIONS: Mapping[str, Callable[[Column, Any], nw.Expr | None]] = {
    "between": lambda column, given: within(column, bounds_of(given)),
    "in_set": among,
    "matches": lambda column, given: matching(column, whole(given)),
}


def find(metric: str, params: Params, study: Study, rows: Rows) -> Found:
    """Find what a rule with a pass of its own asks for.

    Raises:
        ConfigError: data or a column of times that is not declared; a suite that cannot be used.
        InconclusiveError: no rows, or a column without any value.
        SourceError: an absent column, or data that cannot be read.
    """
    return _FIND[metric](params, study, rows)


def _unique(params: Params, _study: Study, rows: Rows) -> Found:
    if "key" in params:
        return rules.repeated_keys(rows, rows.columns(params["key"]))
    return rules.repeated_values(rows, rows.columns(params["columns"]))


def _references(params: Params, study: Study, rows: Rows) -> Found:
    homes = {name: (_home(study, home), home["column"]) for name, home in params["columns"].items()}
    return rules_tables.strangers(rows, homes)


def _home(study: Study, home: Mapping[str, str]) -> Rows:
    if "table" in home:
        return rows_of(study, home["table"])
    path, digest = study.settings.root / home["path"], home.get("digest")

    def read() -> Rows:
        return Rows(read_table(path, name=home["path"], expected_digest=digest).frame, home["path"])

    return study.once(("home", str(path), digest), read)


def _freshness(params: Params, study: Study, rows: Rows) -> Found:
    name = params.get("column", study.settings.time)
    if name is None:
        raise ConfigError("no column of times", "`data: {time: <column>}`, or a column", "name it", key="data.time")
    (column,) = rows.columns([name])
    then = rules_tables.newest(rows, column)
    hours = seconds_since(study, then, f"the newest `{name}` of {rows.name}") / _HOUR
    return rules.Found(rows.count, {}, unit="hour", number=hours, details={"newest": then.isoformat()})


def _drift(params: Params, study: Study, rows: Rows) -> Found:
    settings = study.settings
    # Production rows have no label yet.
    label = () if settings.target is None or settings.target in rows.names else (settings.target,)
    apart = (*settings.ids, *label, *params.get("ignore", ()))
    levels = params.get("levels", LEVELS)
    return schema_differences(rows_of(study, "train"), rows, apart=apart, levels=levels)


def _duplicates(params: Params, study: Study, rows: Rows) -> Found:
    # Rows that differ in nothing but what tells rows apart are duplicates.
    own = [name for name in rows.names if name not in study.settings.ids]
    return rules.duplicated_rows(rows, rows.columns(params.get("columns", own)))


def _constant(params: Params, _study: Study, rows: Rows) -> Found:
    return rules.constant_columns(rows, rows.columns(params.get("columns", rows.names)))


def _near_constant(params: Params, _study: Study, rows: Rows) -> Found:
    columns = rows.columns(params.get("columns", rows.names))
    return rules.near_constant_columns(rows, columns, params.get("share", NEAR_CONSTANT))


def _suite(params: Params, study: Study, rows: Rows) -> Found:
    return check_suite(read_suite(study.settings.root / params["path"]), rows)


_FIND: Mapping[str, Callable[[Params, Study, Rows], Found]] = {
    "unique": _unique,
    "references": _references,
    "freshness_hours": _freshness,
    "schema_drift": _drift,
    "duplicates": _duplicates,
    "constant_columns": _constant,
    "near_constant_columns": _near_constant,
    "suite": _suite,
}
