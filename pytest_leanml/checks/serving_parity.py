"""Whether what is served is what was judged: answers and features, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.serving_place import (
    WHO,
    Place,
    exchange,
    features_of,
    place_of,
    reader_of,
    whole,
)
from pytest_leanml.checks.study import record_of
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, is_polars, require_columns, row_count
from pytest_leanml.sources.faults import told_as
from pytest_leanml.stats.parity import parity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord

TOLERANCE = 1e-6
_ROWS, _BATCH = 200, 100
_OWN = ("rows", "batch", "tolerance")


@dataclass(frozen=True, slots=True)
class _Compared:
    """What is compared.

    Attributes:
        place: where the answers come from.
        picked: places of the rows in the evaluation data, shape (m,).
        batches: the same, for each request.
        rows: of the evaluation data.
        tolerance: of two numbers.
    """

    place: Place
    picked: NDArray[np.intp]
    batches: list[NDArray[np.intp]]
    rows: int
    tolerance: float


def prediction_parity(study: Study, settings: Mapping[str, Any], level: float) -> MeasurementRecord:
    """See ``Serving.parity``."""
    plan = _compared(study, settings, _OWN)
    frame = study.rows_of("evaluation")
    served = np.concatenate(_served(study, plan, features_of(study, frame), reader_of(study, plan.place)))
    own = study.answers("candidate")
    if plan.place.answer == "labels":
        offline = own.labels[plan.picked]
        _demand_several(offline)
        # A label is equal or another one, however near its number.
        tolerance = plan.tolerance if own.known_classes() is None else 0.0
    else:
        offline, tolerance = np.asarray(own.probabilities)[plan.picked], plan.tolerance
    both = [_by_column(each) for each in (offline, served)]
    estimate = parity(both[0], both[1], tolerance=tolerance, rows=plan.rows, confidence=level)
    return record_of("serving.parity", estimate, method=plan.place.where)


def feature_parity(study: Study, settings: Mapping[str, Any], level: float) -> MeasurementRecord:
    """See ``Serving.feature_parity``."""
    plan = _compared(study, settings, (*_OWN, "columns", "send"))
    frame = study.rows_of("evaluation")
    columns, send = _sides(study, settings, frame)
    served = pd.concat(_served(study, plan, send, _table), ignore_index=True)
    require_columns(served, columns, what=WHO)
    pairs = {name: _alike(column(frame, name)[plan.picked], column(served, name)) for name in columns}
    offline, found = ({name: pair[side] for name, pair in pairs.items()} for side in (0, 1))
    estimate = parity(offline, found, tolerance=plan.tolerance, rows=plan.rows, confidence=level)
    return record_of("serving.feature_parity", estimate, method=plan.place.where)


def _compared(study: Study, settings: Mapping[str, Any], also: tuple[str, ...]) -> _Compared:
    place = place_of(settings, also=also, needed=True)
    size, batch = whole(settings, "rows", _ROWS), whole(settings, "batch", _BATCH)
    tolerance = settings.get("tolerance", TOLERANCE)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        # It is a share of the larger number: at 1 nearly nothing differs.
        raise ConfigError(f"tolerance: {tolerance!r}", "a share, from 0 to below 1", "correct it")
    rows = row_count(study.rows_of("evaluation"))
    picked = np.arange(rows)
    if rows > size:
        picked = np.sort(np.random.default_rng(study.settings.seed).choice(rows, size, replace=False))
    batches = [picked[at : at + batch] for at in range(0, len(picked), batch)]
    return _Compared(place, picked, batches, rows, float(tolerance))


def _served(study: Study, plan: _Compared, columns: tuple[str, ...], read: Callable[[Any, int], Any]) -> list[Any]:
    return exchange(study, plan.place, plan.batches, columns, read)[1]


def _demand_several(offline: NDArray[Any]) -> None:
    """Refuse answers that are all the same: whatever always says so, a model or none, would agree with them."""
    found = set(offline.tolist())
    if len(found) == 1:
        raise InconclusiveError(
            f"the candidate answers {found.pop()!r} for each of these {len(offline)} rows, as a constant would",
            "two different answers",
            "compare more `rows`, or `answer: scores`",
        )


def _by_column(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if values.ndim == 1:
        return {"answer": values}
    if values.shape[1] == 1:
        return {"answer": values[:, 0]}
    return {str(place): values[:, place] for place in range(values.shape[1])}


def _sides(study: Study, settings: Mapping[str, Any], frame: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns to compare and those to send; none is both, since an echo would agree with everything."""
    target = study.settings.target
    sent = _names(settings, "send")
    columns = _names(settings, "columns") or tuple(
        name for name in features_of(study, frame) if name not in (sent or ())
    )
    send = sent or tuple(name for name in column_names(frame) if name not in (target, *columns))
    both = sorted({*columns} & {*send})
    if both or target in (*columns, *send):
        given = f"`{both[0]}` is both sent and compared" if both else "the target is among the columns"
        raise ConfigError(given, "what is sent apart from what is served", "correct `send` or `columns`")
    if not columns or not send:
        raise ConfigError(
            f"nothing to {'compare' if not columns else 'send'}",
            "features to compare, and other columns by which they are found",
            "name both: `params: {send: [customer], columns: [balance]}`; `data.ids` are sent by themselves",
        )
    require_columns(frame, (*columns, *send), what="the evaluation data")
    return columns, send


def _names(settings: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    given = settings.get(name)
    if given is None:
        return None
    if isinstance(given, str) or not given or not all(isinstance(each, str) for each in given):
        raise ConfigError(f"{name}: {given!r}", "a list of columns", "correct it")
    return tuple(given)


def _table(raw: Any, rows: int) -> pd.DataFrame:
    if is_polars(raw):
        raw = raw.to_pandas()
    with told_as(f"{WHO} is a {type(raw).__name__}", "a mapping of features for each row, or a frame"):
        found = pd.DataFrame(raw)
    if len(found) != rows:
        raise SourceError(f"{WHO} are features of {len(found)} rows for {rows} rows", "one mapping for each row")
    found.columns = [str(name) for name in found.columns]
    if not found.columns.is_unique:
        raise SourceError(f"{WHO} has two features of one name", "each name once", "rename one")
    return found


def _alike(offline: NDArray[Any], served: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return times of both sides as nanoseconds in UTC, None where there is none; all else as it is."""
    if offline.dtype.kind != "M":
        return offline, served
    return _moments(offline), _moments(served)


def _moments(values: NDArray[Any]) -> NDArray[Any]:
    each = pd.DatetimeIndex(values) if values.dtype.kind == "M" else values.tolist()
    return np.array([_moment(value) for value in each], dtype=object)


def _moment(value: Any) -> Any:
    """Return the nanoseconds of a time in UTC, None for none; what is no time becomes text, which differs from all times."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        found = pd.Timestamp(value) if isinstance(value, str | pd.Timestamp) else None
        return repr(value) if found is None else _in_utc(found).as_unit("ns").value
    except ValueError:
        return repr(value)


def _in_utc(time: pd.Timestamp) -> pd.Timestamp:
    return time if time.tzinfo is None else time.tz_convert("UTC")
