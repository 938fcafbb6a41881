"""Which columns a model is given: those it was trained on, never the target or an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import InconclusiveError, SourceError
from pytest_leanml.sources.columns import column_names, is_numeric, require_columns, row_count, select

if TYPE_CHECKING:
    from collections.abc import Sequence


def feature_frame(frame: Any, wanted: Sequence[str] | None, drop: Sequence[str]) -> Any:
    """Return the model's columns in the model's order, or all but ``drop`` where it names none.

    Raises:
        SourceError: a column is absent, or the model wants one of ``drop``: it would be told the answer.
        InconclusiveError: no rows.
    """
    if row_count(frame) == 0:
        raise InconclusiveError("there are no rows to predict", "at least one row", "correct the data or the filter")
    if wanted is None:
        return select(frame, [name for name in column_names(frame) if name not in drop])
    told = [name for name in wanted if name in drop]
    if told:
        raise SourceError(
            f"the model was trained on the column `{told[0]}`",
            "features only: that column is the target, an id or a weight",
            "train without it, or correct `data.target`, `data.ids` or `data.weights`",
        )
    require_columns(frame, wanted, what="the data for the model")
    return select(frame, wanted)


def for_estimator(frame: Any, model: Any, names: Sequence[str] | None, drop: Sequence[str]) -> Any:
    """Return what to call a scikit-learn-like estimator with.

    Its own ``feature_names_in_`` win over ``names`` (an MLflow signature's). One that was fitted on a plain array has
    ``n_features_in_`` alone and gets an array of as many columns, in the frame's order.

    Raises:
        SourceError: a column is absent, or there are more or fewer than the estimator was fitted on.
        InconclusiveError: no rows.
    """
    own = getattr(model, "feature_names_in_", None)
    wanted = names if own is None else [str(name) for name in own]
    features = feature_frame(frame, wanted, drop)
    count = getattr(model, "n_features_in_", None)
    if own is not None or not isinstance(count, int):
        return features
    found = column_names(features)
    if len(found) != count:
        raise SourceError(
            f"the model was fitted on {count} unnamed features, the data has {len(found)} ({', '.join(found[:12])})",
            f"{count} columns beside target, ids and weights",
            "fit it on a DataFrame, so that it knows their names, or keep only these columns",
        )
    return features.to_numpy() if all(is_numeric(features, name) for name in found) else features
