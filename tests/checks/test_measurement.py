from __future__ import annotations

import copy
import json
import math
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.checks.measurement import Bound, Measurement, discard, finite
from pytest_leanml.errors import MeasurementError
from pytest_leanml.evidence.records import Comparison, MeasurementRecord, holds


def plain(value, **more):
    return Measurement(MeasurementRecord("a.b", "b", value, **more), discard)


def said(ledger):
    return [(each.comparator, each.threshold, each.passed, each.side) for each in ledger.comparisons]


def test_is_recorded_when_taken(measure, ledger):
    measured = measure()
    assert [record.id for record in ledger] == ["quality.accuracy"]
    assert float(measured) == 0.83
    assert ledger[0].comparisons == ()


@pytest.mark.parametrize(
    ("compare", "recorded"),
    [
        (lambda m: m >= 0.8, (">=", 0.8, True, "value")),
        (lambda m: m > 0.83, (">", 0.83, False, "value")),
        (lambda m: m <= 0.83, ("<=", 0.83, True, "value")),
        (lambda m: m < 0.8, ("<", 0.8, False, "value")),
        (lambda m: m == 0.83, ("==", 0.83, True, "value")),
        (lambda m: m != 0.83, ("!=", 0.83, False, "value")),
        (lambda m: 0.8 <= m, (">=", 0.8, True, "value")),  # noqa: SIM300 - reflected on purpose
        (lambda m: 1 > m, ("<", 1.0, True, "value")),  # noqa: SIM300
        (lambda m: m >= np.float64(0.8), (">=", 0.8, True, "value")),
        (lambda m: m >= np.int64(0), (">=", 0.0, True, "value")),
        (lambda m: np.float64(0.8) <= m, (">=", 0.8, True, "value")),
        (lambda m: np.float32(0.5) <= m, (">=", 0.5, True, "value")),
        (lambda m: m >= Decimal("0.5"), (">=", 0.5, True, "value")),
        (lambda m: m >= Fraction(1, 2), (">=", 0.5, True, "value")),
        (lambda m: m.low >= 0.8, (">=", 0.8, True, "low")),
        (lambda m: m.high < 0.85, ("<", 0.85, False, "high")),
        (lambda m: 0.85 > m.high, ("<", 0.85, False, "high")),  # noqa: SIM300
    ],
)
def test_a_comparison_records_operator_limit_and_result(measure, ledger, compare, recorded):
    assert compare(measure()) is recorded[2]
    assert said(ledger) == [recorded]


def test_a_chained_comparison_records_both_limits(measure, ledger):
    assert 0.8 <= measure() < 0.9
    assert said(ledger) == [(">=", 0.8, True, "value"), ("<", 0.9, True, "value")]


def test_a_chain_that_ends_early_records_the_limit_that_was_missed(measure, ledger):
    held = 0.9 <= measure() < 1.0
    assert held is False
    assert said(ledger) == [(">=", 0.9, False, "value")]


def test_each_comparison_sends_the_whole_record_again(measure, ledger):
    measured = measure()
    assert measured >= 0.5
    assert measured.low >= 0.7
    assert [len(record.comparisons) for record in ledger] == [0, 1, 2]
    assert measured.record == ledger[-1]


def test_measurements_of_one_id_share_their_trail(ledger):
    trail: list[Comparison] = []
    record = MeasurementRecord("a.b", "b", 1.0)
    first, second = Measurement(record, ledger, trail), Measurement(record, ledger, trail)
    assert not first >= 2
    assert second >= 0
    assert said(ledger) == [(">=", 2.0, False, "value"), (">=", 0.0, True, "value")]


@pytest.mark.parametrize(
    "limit",
    [math.nan, math.inf, -math.inf, "0.8", None, True, [0.8], 0.8j, np.nan, np.bool_(True), Decimal("NaN"), 10**400],
)
@pytest.mark.parametrize("compare", ["__ge__", "__le__", "__gt__", "__lt__", "__eq__", "__ne__"])
def test_a_limit_that_is_no_finite_number_is_an_error_and_records_nothing(measure, ledger, compare, limit):
    with pytest.raises(MeasurementError, match="finite number"):
        getattr(measure(), compare)(limit)
    assert ledger.comparisons == ()


@pytest.mark.parametrize("ask", [bool, lambda m: not m, lambda m: m and 1, lambda m: 1 if m else 0])
def test_its_truth_value_is_an_error(measure, ask):
    for value, name in (
        (measure(), "quality.accuracy"),
        (measure().low, "the low confidence limit of quality.accuracy"),
    ):
        with pytest.raises(MeasurementError, match=f"^{name} was used as true or false") as wrong:
            ask(value)
        assert "write `>= ...`" in str(wrong.value)


def test_zero_has_no_truth_value_either(measure):
    with pytest.raises(MeasurementError):
        bool(measure(0.0, low=None, high=None))


def test_measurements_are_ordered_without_a_limit(measure, ledger):
    low, high = measure(0.1, low=None, high=None), measure(0.9, low=None, high=None)
    assert max(low, high) is high
    assert sorted([high, low]) != [high, low]
    assert ledger.comparisons == ()


def test_arithmetic_gives_plain_floats(measure):
    measured = measure()
    for result in (measured + 1, 1 - measured, measured * 2, -measured, abs(measured), round(measured, 1)):
        assert type(result) is float
    assert round(measured) == 1
    assert f"{measured:.1f}" == "0.8"
    assert str(measured) == "0.83"
    assert math.isclose(measured, 0.83)
    assert json.dumps(measured) == "0.83"
    assert np.isclose(measured, 0.83)
    assert math.floor(measured * 100) == 83


def test_hash_and_membership(measure, ledger):
    measured = measure()
    assert hash(measured) == hash(0.83)
    assert {measured: 1}[measured] == 1
    assert ledger.comparisons == ()


def test_approx_on_either_side(measure, ledger):
    measured = measure()
    assert measured == pytest.approx(0.831, abs=0.01)
    assert [each.comparator for each in ledger.comparisons] == [">=", "<="]
    assert all(each.passed for each in ledger.comparisons)
    assert pytest.approx(0.831, abs=0.01) == measured
    assert len(ledger.comparisons) == 2


def test_approx_that_fails_is_recorded_as_missed(measure, ledger):
    assert not measure() == pytest.approx(0.9, abs=0.01)  # noqa: SIM201 - the operator under test
    assert [each.passed for each in ledger.comparisons] == [False, True]


def test_not_approx(measure, ledger):
    assert measure() != pytest.approx(0.9, abs=0.01)
    assert not measure() != pytest.approx(0.83, abs=0.01)  # noqa: SIM202 - the operator under test
    assert ledger.comparisons == ()


def test_approx_of_nan_is_an_error(measure):
    with pytest.raises(MeasurementError):
        assert measure() == pytest.approx(math.nan)


def test_approx_of_a_list_is_no_limit(measure):
    with pytest.raises(MeasurementError):
        assert measure() == pytest.approx([0.83])


@pytest.mark.parametrize(
    ("value", "word"), [(math.nan, "finite"), (math.inf, "finite"), ("0.9", "str"), (True, "bool"), (None, "NoneType")]
)
def test_a_value_that_is_no_finite_number_is_never_a_measurement(ledger, value, word):
    with pytest.raises(MeasurementError, match=word):
        Measurement(MeasurementRecord("a.b", "b", value), ledger)
    assert not ledger


@pytest.mark.parametrize("side", ["low", "high"])
def test_an_interval_that_is_not_finite_is_refused(ledger, side):
    with pytest.raises(MeasurementError, match=f"{side} of a.b"):
        Measurement(MeasurementRecord("a.b", "b", 1.0, **{side: math.nan}), ledger)
    assert not ledger


class Lying(float):
    """A float that is always small enough."""

    def __le__(self, other):
        return True


@pytest.mark.parametrize("value", [Lying(5.0), np.bool_(True), np.str_("1"), np.array([1.0]), 1 + 0j, Decimal(1)])
def test_subclasses_and_other_numbers_are_refused(value):
    if isinstance(value, np.ndarray):
        assert finite(value, "x") == 1.0  # one element is what .item() gives
        return
    with pytest.raises(MeasurementError):
        finite(value, "x")


def test_numpy_scalars_and_ints_become_floats():
    assert [type(finite(each, "x")) for each in (np.float32(0.5), np.int8(3), 7, 0.25)] == [float] * 4
    with pytest.raises(MeasurementError, match="finite"):
        finite(10**400, "x")


def test_no_interval_no_bound(measure):
    with pytest.raises(MeasurementError, match="no low confidence limit"):
        _ = measure(low=None).low
    with pytest.raises(MeasurementError, match="no high confidence limit"):
        _ = measure(high=None).high


def test_a_bound_explains_its_measurement(measure):
    measured = measure()
    assert not measured.low >= 0.81
    assert measured.low.explain() == measured.explain()
    assert measured.explain()[0] == "quality.accuracy's low confidence limit is 0.8; limit >= 0.81: missed"


def test_copies_keep_recording(measure, ledger):
    for again in (copy.copy, copy.deepcopy):
        assert again(measure()) >= 0.5
        assert said(ledger) == [(">=", 0.5, True, "value")]


def test_a_pickle_keeps_the_record_and_records_nowhere(measure, ledger):
    measured = measure()
    assert measured >= 0.5
    again = pickle.loads(pickle.dumps(measured))
    assert again.record == measured.record
    assert again >= 0.6
    assert len(ledger.comparisons) == 1
    bound = pickle.loads(pickle.dumps(measured.low))
    assert isinstance(bound, Bound)
    assert (float(bound), bound.side, bound.parent.id) == (0.8, "low", "quality.accuracy")


def test_what_it_knows_and_shows(measure):
    measured = measure(by={"EWR": {"value": 0.9, "n": 5}}, details={"no_skill": 0.6})
    assert (measured.id, measured.n, measured.unit, measured.interval, measured.confidence) == (
        *("quality.accuracy", 600, "1", "wilson", 0.95),
    )
    assert measured.by["EWR"]["n"] == 5
    assert measured.details == {"no_skill": 0.6}
    assert repr(measured) == "<quality.accuracy = 0.83, 95% interval [0.8, 0.86], n = 600>"
    assert repr(measured.low) == "<low of quality.accuracy = 0.8>"
    assert repr(plain(1.0)) == "<a.b = 1.0>"


ACROSS = "the interval lies across the limit >= 0.85: about 1350 rows would settle it (to miss the limit, if the value stays 0.83)"


def test_explains_value_limit_interval_rows_and_groups(measure):
    measured = measure(by={"EWR": {"value": 0.9, "n": 5}, "JFK": {"value": 0.7, "n": 8}})
    assert not measured >= 0.85
    assert measured.explain() == [
        "quality.accuracy is 0.83; limit >= 0.85: missed",
        "interval [0.8, 0.86] at confidence 0.95 (wilson), 600 rows",
        ACROSS,
        "by group: JFK 0.7 (n 8), EWR 0.9 (n 5)",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_compares_as_floats_do(value, limit):
    measured = plain(value)
    assert (measured < limit) is (value < limit)
    assert (measured <= limit) is (value <= limit)
    assert (measured > limit) is (value > limit)
    assert (measured >= limit) is (value >= limit)
    assert (measured == limit) is (value == limit)
    assert (limit < measured) is (limit < value)
    assert all(each.passed is holds(value, each.comparator, limit) for each in measured.record.comparisons)
