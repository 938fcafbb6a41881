"""Before anything is touched: is this decision one that may be carried out, and would it be decided again?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_leanml.clock import now
from pytest_leanml.config import check_specs, environment_of
from pytest_leanml.decision import SCHEMA
from pytest_leanml.deploy.denial import uncertainties
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import EngineError, ExitStatus, GateUsageError, LeanmlError
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.policy.verdicts import judge_answers
from pytest_leanml.rules import SHIPPED, ask, find_rules, own_policies
from pytest_leanml.strict import load_json
from pytest_leanml.vocabulary import EngineName, Mode, Outcome, Severity, Verdict, covers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.config import Config
    from pytest_leanml.policy.verdicts import PolicyVerdict
    from pytest_leanml.rules import Rules

# A clock that is a little ahead of ours is no forgery.
_SKEW = timedelta(minutes=5)
# Runs that were asked to act on nothing.
_POWERLESS = ("--gate-dry-run", "--gate-report-only")


class RefusedError(LeanmlError):
    """The decision does not stand: a DENY."""

    status = ExitStatus.DENY


class Action(StrEnum):
    """What to do with a decision."""

    APPLY = "apply"
    PLAN = "plan"
    RESUME = "resume"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Proven:
    """A decision that stands.

    Attributes:
        decision: the document.
        evidence: the document that it rests on.
        model: registry name.
        version: version that the alias shall name.
        digest: digest of that version's artifact.
        alias: the environment's alias.
        before: version that the alias named when it was judged; None for a first release.
        environment: its name.
        verdict: ALLOW; or DENY, where hooks run on that.
    """

    decision: Mapping[str, Any]
    evidence: Mapping[str, Any]
    model: str
    version: str
    digest: str
    alias: str
    before: str | None
    environment: str
    verdict: Verdict = Verdict.ALLOW

    @property
    def run_id(self) -> str:
        """Id of the run that decided."""
        return str(self.decision["run_id"])


@dataclass(frozen=True, slots=True)
class Files:
    """decision.json and evidence.json of one folder.

    Attributes:
        path: of decision.json.
        decision: its document.
        evidence: the document beside it.
        digest: of the bytes of evidence.json.
    """

    path: Path
    decision: Mapping[str, Any]
    evidence: Mapping[str, Any]
    digest: str


def prove(path: Path, config: Config, policies: Sequence[Path] | None, action: Action = Action.APPLY) -> Proven:
    """Read the decision and its evidence, and as far as ``action`` needs it ask the policies again.

    What was begun stays to be ended: resuming and undoing a decision is not refused for its age, nor because policies
    have changed since. Their right to act comes from the journal, which knows whether it was begun. Hooks go on only
    under the configuration that they began with.

    Args:
        path: decision.json, with evidence.json beside it.
        config: leanml.yaml as it is now.
        policies: instead of the config's ``policy.paths``.
        action: what it is wanted for.

    Raises:
        GateUsageError: a file that is missing or no decision at all, or one of another mode: status 4.
        RefusedError: a DENY, or one that does not stand any more: status 20.
        UndecidedError: the engine gave no answer: status 21.
    """
    files = read_files(path)
    if files.decision.get("mode") != Mode.ENFORCE:
        raise GateUsageError(
            f"its mode is {files.decision.get('mode')!r}", "enforce", "run the gate without --gate-dry-run", file=path
        )
    _refuse(identity_problems(files), path)
    proven = _proven(files, config)
    denied = proven.verdict is Verdict.DENY
    if action is not Action.UNDO:
        _refuse(_powerless(files.decision) if denied else verdict_problems(files.decision), path)
    if action is Action.RESUME and config.deploy:
        _demand_hooks(files, config)
    if action in {Action.APPLY, Action.PLAN}:
        _refuse(_standing(files, config, proven), path)
        _demand_denial(files, config, policies, proven) if denied else _ask_again(files, config, policies, proven)
    return proven


def read_files(path: Path) -> Files:
    """Read decision.json and the evidence.json beside it.

    Raises:
        GateUsageError: one of them is missing or no JSON object, or the first is no decision.
    """
    decision, _ = _read(path)
    evidence, digest = _read(path.with_name("evidence.json"))
    if decision.get("schema") != SCHEMA:
        raise GateUsageError(f"its schema is {decision.get('schema')!r}", SCHEMA, "give decision.json", file=path)
    return Files(path, decision, evidence, digest)


def _read(path: Path) -> tuple[Mapping[str, Any], str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GateUsageError(
            f"cannot be read: {error.strerror}", "the files that the gate wrote", "name decision.json", file=path
        ) from None
    document = load_json(data, file=path)
    if not isinstance(document, dict):
        raise GateUsageError("is no JSON object", "the file that the gate wrote", "name decision.json", file=path)
    return document, digest_bytes(data)


def identity_problems(files: Files) -> Iterator[str]:
    """Yield why these two files do not belong together."""
    decision, evidence = files.decision, files.evidence
    if _part(decision, "evidence").get("digest") != files.digest:
        yield f"evidence.json has the digest {files.digest}, and the decision rests on another one"
    if not isinstance(decision.get("run_id"), str) or evidence.get("run_id") != decision["run_id"]:
        yield "evidence and decision are of different runs"
    if _part(evidence, "subject") != _part(decision, "subject"):
        yield "evidence and decision are about different models"
    if _part(evidence, "champion") != _part(decision, "champion"):
        yield "evidence and decision are about different champions"
    if evidence.get("environment") != decision.get("environment"):
        yield "evidence and decision are about different environments"


def verdict_problems(decision: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a decision is no ALLOW that may be acted on."""
    if decision.get("verdict") != Verdict.ALLOW:
        yield f"the verdict is {decision.get('verdict')!r}; only an ALLOW is carried out"
    if decision.get("reasons") != []:
        yield "it lists reasons to deny"
    yield from _powerless(decision)


def _powerless(decision: Mapping[str, Any]) -> Iterator[str]:
    for flag in _POWERLESS:
        if flag in _part(decision, "options"):
            yield f"it was made with {flag}, which acts on nothing"


def _refuse(problems: Iterator[str], path: Path) -> None:
    for problem in problems:
        raise RefusedError(problem, todo="run the gate again", file=path)


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _proven(files: Files, config: Config) -> Proven:
    """Take what is acted on from the decision; each must be the text that the gate writes."""
    subject, alias = _part(files.decision, "subject"), _part(files.decision, "alias")
    needed = {
        "subject.name": subject.get("name"),
        "subject.version": subject.get("version"),
        "subject.digest": subject.get("digest"),
        "alias.name": alias.get("name"),
        "environment": files.decision.get("environment"),
    }
    for name, value in needed.items():
        if not isinstance(value, str) or not value:
            raise RefusedError(
                f"its {name} is {value!r}, so it moves no alias",
                "a candidate from the registry",
                "run the gate on models:/<name>/<version>",
                file=files.path,
            )
    before = alias.get("version")
    if before is not None and not isinstance(before, str):
        raise RefusedError(f"its alias.version is {before!r}", "a version, or null", file=files.path)
    if config.model is None or subject["name"] != config.model.name:
        raise RefusedError(f"it is about {subject['name']!r}", "the model of leanml.yaml", file=files.path)
    return Proven(
        files.decision,
        files.evidence,
        str(subject["name"]),
        str(subject["version"]),
        str(subject["digest"]),
        str(alias["name"]),
        before,
        str(files.decision["environment"]),
        _acted_on(files.decision, config),
    )


def _acted_on(decision: Mapping[str, Any], config: Config) -> Verdict:
    """A DENY is one to act on where leanml.yaml has hooks for it; else only an ALLOW is."""
    environment = str(decision["environment"])
    denied = decision.get("verdict") == Verdict.DENY
    waited = any(each.runs(Verdict.DENY, environment) for each in config.deploy)
    return Verdict.DENY if denied and waited else Verdict.ALLOW


def _demand_hooks(files: Files, config: Config) -> None:
    """Refuse to go on with hooks that nobody has decided on: their settings may be others by now."""
    if files.decision.get("config_digest") != config.digest:
        raise RefusedError(
            f"{config.path.name} is not the one that the decision was made with, and its hooks may be others",
            "the same hooks with the same settings",
            "put it back as it was, name the right file with --config, or take back what was begun with --undo",
            file=files.path,
        )


def _standing(files: Files, config: Config, proven: Proven) -> Iterator[str]:
    """Yield why a decision does not stand any more, or never did."""
    decision, evidence = files.decision, files.evidence
    if decision.get("config_digest") != config.digest:
        yield f"{config.path.name} is not the one that the decision was made with"
    if proven.environment not in config.environments:
        yield f"{config.path.name} has no environment {proven.environment!r}"
    elif proven.alias != config.environments[proven.environment].alias:
        yield f"it moves another alias than that of {proven.environment}"
    champion = _part(evidence, "champion")
    if champion.get("name") == proven.model and champion.get("version") not in {None, proven.before}:
        yield f"it was judged against version {champion.get('version')}, and expects version {proven.before}"
    limit = timedelta(seconds=config.store.max_decision_age)
    yield from _age("decided_at", decision.get("decided_at"), limit)
    # The tests ran between the two, so the evidence may be older by as much.
    yield from _age("evaluated_at", evidence.get("evaluated_at"), limit + timedelta(seconds=config.timeout))


def _age(name: str, value: object, limit: timedelta) -> Iterator[str]:
    try:
        age = now() - datetime.fromisoformat(str(value))
    except (TypeError, ValueError):
        yield f"{name} is {value!r}, which is no time with its zone"
        return
    if age > limit:
        yield (
            f"{name} is {age.total_seconds() / 3600:.1f} hours ago; "
            f"`store.max_decision_age` allows {limit.total_seconds() / 3600:g}"
        )
    if age < -_SKEW:
        yield f"{name} is in the future, {value}"


def _ask_again(files: Files, config: Config, policies: Sequence[Path] | None, proven: Proven) -> None:
    rules, problems, verdict = _asked(files, config, policies, proven)
    reasons = [*problems, *(each.message for each in (*verdict.reasons, *rules.expired))]
    # Evidence with problems has not the shape that the rest relies on.
    for reason in reasons or _checks(files.evidence, config, rules, proven.environment):
        raise RefusedError(f"asked again, it is a DENY: {reason}", todo="run the gate again", file=files.path)


def _demand_denial(files: Files, config: Config, policies: Sequence[Path] | None, proven: Proven) -> None:
    """Demand that the DENY was measured, and that the policies say so again."""
    _, problems, verdict = _asked(files, config, policies, proven)
    denied = {each.rule for each in verdict.reasons if not each.rule.startswith("G9.")}
    for reason in problems or uncertainties(files.decision, files.evidence, denied, SHIPPED):
        raise RefusedError(
            f"hooks `on: deny` run after a measured DENY alone: {reason}",
            "limits that were missed, and nothing else that went wrong",
            "mend what went wrong and run the gate again",
            file=files.path,
        )


def _asked(
    files: Files, config: Config, policies: Sequence[Path] | None, proven: Proven
) -> tuple[Rules, tuple[str, ...], PolicyVerdict]:
    """Ask the policies again; they must be those that it was decided by."""
    environment, target = environment_of(config, proven.environment, None)
    rules = find_rules(
        config,
        environment,
        target,
        own=own_policies(config, policies),
        root=config.root,
        evaluated_at=datetime.fromisoformat(str(files.evidence["evaluated_at"])),
        subject_digest=proven.digest,
    )
    engine = make_engine(_engine_name(files))
    try:
        asked = ask(rules, files.evidence, engine)
    finally:
        engine.close()
    if asked.failure is not None:
        raise EngineError(f"asked again, the engine gave no answer: {asked.failure}", file=files.path)
    if asked.digest != _part(files.decision, "policy").get("digest"):
        raise RefusedError(
            "the policies, limits or waivers are not those that it was decided by",
            f"the policy digest {asked.digest}",
            "run the gate again",
            file=files.path,
        )
    verdict = judge_answers(
        asked.answers, config.policy.shadow, asked.deciding, rules.data["thresholds"], files.evidence
    )
    return rules, asked.problems, verdict


def _engine_name(files: Files) -> EngineName:
    name = _part(files.decision, "engine").get("name")
    if name not in tuple(EngineName):
        raise RefusedError(f"its engine is {name!r}", f"one of {', '.join(EngineName)}", file=files.path)
    return EngineName(name)


def _checks(evidence: Mapping[str, Any], config: Config, rules: Rules, environment: str) -> Iterator[str]:
    """Yield what the evidence itself says against an ALLOW; its schema has been checked by now.

    The judge knows more (the ledger, the child's end). This much of its rules G1 and G4 can be told from the document.
    """
    if _part(evidence, "run").get("exit_status") != 0:
        yield f"the tests ended with status {_part(evidence, 'run').get('exit_status')}"
    checks = evidence.get("checks") or []
    found = {check["id"] for check in checks}
    for name in (*(spec.id for spec in check_specs(config, environment)), *config.require):
        if not any(covers(name, each) for each in found):
            yield f"{name} was not measured"
    for check in checks:
        if not _excused(check, evidence, rules):
            yield f"the check {check['id']} is {check['outcome']}"
    if not checks:
        yield "no check ran"


def _excused(check: Mapping[str, Any], evidence: Mapping[str, Any], rules: Rules) -> bool:
    if check["outcome"] == Outcome.PASSED:
        return True
    first = bool(rules.data["first_release"]) and not _part(evidence, "champion")
    if check["outcome"] == Outcome.INCONCLUSIVE and check["kind"] == "comparison" and first:
        return True
    if check["outcome"] not in {Outcome.FAILED, Outcome.INCONCLUSIVE} or not _missed(check, evidence):
        return False
    names = (f"limits.{check['id']}", f"limits.{check['id'].partition('[')[0]}")
    return check["severity"] == Severity.WARNING or any(name in rules.waived for name in names)


def _missed(check: Mapping[str, Any], evidence: Mapping[str, Any]) -> bool:
    """Whether it missed a limit: only that can be excused, not that there was nothing to measure."""
    measurements = _part(evidence, "measurements")
    found = (measurements[name] for name in check["measurements"] if name in measurements)
    compared = (one for each in found for one in (each.get("comparisons") or [each]))
    return any(one.get("check") == check["id"] and one.get("passed") is False for one in compared)
