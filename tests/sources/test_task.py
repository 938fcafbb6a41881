from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.task import distinct, infer_task, plain
from pytest_leanml.vocabulary import Task

B, M, R = Task.BINARY, Task.MULTICLASS, Task.REGRESSION


@pytest.mark.parametrize(
    ("target", "task", "positive", "classes", "expected"),
    [
        ([0, 1, 1], "auto", "auto", None, (B, (0, 1), 1)),
        ([False, True], "auto", "auto", None, (B, (False, True), True)),
        ([0.0, 1.0], "auto", "auto", None, (B, (0.0, 1.0), 1.0)),
        ([0, 0], "auto", "auto", None, (B, (0, 1), 1)),
        ([1, 1], "auto", "auto", None, (B, (0, 1), 1)),
        ([True], "auto", "auto", None, (B, (False, True), True)),
        ([0, 1], "auto", 0, None, (B, (1, 0), 0)),
        ([0, 1], "auto", False, None, (B, (1, 0), 0)),
        (["late", "ok"], "auto", "late", None, (B, ("ok", "late"), "late")),
        (["late", "ok"], "binary", "ok", None, (B, ("late", "ok"), "ok")),
        (["ok", "ok"], "auto", "late", ("late", "ok"), (B, ("ok", "late"), "late")),
        (["a", "b", "c"], "auto", "auto", None, (M, ("a", "b", "c"), None)),
        (["a", "b"], "auto", "auto", ("a", "b", "c"), (M, ("a", "b", "c"), None)),
        (["a", "b"], "multiclass", "auto", None, (M, ("a", "b"), None)),
        ([2, 0, 1], "auto", "auto", None, (M, (0, 1, 2), None)),
        ([7, 9], "auto", 9, (7, 9), (B, (7, 9), 9)),
        ([7, 9], "binary", 7, None, (B, (9, 7), 7)),
        ([1.5, 2.0], "auto", "auto", None, (R, (), None)),
        ([1, 2, 3], "regression", "auto", None, (R, (), None)),
        ([0, 1], "regression", None, None, (R, (), None)),
        (list(range(30)), "auto", "auto", list(range(30)), (M, tuple(range(30)), None)),
        (["auto", "manual"], "auto", "auto", None, (B, ("manual", "auto"), "auto")),
    ],
)
def test_infers(target, task, positive, classes, expected):
    found = infer_task(np.array(target), task, positive, classes=classes)
    assert found == expected
    assert [type(label) for label in found[1]] == [type(label) for label in expected[1]]


@pytest.mark.parametrize("make", [list, np.array, pd.Series, lambda v: np.array(v, dtype=object)])
def test_takes_any_sequence(make):
    assert infer_task(make(["late", "ok"]), positive="late")[1] == ("ok", "late")


@pytest.mark.parametrize(
    ("target", "task", "positive", "match"),
    [
        (["late", "ok"], "auto", "auto", "labels 'late', 'ok' is the positive one"),
        ([1, 2], "binary", "auto", "labels 1, 2 is the positive one"),
        ([1, 2], "auto", "auto", "classes or amounts"),
        (list(range(30)), "auto", "auto", "30 distinct whole numbers"),
        ([1.0, 2.0, 3.0], "auto", "auto", "classes or amounts"),
        ([0, 1], "auto", "1", "positive is '1', which is no label"),
        (["0", "1"], "auto", 1, "positive is 1, which is no label"),
        (["a", "b", "c"], "auto", "a", "a positive label for a binary task only"),
        (["a", "b", "c"], "binary", "a", "3 labels"),
        (["a", "b"], "regression", "auto", "holds text"),
        ([0, 1], "ranking", "auto", "unknown task 'ranking'"),
    ],
)
def test_asks(target, task, positive, match):
    with pytest.raises(ConfigError, match=match):
        infer_task(np.array(target), task, positive)


@pytest.mark.parametrize(
    "target",
    [[0.0, np.nan], [0.0, np.inf], np.array(["a", None], dtype=object), [None, None], pd.Series([pd.NaT, pd.NaT])],
)
def test_a_missing_target_is_no_label(target):
    with pytest.raises(SourceError, match="missing or infinite in"):
        infer_task(target)


def test_no_rows_and_one_label():
    with pytest.raises(InconclusiveError, match="no rows"):
        infer_task(np.array([]))
    with pytest.raises(InconclusiveError, match="one label 'ok'"):
        infer_task(["ok", "ok"], positive="ok")


def test_labels_that_cannot_be_sorted_still_come_in_one_order():
    mixed = np.array(["b", 1, "a", 2], dtype=object)
    assert infer_task(mixed)[1] == infer_task(mixed[::-1])[1] == (1, 2, "a", "b")


def test_plain():
    assert [type(value) for value in plain([np.int64(1), np.str_("a"), "b"])] == [int, str, str]


@given(
    st.lists(st.integers(-3, 9), min_size=1, max_size=40),
    st.sampled_from([2, 5, 4096]),
    st.sampled_from(["int64", "int8", "uint64", "bool", "float64"]),
)
def test_different_labels_come_in_the_order_of_their_first_rows(values, head, kind):
    rows = np.abs(values).astype(kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_leanml.sources.task.HEAD", head)
        found = distinct(rows)
    assert found == list(dict.fromkeys(rows.tolist()))
    assert {type(each) for each in found} == {type(rows[0].item())}


def test_a_label_that_comes_late_is_met():
    rows = np.zeros(200_000, dtype=np.int64)
    rows[-1], rows[5_000] = 2, 1
    assert distinct(rows) == [0, 1, 2]
