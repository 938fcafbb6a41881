"""The decision: what was decided, why, and on what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.vocabulary import Mode, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "leanml.decision/v1"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a DENY, or one warning.

    Attributes:
        rule: ``G1`` to ``G10`` with a word (``G1.not_run``), or a policy's rule id.
        message: what a person reads: what was found, what was expected, what to do.
        severity: error or warning.
        check: id of the check, where there is one.
        measured: the number found, where there is one.
        limit: the limit as text, such as ``>= 0.85``.
    """

    rule: str
    message: str
    severity: Severity = Severity.ERROR
    check: str | None = None
    measured: float | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class WaivedReason:
    """A missed limit that a live waiver excused."""

    rule: str
    message: str
    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What decision.json holds.

    Attributes:
        run_id: id of the run that decided.
        verdict: ALLOW, DENY or PENDING.
        mode: what it may be used for.
        environment: the environment it was judged for.
        decided_at: RFC 3339 time, UTC.
        subject: name, version, uri, digest of the candidate; empty without a model.
        champion: the same for the champion that was judged; empty for a first release.
        alias: name of the alias that an ALLOW moves, and the version that it named when it was judged.
        reasons: why it is a DENY; empty on ALLOW.
        warnings: what was found and does not deny.
        waived: what a waiver excused.
        shadow: what shadow rules would have denied.
        engine: name and version.
        policy: digest, and files (logical path -> digest).
        evidence: digest of evidence.json's bytes.
        options: option name -> where it came from.
        timings: phase -> seconds.
        config_digest: digest of leanml.yaml.
    """

    run_id: str
    verdict: Verdict
    mode: Mode
    environment: str | None
    decided_at: str
    subject: Mapping[str, Any] = field(default_factory=dict)
    champion: Mapping[str, Any] = field(default_factory=dict)
    alias: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    waived: tuple[WaivedReason, ...] = ()
    shadow: tuple[Reason, ...] = ()
    engine: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    config_digest: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"schema": SCHEMA, **asdict(self)}
