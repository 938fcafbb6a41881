"""Pandera schemas: found, refused where they could let anything pass, and validated in full."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, is_polars, nearest, row_count, series, to_pandas
from pytest_leanml.sources.faults import quiet, told_as
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FIRST = 5
_SHOWN_CHARACTERS = 200
_TOP = {
    *("schema_type", "version", "api", "dataframe_library", "columns", "checks", "index", "multiindex", "dtype"),
    *("coerce", "strict", "name", "ordered", "unique", "report_duplicates", "unique_column_names"),
    *("add_missing_columns", "title", "description", "metadata", "drop_invalid_rows"),
}
_COLUMN = {
    *("title", "description", "dtype", "nullable", "checks", "unique", "coerce", "required", "regex", "name"),
    *("default", "report_duplicates", "drop_invalid_rows", "metadata"),
}


@dataclass(frozen=True, slots=True)
class Failures:
    """What a validation found.

    Attributes:
        count: failing values of every check, and missing columns.
        first: the first of them, as short texts.
        by: column -> number of failures.
    """

    count: int
    first: tuple[str, ...]
    by: dict[str, dict[str, float | int | None]]


def schema_of(found: Any) -> Any:
    """Return the pandera schema of an object.

    Args:
        found: a ``DataFrameSchema``, or a ``DataFrameModel`` class, for pandas or polars.

    Raises:
        ConfigError: anything else; a schema that demands nothing; one that drops invalid rows instead of telling.
    """
    if inspect.isclass(found) and callable(getattr(found, "to_schema", None)):
        with told_as(
            f"the schema {found.__name__} cannot be built", "a pandera DataFrameModel", also=_pandera_errors()
        ):
            found = found.to_schema()  # type: ignore[attr-defined]  # asked for in the line above
    if inspect.isclass(found) or not callable(getattr(found, "validate", None)) or not hasattr(found, "columns"):
        raise ConfigError(
            f"a {type(found).__name__} is no schema of a table",
            "a pandera DataFrameModel or DataFrameSchema",
            "correct `data.schema`",
            key="data.schema",
        )
    return _refuse_lax(found)


def schema_of_file(path: Path) -> Any:
    """Read a pandera schema from YAML, as ``pandera.io.to_yaml`` writes it.

    Pandera ignores what it does not know, so that ``nulable: false`` would demand nothing; here it is refused.

    Raises:
        ConfigError: it is absent, no YAML, has unknown keys, or demands nothing.
    """
    with told_as("the schema cannot be read", "a file of YAML", file=path):
        text = path.read_text("utf-8")
    value = load_yaml(text, file=path).value
    if not isinstance(value, dict):
        raise ConfigError("the schema is no mapping", "`columns:` and their checks", file=path)
    plain = _checked(value, path)
    with quiet(), told_as("the schema cannot be built", "a pandera schema", file=path, also=_pandera_errors()):
        from pandera.io.pandas_io import deserialize_schema

        return _refuse_lax(deserialize_schema(plain))  # type: ignore[no-untyped-call]  # pandera's own


def failures(schema: Any, frame: Any, name: str) -> Failures:
    """Validate a frame in full and count what fails.

    Args:
        schema: a pandera schema for pandas or polars; the frame is converted where it is of the other library.
        frame: a pandas or polars frame; it is not changed.
        name: train, evaluation or production, for messages.

    Raises:
        InconclusiveError: a column of the schema has no value at all.
        SourceError: a check raised an error, or the schema cannot be applied.
    """
    fitting = _converted(schema, frame)
    _refuse_hollow(schema, fitting, name)
    from pandera.errors import SchemaErrors

    todo = "correct the schema; an error in a check says nothing of the data"
    try:
        with (
            _in_full(),
            told_as(f"the schema cannot be applied to the {name} data", "a schema", todo, also=_definition_errors()),
        ):
            schema.validate(fitting, lazy=True)
    except SchemaErrors as found:
        return _counted(found, name)
    return Failures(0, (), {})


def _pandera_errors() -> tuple[type[Exception], ...]:
    with quiet():
        from pandera.errors import SchemaDefinitionError, SchemaInitError
    return SchemaDefinitionError, SchemaInitError


def _definition_errors() -> tuple[type[Exception], ...]:
    with quiet():
        from pandera.errors import BackendNotFoundError, SchemaError
    return (*_pandera_errors(), BackendNotFoundError, SchemaError)


def _refuse_lax(schema: Any) -> Any:
    """Refuse a schema that cannot fail, or that removes failing rows instead of telling."""
    parts = [schema, *schema.columns.values(), *_index_of(schema)]
    if any(getattr(part, "drop_invalid_rows", False) for part in parts):
        raise _drops_rows()
    checks = [check for part in parts for check in getattr(part, "checks", None) or ()]
    if any(getattr(check, "raise_warning", False) for check in checks):
        raise ConfigError("a check of the schema only warns", "`raise_warning: false`", "remove the setting")
    demanded = schema.columns or checks or schema.dtype or schema.unique or _index_of(schema)
    if not demanded:
        raise ConfigError("the schema demands nothing", "at least one column or check", "declare the columns")
    return schema


def _drops_rows(file: Path | None = None) -> ConfigError:
    return ConfigError(
        "the schema drops invalid rows instead of telling",
        "`drop_invalid_rows: false`",
        "remove the setting",
        file=file,
    )


def _index_of(schema: Any) -> list[Any]:
    index = getattr(schema, "index", None)
    return [] if index is None else list(getattr(index, "indexes", None) or [index])


def _converted(schema: Any, frame: Any) -> Any:
    wants_polars = type(schema).__module__.startswith("pandera.api.polars")
    if wants_polars == is_polars(frame):
        return frame
    if not wants_polars:
        return to_pandas(frame)
    import polars as pl

    return pl.from_pandas(frame)


def _refuse_hollow(schema: Any, frame: Any, data: str) -> None:
    """Refuse a demanded column without any value: most checks ignore missing values, so it would pass them all."""
    for name in column_names(frame):
        if _demands(schema, name) and series(frame, name).isna().all():
            raise InconclusiveError(
                f"the column `{name}` of the {data} data has no value in any row",
                "at least one value to check",
                "look at how the data is made, or take the column out of the schema",
            )


def _demands(schema: Any, name: str) -> bool:
    return any(
        bool(re.match(str(wanted), name)) if getattr(part, "regex", False) else str(wanted) == name
        for wanted, part in schema.columns.items()
    )


@contextmanager
def _in_full() -> Iterator[None]:
    """Validate schema and data, whatever the environment says: PANDERA_VALIDATION_ENABLED=False would pass anything."""
    from pandera.config import ValidationDepth, config_context

    with quiet(), config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        yield


def _counted(found: Any, name: str) -> Failures:
    _refuse_broken_checks(found.schema_errors, name)
    cases = found.failure_cases
    columns = Counter(map(_where, column(cases, "schema_context").tolist(), column(cases, "column").tolist()))
    by: dict[str, dict[str, float | int | None]] = {each: {"value": float(n)} for each, n in sorted(columns.items())}
    first = cases.head(_FIRST)
    rows = first.to_dicts() if is_polars(first) else first.to_dict("records")
    # Raised means failed, whatever the table of cases holds.
    return Failures(max(1, row_count(cases)), tuple(map(_case, rows)), by)


def _refuse_broken_checks(errors: list[Any], name: str) -> None:
    """Refuse a check that raised: it said nothing of the data. On a column of the wrong type it could not but raise."""
    mistyped = {_column_of(each) for each in errors if "DATATYPE" in _reason(each)} - {None}
    for each in errors:
        if _reason(each) == "CHECK_ERROR" and _column_of(each) not in mistyped:
            raise SourceError(
                f"a check of the schema raised an error on the {name} data: {_short(each)}",
                "checks that return true or false for every row",
                "correct the check; an error in it says nothing of the data",
            )


def _reason(error: Any) -> str:
    return str(getattr(error.reason_code, "name", ""))


def _column_of(error: Any) -> str | None:
    """Return the column that an error is about; None for one about the table."""
    name = None if hasattr(error.schema, "columns") else getattr(error.schema, "name", None)
    return None if name is None else str(name)


def _where(context: object, name: object) -> str:
    """Return the column that a case is about; pandera gives the schema's own name to one about the table."""
    return "table" if name is None or context == "DataFrameSchema" else str(name)


def _case(case: Mapping[str, Any]) -> str:
    where = _where(case.get("schema_context"), case.get("column"))
    row = f", row {case['index']}" if case.get("index") is not None else ""
    place = where if where == "table" else f"column {where}"
    return f"{place}: {case.get('check')} failed for {case.get('failure_case')!r}{row}"[:_SHOWN_CHARACTERS]


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS]


def _checked(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the schema's data with every check under `checks:`; refuse a key that pandera would ignore."""
    _refuse_unknown(value, _TOP, path, "")
    columns = value.get("columns") or {}
    if not isinstance(columns, dict):
        raise ConfigError("`columns` is no mapping", "column: {dtype, checks, ...}", file=path, key="columns")
    plain = {name: _checked_column(each, path, f"columns.{name}") for name, each in columns.items()}
    return {**value, "columns": plain}


def _checked_column(value: Any, path: Path, key: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{value!r}", "a mapping such as {dtype: int64}", "say what is demanded", file=path, key=key)
    from pandera.api.checks import Check

    # Newer versions of pandera also take checks beside `dtype`; older ones would ignore them.
    beside = {name: each for name, each in value.items() if name not in _COLUMN and _is_check(Check, name)}
    _refuse_unknown({name: each for name, each in value.items() if name not in beside}, _COLUMN, path, key)
    if not beside:
        return value
    if value.get("checks"):
        raise ConfigError("checks in two places", "all of them under `checks:`", "move them", file=path, key=key)
    return {**{name: each for name, each in value.items() if name in _COLUMN}, "checks": beside}


def _is_check(checks: Any, name: str) -> bool:
    return not name.startswith("_") and callable(getattr(checks, name, None))


def _refuse_unknown(value: dict[str, Any], known: set[str], path: Path, key: str) -> None:
    if value.get("drop_invalid_rows"):
        raise _drops_rows(path)
    unknown = sorted(set(value) - known)
    if unknown:
        raise ConfigError(
            f"the schema has an unknown key `{unknown[0]}`{nearest(unknown[0], known)}",
            f"one of {', '.join(sorted(known))}",
            "correct it: pandera would ignore it",
            file=path,
            key=key or None,
        )
