"""Which metrics leanml.yaml knows, by kind: the range of each, which side is the good one, and its settings.

The arithmetic is elsewhere; a test holds these names and directions against it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_leanml.config.facts import MetricFacts, Param, limit_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARE = MetricFacts(0, 1, higher_is_better=True)
_SHARE_OF_HARM = MetricFacts(0, 1, higher_is_better=False)
_ERROR = MetricFacts(0, math.inf, higher_is_better=False)

_AVERAGED = MetricFacts(0, 1, higher_is_better=True, methods=("macro", "micro", "weighted"))
_BINNED = MetricFacts(0, 1, higher_is_better=False, params={"bins": Param.WHOLE}, methods=("uniform", "quantile"))
_SIGNED = MetricFacts(-1, 1, higher_is_better=True)
QUALITY = {
    "accuracy": _SHARE,
    "balanced_accuracy": _SHARE,
    "precision": _AVERAGED,
    "recall": _AVERAGED,
    "specificity": _SHARE,
    "negative_predictive_value": _SHARE,
    "f1_score": _AVERAGED,
    "matthews_corrcoef": _SIGNED,
    "cohen_kappa": _SIGNED,
    "cost": MetricFacts(
        -math.inf,
        math.inf,
        higher_is_better=False,
        params={
            "false_positive": Param.NUMBER,
            "false_negative": Param.NUMBER,
            "true_positive": Param.NUMBER,
            "true_negative": Param.NUMBER,
            "costs": Param.MAPPING,
        },
    ),
    "roc_auc": _SHARE,
    "average_precision": _SHARE,
    "top_k_accuracy": MetricFacts(0, 1, higher_is_better=True, params={"k": Param.WHOLE}),
    "log_loss": _ERROR,
    "brier_score": MetricFacts(0, 2, higher_is_better=False),  # 2 is its ceiling with several classes
    "calibration_error": _BINNED,
    "brier_reliability": _BINNED,
    "brier_resolution": MetricFacts(0, 1, higher_is_better=True, params=_BINNED.params, methods=_BINNED.methods),
    "rmse": _ERROR,
    "mae": _ERROR,
    "mape": _ERROR,
    "median_absolute_error": _ERROR,
    "pinball_loss": MetricFacts(0, math.inf, higher_is_better=False, params={"alpha": Param.NUMBER}),
    "max_error": _ERROR,
    "r2": MetricFacts(-math.inf, 1, higher_is_better=True),
}
# Its side and its range are those of the metric that ``params`` names.
WEAKEST_SLICE = MetricFacts(
    -math.inf,
    math.inf,
    higher_is_better=None,
    params={
        "metric": Param.TEXT,
        "columns": Param.TEXTS,
        "pairs": Param.FLAG,
        "bins": Param.WHOLE,
        "report": Param.WHOLE,
        "options": Param.MAPPING,
    },
    needs=("metric",),
)
COMPARED = ("between_groups", "to_overall")


def _gap(*, fair: bool, labels: bool = True) -> MetricFacts:
    return MetricFacts(0, 1, higher_is_better=fair, methods=COMPARED, labels=labels)


_DIFFERENCE, _RATIO = _gap(fair=False), _gap(fair=True)
FAIRNESS = {
    "demographic_parity_difference": _gap(fair=False, labels=False),
    "demographic_parity_ratio": _gap(fair=True, labels=False),
    "demographic_parity_deviation": _ERROR,
    "selection_rate_difference": _gap(fair=False, labels=False),
    "selection_rate_ratio": _gap(fair=True, labels=False),
    "true_positive_rate_difference": _DIFFERENCE,
    "true_positive_rate_ratio": _RATIO,
    "true_negative_rate_difference": _DIFFERENCE,
    "true_negative_rate_ratio": _RATIO,
    "false_positive_rate_difference": _DIFFERENCE,
    "false_positive_rate_ratio": _RATIO,
    "false_negative_rate_difference": _DIFFERENCE,
    "false_negative_rate_ratio": _RATIO,
    "equal_opportunity_difference": _DIFFERENCE,
    "equal_opportunity_ratio": _RATIO,
    "equalized_odds_difference": _DIFFERENCE,
    "equalized_odds_ratio": _RATIO,
    "predictive_parity_difference": _DIFFERENCE,
    "predictive_parity_ratio": _RATIO,
    "accuracy_difference": _DIFFERENCE,
    "accuracy_ratio": _RATIO,
    "error_rate_difference": _DIFFERENCE,
    "error_rate_ratio": _RATIO,
    "calibration_within_groups": MetricFacts(0, 1, higher_is_better=False, params={"bins": Param.WHOLE}, labels=True),
}
# The names under `input.bias`: a gap of demographic parity is `demographic_parity`, measured to_overall another one.
BIAS = {
    (metric, method): metric.removesuffix("_difference") + ("_to_overall" if method == COMPARED[1] else "")
    for metric, facts in FAIRNESS.items()
    for method in facts.methods or COMPARED[:1]
}
COMPARISON = {"regressions": _SHARE_OF_HARM}  # the others are gains in a metric of QUALITY
ORDERED_METHODS = ("ks", "wasserstein")
COUNTED_METHODS = ("psi", "chi_squared", "jensen_shannon", "kl", "total_variation")
DRIFT_METHODS = ("auto", *ORDERED_METHODS, *COUNTED_METHODS)
DRIFT = {
    "share": MetricFacts(0, 1, higher_is_better=False, methods=DRIFT_METHODS),
    "column": MetricFacts(
        0,
        math.inf,
        higher_is_better=False,
        params={"columns": Param.TEXTS},
        needs=("columns",),
        methods=DRIFT_METHODS,
    ),
    "prediction": MetricFacts(0, math.inf, higher_is_better=False, methods=DRIFT_METHODS),
    "target": MetricFacts(0, math.inf, higher_is_better=False, methods=DRIFT_METHODS, labels=True),
    "new_categories": _SHARE_OF_HARM,
    "vanished_categories": _SHARE_OF_HARM,
    "domain_classifier": MetricFacts(0, 1, higher_is_better=False, params={"rows": Param.WHOLE, "folds": Param.WHOLE}),
}
_AMOUNT = MetricFacts(0, math.inf, higher_is_better=False)
_HOLDS = MetricFacts(0, 1, higher_is_better=True)
LINEAGE = {
    "training_age_days": _ERROR,
    "run_id": _HOLDS,
    "git_commit": _HOLDS,
    "clean_tree": _HOLDS,
    "clean_tree_now": MetricFacts(0, 1, higher_is_better=True, params={"untracked": Param.FLAG}),
    "data_digests": MetricFacts(0, 1, higher_is_better=True, params={"tables": Param.TEXTS}),
    "parent_run": _HOLDS,
    "dvc": MetricFacts(0, 1, higher_is_better=True, params={"lock": Param.TEXT, "dependencies": Param.FLAG}),
    "dvc_metric": MetricFacts(
        -math.inf,
        math.inf,
        higher_is_better=None,
        params={"file": Param.TEXT, "name": Param.TEXT, "lock": Param.TEXT},
        needs=("file", "name"),
    ),
    "training_minutes": _AMOUNT,
    "pipeline_minutes": _AMOUNT,
    "data_age_hours": MetricFacts(0, math.inf, higher_is_better=False, params={"data": Param.TEXT}),
    "cost_share": _AMOUNT,
}
# What holds or does not: `run_id: true` asks that it does.
HELD = tuple(name for name, facts in LINEAGE.items() if facts.higher_is_better)
_COLUMNS = {"columns": Param.TEXTS}
LEAKAGE = {
    "overlap": MetricFacts(0, 1, higher_is_better=False, params=_COLUMNS),
    "near_overlap": MetricFacts(
        0, 1, higher_is_better=False, params={**_COLUMNS, "tolerance": Param.NUMBER, "rows": Param.WHOLE}
    ),
    "single_column_power": MetricFacts(
        0, 1, higher_is_better=False, params={**_COLUMNS, "data": Param.TEXT, "rows": Param.WHOLE}, labels=True
    ),
    "time": _SHARE_OF_HARM,
    "groups": MetricFacts(0, 1, higher_is_better=False, params=_COLUMNS),
    "identifiers": MetricFacts(
        0, math.inf, higher_is_better=False, params={"unique": Param.NUMBER, "allow": Param.TEXTS}
    ),
}
_ROWS = {"rows": Param.WHOLE, "data": Param.TEXT}
_CHANGED = {**_ROWS, "columns": Param.TEXTS, "tolerance": Param.NUMBER}


def _behaviour(params: Mapping[str, Param], *needs: str) -> MetricFacts:
    return MetricFacts(0, 1, higher_is_better=False, params=params, needs=needs)


BEHAVIOUR = {
    "invariance": _behaviour({**_CHANGED, "together": Param.FLAG, "tries": Param.WHOLE}, "columns"),
    "directional": _behaviour(
        {**_ROWS, "change": Param.MAPPING, "expect": Param.TEXT, "by": Param.NUMBER, "label": Param.ANY},
        "change",
        "expect",
    ),
    "monotonic": _behaviour(
        {
            **_ROWS,
            "increasing": Param.TEXTS,
            "decreasing": Param.TEXTS,
            "steps": Param.WHOLE,
            "tolerance": Param.NUMBER,
            "label": Param.ANY,
        }
    ),
    "minimum_functionality": _behaviour(
        {"file": Param.TEXT, "expected": Param.TEXT, "by": Param.TEXT, "tolerance": Param.NUMBER}, "file"
    ),
    "noise": _behaviour({**_CHANGED, "std": Param.NUMBER, "tries": Param.WHOLE}),
    "missing": _behaviour(_CHANGED),
    "typos": _behaviour(_CHANGED),
    "casing": _behaviour(_CHANGED),
    "units": _behaviour({**_CHANGED, "factor": Param.NUMBER}, "factor"),
    "determinism": _behaviour({**_ROWS, "repeats": Param.WHOLE, "tolerance": Param.NUMBER}),
    "batch_consistency": _behaviour({**_ROWS, "singles": Param.WHOLE, "tolerance": Param.NUMBER}),
    "out_of_range": _behaviour(
        {"columns": Param.TEXTS, "kinds": Param.TEXTS, "expect": Param.TEXT, "rows": Param.WHOLE}
    ),
    "holds": _behaviour({"call": Param.TEXT, "columns": Param.TEXTS, "where": Param.ANY, "rows": Param.WHOLE}, "call"),
}
_PLACE = {
    "url": Param.URL,
    "call": Param.TEXT,
    "format": Param.TEXT,
    "timeout": Param.NUMBER,
    "seconds": Param.NUMBER,
}
_SERVED = {**_PLACE, "answer": Param.TEXT}
_TIMED = {**_SERVED, "requests": Param.WHOLE, "batch": Param.WHOLE, "warmup": Param.WHOLE}
_BY_ROW = {"rows": Param.WHOLE, "batch": Param.WHOLE, "tolerance": Param.NUMBER}
_LATENCY = MetricFacts(0, math.inf, higher_is_better=False, params=_TIMED)
SERVING = {
    "latency_p50_ms": _LATENCY,
    "latency_p95_ms": _LATENCY,
    "latency_p99_ms": _LATENCY,
    "throughput_rows_per_s": MetricFacts(0, math.inf, higher_is_better=True, params=_TIMED),
    "memory_mb": MetricFacts(
        0, math.inf, higher_is_better=False, params={"rows": Param.WHOLE, "seconds": Param.NUMBER}
    ),
    "artifact_mb": _AMOUNT,
    "start_seconds": MetricFacts(
        0, math.inf, higher_is_better=False, params={"runs": Param.WHOLE, "seconds": Param.NUMBER}
    ),
    "parity": MetricFacts(0, 1, higher_is_better=False, params={**_SERVED, **_BY_ROW}),
    "feature_parity": MetricFacts(
        0, 1, higher_is_better=False, params={**_PLACE, **_BY_ROW, **_COLUMNS, "send": Param.TEXTS}
    ),
    "signature": _AMOUNT,
}
_DATA = {"data": Param.TEXT, "name": Param.TEXT}
_OF_COLUMNS = {**_DATA, **_COLUMNS}
_BY_COLUMN = {**_DATA, "columns": Param.MAPPING}
# Rules that count failing values, and with ``_share`` behind the name give the largest share of a column.
COUNTED_RULES: Mapping[str, Mapping[str, Param]] = {
    "not_null": _OF_COLUMNS,
    "unique": {**_OF_COLUMNS, "key": Param.TEXTS},
    "between": _BY_COLUMN,
    "in_set": _BY_COLUMN,
    "matches": _BY_COLUMN,
    "references": _BY_COLUMN,
    "duplicates": _OF_COLUMNS,
}


def _counted(params: Mapping[str, Param], high: float) -> MetricFacts:
    needs = ("columns",) if params is _BY_COLUMN else ()
    return MetricFacts(0, high, higher_is_better=False, params=params, needs=needs)


def _amount(**params: Param) -> MetricFacts:
    return MetricFacts(0, math.inf, higher_is_better=False, params={**_DATA, **params})


DATA_QUALITY = {
    "schema": _amount(schema=Param.TEXT),
    "rows": MetricFacts(0, math.inf, higher_is_better=None, params=_DATA),
    **{name: _counted(params, math.inf) for name, params in COUNTED_RULES.items()},
    **{f"{name}_share": _counted(params, 1) for name, params in COUNTED_RULES.items()},
    "freshness_hours": _amount(column=Param.TEXT),
    "schema_drift": _amount(ignore=Param.TEXTS, levels=Param.WHOLE),
    "constant_columns": _amount(columns=Param.TEXTS),
    "near_constant_columns": _amount(columns=Param.TEXTS, share=Param.NUMBER),
    "suite": MetricFacts(0, math.inf, higher_is_better=False, params={**_DATA, "path": Param.TEXT}, needs=("path",)),
}
BY_KIND = {
    "data_quality": DATA_QUALITY,
    "quality": {**QUALITY, "weakest_slice": WEAKEST_SLICE},
    "fairness": FAIRNESS,
    "drift": DRIFT,
    "comparison": COMPARISON,
    "behaviour": BEHAVIOUR,
    "leakage": LEAKAGE,
    "serving": SERVING,
    "lineage": LINEAGE,
}


def gain_problem(metric: str, bounds: Mapping[str, float], *, relative: bool) -> tuple[str, str, str] | None:
    """Tell as (given, expected, todo) why these bounds say nothing about a gain in the metric, None when they do.

    Args:
        metric: one of QUALITY.
        bounds: on the gain.
        relative: the gain is a share of the champion's value. Of a metric that ends at 0 at most all of it can be lost,
            while an error can grow without end.
    """
    facts = QUALITY[metric]
    span = facts.high - facts.low
    size = max(map(abs, bounds.values()))
    if size > span and not relative:
        return f"{size:g}", f"a gain in {metric}, of at most {span:g}", "2 % is 0.02"
    most = span if not relative else 1.0 if facts.higher_is_better and facts.low == 0 else math.inf
    floor = max(bounds.get("min", -math.inf), bounds.get("above", -math.inf))
    if floor <= -most:
        return f"a loss of {-floor:g} allowed", f"less, since {metric} can lose no more than {most:g}", "2 % is 0.02"
    return None


def threshold_problem(name: str, bounds: Mapping[str, float]) -> tuple[str, str, str] | None:
    """Tell what is wrong with the limit of a threshold by its id, ``quality.accuracy``; None for ids of no metric here."""
    kind, _, metric = name.partition("[")[0].partition(".")
    facts = BY_KIND.get(kind, {}).get(metric)
    return limit_problem(metric, facts, bounds) if facts else None
