from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.columns import (
    column,
    column_names,
    is_frame,
    is_numeric,
    is_polars,
    keep_rows,
    nearest,
    require_columns,
    row_count,
    select,
    to_pandas,
)
from pytest_leanml.sources.profiles import label_counts

DATA = {"n": [1, 2, None], "f": [0.5, None, 1.5], "s": ["a", None, "b"], "b": [True, False, True], "i": [1, 2, 3]}
PANDAS = pd.DataFrame({**DATA, "n": pd.array(DATA["n"], dtype="Int64")}, index=[7, 8, 9])
POLARS = pl.DataFrame(DATA)


@pytest.mark.parametrize("frame", [PANDAS, POLARS])
def test_the_same_answers_of_both_libraries(frame):
    assert is_frame(frame)
    assert column_names(frame) == ("n", "f", "s", "b", "i")
    assert row_count(frame) == 3
    np.testing.assert_array_equal(column(frame, "n"), [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(column(frame, "f"), [0.5, np.nan, 1.5])
    assert column(frame, "s").tolist() == ["a", None, "b"]
    assert column(frame, "b").dtype == bool
    assert column(frame, "i").dtype == np.int64
    assert [is_numeric(frame, name) for name in column_names(frame)] == [True, True, False, False, True]
    assert column_names(select(frame, ["b", "n"])) == ("b", "n")
    assert column(keep_rows(frame, np.array([True, False, True])), "i").tolist() == [1, 3]
    assert isinstance(to_pandas(frame), pd.DataFrame)


def test_which_library():
    assert is_polars(POLARS)
    assert not is_polars(PANDAS)
    assert not is_frame({"a": [1]})
    assert not is_frame(PANDAS["i"])
    assert type(select(POLARS, ["i"])) is pl.DataFrame
    assert to_pandas(PANDAS) is PANDAS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Categorical(["a", "b", "a"]), ["a", "b", "a"]),
        (pd.Categorical(["a", None, "a"]), ["a", None, "a"]),
        (pd.Categorical([3, 1, 3]), [3, 1, 3]),
        (pd.array([True, None, False], dtype="boolean"), [True, None, False]),
        (pd.Series([True, None, "x"], dtype=object), [True, None, "x"]),
        (pd.Series([date(2013, 1, 1)] * 3), [date(2013, 1, 1)] * 3),
    ],
)
def test_values_are_plain(values, expected):
    assert column(pd.DataFrame({"a": values}), "a").tolist() == expected


def test_times():
    naive = pd.DataFrame({"t": pd.to_datetime(["2013-01-01", None])})
    zoned = pd.DataFrame({"t": pd.to_datetime(["2013-01-01", None]).tz_localize("Europe/Berlin")})
    assert column(naive, "t")[0] == np.datetime64("2013-01-01")
    assert column(zoned, "t")[0] == np.datetime64("2012-12-31T23:00")


@pytest.mark.parametrize("read", [column, is_numeric, lambda frame, name: select(frame, [name])])
@pytest.mark.parametrize("frame", [PANDAS, POLARS])
def test_an_absent_column(read, frame):
    with pytest.raises(SourceError, match="no column `x`"):
        read(frame, "x")


def test_many_absent_columns():
    frame = pd.DataFrame({f"c{place}": [1] for place in range(30)})
    with pytest.raises(SourceError, match=r"`x9` and 2 more(.|\n)*c19, \.\.\."):
        require_columns(frame, [f"x{place}" for place in range(12)], what="it")


def test_columns_that_are_no_text():
    frame = pd.DataFrame({0: [1, 2], 1: [3, 4]})
    assert column(frame, "1").tolist() == [3, 4]
    assert select(frame, ["1"]).shape == (2, 1)
    assert is_numeric(frame, "0")


def test_nearest():
    assert nearest("orign", ["origin", "late"]) == " (did you mean `origin`?)"
    assert nearest("x", ["origin"]) == ""


def test_names_that_are_no_text_or_come_twice_are_found_as_text():
    """A frame whose names are all text and differ asks pandas; any other one is gone through."""
    assert column(pd.DataFrame({1: [5], "a": [6]}), "1").tolist() == [5]
    assert column(pd.DataFrame([[5, 6]], columns=["a", "a"]), "a").tolist() == [5]
    for frame in (pd.DataFrame({"a": [1]}), pd.DataFrame({1: [1]}), pd.DataFrame([[5, 6]], columns=["b", "b"])):
        with pytest.raises(SourceError, match="the frame has no column `c`"):
            column(frame, "c")


def test_labels_of_polars_are_counted_in_the_order_in_which_they_appear():
    texts = [f"level {place * 37 % 200}" for place in range(1_000)]
    for series in (pl.Series("x", texts), pl.Series("x", texts, dtype=pl.Categorical)):
        assert list(label_counts(series, "x").present) == list(dict.fromkeys(texts))


@pytest.mark.parametrize("levels", [1, 2, 126, 127, 128, 300, 32_766, 32_768])
@pytest.mark.parametrize("step", [1, 2])
def test_categories_of_any_number_are_counted_with_those_that_are_missing(levels, step):
    """Codes take one, two or four bytes, and -1 stands for missing in each."""
    rng = np.random.default_rng(levels)
    codes = rng.integers(-1, levels, 20_001)
    raw = pd.Series(pd.Categorical.from_codes(codes, [f"c{each}" for each in range(levels)]))[::step]
    found = label_counts(raw, "x")
    expected = raw.value_counts()
    assert found.present == {name: rows for name, rows in expected.items() if rows}
    assert (found.filled, found.missing) == (raw.notna().sum(), raw.isna().sum())


@pytest.mark.parametrize("values", [[], [None], ["a"], ["a", "b"], ["a", None, "b"]])
def test_a_few_categories_are_counted(values):
    found = label_counts(pd.Series(pd.Categorical(values, categories=["a", "b"])), "x")
    assert found.present == {each: 1 for each in values if each}
    assert found.missing == values.count(None)
