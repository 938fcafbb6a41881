"""Settings of ``istio.canary``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pytest_leanml.config.fields import Duration, Flag, Section, Text, Whole, fault, matching
from pytest_leanml.deploy.hooks.analysis import AnalysisConfig  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.deploy.hooks.istio_routes import ALL
from pytest_leanml.deploy.hooks.kubectl import KubectlConfig, Name
from pytest_leanml.deploy.hooks.web import filled
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from pytest_leanml.deploy.hook import HookContext

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.*-]{0,251}[A-Za-z0-9])?")


class DestinationConfig(Section):
    """Where traffic goes; facts of the release are filled in."""

    host: Text
    subset: Text | None = None
    port: Whole | None = Field(default=None, ge=1, le=65535)

    def filled(self, context: HookContext) -> dict[str, Any]:
        """Return it as a VirtualService has it.

        Raises:
            DeployError: it names the version before, and there is none; or what is filled in makes no name.
        """
        made: dict[str, Any] = {}
        for key, value in (("host", self.host), ("subset", self.subset)):
            if value is None:
                continue
            if "{before}" in value and not context.before:
                raise DeployError(f"a destination is {value!r}, and there was no version before this one")
            made[key] = str(filled(value, context))
            if not _NAME.fullmatch(made[key]):
                raise DeployError(f"the {key} {made[key]!r} is no name of Kubernetes")
        return made if self.port is None else {**made, "port": {"number": self.port}}


class StepConfig(Section):
    """One step: the canary's share, and how long it is watched."""

    weight: Whole = Field(ge=1, le=ALL)
    window: Duration | None = None


class HeaderConfig(Section):
    """The header that leads to the canary, whatever its share."""

    name: Annotated[Text, matching(r"[a-z0-9-]{1,100}", "a header's name in lower case")] = "x-canary"
    value: Text = "always"


def _spelled_out(steps: object) -> object:
    return [{"weight": each} if isinstance(each, int) else each for each in steps] if isinstance(steps, list) else steps


def _rising(steps: tuple[StepConfig, ...]) -> tuple[StepConfig, ...]:
    weights = [each.weight for each in steps]
    if weights != sorted(set(weights)) or weights[-1:] != [ALL]:
        raise fault(
            f"the steps {weights}", f"weights that rise from step to step, the last {ALL}", "write [5, 50, 100]"
        )
    return steps


Steps = Annotated[tuple[StepConfig, ...], BeforeValidator(_spelled_out), AfterValidator(_rising)]


class CanaryConfig(KubectlConfig):
    """Settings: the VirtualService, its two destinations, the steps, and what is watched."""

    virtual_service: Name
    route: Text | None = None
    stable: DestinationConfig
    canary: DestinationConfig
    steps: Steps = Field(default=[5, 50, ALL], validate_default=True)
    window: Duration = Field(default="5m", validate_default=True)
    header: HeaderConfig | Flag = HeaderConfig()
    analysis: AnalysisConfig

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.header is True:
            raise fault("`header: true`", "`false`, or `name` and `value`")
        if self.stable == self.canary:
            raise fault("`stable` and `canary` are one destination", "two: another host, or another subset")
        if not self.analysis.limited.metrics:
            raise fault(
                f"no metric has a limit, and at {ALL} % there is no traffic to compare with",
                "a metric with `pass`",
            )
        for window in self.windows:
            self.analysis.demand_window(window)
        return self

    def judged(self, weight: int) -> AnalysisConfig:
        """Return what is watched at a share: with all the traffic there is no baseline to compare with any more."""
        return self.analysis.limited if weight == ALL else self.analysis

    @property
    def windows(self) -> tuple[float, ...]:
        """Seconds of each step."""
        return tuple(each.window or self.window for each in self.steps)

    @property
    def matched(self) -> tuple[str, str] | None:
        """The header's name and value; None for none."""
        return (self.header.name, self.header.value) if isinstance(self.header, HeaderConfig) else None
