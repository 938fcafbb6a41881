"""Groups of rows, whatever library holds them and whatever stands in the column."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks.fairness import Fairness
from pytest_leanml.checks.sensitive import MOST_CELLS, grouping_of
from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def names(frame, *columns):
    """Return the name of each row's group."""
    found = grouping_of(frame, columns)
    return [found.names[code] for code in found.codes.tolist()]


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        ([2, 10, 2], ["2", "10", "2"]),
        ([1.5, 0.5, 1.5], ["1.5", "0.5", "1.5"]),
        ([True, False, True], ["True", "False", "True"]),
        ([dt.date(2020, 1, 2)] * 2 + [dt.date(2019, 1, 2)], ["2020-01-02", "2020-01-02", "2019-01-02"]),
    ],
)
def test_every_library_has_the_same_groups(library, values, expected):
    assert names(FRAMES[library]({"x": values}), "x") == expected


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": pd.Categorical(["b", "a", "b"], categories=["z", "b", "a"])}),
        pd.DataFrame({"x": pd.array(["b", "a", "b"], dtype="string")}),
        pd.DataFrame({"x": pd.array(["b", "a", "b"], dtype=pd.ArrowDtype(pa.string()))}),
        pd.DataFrame({"x": np.array(["b", "a", "b"], dtype=object)}, index=[5, 5, 7]),
        pl.DataFrame({"x": pl.Series(["b", "a", "b"], dtype=pl.Categorical)}),
        pl.DataFrame({"x": pl.Series(["b", "a", "b"], dtype=pl.Enum(["z", "a", "b"]))}),
        pa.table(
            {"x": pa.chunked_array([pa.array(["b"]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()])}
        ),
        pa.table({"x": pa.chunked_array([["b", "a"], ["b"]])}),
    ],
)
def test_every_type_of_text_has_the_same_groups(frame):
    assert names(frame, "x") == ["b", "a", "b"]


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("values", [["a", None, "b"], ["a", "", "b"], [1.0, None, 2.0], [1.0, math.nan, 2.0]])
def test_rows_without_a_group_are_counted_and_refused(library, values):
    frame = FRAMES[library]({"x": values * 2, "y": ["u", "v", "w"] * 2, "z": [None, *"abcde"]})
    with pytest.raises(MeasurementError, match="2 of 6 rows belong to no group"):
        grouping_of(frame, ["x"])
    with pytest.raises(MeasurementError, match="2 of 6 rows belong to no group"):
        grouping_of(frame, ["y", "x"])
    with pytest.raises(MeasurementError, match="3 of 6 rows belong to no group"):
        grouping_of(frame, ["x", "z"])


@pytest.mark.parametrize("values", [[1, "1", 2], ["True", True, "x"], [dt.date(2020, 1, 1), "2020-01-01", "x"]])
def test_values_that_read_the_same_are_refused(values):
    with pytest.raises(MeasurementError, match="two values of `x` read the same"):
        grouping_of(pd.DataFrame({"x": pd.Series(values, dtype=object)}), ["x"])


def test_equal_values_are_one_group_and_mixed_types_several():
    assert len(set(names(pd.DataFrame({"x": pd.Series([1, 1.0, True], dtype=object)}), "x"))) == 1
    assert names(pd.DataFrame({"x": pd.Series([1, "a", 2.5], dtype=object)}), "x") == ["1", "a", "2.5"]


def test_levels_without_rows_do_not_clash():
    frame = pd.DataFrame({"x": pd.Categorical(["1", "a"], categories=pd.Index([1, "1", "a"], dtype=object))})
    assert names(frame, "x") == ["1", "a"]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": [[1], [2]]}),
        pl.DataFrame({"x": [[1], [2]]}),
        pa.table({"x": [[1], [2]]}),
        pl.DataFrame({"x": pl.Series([object(), object()], dtype=pl.Object)}),
    ],
)
def test_values_that_are_no_groups_are_refused(frame):
    with pytest.raises(MeasurementError, match="`x` holds values that are no groups"):
        grouping_of(frame, ["x"])


@pytest.mark.parametrize("library", FRAMES)
def test_an_unknown_column(library):
    with pytest.raises(SourceError, match="no column `y`"):
        grouping_of(FRAMES[library]({"x": [1]}), ["y"])


@pytest.mark.parametrize("frame", [pd.DataFrame({"x": []}), pa.table({"x": pa.array([], pa.string())})])
def test_no_rows_are_no_groups(frame):
    found = grouping_of(frame, ["x"])
    assert len(found.codes) == len(found.names) == 0
    assert len(grouping_of(frame, ["x", "x"]).codes) == 0


def test_an_intersection_keeps_apart_what_a_dot_could_join():
    frame = pd.DataFrame({"x": ["a.b", "a"], "y": ["c", "b.c"]})
    assert len(set(names(frame, "x", "y"))) == 2


@pytest.mark.parametrize("levels", [3, 200])
def test_an_intersection_is_every_combination(levels):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, levels, 5000) for name in "abc"})
    assert (levels**3 > MOST_CELLS) is (levels == 200)
    assert names(frame, "a", "b", "c") == [f"{a}.{b}.{c}" for a, b, c in frame.to_numpy().tolist()]


@pytest.mark.parametrize(("one", "other"), [(1, 127), (2, 64), (8, 16), (127, 1), (100, 100), (101, 100)])
def test_an_intersection_of_as_many_groups_as_a_number_holds_and_one_more(one, other):
    every = list(itertools.product(range(one), range(other)))
    frame = pd.DataFrame(every, columns=["a", "b"])
    assert names(frame, "a", "b") == [f"{a}.{b}" for a, b in every]


def test_a_hundred_thousand_levels_by_as_many_neither_overflow_nor_fill_the_memory(make_study):
    rows = 200_000
    frame = pd.DataFrame(
        {"late": np.arange(rows) % 2, "answer": np.arange(rows) // 2 % 2, "score": 0.5}
        | {name: (np.arange(rows) * step) % 100_000 for name, step in (("a", 1), ("b", 7), ("c", 11), ("d", 13))}
    )
    study = make_study(frame, min_group=2)
    tracemalloc.start()
    try:
        for columns in (("a",), ("a", "b", "c", "d")):
            with pytest.raises(InconclusiveError, match=r"\d{6} groups"):
                Fairness(study).demographic_parity_difference(*columns)
        assert tracemalloc.get_traced_memory()[1] < 400e6
    finally:
        tracemalloc.stop()
