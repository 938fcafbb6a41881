"""The pure function from manifest, ledger, evidence and answers to a decision. No input or output happens here.

ALLOW needs every rule G1 to G10 to hold; each that does not is a reason. Adding facts can only add reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.cautions import cautions
from pytest_leanml.decision import Reason, WaivedReason
from pytest_leanml.errors import ExitStatus
from pytest_leanml.evidence.ledger import MAIN
from pytest_leanml.evidence.outcomes import FIRST_RELEASE
from pytest_leanml.policy.verdicts import judge_answers
from pytest_leanml.vocabulary import Outcome, Severity, Verdict, covers, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_leanml.evidence.document import Evidence
    from pytest_leanml.evidence.ledger import Ledger, ProcessLedger
    from pytest_leanml.evidence.outcomes import CheckSummary
    from pytest_leanml.policy.answers import Answer
    from pytest_leanml.policy.verdicts import PolicyVerdict

PYTEST_STATUSES = frozenset({1, 2, 3, 5, 6})
PYTEST_INTERNAL_ERROR = 3

_WORDS = {
    0: "everything passed",
    1: "a test failed",
    2: "it was interrupted or collection failed",
    3: "an internal error",
    4: "a usage error",
    5: "nothing was collected",
    6: "too many warnings",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was fixed before any code of the project was imported.

    Attributes:
        run_id: id of the run.
        declared: ids of the checks of leanml.yaml.
        required: ids under ``require:``.
        never: G3: why this run can never promote, whatever it measures.
        thresholds: bare id -> bounds in force.
        waived: rule id -> the live waiver.
        expired: waivers that no longer live, each a violation.
        shadow: rule ids that are counted and not enforced.
        snapshot: what -> digest, taken first.
        policies_decide: how many packages decide.
        first_release: a first release is declared, and the registry has no champion.
    """

    run_id: str
    declared: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    never: tuple[Reason, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    waived: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expired: tuple[Reason, ...] = ()
    shadow: tuple[str, ...] = ()
    snapshot: Mapping[str, str] = field(default_factory=dict)
    policies_decide: int = 0
    first_release: bool = False


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How the child ended.

    Attributes:
        status: its exit status, None when it was killed.
        signal: the signal that ended it or this run, None otherwise.
        late: it was ended because its time was up.
    """

    status: int | None
    signal: int | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict with its reasons, and the exit status that goes with it."""

    verdict: Verdict
    status: int
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    waived: tuple[WaivedReason, ...]
    shadow: tuple[Reason, ...]


def judge(  # noqa: PLR0913 - one argument for each thing that is judged
    *,
    manifest: Manifest,
    ledger: Ledger,
    evidence: Evidence,
    answers: tuple[Answer, ...],
    child: ChildEnd,
    after: Mapping[str, str],
    undecided: tuple[Reason, ...] = (),
    problems: tuple[str, ...] = (),
) -> Judgement:
    """Decide.

    Args:
        manifest: what was fixed first.
        ledger: what every process wrote.
        evidence: the document built from it.
        answers: one for each deciding package.
        child: how the child ended.
        after: the same digests as ``manifest.snapshot``, taken after the run.
        undecided: why the gate itself could not come to an answer (engine, registry).
        problems: why the evidence does not match its schema, so that no engine was asked.

    Returns:
        ALLOW with no reason, or DENY with at least one.
    """
    policy = _policy(manifest, evidence, answers, asked=not (problems or undecided))
    used = tuple(_used(manifest, ledger, evidence.document))
    reasons = _unique(
        (
            *_of_the_checks(manifest, ledger, evidence, policy),  # G1, G2, G3, G5, G6, G8
            *_of_the_policies(manifest, policy, undecided, problems),  # G9
            *_changed(manifest.snapshot, after),  # G10
            *_fates(child, ledger),  # G4, G7
            *(each for each in used if each.severity is Severity.ERROR),  # G10
        )
    )
    verdict = Verdict.DENY if reasons else Verdict.ALLOW
    told = (each for each in used if each.severity is Severity.WARNING)
    return Judgement(
        verdict,
        _status(verdict, child, ledger, undecided=bool(undecided) or policy.undecided),
        reasons,
        _unique((*cautions(evidence.checks), *policy.warnings, *told)),
        _all_waived(manifest, evidence, policy),
        policy.shadow,
    )


def _policy(manifest: Manifest, evidence: Evidence, answers: tuple[Answer, ...], *, asked: bool) -> PolicyVerdict:
    expected, thresholds = manifest.policies_decide, manifest.thresholds
    return judge_answers(answers, manifest.shadow, expected, thresholds, evidence.document, asked=asked)


def _of_the_checks(manifest: Manifest, ledger: Ledger, evidence: Evidence, policy: PolicyVerdict) -> tuple[Reason, ...]:
    denied = {reason.check for reason in policy.reasons}
    return (
        *manifest.never,  # G3
        *_collected(manifest, ledger, evidence),  # G1
        *_ids(evidence.checks),  # G2
        *_outcomes(evidence.checks, denied, first_release=manifest.first_release),  # G1, G5, G6
        *_workers(ledger),  # G8
        *_contradictions(ledger, evidence),  # G6
    )


def _of_the_policies(
    manifest: Manifest, policy: PolicyVerdict, undecided: tuple[Reason, ...], problems: tuple[str, ...]
) -> tuple[Reason, ...]:
    """G9: the engine was asked about evidence that keeps to its schema, and every package allows."""
    invalid = (Reason("G9.evidence", problem) for problem in problems)
    return (*undecided, *invalid, *policy.reasons, *manifest.expired)


def _unique(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reasons))


def _all_waived(manifest: Manifest, evidence: Evidence, policy: PolicyVerdict) -> tuple[WaivedReason, ...]:
    """Return each waiver that was used, once: of a check's missed limit, or of a policy's rule."""
    by_rule: dict[str, WaivedReason] = {}
    for each in (*_waived(evidence.checks, manifest), *policy.waived(manifest.waived)):
        by_rule.setdefault(each.rule, each)
    return tuple(by_rule.values())


def _status(verdict: Verdict, child: ChildEnd, ledger: Ledger, *, undecided: bool) -> int:
    if child.signal is not None and not child.late:
        return 128 + child.signal
    if child.late:
        return ExitStatus.UNDECIDED
    # Of what an xdist worker finds wrong the controller's status does not tell.
    misused = any(fault == "usage" for process in ledger.processes.values() for fault, _ in process.faults)
    if child.status == ExitStatus.USAGE or misused:
        return ExitStatus.USAGE
    if child.status != 0:
        return child.status if child.status in PYTEST_STATUSES else PYTEST_INTERNAL_ERROR
    if undecided:
        return ExitStatus.UNDECIDED
    return ExitStatus.ALLOW if verdict is Verdict.ALLOW else ExitStatus.DENY


def _fates(child: ChildEnd, ledger: Ledger) -> Iterator[Reason]:
    """G4 and G7: any fault of the run, and a final line that must agree with the exit status."""
    if child.late:
        yield Reason(
            "G4.late", "the tests did not end in time and were ended; next: raise `timeout:` or find what hangs"
        )
    elif child.signal is not None:
        yield Reason("G4.signal", f"the run was ended by signal {child.signal}")
    elif child.status != 0:
        words = _WORDS.get(child.status or 0, "not a status of pytest")
        yield Reason("G4.exit_status", f"pytest ended with status {child.status}: {words}")
    for process in ledger.processes.values():
        for fault, message in process.faults:
            yield Reason(f"G4.{fault}", _first_line(message))
        if process.broken:
            yield Reason("G7.ledger", f"{process.broken} lines of the ledger of {process.process} cannot be read")
    main = ledger.processes.get(MAIN)
    if main is None or main.final is None:
        yield Reason(
            "G7.final", "the tests ended without their final message, so nothing vouches for what they recorded"
        )
    elif child.status is not None and main.final != child.status:
        yield Reason(
            "G7.final",
            f"the final message says status {main.final} and the process ended with {child.status}; they must agree",
        )


def _first_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")


def _collected(manifest: Manifest, ledger: Ledger, evidence: Evidence) -> Iterator[Reason]:
    """G1: everything declared, required or collected ran."""
    if not evidence.checks:
        yield Reason("G1.nothing", "no check ran; expected: at least one measurement; next: add `checks:` or a test")
    found = {each.info.id for each in evidence.checks}
    declared = {each.info.id for each in evidence.checks if each.info.declared}
    for name in manifest.declared:
        if name not in declared:
            yield Reason(
                "G1.not_collected",
                f"{name} is declared in leanml.yaml and was not collected; next: remove what leaves it out "
                "(a path, -k, an ignore rule)",
                check=name,
            )
    for name in manifest.required:
        if not any(covers(name, each) for each in found):
            yield Reason(
                "G1.not_collected",
                f"{name} stands under `require:` and was not collected; next: add the check or correct the id",
                check=name,
            )
    yield from _unequal_workers(ledger)


def _unequal_workers(ledger: Ledger) -> Iterator[Reason]:
    collected = {process.process: _check_ids(process) for process in ledger.running}
    if len(set(collected.values())) > 1:
        sizes = ", ".join(f"{name}: {len(ids)}" for name, ids in sorted(collected.items()))
        yield Reason("G1.workers_disagree", f"the xdist workers collected different checks ({sizes})")


def _check_ids(process: ProcessLedger) -> frozenset[tuple[str, str]]:
    return frozenset((nodeid, item.check.id) for nodeid, item in process.items.items() if item.check)


def _ids(checks: Iterable[CheckSummary]) -> Iterator[Reason]:
    """G2: each id is well formed and defined once."""
    seen: dict[str, str] = {}
    for each in checks:
        name = each.info.id
        if not is_id(name):
            yield Reason(
                "G2.id",
                f"{each.nodeid}: the id {name!r} is not well formed; expected: letters, digits, . _ - and [ ]",
                check=name,
            )
        if name in seen and seen[name] != each.nodeid:
            yield Reason("G2.duplicate", f"{name} is defined by {seen[name]} and by {each.nodeid}", check=name)
        seen.setdefault(name, each.nodeid)


def _outcomes(checks: Iterable[CheckSummary], denied: set[str | None], *, first_release: bool) -> Iterator[Reason]:
    """G1, G5 and G6: each check passed, or missed nothing but a limit that is excused."""
    for each in checks:
        excused = each.excused is not None and (each.excused != FIRST_RELEASE or first_release)
        if each.outcome is Outcome.PASSED or excused:
            continue
        if each.outcome is Outcome.FAILED and each.info.id in denied:
            continue  # the policy says the same with measured value and limit
        yield Reason(f"G1.{each.outcome}", each.problem or str(each.outcome), check=each.info.id)


def _workers(ledger: Ledger) -> Iterator[Reason]:
    """G8: every xdist worker came down cleanly, with a ledger of its own."""
    main = ledger.processes.get(MAIN)
    if main is None:
        return
    for worker in main.up:
        if worker not in main.down:
            yield Reason("G8.worker", f"the xdist worker {worker} never came down")
        elif main.down[worker] is not None:
            yield Reason("G8.worker", f"the xdist worker {worker} ended with an error: {main.down[worker]}")
        own = ledger.processes.get(worker)
        if own is None or own.final is None:
            yield Reason("G8.worker", f"the xdist worker {worker} did not finish its ledger")
    for name in set(ledger.processes) - {MAIN} - set(main.up):
        yield Reason("G8.worker", f"a process {name} wrote a ledger and was never started by this run")


def _contradictions(ledger: Ledger, evidence: Evidence) -> Iterator[Reason]:
    """G6: one value per name, and measurements come from checks."""
    for conflict in evidence.conflicts:
        yield Reason("G6.conflict", conflict)
    checks = {each.nodeid for each in evidence.checks}
    recorded = [
        (item.nodeid, item.measurements[0].id)
        for process in ledger.running
        for item in process.items.values()
        if item.check is None and item.measurements
    ]
    for nodeid, name in [*recorded, *((nodeid, path) for nodeid, path, _ in ledger.facts if nodeid not in checks)]:
        yield Reason(
            "G6.no_check",
            f"{nodeid} recorded {name} and is no check; next: ask for the measuring fixture in its arguments, or give "
            "it a marker",
        )


def _used(manifest: Manifest, ledger: Ledger, document: Mapping[str, Any]) -> Iterator[Reason]:
    """G10: what was measured on is what was snapshotted; a project's own fixture is its own affair, and told."""
    for event in ledger.data:
        name = event["name"]
        before = manifest.snapshot.get(f"the {name} data")
        if before is None or event.get("digest") == before:
            continue
        if event.get("origin") == "fixture":
            message = f"a `{name}_data` fixture of the project was judged on, not the file that leanml.yaml names"
            yield Reason("G10.data", message, Severity.WARNING)
        else:
            yield Reason("G10.changed", f"the {name} data that was read is not the one that was there first")
    subject, champion = document.get("subject", {}), document.get("champion", {})
    for event in ledger.models:
        if event.get("role") == "candidate" and subject and event.get("digest") != subject.get("digest"):
            yield _other_model(event, subject)
        if event.get("role") == "champion" and event.get("digest") != champion.get("digest"):
            yield _other_champion(event, champion.get("uri"))


def _other_model(event: Mapping[str, Any], subject: Mapping[str, Any]) -> Reason:
    """What was measured is not the bytes that would be promoted: told, where a project wants it so."""
    uri = subject.get("uri")
    if event.get("origin") == "predictions":
        message = f"a predictions file was judged, whose bytes say nothing of {uri}; next: see that {uri} made it"
        return Reason("G10.predictions", message, Severity.WARNING)
    if event.get("origin") == "fixture":
        message = f"a `candidate` fixture of the project was judged; next: see that it is {uri}"
        return Reason("G10.candidate", message, Severity.WARNING)
    return Reason("G10.candidate", f"the model that was judged is not {uri} as it was there first")


def _other_champion(event: Mapping[str, Any], uri: str | None) -> Reason:
    """A model that is easier to beat than the champion would make any candidate look good."""
    named = uri or "the champion, which the gate has not found"
    if event.get("origin") == "fixture":
        message = f"a `champion` fixture of the project was compared with; next: see that it is {named}"
        return Reason("G10.champion", message, Severity.WARNING)
    return Reason("G10.champion", f"the model that was compared with is not {named} as it was there first")


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Reason]:
    """G10: what was fixed first is unchanged."""
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Reason(
                "G10.changed",
                f"{name} changed while the tests ran: {before.get(name, 'absent')} became {after.get(name, 'absent')}",
            )


def _waived(checks: Iterable[CheckSummary], manifest: Manifest) -> Iterator[WaivedReason]:
    for each in checks:
        if each.excused != "waiver":
            continue
        rules = (f"limits.{each.info.id}", f"limits.{each.info.id.partition('[')[0]}")
        rule = next((each for each in rules if each in manifest.waived), rules[0])
        waiver = manifest.waived.get(rule, {})
        yield WaivedReason(
            rule,
            each.problem or "missed a limit",
            str(waiver.get("reason", "")),
            str(waiver.get("owner", "")),
            str(waiver.get("expires", "")),
        )
