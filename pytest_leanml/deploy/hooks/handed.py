"""An image that is handed to a controller of the cluster, whose verdict is waited for: what Argo and Flagger have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pytest_leanml.config.fields import Duration  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.deployment import Deployment, State, changes
from pytest_leanml.deploy.hooks.kubectl import PASSING, KubectlError, Label
from pytest_leanml.deploy.hooks.marks import mark_name, marked
from pytest_leanml.deploy.hooks.pinned import ImageConfig
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.hooks.kubectl import Kubectl

_FIRST_PAUSE, _LONGEST_PAUSE, _POLL = 0.2, 2.0, 0.05


class HandedConfig(ImageConfig):
    """Settings: the container whose image is set, and how long its controller may take."""

    container: Label
    rollout_timeout: Duration = Field(default="30m", validate_default=True)


@dataclass(frozen=True, slots=True)
class Handed:
    """The object whose pod template holds the image.

    Attributes:
        kubectl: for this call of the hook.
        context: the hook's.
        kind: with its group.
        name: its name.
        container: in its pods.
    """

    kubectl: Kubectl
    context: HookContext
    kind: str
    name: str
    container: str

    def read(self) -> Deployment:
        """Read it; it has the shape of a Deployment.

        Raises:
            DeployError: it is not there, or has no pod template of its own.
        """
        found = Deployment(self.kubectl.demand(self.kind, self.name))
        if not (found.spec.get("template") or {}).get("spec", {}).get("containers"):
            raise DeployError(
                f"{self.kind} {self.name} has no pod template of its own", "containers under `spec.template`"
            )
        return found

    def operations(self, found: Deployment, image: str, mark: str | None) -> list[dict[str, Any]]:
        """Return the patch that sets image and mark, unless somebody is faster."""
        return changes(found, self.container, mark_name(self.context), State(image, found.replicas, mark))

    def hand(self, image: str, **more: Any) -> None:
        """Set the image once, having remembered what was there.

        Args:
            image: by its digest.
            more: what else is remembered.

        Raises:
            DeployError: it was not set.
            UnknownOutcomeError: it may or may not have been.
        """
        found = self.read()
        if marked(found.facts, self.context):
            return
        before = State.of(found, self.container, mark_name(self.context))
        if before.image == image:
            raise DeployError(f"{self.kind} {self.name} has the image {image} already: nothing would be judged")
        self.context.remember({"before": before.image, "mark": before.mark, "image": image, **more})
        self.kubectl.patch(self.kind, self.name, self.operations(found, image, self.context.key))

    def take_back(self, detail: Mapping[str, Any]) -> None:
        """Put the image before back.

        Raises:
            DeployError: somebody has set another since.
        """
        found = self.read()
        now = found.image(self.container)
        if now != detail["image"]:
            raise DeployError(
                f"somebody has set the image of {self.kind} {self.name} to {now} since; it was left alone"
            )
        self.kubectl.patch(self.kind, self.name, self.operations(found, str(detail["before"]), detail["mark"]))

    def seen(self, image: str, waits: Callable[[], str]) -> Observed:
        """Tell how far it is; ``waits`` says what is still waited for, and raises where it failed."""
        found = self.read()
        if not marked(found.facts, self.context):
            return Observed.ABSENT
        if found.image(self.container) != image:
            return Observed.BEGUN
        try:
            return Observed.BEGUN if waits() else Observed.IN_PLACE
        except KubectlError:
            raise
        except DeployError:
            return Observed.BEGUN


def awaited(context: HookContext, seconds: float, waits: Callable[[], str]) -> None:
    """Wait for the controller's verdict.

    Args:
        context: asked whether to stop.
        seconds: the longest wait.
        waits: says what is waited for; empty where it went well; raises DeployError where it failed.

    Raises:
        DeployError: it failed, or is late.
        UnknownOutcomeError: a person asked to stop.
    """
    until, pause, told = min(time.monotonic() + seconds, context.deadline), _FIRST_PAUSE, ""
    while True:
        why = _looked(waits)
        if not why:
            return
        if why != told:
            context.progress(f"waits: {why}")
            told = why
        if time.monotonic() > until:
            raise DeployError(f"there is no verdict in time: {why}")
        if context.stopping():
            raise UnknownOutcomeError(f"stopped as asked before there was a verdict: {why}")
        _sleep(context, pause)
        pause = min(_LONGEST_PAUSE, 1.5 * pause)


def _looked(waits: Callable[[], str]) -> str:
    try:
        return waits()
    except KubectlError as error:
        if error.reason not in PASSING:
            raise
        return error.given


def _sleep(context: HookContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not context.stopping():
        time.sleep(_POLL)
