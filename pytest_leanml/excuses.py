"""A missed limit of severity warning, or one that a waiver covers, is shown as expected; nothing else is excused."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.errors import FirstRelease, InconclusiveError, LeanmlError
from pytest_leanml.vocabulary import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.evidence.ledger import CheckInfo
    from pytest_leanml.evidence.records import MeasurementRecord

TAKEN: pytest.StashKey[dict[str, MeasurementRecord]] = pytest.StashKey()
# Whether the last comparison of an item held.
LAST: pytest.StashKey[bool] = pytest.StashKey()

_PACKAGE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - pathlib costs more than the plugin may
_PYTEST = re.compile(r"[/\\](_pytest|pluggy)[/\\]")

_CATEGORIES: tuple[tuple[Any, str], ...] = (
    (FirstRelease, "first_release"),
    (InconclusiveError, "inconclusive"),
    (AssertionError, "assert"),
    (pytest.skip.Exception, "skip"),
    (pytest.exit.Exception, "exit"),
)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be excused in this run besides warnings.

    Attributes:
        waived: check id, or a bare one that covers its ``[...]`` -> why a live waiver covers its missed limit.
        first_release: leanml.yaml declares a first release and the registry has no champion.
    """

    waived: Mapping[str, str] = field(default_factory=dict)
    first_release: bool = False

    def waiver_of(self, check: str) -> str | None:
        """Return why a live waiver covers the missed limit of a check; None where none does."""
        return self.waived.get(check, self.waived.get(check.partition("[")[0]))


def take(item: pytest.Item, record: MeasurementRecord) -> None:
    """Remember a measurement of an item, with the most comparisons that were made of it."""
    taken = item.stash.setdefault(TAKEN, {})
    if record.comparisons:
        item.stash[LAST] = record.comparisons[-1].passed
    known = taken.get(record.id)
    if known is None or len(record.comparisons) >= len(known.comparisons):
        taken[record.id] = record


def taken(item: pytest.Item) -> Mapping[str, MeasurementRecord]:
    """Return what an item has measured so far."""
    return item.stash.get(TAKEN, {})


def missed(item: pytest.Item) -> list[MeasurementRecord]:
    """Return the measurements of an item that missed a limit."""
    return [record for record in taken(item).values() if any(not each.passed for each in record.comparisons)]


def _ended_by_it(item: pytest.Item, check: CheckInfo) -> bool:
    """Whether a missed limit may be what ended the item: the last comparison before a failing assert was a miss."""
    return check.declared or not item.stash.get(LAST, True)


def category_of(excinfo: pytest.ExceptionInfo[BaseException] | None) -> str | None:
    """Tell what kind of exception a phase raised; None for none."""
    if excinfo is None:
        return None
    return next((name for kind, name in _CATEGORIES if isinstance(excinfo.value, kind)), "error")


def excuse(
    item: pytest.Item, report: pytest.TestReport, check: CheckInfo | None, category: str | None, allowed: Allowance
) -> str | None:
    """Report an excused miss as xfailed.

    Args:
        item: the item.
        report: of its call, changed in place.
        check: what makes it a check; None for any other item.
        category: what its call raised.
        allowed: what may be excused.

    Returns:
        Why it is excused: severity, waiver or first_release; None when it is not.
    """
    if check is None or not report.failed:
        return None
    if category == "first_release":
        by, reason = "first_release", "a first release has no champion to compare with"
        if not allowed.first_release:
            return None
    elif category not in {"assert", "inconclusive"} or not missed(item) or not _ended_by_it(item, check):
        return None
    elif check.severity == Severity.WARNING:
        by, reason = "severity", "missed limit, severity warning"
    elif (waiver := allowed.waiver_of(check.id)) is not None:
        by, reason = "waiver", f"waived: {waiver}"
    else:
        return None
    report.outcome = "skipped"
    report.wasxfail = f"reason: {reason}"
    return by


def explain(item: pytest.Item, report: pytest.TestReport) -> None:
    """Say which limits were missed, where the failure itself does not (``--assert=plain``)."""
    for record in missed(item):
        if f"{record.id} is " in report.longreprtext:
            continue
        lines = [
            f"{each.side} {each.comparator} {each.threshold:g}: {'held' if each.passed else 'missed'}"
            for each in record.comparisons
        ]
        report.sections.append((f"measured {record.id} = {record.value:.6g}", "\n".join(lines)))


def hide_our_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Hide our own frames in the traceback of an error of ours, which says all there is in its text.

    Returns:
        Whether a frame of the project is left; without one the text alone should be shown.
    """
    if not isinstance(excinfo.value, LeanmlError | pytest.UsageError):
        return True
    theirs = False
    for entry in excinfo.traceback:
        path = str(entry.path)
        if path.startswith(_PACKAGE):
            # pytest asks a frame's locals, then its globals, whether to show it.
            entry.frame.f_globals["__tracebackhide__"] = True
        elif not _PYTEST.search(path):
            theirs = True
    return theirs
