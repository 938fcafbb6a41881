"""Types of the promised facts."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.clock import now, stamp
from pytest_leanml.policy.facts import NUMBERS, check_facts
from pytest_leanml.policy.instants import nanoseconds, parse_instant

PRESENT = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_reference_evidence_is_whole(evidence):
    assert check_facts(evidence, at=PRESENT) == []


def test_absent_facts_are_left_to_the_policies():
    assert check_facts({}) == []


@pytest.mark.parametrize("document", [None, [], "x", 3, True])
def test_a_document_that_is_no_object(document):
    [message] = check_facts(document)
    assert message.endswith("expected an object")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.9", '"0.9" (text)'),
        (None, "null"),
        (True, "true"),
        ([0.9], "[0.9] (a list)"),
        ({}, "{} (an object)"),
        ("x" * 500, f'"{"x" * 56}... (text)'),
        (b"x", "b'x' (bytes)"),
    ],
)
def test_a_message_says_path_given_and_expected(value, shown):
    assert check_facts({"metrics": {"accuracy": value}}) == [f"metrics.accuracy is {shown}; expected a number"]


@pytest.mark.parametrize("pattern", NUMBERS)
@pytest.mark.parametrize("value", [None, "1", [], {}, True])
def test_every_promised_number_is_held_to_its_type(pattern, value):
    assert len(check_facts(nested(pattern, value))) == 1


@pytest.mark.parametrize("pattern", NUMBERS)
def test_every_promised_number_passes_as_one(pattern):
    assert check_facts(nested(pattern, 0.5)) == []
    assert check_facts(nested(pattern, 1)) == []


@pytest.mark.parametrize("pattern", NUMBERS)
@pytest.mark.parametrize("value", [None, "1", [], 3])
def test_what_holds_a_number_is_an_object(pattern, value):
    above = pattern.rpartition(".")[0]
    assert len(check_facts(nested(above, value))) >= 1


def nested(pattern, value):
    for part in reversed(pattern.split(".")):
        value = {"name" if part == "*" else part: value}
    return value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("path", ["metrics.accuracy", "anywhere.else"])
def test_no_number_is_nan_or_infinite(path, value):
    [message] = check_facts(nested(path, value))
    assert message == f"{path} is {value}; expected a finite number"
    assert check_facts({"list": [{"x": value}]}) == [f"list[0].x is {value}; expected a finite number"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"metrics": {"accuracy": 85}}, "metrics.accuracy is 85; expected 0 to 1"),
        ({"metrics": {"roc_auc": -0.1}}, "metrics.roc_auc is -0.1; expected 0 to 1"),
        ({"bias": {"demographic_parity": -1.5}}, "bias.demographic_parity is -1.5; expected -1 to 1"),
        ({"metadata": {"annotations": {"approval": True}}}, "metadata.annotations.approval is true; expected text"),
        ({"metadata": {"annotations": []}}, "metadata.annotations is [] (a list); expected an object"),
        ({"environment": None}, "environment is null; expected text"),
        ({"measurements": {"a": {"passed": 1}}}, "measurements.a.passed is 1; expected true or false"),
    ],
)
def test_ranges_and_other_types(document, message):
    assert check_facts(document) == [message]


@pytest.mark.parametrize("name", ["training_date", "evaluated_at"])
@pytest.mark.parametrize(
    "value",
    [None, 3, True, [], {}, "", "yesterday", "2026-11-21", "2026-11-21T08:00:00", "2026-02-30T08:00:00Z",
     "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T08:00:60Z", "2026-11-21 08:00:00Z",
     "2026-11-21T08:00:00+25:00", "\uff12026-11-21T08:00:00Z", "2026-11-21T08:00:00Z\n", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_time_that_is_none(name, value):
    [message] = check_facts({name: value})
    assert message.startswith(f"{name} is ")
    assert "RFC 3339" in message


def test_a_training_date_in_the_future_is_refused(evidence):
    evidence["training_date"] = "2026-11-23T22:10:05Z"
    [message] = check_facts(evidence, at=PRESENT)
    assert message == ("training_date is 2026-11-23T22:10:05Z, in the future; expected at most 2026-11-23T22:10:04Z")


def test_without_a_moment_the_clock_tells_what_is_future():
    assert check_facts({"training_date": stamp(now() - timedelta(seconds=5))}) == []
    [message] = check_facts({"training_date": stamp(now() + timedelta(days=1))})
    assert "in the future" in message


def test_an_evaluation_in_the_future_is_refused():
    assert check_facts({"evaluated_at": stamp(PRESENT + timedelta(minutes=5))}, at=PRESENT) == []
    [message] = check_facts({"evaluated_at": stamp(PRESENT + timedelta(minutes=6))}, at=PRESENT)
    assert message.startswith("evaluated_at is 2026-11-24T00:06:00Z, in the future")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001
def test_an_instant_is_read_back(moment, offset):
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{moment.isoformat(timespec='microseconds')}{sign}{minutes // 60:02}:{minutes % 60:02}"
    expected = moment.replace(tzinfo=UTC) - timedelta(minutes=offset)
    assert parse_instant(text) == expected
    assert nanoseconds(expected) == ((expected - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) * 1000


def test_a_year_before_the_calendar_is_none():
    assert parse_instant("0001-01-01T00:00:00+01:00") is None
