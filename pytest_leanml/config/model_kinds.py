"""The kinds of check that look at the model: quality, fairness, comparison, behaviour, serving, lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pytest_leanml.config.facts import limit_problem
from pytest_leanml.config.fields import fault
from pytest_leanml.config.kinds import Limits, is_name, named
from pytest_leanml.config.limits import (
    ByGroupSection,
    ComparisonSection,
    LimitSection,
    PartedSection,
    ScorerSection,
    SignOffSection,
)
from pytest_leanml.config.metrics import HELD, QUALITY, gain_problem

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            if not is_name(name) or name in cls.model_fields:
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
        return named(value)

    def limits(self) -> Iterator[tuple[str, Any]]:
        """Yield (metric, limit); a metric of the project's own as ``by_group.<name>``."""
        yield from super().limits()
        for name, section in self.by_group.items():
            yield f"by_group.{name}", section


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
