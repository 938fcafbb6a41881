"""How numbers and limits read: the same words in every format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.decision import Decision, Reason


# A number with more decimals than anybody reads, in a text; not the seconds of a time.
_LONG = re.compile(r"(?<![\w.:])-?[0-9]+\.[0-9]{5,}(?:e-?[0-9]+)?(?![\w.:])")
# Of what is counted in a unit, less than this is not worth its digits.
_LEAST = 0.01
# Whose answers stand beside a quality.
_OTHERS = {"no_skill": "no skill", "simple": "simple"}
# A unit that is a word has a plural; MB, USD, ms and rows/s have none.
_WORD = re.compile(r"[a-z]{3,}(?<!s)")
# Units that no number is read with.
_BARE = ("", "1")


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


def readable(text: str) -> str:
    """Shorten the long numbers in a text to four significant digits."""
    return _LONG.sub(lambda found: number(float(found[0])), text)


def exact(record: Mapping[str, Any]) -> bool:
    """Whether a measurement was counted rather than estimated: its interval is its value."""
    return bool(record.get("low") == record["value"] == record.get("high"))


def measured(record: Mapping[str, Any]) -> str:
    """Write value and unit, then interval and sample size where they say more than the value does."""
    unit, size = str(record.get("unit") or ""), record.get("sampleSize")
    plural = "" if record["value"] == 1 or not _WORD.fullmatch(unit) else "s"
    named = f" {unit}{plural}" if unit not in _BARE else ""
    value = number(record["value"]) + named
    if exact(record):
        return f"< {_LEAST:g}{named}" if named and 0 < record["value"] < _LEAST else value
    parts = [value, interval(record), f"n={size:,}" if size is not None else ""]
    return " ".join(part for part in parts if part)


def baselines(name: str, record: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, float]:
    """Return what others reach where a quality was measured: "no skill" and "simple", as far as they are known."""
    metric, kept = record["metric"], document.get("baseline", {})
    if name == f"quality.{metric}":
        known = {key: kept.get(key, {}).get(metric) for key in _OTHERS}
    else:
        details = record.get("details", {}) if name.startswith("quality.") else {}
        known = {key: details.get(key) for key in _OTHERS}
    return {told: known[key] for key, told in _OTHERS.items() if known[key] is not None}


def limit(record: Mapping[str, Any]) -> str:
    """Write what a measurement was held against."""
    if "comparator" not in record:
        return "judged by the policies"
    side = record.get("side")
    word = {"low": "lower bound ", "high": "upper bound "}.get(str(side), "")
    return f"{word}{record['comparator']} {number(record['threshold'])}"


def against(reason: Reason) -> str:
    """Write ``measured 0.79, limit >= 0.8`` as far as a reason has both; "" where its message says as much."""
    parts = []
    told = (number(reason.measured), reason.limit or "")
    if all(each in readable(reason.message) for each in told):
        return ""
    if reason.measured is not None:
        parts.append(f"measured {number(reason.measured)}")
    if reason.limit is not None:
        parts.append(f"limit {reason.limit}")
    return ", ".join(parts)


def grouped(reasons: Sequence[Reason], document: Mapping[str, Any]) -> list[tuple[Reason, list[Reason]]]:
    """Put the reasons about one check together: the first of them speaks, the others are named beside it.

    A policy speaks of a measurement; the evidence knows which check took it.
    """
    taken_by = {name: record.get("check") for name, record in document.get("measurements", {}).items()}
    groups: dict[str, tuple[Reason, list[Reason]]] = {}
    for index, reason in enumerate(reasons):
        check = (taken_by.get(reason.check) or reason.check) if reason.check else None
        key = check.partition("[")[0] if check else f"#{index}"
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


def outcome(decision: Decision, *, promoted: bool, status: int = 0) -> str:
    """Say in one line what follows from the decision.

    Args:
        decision: the decision.
        promoted: the alias was moved.
        status: the run's exit status; of an ALLOW it tells how carrying it out ended.
    """
    alias = decision.alias.get("name")
    where = f" for {decision.environment}" if decision.environment else ""
    if not decision.subject:
        return (
            "no model is named in leanml.yaml, so nothing can be promoted" if decision.verdict == "ALLOW" else "denied"
        )
    if decision.verdict != "ALLOW":
        then = "its hooks were run" if _hooks_ran(decision, status) else "the registry is as it was"
        return f"{subject(decision)} is not promoted{where}; {then}"
    if promoted:
        return f"{subject(decision)} is promoted{where}: the alias {alias!r} names it now"
    if status == ExitStatus.UNKNOWN:
        return f"{subject(decision)} may be promoted{where}; whether the alias {alias!r} names it now is not known"
    return f"{subject(decision)} may be promoted{where}; nothing was moved"


def _hooks_ran(decision: Decision, status: int) -> bool:
    """Whether hooks `on: deny` were begun; where the deployer would not, it says so as a reason or a warning."""
    asked = any(each.rule == "deploy" for each in decision.reasons)
    refused = any(each.rule == "deploy" for each in decision.warnings)
    failed = status in {ExitStatus.HOOK_FAILED, ExitStatus.UNKNOWN}
    return "deploy" in decision.timings and not asked and (failed or not refused)


def outcome_of(check: Mapping[str, Any]) -> str:
    """Name a check's outcome; one of severity warning that misses its limit has warned."""
    warned = check["outcome"] == "failed" and check.get("severity") == "warning"
    return "warned" if warned else str(check["outcome"]).replace("_", " ")


def counts(document: Mapping[str, Any]) -> str:
    """Count the checks by outcome."""
    tally: dict[str, int] = {}
    for check in document.get("checks", []):
        tally[outcome_of(check)] = tally.get(outcome_of(check), 0) + 1
    named = ", ".join(f"{count} {name}" for name, count in sorted(tally.items()))
    return f"{len(document.get('checks', []))} checks: {named}" if tally else "no checks"


def multiplicity(document: Mapping[str, Any]) -> str:
    """Say over how many tests the false discovery rate was held; "" where nothing was tested."""
    details = [record.get("details", {}) for record in document.get("measurements", {}).values()]
    tested = [each for each in details if all(isinstance(each.get(name), int | float) for name in ("tests", "fdr"))]
    if not tested:
        return ""
    tests, rate = int(sum(each["tests"] for each in tested)), number(sum(each["fdr"] for each in tested))
    checks = "1 check" if len(tested) == 1 else f"{len(tested)} checks"
    shared = "" if len(tested) == 1 else " shared"
    return f"{tests} test{'' if tests == 1 else 's'} over {checks}, false discovery rate {rate}{shared}"
