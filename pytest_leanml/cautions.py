"""What a decision warns of though it denies nothing: limits that are excused, held by chance perhaps, or toothless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.decision import Reason
from pytest_leanml.evidence.doubts import doubts
from pytest_leanml.vocabulary import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_leanml.evidence.outcomes import CheckSummary


def cautions(checks: Sequence[CheckSummary]) -> Iterator[Reason]:
    """Yield each warning that the checks themselves give rise to."""
    yield from (_excused(each) for each in checks if each.excused == "severity")
    yield from _toothless(checks)
    yield from _by_chance(checks)


def _excused(summary: CheckSummary) -> Reason:
    message = summary.problem or "missed a limit"
    return Reason("G1.warning", message, Severity.WARNING, check=summary.info.id)


def _toothless(checks: Sequence[CheckSummary]) -> Iterator[Reason]:
    """A gate that can deny for no missed limit looks like one whose limits all hold."""
    if checks and all(each.info.severity == Severity.WARNING for each in checks):
        message = (
            "every check is of severity warning, so that no missed limit denies; next: leave `severity: error` to those "
            "that must hold"
        )
        yield Reason("G1.warnings_only", message, Severity.WARNING)


def _by_chance(checks: Sequence[CheckSummary]) -> Iterator[Reason]:
    """A value on the right side of a limit that the interval lies across is a pass, and may be chance."""
    for each in doubts(checks):
        yield Reason("G1.unsettled", each.message, Severity.WARNING, each.check, each.measured, each.limit)
