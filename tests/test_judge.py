from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.decision import Reason
from pytest_leanml.evidence.document import EvidenceContext, build_evidence
from pytest_leanml.evidence.ledger import CheckInfo, ItemLedger, Ledger, Phase, ProcessLedger, ReportSeen
from pytest_leanml.evidence.outcomes import PHASES
from pytest_leanml.evidence.records import Comparison, MeasurementRecord
from pytest_leanml.judge import ChildEnd, Manifest, judge
from pytest_leanml.policy.answers import Answer, Violation
from pytest_leanml.vocabulary import Verdict

CONTEXT = EvidenceContext(
    "01RUN", "2026-11-24T00:00:00Z", "production", subject={"uri": "models:/m/1", "digest": "sha256:aa"}
)
ALLOWING = Answer("gate.limits", allow=True, has_allow=True, deny=())
MANIFEST = Manifest(
    "01RUN",
    declared=("quality.accuracy",),
    required=("tests.custom",),
    thresholds={"quality.accuracy": {"min": 0.85}},
    snapshot={"leanml.yaml": "sha256:11"},
    policies_decide=1,
)

CLEAN_END = ChildEnd(0)


def item(name, *, declared=False, value=0.9, **changes):
    record = MeasurementRecord(
        name, name.partition(".")[2], value, comparisons=(Comparison(">=", 0.85, value >= 0.85),)
    )
    base = ItemLedger(
        nodeid=f"file::{name}",
        check=CheckInfo(name, "quality", declared=declared),
        collected=1,
        phases=tuple(Phase(when, None, "", 0.1) for when in PHASES),
        reports=tuple(ReportSeen(when, "passed", xfail=False) for when in PHASES),
        measurements=(record,),
        excused=None,
        notes=(),
    )
    return replace(base, **changes)


ITEMS = (item("quality.accuracy", declared=True), item("tests.custom"))


def process(name="main", items=ITEMS, **changes):
    base = ProcessLedger(name, {each.nodeid: each for each in items}, (), (), (), {}, 0, 0)
    return replace(base, **changes)


def decide(ledger=None, manifest=MANIFEST, answers=(ALLOWING,), child=CLEAN_END, after=None, **more):
    ledger = ledger or Ledger({"main": process()})
    evidence = build_evidence(CONTEXT, ledger, child.status)
    after = MANIFEST.snapshot if after is None else after
    return judge(manifest=manifest, ledger=ledger, evidence=evidence, answers=answers, child=child, after=after, **more)


def rules(judgement):
    return {reason.rule for reason in judgement.reasons}


def test_a_run_in_which_everything_holds_is_an_allow():
    judgement = decide()
    assert (judgement.verdict, judgement.status, judgement.reasons) == (Verdict.ALLOW, 0, ())


def main_with(**changes):
    return {"ledger": Ledger({"main": process(**changes)})}


SKIPPED = item("tests.custom", phases=(Phase("setup", "skip", "no", 0),), reports=())

DENIED = {
    "declared and not collected": (main_with(items=ITEMS[1:]), "G1.not_collected", 20),
    "declared id only defined by a test": (
        main_with(items=(item("quality.accuracy"), ITEMS[1])), "G1.not_collected", 20),
    "required and not collected": (main_with(items=ITEMS[:1]), "G1.not_collected", 20),
    "nothing collected": (main_with(items=()), "G1.nothing", 20),
    "a check skipped": (main_with(items=(ITEMS[0], SKIPPED)), "G1.not_run", 20),
    "an id twice": (main_with(items=(*ITEMS, replace(ITEMS[1], nodeid="other::x"))), "G2.duplicate", 20),
    "an id of odd characters": (main_with(items=(*ITEMS, item("qu\u0430lity.x"))), "G2.id", 20),
    "never": ({"manifest": replace(MANIFEST, never=(Reason("G3.plugin_objects", "no"),))}, "G3.plugin_objects", 20),
    "a failed collection": (main_with(faults=(("collection", "x"),)), "G4.collection", 20),
    "pytest.exit with 0": (main_with(faults=(("interrupt", "Exit: x"),)), "G4.interrupt", 20),
    "a red run": ({"child": ChildEnd(1), **main_with(final=1)}, "G4.exit_status", 1),
    "nothing collected, says pytest": ({"child": ChildEnd(5), **main_with(final=5)}, "G4.exit_status", 5),
    "usage error": ({"child": ChildEnd(4), **main_with(final=None)}, "G4.exit_status", 4),
    "a status that is not pytest's": ({"child": ChildEnd(22), **main_with(final=22)}, "G4.exit_status", 3),
    "killed": ({"child": ChildEnd(None, signal=9), **main_with(final=None)}, "G4.signal", 137),
    "late": ({"child": ChildEnd(None, late=True), **main_with(final=None)}, "G4.late", 21),
    "no final line": (main_with(final=None), "G7.final", 20),
    "another final line": (main_with(final=1), "G7.final", 20),
    "no ledger": ({"ledger": Ledger({})}, "G7.final", 20),
    "a torn ledger": (main_with(broken=1), "G7.ledger", 20),
    "no check measured": (main_with(items=(ITEMS[0], item("tests.custom", measurements=()))), "G1.error", 20),
    "two values of one name": (
        main_with(items=(*ITEMS, replace(item("quality.accuracy", value=0.95), nodeid="o", check=CheckInfo("o", "quality")))),
        "G6.conflict", 20),
    "measured by no check": (main_with(items=(*ITEMS, item("x.y", check=None))), "G6.no_check", 20),
    "no answer": ({"answers": ()}, "G9.unanswered", 21),
    "an answer missing": ({"manifest": replace(MANIFEST, policies_decide=2)}, "G9.unanswered", 21),
    "allow undefined": ({"answers": (replace(ALLOWING, allow=None),)}, "gate.limits.allow", 20),
    "allow false": ({"answers": (replace(ALLOWING, allow=False),)}, "gate.limits.allow", 20),
    "an error in a package": ({"answers": (replace(ALLOWING, error="boom"),)}, "G9.engine", 21),
    "denied although allowed": (
        {"answers": (replace(ALLOWING, deny=(Violation("limits.quality.accuracy", "", "low"),)),)},
        "limits.quality.accuracy", 20),
    "the engine failed": ({"answers": (), "undecided": (Reason("G9.engine", "late"),)}, "G9.engine", 21),
    "evidence of the wrong shape": ({"answers": (), "problems": ("metrics.accuracy is text",)}, "G9.evidence", 20),
    "an expired waiver": ({"manifest": replace(MANIFEST, expired=(Reason("waiver.x", "old"),))}, "waiver.x", 20),
    "the configuration changed": ({"after": {"leanml.yaml": "sha256:22"}}, "G10.changed", 20),
    "something vanished": ({"after": {}}, "G10.changed", 20),
    "something came": ({"after": {**MANIFEST.snapshot, "x": "sha256:33"}}, "G10.changed", 20),
}  # fmt: skip


@pytest.mark.parametrize(("given_", "rule", "status"), DENIED.values(), ids=DENIED)
def test_each_rule_denies_on_its_own(given_, rule, status):
    judgement = decide(**given_)
    assert judgement.verdict is Verdict.DENY
    assert rule in rules(judgement)
    assert judgement.status == status


def xdist(main=None, **workers):
    base = {"up": tuple(workers), "down": dict.fromkeys(workers), "items": ()}
    return Ledger({"main": process(**{**base, **(main or {})}), **{n: process(n, **w) for n, w in workers.items()}})


IDLE = tuple(replace(each, phases=(), reports=(), measurements=()) for each in ITEMS)


def test_two_clean_workers_that_share_the_checks_are_an_allow():
    ledger = xdist(gw0={"items": (ITEMS[0], IDLE[1])}, gw1={"items": (IDLE[0], ITEMS[1])})
    assert decide(ledger).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("main", "gw1", "rule"),
    [
        ({"down": {"gw0": None}}, {}, "G8.worker"),
        ({"down": {"gw0": None, "gw1": "crashed"}}, {}, "G8.worker"),
        ({}, {"final": None}, "G8.worker"),
        ({"up": ("gw0",), "down": {"gw0": None}}, {}, "G8.worker"),
        ({}, {"items": ITEMS[:1]}, "G1.workers_disagree"),
        ({}, {"broken": 2}, "G7.ledger"),
        ({}, {"faults": (("stopped", "maxfail"),)}, "G4.stopped"),
    ],
)
def test_a_worker_that_is_not_clean_denies(main, gw1, rule):
    judgement = decide(xdist(main, gw0={"items": ITEMS}, gw1={"items": IDLE, **gw1}))
    assert rule in rules(judgement)


def test_a_worker_that_was_ready_and_left_no_ledger_denies():
    ledger = xdist({"up": ("gw0", "gw1"), "down": {"gw0": None, "gw1": None}}, gw0={"items": ITEMS})
    assert "G8.worker" in rules(decide(ledger))


def warned(by, **check):
    return item(
        "quality.accuracy",
        value=0.8,
        excused=by,
        check=CheckInfo("quality.accuracy", "quality", declared=True, **check),
        phases=(Phase("setup", None, "", 0), Phase("call", "assert", "it is low", 0), Phase("teardown", None, "", 0)),
        reports=(
            *(ReportSeen(w, "passed", xfail=False) for w in ("setup", "teardown")),
            ReportSeen("call", "skipped", xfail=True),
        ),
    )


def test_a_missed_limit_of_severity_warning_is_shown_and_does_not_deny():
    judgement = decide(Ledger({"main": process(items=(warned("severity", severity="warning"), ITEMS[1]))}))
    assert judgement.verdict is Verdict.ALLOW
    assert [each.check for each in judgement.warnings] == ["quality.accuracy"]


def test_a_waived_limit_is_listed_with_who_answers_for_it():
    waiver = {"reason": "ticket 7", "owner": "risk", "expires": "2026-12-01"}
    manifest = replace(MANIFEST, waived={"limits.quality.accuracy": waiver})
    judgement = decide(Ledger({"main": process(items=(warned("waiver"), ITEMS[1]))}), manifest)
    assert judgement.verdict is Verdict.ALLOW
    assert [(each.rule, each.owner) for each in judgement.waived] == [("limits.quality.accuracy", "risk")]


def test_an_excuse_of_an_error_severity_is_not_believed():
    judgement = decide(Ledger({"main": process(items=(warned("severity"), ITEMS[1]))}))
    assert judgement.verdict is Verdict.DENY


def test_a_shadow_rule_is_counted_and_does_not_deny():
    answer = replace(ALLOWING, allow=False, deny=(Violation("limits.quality.accuracy", "", "low"),))
    judgement = decide(manifest=replace(MANIFEST, shadow=("limits.quality.accuracy",)), answers=(answer,))
    assert judgement.verdict is Verdict.ALLOW
    assert [each.rule for each in judgement.shadow] == ["limits.quality.accuracy"]


def test_a_shadowed_deny_does_not_hide_an_allow_rule_of_the_users_own():
    answer = Answer("mine", allow=False, has_allow=True, deny=(Violation("mine.x", "", "low"),))
    judgement = decide(manifest=replace(MANIFEST, shadow=("mine.x",)), answers=(answer,))
    assert rules(judgement) == {"mine.allow"}


@pytest.mark.parametrize(("value", "limit"), [(0.8, ">= 0.85"), (0.9, None)])
def test_a_policys_reason_shows_what_was_measured_and_the_limit_it_missed(value, limit):
    ledger = Ledger({"main": process(items=(item("quality.accuracy", declared=True, value=value), ITEMS[1]))})
    answer = replace(ALLOWING, allow=False, deny=(Violation("limits.quality.accuracy", "metrics.accuracy", "low"),))
    reason = next(r for r in decide(ledger, answers=(answer,)).reasons if r.rule == "limits.quality.accuracy")
    assert (reason.check, reason.measured, reason.limit) == ("quality.accuracy", value, limit)


def test_data_that_was_read_must_be_what_was_snapshotted():
    manifest = replace(MANIFEST, snapshot={"the train data": "sha256:11"})
    ledger = Ledger({"main": process()}, data=({"name": "train", "origin": "t.csv", "digest": "sha256:22"},))
    assert rules(decide(ledger, manifest, after=manifest.snapshot)) == {"G10.changed"}


def test_a_candidate_of_the_projects_own_is_told():
    ledger = Ledger({"main": process()}, models=({"role": "candidate", "digest": "sha256:bb", "origin": "fixture"},))
    judgement = decide(ledger)
    assert judgement.verdict is Verdict.ALLOW
    assert [each.rule for each in judgement.warnings] == ["G10.candidate"]


@given(st.lists(st.sampled_from(sorted(DENIED)), min_size=2, max_size=4, unique=True))
def test_more_that_is_wrong_never_turns_a_deny_into_an_allow(names):
    merged = {}
    for name in names:
        merged |= DENIED[name][0]
    assert decide(**merged).verdict is Verdict.DENY
