"""How numbers and limits read: the same words in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.decision import Decision, Reason


def number(value: float | None) -> str:
    """Write a number with four significant digits, and whole numbers with separators."""
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - beyond it a float is no exact integer
        return f"{int(value):,}"
    return f"{value:.4g}"


def interval(record: Mapping[str, Any]) -> str:
    """Write ``[low, high]``, with a dash for a side that is not defined; "" without an interval."""
    low, high = record.get("low"), record.get("high")
    if low is None and high is None:
        return ""
    return f"[{number(low) or '-'}, {number(high) or '-'}]"


def measured(record: Mapping[str, Any]) -> str:
    """Write value, interval and sample size of a measurement."""
    size = record.get("sampleSize")
    parts = [number(record["value"]), interval(record), f"n={size:,}" if size is not None else ""]
    return " ".join(part for part in parts if part)


def limit(record: Mapping[str, Any]) -> str:
    """Write what a measurement was held against."""
    if "comparator" not in record:
        return "no limit"
    side = record.get("side")
    word = {"low": "lower bound ", "high": "upper bound "}.get(str(side), "")
    return f"{word}{record['comparator']} {number(record['threshold'])}"


def against(reason: Reason) -> str:
    """Write ``measured 0.79, limit >= 0.8`` as far as a reason has both."""
    parts = []
    if reason.measured is not None:
        parts.append(f"measured {number(reason.measured)}")
    if reason.limit is not None:
        parts.append(f"limit {reason.limit}")
    return ", ".join(parts)


def grouped(reasons: Sequence[Reason]) -> list[tuple[Reason, list[Reason]]]:
    """Put the reasons about one check together: the first of them speaks, the others are named beside it."""
    groups: dict[str, tuple[Reason, list[Reason]]] = {}
    # A red exit status says nothing beside the check that made it red.
    told = [each for each in reasons if each.rule != "G4.exit_status"] or reasons
    for index, reason in enumerate(told):
        key = reason.check.partition("[")[0] if reason.check else f"#{index}"
        if key in groups:
            groups[key][1].append(reason)
        else:
            groups[key] = (reason, [])
    return list(groups.values())


def subject(decision: Decision) -> str:
    """Name the candidate: name and version, else its URI."""
    if not decision.subject:
        return "no model"
    name, version = decision.subject.get("name"), decision.subject.get("version")
    return f"{name} {version}" if name and version else str(decision.subject.get("uri", "a model"))


def champion(decision: Decision) -> str:
    """Name the champion, or say that there was none."""
    if not decision.champion:
        return "no champion"
    version = decision.champion.get("version")
    return f"champion {version}" if version else f"champion {decision.champion.get('uri')}"


def outcome(decision: Decision, *, promoted: bool) -> str:
    """Say in one line what follows from the decision."""
    alias = decision.alias.get("name")
    where = f" for {decision.environment}" if decision.environment else ""
    if decision.verdict == "ALLOW" and promoted:
        return f"{subject(decision)} is promoted{where}: the alias {alias!r} names it now"
    if decision.verdict == "ALLOW":
        return f"{subject(decision)} may be promoted{where}; nothing was moved"
    return f"{subject(decision)} is not promoted{where}; the registry is as it was"


def counts(document: Mapping[str, Any]) -> str:
    """Count the checks by outcome."""
    tally: dict[str, int] = {}
    for check in document.get("checks", []):
        tally[check["outcome"]] = tally.get(check["outcome"], 0) + 1
    named = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(tally.items()))
    return f"{len(document.get('checks', []))} checks: {named}" if tally else "no checks"
