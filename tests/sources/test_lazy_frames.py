"""Tables that are declared lazy, or that a fixture returns lazy, with digest and newest time."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pytest_leanml.config import load_config
from pytest_leanml.digest import digest_file
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.frames import describe, read_lazily, read_table, table_facts
from pytest_leanml.sources.lazy_parquet import ParquetRows
from pytest_leanml.sources.lazy_tables import summary_digest
from pytest_leanml.workbench import Workbench

TABLE = pa.table({"x": [1.0, 2.0], "time": pa.array([datetime(2026, 3, d, tzinfo=UTC) for d in (1, 2)])})


@pytest.fixture
def path(tmp_path):
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_a_lazy_file_has_the_facts_of_one_in_memory(path):
    lazy, eager = (read(path, name="train", time="time") for read in (read_lazily, read_table))
    assert table_facts(lazy) == table_facts(eager)
    assert table_facts(lazy)["newest"] == "2026-03-02T00:00:00Z"
    assert isinstance(lazy.frame, ParquetRows)


def test_a_naive_time_counts_as_utc(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"time": [datetime(2026, 3, 1)]}), path)  # noqa: DTZ001 - what is tested
    assert read_lazily(path, name="train", time="time").newest == "2026-03-01T00:00:00Z"
    pq.write_table(pa.table({"time": pa.array([], pa.timestamp("us"))}), path)
    assert read_lazily(path, name="train", time="time").newest is None


def test_the_digest_is_demanded(path):
    assert read_lazily(path, name="train", expected_digest=digest_file(path)).digest == digest_file(path)
    with pytest.raises(SourceError, match=r"as data\.train\.digest says"):
        read_lazily(path, name="train", expected_digest="sha256:" + "0" * 64)


def test_only_parquet_is_read_lazily(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a\n1\n")
    with pytest.raises(SourceError, match=r"\.csv with lazy: true") as told:
        read_lazily(path, name="train")
    assert told.value.file == path


def test_a_file_of_no_columns_or_of_a_name_twice_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({}), path)
    with pytest.raises(SourceError, match="no columns"):
        read_lazily(path, name="train")
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(SourceError, match="used twice: a"):
        read_lazily(path, name="train")


def test_leanml_yaml_asks_for_it(path):
    (path.parent / "leanml.yaml").write_text("version: 1\ndata: {train: {path: rows.parquet, lazy: true}}\n")
    config = load_config(path.parent / "leanml.yaml")
    bench = Workbench(config, "2026-11-24T00:00:00Z", lambda: (None, None), lambda *_args, **_fields: None)
    assert isinstance(bench.frame("train"), ParquetRows)


def test_a_lazy_fixture_is_bound_to_what_its_engine_says(path):
    frame = pl.scan_parquet(path)
    table = describe(frame, name="train", time="time")
    assert (table.origin, table.newest) == ("fixture", "2026-03-02T00:00:00Z")
    assert table.digest == summary_digest(frame)
    assert table.frame is frame
    with pytest.raises(SourceError, match="no columns"):
        describe(pl.LazyFrame(), name="train")


def test_an_arrow_table_is_a_frame():
    table = describe(TABLE, name="train", time="time")
    assert table_facts(table) == {"digest": table.digest, "rows": 2, "columns": 2, "newest": "2026-03-02T00:00:00Z"}
    assert table.digest == describe(pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]), name="train").digest
