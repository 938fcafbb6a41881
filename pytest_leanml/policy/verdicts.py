"""What the packages' answers mean: reasons, warnings, shadows, waivers. Pure."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.decision import Reason, WaivedReason
from pytest_leanml.vocabulary import Severity, covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_leanml.policy.answers import Answer, Violation

SHIPPED = "gate."

_SIGNS = {"min": ">=", "max": "<=", "above": ">", "below": "<"}
_KEPT = {"min": operator.ge, "max": operator.le, "above": operator.gt, "below": operator.lt}


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """All answers together.

    Attributes:
        reasons: why they deny; empty when each deciding package allows.
        warnings: what they warn of.
        shadow: what shadow rules would have denied.
        waived_rules: rule ids that they excused.
        undecided: an answer is missing.
    """

    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    shadow: tuple[Reason, ...]
    waived_rules: tuple[str, ...]
    undecided: bool

    def waived(self, waivers: Mapping[str, Mapping[str, Any]]) -> Iterator[WaivedReason]:
        """Tell of each excused rule who answers for it."""
        for rule in self.waived_rules:
            waiver = waivers.get(rule, {})
            texts = (str(waiver.get(key, "")) for key in ("reason", "owner", "expires"))
            yield WaivedReason(rule, f"{rule} is excused by a waiver", *texts)


def judge_answers(  # noqa: PLR0913 - what an answer is held against
    answers: Sequence[Answer],
    shadow: Sequence[str],
    expected: int,
    thresholds: Mapping[str, Mapping[str, float]],
    document: Mapping[str, Any],
    *,
    asked: bool = True,
) -> PolicyVerdict:
    """G9: each deciding package answered ``allow`` exactly true and ``deny`` defined and empty.

    Args:
        answers: one for each package.
        shadow: rule ids that are counted and not enforced.
        expected: how many packages decide.
        thresholds: limits in force, to show beside a reason.
        document: the evidence, to show what was measured.
        asked: whether an engine was asked at all; if not, its caller says why.
    """
    reasons: list[Reason] = []
    shadowed: list[Reason] = []
    for answer in answers:
        found = [_reason(each, thresholds, document) for each in answer.deny]
        counted = [reason for reason in found if reason.rule in shadow]
        shadowed += counted
        reasons += [reason for reason in found if reason.rule not in shadow]
        reasons += _without_allow(answer, only_shadowed=bool(found) and len(counted) == len(found))
    unanswered = asked and (len(answers) != expected or not answers)
    undecided = unanswered or any(answer.error is not None for answer in answers)
    if unanswered:
        reasons.append(Reason("G9.unanswered", f"{len(answers)} of {expected} deciding packages answered"))
    warnings = [_reason(each, thresholds, document, Severity.WARNING) for answer in answers for each in answer.warn]
    waived = tuple(dict.fromkeys(rule for answer in answers for rule in answer.waived))
    return PolicyVerdict(tuple(reasons), tuple(warnings), tuple(shadowed), waived, undecided)


def _without_allow(answer: Answer, *, only_shadowed: bool) -> Iterator[Reason]:
    if answer.error is not None:
        yield Reason("G9.engine", f"{answer.package}: {answer.error}")
    elif answer.has_allow and answer.allow is not True and not answer.deny:
        said = "left allow undefined" if answer.allow is None else "answered allow = false"
        yield Reason(
            f"{answer.package}.allow",
            f"{answer.package} {said} and gave no reason; next: add a `deny` rule that says why",
        )
    elif answer.has_allow and answer.allow is not True and only_shadowed and not answer.package.startswith(SHIPPED):
        yield Reason(
            f"{answer.package}.allow",
            f"{answer.package} did not allow; its deny rules are shadowed, and its allow rule is not",
        )


def _reason(
    violation: Violation,
    thresholds: Mapping[str, Mapping[str, float]],
    document: Mapping[str, Any],
    severity: Severity = Severity.ERROR,
) -> Reason:
    name = violation.rule.partition(".")[2]
    record = _measured(name, document.get("measurements", {}))
    bounds = thresholds.get(name.partition("[")[0]) or thresholds.get(name) or {}
    limit = ", ".join(f"{_SIGNS[bound]} {value:g}" for bound, value in bounds.items() if bound in _SIGNS)
    if (record and record.get("passed") is False) or (not limit and record and "comparator" in record):
        limit = f"{record['comparator']} {record['threshold']:g}"
    if record and record.get("passed") is True and _keeps(record.get("value"), bounds):
        limit = ""  # the policy speaks of something else
    known = any(covers(name, each) for each in [*thresholds, *document.get("measurements", {})])
    return Reason(
        violation.rule,
        violation.msg,
        severity,
        check=name if known else None,
        measured=record.get("value") if record else None,
        limit=limit or None,
    )


def _keeps(value: Any, bounds: Mapping[str, Any]) -> bool:
    return isinstance(value, int | float) and all(
        bound in _KEPT and isinstance(x, int | float) and _KEPT[bound](value, x) for bound, x in bounds.items()
    )


def _measured(name: str, measurements: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the measurement of an id: its own, or of several parts the first that missed."""
    if name in measurements:
        return measurements[name]
    parts: Iterable[Mapping[str, Any]] = [each for key, each in measurements.items() if covers(name, key)]
    ordered = sorted(parts, key=lambda each: each.get("passed", True))
    return ordered[0] if ordered else None
