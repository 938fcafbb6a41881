"""A failing row is made small, and shown so that a terminal takes no harm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.behaviour_model import failing_row
from pytest_leanml.checks.behaviour_shrink import MOST, smallest
from pytest_leanml.checks.behaviour_words import shown_name, shown_row, shown_value
from pytest_leanml.errors import MeasurementError, SourceError

COLUMNS = ["a", "b", "c", "t"]
BASE = pd.DataFrame({"a": [0.0] * 5, "b": [0.0] * 5, "c": [0] * 5, "t": ["x"] * 5})
CHANGED = pd.DataFrame({"a": [9.0] * 5, "b": [8.0] * 5, "c": [100] * 5, "t": ["y"] * 5})


def small(fails, *, nearer=True, base=BASE, changed=CHANGED):
    calls = []

    def counted(one, other):
        calls.append(len(one))
        return np.asarray(fails(one, other), dtype=bool)

    case = smallest(base, changed, counted, COLUMNS, nearer=nearer)
    assert np.asarray(fails(case.base, case.changed)).all()
    assert len(calls) < 20
    return case.changed.iloc[0].to_dict()


def test_one_cell_is_enough_where_it_is():
    assert small(lambda _, f: f.b > 3) == {"a": 0.0, "b": 4.0, "c": 0, "t": "x"}
    assert small(lambda _, f: f.t == "y") == {"a": 0.0, "b": 0.0, "c": 0, "t": "y"}


def test_two_cells_where_it_takes_two():
    found = small(lambda _, f: (f.b > 3) & (f.t == "y"))
    assert found == {"a": 0.0, "b": 4.0, "c": 0, "t": "y"}


def test_whole_numbers_stay_whole():
    found = small(lambda _, f: f.c >= 30)
    assert 30 <= found["c"] <= 50
    assert found["c"] == int(found["c"])


def test_values_stay_as_they_are_where_nearer_ones_would_mean_something_else():
    assert small(lambda _, f: f.b > 3, nearer=False) == {"a": 0.0, "b": 8.0, "c": 0, "t": "x"}


def test_the_row_with_the_fewest_changes_is_looked_at_first():
    changed = CHANGED.copy()
    changed.loc[3, ["a", "b", "c"]] = [0.0, 0.0, 0]
    found = small(lambda _, f: f.t == "y", changed=changed)
    assert found["t"] == "y"
    many = pd.concat([CHANGED] * 10, ignore_index=True)
    assert small(lambda _, f: f.t == "y", base=pd.concat([BASE] * 10, ignore_index=True), changed=many)["t"] == "y"
    assert MOST < 50


def test_where_the_model_cannot_answer_for_a_smaller_row_the_larger_one_is_shown():
    def fails(_, frame):
        if (frame.a < 9).any():
            raise SourceError("cannot")
        return np.ones(len(frame), dtype=bool)

    case = smallest(BASE, CHANGED, fails, COLUMNS, nearer=True)
    assert case.changed.a.tolist() == [9.0]


def test_what_cannot_be_halved_stays():
    base = BASE.assign(a=[np.nan] * 5)
    assert small(lambda _, f: f.a > 3, base=base)["a"] == 9.0
    lost = CHANGED.assign(a=[None] * 5)
    case = smallest(BASE, lost, lambda _, f: f.a.isna().to_numpy(), COLUMNS, nearer=True)
    assert case.changed.a.isna().all()


def test_the_failing_row_is_found_by_halving():
    calls = []

    def ask(frame):
        calls.append(len(frame))
        if (frame.n == 77).any():
            raise MeasurementError("NaN")

    frame = pd.DataFrame({"n": range(100)})
    assert failing_row(ask, frame) == 77
    assert len(calls) < 10
    assert failing_row(lambda _: None, frame) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "missing"),
        (np.nan, "missing"),
        (pd.NaT, "missing"),
        (pd.NA, "missing"),
        (np.int64(3), "3"),
        (1 / 3, "0.333333"),
        (np.float32(2.5), "2.5"),
        (True, "True"),
        ("it's", '"it\'s"'),
        ("two\nlines", r"'two\nlines'"),
        ("\x1b[31mred\x1b[0m", r"'\x1b[31mred\x1b[0m'"),
        ("\u202eright to left", r"'\u202eright to left'"),
        ("x" * 100, "'" + "x" * 36 + "..."),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_in_messages(value, text):
    assert shown_value(value) == text


def test_names_in_messages():
    assert [shown_name(each) for each in ("age", "my age", "::error::", "é")] == [
        "age",
        "'my age'",
        "'::error::'",
        "'é'",
    ]


def test_rows_in_messages():
    base, row = pd.DataFrame({"a": [1], "b": ["x"]}), pd.DataFrame({"a": [2], "b": ["x"]})
    assert shown_row(row, ["a", "b"], base) == "a 1 -> 2; beside b 'x'"
    assert shown_row(row, ["a", "b"]) == "a 2, b 'x'"
    wide = pd.DataFrame({f"column{each}": ["some value"] for each in range(100)})
    assert len(shown_row(wide, list(wide))) == 400
    assert shown_row(wide, list(wide)).endswith("...")
