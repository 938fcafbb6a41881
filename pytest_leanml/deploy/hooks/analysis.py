"""``use: analysis``: watches metrics of Prometheus over a window, and lets the release go on only where all are well.

A metric has limits (below ``pass`` it may go on, above ``fail`` it is over at once, between them it is watched), or a
baseline that it must not be worse than by a rank test, or both. What is not there is never a pass.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from pytest_leanml.config.fields import Duration, Flag, Id, Number, Section, Text, Whole, fault
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.prometheus import PrometheusConfig
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_POINTS = 3


class MetricConfig(Section):
    """One metric: how it is asked for, its limits, and what it is compared with."""

    name: Id
    query: Text
    pass_: Number | None = Field(default=None, alias="pass")
    fail: Number | None = None
    higher_is_worse: Flag = True
    samples: Text | None = None
    min_samples: Whole | None = Field(default=None, ge=1)
    baseline: Text | None = None
    alpha: Number = Field(default=0.05, gt=0, le=0.5)
    effect: Number = Field(default=0.33, ge=0, lt=1)

    @model_validator(mode="after")
    def _judged(self) -> Self:
        low, high = (self.pass_, self.fail) if self.higher_is_worse else (self.fail, self.pass_)
        if self.pass_ is None and (self.fail is not None or self.baseline is None):
            raise fault(f"the metric {self.name} has no `pass`", "`pass` (and `fail`), a `baseline`, or both")
        if low is not None and high is not None and low > high:
            side = "above" if self.higher_is_worse else "below"
            raise fault(f"`pass` of {self.name} lies {side} `fail`", "a `pass` on the good side of `fail`")
        if self.samples is not None and self.min_samples is None:
            raise fault(f"{self.name} counts `samples` without `min_samples`", "how many there must be")
        return self

    @property
    def limit(self) -> float | None:
        """The limit beyond which it is over at once."""
        return self.pass_ if self.fail is None else self.fail

    def points(self, expected: int) -> int:
        """Return how many points of ``expected`` there must be."""
        if self.min_samples is not None and self.samples is None:
            return self.min_samples
        return max(FEWEST_POINTS, math.ceil(expected / 2))


def _apart(metrics: tuple[MetricConfig, ...]) -> tuple[MetricConfig, ...]:
    names = [each.name for each in metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise fault(f"two metrics are called {name!r}", "a name for each")
    return metrics


class AnalysisConfig(PrometheusConfig):
    """What is watched, and how often."""

    interval: Duration = Field(default="30s", validate_default=True)
    metrics: Annotated[tuple[MetricConfig, ...], Field(min_length=1), AfterValidator(_apart)]

    @property
    def limited(self) -> AnalysisConfig:
        """The metrics that have limits, by these alone."""
        alone = [each.model_copy(update={"baseline": None}) for each in self.metrics if each.pass_ is not None]
        return self.model_copy(update={"metrics": tuple(alone)})

    def intervals(self, window: float) -> int:
        """Return how many times the metrics are looked at in a window."""
        return max(1, math.floor(window / self.interval + 1e-9))

    def demand_window(self, window: float) -> None:
        """Refuse a window that could never end well.

        Raises:
            PydanticCustomError: it has fewer points than a metric needs.
        """
        from pytest_leanml.stats.rank_test import least_p

        there = self.intervals(window) + 1
        for metric in self.metrics:
            if there < (needed := metric.points(there)):
                raise fault(
                    f"a window of {window:g} s has {there} points, and {metric.name} needs {needed}",
                    "a longer window, or a shorter `interval`",
                )
            if metric.baseline is not None and least_p(there, there) > metric.alpha:
                raise fault(
                    f"{there} points on each side can never show that {metric.name} is worse at alpha {metric.alpha:g}",
                    "a longer window, or a shorter `interval`",
                )


class AnalysisHookConfig(AnalysisConfig):
    """The same, and for how long."""

    window: Duration = Field(default="5m", validate_default=True)

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        self.demand_window(self.window)
        return self


class Analysis:
    """Watches one window; it changes nothing, so that a window that was cut off is watched again from its beginning."""

    Config = AnalysisHookConfig

    def __init__(self, config: AnalysisHookConfig) -> None:
        self._config = config

    def plan(self, _context: HookContext) -> str:
        """Name the metrics and the window."""
        names = ", ".join(metric.name for metric in self._config.metrics)
        return f"watch {names} for {self._config.window:g} s"

    def apply(self, context: HookContext) -> Applied:
        """Watch the window whole.

        Raises:
            DeployError: a metric is beyond its limit, worse than its baseline, or cannot be told.
        """
        from pytest_leanml.deploy.hooks.watch import Outcome, judge

        demand_time(context, self._config.window)
        verdict = judge(self._config, context, self._config.window)
        if verdict.outcome is not Outcome.PASS:
            raise DeployError(verdict.told)
        context.remember({"passed": True})
        return Applied(told=verdict.told)

    def observe(self, context: HookContext) -> Observed:
        """Tell whether the window was watched to its good end; the journal alone knows."""
        return Observed.IN_PLACE if context.remembered.get("passed") else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, object]) -> None:
        """Forget it: nothing else was done."""
        if detail.get("passed"):
            context.remember({"passed": False})


def demand_time(context: HookContext, needed: float) -> None:
    """Refuse to begin what the hook's time does not allow to end.

    Raises:
        DeployError: its ``timeout`` is too short.
    """
    import time

    left = context.deadline - time.monotonic()
    if needed >= left:
        raise DeployError(
            f"its windows take {needed:g} s, and its time is over in {max(0.0, left):.0f} s",
            todo=f"set `timeout:` of this hook to more than {needed:g}s",
        )
