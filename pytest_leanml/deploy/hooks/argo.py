"""``use: argo.rollout``: the image is handed to Argo Rollouts, whose steps and analyses decide.

Its status: https://argo-rollouts.readthedocs.io/en/stable/features/specification/ and the CRD. A phase counts where the
controller has observed the generation that was set, and ``Healthy`` where the new pods are the stable ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.handed import Handed, HandedConfig, awaited
from pytest_leanml.deploy.hooks.kubectl import Kubectl, Name
from pytest_leanml.deploy.hooks.marks import marked
from pytest_leanml.deploy.hooks.pinned import demanded, planned, settled
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "rollouts.argoproj.io"
_INCONCLUSIVE = "InconclusiveAnalysisRun"


class RolloutConfig(HandedConfig):
    """Settings: which Rollout."""

    rollout: Name


class Rollout:
    """Sets the image of a Rollout by digest, and waits until it is healthy, degraded, or left for a person to decide."""

    Config = RolloutConfig

    def __init__(self, config: RolloutConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Let the server try the change."""
        handed, (image, shown) = self._handed(context), planned(self._config, context)
        found = handed.read()
        handed.kubectl.patch(KIND, handed.name, handed.operations(found, image, context.key), dry_run=True)
        return (
            f"set the image of rollout {handed.name} ({handed.kubectl.place}) to {shown}, and wait for Argo's verdict"
        )

    def apply(self, context: HookContext) -> Applied:
        """Set it, and wait.

        Raises:
            DeployError: nothing was changed, or the rollout was not healthy in time.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        handed, image = self._handed(context), demanded(self._config, context)
        handed.hand(image)
        awaited(context, self._config.rollout_timeout, lambda: _waits(handed, image))
        return Applied(told=f"rollout {handed.name} is healthy with {image}")

    def observe(self, context: HookContext) -> Observed:
        """Read image, mark and status."""
        handed, image = self._handed(context), settled(self._config, context)
        return handed.seen(image, lambda: _waits(handed, image))

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Put the image before back, which Argo rolls out without its steps while it is the stable one, and wait.

        Raises:
            DeployError: it is not healthy, or somebody has set another image since.
        """
        if "before" not in detail:
            return
        handed, before = self._handed(context), str(detail["before"])
        if marked(handed.read().facts, context):
            context.remember({"back": True})
            handed.take_back(detail)
        elif not detail.get("back"):
            return  # it was never set
        awaited(context, self._config.rollout_timeout, lambda: _waits(handed, before))

    def _handed(self, context: HookContext) -> Handed:
        config = self._config
        return Handed(Kubectl(config, context), context, KIND, config.rollout, config.container)


def _waits(handed: Handed, image: str) -> str:
    """Say what is waited for; empty where the rollout is healthy.

    Raises:
        DeployError: it is degraded, a person must decide, or somebody has set another image.
    """
    found = handed.read()
    if found.image(handed.container) != image:
        raise DeployError(
            f"somebody has set the image of rollout {handed.name} to {found.image(handed.container)} since"
        )
    status = found.facts.get("status") or {}
    if str(status.get("observedGeneration", "")) != str(found.facts["metadata"].get("generation")):
        return "Argo's controller has not seen the change yet"
    phase, said = str(status.get("phase", "")), str(status.get("message", ""))
    told = f"the rollout is {phase or 'without a phase'}{f' ({said})' if said else ''}"
    if phase == "Degraded" or status.get("abort"):
        raise DeployError(f"{told}{'; it was aborted' if status.get('abort') else ''}")
    if phase == "Paused" and any(each.get("reason") == _INCONCLUSIVE for each in status.get("pauseConditions") or ()):
        raise DeployError(f"{told}: an analysis was inconclusive, which is no pass")
    new, stable = status.get("currentPodHash"), status.get("stableRS")
    return "" if phase == "Healthy" and new and new == stable else told
