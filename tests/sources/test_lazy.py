"""The same questions to each engine that leaves its rows where they are, and to a Parquet file."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import duckdb
import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pytest_leanml.errors import MeasurementError, SourceError
from pytest_leanml.sources.columns import column, column_names, row_count, select
from pytest_leanml.sources.lazy import (
    Merge,
    Query,
    answers,
    engine_of,
    is_lazy,
    lazy_names,
    lazy_rows,
    merged,
    schema_of,
)
from pytest_leanml.sources.lazy_parquet import BATCH, ArrowRows, ParquetRows
from pytest_leanml.sources.lazy_tables import has_order, label_counts, newest_moment, summary_digest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATA = {
    "number": [1.5, None, float("nan"), -2.0, 1.5],
    "whole": [3, 1, None, 2, 3],
    "text": ["a", "b", None, "a", "a"],
    "flag": [True, False, None, True, True],
    "time": [NOON, NOON + timedelta(hours=1), None, NOON, NOON],
    "day": [date(2026, 1, 1), date(2026, 1, 2), None, date(2026, 1, 1), date(2026, 1, 1)],
}
TABLE = pa.table(DATA, schema=pa.schema({
    "number": pa.float64(), "whole": pa.int32(), "text": pa.string(), "flag": pa.bool_(),
    "time": pa.timestamp("us", "UTC"), "day": pa.date32(),
}))  # fmt: skip
ENGINES = ("polars", "duckdb", "arrow", "parquet")


@pytest.fixture
def lazy(tmp_path):
    connection = duckdb.connect()

    def make(engine: str, table: pa.Table = TABLE):
        if engine == "polars":
            return pl.from_arrow(table).lazy()
        if engine == "duckdb":
            connection.register("rows", table)
            return connection.table("rows")
        if engine == "arrow":
            return ArrowRows(table)
        path = tmp_path / "rows.parquet"
        pq.write_table(table, path, row_group_size=2)
        return ParquetRows(path)

    yield make
    connection.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_names_rows_types_and_labels(lazy, engine):
    frame = lazy(engine)
    schema = schema_of(frame)
    assert is_lazy(frame)
    assert column_names(frame) == lazy_names(frame) == tuple(DATA)
    assert row_count(frame) == lazy_rows(frame) == 5
    assert [name for name in DATA if has_order(schema[name])] == ["number", "whole", "time", "day"]
    found = label_counts(frame, ["text", "flag", "whole"], schema)
    assert found["text"].present == Counter({"a": 3, "b": 1})
    assert found["flag"].present == Counter({True: 3, False: 1})
    assert found["whole"].present == Counter({3: 2, 1: 1, 2: 1})
    assert {name: (side.filled, side.missing) for name, side in found.items()} == dict.fromkeys(found, (4, 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_newest_moment(lazy, engine):
    frame = lazy(engine)
    assert newest_moment(frame, "time") == NOON + timedelta(hours=1)
    assert newest_moment(frame, "day") == datetime(2026, 1, 2, tzinfo=UTC)
    with pytest.raises(SourceError, match="holds String"):
        newest_moment(frame, "text")
    with pytest.raises(SourceError, match="is not there"):
        newest_moment(frame, "nothing")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_moment_without_rows_and_a_fault_without_values(lazy, engine):
    assert newest_moment(lazy(engine, TABLE.slice(0, 0)), "time") is None
    with pytest.raises(SourceError, match="missing values only"):
        newest_moment(lazy(engine, TABLE.slice(2, 1)), "time")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_digest_of_a_summary_tells_tables_apart(lazy, engine):
    digest = summary_digest(lazy(engine))
    assert digest == summary_digest(lazy(engine))
    changed = TABLE.set_column(1, "whole", pa.array([3, 1, None, 2, 4], pa.int32()))
    for other in (changed, TABLE.slice(0, 4), TABLE.rename_columns(["n", *TABLE.column_names[1:]])):
        assert summary_digest(lazy(engine, other)) != digest


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_never_collected_in_silence(lazy, engine):
    frame = lazy(engine)
    with pytest.raises(SourceError, match="values of `number`"):
        column(frame, "number")
    with pytest.raises(SourceError, match="choice of columns"):
        select(frame, ["number"])


def test_lists_are_no_labels(lazy):
    frame = lazy("polars", pa.table({"list": [[1], [2]]}))
    with pytest.raises(MeasurementError, match="`list` holds List"):
        label_counts(frame, ["list"], schema_of(frame))


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_an_engine_that_cannot_answer_says_so(lazy, engine):
    query = Query(("nothing",), lambda rows: rows.select(nw.col("nothing").sum()), {"nothing": Merge.SUM})
    with pytest.raises(SourceError, match=f"{engine_of(lazy(engine))} cannot answer"):
        answers(lazy(engine), [query])


def test_nothing_asked_nothing_read(lazy):
    assert answers(lazy("polars"), []) == []


def test_batches_are_merged(tmp_path):
    rows = BATCH + 1000
    path = tmp_path / "rows.parquet"
    values = np.arange(rows)
    pq.write_table(pa.table({"key": values % 7, "value": values}), path)
    query = Query(
        ("key", "value"),
        lambda each: each.group_by("key").agg(n=nw.len(), lo=nw.col("value").min(), hi=nw.col("value").max()),
        {"n": Merge.SUM, "lo": Merge.LEAST, "hi": Merge.MOST},
        key="key",
    )
    (answer,) = answers(ParquetRows(path), [query])
    found = {row["key"]: (row["n"], row["lo"], row["hi"]) for row in answer.to_pylist()}
    assert found == {key: (len(values[key::7]), key, values[key::7][-1]) for key in range(7)}


def test_cells_by_number_are_merged_as_by_any_key():
    random = np.random.default_rng(0)
    parts = []
    for _ in range(5):
        cell = np.sort(random.choice(40, 20, replace=False)).astype(float)
        value = random.normal(size=20)
        parts.append(pa.table({"cell": cell, "rows": random.integers(1, 9, 20), "least": value, "most": value + 1}))
    merge = {"rows": Merge.SUM, "least": Merge.LEAST, "most": Merge.MOST}
    by_hash, by_place = (merged(parts, Query((), id, merge, key="cell", cells=cells)) for cells in (0, 41))
    assert by_place.select(by_hash.column_names).equals(by_hash.sort_by("cell"))
    assert by_place.num_rows < 41


def test_long_answers_are_merged_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_leanml.sources.lazy.MERGE_AT", 3)
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path)
    frame = ParquetRows(path)
    assert label_counts(frame, ["text"], schema_of(frame))["text"].present == Counter({"a": 3, "b": 1})


def test_dictionaries_are_their_values(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()}), path)
    for frame in (ParquetRows(path), ArrowRows(pq.read_table(path))):
        assert frame.schema.field("text").type == pa.string()
        assert label_counts(frame, ["text"], schema_of(frame))["text"].present == Counter({"a": 2, "b": 1})


def test_the_digest_is_that_of_the_file(tmp_path):
    from pytest_leanml.digest import digest_bytes

    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path)
    assert ParquetRows(path).digest() == digest_bytes(path.read_bytes())


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE, path)
    frame = ParquetRows(path)
    with path.open("ab") as handle:
        handle.write(b"more")
    with pytest.raises(SourceError, match="changed while it was read"):
        frame.digest()
    with pytest.raises(SourceError, match="changed while it was read"):
        list(frame.batches(["text"]))


def test_another_file_in_its_place_is_not_read(tmp_path):
    path, other = tmp_path / "rows.parquet", tmp_path / "other.parquet"
    pq.write_table(TABLE, path)
    frame = ParquetRows(path)
    pq.write_table(TABLE.slice(0, 1), other)
    other.replace(path)
    assert sum(batch.num_rows for batch in frame.batches(["text"])) == 5


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is not there"), (b"", "empty file"), (b"no parquet", "no parquet file")],
)
def test_what_is_no_parquet_file_is_told(tmp_path, content, says):
    path = tmp_path / "rows.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=says):
        ParquetRows(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(SourceError, match="is no file"):
        ParquetRows(tmp_path)


def test_a_broken_file_is_told_when_it_is_read(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"value": np.random.default_rng(0).normal(size=5000)}), path)
    data = bytearray(path.read_bytes())
    data[4:2000] = b"\0" * 1996
    path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read"):
        list(ParquetRows(path).batches(["value"]))


def test_no_rows_are_one_batch_of_none(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(TABLE.slice(0, 0), path)
    (batch,) = ParquetRows(path).batches(["whole"])
    assert (batch.num_rows, batch.column_names) == (0, ["whole"])
