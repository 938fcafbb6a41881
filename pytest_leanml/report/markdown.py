"""report.md: the decision for people who were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.report import words
from pytest_leanml.report.escape import markdown_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_leanml.decision import Decision, Reason


def markdown(decision: Decision, document: Mapping[str, Any], *, promoted: bool = False, status: int = 0) -> str:
    """Write the whole report as Markdown; everything that came from data, models or tests is escaped."""
    return "\n".join(_sections(decision, document, words.outcome(decision, promoted=promoted, status=status))) + "\n"


def _sections(decision: Decision, document: Mapping[str, Any], outcome: str) -> Iterator[str]:
    mode = "" if decision.mode == "enforce" else f" ({decision.mode})"
    yield f"# Model gate: {decision.verdict}{mode}"
    yield ""
    yield markdown_text(outcome) + "."
    yield ""
    yield from _reasons("Reasons", decision.reasons)
    yield from _measurements(document)
    yield from _reasons("Warnings", decision.warnings)
    yield from _reasons("Shadow rules that would deny", decision.shadow)
    yield from _waived(decision)
    yield "## Run"
    yield ""
    yield f"- {markdown_text(words.counts(document))}"
    tested = words.multiplicity(document)
    if tested:
        yield f"- {tested}"
    yield f"- {markdown_text(words.champion(decision))}"
    yield f"- run `{decision.run_id}`, decided at {decision.decided_at}"
    if decision.engine:
        yield f"- engine {markdown_text(decision.engine.get('name'))} {markdown_text(decision.engine.get('version'))}"
    for name, value in (("policy", decision.policy), ("evidence", decision.evidence), ("subject", decision.subject)):
        if value.get("digest"):
            yield f"- {name} `{value['digest']}`"


def _reasons(title: str, reasons: Sequence[Reason]) -> Iterator[str]:
    if not reasons:
        return
    yield f"## {title}"
    yield ""
    yield "| rule | what | measured | limit |"
    yield "|---|---|---|---|"
    for reason in reasons:
        cells = (reason.rule, words.readable(reason.message), words.number(reason.measured), reason.limit or "")
        yield "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"
    yield ""


def _measurements(document: Mapping[str, Any]) -> Iterator[str]:
    records = document.get("measurements", {})
    if not records:
        return
    yield "## Measurements"
    yield ""
    yield "| id | value | interval | method | rows | limit | no skill | simple | held |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, record in records.items():
        beside = words.baselines(name, record, document)
        held = {True: "yes", False: "no"}.get(record.get("passed"), "")
        cells = (
            name,
            words.number(record["value"]),
            words.interval(record),
            record.get("interval", ""),
            words.number(record.get("sampleSize")),
            words.limit(record),
            words.number(beside.get("no skill")),
            words.number(beside.get("simple")),
            held,
        )
        yield "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"
    yield ""


def _waived(decision: Decision) -> Iterator[str]:
    if not decision.waived:
        return
    yield "## Waived"
    yield ""
    yield "| rule | reason | owner | expires |"
    yield "|---|---|---|---|"
    for waived in decision.waived:
        cells = (waived.rule, waived.reason, waived.owner, waived.expires)
        yield "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"
    yield ""
