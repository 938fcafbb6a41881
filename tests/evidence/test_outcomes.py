from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.evidence.ledger import CheckInfo, ItemLedger, Ledger, Phase, ProcessLedger, ReportSeen
from pytest_leanml.evidence.outcomes import PHASES, latest, summarise
from pytest_leanml.evidence.records import Comparison, MeasurementRecord
from pytest_leanml.vocabulary import Outcome

HELD = Comparison(">=", 0.85, passed=True)
MISSED = Comparison(">=", 0.85, passed=False)


def record(value=0.9, comparisons=(HELD,), name="quality.accuracy"):
    return MeasurementRecord(id=name, metric="accuracy", value=value, comparisons=tuple(comparisons))


def good_item(**changes):
    item = ItemLedger(
        nodeid="leanml.yaml::quality.accuracy",
        check=CheckInfo("quality.accuracy", "quality", declared=True),
        collected=1,
        phases=tuple(Phase(when, None, "", 0.01) for when in PHASES),
        reports=tuple(ReportSeen(when, "passed", xfail=False) for when in PHASES),
        measurements=(record(),),
        excused=None,
        notes=(),
    )
    return replace(item, **changes)


def ledger_of(*items, process="main"):
    return Ledger({process: ProcessLedger(process, {i.nodeid: i for i in items}, (), (), (), {}, 0, 0)})


def outcome_of(item):
    (summary,) = summarise(ledger_of(item))
    return summary


def phases(**categories):
    return tuple(Phase(when, categories.get(when), "why", 0.01) for when in PHASES)


def reports(**outcomes):
    return tuple(ReportSeen(when, *outcomes.get(when, ("passed", False))) for when in PHASES)


def test_a_check_that_ran_and_measured_is_passed():
    assert outcome_of(good_item()).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"phases": phases(call="assert"), "reports": reports(call=("failed", False))}, Outcome.FAILED),
        ({"phases": phases(call="inconclusive")}, Outcome.INCONCLUSIVE),
        ({"phases": phases(call="skip"), "reports": reports(call=("skipped", False))}, Outcome.NOT_RUN),
        ({"phases": phases(call="exit")}, Outcome.ERROR),
        ({"phases": phases(call="error")}, Outcome.ERROR),
        ({"phases": phases(call="a word from another version")}, Outcome.ERROR),
        ({"phases": phases(setup="error")}, Outcome.ERROR),
        ({"phases": phases(setup="skip")}, Outcome.NOT_RUN),
        ({"phases": phases(teardown="error")}, Outcome.ERROR),
        ({"phases": phases(teardown="skip")}, Outcome.ERROR),
        ({"phases": ()}, Outcome.NOT_RUN),
        ({"phases": phases()[:2]}, Outcome.NOT_RUN),
        ({"phases": (*phases(), *phases())}, Outcome.ERROR),
        ({"phases": (phases()[0], Phase("call", "assert", "", 0), *phases()[1:])}, Outcome.ERROR),
        ({"reports": ()}, Outcome.NOT_RUN),
        ({"reports": reports(call=("failed", False))}, Outcome.ERROR),
        ({"reports": reports(call=("skipped", False))}, Outcome.NOT_RUN),
        ({"reports": reports(call=("skipped", True))}, Outcome.NOT_RUN),
        ({"reports": reports(call=("passed", True))}, Outcome.ERROR),
        ({"reports": reports(call=("rerun", False))}, Outcome.ERROR),
        ({"reports": reports(teardown=("failed", False))}, Outcome.ERROR),
        ({"reports": (*reports(), ReportSeen("call", "skipped", xfail=False))}, Outcome.NOT_RUN),
        ({"measurements": ()}, Outcome.ERROR),
        ({"measurements": (record(comparisons=[MISSED]),)}, Outcome.FAILED),
        ({"measurements": (record(comparisons=[HELD, MISSED]),)}, Outcome.FAILED),
        ({"notes": ("quality.accuracy was recorded twice",)}, Outcome.ERROR),
    ],
)
def test_what_is_not_exactly_a_pass_is_none(changes, outcome):
    summary = outcome_of(good_item(**changes))
    assert summary.outcome is outcome
    assert summary.problem
    assert summary.excused is None


def test_a_bound_that_misses_with_its_value_on_the_right_side_is_inconclusive():
    bound = Comparison(">=", 0.85, passed=False, side="low")
    item = good_item(phases=phases(call="assert"), measurements=(record(0.86, [bound]),))
    assert outcome_of(item).outcome is Outcome.INCONCLUSIVE
    worse = good_item(phases=phases(call="assert"), measurements=(record(0.84, [bound]),))
    assert outcome_of(worse).outcome is Outcome.FAILED


MISSED_ITEM = {
    "phases": phases(call="assert"),
    "reports": reports(call=("skipped", True)),
    "measurements": (record(0.8, [MISSED]),),
}


@pytest.mark.parametrize(
    ("excused", "severity", "expected"),
    [
        ("severity", "warning", "severity"),
        ("severity", "error", None),
        ("waiver", "error", "waiver"),
        (None, "warning", None),
    ],
)
def test_only_a_warning_or_a_waiver_excuses_a_missed_limit(excused, severity, expected):
    check = CheckInfo("quality.accuracy", "quality", severity=severity)
    summary = outcome_of(good_item(**MISSED_ITEM, excused=excused, check=check))
    assert summary.outcome is Outcome.FAILED
    assert summary.excused == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"phases": phases(call="error")},
        {"phases": phases(setup="skip")},
        {"phases": phases(call="assert", teardown="error")},
        {"phases": phases(call="assert"), "reports": reports(call=("skipped", True), teardown=("failed", False))},
        {"measurements": (record(),), "phases": phases(call="assert")},
    ],
)
def test_a_warning_excuses_nothing_but_a_missed_limit(changes):
    check = CheckInfo("quality.accuracy", "quality", severity="warning")
    summary = outcome_of(good_item(**{**MISSED_ITEM, **changes}, excused="severity", check=check))
    assert summary.excused is None


def test_of_several_workers_the_worst_counts_and_those_that_did_not_run_it_do_not():
    idle = good_item(phases=(), reports=(), measurements=())
    failed = good_item(phases=phases(call="error"))
    processes = {
        name: ProcessLedger(name, {item.nodeid: item}, (), (), (), {}, 0, 0)
        for name, item in (("gw0", good_item()), ("gw1", idle))
    }
    assert summarise(Ledger(processes))[0].outcome is Outcome.PASSED
    both = {**processes, "gw1": ProcessLedger("gw1", {failed.nodeid: failed}, (), (), (), {}, 0, 0)}
    assert summarise(Ledger(both))[0].outcome is Outcome.ERROR


def test_items_that_are_no_checks_are_left_out():
    assert summarise(ledger_of(good_item(check=None))) == ()


def test_the_record_with_the_most_comparisons_is_kept():
    records = [record(comparisons=[]), record(comparisons=[HELD]), record(comparisons=[])]
    assert latest(records) == (record(comparisons=[HELD]),)


CATEGORIES = st.sampled_from([None, "assert", "inconclusive", "skip", "exit", "error"])
OUTCOMES = st.sampled_from(
    [("passed", False), ("failed", False), ("skipped", False), ("skipped", True), ("rerun", False)]
)


@given(
    extra=st.lists(st.tuples(st.sampled_from(PHASES), CATEGORIES), max_size=3),
    more=st.lists(st.tuples(st.sampled_from(PHASES), OUTCOMES), max_size=3),
)
def test_more_lines_never_make_a_pass_of_what_was_none(extra, more):
    base = good_item(phases=phases(call="error"))
    item = replace(
        base,
        phases=(*base.phases, *(Phase(when, category, "", 0) for when, category in extra)),
        reports=(*base.reports, *(ReportSeen(when, *outcome) for when, outcome in more)),
    )
    assert outcome_of(item).outcome is not Outcome.PASSED


def test_every_combination_of_one_bad_phase_or_report_is_no_pass():
    for when, category in itertools.product(PHASES, ("assert", "inconclusive", "skip", "exit", "error")):
        assert outcome_of(good_item(phases=phases(**{when: category}))).outcome is not Outcome.PASSED
    for when, seen in itertools.product(PHASES, (("failed", False), ("skipped", False), ("skipped", True))):
        assert outcome_of(good_item(reports=reports(**{when: seen}))).outcome is not Outcome.PASSED
