"""Which policies are in force and what data they read: the same for the gate and for a later deploy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.config import check_specs, thresholds
from pytest_leanml.config.models import Data
from pytest_leanml.errors import EngineError
from pytest_leanml.evidence.schema import schema_problems
from pytest_leanml.policy.answers import PolicySet
from pytest_leanml.policy.facts import check_facts
from pytest_leanml.policy.load import load_policies, policy_digest
from pytest_leanml.policy.waivers import live_waivers
from pytest_leanml.strict import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_leanml.config import CheckSpec, Config, Environment
    from pytest_leanml.decision import Reason
    from pytest_leanml.policy.answers import Answer, Engine

# Packages that come with what was measured; the others are switched on by name.
ALWAYS = ("limits",)
BY_KIND = {
    "quality": "no_skill",
    "data_quality": "data_quality",
    "drift": "drift",
    "fairness": "fairness",
    "comparison": "comparison",
    "behaviour": "behaviour",
    "leakage": "leakage",
    "lineage": "lineage",
    "serving": "serving",
}
BY_NAME = ("approval", "model_approval", "streak")
SHIPPED = (*ALWAYS, *BY_KIND.values(), *BY_NAME)
_GATE = re.compile(r"\bgate\b")

# What of ``data.leanml`` the policy digest covers: the limits in force and the waivers, nothing of the candidate, so that
# the digest that one decision shows can be pinned for the next.
_DIGESTED = ("thresholds", "waived", "judge", "severity")

# What a run without a configuration is judged by.
DEFAULT_POLICY_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that judges an evidence document.

    Attributes:
        policies: the project's own, and every shipped package.
        used: shipped packages that were switched on by name.
        specs: the checks of leanml.yaml.
        waived: rule id -> the live waiver.
        expired: waivers that no longer live, each a reason.
        data: what stands under ``data.leanml``, but for ``others_decide``.
        timeout: seconds for an evaluation.
        pinned: the one policy digest that may decide; None where none is pinned.
    """

    policies: PolicySet
    used: tuple[str, ...]
    specs: tuple[CheckSpec, ...]
    waived: Mapping[str, Any]
    expired: tuple[Reason, ...]
    data: Mapping[str, Any]
    timeout: float
    pinned: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation.

    Attributes:
        answers: one for each deciding package.
        policies: the set that was asked.
        digest: of Rego, thresholds in force and waivers.
        problems: why no engine was asked; any of them denies.
        failure: why there is no answer; it denies, and the gate could not decide.
    """

    answers: tuple[Answer, ...]
    policies: PolicySet
    digest: str
    problems: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def deciding(self) -> int:
        """How many packages decide."""
        return sum(package.decides for package in self.policies.packages)


def find_rules(  # noqa: PLR0913 - what a rule can depend on
    config: Config | None,
    environment: str | None,
    target: Environment | None,
    *,
    own: Sequence[Path],
    root: Path,
    evaluated_at: datetime,
    subject_digest: str,
) -> Rules:
    """Read policies and waivers, and put together what they may read.

    Args:
        config: leanml.yaml, None without one.
        environment: its name.
        target: what differs there.
        own: the project's own policy paths.
        root: what logical paths are relative to.
        evaluated_at: the run's only clock.
        subject_digest: digest of the candidate, "" without a model.

    Raises:
        GateUsageError: a policy set or waivers that cannot be believed.
    """
    used = _used(config, target)
    policies = load_policies(own, shipped=SHIPPED, root=root)
    specs = check_specs(config, environment) if config is not None else ()
    packages = [package.name for package in policies.packages]
    waivers = live_waivers(config, environment, evaluated_at=evaluated_at, packages=packages)
    data = {
        "thresholds": _thresholds(config, environment),
        "waived": dict(waivers.live),
        "environment": environment or "",
        "judge": {spec.limited: str(spec.limit.judge) for spec in specs},
        "severity": {spec.limited: str(spec.limit.severity) for spec in specs},
        "first_release": bool(config is not None and config.model is not None and config.model.first_release),
        "subject_digest": subject_digest,
    }
    timeout = config.policy.timeout if config is not None else DEFAULT_POLICY_TIMEOUT
    pinned = config.policy.digest if config is not None else None
    return Rules(policies, used, specs, waivers.live, waivers.expired, data, timeout, pinned)


def _thresholds(config: Config | None, environment: str | None) -> dict[str, dict[str, float]]:
    """Return the limits in force; a group has its least size also where a test alone measures fairness."""
    data = Data() if config is None else config.data
    least = {"fairness.group_size": {"min": float(data.min_group)}}
    return least if config is None else {**least, **thresholds(config, environment)}


def own_policies(config: Config | None, flag: Sequence[Path] | None) -> tuple[Path, ...]:
    """Return the project's own policy paths: the flag's, else the config's."""
    if flag is not None:
        return tuple(flag)
    return tuple(config.root / path for path in config.policy.paths) if config is not None else ()


def ask(rules: Rules, document: Mapping[str, Any], engine: Engine) -> Asked:
    """Ask the policies in force about an evidence document; what fails is told, never raised."""
    policies = select(rules.policies, _in_use(rules, document))
    data = {**rules.data, "others_decide": _others_decide(policies, rules.used)}
    digest = policy_digest(policies, {name: data[name] for name in _DIGESTED})
    problems = tuple(dict.fromkeys([*_not_pinned(rules, digest), *schema_problems(document), *check_facts(document)]))
    if problems:
        return Asked((), policies, digest, problems)
    try:
        answers = engine.evaluate(policies, dump_json(document), data, rules.timeout)
    except EngineError as error:
        return Asked((), policies, digest, failure=str(error))
    return Asked(answers, policies, digest)


def _not_pinned(rules: Rules, digest: str) -> Iterator[str]:
    """Which shipped packages are in force depends on what was measured, so that this is known only after the tests."""
    if rules.pinned is not None and rules.pinned != digest:
        yield (
            f"the policies, limits and waivers in force have the digest {digest}; expected: {rules.pinned}, which "
            "`policy.digest` pins; next: look at what has changed, then write the new digest there"
        )


def select(policies: PolicySet, shipped: Iterable[str]) -> PolicySet:
    """Leave out the shipped packages that are not in use.

    Where the project's own policies speak of `gate`, every shipped file stays, though only those in use are asked: a
    rule that reads the `deny` of a package that is gone would never fire.
    """
    names = set(shipped)
    own = {file.logical for file in policies.files if not file.logical.startswith("leanml:")}
    read = any(file.logical in own and _GATE.search(file.text) for file in policies.files)
    kept = tuple(f for f in policies.files if read or f.logical in own or _shipped_name(f.logical) in names)
    packages = tuple(
        p for p in policies.packages if not _is_shipped(p.name, policies) or p.name.removeprefix("gate.") in names
    )
    return PolicySet(kept, packages)


def _is_shipped(package: str, policies: PolicySet) -> bool:
    name = package.removeprefix("gate.")
    return package.startswith("gate.") and any(
        file.logical.startswith("leanml:") and _shipped_name(file.logical) == name for file in policies.files
    )


def _shipped_name(logical: str) -> str:
    return logical.removeprefix("leanml:").partition("/")[0]


def _in_use(rules: Rules, document: Mapping[str, Any]) -> set[str]:
    kinds = {spec.kind for spec in rules.specs}
    kinds |= {str(name).partition(".")[0] for name in document.get("measurements", {})}
    return {*ALWAYS, *rules.used, *(BY_KIND[kind] for kind in kinds if kind in BY_KIND)}


def _others_decide(policies: PolicySet, used: Sequence[str]) -> bool:
    # `limits` is what asks whether others decide, and a comparison decides nothing in a first release: naming them
    # under `use` makes neither of them another judge.
    named = set(used) - {*ALWAYS, "comparison"}
    standard = {f"gate.{name}" for name in (*ALWAYS, *BY_KIND.values()) if name not in named}
    return any(package.decides and package.name not in standard for package in policies.packages)


def _used(config: Config | None, target: Environment | None) -> tuple[str, ...]:
    named = [*(config.policy.use if config is not None else ()), *(target.use if target is not None else ())]
    return tuple(dict.fromkeys(named))
