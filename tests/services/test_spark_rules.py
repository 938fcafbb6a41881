"""The rules of data quality in Spark, in a session whose zone is nobody's: what Python counts by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.tables import Table

TABLE = pa.table(
    {
        "id": [1, 2, 3, 5, 5],
        "x": [0.5, float("nan"), float("inf"), None, -0.0],
        "sex": ["F", "M", "X", None, "F"],
        "naive": pa.array([datetime(2026, 1, n, 12) for n in range(1, 6)], pa.timestamp("us")),  # noqa: DTZ001 - meant
        "at": pa.array([datetime(2026, 1, n, 12, tzinfo=UTC) for n in range(1, 6)], pa.timestamp("us", "UTC")),
        "day": [date(2026, 1, n) for n in range(1, 6)],
        "none": pa.array([None] * 5, pa.float64()),
        "one": [True] * 5,
    }
)


@pytest.fixture(scope="module")
def checks(spark, tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "t.parquet"
    pq.write_table(TABLE, path)
    frame = spark.read.parquet(str(path))
    tables = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name in ("train", "evaluation")}
    settings = StudySettings(evaluated_at="2026-01-06T12:00:00Z")
    return DataQuality(Study(settings, candidate=None, champion=None, table=tables.get, sink=lambda _record: None))


def test_counts(checks):
    assert float(checks.rows()) == 5
    assert float(checks.not_null("x", "sex", "id")) == 3
    assert float(checks.between({"x": [0, None]})) == 1  # infinity
    assert float(checks.in_set({"sex": ["F", "M"], "x": [0, 0.5]})) == 1 + 1
    assert float(checks.matches("sex", "[FM]")) == 1
    assert float(checks.unique("id", "sex")) == 4
    assert float(checks.unique(key=["id", "sex"])) == 0
    assert float(checks.duplicates("one", "x")) == 1
    assert sorted(checks.constant_columns().by) == ["none", "one"]
    assert sorted(checks.near_constant_columns(share=0.8).by) == ["none", "one"]
    assert float(checks.references({"id": {"table": "train", "column": "x"}})) == 5
    assert float(checks.schema_drift()) == 0


@pytest.mark.parametrize("name", ["naive", "at"])
def test_times_are_utc_whatever_the_sessions_zone(checks, name):
    assert float(checks.between(name, "2026-01-02T12:00:00Z", "2026-01-04T11:59:59Z")) == 3
    assert float(checks.in_set(name, ["2026-01-01T13:00:00+01:00"])) == 4
    assert float(checks.freshness_hours(name)) == 24


def test_days(checks):
    assert float(checks.between("day", "2026-01-02")) == 1
    assert float(checks.freshness_hours("day")) == 36


def test_a_column_of_nothing(checks):
    with pytest.raises(InconclusiveError, match="no value in any row"):
        checks.between("none", 0, 1)
