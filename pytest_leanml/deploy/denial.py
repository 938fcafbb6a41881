"""Is a DENY one that was measured? Only such a one runs ``on: deny`` hooks: a typo or an outage rolls nothing back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.vocabulary import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# pytest's status where checks missed their limits and nothing else went wrong.
_TESTS_FAILED = 1
_ENDED = "G4.exit_status"


def uncertainties(
    decision: Mapping[str, Any], evidence: Mapping[str, Any], denied: Collection[str], shipped: Collection[str]
) -> Iterator[str]:
    """Yield why a DENY was not measured alone.

    Args:
        decision: decision.json.
        evidence: evidence.json, whose schema has been checked.
        denied: rules by which the policies deny, asked again.
        shipped: names of the shipped packages, without ``gate.``.
    """
    reasons = [each for each in decision.get("reasons") or [] if each.get("rule") != _ENDED]
    if not reasons or not denied:
        yield "no policy denies it"
    for reason in reasons:
        rule = str(reason.get("rule"))
        if rule not in denied:
            yield f"{rule} is no rule of a policy: {reason.get('message')}"
        elif rule.partition(".")[0] in shipped and not _measured(reason, evidence):
            yield f"{rule} tells of no measurement that missed its limit: {reason.get('message')}"
    yield from _run(evidence)


def _measured(reason: Mapping[str, Any], evidence: Mapping[str, Any]) -> bool:
    number = reason.get("measured")
    known = isinstance(number, int | float) and not isinstance(number, bool)
    return known and reason.get("limit") is not None and _missed(str(reason.get("check")), evidence)


def _missed(name: str, evidence: Mapping[str, Any]) -> bool:
    checks = evidence.get("checks") or []
    outcomes = {each["outcome"] for each in checks if each["id"] == name or each["id"].startswith(f"{name}[")}
    return not outcomes or Outcome.FAILED in outcomes


def _run(evidence: Mapping[str, Any]) -> Iterator[str]:
    """A run in which anything but a limit went wrong is no measurement."""
    checks: Iterable[Mapping[str, Any]] = evidence.get("checks") or []
    for check in checks:
        if check["outcome"] not in {Outcome.PASSED, Outcome.FAILED}:
            yield f"the check {check['id']} is {check['outcome']}"
    run = evidence.get("run") or {}
    failed = sum(check["outcome"] == Outcome.FAILED for check in checks)
    if run.get("exit_status") not in {0, _TESTS_FAILED}:
        yield f"the tests ended with status {run.get('exit_status')}"
    if run.get("errors") or int(run.get("failed") or 0) > failed:
        yield "a test that is no check failed"
