"""From raw phases to one of the five outcomes of a check. Monotone: more lines can only make it worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_leanml.vocabulary import Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_leanml.evidence.ledger import CheckInfo, ItemLedger, Ledger, Phase
    from pytest_leanml.evidence.records import MeasurementRecord

PHASES = ("setup", "call", "teardown")
FIRST_RELEASE = "first_release"

_WORST_FIRST = (Outcome.ERROR, Outcome.NOT_RUN, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)

_OF_CATEGORY = {
    "assert": Outcome.FAILED,
    "inconclusive": Outcome.INCONCLUSIVE,
    FIRST_RELEASE: Outcome.INCONCLUSIVE,
    "skip": Outcome.NOT_RUN,
    "exit": Outcome.ERROR,
    "error": Outcome.ERROR,
}


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """One check item over all processes that ran it.

    Attributes:
        info: id, kind, severity, owner.
        nodeid: pytest's node id.
        outcome: the worst over processes.
        problem: why it is not a pass, None when it is.
        excused: "severity", "waiver" or "first_release" where a missed limit is excused, and nothing but a limit was missed.
        measurements: what it recorded, in order, once per id.
        seconds: time in all phases.
    """

    info: CheckInfo
    nodeid: str
    outcome: Outcome
    problem: str | None
    excused: str | None
    measurements: tuple[MeasurementRecord, ...]
    seconds: float


def summarise(ledger: Ledger) -> tuple[CheckSummary, ...]:
    """Summarise each check item of the run, sorted by id and node id."""
    runs: dict[str, list[ItemLedger]] = {}
    for process in ledger.running:
        for item in process.items.values():
            if item.check is not None:
                runs.setdefault(item.nodeid, []).append(item)
    summaries = [_summary(nodeid, items) for nodeid, items in runs.items()]
    return tuple(sorted(summaries, key=lambda each: (each.info.id, each.nodeid)))


def latest(records: Iterable[MeasurementRecord]) -> tuple[MeasurementRecord, ...]:
    """Keep one record per id: the one with the most comparisons."""
    kept: dict[str, MeasurementRecord] = {}
    for record in records:
        known = kept.get(record.id)
        if known is None or len(record.comparisons) >= len(known.comparisons):
            kept[record.id] = record
    return tuple(kept.values())


def missed(records: Iterable[MeasurementRecord]) -> bool:
    """Whether any recorded comparison did not hold."""
    return any(not comparison.passed for record in records for comparison in record.comparisons)


def _summary(nodeid: str, items: Sequence[ItemLedger]) -> CheckSummary:
    # Under xdist every worker collects every item and one of them runs it (all of them with --dist each).
    ran = [item for item in items if item.phases or item.reports] or list(items[:1])
    judged = [(_outcome(item), item) for item in ran]
    (outcome, problem), worst = min(judged, key=lambda each: _WORST_FIRST.index(each[0][0]))
    measurements = latest(record for item in ran for record in item.measurements)
    excused = _excused(outcome, worst, measurements)
    seconds = sum(phase.seconds for item in ran for phase in item.phases)
    info = worst.check
    if info is None:
        raise TypeError("summarise() passes checks only")
    return CheckSummary(info, nodeid, outcome, problem, excused, measurements, seconds)


def _excused(outcome: Outcome, item: ItemLedger, measurements: Sequence[MeasurementRecord]) -> str | None:
    if outcome not in {Outcome.FAILED, Outcome.INCONCLUSIVE}:
        return None
    if item.excused == FIRST_RELEASE:
        return FIRST_RELEASE if any(phase.category == FIRST_RELEASE for phase in item.phases) else None
    if not missed(measurements):
        return None
    if item.excused == "severity" and item.check is not None and item.check.severity != Severity.WARNING:
        return None
    return item.excused


def _outcome(item: ItemLedger) -> tuple[Outcome, str | None]:
    for rule in (_notes, _phases, _raised, _reports, _measured):
        found = rule(item)
        if found is not None:
            return found
    return Outcome.PASSED, None


def _notes(item: ItemLedger) -> tuple[Outcome, str] | None:
    return (Outcome.ERROR, "; ".join(item.notes)) if item.notes else None


def _phases(item: ItemLedger) -> tuple[Outcome, str] | None:
    for when in PHASES:
        times = sum(phase.when == when for phase in item.phases)
        if times > 1:
            return Outcome.ERROR, f"its {when} ran {times} times; a second attempt is not a pass"
    raised = _first_raised(item)
    if raised is not None and raised.when != "call":
        return None
    absent = [when for when in PHASES if all(phase.when != when for phase in item.phases)]
    return (Outcome.NOT_RUN, f"its {' and '.join(absent)} did not run") if absent else None


def _first_raised(item: ItemLedger) -> Phase | None:
    return next((phase for phase in item.phases if phase.category), None)


def _raised(item: ItemLedger) -> tuple[Outcome, str] | None:
    others = [phase for phase in item.phases if phase.category and phase.when != "call"]
    if others:
        phase = others[0]
        skipped = phase.category == "skip" and phase.when == "setup"
        return Outcome.NOT_RUN if skipped else Outcome.ERROR, f"{phase.when}: {phase.message}"
    call = next((phase for phase in item.phases if phase.category), None)
    if call is None:
        return None
    outcome = _OF_CATEGORY.get(call.category or "", Outcome.ERROR)
    if outcome is Outcome.FAILED and _straddles(item):
        outcome = Outcome.INCONCLUSIVE
    if outcome in {Outcome.FAILED, Outcome.INCONCLUSIVE}:
        second = _attempted_again(item)
        if second is not None:
            return second
    return outcome, call.message


def _straddles(item: ItemLedger) -> bool:
    """Whether all that was missed was a confidence limit, with the value itself on the right side."""
    missing = [(record, each) for record in item.measurements for each in record.comparisons if not each.passed]
    return bool(missing) and all(
        each.side != "value" and _holds(record.value, each.comparator, each.threshold) for record, each in missing
    )


def _holds(value: float, comparator: str, threshold: float) -> bool:
    table = {">=": value >= threshold, "<=": value <= threshold, ">": value > threshold, "<": value < threshold}
    return table.get(comparator, False)


def _attempted_again(item: ItemLedger) -> tuple[Outcome, str] | None:
    wrong = [report for report in item.reports if report.when != "call" and (report.outcome != "passed")]
    return (Outcome.ERROR, f"its {wrong[0].when} was reported {wrong[0].outcome}") if wrong else None


def _reports(item: ItemLedger) -> tuple[Outcome, str] | None:
    for report in item.reports:
        if report.outcome != "passed" or report.xfail:
            outcome = Outcome.NOT_RUN if report.outcome == "skipped" else Outcome.ERROR
            how = "xfail" if report.xfail else report.outcome
            return outcome, f"its {report.when} was reported as {how}"
    for when in PHASES:
        if all(report.when != when for report in item.reports):
            return Outcome.NOT_RUN, f"its {when} was never reported"
    return None


def _measured(item: ItemLedger) -> tuple[Outcome, str] | None:
    if not item.measurements:
        return Outcome.ERROR, "it recorded no measurement; next: ask a measuring fixture, or evidence.record(...)"
    if missed(latest(item.measurements)):
        return Outcome.FAILED, "a limit was missed although the test did not fail"
    return None
