"""A point verdict whose interval lies across the limit: a pass that says so, and how many rows would settle it."""

from __future__ import annotations

import json

import pytest

from pytest_leanml.cautions import cautions
from pytest_leanml.evidence.document import EvidenceContext, build_evidence
from pytest_leanml.evidence.doubts import doubts, rows_needed, settled
from pytest_leanml.evidence.ledger import CheckInfo, ItemLedger, Ledger, Phase, ProcessLedger, ReportSeen
from pytest_leanml.evidence.outcomes import PHASES, summarise
from pytest_leanml.evidence.records import Comparison, MeasurementRecord, holds
from pytest_leanml.vocabulary import Severity

CONTEXT = EvidenceContext("01RUN", "2026-11-24T00:00:00Z", None)


def record(value=0.83, low=0.80, high=0.86, n=600, *comparisons, name="quality.accuracy", **more):
    fields = {"confidence": 0.95, "interval": "wilson", "comparisons": comparisons, **more}
    return MeasurementRecord(name, name.partition(".")[2], value, low, high, n=n, **fields)


def at(comparator, threshold, value=0.83, side="value"):
    return Comparison(comparator, threshold, holds(value, comparator, threshold), side)


def ledger(*records, severity="error", raised=None):
    item = ItemLedger(
        nodeid="file::it",
        check=CheckInfo("it", "quality", severity),
        collected=1,
        phases=tuple(Phase(when, raised if when == "call" else None, "", 0.1) for when in PHASES),
        reports=tuple(ReportSeen(when, "passed", xfail=False) for when in PHASES),
        measurements=records,
        excused=None,
        notes=(),
    )
    return Ledger({"main": ProcessLedger("main", {item.nodeid: item}, (), (), (), {}, 0, 0)})


def found(*records, **more):
    return list(doubts(summarise(ledger(*records, **more))))


@pytest.mark.parametrize(
    ("comparator", "threshold", "expected"),
    [
        (">=", 0.79, True),
        (">=", 0.80, True),
        (">", 0.80, False),
        (">=", 0.82, False),
        (">=", 0.85, False),
        (">=", 0.87, True),
        ("<=", 0.86, True),
        ("<", 0.86, False),
        ("<=", 0.84, False),
        ("<", 0.79, True),
        ("==", 0.83, None),
        ("!=", 0.5, None),
    ],
)
def test_a_limit_is_settled_when_the_whole_interval_is_on_one_side(comparator, threshold, expected):
    assert settled(record(), comparator, threshold) is expected


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.8, None), (None, 0.86)])
def test_without_an_interval_nothing_is_claimed(low, high):
    measured = record(0.83, low, high, 600, at(">=", 0.83))
    assert settled(measured, ">=", 0.83) is None
    assert found(measured) == []


def test_what_was_counted_is_settled():
    assert found(record(0.0, 0.0, 0.0, 900, at("<=", 0.0, 0.0))) == []


def test_a_pass_by_the_value_alone_is_told_with_the_rows_that_would_settle_it():
    (doubt,) = found(record(0.83, 0.80, 0.86, 600, at(">=", 0.82)))
    assert doubt.message == (
        "quality.accuracy is 0.83, and its 0.95 interval [0.8, 0.86] (wilson, 600 rows) lies across the limit >= 0.82: "
        "judged by its value alone; about 5400 rows would settle it (to hold the limit, if the value stays 0.83)"
    )
    assert (doubt.check, doubt.measured, doubt.limit) == ("it", 0.83, ">= 0.82")


@pytest.mark.parametrize(
    "comparison",
    [at(">=", 0.79), at(">=", 0.82, side="low"), at("==", 0.83), at(">=", 0.85)],
    ids=["settled", "by-bound", "equality", "missed"],
)
def test_what_is_proven_or_missed_is_no_doubt(comparison):
    assert found(record(0.83, 0.80, 0.86, 600, comparison)) == []


def test_a_check_that_did_not_pass_speaks_for_itself():
    assert found(record(0.83, 0.80, 0.86, 600, at(">=", 0.82)), raised="error") == []


def test_each_limit_is_told_once():
    twice = record(0.83, 0.80, 0.86, 600, at(">=", 0.82), at(">=", 0.82), at("<=", 0.85))
    assert [each.limit for each in found(twice)] == [">= 0.82", "<= 0.85"]


def test_without_rows_or_on_the_limit_itself_no_number_is_made_up():
    (unknown,) = found(record(0.83, 0.80, 0.86, None, at(">=", 0.82)))
    assert unknown.message.endswith("record with `n=` on how many rows it rests, to read how many would settle it")
    assert "[0.8, 0.86] (wilson) lies" in unknown.message
    (exact,) = found(record(0.83, 0.80, 0.86, 600, at(">=", 0.83)))
    assert exact.message.endswith("no number of rows settles a value on the limit itself; move the limit")
    (bare,) = found(record(0.83, 0.80, 0.86, None, at(">=", 0.82), confidence=None, interval=None))
    assert "its interval [0.8, 0.86] lies across" in bare.message
    (drift,) = found(record(0.0, 0.0, 0.5, 9, at("<=", 0.1, 0.0), details={"unsettled": "`x`"}))
    assert drift.message.endswith("compare more rows, to exclude chance in `x`")
    assert rows_needed(record(0.0, 0.0, 0.5, 9, details={"unsettled": "`x`"}), 0.1) is None


@pytest.mark.parametrize(
    ("value", "low", "high", "comparison", "count"),
    [
        (0.0, 0.0, 0.007, at("<=", 0, 0.0), 0),
        (1.0, 0.99, 1.0, at(">=", 1, 1.0), 0),
        (0.0, 0.0, 0.007, at("<", 0.001, 0.0), 1),
        (0.001, 0.0, 0.007, at("<=", 0.001, 0.001), 1),
        (0.0, -0.01, 0.007, at("<=", 0, 0.0), 1),
        (0.0, 0.0, 0.007, at("<=", 0.001, 0.0), 1),
    ],
)
def test_a_limit_that_asks_for_the_best_there_is_is_no_doubt(value, low, high, comparison, count):
    assert len(found(record(value, low, high, 500, comparison))) == count
    assert len(found(record(value, low, high, 500, comparison, details={"unsettled": "`x`"}))) == 1


def test_the_worst_slice_is_settled_when_each_of_them_is():
    by = {
        "day": {"value": 0.02, "n": 600, "low": -0.01, "high": 0.05},
        "night": {"value": 0.00, "n": 100, "low": -0.08, "high": 0.08},
    }
    worst = record(0.0, -0.07, 0.05, 100, at(">=", -0.02, 0.0), name="comparison.worst_slice", by=by)
    assert rows_needed(worst, -0.02) == 1600  # night: 100 (0.08 / 0.02) ** 2; day: 338
    (doubt,) = found(worst)
    assert "about 1600 rows in its slice that needs the most would settle it" in doubt.message
    assert (
        rows_needed(
            record(0.0, -0.07, 0.05, 100, name="comparison.worst_slice", by={**by, "dusk": {"value": 0.1, "n": 9}}),
            -0.02,
        )
        is None
    )


def test_the_decision_warns_of_it_whatever_its_severity():
    for severity in ("error", "warning"):
        checks = summarise(ledger(record(0.83, 0.80, 0.86, 600, at(">=", 0.82)), severity=severity))
        (warning,) = [each for each in cautions(checks) if each.rule == "G1.unsettled"]
        assert (warning.severity, warning.check, warning.measured, warning.limit) == (
            Severity.WARNING,
            "it",
            0.83,
            ">= 0.82",
        )


def test_the_evidence_says_whether_a_limit_is_settled():
    def shown(*comparisons, n=600):
        document = build_evidence(CONTEXT, ledger(record(0.83, 0.80, 0.86, n, *comparisons)), 0).document
        measured = document["measurements"]["quality.accuracy"]
        return {name: measured[name] for name in ("settled", "rowsToSettle", "side", "comparisons") if name in measured}

    assert shown() == {}
    assert shown(at(">=", 0.79)) == {"settled": True}
    assert shown(at(">=", 0.82)) == {"settled": False, "rowsToSettle": 5400}
    assert shown(at(">=", 0.8, side="low")) == {"settled": True, "side": "low"}
    assert shown(at("==", 0.83)) == {}
    assert shown(at(">=", 0.82), n=None) == {"settled": False}
    both = shown(at(">=", 0.79), at(">=", 0.82))
    assert [each["settled"] for each in both["comparisons"]] == [True, False]
    assert (both["settled"], both["rowsToSettle"]) == (False, 5400)


def test_the_gate_passes_and_says_so_everywhere(flights, shown):
    """36 of 40 rows are right: 0.9, and anything from 0.77 to 0.96."""
    result, decision = shown()
    assert decision["own"] == set()
    warned = [each for each in decision["warnings"] if each["rule"] == "G1.unsettled"]
    assert warned[0]["check"] == "quality.accuracy"
    assert "rows would settle it (to hold the limit, if the value stays 0.9)" in warned[0]["message"]
    assert (warned[0]["measured"], warned[0]["limit"]) == (0.9, ">= 0.85")
    result.stdout.fnmatch_lines(["*warnings:*", "*G1.unsettled (quality.accuracy)*", "*rows would settle it*"])
    report = (flights / ".leanml" / "report.md").read_text()
    assert "| G1\\.unsettled |" in report.partition("## Warnings")[2]
    measured = json.loads((flights / ".leanml" / "evidence.json").read_text())["measurements"]["quality.accuracy"]
    assert (measured["passed"], measured["settled"]) == (True, False)
    assert measured["rowsToSettle"] > 40


def test_a_plain_assert_that_fails_by_chance_says_so(flights, plain):
    (flights / "test_it.py").write_text("def test_it(quality):\n    assert quality.accuracy() >= 0.92\n")
    result = plain("test_it.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the interval lies across the limit >= 0.92: about * rows would settle it (to miss the limit*"]
    )
