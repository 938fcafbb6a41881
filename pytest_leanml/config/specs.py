"""What leanml.yaml asks for in one environment: checks, thresholds, policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.declared import BY_SLICE, Declared, declared_checks, demand_possible
from pytest_leanml.config.facts import limit_problem
from pytest_leanml.config.limits import (
    ByGroupSection,
    ComparisonSection,
    CustomSection,
    Limit,
    LimitSection,
    Override,
    PartedSection,
    ScorerSection,
    SignOffSection,
    bounds_problem,
)
from pytest_leanml.config.load import nearest
from pytest_leanml.config.metrics import QUALITY, gain_problem, threshold_problem
from pytest_leanml.config.rule_params import DEFAULT, part_of
from pytest_leanml.vocabulary import Judge, encode_group, is_id, with_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.config.models import Config, Environment
    from pytest_leanml.errors import ConfigError
    from pytest_leanml.strict_yaml import Route

_COLUMN = "drift.column"
# Labels and scores have a method of their own, whatever columns are compared with.
_OWN_METHOD = ("drift.prediction", "drift.target")


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check of leanml.yaml.

    Attributes:
        kind: data_quality, quality and so on, or custom.
        metric: the metric's name, or the name of a custom check.
        part: what stands between the brackets of its id, percent-encoded; None for all rows.
        limit: what it must keep to, with the defaults and the environment's overrides applied.
        groups: columns of the sensitive attribute, several for an intersection; the one column of a drift.column.
        slice: name of ``data.slices``, None for all rows.
        settings: what else its kind needs: ``params`` and ``method`` as they stand at the limit; drift's columns (None
            for all), method, effect and fdr; a comparison's relative; the call of a custom check, and of a metric by group
            its gap and what it is computed on.
        line: 1-based line of leanml.yaml.
        apart: whether its limit is of its full id alone, and not of the bare id with all its parts.
    """

    kind: str
    metric: str
    part: str | None
    limit: Limit
    groups: tuple[str, ...] = ()
    slice: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = None
    apart: bool = False

    @property
    def base(self) -> str:
        """The bare id, such as ``quality.accuracy``."""
        return f"{self.kind}.{self.metric}"

    @property
    def id(self) -> str:
        """The id, such as ``quality.accuracy[night]``."""
        return with_part(self.base, self.part)

    @property
    def limited(self) -> str:
        """The id that its limit has in ``data.leanml.thresholds``."""
        return self.id if self.apart else self.base


def check_specs(config: Config, environment: str | None = None) -> tuple[CheckSpec, ...]:
    """Return the checks of leanml.yaml as they are judged in ``environment``; None applies no overrides.

    Raises:
        ConfigError: a check that lacks what it needs (target, groups, a slice, a schema), an override of an id that is
            neither check nor threshold, bounds that exclude each other, an id made twice.
    """
    overrides = _overrides(config, environment)
    declared = declared_checks(config)
    _refuse_strangers(config, [each.base for each in declared])
    specs = [spec for each in declared for spec in _specs(config, each, overrides.get(each.base), environment)]
    _refuse_twins(config, specs)
    return tuple(specs)


def _overrides(config: Config, environment: str | None) -> Mapping[str, Override]:
    return {} if environment is None else _named(config, environment, "the environment asked for").limits


def _refuse_strangers(config: Config, checks: list[str]) -> None:
    """Refuse, in whatever environment, a limit for an id that is not there: it would be a limit that nobody keeps."""
    for each in config.policy.thresholds:
        if each in checks:
            route: Route = ("policy", "thresholds", each)
            raise config.fault(route, f"{each} is a check", "its limit under `checks`", "remove it here")
    known = [*checks, *config.policy.thresholds]
    for name, environment in config.environments.items():
        for each, override in environment.limits.items():
            route = ("environments", name, "limits", each)
            if each not in known:
                bare = each.partition("[")[0]
                todo = f"override {bare}, which holds for each of its parts" if bare in known else nearest(each, known)
                raise config.fault(route, f"{each!r} is no check here", f"one of {', '.join(known) or 'no id'}", todo)
            if each in config.policy.thresholds and override.judging():
                raise config.fault(
                    route, f"{', '.join(override.judging())} for a threshold", "min, max, above or below"
                )


def _specs(
    config: Config, declared: Declared, override: Override | None, environment: str | None
) -> Iterator[CheckSpec]:
    demand_possible(config, declared)
    changed: Route = ("environments", str(environment), "limits", declared.base)
    limit = _limit(config, declared, override, changed if override else declared.route)
    settings = _settings(config, declared)
    place = config.place(declared.route, key=True)
    line = place[0] if place else None
    for part, groups, name in _parts(config, declared):
        own = {**settings, **_own(declared.section, part)}
        if declared.base == _COLUMN:
            own["column"] = groups[0]
        apart = declared.kind == "data_quality" and part is not None
        yield CheckSpec(declared.kind, declared.metric, part, limit, groups, name, own, line, apart)


def _limit(config: Config, declared: Declared, override: Override | None, route: Route) -> Limit:
    section = declared.section
    bounds = {**section.bounds(), **(override.bounds() if override else {})}
    problem = bounds_problem(bounds) or _says_nothing(declared, bounds)
    if problem:
        raise config.fault(route, *problem)
    judging = {**dict(config.checks.defaults), **section.judging(), **(override.judging() if override else {})}
    if getattr(section, "within", None) is not None and judging["judge"] is Judge.POINT:
        raise config.fault(route, "within, judged by point", "judge: bound", "near 0 is not yet proven to be near 0")
    if section.owner is not None:
        judging["owner"] = section.owner
    extra = _extra(section) if isinstance(section, LimitSection) else {}
    return Limit(**bounds, **judging, **extra)


def _says_nothing(declared: Declared, bounds: dict[str, float]) -> tuple[str, str, str] | None:
    """Tell what an environment made of a limit that could be missed, None when it still can be."""
    section, facts = declared.section, declared.facts
    if isinstance(section, ComparisonSection):
        metric = section.metric if isinstance(section, SignOffSection) else declared.metric
        return gain_problem(metric, bounds, relative=section.relative)
    if declared.base == "quality.weakest_slice":
        facts = QUALITY[section.params["metric"]]
    return limit_problem(declared.metric, facts, bounds) if facts else None


def _extra(section: LimitSection) -> dict[str, Any]:
    return {"groups": section.groups or (), "slices": section.slices or (), "params": section.params}


def _settings(config: Config, declared: Declared) -> dict[str, Any]:
    section = declared.section
    if declared.kind == "drift":
        auto = {"method": "auto"} if declared.base in _OWN_METHOD else {}
        return {**config.checks.drift.settings(), **auto, **_asked(section)}
    if isinstance(section, ComparisonSection):
        return _compared(config, section)
    if isinstance(section, ByGroupSection):
        return {"call": section.call, "gap": section.gap, "on": section.on, **_asked(section)}
    if isinstance(section, CustomSection):
        return {"call": section.call, "params": section.params}
    if isinstance(section, ScorerSection):
        return {"scorer": section.scorer or section.call, "answers": section.answers, "params": section.params}
    return _asked(section)


def _compared(config: Config, section: ComparisonSection) -> dict[str, Any]:
    """Return how a gain is measured; what is not said is left out."""
    asked: dict[str, Any] = {"relative": section.relative}
    asked |= {} if section.method is None else {"method": section.method}
    asked |= {} if section.within is None else {"within": True}
    if isinstance(section, SignOffSection):
        asked |= {"metric": section.metric, "slices": section.slices or tuple(config.data.slices)}
    return asked


def _asked(section: LimitSection) -> dict[str, Any]:
    """Return the settings that stand at the limit; a drift limit's method is drift's own where it says none."""
    params = {"params": section.params} if section.params else {}
    return params if section.method is None else {**params, "method": section.method}


def _own(section: Any, part: str | None) -> dict[str, Any]:
    """Return what one of ``parts`` has in place of the limit's ``params``."""
    if part is None or not isinstance(section, PartedSection):
        return {}
    return {"params": {encode_group(name): params for name, params in section.asked().items()}[part]}


def _parts(config: Config, declared: Declared) -> Iterator[tuple[str | None, tuple[str, ...], str | None]]:
    """Yield part, groups and slice of each spec that a declaration makes."""
    section = declared.section
    if declared.kind == "fairness":
        for columns in section.groups or config.data.groups:
            yield ".".join(encode_group(column) for column in columns), columns, None
    elif declared.base == _COLUMN:
        for column in dict.fromkeys(section.params["columns"]):
            yield encode_group(column), (column,), None
    elif declared.kind in BY_SLICE and section.slices and not isinstance(section, SignOffSection):
        for name in section.slices:
            yield encode_group(name), (), name
    elif isinstance(section, PartedSection) and section.parts:
        for name in section.parts:
            yield encode_group(name), (), None
    elif declared.kind == "data_quality":
        # One of several must not be the bare id, whose limit would hold for all of them.
        yield part_of(section.params) or (None if declared.place is None else DEFAULT), (), None
    else:
        yield None, (), None


def _refuse_twins(config: Config, specs: list[CheckSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        route: Route = ("checks", spec.kind, spec.metric)
        if spec.id in seen:
            todo = "params: {name: <short name>}" if spec.kind == "data_quality" else "rename a column or a slice"
            raise config.fault(route, f"the id {spec.id} is made twice", "each id once", todo)
        if not is_id(spec.id):
            raise config.fault(route, f"the id {spec.id[:60]}... is too long", "at most 200 characters", "rename it")
        seen.add(spec.id)


def thresholds(config: Config, environment: str | None = None) -> dict[str, dict[str, float]]:
    """Return what ``data.leanml.thresholds`` holds: bare id -> bounds, as they are in ``environment``.

    Beside the checks' limits and ``policy.thresholds``: ``history.streak`` where the environment has one, and
    ``fairness.group_size`` where fairness is checked.

    Raises:
        ConfigError: as ``check_specs``.
    """
    specs = check_specs(config, environment)
    overrides = _overrides(config, environment)
    found = {spec.limited: spec.limit.bounds() for spec in specs}
    for each, bounds in config.policy.thresholds.items():
        found[each] = _threshold(config, environment, each, bounds.bounds(), overrides.get(each))
    if any(spec.kind == "fairness" for spec in specs):
        found["fairness.group_size"] = {"min": float(config.data.min_group)}
    streak = config.environments[environment].streak if environment is not None else None
    if streak is not None:
        found["history.streak"] = {"min": float(streak.count)}
    return found


def _threshold(
    config: Config, environment: str | None, name: str, bounds: dict[str, float], override: Override | None
) -> dict[str, float]:
    merged = {**bounds, **(override.bounds() if override else {})}
    problem = bounds_problem(merged) or threshold_problem(name, merged)
    if problem:
        raise config.fault(("environments", str(environment), "limits", name), *problem)
    return merged


def environment_of(config: Config, flag: str | None = None, variable: str | None = None) -> tuple[str, Environment]:
    """Return name and settings of the environment: ``--gate-environment``, else LEANML_ENVIRONMENT, else the config's.

    Raises:
        ConfigError: a name that is not under ``environments``, an empty one included.
    """
    given = {
        "--gate-environment": flag,
        "LEANML_ENVIRONMENT": variable,
        "policy.environment": config.policy.environment,
    }
    origin, name = next((origin, name) for origin, name in given.items() if name is not None)
    return name, _named(config, name, origin)


def _named(config: Config, name: str, origin: str) -> Environment:
    found = config.environments.get(name)
    if found is None:
        todo = nearest(name, config.environments) or ("correct it, or declare it" if name else "unset it, or name one")
        raise _stranger(config, f"{origin} is {name!r}", todo)
    return found


def _stranger(config: Config, given: str, todo: str) -> ConfigError:
    return config.fault(("environments",), given, f"one of {', '.join(config.environments)}", todo)
