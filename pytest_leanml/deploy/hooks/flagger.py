"""``use: flagger.canary``: the image is handed to Flagger, whose canary analysis decides.

Its status: https://docs.flagger.app/usage/how-it-works#canary-status and the CRD. A phase counts where Flagger has applied another
spec than before the change, so that the verdict on an earlier one is never taken for this one's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.deployment import KIND as DEPLOYMENT
from pytest_leanml.deploy.hooks.handed import Handed, HandedConfig, awaited
from pytest_leanml.deploy.hooks.kubectl import Kubectl, Name
from pytest_leanml.deploy.hooks.marks import marked
from pytest_leanml.deploy.hooks.pinned import demanded, planned, settled
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "canaries.flagger.app"
_AT_REST = ("Initialized", "Succeeded", "Failed")
_PROMOTED = ("Promoting", "Finalising", "Succeeded")
_NOTICED = ("lastAppliedSpec", "lastTransitionTime")


class FlaggerConfig(HandedConfig):
    """Settings: which Canary; it names its Deployment itself."""

    canary: Name


class FlaggerCanary:
    """Sets the image of a Canary's Deployment by digest, and waits until Flagger has promoted it or given it up."""

    Config = FlaggerConfig

    def __init__(self, config: FlaggerConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Let the server try the change."""
        kubectl, (image, shown) = Kubectl(self._config, context), planned(self._config, context)
        canary = kubectl.demand(KIND, self._config.canary)
        handed = self._handed(kubectl, context, canary)
        found = handed.read()
        if not marked(found.facts, context):
            _at_rest(canary)
        kubectl.patch(DEPLOYMENT, handed.name, handed.operations(found, image, context.key), dry_run=True)
        return f"set the image of deployment {handed.name} ({kubectl.place}) to {shown}, and wait for Flagger's verdict"

    def apply(self, context: HookContext) -> Applied:
        """Set it, and wait.

        Raises:
            DeployError: nothing was changed, or Flagger has not promoted it in time.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        kubectl, image = Kubectl(self._config, context), demanded(self._config, context)
        canary = kubectl.demand(KIND, self._config.canary)
        handed = self._handed(kubectl, context, canary)
        seen = dict(context.remembered)
        if not marked(handed.read().facts, context):
            _at_rest(canary)
            seen = {"seen": _noticed(canary)}
            handed.hand(image, **seen)
        awaited(context, self._config.rollout_timeout, lambda: self._waits(handed, image, seen["seen"]))
        return Applied(told=f"canary {self._config.canary} was promoted with {image}")

    def observe(self, context: HookContext) -> Observed:
        """Read image, mark and status."""
        if "seen" not in context.remembered:
            return Observed.ABSENT
        kubectl, image = Kubectl(self._config, context), settled(self._config, context)
        handed = self._handed(kubectl, context, kubectl.demand(KIND, self._config.canary))
        return handed.seen(image, lambda: self._waits(handed, image, context.remembered["seen"]))

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Put the image before back; where Flagger had promoted the release, wait until it has promoted that one.

        Raises:
            DeployError: it was not promoted, or somebody has set another image since.
        """
        if "before" not in detail:
            return
        kubectl = Kubectl(self._config, context)
        canary = kubectl.demand(KIND, self._config.canary)
        handed, back = self._handed(kubectl, context, canary), detail.get("back")
        if marked(handed.read().facts, context):
            promoted = _status(canary).get("phase") in _PROMOTED and _new(canary, detail["seen"])
            back = {"seen": _noticed(canary), "promoted": promoted}
            context.remember({"back": back})
            handed.take_back(detail)
        # Until it is promoted the primary serves what it served before, so that there is nothing to wait for.
        if back and back["promoted"]:
            before = str(detail["before"])
            awaited(context, self._config.rollout_timeout, lambda: self._waits(handed, before, back["seen"]))

    def _handed(self, kubectl: Kubectl, context: HookContext, canary: Mapping[str, Any]) -> Handed:
        target = canary.get("spec", {}).get("targetRef") or {}
        if target.get("kind") != "Deployment":
            raise DeployError(f"canary {self._config.canary} has a {target.get('kind')} for its target", "a Deployment")
        return Handed(kubectl, context, DEPLOYMENT, str(target.get("name")), self._config.container)

    def _waits(self, handed: Handed, image: str, seen: Mapping[str, str]) -> str:
        """Say what is waited for; empty where Flagger has promoted it.

        Raises:
            DeployError: Flagger has given it up, or somebody has set another image.
        """
        found = handed.read().image(handed.container)
        if found != image:
            raise DeployError(f"somebody has set the image of deployment {handed.name} to {found} since")
        canary = handed.kubectl.demand(KIND, self._config.canary)
        if not _new(canary, seen):
            return "Flagger has not seen the change yet"
        status = _status(canary)
        phase = str(status.get("phase", ""))
        told = f"the canary is {phase or 'without a phase'}{_said(status)}"
        if phase in {"Failed", "Terminating", "Terminated"}:
            raise DeployError(told)
        applied, promoted = status.get("lastAppliedSpec"), status.get("lastPromotedSpec")
        return "" if phase == "Succeeded" and applied == promoted else told


def _status(canary: Mapping[str, Any]) -> Mapping[str, Any]:
    return canary.get("status") or {}


def _noticed(canary: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(_status(canary).get(name, "")) for name in _NOTICED}


def _new(canary: Mapping[str, Any], seen: Mapping[str, str]) -> bool:
    """Whether Flagger has applied another spec since, at a later time."""
    now = _noticed(canary)
    return all(now[name] and now[name] != seen[name] for name in _NOTICED)


def _at_rest(canary: Mapping[str, Any]) -> None:
    phase = _status(canary).get("phase")
    if phase not in _AT_REST:
        raise DeployError(
            f"canary {canary['metadata']['name']} is {phase or 'not initialized yet'}",
            f"one that is {', '.join(_AT_REST)}: the verdict on another change would be taken for this one's",
        )


def _said(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions") or ()
    said = next((str(each.get("message", "")) for each in conditions if each.get("type") == "Promoted"), "")
    weight = status.get("canaryWeight")
    more = [*([f"weight {weight}"] if weight else []), *([said] if said else [])]
    return f" ({', '.join(more)})" if more else ""
