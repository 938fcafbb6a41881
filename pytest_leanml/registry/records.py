"""Decisions as the registry remembers them: one tag each, ``leanml.decision.<run id>``, holding one line of JSON.

A tag is written whole or not at all. It is set to PENDING before the files are uploaded and to the verdict after, so
that a record that was begun and never finished can be told. What cannot be read as a decision ends a streak.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, MeasurementError
from pytest_leanml.registry.refs import Distinct, PastDecision, Streak
from pytest_leanml.strict import dump_json, load_json
from pytest_leanml.vocabulary import Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "leanml.decision."
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TEXTS = ("mode", "environment", "decided_at", "digest", "policy", "evidence", "evaluation")
_END = datetime.max.replace(tzinfo=UTC)


def past_decision(decision: Mapping[str, Any], *, version: str | None, evaluation: str | None) -> PastDecision:
    """Take from decision.json what is remembered.

    Args:
        decision: the document.
        version: the version that was judged.
        evaluation: digest of the evaluation data.

    Raises:
        MeasurementError: a document that is no decision of an enforcing run.
    """
    found = PastDecision(
        run_id=str(decision.get("run_id")),
        version=version,
        verdict=str(decision.get("verdict")),
        mode=decision.get("mode"),
        environment=decision.get("environment") or "",
        decided_at=decision.get("decided_at"),
        digest=_digest_in(decision, "subject"),
        policy=_digest_in(decision, "policy"),
        evidence=_digest_in(decision, "evidence"),
        evaluation=evaluation,
    )
    problem = _problem(found) or ("it is undecided" if found.verdict == Verdict.PENDING else None)
    if problem or not _RUN_ID.fullmatch(found.run_id):
        raise MeasurementError(f"the decision {found.run_id} cannot be recorded: {problem or 'its run id'}")
    return found


def tag_of(found: PastDecision) -> tuple[str, str]:
    """Return the tag's name and its line of JSON."""
    plain = {key: value for key, value in asdict(found).items() if value is not None}
    return PREFIX + found.run_id, dump_json(plain, indent=None).rstrip("\n")


def read_tags(tags: Mapping[str, str], version: str | None) -> list[PastDecision]:
    """Read every decision among a version's tags; one that cannot be read is ``broken``."""
    return [_read(name.removeprefix(PREFIX), text, version) for name, text in tags.items() if name.startswith(PREFIX)]


def ordered(found: Iterable[PastDecision]) -> tuple[PastDecision, ...]:
    """Sort decisions, oldest first.

    Of a broken one the run id tells the time, and where that tells nothing it is last; of two in the same second a
    DENY is the later one.
    """
    return tuple(sorted(found, key=lambda each: (_moment(each), each.verdict != Verdict.ALLOW, each.run_id)))


def count_streak(
    found: Iterable[PastDecision],
    *,
    digest: str,
    environment: str,
    distinct: Distinct,
    exclude_run_id: str | None = None,
) -> Streak:
    """Count the ALLOWs in a row, from the newest back.

    A DENY there, a record that is broken or unfinished, and an ALLOW of other bytes under the same version end it.
    Two ALLOWs of one day (or on the same evaluation data) count once where ``distinct`` says so; an ALLOW that does
    not say on which data it rests then counts for nothing.

    Args:
        found: decisions about one version.
        digest: digest of the bytes that are judged now.
        environment: the environment that counts.
        distinct: what makes two validations two.
        exclude_run_id: the present run, which never counts.
    """
    counted: list[str] = []
    seen: set[str] = set()
    for each in reversed(ordered(found)):
        if each.run_id == exclude_run_id or _elsewhere(each, environment):
            continue
        if each.broken or each.verdict != Verdict.ALLOW or each.digest != digest:
            break
        key = _key(each, distinct)
        if key is not None and key not in seen:
            seen.add(key)
            counted.append(each.run_id)
    return Streak(len(counted), tuple(reversed(counted)))


def _elsewhere(each: PastDecision, environment: str) -> bool:
    return each.broken is None and each.environment != environment


def _key(each: PastDecision, distinct: Distinct) -> str | None:
    if distinct == "evaluation":
        return each.evaluation
    return (each.decided_at or "")[:10] if distinct == "day" else each.run_id


def _read(run_id: str, text: str, version: str | None) -> PastDecision:
    try:
        plain = load_json(text, file=PREFIX + run_id)
    except ConfigError as error:
        return PastDecision(run_id, version, "", broken=error.given)
    if not isinstance(plain, dict):
        return PastDecision(run_id, version, "", broken="no mapping")
    texts = {key: plain[key] for key in _TEXTS if isinstance(plain.get(key), str)}
    found = PastDecision(run_id, version, str(plain.get("verdict", "")), **texts)
    problem = _problem(found)
    if plain.get("run_id") != run_id or (version is not None and plain.get("version") != version):
        problem = "it speaks of another run or version"
    return PastDecision(run_id, version, found.verdict, **texts, broken=problem) if problem else found


def _problem(found: PastDecision) -> str | None:
    if found.verdict not in {Verdict.ALLOW, Verdict.DENY, Verdict.PENDING}:
        return f"its verdict is {found.verdict!r}"
    if found.mode != Mode.ENFORCE:
        return f"its mode is {found.mode!r}"
    if found.environment is None:
        return "it names no environment"
    if _time(found.decided_at) is None:
        return f"its time is {found.decided_at!r}"
    if not found.digest:
        return "it names no artifact"
    return None


def _digest_in(decision: Mapping[str, Any], part: str) -> str | None:
    section = decision.get(part)
    found = section.get("digest") if isinstance(section, dict) else None
    return found if isinstance(found, str) and found else None


def _moment(each: PastDecision) -> datetime:
    return (None if each.broken else _time(each.decided_at)) or _started(each.run_id)


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None


def _started(run_id: str) -> datetime:
    """Read the time that a run id of ours begins with: ten base-32 digits of milliseconds."""
    if not _ULID.fullmatch(run_id):
        return _END
    milliseconds = 0
    for digit in run_id[:10]:
        milliseconds = milliseconds * 32 + _DIGITS.index(digit)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError):
        return _END
