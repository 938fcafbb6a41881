"""Wait until a Deployment is rolled out, by what its status says.

``kubectl rollout status`` is not asked: right after a change it can tell the failure of the rollout before. A condition
that was there before the change tells nothing here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hooks.deployment import KIND, Deployment
from pytest_leanml.deploy.hooks.kubectl import PASSING, KubectlError
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.hooks.kubectl import Kubectl

_POLL = 0.2
_FEW = 3


def stamp(deployment: Deployment) -> str:
    """Return what tells a later failure from the one that is there now; empty where there is none."""
    found = deployment.condition("Progressing")
    return f"{found.get('reason')} {found.get('lastUpdateTime')}" if _over(found) else ""


@dataclass(frozen=True, slots=True)
class Wait:
    """How a rollout is waited for.

    Attributes:
        seconds: the longest wait.
        stale: ``stamp`` of the Deployment before it was changed.
        check: raises where it is not what was set any more.
    """

    seconds: float
    stale: str
    check: Callable[[Deployment], None]


def rolled_out(kubectl: Kubectl, name: str, context: HookContext, wait: Wait) -> Deployment:
    """Wait until every pod is new and available, and return the Deployment as it is then.

    Raises:
        DeployError: it failed, is late, or somebody has changed it.
        UnknownOutcomeError: a person asked to stop.
    """
    until, seen = time.monotonic() + wait.seconds, list[Deployment]()

    def over(facts: Mapping[str, Any]) -> bool:
        seen[:] = [Deployment(facts)]
        wait.check(seen[0])
        return seen[0].complete or _failed(seen[0], wait.stale)

    context.progress(f"waits for the pods of deployment {name}")
    while True:
        why = _watched(kubectl, name, over, max(_POLL, min(until, context.deadline) - time.monotonic()))
        if seen and seen[0].complete:
            return seen[0]
        if seen and _failed(seen[0], wait.stale):
            raise DeployError(f"deployment {name} made no progress: {trouble(kubectl, seen[0])}")
        if time.monotonic() > min(until, context.deadline):
            raise DeployError(
                f"deployment {name} was not rolled out within {wait.seconds:g} s: {_late(kubectl, seen, why)}"
            )
        if context.stopping():
            raise UnknownOutcomeError("stopped as asked before it was rolled out")
        time.sleep(_POLL)


def _watched(kubectl: Kubectl, name: str, over: Callable[[Mapping[str, Any]], bool], seconds: float) -> str:
    """Watch it for a time, and say why that ended where it was not seen to the end."""
    try:
        kubectl.watch(KIND, name, over, seconds)
    except KubectlError as error:
        if error.reason not in PASSING:
            raise
        return error.given
    return ""


def _failed(deployment: Deployment, stale: str) -> bool:
    return stamp(deployment) not in {"", stale}


def _late(kubectl: Kubectl, seen: Sequence[Deployment], why: str) -> str:
    if not seen:
        return why or "it was not seen"
    counted = f"{seen[0].count('availableReplicas')} of {seen[0].replicas} pods are available"
    return f"{counted}: {why or trouble(kubectl, seen[0])}"


def trouble(kubectl: Kubectl, deployment: Deployment) -> str:
    """Say what keeps its pods from being ready, as the cluster tells it."""
    failed = deployment.condition("ReplicaFailure")
    told = [str(failed.get("message") or failed.get("reason"))] if failed.get("status") == "True" else []
    try:
        told += _waiting(kubectl, deployment)
    except KubectlError as error:
        told.append(error.given)
    return "; ".join(told[:_FEW]) or str(
        deployment.condition("Progressing").get("message") or "the cluster does not say why"
    )


def _waiting(kubectl: Kubectl, deployment: Deployment) -> list[str]:
    labels = deployment.spec.get("selector", {}).get("matchLabels") or {}
    pods = kubectl.every("pods", ",".join(f"{name}={value}" for name, value in labels.items()))
    return list(dict.fromkeys(why for pod in pods for why in _why(pod)))


def _why(pod: Mapping[str, Any]) -> list[str]:
    status = pod.get("status", {})
    found = []
    for container in status.get("containerStatuses") or ():
        state = container.get("state", {})
        waits = state.get("waiting") or state.get("terminated") or {}
        if waits.get("reason") and not container.get("ready"):
            said = f" ({waits['message']})" if waits.get("message") else ""
            found.append(f"{container.get('name')} with image {container.get('image')} is in {waits['reason']}{said}")
    unscheduled = [
        each
        for each in status.get("conditions") or ()
        if each.get("type") == "PodScheduled" and each.get("status") == "False"
    ]
    return found + [f"not scheduled: {each.get('message') or each.get('reason')}" for each in unscheduled]


def _over(progressing: Mapping[str, Any]) -> bool:
    return progressing.get("status") == "False"
