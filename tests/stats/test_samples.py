from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.samples import (
    FEW_CLASSES,
    PIECE,
    Sample,
    _distinct,
    are_positive,
    as_floats,
    encode,
    make_sample,
)
from pytest_leanml.vocabulary import Task


def test_binary_labels_become_codes_and_flags():
    sample = make_sample("binary", ["late", "on time"], ["late", "late"], classes=("on time", "late"), positive="late")
    assert sample.true_codes.tolist() == [1, 0]
    assert sample.truth.tolist() == [True, False]
    assert sample.selected.tolist() == [True, True]
    assert len(sample) == 2


@pytest.mark.parametrize("labels", [[0, 1, 1], [False, True, True], [0.0, 1.0, 1.0]])
def test_zero_one_and_false_true_need_no_positive_label(labels):
    sample = make_sample(Task.BINARY, labels, [1, 1, 1])
    assert sample.positive == 1
    assert sample.truth.tolist() == [False, True, True]


def test_the_positive_label_of_zero_one_can_be_zero():
    assert make_sample("binary", [0, 1], [0, 0], positive=0).truth.tolist() == [True, False]


def test_pandas_columns_are_arrays():
    frame = pd.DataFrame({"y": pd.Categorical(["b", "a", "b"]), "p": ["b", "b", "a"]})
    sample = make_sample("multiclass", frame["y"], frame["p"])
    assert sample.classes == ("a", "b")
    assert sample.pred_codes.tolist() == [1, 1, 0]


def test_many_classes_are_looked_up_the_same_way():
    classes = list(range(FEW_CLASSES + 5))
    labels = np.array([20, 0, 7])
    assert encode(labels, classes, "y").tolist() == [20, 0, 7]
    with pytest.raises(MeasurementError, match="unknown: 99"):
        encode(np.array([99]), classes, "y")


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], ["0", "1"], "several types|unknown"),  # the classic: labels as text on one side
        ([0, 1], [0, 2], "classes|positive"),
        ([0, 1, math.nan], [0, 1, 1], "classes|unknown|positive"),
        (["a", None], ["a", "b"], "several types"),
    ],
)
def test_labels_that_do_not_match_are_refused(y_true, y_pred, message):
    with pytest.raises(MeasurementError, match=message):
        make_sample("binary", y_true, y_pred)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(value):
    with pytest.raises(MeasurementError, match="1 of 2 values are NaN or infinite"):
        make_sample("binary", [0, 1], None, [0.5, value])
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        make_sample("regression", [0.0, value], [0.0, 1.0])
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        Sample(Task.REGRESSION, np.zeros(2), np.array([value, 0.0]))
    with pytest.raises(MeasurementError, match="NaN or infinite"):
        Sample(Task.BINARY, np.array([0, 1]), None, np.array([value, 0.0]), (0, 1), 1)


def test_no_rows_is_inconclusive_not_a_pass():
    with pytest.raises(InconclusiveError, match="no rows"):
        make_sample("binary", [], [])


def test_a_slice_without_rows_is_inconclusive():
    sample = make_sample("binary", [0, 1], [0, 1], [0.2, 0.8])
    with pytest.raises(InconclusiveError, match="no rows"):
        sample.take(np.zeros(2, dtype=bool))


def test_take_keeps_rows_together():
    sample = make_sample("multiclass", ["a", "b", "c"], ["a", "c", "c"], np.eye(3), classes=["a", "b", "c"])
    part = sample.take(np.array([False, True, True]))
    assert part.true_codes.tolist() == [1, 2]
    assert part.pred_codes.tolist() == [2, 2]
    assert part.scores.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert make_sample("regression", [1.0, 2.0], [1.0, 3.0]).take(np.array([1])).y_pred.tolist() == [3.0]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("binary", [0, 1], [0]), {}, "2 rows like y_true"),
        (("binary", [0, 1], [[0], [1]]), {}, "shape"),
        (("binary", [[0], [1]], [0, 1]), {}, "one dimension"),
        (("binary", [0, 1], None, [[0.1, 0.9], [0.5, 0.5]]), {}, "1 dimension"),
        (("multiclass", ["a", "b"], None, [[0.1, 0.9], [0.5, 0.5]]), {}, "without classes"),
        (("multiclass", ["a", "b"], None, [[1.0], [1.0]]), {"classes": ["a", "b"]}, "one for each of 2 classes"),
        (("multiclass", ["a", "b"], None), {"classes": ["a", "b", "b"]}, "distinct"),
        (("binary", ["a", "b"], None), {"classes": ["a", "b"], "positive": "c"}, "positive label 'c'"),
        (("binary", ["a", "b"], ["a", "b"]), {}, "no positive label for the classes 'a', 'b'"),
        (("binary", [0, 1], [0, 1], ["x", "y"]), {}, "not numbers"),
        (("regression", ["x", "y"], [0, 1]), {}, "not numbers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, message):
    with pytest.raises(MeasurementError, match=message):
        make_sample(*arguments, **options)


def test_one_class_of_text_is_inconclusive():
    with pytest.raises(InconclusiveError, match="all rows are of the class 'late'"):
        make_sample("binary", ["late"], ["late"], positive="late")


def test_labels_that_are_no_labels_are_refused():
    labels = np.empty(1, dtype=object)
    labels[0] = [1]
    with pytest.raises(MeasurementError, match="no labels"):
        encode(labels, ("a",), "y_true")


def test_flags_of_a_sample_that_has_none_are_refused():
    with pytest.raises(MeasurementError, match="without the labels"):
        make_sample("regression", [1.0], [1.0]).truth  # noqa: B018
    with pytest.raises(MeasurementError, match="without the labels"):
        make_sample("binary", [0, 1]).selected  # noqa: B018


def test_a_sample_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_sample("binary", [0, 1]).task = Task.REGRESSION


def test_numpy_classes_become_plain_ones():
    sample = make_sample("multiclass", [1, 2], [1, 2], classes=np.array([1, 2]))
    assert [type(each) for each in sample.classes] == [int, int]


def test_floats_of_other_widths_are_widened():
    assert as_floats(np.array([1, 2], dtype=np.uint8), "x").dtype == np.float64


@given(
    st.sampled_from(["i1", "u1", "?", "i8", "f4", "f8"]),
    st.lists(st.sampled_from([0, 1, 2, 7, 100, 127]), max_size=40),
    st.integers(0, 400),
)
def test_labels_are_found_and_encoded_as_one_by_one(kind, labels, more):
    """Bytes are looked up where there are many of them, and a few numbers found without a set of all of them."""
    array = np.array([*labels, *labels[:1] * more], dtype=kind)
    assert list(map(repr, set(_distinct(array)))) == list(map(repr, set(array.tolist())))
    classes = [*dict.fromkeys(array.tolist()), 99]
    assert encode(array, classes, "y_true").tolist() == [classes.index(each) for each in array.tolist()]


@pytest.mark.parametrize("kind", ["i1", "u1", "?"])
def test_a_byte_that_is_no_class_is_refused_among_many(kind):
    labels = np.array([1] * 300 + [0], dtype=kind)
    with pytest.raises(MeasurementError, match=r"y_pred: 1 of 301 labels are unknown: (0|False)"):
        encode(labels, [1, 5], "y_pred")
    assert encode(labels[:-1], [5, 1], "y_pred").tolist() == [1] * 300


def test_negative_bytes_are_labels_too():
    labels = np.tile(np.array([-128, -1, 127], dtype="i1"), 200)
    assert encode(labels[::2], [-1, 127, -128], "y").tolist() == [[2, 0, 1][at % 3] for at in range(0, 600, 2)]


@pytest.mark.parametrize("many", [np.arange(40.0), np.array([1.0, np.nan, 1.0]), np.arange(FEW_CLASSES + 1)])
def test_many_labels_and_missing_ones_are_all_handed_on(many):
    assert list(map(repr, _distinct(many))) == list(map(repr, many.tolist()))


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float64, object])
def test_which_rows_are_positive_in_pieces(kind):
    labels = (np.arange(PIECE + 5) % 3 == 0).astype(int).astype(kind)
    np.testing.assert_array_equal(are_positive(labels, (0, 1), 1, "y"), labels == 1)
    np.testing.assert_array_equal(are_positive(labels, (0, 1), 0, "y"), labels == 0)
    labels[-1] = 2
    with pytest.raises(MeasurementError, match="y: 1 of 65541 labels are unknown: 2"):
        are_positive(labels, (0, 1), 1, "y")
