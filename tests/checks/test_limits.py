from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.checks.limits import COMPARATORS, LimitMissedError, hold
from pytest_leanml.checks.measurement import Measurement, discard
from pytest_leanml.config import Limit
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.evidence.records import MeasurementRecord, holds
from pytest_leanml.vocabulary import Judge


def bound(**bounds):
    return Limit(**bounds, judge=Judge.BOUND)


def outcome(measured, limit):
    try:
        hold(measured, limit)
    except LimitMissedError:
        return "missed"
    except InconclusiveError:
        return "inconclusive"
    return "held"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (Limit(min=0.83), "held"),
        (Limit(above=0.83), "missed"),
        (Limit(max=0.83), "held"),
        (Limit(below=0.83), "missed"),
        (Limit(min=0.84), "missed"),
        (Limit(min=0.8, max=0.9), "held"),
        (Limit(min=0.8, max=0.82), "missed"),
        (bound(min=0.80), "held"),
        (bound(above=0.80), "inconclusive"),
        (bound(min=0.81), "inconclusive"),
        (bound(min=0.85), "inconclusive"),
        (bound(min=0.86), "inconclusive"),  # the upper limit itself would still hold
        (bound(above=0.86), "missed"),
        (bound(min=0.87), "missed"),
        (bound(max=0.86), "held"),
        (bound(below=0.86), "inconclusive"),
        (bound(max=0.80), "inconclusive"),
        (bound(below=0.80), "missed"),
        (bound(max=0.79), "missed"),
        (bound(min=0.5, max=0.85), "inconclusive"),
        (bound(min=0.5, max=0.7), "missed"),
    ],
)
def test_by_point_and_by_bound(measure, limit, expected):
    assert outcome(measure(), limit) == expected


def test_every_bound_is_recorded_with_its_side(measure, ledger):
    assert outcome(measure(), bound(min=0.87, below=0.9)) == "missed"
    recorded = [(each.comparator, each.threshold, each.passed, each.side) for each in ledger.comparisons]
    assert recorded == [(">=", 0.87, False, "low"), ("<", 0.9, True, "high")]
    assert outcome(measure(), Limit(min=0.8, max=0.9)) == "held"
    assert [each.side for each in ledger.comparisons] == ["value", "value"]


def test_a_miss_says_value_limit_interval_rows_and_groups(measure):
    with pytest.raises(LimitMissedError) as missed:
        hold(measure(by={"JFK": {"value": 0.7, "n": 8}}), Limit(min=0.85))
    assert str(missed.value) == (
        "quality.accuracy is 0.83; limit >= 0.85: missed\n"
        "  interval [0.8, 0.86] at confidence 0.95 (wilson), 600 rows\n"
        "  the interval lies across the limit >= 0.85: about 1350 rows would settle it (to miss the limit, if the value "
        "stays 0.83)\n"
        "  by group: JFK 0.7 (n 8)"
    )
    assert isinstance(missed.value, AssertionError)


def test_a_doubt_names_the_rows_that_would_settle_it(measure):
    with pytest.raises(InconclusiveError) as doubt:
        hold(measure(by={"JFK": {"value": 0.7, "n": 8}}), bound(min=0.82))
    # The lower half-width .03 must shrink to .01: a ninth of it, so nine times the rows.
    assert str(doubt.value) == (
        "quality.accuracy is 0.83, and its 0.95 interval [0.8, 0.86] (wilson, 600 rows) lies across the limit >= 0.82: "
        "not proven\n  by group: JFK 0.7 (n 8)\n  expected: an interval wholly >= 0.82\n"
        "  next: about 5400 rows would settle it (to hold the limit, if the value stays 0.83)"
    )


def test_a_doubt_on_the_wrong_side_would_settle_as_a_miss(measure):
    with pytest.raises(InconclusiveError, match=r"to miss the limit"):
        hold(measure(), bound(min=0.84))


def test_on_the_limit_itself_no_rows_help(measure):
    with pytest.raises(InconclusiveError, match="no number of rows"):
        hold(measure(), bound(above=0.83))


def test_a_miss_that_is_certain_asks_for_no_more_rows(measure):
    with pytest.raises(LimitMissedError) as missed:
        hold(measure(), Limit(min=0.87))
    assert "settle" not in str(missed.value)


def test_a_doubt_without_rows_says_what_is_lacking(measure):
    with pytest.raises(InconclusiveError, match="record with `n=`"):
        hold(measure(n=None), bound(min=0.82))


def test_what_is_unsettled_needs_rows_not_a_level(measure):
    with pytest.raises(InconclusiveError) as doubt:
        hold(measure(0.0, low=0.0, high=0.5, confidence=None, details={"unsettled": "`x`"}), bound(max=0.1))
    assert "and its interval [0, 0.5]" in str(doubt.value)
    assert str(doubt.value).endswith("next: compare more rows, to exclude chance in `x`")


def test_by_bound_without_an_interval_is_an_error(measure):
    with pytest.raises(MeasurementError, match="judge: point"):
        hold(measure(low=None, high=None), bound(min=0.1))
    with pytest.raises(MeasurementError, match="no high"):
        hold(measure(high=None), bound(min=0.81))


def test_one_side_is_enough_where_it_clears(measure, ledger):
    hold(measure(high=None), bound(min=0.8))
    assert [(each.side, each.threshold, each.passed) for each in ledger.comparisons] == [("low", 0.8, True)]
    hold(measure(low=None), bound(max=0.86))
    assert [(each.side, each.threshold, each.passed) for each in ledger.comparisons] == [("high", 0.86, True)]


def test_a_limit_without_a_bound_is_an_error(measure):
    class Empty:
        judge = Judge.POINT

        def bounds(self):
            return {}

    with pytest.raises(MeasurementError, match="no bound"):
        hold(measure(), Empty())


numbers = st.floats(-1e6, 1e6)


@given(st.tuples(numbers, numbers, numbers).map(sorted), st.sampled_from(sorted(COMPARATORS)), numbers)
def test_by_bound_is_never_laxer_than_by_point(interval, name, limit):
    low, value, high = interval
    measured = Measurement(MeasurementRecord("a.b", "b", value, low=low, high=high, n=10), discard)
    by_bound, by_point = outcome(measured, bound(**{name: limit})), outcome(measured, Limit(**{name: limit}))
    comparator = COMPARATORS[name]
    assert (by_bound == "held") is (holds(low, comparator, limit) and holds(high, comparator, limit))
    assert (by_bound == "missed") is not (holds(low, comparator, limit) or holds(high, comparator, limit))
    assert by_point == ("held" if holds(value, comparator, limit) else "missed")
    assert by_bound != "held" or by_point == "held"
