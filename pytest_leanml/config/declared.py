"""The checks as they stand in leanml.yaml, and whether each of them could be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.facts import param_problem
from pytest_leanml.config.limits import (
    ByGroupSection,
    ComparisonSection,
    CustomSection,
    LimitSection,
    PartedSection,
    ScorerSection,
    SignOffSection,
)
from pytest_leanml.config.load import nearest
from pytest_leanml.config.metrics import BY_KIND
from pytest_leanml.config.rule_params import rule_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.config.facts import MetricFacts
    from pytest_leanml.config.kinds import Limits
    from pytest_leanml.config.models import Config
    from pytest_leanml.strict_yaml import Route

BY_SLICE = ("quality", "comparison", "drift")
_NEED_LABELS = ("quality", "comparison")


@dataclass(frozen=True, slots=True)
class Declared:
    """One key of ``checks.<kind>``, or one entry of its list: a check, or one for each group or slice.

    Attributes:
        kind: data_quality, quality and so on, or custom.
        metric: the metric's name, or the name of a custom check.
        section: what stands there.
        place: its 0-based place in a list; None where there is no list.
    """

    kind: str
    metric: str
    section: Any
    place: int | None = None

    @property
    def base(self) -> str:
        """The bare id, such as ``quality.accuracy``."""
        return f"{self.kind}.{self.metric}"

    @property
    def route(self) -> Route:
        """Where it stands in leanml.yaml."""
        own = isinstance(self.section, ByGroupSection)
        entry = () if self.place is None else (self.place,)
        named = ("scorers",) if isinstance(self.section, ScorerSection) else ()
        return ("checks", self.kind, *named, *(self.metric.split(".", 1) if own else (self.metric,)), *entry)

    @property
    def facts(self) -> MetricFacts | None:
        """What is known of its metric; None for one that is the project's own, or a gain."""
        if isinstance(self.section, ByGroupSection):
            return self.section.facts()
        return BY_KIND.get(self.kind, {}).get(self.metric)


def declared_checks(config: Config) -> tuple[Declared, ...]:
    """Return what stands under ``checks``, in the order of the gate."""
    kinds = config.checks.kinds()
    named = [each for kind in kinds for metric, section in kind.limits() for each in _entries(kind, metric, section)]
    custom = [Declared("custom", name, section) for name, section in config.checks.custom.items()]
    return (*named, *custom)


def _entries(kind: Limits, metric: str, section: Any) -> list[Declared]:
    if not isinstance(section, tuple):
        return [Declared(kind.kind, metric, section)]
    return [Declared(kind.kind, metric, each, place) for place, each in enumerate(section)]


def demand_possible(config: Config, declared: Declared) -> None:
    """Refuse a check that could not be made, or a setting that would be ignored.

    Raises:
        ConfigError: with file, line and key.
    """
    kind, section = declared.kind, declared.section
    facts = declared.facts
    if (kind in _NEED_LABELS or (facts is not None and facts.labels)) and config.data.target is None:
        raise config.fault(declared.route, "this check needs labels", "data.target", "name the column that holds them")
    if kind == "fairness" and not (section.groups or config.data.groups):
        todo = "name at least one column"
        raise config.fault(declared.route, "no sensitive attribute", "data.groups, or groups: here", todo)
    if declared.base == "data_quality.schema" and config.data.schema_ is None and "schema" not in section.params:
        todo = 'write path.yaml or "module:Class" there'
        raise config.fault(declared.route, "no schema to check", "data.schema", todo)
    if isinstance(section, SignOffSection) and not config.data.slices:
        todo = "name a slice and its filter there"
        raise config.fault(declared.route, "no slice, so no worst one", "data.slices", todo)
    if declared.base == "data_quality.freshness_hours" and config.data.time is None and "column" not in section.params:
        todo = "name the column of times"
        raise config.fault(declared.route, "no column of times", "data.time, or params: {column: <name>}", todo)
    if isinstance(section, LimitSection):
        _demand_home(config, declared, section)
        _demand_settings(config, declared, section)
    if isinstance(section, LimitSection | ComparisonSection):
        _demand_slices(config, declared, section)


def _demand_home(config: Config, declared: Declared, section: LimitSection) -> None:
    homes = {"groups": ("fairness",), "slices": BY_SLICE}
    for name, kinds in homes.items():
        if getattr(section, name) and declared.kind not in kinds:
            route = (*declared.route, name)
            expected = f"{name} under {' or '.join(kinds)} only"
            raise config.fault(route, f"{name} under {declared.kind}", expected, "remove the key")


def _demand_slices(config: Config, declared: Declared, section: LimitSection | ComparisonSection) -> None:
    for name in section.slices or ():
        if name not in config.data.slices:
            valid = ", ".join(config.data.slices) or "a name under data.slices, which has none"
            todo = nearest(name, config.data.slices)
            raise config.fault((*declared.route, "slices"), f"the slice {name!r}", f"one of {valid}", todo)


def _demand_settings(config: Config, declared: Declared, section: LimitSection) -> None:
    facts = declared.facts
    if facts is None:
        return
    parts = section.asked() if isinstance(section, PartedSection) else {None: section.params}
    # A metric of the project's own takes what its function takes.
    for part, params in () if isinstance(section, CustomSection) else parts.items():
        problem = param_problem(facts, params)
        if problem:
            key, given, expected = problem
            home = ("params",) if part is None or key in section.params else ("parts", part)
            route: Route = (*declared.route, *home, key) if key else declared.route
            todo = "correct it" if key in facts.params else nearest(str(key), facts.params) if key else ""
            raise config.fault(route, given, expected, todo)
    if declared.kind == "data_quality":
        _demand_rule(config, declared, section.params)
    if section.method is not None and section.method not in facts.methods:
        expected = f"one of {', '.join(facts.methods)}" if facts.methods else "no method: there is one way only"
        raise config.fault((*declared.route, "method"), f"method: {section.method}", expected)


def _demand_rule(config: Config, declared: Declared, params: Mapping[str, Any]) -> None:
    problem = rule_problem(declared.metric, params)
    if problem:
        where, *told = problem
        raise config.fault((*declared.route, *(("params", *where) if where else ())), *told)
