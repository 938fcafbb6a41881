"""Which columns the candidate is given, as far as it says, and whether a column tells rows apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.columns import column, column_names
from pytest_leanml.sources.estimators import EstimatorPredictor, FunctionPredictor
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.onnx_files import OnnxPredictor
from pytest_leanml.sources.predictions import PredictionsFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.checks.study import Study

LEAST_ROWS = 30


def known_features(study: Study, frame: Any) -> tuple[str, ...]:
    """Return the columns that the candidate is given: those that it names, else all but target and ids.

    Raises:
        InconclusiveError: a predictions file, which does not say what it was made from, or no feature at all.
    """
    candidate = study.candidate()
    if isinstance(candidate, PredictionsFile):
        raise InconclusiveError(
            "a predictions file does not say which features it was made from",
            "a model that can be loaded",
            "record the count with `evidence.record`, or remove the check",
        )
    settings, names = study.settings, column_names(frame)
    named = _named(candidate, names)
    apart = {settings.target, settings.weights, *settings.ids}
    found = named if named is not None else tuple(name for name in names if name not in apart)
    if not found:
        raise InconclusiveError("the candidate has no features", "at least one", "look at the model's signature")
    return found


def _named(candidate: object, names: Sequence[str]) -> tuple[str, ...] | None:
    if isinstance(candidate, EstimatorPredictor):
        own = getattr(candidate.model, "feature_names_in_", None)
        return candidate.names if own is None else tuple(str(name) for name in own)
    if isinstance(candidate, FunctionPredictor):
        return candidate.names
    return candidate.features(names) if isinstance(candidate, OnnxPredictor) else None


def tells_rows_apart(frame: Any, name: str) -> tuple[float, int]:
    """Return the share of distinct values among those present, and how many are present; 0 for measured numbers.

    Of fewer than 30 present ones the share is of 30: a column that is empty but for a few rows tells no others apart.

    Raises:
        InconclusiveError: fewer than 30 rows, which differ by chance.
        SourceError: values that cannot be compared with each other, such as lists.
    """
    values = column(frame, name)
    if len(values) < LEAST_ROWS:
        raise InconclusiveError(
            f"{len(values)} rows: in so few, values are distinct by chance", f"at least {LEAST_ROWS} rows"
        )
    present = values[~pd.isna(values)]
    if not len(present) or values.dtype.kind in "bMm" or (present.dtype.kind == "f" and not _whole(present)):
        return 0.0, len(present)
    with told_as(f"the values of `{name}` cannot be told apart", "plain values", "drop the column"):
        distinct = len(pd.unique(present))
    return distinct / max(len(present), LEAST_ROWS), len(present)


def _whole(values: Any) -> bool:
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())
