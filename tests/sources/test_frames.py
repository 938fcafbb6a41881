from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.frames import describe, read_bytes, read_table, table_facts

FRAME = pd.DataFrame(
    {
        "a": [1.5, np.nan, -2.0],
        "b": ["x", "y", "z"],
        "t": pd.to_datetime(["2013-01-01T00:00", "2013-03-31T23:00", None]),
    }
)


def write(frame: pd.DataFrame, path: Path) -> Path:
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".parquet" | ".pq":
            frame.to_parquet(path)
        case ".arrow" | ".feather":
            frame.to_feather(path)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.pq", "t.csv", "t.arrow", "t.feather", "T.CSV"])
def test_reads_each_format_with_the_digest_of_its_bytes(tmp_path, name):
    path = tmp_path / name
    write(FRAME, tmp_path / name.lower()).rename(path)
    table = read_table(path, name="train", time="t")
    assert table.digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    pd.testing.assert_frame_equal(table.frame[["a", "b"]], FRAME[["a", "b"]])
    assert table.newest == "2013-03-31T23:00:00Z"
    assert (table.name, table.origin) == ("train", str(path))
    assert table_facts(table) == {"digest": table.digest, "rows": 3, "columns": 3, "newest": table.newest}


def test_reads_an_arrow_stream(tmp_path):
    path = tmp_path / "t.arrow"
    content = pa.table({"a": [1, 2]})
    with pa.ipc.new_stream(path, content.schema) as writer:
        writer.write_table(content)
    assert read_table(path, name="train").frame["a"].tolist() == [1, 2]


def test_format_wins_over_the_suffix(tmp_path):
    path = tmp_path / "table.dat"
    path.write_text("a,b\n1,2\n")
    assert read_table(path, name="train", format="csv").frame["b"].tolist() == [2]
    with pytest.raises(SourceError, match=r"unknown table format \.dat"):
        read_table(path, name="train")
    with pytest.raises(SourceError, match="unknown table format xlsx"):
        read_table(path, name="train", format="xlsx")


def test_without_a_suffix(tmp_path):
    (tmp_path / "table").write_text("a\n1\n")
    with pytest.raises(SourceError, match="without a suffix"):
        read_table(tmp_path / "table", name="train")


def test_absent_folder_and_empty(tmp_path):
    with pytest.raises(SourceError, match="the train data is not there"):
        read_table(tmp_path / "no.csv", name="train")
    with pytest.raises(SourceError, match="the train data is no file"):
        read_table(tmp_path, name="train")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(SourceError, match="empty file"):
        read_table(tmp_path / "empty.csv", name="train")


def test_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")

    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SourceError, match="Permission denied"):
        read_bytes(path, what="the model")


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "feather"])
def test_truncated_files(tmp_path, suffix):
    path = write(FRAME, tmp_path / f"t.{suffix}")
    data = path.read_bytes()
    for keep in (10, len(data) // 2, len(data) - 9):
        path.write_bytes(data[:keep])
        with pytest.raises(SourceError, match=f"{path}: this is no"):
            read_table(path, name="train")


@pytest.mark.parametrize(
    "content", [b"   \n\n", b"\xff\xfe\x00\x81a,b\n\x80", b'a,b\n"1,2\n', b"a,b\n1,2,3\n4,5\n1,2,3,4\n"]
)
def test_broken_csv(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        read_table(path, name="train")


@pytest.mark.parametrize("text", ["a,b\n1,2,3\n4,5,6\n", "a,b\n0,2,3\n1,2,3\n", "a,b\nx,y,z\n"])
def test_every_row_longer_than_the_header_is_not_taken_for_an_index(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match="this is no csv file: ParserWarning"):
        read_table(path, name="train")


def test_a_renamed_format_is_refused(tmp_path):
    path = write(FRAME, tmp_path / "t.csv").rename(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="no parquet file"):
        read_table(path, name="train")


def test_a_column_name_used_twice(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(SourceError, match="used twice: a"):
        read_table(path, name="train")
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pyarrow.parquet.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="used twice: a"):
        read_table(tmp_path / "t.parquet", name="train")
    with pytest.raises(SourceError, match="used twice: a"):
        describe(pd.DataFrame([[1, 2]], columns=["a", "a"]), name="train")


def test_no_columns(tmp_path):
    pd.DataFrame(index=range(3)).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="no columns"):
        read_table(tmp_path / "t.parquet", name="train")
    with pytest.raises(SourceError, match="no columns"):
        describe(pd.DataFrame(index=range(3)), name="train")


def test_no_rows_can_be_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,t\n")
    table = read_table(path, name="train", time="t")
    assert table_facts(table)["rows"] == 0
    assert table.newest is None


def test_another_digest(tmp_path):
    path = write(FRAME, tmp_path / "t.csv")
    good = read_table(path, name="train").digest
    assert read_table(path, name="train", expected_digest=good).digest == good
    path.write_bytes(path.read_bytes() + b"9,z,\n")
    with pytest.raises(SourceError, match=good):
        read_table(path, name="train", expected_digest=good)


def test_an_unaligned_index_does_not_survive(tmp_path):
    FRAME[::-1].to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", name="train").frame.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2013-01-01", "2013-03-31T23:00:00Z"], "2013-03-31T23:00:00Z"),
        (["2013-01-01T12:00:00+02:00", None], "2013-01-01T10:00:00Z"),
        ([date(2013, 1, 1), date(2013, 5, 1)], "2013-05-01T00:00:00Z"),
        (pd.to_datetime(["2013-01-01T00:00:00.25"]), "2013-01-01T00:00:00.250000Z"),
        (pd.to_datetime(["2013-01-01"]).tz_localize("America/New_York"), "2013-01-01T05:00:00Z"),
        (pd.to_datetime(["2013-01-01T00:00:00.123456789"]), "2013-01-01T00:00:00.123456Z"),
    ],
)
def test_newest(values, expected):
    assert describe(pd.DataFrame({"t": values}), name="train", time="t").newest == expected


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([1, 2], "holds int64, not times"),
        (["2013-02-30"], "holds what is no time"),
        (["yesterday"], "holds what is no time"),
        ([None, None], "missing values only"),
        (["2013-01-01", 3], "not times"),
    ],
)
def test_no_times(values, match):
    with pytest.raises(SourceError, match=match):
        describe(pd.DataFrame({"t": values}), name="train", time="t")


def test_an_absent_time_column_names_the_nearest():
    with pytest.raises(SourceError, match="did you mean `time`"):
        describe(pd.DataFrame({"time": ["2013-01-01"]}), name="train", time="tme")


def test_a_frames_digest_is_of_its_content():
    base = describe(FRAME, name="train").digest
    assert describe(FRAME.copy(), name="train").digest == base
    assert describe(FRAME.set_axis([5, 6, 7]), name="train").digest == base
    changed = [
        FRAME.assign(a=[1.5, np.nan, -2.0000001]),
        FRAME.rename(columns={"a": "c"}),
        FRAME[["b", "a", "t"]],
        FRAME[::-1],
        FRAME.assign(b=["x", "y", None]),
        FRAME[:2],
    ]
    digests = {describe(frame, name="train").digest for frame in changed}
    assert len(digests) == len(changed)
    assert base not in digests


def test_polars_frames_stay_polars():
    frame = pl.DataFrame({"a": [1, 2], "t": [date(2013, 1, 1), date(2013, 1, 2)]})
    table = describe(frame, name="train", time="t")
    assert table.frame is frame
    assert table.newest == "2013-01-02T00:00:00Z"
    assert table.origin == "fixture"
    again = pl.concat([frame[:1], frame[1:]], rechunk=False)
    assert describe(again, name="train").digest == describe(frame, name="train").digest
    assert describe(frame[:1], name="train").digest != describe(frame, name="train").digest


def test_mixed_values_have_a_digest_that_tells_types():
    one = describe(pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), name="train").digest
    other = describe(pd.DataFrame({"a": pd.Series(["1", "x"], dtype=object)}), name="train").digest
    same = describe(pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), name="train").digest
    assert one == same != other


def test_no_frame_at_all():
    with pytest.raises(SourceError, match=r"train_data is a builtins\.list"):
        describe([1, 2], name="train")
