"""The section ``checks``: kind, metric, limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from pytest_leanml.config.fields import Columns, Number, Section, fault
from pytest_leanml.config.limits import (
    Bounds,
    ByGroupSection,
    ComparisonSection,
    CustomSection,
    Defaults,
    LimitSection,
    PartedSection,
    ScorerSection,
    SignOffSection,
    Told,
)
from pytest_leanml.config.metrics import BY_KIND, HELD, QUALITY, gain_problem, limit_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


DriftMethods = Literal["auto", "ks", "psi", "chi_squared", "jensen_shannon", "kl", "wasserstein", "total_variation"]


def _named(checks: dict[str, T]) -> dict[str, T]:
    """Refuse names that cannot stand in an id."""
    for name in checks:
        if not _NAME.fullmatch(name):
            raise fault(f"the name {name!r}", "the characters A-Z a-z 0-9 . _ -", "rename the check")
    return checks


class Limits(Told):
    """A kind's limits by metric. A key without a value is refused, since it would be a check that is never made."""

    kind: ClassVar[str] = ""

    @field_validator("*", mode="after")
    @classmethod
    def _says_something(cls, value: Any, info: ValidationInfo) -> Any:
        metric = cls.metric_of(str(info.field_name))
        facts = BY_KIND.get(cls.kind, {}).get(metric)
        for each in value if isinstance(value, tuple) else (value,):
            problem = limit_problem(metric, facts, each.bounds()) if facts and isinstance(each, Bounds) else None
            if problem:
                raise fault(*problem)
        return value

    @classmethod
    def metric_of(cls, name: str) -> str:
        """Return the name that leanml.yaml has for a field."""
        return cls.model_fields[name].alias or name

    def limits(self) -> Iterator[tuple[str, Any]]:
        """Yield (metric, limit) of what is declared, in the order of the fields; a list of limits is a tuple."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            several = isinstance(value, tuple) and all(isinstance(each, LimitSection) for each in value)
            if isinstance(value, LimitSection | ComparisonSection) or several:
                yield self.metric_of(name), value


# One limit, or several with settings of their own.
Rules = Annotated[
    Annotated[LimitSection, Tag("[one]")] | Annotated[tuple[LimitSection, ...], Field(min_length=1), Tag("[several]")],
    Discriminator(lambda value: "[several]" if isinstance(value, list | tuple) else "[one]"),
]
NO_FAILURE = ("schema", "not_null", "schema_drift", "duplicates", "constant_columns")


class DataQuality(Limits):
    """What the data must be; ``true`` for schema, not_null, schema_drift, duplicates, constant_columns allows none."""

    kind: ClassVar[str] = "data_quality"
    schema_: Rules | None = Field(default=None, alias="schema")
    rows: Rules | None = None
    not_null: Rules | None = None
    not_null_share: Rules | None = None
    unique: Rules | None = None
    unique_share: Rules | None = None
    between: Rules | None = None
    between_share: Rules | None = None
    in_set: Rules | None = None
    in_set_share: Rules | None = None
    matches: Rules | None = None
    matches_share: Rules | None = None
    references: Rules | None = None
    references_share: Rules | None = None
    freshness_hours: Rules | None = None
    schema_drift: Rules | None = None
    duplicates: Rules | None = None
    duplicates_share: Rules | None = None
    constant_columns: Rules | None = None
    near_constant_columns: Rules | None = None
    suite: Rules | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        told = {name for name in NO_FAILURE if isinstance(value.get(name), bool)}
        kept = {name: each for name, each in value.items() if name not in told}
        return {**{name: {"max": 0} for name in NO_FAILURE if name in told and value[name]}, **kept}

    def rules(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield metric and settings of each rule."""
        for metric, section in self.limits():
            for each in section if isinstance(section, tuple) else (section,):
                yield metric, each.params


class Quality(Limits):
    """How good the predictions are."""

    kind: ClassVar[str] = "quality"
    accuracy: LimitSection | None = None
    balanced_accuracy: LimitSection | None = None
    precision: LimitSection | None = None
    recall: LimitSection | None = None
    specificity: LimitSection | None = None
    negative_predictive_value: LimitSection | None = None
    f1_score: LimitSection | None = None
    matthews_corrcoef: LimitSection | None = None
    cohen_kappa: LimitSection | None = None
    cost: LimitSection | None = None
    roc_auc: LimitSection | None = None
    average_precision: LimitSection | None = None
    top_k_accuracy: LimitSection | None = None
    log_loss: LimitSection | None = None
    brier_score: LimitSection | None = None
    calibration_error: LimitSection | None = None
    brier_reliability: LimitSection | None = None
    brier_resolution: LimitSection | None = None
    rmse: LimitSection | None = None
    mae: LimitSection | None = None
    mape: LimitSection | None = None
    median_absolute_error: LimitSection | None = None
    pinball_loss: LimitSection | None = None
    max_error: LimitSection | None = None
    r2: LimitSection | None = None
    weakest_slice: LimitSection | None = None
    scorers: dict[str, ScorerSection] = Field(default_factory=dict)

    @field_validator("weakest_slice")
    @classmethod
    def _of_a_metric(cls, value: LimitSection | None) -> LimitSection | None:
        metric = value.params.get("metric") if value is not None else None
        if value is None or metric is None:
            return value
        if metric not in QUALITY:
            raise fault(f"the metric {metric!r} in each slice", f"one of {', '.join(QUALITY)}")
        problem = limit_problem(metric, QUALITY[metric], value.bounds())
        if problem:
            raise fault(*problem)
        if value.slices:
            raise fault("slices under weakest_slice", "columns, among which slices are looked for", "name a metric's")
        return value

    @field_validator("scorers")
    @classmethod
    def _own_names(cls, value: dict[str, ScorerSection]) -> dict[str, ScorerSection]:
        for name in value:
            if not _NAME.fullmatch(name) or name in cls.model_fields:
                raise fault(f"the name {name!r} of a scorer", "a name of its own, of the characters A-Z a-z 0-9 . _ -")
        return value

    def limits(self) -> Iterator[tuple[str, Any]]:
        """Yield (metric, limit) of the named metrics, then of the project's own."""
        yield from super().limits()
        yield from self.scorers.items()


class Fairness(Limits):
    """How far groups differ."""

    kind: ClassVar[str] = "fairness"
    demographic_parity_difference: LimitSection | None = None
    demographic_parity_ratio: LimitSection | None = None
    demographic_parity_deviation: LimitSection | None = None
    selection_rate_difference: LimitSection | None = None
    selection_rate_ratio: LimitSection | None = None
    true_positive_rate_difference: LimitSection | None = None
    true_positive_rate_ratio: LimitSection | None = None
    true_negative_rate_difference: LimitSection | None = None
    true_negative_rate_ratio: LimitSection | None = None
    false_positive_rate_difference: LimitSection | None = None
    false_positive_rate_ratio: LimitSection | None = None
    false_negative_rate_difference: LimitSection | None = None
    false_negative_rate_ratio: LimitSection | None = None
    equal_opportunity_difference: LimitSection | None = None
    equal_opportunity_ratio: LimitSection | None = None
    equalized_odds_difference: LimitSection | None = None
    equalized_odds_ratio: LimitSection | None = None
    predictive_parity_difference: LimitSection | None = None
    predictive_parity_ratio: LimitSection | None = None
    accuracy_difference: LimitSection | None = None
    accuracy_ratio: LimitSection | None = None
    error_rate_difference: LimitSection | None = None
    error_rate_ratio: LimitSection | None = None
    calibration_within_groups: LimitSection | None = None
    by_group: dict[str, ByGroupSection] = Field(default_factory=dict)

    @field_validator("by_group")
    @classmethod
    def _metrics(cls, value: dict[str, ByGroupSection]) -> dict[str, ByGroupSection]:
        return _named(value)

    def limits(self) -> Iterator[tuple[str, Any]]:
        """Yield (metric, limit); a metric of the project's own as ``by_group.<name>``."""
        yield from super().limits()
        for name, section in self.by_group.items():
            yield f"by_group.{name}", section


class Effects(Section):
    """Smallest effect that counts as drift: KS' D, PSI, Cramér's V, distances, nats, standard deviations."""

    ks: Number = Field(default=0.1, gt=0, le=1)
    psi: Number = Field(default=0.2, gt=0, le=10)
    chi_squared: Number = Field(default=0.1, gt=0, le=1)
    jensen_shannon: Number = Field(default=0.1, gt=0, le=1)
    kl: Number = Field(default=0.1, gt=0, le=10)
    wasserstein: Number = Field(default=0.1, gt=0, le=10)
    total_variation: Number = Field(default=0.1, gt=0, le=1)


class Drift(Limits):
    """How far the data moved."""

    kind: ClassVar[str] = "drift"
    share: LimitSection | None = None
    column: LimitSection | None = None
    prediction: LimitSection | None = None
    target: LimitSection | None = None
    new_categories: LimitSection | None = None
    vanished_categories: LimitSection | None = None
    domain_classifier: LimitSection | None = None
    columns: Columns = Field(default="all", validate_default=True)
    method: DriftMethods = "auto"
    effect: Effects = Effects()
    fdr: Number = Field(default=0.05, gt=0, lt=1)

    @field_validator("column", mode="after")
    @classmethod
    def _by_name(cls, value: LimitSection | None) -> LimitSection | None:
        if value is not None and not value.params.get("columns"):
            raise fault("no column", "params: {columns: [...]}", "a check of no columns would never be made")
        if value is not None and value.slices:
            todo = "give them to drift.share, or compare the column in a test"
            raise fault("slices under drift.column", "no slices here", todo)
        return value

    @field_validator("columns", mode="after")
    @classmethod
    def _some(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value == ():
            raise fault("no column", "all, or a list of columns", "a share of no columns is always 0")
        return value

    def settings(self) -> dict[str, Any]:
        """Return what the measurements of drift need; ``columns`` None stands for all.

        ``fdr`` is each check's share of the false discovery rate, which all checks of the gate that test columns have
        between them.
        """
        share = self.fdr / self.tested
        return {"columns": self.columns, "method": self.method, "effect": self.effect.model_dump(), "fdr": share}

    @property
    def tested(self) -> int:
        """How many checks test columns: ``share``, and beside all rows in each of its slices."""
        slices = self.share.slices if self.share is not None else None
        return 1 + len(slices or ())


class Comparison(Limits):
    """Gain over the champion."""

    kind: ClassVar[str] = "comparison"
    accuracy: ComparisonSection | None = None
    precision: ComparisonSection | None = None
    recall: ComparisonSection | None = None
    f1_score: ComparisonSection | None = None
    roc_auc: ComparisonSection | None = None
    log_loss: ComparisonSection | None = None
    brier_score: ComparisonSection | None = None
    rmse: ComparisonSection | None = None
    mae: ComparisonSection | None = None
    r2: ComparisonSection | None = None

    regressions: LimitSection | None = None
    worst_slice: SignOffSection | None = None

    @field_validator("*", mode="after")
    @classmethod
    def _possible(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, ComparisonSection):
            metric = value.metric if isinstance(value, SignOffSection) else str(info.field_name)
            problem = _gain_problem(metric, value)
            if problem:
                raise fault(*problem)
        return value


def _gain_problem(metric: str, section: ComparisonSection) -> tuple[str, str, str] | None:
    """Tell what no gain in this metric can be, or how it cannot be found, as (given, expected, todo); else None."""
    problem = gain_problem(metric, section.bounds(), relative=section.relative)
    if problem:
        return problem
    if metric == "roc_auc" and section.method == "permutation":
        given = "method: permutation for roc_auc, whose scores of two models are on two scales"
        return given, "auto (DeLong) or bootstrap", "leave the method out"
    return None


class Behaviour(Limits):
    """What the model must do, or must not do, whatever the rows are."""

    kind: ClassVar[str] = "behaviour"
    invariance: PartedSection | None = None
    directional: PartedSection | None = None
    monotonic: PartedSection | None = None
    minimum_functionality: PartedSection | None = None
    noise: PartedSection | None = None
    missing: PartedSection | None = None
    typos: PartedSection | None = None
    casing: PartedSection | None = None
    units: PartedSection | None = None
    determinism: PartedSection | None = None
    batch_consistency: PartedSection | None = None
    out_of_range: PartedSection | None = None
    holds: PartedSection | None = None


class Leakage(Limits):
    """What the model may have known before it was judged."""

    kind: ClassVar[str] = "leakage"
    overlap: LimitSection | None = None
    near_overlap: LimitSection | None = None
    single_column_power: LimitSection | None = None
    time: LimitSection | None = None
    groups: LimitSection | None = None
    identifiers: LimitSection | None = None


class Serving(Limits):
    """How the model serves."""

    kind: ClassVar[str] = "serving"
    latency_p50_ms: LimitSection | None = None
    latency_p95_ms: LimitSection | None = None
    latency_p99_ms: LimitSection | None = None
    throughput_rows_per_s: LimitSection | None = None
    memory_mb: LimitSection | None = None
    artifact_mb: LimitSection | None = None
    start_seconds: LimitSection | None = None
    parity: LimitSection | None = None
    feature_parity: LimitSection | None = None
    signature: LimitSection | None = None


class Lineage(Limits):
    """Where the model comes from, and what it cost; ``run_id: true`` asks that it holds."""

    kind: ClassVar[str] = "lineage"
    training_age_days: LimitSection | None = None
    run_id: LimitSection | None = None
    git_commit: LimitSection | None = None
    clean_tree: LimitSection | None = None
    clean_tree_now: LimitSection | None = None
    data_digests: LimitSection | None = None
    parent_run: LimitSection | None = None
    dvc: LimitSection | None = None
    dvc_metric: LimitSection | None = None
    training_minutes: LimitSection | None = None
    pipeline_minutes: LimitSection | None = None
    data_age_hours: LimitSection | None = None
    cost_share: LimitSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        asked = {name: each for name, each in value.items() if not (name in HELD and each is False)}
        return {name: {"min": 1} if name in HELD and each is True else each for name, each in asked.items()}


class Checks(Section):
    """All limits of a project."""

    defaults: Defaults = Defaults()
    data_quality: DataQuality = DataQuality()
    quality: Quality = Quality()
    fairness: Fairness = Fairness()
    drift: Drift = Drift()
    comparison: Comparison = Comparison()
    behaviour: Behaviour = Behaviour()
    leakage: Leakage = Leakage()
    serving: Serving = Serving()
    lineage: Lineage = Lineage()
    custom: dict[str, CustomSection] = Field(default_factory=dict)

    @field_validator("custom")
    @classmethod
    def _names(cls, value: dict[str, CustomSection]) -> dict[str, CustomSection]:
        return _named(value)

    def kinds(self) -> tuple[Limits, ...]:
        """Return the kinds that have named metrics, in the order of the gate."""
        return (
            self.data_quality,
            self.quality,
            self.fairness,
            self.drift,
            self.comparison,
            self.behaviour,
            self.leakage,
            self.serving,
            self.lineage,
        )
