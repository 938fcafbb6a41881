"""Whether what is served is what was judged: answers and features, row by row."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.leakage_features import known_features
from pytest_leanml.checks.serving_answers import demand_plan, frame_of
from pytest_leanml.checks.serving_timing import Plan, answerer
from pytest_leanml.checks.study import record_of
from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.sources.columns import column, column_names, is_polars, require_columns, row_count
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.outputs import checked_predictions
from pytest_leanml.stats.parity import parity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord

TOLERANCE = 1e-6
ROWS, BATCH = 200, 100
_WHO = "what is served"
_OWN = ("tolerance", "answer", "columns")


def prediction_parity(study: Study, settings: Mapping[str, Any], level: float) -> MeasurementRecord:
    """See ``Serving.parity``."""
    plan = _plan(settings)
    answer = settings.get("answer", "labels")
    if answer not in ("labels", "scores"):
        raise ConfigError(f"answer: {answer!r}", "labels or scores", "correct it")
    frame = study.rows_of("evaluation")
    picked = _picked(study, plan)
    columns = known_features(study, frame)
    require_columns(frame, columns, what="the evaluation data")
    raw = _served(study, plan, [frame_of(frame, each, columns) for each in _batches(picked, plan)], _listed)
    offline = _offline(study, answer)[picked]
    served = _labels(raw) if answer == "labels" else _scores(raw, offline)
    both = [_by_column(each) for each in (offline, served)]
    if both[0].keys() != both[1].keys():
        raise SourceError(
            f"{_WHO} has {len(both[1])} numbers for each row, the candidate {len(both[0])}",
            "as many",
            "look at `answer`",
        )
    return _record("parity", study, both, settings, plan, level)


def feature_parity(study: Study, settings: Mapping[str, Any], level: float) -> MeasurementRecord:
    """See ``Serving.feature_parity``."""
    plan = _plan(settings)
    frame = study.rows_of("evaluation")
    columns = tuple(settings.get("columns") or known_features(study, frame))
    require_columns(frame, columns, what="the evaluation data")
    asked = tuple(name for name in column_names(frame) if name != study.settings.target)
    picked = _picked(study, plan)
    tables = _served(study, plan, [frame_of(frame, each, asked) for each in _batches(picked, plan)], _table)
    served = pd.concat(tables, ignore_index=True)
    require_columns(served, columns, what=_WHO)
    both = [
        {name: column(frame, name)[picked] for name in columns},
        {name: column(served, name) for name in columns},
    ]
    return _record("feature_parity", study, [_alike(each) for each in both], settings, plan, level)


def _plan(settings: Mapping[str, Any]) -> Plan:
    demand_plan(settings, needed=True)
    given = {name: value for name, value in settings.items() if name not in _OWN}
    return Plan(**{"rows": ROWS, "batch": BATCH, "warmup": 0, **given})


def _picked(study: Study, plan: Plan) -> NDArray[np.intp]:
    rows = row_count(study.rows_of("evaluation"))
    if rows <= plan.rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(study.settings.seed).choice(rows, plan.rows, replace=False))


def _batches(picked: NDArray[np.intp], plan: Plan) -> list[NDArray[np.intp]]:
    return [picked[at : at + plan.batch] for at in range(0, len(picked), plan.batch)]


def _served(study: Study, plan: Plan, requests: Sequence[pd.DataFrame], read: Callable[[Any, int], Any]) -> list[Any]:
    with ExitStack() as stack:
        ask = answerer(study, plan, stack)
        return [read(ask(each), len(each)) for each in requests]


def _listed(raw: Any, rows: int) -> list[Any]:
    with told_as(f"{_WHO} is a {type(raw).__name__}", "one answer for each row"):
        if isinstance(raw, pd.DataFrame) or is_polars(raw):
            raw = raw.to_numpy()
        found = raw.tolist() if isinstance(raw, np.ndarray | pd.Series) else list(raw)
    if len(found) != rows:
        raise SourceError(f"{_WHO} are {len(found)} answers for {rows} rows", "one for each row, in their order")
    return found


def _labels(raw: Sequence[list[Any]]) -> NDArray[Any]:
    answers = [each for batch in raw for each in batch]
    return checked_predictions(_array(answers), len(answers), who=_WHO)


def _array(values: list[Any]) -> NDArray[Any]:
    """Return values as an array that keeps 1 and "1" apart."""
    plain = all(isinstance(each, int | float) for each in values)
    nested = any(isinstance(each, list) for each in values)
    return np.array(values) if plain or nested else np.array(values, dtype=object)


def _scores(raw: Sequence[list[Any]], offline: NDArray[Any]) -> NDArray[Any]:
    answers = [each for batch in raw for each in batch]
    with told_as(f"{_WHO} are no scores", "numbers: one for each row, or one for each row and class"):
        found = np.array(answers, dtype=np.float64)
    checked_predictions(found.ravel(), found.size, who=_WHO)
    if found.ndim == 2 and offline.ndim == 1 and found.shape[1] == 2:  # noqa: PLR2004 - of both classes
        return np.asarray(found[:, 1])
    return np.asarray(found[:, 0]) if found.ndim == 2 and found.shape[1] == 1 else found  # noqa: PLR2004 - rows, columns


def _offline(study: Study, answer: str) -> NDArray[Any]:
    answers = study.answers("candidate")
    if answer == "labels":
        return answers.labels
    scores = answers.probabilities
    if scores is None:
        raise SourceError("the candidate gives no probabilities", "a model with `predict_proba`", "compare labels")
    return scores


def _by_column(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if values.ndim == 1:
        return {"answer": values}
    return {str(place): values[:, place] for place in range(values.shape[1])}


def _table(raw: Any, rows: int) -> pd.DataFrame:
    with told_as(f"{_WHO} is a {type(raw).__name__}", "a mapping of features for each row, or a frame"):
        found = raw.to_pandas() if is_polars(raw) else pd.DataFrame(raw)
    if len(found) != rows:
        raise SourceError(f"{_WHO} are features of {len(found)} rows for {rows} rows", "one mapping for each row")
    return found


def _alike(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return times as the text that a server sends, all else as it is."""
    return {
        name: np.array([None if pd.isna(each) else pd.Timestamp(each).isoformat() for each in values], dtype=object)
        if values.dtype.kind == "M"
        else values
        for name, values in columns.items()
    }


def _record(  # noqa: PLR0913, PLR0917 - what a record is made of
    metric: str,
    study: Study,
    both: Sequence[Mapping[str, NDArray[Any]]],
    settings: Mapping[str, Any],
    plan: Plan,
    level: float,
) -> MeasurementRecord:
    rows = row_count(study.rows_of("evaluation"))
    tolerance = float(settings.get("tolerance", TOLERANCE))
    estimate = parity(both[0], both[1], tolerance=tolerance, rows=rows, confidence=level)
    return record_of(f"serving.{metric}", estimate, method=plan.where)
