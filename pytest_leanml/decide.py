"""``leanml decide``: the policies given and nothing else judge an evidence document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.clock import new_run_id, now, stamp
from pytest_leanml.decision import Decision, Reason
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import EngineError, ExitStatus, GateUsageError, LeanmlError
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.policy.facts import check_facts
from pytest_leanml.policy.load import load_policies, policy_digest
from pytest_leanml.policy.verdicts import judge_answers
from pytest_leanml.rules import DEFAULT_POLICY_TIMEOUT
from pytest_leanml.strict import dump_json, load_json
from pytest_leanml.vocabulary import Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.policy.answers import Answer, Engine, PolicySet
    from pytest_leanml.vocabulary import EngineName


def decide(
    evidence: Path, policies: Sequence[Path], data: Path | None, engine_name: EngineName, root: Path
) -> tuple[Decision, int]:
    """Decide from files; every error of ours becomes a DENY with its status.

    Args:
        evidence: a JSON document.
        policies: Rego files and folders.
        data: JSON with what stands under ``data.leanml``.
        engine_name: which engine answers.
        root: what logical paths are relative to.
    """
    try:
        document, digest = _object(evidence, "the evidence")
        loaded = load_policies(policies, shipped=(), root=root)
        under = _leanml(data)
        engine = make_engine(engine_name)
    except LeanmlError as error:
        return _refused(error), int(error.status)
    try:
        return _decided(document, digest, loaded, under, engine)
    finally:
        engine.close()


def _decided(
    document: Mapping[str, Any], digest: str, policies: PolicySet, data: Mapping[str, Any], engine: Engine
) -> tuple[Decision, int]:
    problems = tuple(Reason("G9.evidence", problem) for problem in check_facts(document))
    answers: tuple[Answer, ...] = ()
    undecided: tuple[Reason, ...] = ()
    if not problems:
        try:
            answers = engine.evaluate(policies, dump_json(document), data, DEFAULT_POLICY_TIMEOUT)
        except EngineError as error:
            undecided = (Reason("G9.engine", str(error)),)
    deciding = sum(package.decides for package in policies.packages)
    found = judge_answers(answers, (), deciding, _limits(data), document, asked=not (problems or undecided))
    reasons = (*problems, *undecided, *found.reasons)
    decision = Decision(
        run_id=str(document.get("run_id") or new_run_id(now())),
        verdict=Verdict.DENY if reasons else Verdict.ALLOW,
        mode=Mode.POLICY_ONLY,
        environment=None,
        decided_at=stamp(now()),
        reasons=reasons,
        warnings=found.warnings,
        engine={"name": engine.name, "version": engine.version},
        policy={"digest": policy_digest(policies, data), "files": {f.logical: f.digest for f in policies.files}},
        evidence={"digest": digest},
    )
    if undecided or found.undecided:
        return decision, ExitStatus.UNDECIDED
    return decision, ExitStatus.DENY if reasons else ExitStatus.ALLOW


def _limits(data: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Take the limits to show beside a reason; what is no number is the policies' affair."""
    given = data.get("thresholds")
    bounds = {name: each for name, each in given.items() if isinstance(each, dict)} if isinstance(given, dict) else {}
    return {
        name: {key: value for key, value in each.items() if isinstance(value, int | float)}
        for name, each in bounds.items()
    }


def _refused(error: LeanmlError) -> Decision:
    moment = now()
    reason = Reason("usage" if error.status == ExitStatus.USAGE else "undecided", str(error))
    return Decision(new_run_id(moment), Verdict.DENY, Mode.POLICY_ONLY, None, stamp(moment), reasons=(reason,))


def _object(path: Path, what: str) -> tuple[dict[str, Any], str]:
    """Read a JSON object, and the digest of the same bytes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GateUsageError(
            f"{what} cannot be read: {error.strerror}", "a JSON file", "correct the path", file=path
        ) from None
    document = load_json(data, file=path)
    if not isinstance(document, dict):
        raise GateUsageError(f"{what} is a JSON {type(document).__name__}", "a JSON object", file=path)
    return document, digest_bytes(data)


def _leanml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    document, _ = _object(path, "the data")
    under = document.get("leanml")
    if set(document) != {"leanml"} or not isinstance(under, dict):
        raise GateUsageError(
            f"the data has the keys {', '.join(document) or 'none'}",
            'one object under "leanml", such as {"leanml": {"thresholds": {}}}',
            "move it there; policies read it as data.leanml",
            file=path,
        )
    return under
