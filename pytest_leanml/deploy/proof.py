"""Before anything is touched: is this decision one that may be carried out, and would it be decided again?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_leanml.clock import now
from pytest_leanml.config import environment_of
from pytest_leanml.decision import SCHEMA
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ExitStatus, GateUsageError, LeanmlError
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.policy.verdicts import judge_answers
from pytest_leanml.rules import ask, find_rules, own_policies
from pytest_leanml.strict import load_json
from pytest_leanml.vocabulary import EngineName, Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.config import Config

# A clock that is a little ahead of ours is no forgery.
_SKEW = timedelta(minutes=5)


class RefusedError(LeanmlError):
    """The decision does not stand: a DENY."""

    status = ExitStatus.DENY


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
    """

    decision: Mapping[str, Any]
    evidence: Mapping[str, Any]
    model: str
    version: str
    digest: str
    alias: str
    before: str | None
    environment: str

    @property
    def run_id(self) -> str:
        """Id of the run that decided."""
        return str(self.decision["run_id"])


def prove(path: Path, config: Config, policies: Sequence[Path] | None) -> Proven:
    """Read the decision and its evidence, and ask the policies again.

    Args:
        path: decision.json, with evidence.json beside it.
        config: leanml.yaml as it is now.
        policies: instead of the config's ``policy.paths``.

    Raises:
        GateUsageError: a file that is missing or no decision at all, or one of another mode: status 4.
        RefusedError: a DENY, or one that does not stand any more: status 20.
        UndecidedError: the engine gave no answer: status 21.
    """
    decision = _read(path)
    evidence_path = path.with_name("evidence.json")
    evidence = _read(evidence_path)
    if decision.get("schema") != SCHEMA:
        raise GateUsageError(f"its schema is {decision.get('schema')!r}", SCHEMA, "give decision.json", file=path)
    if decision.get("mode") != Mode.ENFORCE:
        raise GateUsageError(
            f"its mode is {decision.get('mode')!r}", "enforce", "run the gate without --gate-dry-run", file=path
        )
    for problem in _problems(decision, evidence, digest_bytes(evidence_path.read_bytes()), config):
        raise RefusedError(problem, todo="run the gate again", file=path)
    _ask_again(decision, evidence, config, policies, path)
    return _proven(decision, evidence)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = load_json(path.read_bytes(), file=path)
    except OSError as error:
        raise GateUsageError(
            f"cannot be read: {error.strerror}", "the files that the gate wrote", "name decision.json", file=path
        ) from None
    if not isinstance(document, dict):
        raise GateUsageError("is no JSON object", "the file that the gate wrote", "name decision.json", file=path)
    return document


def _problems(decision: Mapping[str, Any], evidence: Mapping[str, Any], digest: str, config: Config) -> Iterator[str]:
    if decision.get("verdict") != Verdict.ALLOW or decision.get("reasons") != []:
        yield f"the verdict is {decision.get('verdict')!r}; only an ALLOW is carried out"
    if _part(decision, "evidence").get("digest") != digest:
        yield f"evidence.json has the digest {digest}, and the decision rests on another one"
    if evidence.get("run_id") != decision.get("run_id"):
        yield "evidence and decision are of different runs"
    if _part(evidence, "subject") != _part(decision, "subject"):
        yield "evidence and decision are about different models"
    if decision.get("config_digest") != config.digest:
        yield f"{config.path.name} is not the one that the decision was made with"
    yield from _age(decision.get("decided_at"), timedelta(seconds=config.store.max_decision_age))
    alias = environment_of(config, str(decision.get("environment")), None)[1].alias
    if _part(decision, "alias").get("name") != alias:
        yield f"the decision moves no alias, or another one than {alias!r}"
    if config.model is None or _part(decision, "subject").get("name") != config.model.name:
        yield "the decision is about another model than the configuration"


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _age(decided_at: object, limit: timedelta) -> Iterator[str]:
    try:
        moment = datetime.fromisoformat(str(decided_at))
        age = now() - moment
    except (TypeError, ValueError):
        yield f"decided_at is {decided_at!r}, which is no time"
        return
    if age > limit:
        yield f"it was decided {age.total_seconds() / 3600:.1f} hours ago; `store.max_decision_age` allows {limit}"
    if age < -_SKEW:
        yield f"it was decided in the future, at {decided_at}"


def _ask_again(
    decision: Mapping[str, Any],
    evidence: Mapping[str, Any],
    config: Config,
    policies: Sequence[Path] | None,
    path: Path,
) -> None:
    environment, target = environment_of(config, str(decision["environment"]), None)
    rules = find_rules(
        config,
        environment,
        target,
        own=own_policies(config, policies),
        root=config.root,
        evaluated_at=datetime.fromisoformat(str(evidence["evaluated_at"])),
        subject_digest=str(_part(decision, "subject").get("digest", "")),
    )
    engine = make_engine(EngineName(_part(decision, "engine").get("name", EngineName.EMBEDDED)))
    try:
        asked = ask(rules, evidence, engine)
    finally:
        engine.close()
    if asked.digest != _part(decision, "policy").get("digest"):
        raise RefusedError(
            "the policies, limits or waivers are not those that it was decided by",
            f"the policy digest {_part(decision, 'policy').get('digest')}",
            "run the gate again",
            file=path,
        )
    verdict = judge_answers(asked.answers, config.policy.shadow, asked.deciding, rules.data["thresholds"], evidence)
    reasons = [*asked.problems, *(asked.failure or "").splitlines(), *(each.message for each in verdict.reasons)]
    if reasons:
        raise RefusedError(f"asked again, the policies deny: {reasons[0]}", todo="run the gate again", file=path)


def _proven(decision: Mapping[str, Any], evidence: Mapping[str, Any]) -> Proven:
    subject, alias = _part(decision, "subject"), _part(decision, "alias")
    if not subject.get("version") or not subject.get("digest"):
        raise GateUsageError("the decision names no registered version", "a candidate from the registry")
    before = alias.get("version")
    return Proven(
        decision,
        evidence,
        str(subject["name"]),
        str(subject["version"]),
        str(subject["digest"]),
        str(alias["name"]),
        None if before is None else str(before),
        str(decision["environment"]),
    )
