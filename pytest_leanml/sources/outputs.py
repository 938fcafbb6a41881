"""What a model answered, checked before anything is measured on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import MeasurementError, SourceError
from pytest_leanml.sources.faults import told_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROUNDING = 1e-3  # probabilities in 32-bit floats, summed over many classes or trees


def checked_predictions(raw: Any, rows: int, *, who: str, classes: Sequence[Any] | None = None) -> NDArray[Any]:
    """Check predictions: one per row, none missing, numbers finite, labels known to the model.

    Args:
        raw: what ``predict`` returned: (n,) or (n, 1), a frame of one column, a list.
        rows: n.
        who: the model, for messages.
        classes: the labels the model knows, if it says so.

    Returns:
        Shape (n,): numbers or booleans in their own dtype, text as objects.

    Raises:
        SourceError: another shape or length, or a label that the model does not know.
        MeasurementError: a prediction is missing or infinite.
    """
    values = _one_column(raw, who)
    _same_length(values, rows, who, "predictions")
    _refuse_missing(values, who, "predictions")
    if classes is not None:
        known = set(classes)
        unknown = [value for value in dict.fromkeys(values.tolist()) if value not in known]
        if unknown:
            raise SourceError(f"{who} predicted {unknown[0]!r}", f"one of its own labels: {shown(classes)}")
    return values


def _one_column(raw: Any, who: str) -> NDArray[Any]:
    values = _array(raw, who)
    if values.ndim == 2 and values.shape[1] == 1:  # noqa: PLR2004 - two axes
        values = values[:, 0]
    if values.ndim != 1:
        raise SourceError(
            f"{who} returned predictions of shape {values.shape}",
            "one prediction for each row",
            "let `predict` return labels or values; probabilities belong into `predict_proba`",
        )
    if values.dtype.kind in "US":
        return values.astype(object)
    if values.dtype.kind not in "Obiuf":
        raise SourceError(f"{who} returned predictions of type {values.dtype}", "numbers, booleans or text")
    return values


def _same_length(values: NDArray[Any], rows: int, who: str, what: str) -> None:
    if len(values) != rows:
        raise SourceError(f"{who} returned {len(values)} {what} for {rows} rows", "one for each row, in their order")


def _refuse_missing(values: NDArray[Any], who: str, what: str) -> None:
    bad = int(np.count_nonzero(pd.isna(values) | _infinite(values)))
    if bad:
        raise MeasurementError(
            f"{bad} of {len(values)} {what} of {who} are missing, NaN or infinite",
            "a finite number or a label for each row",
            "look for missing features in these rows, or for a model that diverged",
        )


def _infinite(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isinf(values))
    return np.array([isinstance(value, float) and math.isinf(value) for value in values], dtype=bool)


def _array(raw: Any, who: str) -> NDArray[Any]:
    with told_as(f"{who} returned a {type(raw).__name__} that is no array", "one prediction for each row"):
        return np.asarray(raw)


def checked_scores(raw: Any, rows: int, *, who: str, classes: Sequence[Any] | None) -> NDArray[np.float64]:
    """Check probabilities: a row for each row, a column for each class, finite, within 0 to 1, adding up to 1.

    Args:
        raw: (n,) probabilities of one class, or (n, k) in the order of ``classes``.
        rows: n.
        who: the model, for messages.
        classes: k labels; None where (n,) is the probability of the positive class.

    Returns:
        (n,) of P(classes[1]) for two classes or none given, else (n, k).

    Raises:
        SourceError: another shape or length, no numbers.
        MeasurementError: NaN, infinite or no probabilities.
    """
    values = _numbers(raw, who)
    if values.ndim == 2 and values.shape[1] == 1 and classes is None:  # noqa: PLR2004 - two axes
        values = values[:, 0]
    _same_length(values, rows, who, "scores")
    _refuse_missing(values.ravel(), who, "scores")
    _refuse_wild(values, who)
    if values.ndim == 1:
        return np.clip(values, 0.0, 1.0)
    return _by_class(values, who, classes)


def _numbers(raw: Any, who: str) -> NDArray[np.float64]:
    values = _array(raw, who)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise SourceError(
            f"{who} returned scores of type {values.dtype} and shape {values.shape}",
            "numbers: (rows,) of the positive class, or (rows, classes)",
            "let `predict_proba` return probabilities",
        )
    return values.astype(np.float64)


def _refuse_wild(values: NDArray[np.float64], who: str) -> None:
    bad = int(np.count_nonzero((values < -ROUNDING) | (values > 1 + ROUNDING)))
    if bad:
        raise MeasurementError(
            f"{bad} of {values.size} scores of {who} lie outside of 0 to 1 ({values.min():g} to {values.max():g})",
            "probabilities",
            "pass margins or per cent through a calibration first",
        )


def _by_class(values: NDArray[np.float64], who: str, classes: Sequence[Any] | None) -> NDArray[np.float64]:
    if classes is None:
        raise SourceError(
            f"{who} returned {values.shape[1]} scores per row but names no classes",
            "`classes_`: the labels in the order of the columns",
            "give the model `classes_`, or return the probability of the positive class alone",
        )
    if values.shape[1] != len(classes):
        raise SourceError(f"{who} returned {values.shape[1]} scores per row", f"one for each of {shown(classes)}")
    off = int(np.count_nonzero(np.abs(values.sum(axis=1) - 1) > ROUNDING))
    if off:
        raise MeasurementError(
            f"the scores of {off} of {len(values)} rows of {who} do not add up to 1",
            "the probabilities of classes of which exactly one is true",
            "several labels at once are not supported",
        )
    values = np.clip(values, 0.0, 1.0)
    return values[:, 1] if len(classes) == 2 else values  # noqa: PLR2004 - binary


def shown(labels: Sequence[Any]) -> str:
    """Return up to ten labels for a message."""
    return ", ".join(repr(label) for label in labels[:10]) + (", ..." if len(labels) > 10 else "")  # noqa: PLR2004 - ten
