"""Changed copies of frames: each column keeps its type where that can hold the new values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.checks.perturbations import (
    missing,
    mistyped,
    mixed,
    noisy,
    numeric_columns,
    others,
    recased,
    replaced,
    rescaled,
    shifted,
    text_columns,
    touched,
)
from pytest_leanml.errors import InconclusiveError, MeasurementError

ALL = np.ones(3, dtype=bool)
FRAME = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, np.nan, 2.0], "t": ["ab", None, "CD"], "b": [True, False, True]})


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("values", "new", "dtype", "expected"),
    [
        (pd.Series([1, 2, 3]), [7, 8, 9], "int64", [7, 8, 9]),
        (pd.Series([1, 2, 3]), [7.5, 8, 9], "float64", [7.5, 8, 9]),
        (pd.Series([1, 2, 3]), [None, 8, 9], "float64", [np.nan, 8, 9]),
        (pd.Series([1, 2, 3], dtype="int8"), [1000, 8, 9], "float64", [1000, 8, 9]),
        (pd.Series([1, 2, 3], dtype="int8"), [1000.0, 8, 9], "float64", [1000, 8, 9]),
        (pd.Series([1, 2, 3], dtype="uint8"), [-1, 8, 9], "float64", [-1, 8, 9]),
        (pd.Series([1, 2, 3], dtype="uint8"), [1, 8, 9], "uint8", [1, 8, 9]),
        (pd.Series([1, 2, 3], dtype="Int64"), [None, 8, 9], "Int64", [pd.NA, 8, 9]),
        (pd.Series([1, 2, 3], dtype="float32"), [0.1, 8, 9], "float32", [np.float32(0.1), 8, 9]),
        (pd.Series([1, 2, 3], dtype="float32"), [1e300, 8, 9], "float64", [1e300, 8, 9]),
        (pd.Series([True, False, True]), [False, False, True], "bool", [False, False, True]),
        (pd.Series([True, False, True]), [None, False, True], "object", [None, False, True]),
        (pd.Series(["a", "b", "a"], dtype=object), ["c", "b", None], "object", ["c", "b", None]),
    ],
)
def test_a_column_keeps_its_type_where_it_can(values, new, dtype, expected):
    found = replaced(values, ALL, new)
    assert found.dtype == dtype
    pd.testing.assert_series_equal(found, pd.Series(expected, dtype=dtype), check_names=False)


def test_large_whole_numbers_that_stay_are_not_rounded():
    big = 2**62 + 1
    found = replaced(pd.Series([big, 2, 3]), np.array([False, True, False]), [0, 9, 0])
    assert found.tolist() == [big, 9, 3]


def test_a_category_gets_what_it_needs():
    values = pd.Series(["a", "b", "a"], dtype="category")
    found = replaced(values, np.array([True, False, True]), ["z", "?", None])
    assert list(found.cat.categories) == ["a", "b", "z"]
    assert found.isna().tolist() == [False, False, True]


def test_touched_cells():
    after = FRAME.assign(n=[1, 5, 3], x=[0.5, np.nan, np.nan], t=["ab", None, "CD"])
    assert touched(FRAME, after, ["n", "x", "t"]).tolist() == [
        [False, False, False],
        [True, False, False],
        [False, True, False],
    ]
    assert touched(FRAME, after, []).shape == (3, 0)


def test_mixing_takes_the_marked_cells():
    after = FRAME.assign(n=[7, 8, 9], t=["x", "y", "z"])
    keep = np.array([[True, False], [False, True], [False, False]])
    found = mixed(FRAME, after, keep, ["n", "t"])
    assert found.n.tolist() == [7, 2, 3]
    assert found.t.fillna("-").tolist() == ["ab", "y", "CD"]
    assert FRAME.n.tolist() == [1, 2, 3]


def test_columns_by_what_they_hold():
    assert numeric_columns(FRAME, list(FRAME)) == ["n", "x"]
    assert text_columns(FRAME, list(FRAME)) == ["t"]
    assert text_columns(FRAME.assign(t=None), ["t"]) == []


def test_noise_has_the_size_that_was_asked_and_leaves_gaps():
    frame = pd.DataFrame({"x": np.zeros(4000), "n": np.zeros(4000, dtype=int)})
    found = noisy(frame, {"x": 2.0, "n": 2.0}, 0.5, rng())
    assert found.x.std() == pytest.approx(1.0, rel=0.05)
    assert found.n.dtype == "int64"
    assert found.n.std() == pytest.approx(np.sqrt(1 + 1 / 12), rel=0.05)  # rounding adds a twelfth
    assert noisy(FRAME, {"x": 1.0}, 1.0, rng()).x.isna().tolist() == [False, True, False]


def test_missing_and_rescaled():
    assert missing(FRAME, "n").n.isna().all()
    assert missing(FRAME, "t").t.isna().all()
    held = pd.DataFrame({"t": pd.Series(["a", np.nan], dtype=object)})
    assert [type(each) for each in missing(held, "t").t] == [float, float]
    assert missing(held.head(1), "t").t.tolist() == [None]
    assert rescaled(FRAME, "x", 1000).x.fillna(-1).tolist() == [500, -1, 2000]
    assert rescaled(FRAME, "n", 1000).n.tolist() == [1000, 2000, 3000]


@settings(derandomize=True, max_examples=60)
@given(text=st.text(min_size=1, max_size=12), seed=st.integers(0, 99))
def test_a_typing_mistake_is_one_and_changes_the_text(text, seed):
    found = mistyped(pd.DataFrame({"t": pd.Series([text], dtype=object)}), "t", rng(seed)).t[0]
    assert found != text
    assert abs(len(found) - len(text)) <= 1


@settings(derandomize=True, max_examples=60)
@given(text=st.text(max_size=12), seed=st.integers(0, 99))
def test_another_case_is_another_text_that_reads_the_same(text, seed):
    found = recased(pd.DataFrame({"t": pd.Series([text], dtype=object)}), "t", rng(seed)).t[0]
    assert found != text
    assert found.strip().casefold() in {
        each.strip().casefold() for each in (text, text.upper(), text.lower(), text.title())
    }


def test_an_empty_text_has_no_typing_mistake_and_a_missing_one_stays():
    frame = pd.DataFrame({"t": pd.Series(["", None, "a"], dtype=object)})
    found = mistyped(frame, "t", rng()).t
    assert found[0] == ""
    assert pd.isna(found[1])
    assert found[2] != "a"


@pytest.mark.parametrize("tries", [1, 2, 3, 4, 9])
def test_other_values_are_never_the_own_one_and_none_comes_twice(tries):
    frame = pd.DataFrame({"c": list("abcde") * 20})
    pool = pd.DataFrame({"c": list("abcde")})
    found = others(frame, ["c"], pool, tries, rng())
    assert len(found) == min(tries, 4)
    table = np.column_stack([frame.c, *[each.c for each in found]])
    assert all(len(set(row)) == len(row) for row in table)


def test_several_columns_change_together_to_what_occurs():
    frame = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "z"]})
    [found] = others(frame, ["a", "b"], frame, 1, rng(2))
    pairs = set(zip(frame.a, frame.b, strict=True))
    assert all(pair in pairs for pair in zip(found.a, found.b, strict=True))
    assert not (touched(frame, found, ["a", "b"]).sum(axis=1) == 0).any()


def test_a_single_value_has_no_other():
    with pytest.raises(InconclusiveError, match="c has one value only"):
        others(pd.DataFrame({"c": ["a"]}), ["c"], pd.DataFrame({"c": ["a"]}), 1, rng())


def test_shifts():
    found = shifted(FRAME, {"n": 2, "x": {"set": 7}, "t": "z", "b": False})
    assert found.n.tolist() == [3, 4, 5]
    assert found.x.tolist() == [7, 7, 7]
    assert found.t.tolist() == ["z"] * 3
    assert found.b.tolist() == [False] * 3
    assert shifted(FRAME, {"x": 1.5}).x.fillna(-1).tolist() == [2.0, -1, 3.5]


@pytest.mark.parametrize("change", [{"t": 1}, {"b": 1}, {"n": "z"}, {"n": float("inf")}, {"n": {"to": 1}}, {"t": {}}])
def test_shifts_that_mean_nothing(change):
    with pytest.raises(MeasurementError, match="is to change by"):
        shifted(FRAME, change)
