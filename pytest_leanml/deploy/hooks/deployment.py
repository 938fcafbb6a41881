"""A Deployment as the API server tells it, and a change of it that happens whole, or not where somebody was faster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hooks.kubectl import pointer
from pytest_leanml.deploy.hooks.marks import mark_of, mark_operations
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hooks.kubectl import Kubectl

KIND = "deployments.apps"
_TEMPLATE = ("spec", "template", "spec", "containers")


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the API server says of it.

    Attributes:
        facts: the whole object.
    """

    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, kubectl: Kubectl, name: str) -> Deployment:
        """Read it.

        Raises:
            KubectlError: it does not exist, or cannot be read.
        """
        return cls(kubectl.demand(KIND, name))

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.facts["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """What is wanted."""
        return dict(self.facts["spec"])

    @property
    def replicas(self) -> int:
        """How many pods are wanted."""
        return int(self.spec.get("replicas", 1))

    @property
    def pod(self) -> Mapping[str, Any]:
        """The pods' spec."""
        return dict(self.spec["template"]["spec"])

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the pods."""
        return dict(self.spec["template"].get("metadata", {}).get("labels") or {})

    def place(self, container: str) -> int:
        """Return where a container stands.

        Raises:
            DeployError: there is none of this name.
        """
        names = [str(each.get("name")) for each in self.pod["containers"]]
        if container not in names:
            raise DeployError(f"deployment {self.name} has no container {container}; it has {', '.join(names)}")
        return names.index(container)

    def image(self, container: str) -> str:
        """Return a container's image.

        Raises:
            DeployError: there is no such container.
        """
        return str(self.pod["containers"][self.place(container)].get("image"))

    def count(self, name: str) -> int:
        """Return a number of its status; the API server leaves a zero out."""
        return int(self.facts.get("status", {}).get(name, 0))

    def condition(self, kind: str) -> Mapping[str, Any]:
        """Return a condition; empty where it has none of this type."""
        found = self.facts.get("status", {}).get("conditions") or ()
        return next((each for each in found if each.get("type") == kind), {})

    @property
    def complete(self) -> bool:
        """Whether every pod is new and available, and no other is left."""
        seen = self.count("observedGeneration") >= int(self.facts["metadata"].get("generation", 0))
        counts = {self.count(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
        return seen and counts == {self.replicas}


@dataclass(frozen=True, slots=True)
class State:
    """What a hook sets of a Deployment.

    Attributes:
        image: of the container.
        replicas: how many pods.
        mark: the release that its annotation names; None for no annotation.
    """

    image: str
    replicas: int
    mark: str | None

    @classmethod
    def of(cls, deployment: Deployment, container: str, mark: str) -> State:
        """Read it off a Deployment.

        Raises:
            DeployError: it has no such container.
        """
        return cls(deployment.image(container), deployment.replicas, mark_of(deployment.facts, mark))


def changes(deployment: Deployment, container: str, mark: str, wanted: State) -> list[dict[str, Any]]:
    """Return the JSON patch from what was read to what is wanted; it fails where that is not there any more.

    Raises:
        DeployError: there is no such container.
    """
    place, now = deployment.place(container), State.of(deployment, container, mark)
    image, name = pointer(*_TEMPLATE, place, "image"), pointer(*_TEMPLATE, place, "name")
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": name, "value": container},
        {"op": "test", "path": image, "value": now.image},
        {"op": "replace", "path": image, "value": wanted.image},
    ]
    if wanted.replicas != now.replicas:
        path = pointer("spec", "replicas")
        operations += [
            {"op": "test", "path": path, "value": now.replicas},
            {"op": "replace", "path": path, "value": wanted.replicas},
        ]
    return operations + mark_operations(deployment.facts, mark, wanted.mark)
