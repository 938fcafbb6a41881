"""Limits: how leanml.yaml writes them, and what the checks hold measurements against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pytest_leanml.config.facts import MetricFacts, limit_problem
from pytest_leanml.config.fields import Flag, Groups, Number, Section, SomeTexts, Text, fault, matching
from pytest_leanml.config.metrics import COMPARED
from pytest_leanml.errors import ConfigError
from pytest_leanml.vocabulary import Judge, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDS = ("min", "max", "above", "below")
MARGINS = ("better_by", "not_worse_by", "within")
_EXPECTED = "min (>=), max (<=), above (>) or below (<)"
# A level under one half is an interval that hardly differs from the point estimate.
Confidence = Annotated[Number, Field(ge=0.5, lt=1)]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a measurement must keep to. At least one of the four bounds is set.

    Attributes:
        min: value >= min.
        max: value <= max.
        above: value > above.
        below: value < below.
        judge: whether the point estimate or the confidence limit on the bad side is held against the bounds.
        confidence: level of the interval.
        severity: what a missed limit does.
        owner: whom a report names.
        groups: sensitive attributes instead of ``data.groups``; each entry one or more columns.
        slices: names of ``data.slices``; empty for all rows.
        method: how it is computed, where there is more than one way.
        params: settings of the check, by name.

    Raises:
        ConfigError: no bound, a bound that is no finite number, or bounds that exclude each other.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    judge: Judge = Judge.POINT
    confidence: float = 0.95
    severity: Severity = Severity.ERROR
    owner: str | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    slices: tuple[str, ...] = ()
    method: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse limits that hold nothing."""
        for name, value in self.bounds().items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"{value!r} as `{name}` of a limit", "a finite number")
        problem = bounds_problem(self.bounds())
        if problem:
            raise ConfigError(*problem)

    def bounds(self) -> dict[str, float]:
        """Return the bounds that are set, in the order min, max, above, below."""
        return {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}


def bounds_problem(bounds: Mapping[str, float]) -> tuple[str, str, str] | None:
    """Tell what is wrong with a limit's bounds as (given, expected, todo), None when they can be kept."""
    if not bounds:
        return "a limit without a bound", _EXPECTED, "write for example {min: 0.85}"
    low = max((bounds[name] for name in ("min", "above") if name in bounds), default=-math.inf)
    high = min((bounds[name] for name in ("max", "below") if name in bounds), default=math.inf)
    open_end = bounds.get("above") == low or bounds.get("below") == high
    if low > high or (low == high and open_end):
        shown = ", ".join(f"{name}: {value:g}" for name, value in bounds.items())
        return f"{{{shown}}}, which no number keeps", "a lower bound below the upper one", "swap them, or drop one"
    return None


class Told(Section):
    """A section in which a key without a value is a mistake: whoever writes ``min:`` means a number."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name != "owner":
            raise fault("no value", "a value", "write one, or remove the key")
        return value


class Bounds(Told):
    """The four bounds of a limit, at least one of them."""

    min: Number | None = None
    max: Number | None = None
    above: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Bounds:
        problem = self._problem()
        if problem:
            raise fault(*problem)
        return self

    def _problem(self) -> tuple[str, str, str] | None:
        return bounds_problem(self.bounds())

    def bounds(self) -> dict[str, float]:
        """Return the bounds that are set."""
        return {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}


class Judging(Told):
    """How a limit is judged; what is absent comes from ``checks.defaults``."""

    judge: Judge | None = None
    confidence: Confidence | None = None
    severity: Severity | None = None

    def judging(self) -> dict[str, Any]:
        """Return what is set."""
        return {name: getattr(self, name) for name in Judging.model_fields if getattr(self, name) is not None}


class Override(Bounds, Judging):
    """What an environment changes about a limit: the bounds it names, and how it is judged.

    Whether the bounds can be kept is known once they are merged with those of the limit.
    """

    def _problem(self) -> tuple[str, str, str] | None:
        something = self.bounds() or self.judging()
        return None if something else ("an override that changes nothing", f"{_EXPECTED}, or judge", "remove it")


class LimitSection(Bounds, Judging):
    """A limit as leanml.yaml writes it."""

    owner: Text | None = None
    groups: Annotated[Groups, Field(min_length=1)] | None = None
    slices: SomeTexts | None = None
    method: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class PartedSection(LimitSection):
    """A limit that may hold for several checks of one metric: each of ``parts`` has settings of its own."""

    parts: Annotated[dict[Text, dict[str, Any]], Field(min_length=1)] | None = None

    def asked(self) -> dict[str | None, dict[str, Any]]:
        """Return the settings of each part, those of ``params`` beneath its own; None stands for a check without parts."""
        if self.parts is None:
            return {None: self.params}
        return {name: {**self.params, **own} for name, own in self.parts.items()}


class ComparisonSection(Judging):
    """A gain over the champion, in the metric's own unit or relative to it.

    ``better_by``: superiority; ``not_worse_by``: non-inferiority; ``within``: equivalence, which only an interval shows.
    """

    better_by: Annotated[Number, Field(gt=0)] | None = None
    not_worse_by: Annotated[Number, Field(ge=0)] | None = None
    within: Annotated[Number, Field(gt=0)] | None = None
    relative: Flag = False
    method: Literal["auto", "bootstrap", "permutation"] | None = None
    slices: SomeTexts | None = None
    owner: Text | None = None

    @model_validator(mode="after")
    def _one_margin(self) -> ComparisonSection:
        given = [name for name in MARGINS if getattr(self, name) is not None]
        if len(given) != 1:
            told = f"both {' and '.join(given)}" if given else f"neither {', '.join(MARGINS[:-1])} nor {MARGINS[-1]}"
            raise fault(told, "one of them and a number", "write for example {better_by: 0.02}")
        if self.within is not None and self.judge is Judge.POINT:
            raise fault("within, judged by point", "judge: bound", "near 0 is not yet proven to be near 0")
        return self

    def judging(self) -> dict[str, Any]:
        """Return what is set; equivalence is always judged by its bounds."""
        return {**super().judging(), **({} if self.within is None else {"judge": Judge.BOUND})}

    def bounds(self) -> dict[str, float]:
        """Return the bounds on the gain: at least ``better_by``, at least minus ``not_worse_by``, or ``within`` both ways."""
        if self.within is not None:
            return {"min": -self.within, "max": self.within}
        return {"min": self.better_by if self.better_by is not None else 0.0 - (self.not_worse_by or 0.0)}


class SignOffSection(ComparisonSection):
    """The smallest gain over several slices, by default all: no slice may lose more than ``not_worse_by``."""

    metric: Literal[
        "accuracy",
        "precision",
        "recall",
        "f1_score",
        "roc_auc",
        "log_loss",
        "brier_score",
        "rmse",
        "mae",
        "r2",
    ]

    @model_validator(mode="after")
    def _no_equivalence(self) -> SignOffSection:
        if self.within is not None:
            raise fault("within for the worst slice", "not_worse_by or better_by", "name the slices under a metric")
        return self


class CustomSection(LimitSection):
    """A check of the project's own: ``module:function`` and its limit."""

    call: Annotated[Text, matching(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", "module:function")]


class ByGroupSection(CustomSection):
    """How far any metric differs between groups: ``module:function`` of (y_true, y_pred), and the limit of the gap.

    ``params`` are further arguments of the function.
    """

    gap: Literal["difference", "ratio"] = "difference"
    on: Literal["labels", "scores"] = "labels"

    @model_validator(mode="after")
    def _on_the_bad_side(self) -> ByGroupSection:
        problem = limit_problem(f"a {self.gap}", self.facts(), self.bounds())
        if problem:
            raise fault(*problem)
        return self

    def facts(self) -> MetricFacts:
        """Return range and direction of the gap."""
        fair = self.gap == "ratio"
        return MetricFacts(0, 1 if fair else math.inf, higher_is_better=fair, methods=COMPARED, labels=True)


class ScorerSection(LimitSection):
    """A quality metric of the project's own: a scikit-learn scorer by name, or ``module:function``, and its limit.

    ``answers`` says what a function gets beside the true values; the default is what the model predicts.
    """

    scorer: Annotated[Text, matching(r"[a-z0-9_]+", "the name of a scikit-learn scorer")] | None = None
    call: Annotated[Text, matching(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", "module:function")] | None = None
    answers: Literal["labels", "scores", "values"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ScorerSection:
        if (self.scorer is None) == (self.call is None):
            given = "neither scorer nor call" if self.scorer is None else "both scorer and call"
            raise fault(given, "one of them", "write for example {scorer: jaccard, min: 0.6}")
        unused = [name for name in ("answers", "params") if self.scorer is not None and getattr(self, name)]
        if self.scorer is not None and self.min is None and self.above is None:
            raise fault(f"{', '.join(self.bounds())} alone", "min (>=) or above (>)", "of a scorer greater is better")
        if self.method is not None or unused:
            raise fault(f"{(unused or ['method'])[0]} of a scorer", "params and answers of a call only", "remove it")
        return self


class Defaults(Section):
    """What limits have in common."""

    judge: Judge = Judge.POINT
    confidence: Confidence = 0.95
    severity: Severity = Severity.ERROR
    owner: Text | None = None
