from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pytest_leanml.errors import LeanmlError, MeasurementError, SourceError
from pytest_leanml.sources.outputs import checked_predictions, checked_scores, shown


@pytest.mark.parametrize(
    "raw",
    [
        [1, 0, 1],
        np.array([[1], [0], [1]]),
        pd.Series([1, 0, 1], index=[5, 6, 7]),
        pd.DataFrame({"p": [1, 0, 1]}),
        pl.Series([1, 0, 1]),
        pd.array([1, 0, 1], dtype="Int64"),
    ],
)
def test_predictions_of_any_container(raw):
    assert checked_predictions(raw, 3, who="m").tolist() == [1, 0, 1]


def test_text_becomes_objects():
    found = checked_predictions(np.array(["a", "b"]), 2, who="m")
    assert found.dtype == object
    assert found.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "raw",
    [
        [1, 0],
        [1, 0, 1, 1],
        [],
        np.zeros((3, 2)),
        5,
        [[1], [2, 3], [4]],
        np.array([1j] * 3),
        np.array(["2013-01-01"] * 3, dtype="M8[D]"),
    ],
)
def test_predictions_of_another_shape_or_type(raw):
    with pytest.raises(SourceError, match="m returned"):
        checked_predictions(raw, 3, who="m")


@pytest.mark.parametrize(
    "raw",
    [
        [1.0, np.nan],
        [np.inf, 1.0],
        [-np.inf, 1.0],
        ["a", None],
        pd.array([1, None], dtype="Int64"),
        np.array(["a", float("nan")], dtype=object),
        np.array([1, float("inf")], dtype=object),
        pd.Series(["a", pd.NA], dtype="string"),
    ],
)
def test_missing_and_infinite_predictions(raw):
    with pytest.raises(MeasurementError, match="1 of 2 predictions of m are missing, NaN or infinite"):
        checked_predictions(raw, 2, who="m")


def test_a_label_the_model_does_not_know():
    with pytest.raises(SourceError, match="m predicted 'x'"):
        checked_predictions(["a", "x"], 2, who="m", classes=("a", "b"))


@pytest.mark.parametrize(
    ("raw", "classes", "expected"),
    [
        ([[0.25, 0.75], [1.0, 0.0]], ("a", "b"), [0.75, 0.0]),
        ([0.75, 0.0], ("a", "b"), [0.75, 0.0]),
        ([0.75, 0], None, [0.75, 0.0]),
        ([[0.75], [0]], None, [0.75, 0.0]),
        ([0, 1], None, [0.0, 1.0]),
        ([[0.2, 0.3, 0.5], [1, 0, 0]], ("a", "b", "c"), [[0.2, 0.3, 0.5], [1, 0, 0]]),
        ([[1.0], [1.0]], ("a",), [[1.0], [1.0]]),
        ([1 + 1e-7, -1e-7], None, [1.0, 0.0]),
        (pd.DataFrame({"a": [0.5, 0.5], "b": [0.5, 0.5]}), ("a", "b"), [0.5, 0.5]),
    ],
)
def test_scores(raw, classes, expected):
    found = checked_scores(raw, 2, who="m", classes=classes)
    assert found.dtype == np.float64
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("raw", "classes", "match"),
    [
        ([0.1], None, "1 scores for 2 rows"),
        ([[0.1, 0.9]], ("a", "b"), "1 scores for 2 rows"),
        ([[0.1, 0.9]] * 2, None, "names no classes"),
        ([[0.1, 0.9]] * 2, ("a", "b", "c"), "2 scores per row"),
        (["a", "b"], None, "scores of type"),
        ([True, False], None, "scores of type bool"),
        ([None, 0.5], None, "scores of type object"),
        ([np.zeros((2, 2))] * 2, ("a", "b"), "shape"),
        (0.5, None, "shape"),
        ([[0.1], [0.1, 0.2]], None, "no array"),
    ],
)
def test_scores_of_another_shape_or_type(raw, classes, match):
    with pytest.raises(SourceError, match=match):
        checked_scores(raw, 2, who="m", classes=classes)


@pytest.mark.parametrize(
    ("raw", "classes", "match"),
    [
        ([np.nan, 0.5], None, "1 of 2 scores"),
        ([np.inf, 0.5], None, "1 of 2 scores"),
        ([[np.nan, 0.5], [0.5, 0.5]], ("a", "b"), "1 of 4 scores"),
        ([85.0, 0.5], None, "outside of 0 to 1"),
        ([-0.5, 0.5], None, "outside of 0 to 1"),
        ([[0.5, 0.6], [0.5, 0.5]], ("a", "b"), "1 of 2 rows of m do not add up"),
        ([[0.2, 0.2, 0.2], [1, 0, 0]], ("a", "b", "c"), "do not add up"),
    ],
)
def test_scores_that_are_no_probabilities(raw, classes, match):
    with pytest.raises(MeasurementError, match=match):
        checked_scores(raw, 2, who="m", classes=classes)


def test_errors_are_ours():
    assert issubclass(MeasurementError, LeanmlError)


def test_shown():
    assert shown(["a", 1]) == "'a', 1"
    assert shown(range(12)).endswith("9, ...")
