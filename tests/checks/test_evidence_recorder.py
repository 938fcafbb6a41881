from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_leanml.checks.evidence import FACTS, EvidenceRecorder
from pytest_leanml.errors import MeasurementError


@pytest.fixture
def facts():
    return []


@pytest.fixture
def evidence(make_study, facts):
    return EvidenceRecorder(make_study(), lambda path, value: facts.append((path, value)))


def test_a_measurement_of_ones_own(evidence, ledger):
    measured = evidence.record(
        "latency_p99", np.float32(0.25), low=0.2, high=0.3, n=np.int64(50), unit="s", by={"EWR": 1, 7: 0.5}
    )
    assert measured < 0.5
    record = ledger[-1]
    assert (record.id, record.metric, record.value, record.user) == ("latency_p99", "latency_p99", 0.25, True)
    assert (record.low, record.high, record.n, record.unit, record.interval) == (0.2, 0.3, 50, "s", "given")
    assert record.by == {"EWR": {"value": 1.0}, "7": {"value": 0.5}}
    assert record.section == {}
    assert [each.passed for each in record.comparisons] == [True]


def test_the_least_that_can_be_said(evidence, ledger):
    evidence.record("accuracy", 1)
    record = ledger[-1]
    assert (record.value, record.low, record.high, record.n, record.unit, record.interval) == (
        *(1.0, None, None, None, "1", None),
    )


@pytest.mark.parametrize("name", ["quality.accuracy", "leakage.overlap", "behaviour.determinism", "fairness.x[a]"])
def test_a_name_by_which_another_fixture_measures_is_refused(evidence, ledger, name):
    with pytest.raises(MeasurementError, match="of your own"):
        evidence.record(name, 0.0, low=0.0, high=0.0, n=1000)
    assert not ledger
    assert evidence.record("quality", 1.0) >= 1
    assert evidence.record("cost.quality", 1.0) >= 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.03", True, None, np.bool_(True), [1.0], 10**400])
def test_what_is_no_finite_number_is_refused(evidence, ledger, value):
    for fields in ({"value": value}, {"value": 1, "low": value}, {"value": 1, "by": {"a": value}}):
        if fields == {"value": 1, "low": None}:
            continue  # no limit is no fault
        with pytest.raises(MeasurementError):
            evidence.record("x", **fields)
    assert not ledger


def test_a_lying_subclass_is_refused(evidence):
    class Lying(float):
        def __le__(self, other):
            return True

    with pytest.raises(MeasurementError, match="Lying"):
        evidence.record("x", Lying(5.0))


@pytest.mark.parametrize("name", ["", " x", "x ", "ä", "x y", "x" * 201, None, 3, "%41"])
def test_a_name_that_is_no_id(evidence, ledger, name):
    with pytest.raises(MeasurementError, match="name of a measurement"):
        evidence.record(name, 1)
    assert not ledger


def test_a_second_value_of_one_name_is_an_error_and_is_seen(evidence, ledger):
    assert evidence.record("x", 0.9) >= 0.5
    with pytest.raises(MeasurementError, match="recorded twice"):
        evidence.record("x", 0.9)
    # Its comparisons do not hide it: it stands in the ledger as a fresh one.
    assert [(record.id, len(record.comparisons)) for record in ledger] == [("x", 0), ("x", 1), ("x", 0)]


@pytest.mark.parametrize("limits", [{"low": 0.6}, {"high": 0.4}, {"low": 0.7, "high": 0.3}])
def test_limits_out_of_order(evidence, limits):
    with pytest.raises(MeasurementError, match="outside of its own limits"):
        evidence.record("x", 0.5, **limits)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "9", math.nan])
def test_rows_that_are_no_count(evidence, n):
    with pytest.raises(MeasurementError, match="n of x"):
        evidence.record("x", 0.5, n=n)


@pytest.mark.parametrize("unit", ["", " ", 3, "s" * 1001])
def test_a_unit_that_is_no_text(evidence, unit):
    with pytest.raises(MeasurementError, match="unit of x"):
        evidence.record("x", 0.5, unit=unit)


def test_facts(evidence, facts):
    evidence.fact("training_date", "2026-11-21T08:00:00Z")
    evidence.fact("bias.demographic_parity", np.float64(0.03))
    evidence.fact("training.rows", 500)
    assert facts == [
        ("training_date", "2026-11-21T08:00:00Z"),
        ("bias.demographic_parity", 0.03),
        ("training.rows", 500.0),
    ]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "subject.digest",
            "champion",
            "approval.by",
            "metadata.annotations.approval",
            "history.streak",
            "checks",
            "run",
        ),
        *(
            "environment",
            "evaluated_at",
            "metrics.accuracy",
            "measurements.x",
            "data.train",
            "schema",
            "user",
            "harness",
        ),
        *("", ".", "bias.", "bias..x", "bias.a b", None, 3),
    ],
)
def test_what_the_gate_knows_better_is_not_for_a_test_to_say(evidence, facts, path):
    with pytest.raises(MeasurementError, match=r"evidence\.fact"):
        evidence.fact(path, 1)
    assert not facts
    assert path not in FACTS


@pytest.mark.parametrize("value", [math.nan, True, None, [1], {"a": 1}, "", "x" * 1001])
def test_a_fact_is_a_number_or_text(evidence, facts, value):
    with pytest.raises(MeasurementError):
        evidence.fact("bias.x", value)
    assert not facts
