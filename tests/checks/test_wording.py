from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.checks.wording import explain
from pytest_leanml.evidence.records import Comparison, MeasurementRecord, numeral


@pytest.mark.parametrize(
    ("value", "others", "text"),
    [
        (0.83, (), "0.83"),
        (0.84999, (0.85,), "0.84999"),
        (0.85, (0.85,), "0.85"),
        (1 / 3, (), "0.3333"),
        (27902.0, (), "27902"),
        (123456.78, (), "123457"),
        (1e300, (), "1e+300"),
        (0.0, (), "0"),
        (-27902.5, (-27902.4,), "-27902.5"),
    ],
)
def test_as_many_digits_as_it_takes(value, others, text):
    assert numeral(value, *others) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_what_differs_never_reads_the_same(value, other):
    if value != other:
        assert numeral(value, other) != numeral(other, value)


def test_a_value_alone():
    assert explain(MeasurementRecord("a.b", "b", 0.5)) == ["a.b is 0.5"]


def test_missed_limits_come_first_and_name_their_side():
    comparisons = (Comparison(">=", 0.2, passed=True), Comparison("<", 0.6, passed=False, side="high"))
    record = MeasurementRecord("a.b", "b", 0.5, low=0.4, high=0.7, confidence=0.9, n=9, comparisons=comparisons)
    assert explain(record) == [
        "a.b's high confidence limit is 0.7; limit < 0.6: missed",
        "a.b is 0.5; limit >= 0.2: held",
        "interval [0.4, 0.7] at confidence 0.9, 9 rows",
    ]


def test_rows_without_an_interval_and_an_interval_without_an_end():
    assert explain(MeasurementRecord("a.b", "b", 0.5, n=9))[1] == "9 rows"
    assert explain(MeasurementRecord("a.b", "b", 0.5, high=0.7))[1] == "interval [, 0.7]"
    assert explain(MeasurementRecord("a.b", "b", 0.5, n=1))[1] == "1 row"


def test_what_is_counted_does_not_repeat_itself():
    assert explain(MeasurementRecord("a.b", "b", 3.0, low=3.0, high=3.0, interval="exact", n=9)) == ["a.b is 3"]


def test_of_many_groups_the_lowest_and_the_highest():
    by = {f"g{place}": {"value": place / 10} for place in range(9)}
    assert explain(MeasurementRecord("a.b", "b", 0.5, by=by))[1] == (
        "by group: g0 0, g1 0.1, g2 0.2, ... 3 more ..., g6 0.6, g7 0.7, g8 0.8"
    )
