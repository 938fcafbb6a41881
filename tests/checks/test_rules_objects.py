"""Columns of more than one type, as pandas and polars hold them: nothing is taken for what it is not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.rules_objects import key_of
from pytest_leanml.checks.rules_rows import MERGE_AT, Rows
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.errors import SourceError
from pytest_leanml.sources import lazy
from pytest_leanml.sources.tables import Table

VALUES = [1, 1.0, "1", True, None, float("nan"), "a", 10**400, -(10**400), b"1", date(2026, 1, 1), Decimal("1.5"), [1]]


def objects(values):
    return pd.DataFrame({"v": pd.Series(values, dtype=object), "n": range(len(values))})


def polars_objects(values):
    return pl.DataFrame({"v": pl.Series(values, dtype=pl.Object), "n": range(len(values))})


@pytest.fixture(params=[objects, polars_objects])
def make(request):
    return request.param


def checks_of(frame):
    table = Table("evaluation", frame, "sha256:" + "0" * 64, "memory")
    settings = StudySettings(evaluated_at="2026-01-06T12:00:00Z")
    known = {"evaluation": table, "train": table}
    return DataQuality(Study(settings, candidate=None, champion=None, table=known.get, sink=lambda _record: None))


def test_each_rule_of_values(make):
    checks = checks_of(make(VALUES))
    present = len(VALUES) - 2
    assert float(checks.not_null("v")) == 2
    assert float(checks.unique("v")) == 2  # 1 and 1.0
    assert float(checks.between("v", 1, 1)) == present - 2
    assert float(checks.between("v", 1, 2)) == present - 3
    assert float(checks.between("v", None, 2)) == present - 3  # what is too large for a float counts as infinite
    assert float(checks.between("v", "0", "2")) == present - 1
    assert float(checks.in_set("v", [1, "a"])) == present - 3
    assert float(checks.in_set("v", [True])) == present - 1
    assert float(checks.matches("v", "[a1]")) == present - 2
    assert float(checks.constant_columns()) == 0
    assert float(checks.references({"v": {"table": "train", "column": "v"}})) == 0
    assert float(checks.references({"v": {"table": "train", "column": "n"}})) == present - 2
    assert "'1'" in checks.between("v", 1, 1).details["first"]


def test_times_of_two_types(make):
    values = [date(2026, 1, 5), datetime(2026, 1, 4, tzinfo=UTC), None, datetime(2026, 1, 5, 12)]  # noqa: DTZ001 - meant
    assert float(checks_of(make(values)).freshness_hours("v")) == 24
    with pytest.raises(SourceError, match="holds mixed values, not times"):
        checks_of(make([*values, "2026-01-01"])).freshness_hours("v")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (1, "number 1"),
        (np.int8(1), "number 1"),
        (1.5, "number 3/2"),
        (Decimal("1.5"), "number 3/2"),
        (float("inf"), "number inf"),
        (10**400, f"number {10**400}"),
        ("1", "text '1'"),
        (True, "boolean True"),
        (np.bool_(True), "boolean True"),
        (datetime(2026, 1, 1, tzinfo=UTC), "time 2026-01-01T00:00:00+00:00"),
        (datetime(2026, 1, 1), "time 2026-01-01T00:00:00+00:00"),  # noqa: DTZ001 - meant
        (date(2026, 1, 1), "date 2026-01-01"),
        (b"1", "bytes b'1'"),
    ],
)
def test_values_are_equal_when_their_keys_are(value, key):
    assert key_of(value) == key


def test_lists_are_values_that_lie_nowhere():
    table = pa.table({"v": [[1], [1], None]})
    for frame in (table, pl.from_arrow(table)):
        checks = checks_of(frame)
        assert float(checks.not_null()) == 1
        assert float(checks.unique("v")) == 2
        assert float(checks.between("v", 0, 5)) == 2
        assert float(checks.in_set("v", [1])) == 2


def test_constant_columns_of_lists_in_an_engine():
    table = pa.table({"v": [[1], [1], None], "w": [[1], [2], None]})
    for frame in (pl.from_arrow(table).lazy(), duckdb.from_arrow(table)):
        assert list(checks_of(frame).constant_columns().by) == ["v"]
    assert list(checks_of(table).constant_columns().by) == ["v"]


def test_a_bound_beyond_all_floats():
    checks = checks_of(pd.DataFrame({"v": [1.0, 2.0, np.inf, -np.inf]}))
    assert float(checks.between("v", None, 10**400)) == 2
    assert float(checks.between("v", -(10**400), 10**400)) == 2
    assert float(checks.between("v", 10**400)) == 4
    assert float(checks.between("v", None, -(10**400))) == 4
    single = checks_of(pd.DataFrame({"v": np.array([1.0, np.inf], np.float32)}))
    assert float(single.between("v", 0, 1e300)) == 1


def test_a_column_name_twice_is_refused():
    with pytest.raises(SourceError, match="column names used twice: a"):
        Rows(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "it")


def test_many_combinations_of_many_batches_are_merged_on_the_way(monkeypatch):
    class Batches(lazy.Batched):
        tables = tuple(pa.table({"v": range(start, start + 40)}) for start in range(0, 200, 20))
        schema = tables[0].schema
        rows = 400

        def batches(self, columns):
            yield from (table.select(list(columns)) for table in self.tables)

    monkeypatch.setattr("pytest_leanml.checks.rules_rows.MERGE_AT", 50)
    assert MERGE_AT > 50
    rows = Rows(Batches(), "it")
    (column,) = rows.columns(["v"])
    counted = rows.counts([column])
    assert (len(counted), sum(count for _, count in counted)) == (220, 400)
    assert rows.repeats([column]) == 360
    assert rows.distinct([column]) == {"v": 220}


def test_a_fault_of_an_engine_is_told():
    broken = pl.LazyFrame({"v": ["x"]}).with_columns(pl.col("v").cast(pl.Int64))
    with pytest.raises(SourceError, match="polars lazy cannot answer"):
        checks_of(broken).between("v", 0, 1)
