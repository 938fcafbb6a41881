"""Only a DENY that was measured runs hooks: each way in which it was not is told."""

from __future__ import annotations

import copy

import pytest

from pytest_leanml.deploy.denial import uncertainties

MISSED = {
    "rule": "limits.drift.share",
    "message": "0.4 > 0.15",
    "check": "drift.share",
    "measured": 0.4,
    "limit": "<= 0.15",
}
DECISION = {"verdict": "DENY", "reasons": [MISSED, {"rule": "G4.exit_status", "message": "a test failed"}]}
EVIDENCE = {
    "checks": [{"id": "drift.share", "outcome": "failed"}, {"id": "quality.accuracy", "outcome": "passed"}],
    "run": {"exit_status": 1, "failed": 1, "errors": 0},
}
RULES = {"limits.drift.share", "own.business"}


def _found(decision=DECISION, evidence=EVIDENCE, rules=RULES):
    return list(uncertainties(decision, evidence, rules, {"limits", "drift"}))


def _with(part, **changes):
    return {**copy.deepcopy(part), **changes}


def test_a_missed_limit_is_a_measured_deny():
    assert _found() == []
    own = {"rule": "own.business", "message": "not in December", "check": None, "measured": None, "limit": None}
    assert (
        _found(_with(DECISION, reasons=[own]), _with(EVIDENCE, run={"exit_status": 0, "failed": 0, "errors": 0})) == []
    )


def test_a_part_of_a_check_that_missed_is_measured():
    evidence = _with(EVIDENCE, checks=[{"id": "drift.share[north]", "outcome": "failed"}])
    assert _found(evidence=evidence) == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ({"measured": None}, "no measurement that missed"),
        ({"limit": None}, "no measurement that missed"),
        ({"measured": True}, "no measurement that missed"),
        ({"measured": "0.4"}, "no measurement that missed"),
        ({"check": "quality.accuracy"}, "no measurement that missed"),
        ({"rule": "G1.error"}, "no rule of a policy"),
        ({"rule": "G9.engine"}, "no rule of a policy"),
        ({"rule": "deploy"}, "no rule of a policy"),
        ({"rule": "registry.record"}, "no rule of a policy"),
        ({"rule": "limits.other"}, "no rule of a policy"),
    ],
)
def test_a_reason_that_is_no_missed_limit_is_uncertain(reason, told):
    (found,) = _found(_with(DECISION, reasons=[{**MISSED, **reason}]))
    assert told in found


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ({"checks": [{"id": "drift.share", "outcome": "failed"}, {"id": "x", "outcome": "error"}]}, "x is error"),
        (
            {"checks": [{"id": "drift.share", "outcome": "failed"}, {"id": "x", "outcome": "inconclusive"}]},
            "x is incon",
        ),
        ({"checks": [{"id": "drift.share", "outcome": "failed"}, {"id": "x", "outcome": "not_run"}]}, "x is not_run"),
        ({"run": {"exit_status": 2, "failed": 1, "errors": 0}}, "status 2"),
        ({"run": {"exit_status": None, "failed": 1, "errors": 0}}, "status None"),
        ({"run": {}}, "status None"),
        ({"run": {"exit_status": 1, "failed": 2, "errors": 0}}, "no check failed"),
        ({"run": {"exit_status": 1, "failed": 1, "errors": 1}}, "no check failed"),
    ],
)
def test_a_run_in_which_anything_else_went_wrong_is_uncertain(evidence, told):
    (found,) = _found(evidence=_with(EVIDENCE, **evidence))
    assert told in found


def test_without_a_reason_or_without_a_policy_that_denies_nothing_is_measured():
    assert "no policy denies it" in _found(_with(DECISION, reasons=[]))
    assert "no policy denies it" in _found(rules=set())
    assert "no policy denies it" in _found({})
