"""Carry a decision out, step by step under a journal and a lock; the alias is moved last and undone first."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_leanml.config import load_config
from pytest_leanml.deploy.alias import AliasStep, demand_artifact, demand_champion, move_of
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.interrupt import Interrupt
from pytest_leanml.deploy.journal import Release, journal_url, open_journal
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.deploy.others import left_open
from pytest_leanml.deploy.planning import plans
from pytest_leanml.deploy.progress import Progress
from pytest_leanml.deploy.proof import Action, Proven, prove
from pytest_leanml.deploy.secret import Redactor, read_secrets
from pytest_leanml.deploy.sequence import Settled, Steps, demand_known
from pytest_leanml.deploy.steps import HookStep, Stage
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ExitStatus, LeanmlError
from pytest_leanml.registry import Registry
from pytest_leanml.strict import dump_json
from pytest_leanml.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.config import Config
    from pytest_leanml.deploy.catalogue import Bound

__all__ = ["Action", "Done", "Settled", "deploy", "release_of"]


@dataclass(frozen=True, slots=True)
class Done:
    """How a deploy ended.

    Attributes:
        status: exit status.
        message: one sentence for a person.
        acted: every step is done that goes with the verdict; after a DENY the status is 20 all the same.
    """

    status: int
    message: str
    acted: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    """One decision and what is to be done with it."""

    config: Config
    proven: Proven
    registry: Registry
    action: Action
    hooks: tuple[Bound, ...]
    settled: Settled

    @property
    def moves(self) -> bool:
        """Whether the alias is among the steps."""
        return self.proven.verdict is Verdict.ALLOW

    @property
    def status(self) -> ExitStatus:
        """The status when all is well: a script that goes on after 0 must not go on after a DENY."""
        return ExitStatus.ALLOW if self.moves or self.action is Action.UNDO else ExitStatus.DENY


def deploy(
    decision: Path,
    config_path: Path,
    policies: Sequence[Path] | None,
    action: Action,
    settled: Settled | None = None,
) -> Done:
    """Carry out, plan, resume or undo one decision.

    Args:
        decision: decision.json, with evidence.json beside it.
        config_path: leanml.yaml.
        policies: instead of the config's ``policy.paths``.
        action: what to do.
        settled: what a person says about steps whose outcome was unknown.

    Returns:
        Status and message; every error of ours is turned into them.
    """
    try:
        config = load_config(config_path)
        proven = prove(decision, config, policies, action)
        registry = Registry(config.model.registry if config.model else None, root=config.root)
        hooks = find_hooks(config) if config.deploy else ()
        wanted = tuple(each for each in hooks if each.entry.runs(proven.verdict, proven.environment))
        job = _Job(config, proven, registry, action, wanted, settled or Settled())
        return _plan(job) if action is Action.PLAN else _act(job)
    except LeanmlError as error:
        return Done(int(error.status), str(error))


def release_of(proven: Proven) -> Release:
    """Return the release key: the same for every attempt to carry out the same decision."""
    parts = (proven.digest, proven.alias, proven.version, proven.environment)
    facts = {
        "version": proven.version,
        "digest": proven.digest,
        "environment": proven.environment,
        "verdict": str(proven.verdict),
        "evidence": str(proven.decision["evidence"]["digest"]),
        "decision": decision_digest(proven.decision),
    }
    return replace(Release.of(proven.run_id, proven.model, *parts), facts=facts)


def decision_digest(decision: Mapping[str, Any]) -> str:
    """Digest what was decided: the gate adds timings and warnings to the file after the deploy."""
    kept = {key: value for key, value in decision.items() if key not in {"timings", "warnings"}}
    return digest_bytes(dump_json(kept, indent=None).encode())


def _plan(job: _Job) -> Done:
    """Say what would be done, having looked and touched nothing."""
    _, warning = journal_url(job.config, job.registry.uri)
    proven, told = job.proven, []
    if job.moves:
        demand_champion(proven, job.registry.version_of_alias(proven.model, proven.alias))
        demand_artifact(proven, job.registry)
        told = [f"would move {move_of(proven)}"]
    planned = plans(job.hooks, proven, release_of(proven), job.registry.uri, job.config.root) if job.hooks else ()
    return Done(job.status, _with("\n".join([*planned, *told]), warning))


def _act(job: _Job) -> Done:
    if not job.hooks:
        return _acted(job, None, Redactor())
    secrets = read_secrets(dict.fromkeys(name for each in job.hooks for name in each.entry.secrets))
    redact = Redactor(secrets.values())
    with Interrupt() as interrupt:
        try:
            return _acted(job, secrets, redact, interrupt)
        except LeanmlError as error:
            return Done(int(error.status), redact(error))


def _acted(job: _Job, secrets: dict[str, str] | None, redact: Redactor, interrupt: Interrupt | None = None) -> Done:
    config, proven = job.config, job.proven
    journal, warning = open_journal(config, job.registry.uri)
    try:
        with model_lock(journal.engine, proven.model, config.store.lock_timeout) as held:
            stage = Stage(
                journal,
                release_of(proven),
                proven,
                held,
                interrupt or Interrupt(),
                secrets or {},
                redact,
                Progress(sys.stderr if job.hooks else None),
                job.registry.uri,
                config.root,
            )
            left = left_open(journal, stage.release) if job.action is Action.APPLY else ""
            message = _with(redact(_carried_out(job, stage)), left)
    finally:
        journal.close()
    return Done(job.status, _with(message, warning), acted=True)


def _carried_out(job: _Job, stage: Stage) -> str:
    alias = AliasStep(stage.journal, job.registry, job.proven, stage.release, stage.held) if job.moves else None
    hooks = [HookStep(bound, stage) for bound in job.hooks]
    demand_known([entry.step for entry in stage.journal.entries(stage.release)], hooks)
    resumed = job.action is Action.RESUME
    if not hooks and alias is not None and job.settled == Settled():
        return alias.undo() if job.action is Action.UNDO else alias.apply(begun=resumed)
    steps = Steps(hooks, alias, stage)
    return steps.undo() if job.action is Action.UNDO else steps.apply(begun=resumed, settled=job.settled)


def _with(message: str, warning: str | None) -> str:
    return f"{message}; {warning}" if warning else message
