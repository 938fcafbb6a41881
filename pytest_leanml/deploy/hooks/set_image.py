"""``use: kubernetes.set_image``: the image of one container of a Deployment, by digest, rolled out and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from pytest_leanml.config.fields import Duration, Flag  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.deployment import KIND, Deployment, State, changes
from pytest_leanml.deploy.hooks.kubectl import Kubectl, Label, Name
from pytest_leanml.deploy.hooks.marks import mark_name, marked
from pytest_leanml.deploy.hooks.pinned import ImageConfig, demanded, planned, settled
from pytest_leanml.deploy.hooks.quota import demand_room
from pytest_leanml.deploy.hooks.rollout import Wait, rolled_out, stamp
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping


class SetImageConfig(ImageConfig):
    """Settings: which container of which Deployment, and what is demanded before."""

    deployment: Name
    container: Label
    require_limits: Flag = True
    check_quota: Flag = True
    rollout_timeout: Duration = Field(default="5m", validate_default=True)


class SetImage:
    """Sets the image, waits until every pod has it and is available, and puts the image before back."""

    Config = SetImageConfig

    def __init__(self, config: SetImageConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Check everything on the server, without a change."""
        config, kubectl = self._config, Kubectl(self._config, context)
        (image, shown), deployment = planned(config, context), Deployment.read(kubectl, config.deployment)
        told = f"set the image of {config.container} in deployment {config.deployment} ({kubectl.place}) to {shown}"
        if not marked(deployment.facts, context):
            self._checked(kubectl, deployment, State(image, deployment.replicas, context.key), context)
        return told

    def apply(self, context: HookContext) -> Applied:
        """Set it, and wait for the rollout.

        Raises:
            DeployError: nothing was changed, or the rollout failed.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        config, kubectl = self._config, Kubectl(self._config, context)
        image, deployment = demanded(config, context), Deployment.read(kubectl, config.deployment)
        if not marked(deployment.facts, context):
            self._set(kubectl, deployment, State(image, deployment.replicas, context.key), context)
        stale = str(context.remembered.get("stale", "")) or stamp(deployment)
        self._waited(kubectl, context, image, stale)
        return Applied(told=f"deployment {config.deployment} runs {image}")

    def observe(self, context: HookContext) -> Observed:
        """Read annotation, image and status."""
        kubectl = Kubectl(self._config, context)
        deployment = Deployment.read(kubectl, self._config.deployment)
        if not marked(deployment.facts, context):
            return Observed.ABSENT
        same = deployment.image(self._config.container) == settled(self._config, context)
        return Observed.IN_PLACE if same and deployment.complete else Observed.BEGUN

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Put the image before back, unless somebody has set another since, and wait for the rollout.

        Raises:
            DeployError: it was not taken back.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        if "before" not in detail:
            return
        config, kubectl = self._config, Kubectl(self._config, context)
        deployment, before = Deployment.read(kubectl, config.deployment), str(detail["before"])
        stale = str(detail.get("undo_stale", ""))
        if marked(deployment.facts, context):
            self._demand_image(deployment, settled(config, context))
            stale = stamp(deployment)
            context.remember({"set": True, "undo_stale": stale})
            wanted = State(before, deployment.replicas, detail.get("mark"))
            kubectl.patch(KIND, deployment.name, changes(deployment, config.container, mark_name(context), wanted))
        elif not detail.get("set"):
            return  # it was never set
        self._waited(kubectl, context, before, stale)

    def _checked(
        self, kubectl: Kubectl, deployment: Deployment, wanted: State, context: HookContext
    ) -> list[dict[str, Any]]:
        """Check what can be checked before, the patch included.

        Raises:
            DeployError: it cannot be carried out.
        """
        demand_rollable(deployment)
        demand_room(
            kubectl, deployment, wanted.replicas, limits=self._config.require_limits, quota=self._config.check_quota
        )
        operations = changes(deployment, self._config.container, mark_name(context), wanted)
        kubectl.patch(KIND, deployment.name, operations, dry_run=True)
        return operations

    def _set(self, kubectl: Kubectl, deployment: Deployment, wanted: State, context: HookContext) -> None:
        operations = self._checked(kubectl, deployment, wanted, context)
        before = State.of(deployment, self._config.container, mark_name(context))
        context.remember(
            {"before": before.image, "image": wanted.image, "mark": before.mark, "stale": stamp(deployment)}
        )
        kubectl.patch(KIND, deployment.name, operations)
        context.remember({"set": True})

    def _waited(self, kubectl: Kubectl, context: HookContext, image: str, stale: str) -> None:
        wait = Wait(self._config.rollout_timeout, stale, lambda deployment: self._demand_image(deployment, image))
        rolled_out(kubectl, self._config.deployment, context, wait)

    def _demand_image(self, deployment: Deployment, image: str) -> None:
        found = deployment.image(self._config.container)
        if found != image:
            raise DeployError(
                f"somebody has set {self._config.container} in deployment {deployment.name} to {found} since; it was left alone"
            )


def demand_rollable(deployment: Deployment, replicas: int | None = None) -> None:
    """Refuse a rollout that would show nothing.

    Raises:
        DeployError: it is paused, or has no pods.
    """
    if deployment.spec.get("paused"):
        raise DeployError(f"deployment {deployment.name} is paused; run `kubectl rollout resume` first")
    if (deployment.replicas if replicas is None else replicas) < 1:
        raise DeployError(f"deployment {deployment.name} has 0 replicas: no pod would show whether the image runs")
