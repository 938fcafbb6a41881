"""What leanml.yaml must know of a metric: its range and which side is the good one.

The arithmetic is elsewhere; a test holds these names and directions against it. They are here to refuse what can never
be missed or never be kept: a share of 15 meant as 15 %, ``accuracy: {max: 0.85}`` where ``min`` was meant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """Range of a metric, and whether higher is better; None where either side can be meant."""

    low: float
    high: float
    higher_is_better: bool | None


_SHARE = MetricFacts(0, 1, higher_is_better=True)
_SHARE_OF_HARM = MetricFacts(0, 1, higher_is_better=False)
_ERROR = MetricFacts(0, math.inf, higher_is_better=False)

QUALITY = {
    "accuracy": _SHARE,
    "precision": _SHARE,
    "recall": _SHARE,
    "f1_score": _SHARE,
    "roc_auc": _SHARE,
    "log_loss": _ERROR,
    "brier_score": MetricFacts(0, 2, higher_is_better=False),  # 2 is its ceiling with several classes
    "rmse": _ERROR,
    "mae": _ERROR,
    "r2": MetricFacts(-math.inf, 1, higher_is_better=True),
}
FAIRNESS = {
    "demographic_parity_difference": _SHARE_OF_HARM,
    "demographic_parity_ratio": _SHARE,
    "demographic_parity_deviation": _ERROR,
    "equalized_odds_difference": _SHARE_OF_HARM,
}
DRIFT = {"share": _SHARE_OF_HARM, "prediction": _ERROR}
LINEAGE = {"training_age_days": _ERROR}
DATA_QUALITY = {
    "schema": MetricFacts(0, math.inf, higher_is_better=False),
    "rows": MetricFacts(0, math.inf, higher_is_better=None),
}
BY_KIND = {"data_quality": DATA_QUALITY, "quality": QUALITY, "fairness": FAIRNESS, "drift": DRIFT, "lineage": LINEAGE}


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
    return None


def _percent(value: float, facts: MetricFacts) -> str:
    looks = facts.high == 1 and 1 < value <= 100  # noqa: PLR2004 - per cent
    return f"per cent are written as a share: {value / 100:g}" if looks else "write a bound within that range"


def _backwards(metric: str, better: str, expected: str, bounds: Mapping[str, float]) -> tuple[str, str, str]:
    given = f"{metric} bounded by {' and '.join(bounds)} alone, where {better} is better"
    return given, expected, "a limit on the good side alone lets every bad model through: swap it, or add one"
