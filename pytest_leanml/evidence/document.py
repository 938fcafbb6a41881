"""Build the evidence document, ``leanml.evidence/v1``, from what the ledger holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.metrics import BIAS, FAIRNESS
from pytest_leanml.evidence.doubts import rows_needed, settled
from pytest_leanml.evidence.outcomes import CheckSummary, latest, summarise
from pytest_leanml.vocabulary import Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_leanml.evidence.ledger import CheckInfo, Ledger
    from pytest_leanml.evidence.records import Comparison, MeasurementRecord

SCHEMA = "leanml.evidence/v1"


@dataclass(frozen=True, slots=True)
class EvidenceContext:
    """What the supervisor knows before any check runs.

    Attributes:
        run_id: id of the run.
        evaluated_at: RFC 3339 time, UTC; the only clock a policy sees.
        environment: name, None without a configuration.
        subject: name, version, uri, run_id, digest of the candidate; empty without a model.
        champion: the same of the champion; None without one.
        harness: name, version, digest of this package.
        annotations: registry tags of the candidate's version.
        approval: by, at, digest; empty when nobody approved.
        training_date: RFC 3339 time, None when unknown.
        training: facts about the training run.
        lineage: facts about where data and dates come from.
        history: streak, the runs it counts, source.
    """

    run_id: str
    evaluated_at: str
    environment: str | None
    subject: Mapping[str, Any] = field(default_factory=dict)
    champion: Mapping[str, Any] | None = None
    harness: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    approval: Mapping[str, Any] = field(default_factory=dict)
    training_date: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The document, and what in the ledger contradicts itself.

    Attributes:
        document: strict JSON data.
        conflicts: one sentence for each contradiction; any of them denies.
        checks: the summaries that ``document["checks"]`` shows.
    """

    document: dict[str, Any]
    conflicts: tuple[str, ...]
    checks: tuple[CheckSummary, ...]


def build_evidence(context: EvidenceContext, ledger: Ledger, exit_status: int | None) -> Evidence:
    """Merge every process's ledger with the context into one document."""
    checks = summarise(ledger)
    conflicts: list[str] = []
    document = _head(context)
    records = list(_all_records(ledger))
    conflicts += [*_disagreements(records), *_recorded_again(ledger)]
    merged = latest(records)
    for record in merged:
        conflicts += _merge(document, _section(record), record.id)
    conflicts += _facts(document, ledger)
    document["data"] = _data(ledger, conflicts)
    owners = {record.id: each.info.id for each in checks for record in each.measurements}
    held = _held(checks)
    document["measurements"] = {
        record.id: _measurement(record, owners.get(record.id), held.get(record.id, []))
        for record in sorted(merged, key=lambda record: record.id)
    }
    document["checks"] = [_check(each) for each in checks]
    document["run"] = _run(ledger, checks, exit_status)
    return Evidence(document, tuple(conflicts), checks)


def _head(context: EvidenceContext) -> dict[str, Any]:
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": context.run_id,
        "evaluated_at": context.evaluated_at,
        "environment": context.environment,
        "subject": dict(context.subject),
        "harness": dict(context.harness),
        "metadata": {"annotations": dict(context.annotations)},
        "approval": dict(context.approval),
        "training": dict(context.training),
        "data": {},
        "metrics": {},
        "baseline": {"no_skill": {}},
        "bias": {},
        "drift": {},
        "comparison": {},
        "lineage": dict(context.lineage),
        "budget": {},
        "history": dict(context.history),
        "user": [],
    }
    if context.champion is not None:
        head["champion"] = dict(context.champion)
    if context.training_date is not None:
        head["training_date"] = context.training_date
    if context.environment is None:
        del head["environment"]
    return head


def _all_records(ledger: Ledger) -> Iterator[MeasurementRecord]:
    for process in ledger.running:
        for item in process.items.values():
            if item.check is not None:
                yield from item.measurements


def _disagreements(records: Iterable[MeasurementRecord]) -> list[str]:
    values: dict[str, set[float]] = {}
    for record in records:
        values.setdefault(record.id, set()).add(record.value)
    return [
        f"{name} was measured as {' and '.join(repr(value) for value in sorted(found))}"
        for name, found in sorted(values.items())
        if len(found) > 1
    ]


def _recorded_again(ledger: Ledger) -> Iterator[str]:
    """Name what two tests recorded under one name, be it the same number: its interval and its groups may differ."""
    found: dict[str, set[str]] = {}
    for process in ledger.running:
        for item in process.items.values():
            for name in {record.id for record in item.measurements if record.user and item.check is not None}:
                found.setdefault(name, set()).add(item.nodeid)
    for name, nodeids in sorted(found.items()):
        if len(nodeids) > 1:
            yield f"{name} was recorded by {' and by '.join(sorted(nodeids)[:2])}; one test for each name"


def _section(record: MeasurementRecord) -> Mapping[str, Any]:
    return {"metrics": {record.id: record.value}} if record.user else record.section


def _merge(target: dict[str, Any], source: Mapping[str, Any], name: str, section: str | None = None) -> list[str]:
    """Merge nested mappings; a leaf that is already there with another value is a conflict."""
    conflicts: list[str] = []
    for key, value in source.items():
        known = target.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            conflicts += _merge(known, value, name, section or key)
        elif key in target and known != value:
            if section == "bias" and key in _WORST_OF and isinstance(known, float) and isinstance(value, float):
                target[key] = _WORST_OF[key](known, value)
            else:
                conflicts.append(f"{name} sets {key} to {value!r}, which is already {known!r}")
        else:
            target[key] = value
    return conflicts


def _larger(one: float, other: float) -> float:
    """Return the larger gap: one that a project states as a fact may have a sign."""
    return max(one, other, key=abs)


# Over several sensitive attributes the flat name shows the worst.
_WORST_OF: Mapping[str, Callable[[float, float], float]] = {
    name: min if FAIRNESS[metric].higher_is_better else _larger for (metric, _), name in BIAS.items()
}


def _facts(document: dict[str, Any], ledger: Ledger) -> list[str]:
    conflicts: list[str] = []
    for nodeid, path, value in ledger.facts:
        nested: Any = value
        for key in reversed(path.split(".")):
            nested = {key: nested}
        conflicts += _merge(document, nested, f"evidence.fact({path!r}) in {nodeid}")
        if path not in document["user"]:
            document["user"].append(path)
    return conflicts


def _data(ledger: Ledger, conflicts: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for event in ledger.data:
        facts = {key: event[key] for key in ("digest", "rows", "columns", "newest") if event.get(key) is not None}
        known = data.setdefault(event["name"], facts)
        if known.get("digest") != facts.get("digest"):
            conflicts.append(f"two different tables were used as {event['name']}")
    return data


@dataclass(frozen=True, slots=True)
class _Held:
    """One comparison, with the check that made it."""

    record: MeasurementRecord
    comparison: Comparison
    check: CheckInfo


def _held(checks: Iterable[CheckSummary]) -> dict[str, list[_Held]]:
    """Return the comparisons of each measurement over all checks that made some."""
    held: dict[str, list[_Held]] = {}
    for summary in checks:
        for record in summary.measurements:
            held.setdefault(record.id, []).extend(_Held(record, each, summary.info) for each in record.comparisons)
    return held


def _measurement(record: MeasurementRecord, owner: str | None, held: list[_Held]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "metric": record.metric,
        "value": record.value,
        "low": record.low,
        "high": record.high,
        "confidence": record.confidence if record.low is not None or record.high is not None else None,
        "interval": record.interval,
        "sampleSize": record.n,
        "unit": record.unit,
        "method": record.method,
        "by": {group: _finite(part) for group, part in record.by.items()} or None,
        "details": dict(record.details) or None,
        "check": owner,
        "user": record.user or None,
    }
    shown |= _comparisons(held)
    return {key: value for key, value in shown.items() if value is not None}


def _finite(part: Mapping[str, float | int | None]) -> dict[str, float | int]:
    return {key: value for key, value in part.items() if value is not None and math.isfinite(value)}


def _comparisons(held: list[_Held]) -> dict[str, Any]:
    """Show the comparison that counts most: a miss before a hit, and an error's before a warning's."""
    if not held:
        return {}
    counted = [each for each in held if each.check.severity != Severity.WARNING] or held
    shown = next((each for each in counted if not each.comparison.passed), counted[-1])
    document = _compared(shown)
    if len(held) > 1:
        document["comparisons"] = [_compared(each) for each in held]
    return document


def _compared(held: _Held) -> dict[str, Any]:
    comparison, record = held.comparison, held.record
    sure = settled(record, comparison.comparator, comparison.threshold)
    rows = rows_needed(record, comparison.threshold) if sure is False else None
    shown = {
        "comparator": comparison.comparator,
        "threshold": comparison.threshold,
        "passed": comparison.passed,
        "side": None if comparison.side == "value" else comparison.side,
        "settled": sure,
        "rowsToSettle": rows,
        "check": held.check.id,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _check(summary: CheckSummary) -> dict[str, Any]:
    return {
        "id": summary.info.id,
        "kind": summary.info.kind,
        "nodeid": summary.nodeid,
        "outcome": summary.outcome.value,
        "severity": summary.info.severity,
        "owner": summary.info.owner,
        "measurements": [record.id for record in summary.measurements],
        "message": summary.problem,
        "seconds": round(summary.seconds, 4),
    }


def _run(ledger: Ledger, checks: Iterable[CheckSummary], exit_status: int | None) -> dict[str, Any]:
    reports: dict[str, list[tuple[str, str, bool]]] = {}
    collected: set[str] = set()
    deselected: set[str] = set()
    for process in ledger.running:
        deselected.update(process.deselected)
        for nodeid, item in process.items.items():
            collected.add(nodeid)
            reports.setdefault(nodeid, []).extend((r.when, r.outcome, r.xfail) for r in item.reports)
    calls = [each for seen in reports.values() for each in seen if each[0] == "call"]
    others = [each for seen in reports.values() for each in seen if each[0] != "call"]
    return {
        "collected": len(collected),
        "passed": sum(outcome == "passed" and not xfail for _, outcome, xfail in calls),
        "failed": sum(outcome == "failed" for _, outcome, _ in calls),
        "errors": sum(outcome == "failed" for _, outcome, _ in others),
        "skipped": sum(outcome == "skipped" and not xfail for _, outcome, xfail in calls + others),
        "xfailed": sum(outcome == "skipped" and xfail for _, outcome, xfail in calls + others),
        "deselected": len(deselected),
        "not_run": sum(each.outcome is Outcome.NOT_RUN for each in checks),
        "exit_status": exit_status,
        "workers": max(1, len(ledger.running)),
    }
