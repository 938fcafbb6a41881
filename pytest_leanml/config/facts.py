"""What leanml.yaml must know of one metric, and what that refuses.

It refuses what can never be missed or never be kept: a share of 15 meant as 15 %, ``accuracy: {max: 0.85}`` where
``min`` was meant; and settings that the metric does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.urls import EXPECTED, url_fault

if TYPE_CHECKING:
    from collections.abc import Mapping


class Param(StrEnum):
    """What a setting under ``params:`` of a check may be."""

    NUMBER = "a number"
    WHOLE = "a whole number"
    FLAG = "true or false"
    TEXT = "a text"
    URL = EXPECTED
    TEXTS = "a list of texts"
    MAPPING = "a mapping"
    ANY = "anything"


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What leanml.yaml must know of one metric.

    Attributes:
        low: its smallest possible value.
        high: its largest.
        higher_is_better: None where either side can be meant.
        params: name under ``params:`` -> what it may be.
        needs: names that ``params:`` must have.
        methods: what ``method:`` may say; empty where there is one way only.
        labels: whether it needs ``data.target``, beside the kinds that always do.
    """

    low: float
    high: float
    higher_is_better: bool | None
    params: Mapping[str, Param] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    labels: bool = False


def limit_problem(metric: str, facts: MetricFacts, bounds: Mapping[str, float]) -> tuple[str, str, str] | None:
    """Tell as (given, expected, todo) why these bounds say nothing about the metric, None when they do."""
    for name, value in bounds.items():
        if not facts.low <= value <= facts.high:
            return (
                f"{name}: {value:g}",
                f"{metric} lies between {facts.low:g} and {facts.high:g}",
                _percent(value, facts),
            )
    lower = "min" in bounds or "above" in bounds
    upper = "max" in bounds or "below" in bounds
    if facts.higher_is_better is True and not lower:
        return _backwards(metric, "higher", "min (>=) or above (>)", bounds)
    if facts.higher_is_better is False and not upper:
        return _backwards(metric, "lower", "max (<=) or below (<)", bounds)
    if all(_idle(name, value, facts) for name, value in bounds.items() if _on_bad_side(name, facts)):
        shown = ", ".join(f"{name}: {value:g}" for name, value in bounds.items())
        given = f"{shown}, where {metric} lies between {facts.low:g} and {facts.high:g}"
        return given, "a bound that some value misses", "a limit that nothing can miss lets every model through"
    return None


def _on_bad_side(name: str, facts: MetricFacts) -> bool:
    lower = name in ("min", "above")
    return facts.higher_is_better is None or facts.higher_is_better is lower


def _idle(name: str, value: float, facts: MetricFacts) -> bool:
    """Tell whether every value that the metric can have keeps to the bound."""
    return (name == "min" and value <= facts.low) or (name == "max" and value >= facts.high)


def _percent(value: float, facts: MetricFacts) -> str:
    looks = facts.high == 1 and 1 < value <= 100  # noqa: PLR2004 - per cent
    return f"per cent are written as a share: {value / 100:g}" if looks else "write a bound within that range"


def _backwards(metric: str, better: str, expected: str, bounds: Mapping[str, float]) -> tuple[str, str, str]:
    given = f"{metric} bounded by {' and '.join(bounds)} alone, where {better} is better"
    return given, expected, "a limit on the good side alone lets every bad model through: swap it, or add one"


_TYPES: Mapping[Param, tuple[type, ...]] = {
    Param.NUMBER: (int, float),
    Param.WHOLE: (int,),
    Param.FLAG: (bool,),
    Param.TEXT: (str,),
    Param.URL: (str,),
    Param.MAPPING: (dict,),
}


def param_problem(facts: MetricFacts, params: Mapping[str, Any]) -> tuple[str | None, str, str] | None:
    """Tell as (key, given, expected) what is wrong with the settings of a check, None when they can be used.

    The key is None where a setting is missing.
    """
    for name, value in params.items():
        if name not in facts.params:
            return name, f"the setting {name!r}", f"one of {', '.join(facts.params)}" if facts.params else "no settings"
        if not _fits(value, facts.params[name]):
            return name, repr(value), facts.params[name].value
        fault = url_fault(value) if facts.params[name] is Param.URL else None
        if fault is not None:
            return name, fault, EXPECTED
    missing = [name for name in facts.needs if name not in params]
    return (
        (None, f"no {missing[0]}", f"params: {{{missing[0]}: {facts.params[missing[0]].value}}}") if missing else None
    )


def _fits(value: object, kind: Param) -> bool:
    if kind is Param.ANY:
        return value is not None
    if isinstance(value, bool) and kind is not Param.FLAG:
        return False
    if kind is Param.TEXTS:
        return isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)
    return isinstance(value, _TYPES[kind])
