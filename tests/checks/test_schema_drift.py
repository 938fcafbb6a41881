"""Schema drift: columns, kinds and categories of a table beside those of the training data, in every library."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.sources.tables import Table

MAKE = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "polars_lazy": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": duckdb.from_arrow,
}
TRAIN = pa.table(
    {
        "id": ["r1", "r2", "r3", "r4"],
        "n": [1, 2, 3, 4],
        "x": [0.5, 1.0, None, 2.5],
        "sex": ["F", "M", None, "F"],
        "at": pa.array([datetime(2026, 1, 1)] * 4, pa.timestamp("us")),  # noqa: DTZ001 - meant
        "ok": [True, False, True, None],
        "late": [0, 1, 0, 1],
    }
)


@pytest.fixture(params=MAKE)
def make(request):
    return MAKE[request.param]


def drift(train, evaluation, *, settings=None, **asked):
    frames = {"train": train, "evaluation": evaluation}
    known = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in frames.items()}
    study = Study(
        StudySettings(**(settings or {})), candidate=None, champion=None, table=known.get, sink=lambda _record: None
    )
    return DataQuality(study).schema_drift(**asked)


def changed(**columns):
    table = TRAIN
    for name, values in columns.items():
        place = table.column_names.index(name) if name in table.column_names else table.num_columns
        column = pa.array(values) if isinstance(values, list) else values
        table = table.remove_column(place) if place < table.num_columns else table
        table = table.add_column(place, name, column)
    return table


def test_nothing_differs(make):
    measured = drift(make(TRAIN), make(TRAIN))
    assert float(measured) == 0
    assert (measured.unit, measured.n, measured.details["columns"], dict(measured.by)) == ("difference", 4, 7, {})


DIFFERENCES = [
    (TRAIN.drop_columns(["sex"]), "sex: gone"),
    (changed(new=[1, 2, 3, 4]), "new: new"),
    (changed(n=["1", "2", "3", "4"]), "n: text, in training whole numbers"),
    (changed(n=[1.5, 2, 3, 4]), "n: numbers, in training whole numbers"),
    (changed(x=[1, 2, 3, 4]), "x: whole numbers, in training numbers"),
    (changed(ok=[1, 0, 1, 0]), "ok: whole numbers, in training true and false"),
    (changed(at=[date(2026, 1, 1)] * 4), "at: dates, in training times"),
    (changed(sex=["F", "X", "Y", "X"]), "sex: categories that training never saw: 'X' (2 rows), 'Y'"),
    (changed(sex=["f", "M", "M", ""]), "sex: categories that training never saw: '', 'f'"),
    (changed(x=pa.array([None] * 4, pa.float64())), "x: no value in the evaluation data"),
]


@pytest.mark.parametrize(("table", "told"), DIFFERENCES)
def test_each_difference_is_counted_and_named(make, table, told):
    measured = drift(make(TRAIN), make(table), settings={"ids": ("id",)})
    assert float(measured) == 1
    assert list(measured.by) == [told.partition(":")[0]]
    assert measured.details["first"] == told


SAME = [
    changed(n=pa.array([4, 3, 2, 1], pa.int8())),
    changed(n=[1.0, 2.0, None, 4.0]),  # what a missing value makes of whole numbers
    changed(x=pa.array([0.5, 1.5, 2.5, 3.5], pa.float32())),
    changed(sex=pa.array(["M", "M", "F", None]).dictionary_encode()),
    changed(sex=["M", "M", "M", "M"]),  # a category that is not there today
    changed(at=pa.array([datetime(2026, 1, 1)] * 4, pa.timestamp("us", "Europe/Paris"))),  # noqa: DTZ001 - meant
]


@pytest.mark.parametrize("table", SAME)
def test_storage_is_no_difference(make, table):
    assert float(drift(make(TRAIN), make(table))) == 0


def test_a_csv_file_of_the_same_values_does_not_differ(tmp_path):
    TRAIN.to_pandas().drop(columns="at").to_csv(tmp_path / "t.csv", index=False)
    read = pd.read_csv(tmp_path / "t.csv")
    assert float(drift(TRAIN.drop_columns(["at"]), read)) == 0


def test_libraries_may_differ():
    assert float(drift(TRAIN.to_pandas(), duckdb.from_arrow(TRAIN))) == 0


def test_ids_and_what_is_ignored_may_differ_in_their_values_and_be_on_one_side(make):
    others = changed(id=["r8", "r9", "r10", "r11"])
    assert float(drift(make(TRAIN), make(others))) == 1
    assert float(drift(make(TRAIN), make(others), settings={"ids": ("id",)})) == 0
    assert float(drift(make(TRAIN), make(others), ignore=["id"])) == 0
    assert float(drift(make(TRAIN), make(TRAIN.drop_columns(["id"])), ignore=["id"])) == 0
    # A kind is compared nevertheless.
    assert float(drift(make(TRAIN), make(changed(id=[1, 2, 3, 4])), ignore=["id"])) == 1


def test_a_label_that_is_not_there_yet(make):
    unlabelled = make(TRAIN.drop_columns(["late"]))
    assert float(drift(make(TRAIN), unlabelled, settings={"target": "late"})) == 0
    assert float(drift(make(TRAIN), unlabelled)) == 1
    strange = make(changed(late=["no", "yes", "no", "yes"]))
    assert float(drift(make(TRAIN), strange, settings={"target": "late"})) == 1
    # A label that is new is no label: training has none.
    assert float(drift(unlabelled, make(TRAIN), settings={"target": "late"})) == 1


def test_free_text_is_told_and_its_values_are_not_compared(make):
    others = make(changed(sex=["D", "E", "F", "G"]))
    assert float(drift(make(TRAIN), others, levels=2)) == 1
    measured = drift(make(TRAIN), others, levels=1)
    assert float(measured) == 0
    assert measured.details["free_text"] == "id, sex"


def test_more_new_categories_than_are_shown(make):
    many = pa.table({"a": [f"new{number}" for number in range(9)]})
    measured = drift(make(pa.table({"a": ["x"]})), make(many))
    assert float(measured) == 1
    assert measured.details["first"].endswith("'new4', ...")


def test_two_columns_without_a_value_are_alike(make):
    none = changed(x=pa.array([None] * 4, pa.float64()))
    assert float(drift(make(none), make(none))) == 0
    assert float(drift(make(none), make(TRAIN))) == 1


def test_nothing_to_compare(make):
    with pytest.raises(InconclusiveError, match="shares no column with the train data"):
        drift(make(TRAIN), make(pa.table({"z": [1]})))
    for train, evaluation in ((TRAIN.slice(0, 0), TRAIN), (TRAIN, TRAIN.slice(0, 0))):
        with pytest.raises(InconclusiveError, match="has no rows"):
            drift(make(train), make(evaluation))
    with pytest.raises(ConfigError, match="never differs from itself"):
        drift(make(TRAIN), make(TRAIN), data="train")


def test_mixed_values(make):
    mixed = pd.DataFrame({"a": [1, "x", 2.5, None]}, dtype=object)
    assert float(drift(mixed, mixed)) == 0
    other = pd.DataFrame({"a": [1, "y", 2.5, 7]}, dtype=object)
    measured = drift(mixed, other)
    assert measured.details["first"] == "a: categories that training never saw: 7, 'y'"
    assert float(drift(mixed, make(pa.table({"a": [1, 2]})))) == 1
