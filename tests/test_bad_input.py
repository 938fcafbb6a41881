"""docs/bad-input.md is true: each of its rows is an input that is made here, checked for real, and ends as told.

To add a row: an id in the table, and a function here under ``@row("that-id")`` that makes the input and runs the check.
It returns a measurement and the limit it must keep, or raises what the check raises.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.limits import LimitMissedError, hold
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.config import Limit
from pytest_leanml.errors import InconclusiveError, LeanmlError
from pytest_leanml.sources.frames import describe
from pytest_leanml.sources.lazy import Batched
from pytest_leanml.sources.tables import Table
from pytest_leanml.vocabulary import Outcome

TABLE = Path(__file__).parents[1] / "docs" / "bad-input.md"
BUILDERS = {}
NONE = Limit(max=0)


def row(name):
    """Register the function that makes the input of a row and checks it."""

    def keep(function):
        assert name not in BUILDERS, name
        BUILDERS[name] = function
        return function

    return keep


def rows_of_the_table():
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(re.match("`([^`]+)`", first)[1], kind, outcome, why) for first, kind, outcome, why in cells]


def outcome_of(run):
    """Tell the outcome as the recorder would: a missed limit failed, what cannot be known inconclusive or an error."""
    try:
        measurement, limit = run()
        hold(measurement, limit)
    except LimitMissedError:
        return Outcome.FAILED
    except InconclusiveError:
        return Outcome.INCONCLUSIVE
    except LeanmlError:
        return Outcome.ERROR
    return Outcome.PASSED


def test_every_row_has_its_builder_and_every_builder_its_row():
    names = [name for name, *_ in rows_of_the_table()]
    assert len(names) == len(set(names)) > 30
    assert set(names) == set(BUILDERS)


@pytest.mark.parametrize(("name", "kind", "outcome", "why"), rows_of_the_table())
def test_each_row_ends_as_it_says(name, kind, outcome, why, tmp_path):
    assert why
    asks_for_a_folder = BUILDERS[name].__code__.co_argcount
    run = (lambda: BUILDERS[name](tmp_path)) if asks_for_a_folder else BUILDERS[name]
    assert outcome_of(run) == Outcome(outcome)


# Data quality.


def bound(name, frame):
    """Bind a frame as the fixtures do; what is read in batches is bound elsewhere."""
    known = isinstance(frame, pd.DataFrame | pl.DataFrame)
    return describe(frame, name=name) if known else Table(name, frame, "sha256:" + "0" * 64, "memory")


def data(evaluation, **more):
    settings = {"evaluated_at": "2026-11-24T12:00:00Z", **more.pop("settings", {})}

    def table(name):
        frame = {"evaluation": evaluation, **more}.get(name)
        return None if frame is None else bound(name, frame)

    study = Study(StudySettings(**settings), candidate=None, champion=None, table=table, sink=lambda _record: None)
    return DataQuality(study)


GOOD = pd.DataFrame({"x": [1.0, 2.0, 3.0], "sex": ["F", "M", "F"], "late": [0, 1, 0]})


@row("dq-column-gone")
def _():
    return data(GOOD).between("y", 0, 1), NONE


@row("dq-column-one-side")
def _():
    return data(GOOD.drop(columns="sex"), train=GOOD).schema_drift(), NONE


@row("dq-column-new")
def _():
    return data(GOOD, train=GOOD, production=GOOD.assign(new=1)).schema_drift(data="production"), NONE


@row("dq-label-one-side")
def _():
    unlabelled = GOOD.drop(columns="late")
    return data(GOOD, train=GOOD, production=unlabelled, settings={"target": "late"}).schema_drift(
        data="production"
    ), NONE


@row("dq-no-shared-column")
def _():
    return data(pd.DataFrame({"a": [1, 2]}), train=GOOD).schema_drift(), NONE


NULLS = pd.DataFrame({"x": [np.nan, np.nan], "y": [1, 2]})


@row("dq-null-column")
def _():
    return data(NULLS).between("x", 0, 1), NONE


@row("dq-null-column-not-null")
def _():
    return data(NULLS).not_null(), NONE


@row("dq-null-column-drift")
def _():
    return data(GOOD.assign(x=np.nan), train=GOOD).schema_drift(), NONE


@row("dq-null-key")
def _():
    return data(NULLS).unique(key=["x", "y"]), NONE


@row("dq-infinite-between")
def _():
    return data(pd.DataFrame({"x": [1.0, np.inf, 2.0]})).between("x", 0), NONE


@row("dq-infinite-mean")
def _(folder):
    write_suite(folder, "expect_column_mean_to_be_between", column="x", min_value=0)
    frame = pd.DataFrame({"x": [1.0, -np.inf, 2.0]})
    return data(frame, settings={"root": folder}).suite("suite.json"), NONE


@row("dq-nan-text")
def _():
    return data(pd.DataFrame({"x": [1.0, np.nan]})).not_null(), NONE


MIXED = pd.DataFrame({"x": [1, "1", 2.0, None]})


@row("dq-mixed-set")
def _():
    return data(MIXED).in_set("x", [1, 2]), NONE


@row("dq-mixed-between")
def _():
    return data(MIXED).between("x", 0, 5), NONE


@row("dq-mixed-unique")
def _():
    measured = data(pd.DataFrame({"x": [1, 1.0, "1", True]}, dtype=object)).unique("x")
    assert float(measured) == 2
    return measured, NONE


@row("dq-mixed-drift")
def _():
    return data(MIXED, train=pd.DataFrame({"x": [1, 2, 1, 2]})).schema_drift(), NONE


@row("dq-number-as-text")
def _():
    return data(pd.DataFrame({"x": ["1", "2"]})).between("x", 0, 5), NONE


@row("dq-one-category")
def _():
    return data(pd.DataFrame({"x": pd.Categorical(["a", "a", None], ["a", "b"])})).constant_columns(), NONE


@row("dq-zero-variance")
def _():
    return data(pd.DataFrame({"x": [0.5, 0.5]})).constant_columns(), NONE


@row("dq-one-row")
def _():
    return data(GOOD.head(1)).constant_columns(), NONE


@row("dq-no-rows")
def _():
    return data(GOOD.head(0)).not_null(), NONE


@row("dq-no-rows-rows")
def _():
    return data(GOOD.head(0)).rows(), Limit(min=1)


class Batches(Batched):
    """Rows that come in these batches."""

    def __init__(self, *tables):
        self.tables = tables

    @property
    def schema(self):
        return self.tables[0].schema

    @property
    def rows(self):
        return sum(table.num_rows for table in self.tables)

    def batches(self, columns):
        yield from (table.select(list(columns)) for table in self.tables)


FULL = pa.table({"x": [1.0, 2.0], "at": pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * 2)})
EMPTY = FULL.slice(0, 0)


@row("dq-empty-partition")
def _():
    checks = data(Batches(EMPTY, FULL, EMPTY, FULL.slice(0, 1)))
    assert (float(checks.rows()), float(checks.duplicates()), float(checks.unique("x"))) == (3, 1, 2)
    return checks.between("x", 1, 2), NONE


@row("dq-all-partitions-empty")
def _():
    return data(Batches(EMPTY, EMPTY)).between("x", 1, 2), NONE


@row("dq-zone-naive")
def _():
    naive = pd.DataFrame({"at": pd.to_datetime(["2026-01-01 00:00", "2026-01-01 12:00"])})
    return data(naive).between("at", "2026-01-01T01:00:00+01:00", "2026-01-01T12:00:00Z"), NONE


PARIS = pd.DataFrame({"at": pd.to_datetime(["2026-01-01 00:30", "2026-01-01 12:00"]).tz_localize("Europe/Paris")})


@row("dq-zone-other")
def _():
    return data(PARIS).between("at", "2025-12-31T23:30:00Z", "2026-01-01T11:00:00Z"), NONE


@row("dq-zone-drift")
def _():
    return data(PARIS.assign(at=PARIS["at"].dt.tz_localize(None)), train=PARIS).schema_drift(), NONE


@row("dq-future")
def _():
    return data(pd.DataFrame({"at": pd.to_datetime(["2026-11-24T12:00:01Z"])})).freshness_hours("at"), NONE


@row("dq-no-time")
def _():
    return data(pd.DataFrame({"at": ["2026-11-24", "yesterday"]})).freshness_hours("at"), Limit(max=1e9)


LEVELS = pl.DataFrame({"x": pl.Series([f"level {number}" for number in range(100_000)], dtype=pl.Categorical)})


@row("dq-levels")
def _():
    measured = data(LEVELS, train=LEVELS).schema_drift()
    assert measured.details["free_text"] == "x"
    return measured, NONE


@row("dq-levels-set")
def _():
    measured = data(LEVELS).in_set("x", ["level 7"])
    assert float(measured) == 99_999
    return measured, NONE


@row("dq-levels-reference")
def _():
    measured = data(LEVELS, train=LEVELS.head(99_999)).references({"x": {"table": "train", "column": "x"}})
    assert (float(measured), measured.details["first"]) == (1, "x: 'level 99999'")
    return measured, NONE


@row("dq-names-twice")
def _():
    return data(pd.DataFrame([[1, 2]], columns=["x", "x"])).not_null(), NONE


def write_suite(folder, kind, **kwargs):
    text = {"name": "s", "expectations": [{"type": kind, "kwargs": kwargs}]}
    (folder / "suite.json").write_text(json.dumps(text))


@row("dq-suite-unsupported")
def _(folder):
    write_suite(folder, "expect_column_kl_divergence_to_be_less_than", column="x", threshold=0.1)
    return data(GOOD, settings={"root": folder}).suite("suite.json"), NONE
