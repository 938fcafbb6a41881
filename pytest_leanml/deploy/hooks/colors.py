"""Two Deployments behind one Service: which of them has the traffic, and how it is moved to the other at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hooks.deployment import KIND, Deployment
from pytest_leanml.deploy.hooks.kubectl import pointer
from pytest_leanml.deploy.hooks.marks import mark_name, mark_of, mark_operations, marked
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.hooks.kubectl import Kubectl

BLUE, GREEN = "blue", "green"


@dataclass(frozen=True, slots=True)
class Colors:
    """The Service and its two Deployments, as the API server tells them.

    Attributes:
        label: key of the selector that tells the colors apart.
        service: the whole object.
        deployments: by color.
    """

    label: str
    service: Mapping[str, Any] = field(repr=False)
    deployments: Mapping[str, Deployment] = field(repr=False)

    @classmethod
    def read(cls, kubectl: Kubectl, label: str, service: str, names: Mapping[str, str]) -> Colors:
        """Read all three, and demand that the selector can tell them apart.

        Raises:
            DeployError: it cannot, or one of them cannot be read.
        """
        facts = kubectl.several(("services", service), *((KIND, names[color]) for color in names))
        # In the order in which they were asked for.
        found = cls(label, facts[0], {color: Deployment(each) for color, each in zip(names, facts[1:], strict=True)})
        found._demand_apart()
        return found

    @property
    def selector(self) -> Mapping[str, str]:
        """What the Service selects."""
        return dict(self.service["spec"].get("selector") or {})

    @property
    def live(self) -> str:
        """The color that has the traffic."""
        return next(color for color in self.deployments if self.value(color) == self.selector[self.label])

    def value(self, color: str) -> str:
        """Return what the selector's label is for a color."""
        return self.deployments[color].labels[self.label]

    def ours(self, context: HookContext, color: str) -> bool:
        """Tell whether this release has moved the traffic to a color, and it is there."""
        return marked(self.service, context) and self.live == color

    def _demand_apart(self) -> None:
        name, selector = self.service["metadata"]["name"], self.selector
        for color, deployment in self.deployments.items():
            others = {key: value for key, value in selector.items() if key != self.label}
            if self.label not in deployment.labels or not others.items() <= deployment.labels.items():
                raise DeployError(
                    f"pods of deployment {deployment.name} ({color}) need the label {self.label} and all that service "
                    f"{name} selects ({', '.join(f'{key}={value}' for key, value in others.items()) or 'nothing else'})"
                )
        values = [self.value(color) for color in self.deployments]
        if len(set(values)) != len(values) or selector.get(self.label) not in values:
            raise DeployError(
                f"service {name} selects {self.label}={selector.get(self.label)}; it must be one of {' and '.join(values)}, "
                "the labels of the two deployments, which must differ"
            )


def switch(kubectl: Kubectl, colors: Colors, context: HookContext, color: str, mark: str | None) -> None:
    """Move all traffic to a color in one patch, unless somebody has moved it since it was read; the audit log is told.

    Raises:
        KubectlError: it was not moved.
        UnknownOutcomeError: nobody knows.
    """
    name = str(colors.service["metadata"]["name"])
    kubectl.patch("services", name, moves(colors, context, color, mark))
    tell_split(context, name, color)


def moves(colors: Colors, context: HookContext, color: str, mark: str | None) -> list[dict[str, Any]]:
    """Return the JSON patch that moves all traffic to a color."""
    path = pointer("spec", "selector", colors.label)
    return [
        {"op": "test", "path": path, "value": colors.selector[colors.label]},
        {"op": "replace", "path": path, "value": colors.value(color)},
        *mark_operations(colors.service, mark_name(context), mark),
    ]


def tell_split(context: HookContext, service: str, color: str, **more: str) -> None:
    """Write down where the traffic goes."""
    shares = {each: 100 if each == color else 0 for each in (BLUE, GREEN)}
    context.audit("traffic.split", {**shares, "service": service, **more})
    context.progress(f"all traffic of service {service} goes to {color}")


def service_mark(colors: Colors, context: HookContext) -> str | None:
    """Return which release has moved the traffic last by this hook."""
    return mark_of(colors.service, mark_name(context))
