"""What values a column may have: the domain that a pandera schema declares, else the one that the data shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd

from pytest_leanml.checks.custom import load
from pytest_leanml.checks.schemas import schema_of, schema_of_file
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import series
from pytest_leanml.sources.faults import calling, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Domain = dict[str, Any]
MANY = 500  # distinct values of the data that a domain of choices keeps
_TIMEOUT = 120.0  # seconds; a regular expression may be slow to draw from
_PROGRAM = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]); from pytest_leanml.checks.drawing import main; main()"
)
_LOWER = {"greater_than": True, "greater_than_or_equal_to": False}
_UPPER = {"less_than": True, "less_than_or_equal_to": False}


def declared_schema(asked: str | None, root: Path) -> Any:
    """Return the pandera schema of ``data.schema``, None where there is none.

    Args:
        asked: ``module:Class``, or a path to YAML relative to ``root``.
        root: the folder of leanml.yaml.

    Raises:
        ConfigError: it cannot be used.
        SourceError: its module cannot be imported.
    """
    if asked is None:
        return None
    if asked.lower().endswith((".yaml", ".yml")):
        return schema_of_file(root / asked)
    return schema_of(load(asked, root, key="data.schema"))


def allowed(schema: Any, name: str) -> tuple[Any, ...]:
    """Return the set of values that a schema allows a column, nothing where it declares none."""
    part = None if schema is None else schema.columns.get(name)
    checks = _checks(part)
    return tuple(plain(each) for each in checks["isin"]["allowed_values"]) if "isin" in checks else ()


def domains_of(frame: Any, columns: Sequence[str], schema: Any = None) -> dict[str, Domain]:
    """Return the domain of each column.

    Args:
        frame: the evaluation data; it gives what the schema leaves open, and all of it without a schema.
        columns: those that may be changed.
        schema: a pandera schema, None without one.

    Raises:
        InconclusiveError: a column has no value at all, and the schema declares none.
    """
    declared = {str(name): part for name, part in schema.columns.items()} if schema is not None else {}
    return {name: _domain(series(frame, name), _checks(declared.get(name)), name) for name in columns}


def _checks(part: Any) -> dict[str, Mapping[str, Any]]:
    return {} if part is None else {str(each.name): each.statistics or {} for each in part.checks or ()}


def _domain(values: pd.Series[Any], checks: Mapping[str, Mapping[str, Any]], name: str) -> Domain:
    if "isin" in checks:
        return {"kind": "choice", "values": [plain(each) for each in checks["isin"]["allowed_values"]]}
    if "equal_to" in checks:
        return {"kind": "choice", "values": [plain(checks["equal_to"]["value"])]}
    known = values.dropna()
    kind = kind_of(known)
    if kind in ("int", "float"):
        return _numbers(known, checks, name, kind)
    if "str_matches" in checks and kind == "text":
        return {"kind": "text", "pattern": _pattern(checks["str_matches"]["pattern"])}
    if "str_length" in checks and kind == "text":
        size = checks["str_length"]
        return {"kind": "text", "shortest": size.get("min_value") or 0, "longest": size.get("max_value") or 40}
    _refuse_empty(known, name)
    # What cannot be written as JSON (times) is drawn by its place among the data's own values.
    return {"kind": "bool"} if kind == "bool" else {"kind": "choice", "values": list(distinct(known))}


def _refuse_empty(known: pd.Series[Any], name: str) -> None:
    if len(known) == 0:
        raise InconclusiveError(
            f"the column `{name}` has no value in any row, so that nothing but missing values could be drawn",
            "values, or a schema that declares a range or a set",
            "look at how the data is made, or leave the column out",
        )


def _pattern(pattern: Any) -> str:
    return str(getattr(pattern, "pattern", pattern))


def _numbers(known: pd.Series[Any], checks: Mapping[str, Mapping[str, Any]], name: str, kind: str) -> Domain:
    low, high, opened = _bounds(checks)
    if low is None or high is None:
        finite = known[np.isfinite(known.to_numpy(dtype=float))]
        _refuse_empty(finite, name)
        # A range that the schema leaves open on one side ends where the data ends.
        low = plain(finite.min()) if low is None else low
        high = plain(finite.max()) if high is None else high
        low, high = min(low, high), max(low, high)
    low, high = (int(np.ceil(low)), int(np.floor(high))) if kind == "int" else (float(low), float(high))
    return {"kind": kind, "min": low, "max": high, **dict.fromkeys(opened, True)}


def _bounds(checks: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any, list[str]]:
    low: Any = None
    high: Any = None
    opened: list[str] = []
    between = checks.get("in_range")
    if between is not None:
        low, high = plain(between["min_value"]), plain(between["max_value"])
        opened += [side for side in ("min", "max") if between.get(f"include_{side}") is False]
    for check, strict in _LOWER.items():
        if check in checks:
            low = plain(checks[check]["min_value"])
            opened += ["min"] if strict else []
    for check, strict in _UPPER.items():
        if check in checks:
            high = plain(checks[check]["max_value"])
            opened += ["max"] if strict else []
    return low, high, [f"open_{side}" for side in opened]


def kind_of(known: pd.Series[Any]) -> str:
    """Return int, float, bool, text or other, of a column without its missing values."""
    dtype = known.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(dtype):
        return "int"
    if pd.api.types.is_numeric_dtype(dtype):
        return "float"
    return {"string": "text", "boolean": "bool"}.get(pd.api.types.infer_dtype(known, skipna=True), "other")


def distinct(known: pd.Series[Any]) -> tuple[Any, ...]:
    """Return the distinct values, at most ``MANY`` of them, in the order of their first appearance.

    Raises:
        MeasurementError: they cannot be told apart, such as lists.
    """
    try:
        found = known.drop_duplicates()
        step = max(1, -(-len(found) // MANY))
        return tuple(dict.fromkeys(plain(each) for each in found.iloc[::step]))
    except TypeError as fault:
        raise MeasurementError(
            f"the column `{known.name}` holds values that cannot be told apart ({fault})",
            "numbers, texts, times or truth values",
            "leave the column out",
        ) from fault


def plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own number; anything else as it is."""
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value


def pools(domains: Mapping[str, Domain], *, count: int, seed: int) -> dict[str, list[Any]]:
    """Draw values from each domain with Hypothesis, the ends of every range among them.

    Args:
        domains: name -> domain.
        count: values to draw of each; a domain that holds fewer gives all it has.
        seed: of leanml.yaml; the same one draws the same values.

    Raises:
        ConfigError: Hypothesis cannot draw from a domain, such as a regular expression that matches nothing.
        InconclusiveError: a column has no value at all.
    """
    if not domains:
        return {}
    asked = {name: _by_place(each) for name, each in domains.items()}
    seeds = {name: crc32(f"{seed} {name}".encode()) for name in domains}
    found = _ask({"domains": asked, "seeds": seeds, "count": count})
    return {name: _completed(found[name], domain, name) for name, domain in domains.items()}


def _by_place(domain: Domain) -> Domain:
    if domain["kind"] != "choice":
        return domain
    return {"kind": "int", "min": 0, "max": max(len(domain["values"]) - 1, 0)}


def _completed(found: list[Any], domain: Domain, name: str) -> list[Any]:
    if domain["kind"] == "choice":
        values = [domain["values"][place] for place in found if place < len(domain["values"])]
    elif domain["kind"] in ("int", "float"):
        ends = [domain[side] for side in ("min", "max") if not domain.get(f"open_{side}")]
        values = list(dict.fromkeys([*ends, *found]))
    else:
        values = found
    if all(pd.isna(each) for each in values):
        raise InconclusiveError(
            f"nothing but missing values can be drawn for `{name}`", "a value", "declare a range or a set"
        )
    return values


def _ask(question: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Run the drawing program: isolated, in a folder of its own, with nothing of the user's environment."""
    with tempfile.TemporaryDirectory(prefix="leanml-") as folder:
        environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
        try:
            said = subprocess.run(  # noqa: S603 - this interpreter, a fixed program, data on stdin
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(_places())],
                input=json.dumps(question),
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                timeout=_TIMEOUT,
                env={**environment, "HYPOTHESIS_STORAGE_DIRECTORY": folder},
            )
        except subprocess.TimeoutExpired:
            raise _undrawn(f"no answer within {_TIMEOUT:g} s") from None
    if said.returncode:
        raise _undrawn((said.stderr.strip().splitlines() or ["it died"])[-1])
    found: dict[str, list[Any]] = json.loads(said.stdout)
    return found


def _undrawn(why: str) -> ConfigError:
    return ConfigError(
        f"no values could be drawn: {why[:300]}",
        "ranges, sets and regular expressions that something matches",
        "correct the schema, or name the columns to be changed",
    )


def _places() -> list[str]:
    """Return where this package and Hypothesis lie, which is found without importing it."""
    spec = find_spec("hypothesis")
    if spec is None or spec.origin is None:
        raise ConfigError("Hypothesis is not installed", "the package hypothesis", "python -m pip install hypothesis")
    return list(dict.fromkeys([str(Path(__file__).parents[2]), str(Path(spec.origin).parents[1])]))


def valid_rows(frame: pd.DataFrame, schema: Any) -> NDArray[np.bool_]:
    """Tell which rows a pandera schema accepts, shape (n,); all of them without one.

    A failure that belongs to no row (a missing column) refuses them all.

    Raises:
        SourceError: the schema cannot be applied.
    """
    valid = np.ones(len(frame), dtype=bool)
    if schema is None or not len(frame):
        return valid
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors

    with (
        calling("the schema cannot be applied to rows made for a check", "a schema", "correct it, or what it calls"),
        quiet(),
        config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA),
    ):
        try:
            _without_unique(schema).validate(_as_wanted(frame.reset_index(drop=True), schema), lazy=True)
        except SchemaErrors as found:
            rows = pd.Series(np.asarray(found.failure_cases["index"]), dtype=object)
            if rows.isna().any():
                return np.zeros(len(frame), dtype=bool)
            valid[rows.astype(int).to_numpy()] = False
    return valid


def _without_unique(schema: Any) -> Any:
    """Return a copy that lets rows repeat: several are made from one, ids and all."""
    found = deepcopy(schema)
    found.unique = None
    for part in found.columns.values():
        part.unique = False
    return found


def _as_wanted(frame: pd.DataFrame, schema: Any) -> Any:
    if not type(schema).__module__.startswith("pandera.api.polars"):
        return frame
    import polars as pl

    return pl.from_pandas(frame)
