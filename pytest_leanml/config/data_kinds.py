"""The kinds of check that look at the data: data quality, drift, leakage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from pytest_leanml.config.fields import Columns, Number, Section, fault
from pytest_leanml.config.kinds import Limits
from pytest_leanml.config.limits import LimitSection

if TYPE_CHECKING:
    from collections.abc import Iterator

DriftMethods = Literal["auto", "ks", "psi", "chi_squared", "jensen_shannon", "kl", "wasserstein", "total_variation"]
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


class Leakage(Limits):
    """What the model may have known before it was judged."""

    kind: ClassVar[str] = "leakage"
    overlap: LimitSection | None = None
    near_overlap: LimitSection | None = None
    single_column_power: LimitSection | None = None
    time: LimitSection | None = None
    groups: LimitSection | None = None
    identifiers: LimitSection | None = None
