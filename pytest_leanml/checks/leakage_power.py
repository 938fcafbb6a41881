"""How well one column alone tells the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.study import record_of
from pytest_leanml.errors import ConfigError
from pytest_leanml.sources.columns import column, column_names, keep_rows, require_columns, row_count, select
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.task import infer_task
from pytest_leanml.stats.power import LEAST_ROWS, Feature, single_column_power, target_of
from pytest_leanml.stats.samples import make_sample
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord

_SHOWN = 20
_METHODS = {
    Task.BINARY: "roc_auc",
    Task.MULTICLASS: "accuracy above the largest class",
    Task.REGRESSION: "r2",
}


def power(study: Study, columns: Sequence[str], data: str | None, rows: int, level: float) -> MeasurementRecord:
    """Measure every column's power and return the best one's; see ``Leakage.single_column_power``."""
    name = data or ("train" if study.has("train") else "evaluation")
    if rows < LEAST_ROWS:
        raise ConfigError(f"rows: {rows}", f"at least {LEAST_ROWS} to learn a column's power from", "leave it out")
    frame, settings = study.rows_of(name), study.settings
    require_columns(frame, [study.target(), *columns], what=f"the {name} data")
    apart = {settings.target, settings.weights, settings.time, *settings.ids}
    wanted = columns or [each for each in column_names(frame) if each not in apart]
    frame = _some(select(frame, list(dict.fromkeys((study.target(), *wanted)))), rows, settings.seed)
    truth = column(frame, study.target())
    task, classes, positive = infer_task(truth, settings.task, settings.positive)
    target = target_of(make_sample(task, truth, classes=classes, positive=positive), seed=settings.seed)
    features = {each: _feature(frame, each) for each in wanted}
    estimate = single_column_power(features, target, confidence=level)
    best = next(iter(estimate.by))
    record = record_of("leakage.single_column_power", estimate, method=_METHODS[task])
    shown = dict(list(record.by.items())[:_SHOWN])
    details = {**record.details, "column": best[:200], "data": name}
    return record_of("leakage.single_column_power", estimate, method=_METHODS[task], by=shown, details=details)


def _some(frame: Any, most: int, seed: int) -> Any:
    rows = row_count(frame)
    if rows <= most:
        return frame
    mask = np.zeros(rows, dtype=np.bool_)
    mask[np.random.default_rng(seed).choice(rows, most, replace=False)] = True
    return keep_rows(frame, mask)


def _feature(frame: Any, name: str) -> Feature:
    values = column(frame, name)
    if values.dtype.kind in "iufb":
        return Feature(values.astype(np.float64), numeric=True)
    if values.dtype.kind in "mM":
        ticks = values.astype("i8").astype(np.float64)
        return Feature(np.where(pd.isna(values), np.nan, ticks), numeric=True)
    with told_as(f"the values of `{name}` cannot be told apart", "plain values", "drop the column, or name others"):
        return Feature(pd.factorize(values, use_na_sentinel=False)[0], numeric=False)
