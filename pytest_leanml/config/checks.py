"""The section ``checks``: kind, metric, limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from pytest_leanml.config.data_kinds import DataQuality, Drift, Leakage
from pytest_leanml.config.fields import Section
from pytest_leanml.config.kinds import named
from pytest_leanml.config.limits import CustomSection, Defaults
from pytest_leanml.config.model_kinds import Behaviour, Comparison, Fairness, Lineage, Quality, Serving

if TYPE_CHECKING:
    from pytest_leanml.config.kinds import Limits


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
        return named(value)

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
