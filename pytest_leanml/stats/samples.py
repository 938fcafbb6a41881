"""Truth, predictions and scores of the same rows, checked once so that no metric has to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

FEW_CLASSES = 16
SHOWN = 5
PIECE = 1 << 16
_BYTES = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What one model said about labelled rows. An invalid one cannot be built.

    Attributes:
        task: what the model predicts.
        y_true: shape (n,), the true labels or values.
        y_pred: shape (n,), predicted labels or values; None where only scores are known.
        scores: binary: shape (n,), a score that rises with P(positive); multiclass: shape (n, k), in the order of
            ``classes``; None where there are none. Only log loss and the Brier score demand probabilities.
        classes: the k labels; two of them for a binary task; empty for a regression.
        positive: the label that counts as positive in a binary task.
        weights: shape (n,), what each row counts, not negative and not all 0, brought to a largest of 1; None where all
            rows count the same, also where equal ones were given.
        true_codes: shape (n,), positions of ``y_true`` in ``classes``; None for a regression.
        pred_codes: shape (n,), positions of ``y_pred`` in ``classes``; None for a regression or without ``y_pred``.

    Raises:
        InconclusiveError: there is no row, or none of a weight above 0.
        MeasurementError: unequal lengths, a wrong shape, NaN, infinity, a negative weight, a label that is not among
            ``classes``.
    """

    task: Task
    y_true: npt.NDArray[Any]
    y_pred: npt.NDArray[Any] | None = None
    scores: FloatArray | None = None
    classes: tuple[Any, ...] = ()
    positive: Any = None
    weights: FloatArray | None = None
    true_codes: IntArray | None = field(init=False, repr=False, default=None)
    pred_codes: IntArray | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Check everything once and translate labels to codes."""
        _demand_rows(self.y_true)
        _demand_length(self.y_pred, len(self.y_true), "y_pred", dimensions=1)
        object.__setattr__(self, "weights", _weights(self.weights, len(self.y_true)))
        if self.task is Task.REGRESSION:
            _demand_values(self)
            return
        _demand_classes(self)
        _demand_scores(self)
        object.__setattr__(self, "true_codes", encode(self.y_true, self.classes, "y_true"))
        if self.y_pred is not None:
            object.__setattr__(self, "pred_codes", encode(self.y_pred, self.classes, "y_pred"))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y_true)

    @property
    def truth(self) -> BoolArray:
        """Rows that are positive; shape (n,), binary only."""
        return self._is_positive(self.true_codes)

    @property
    def selected(self) -> BoolArray:
        """Rows that are predicted positive; shape (n,), binary only."""
        return self._is_positive(self.pred_codes)

    def _is_positive(self, codes: IntArray | None) -> BoolArray:
        if codes is None or self.task is not Task.BINARY:
            msg = f"a {self.task} sample without the labels asked for"
            raise MeasurementError(msg, "a binary sample with y_pred")
        return np.asarray(codes == self.classes.index(self.positive))

    def take(self, rows: BoolArray | IntArray) -> Sample:
        """Return the sample of ``rows``, a mask of shape (n,) or positions.

        Raises:
            InconclusiveError: no row is left, or none of a weight above 0.
        """
        y_pred = None if self.y_pred is None else self.y_pred[rows]
        scores = None if self.scores is None else self.scores[rows]
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, y_true=self.y_true[rows], y_pred=y_pred, scores=scores, weights=weights)

    def counted(self) -> Sample:
        """Return the sample of the rows that have a weight above 0."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(self.weights > 0)


def make_sample(  # noqa: PLR0913 - the parts of a sample
    task: Task | str,
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike | None = None,
    scores: npt.ArrayLike | None = None,
    *,
    classes: Sequence[Any] = (),
    positive: Any = None,
    weights: npt.ArrayLike | None = None,
) -> Sample:
    """Build a Sample from anything that is like an array.

    Without ``classes`` they are the sorted labels of ``y_true`` and ``y_pred``; then a binary task needs ``positive``,
    unless the labels are {0, 1} or {False, True}, and multiclass scores are refused, since the order of their columns
    would be a guess.

    Args:
        task: binary, multiclass or regression.
        y_true: shape (n,).
        y_pred: shape (n,).
        scores: shape (n,) for a binary task, (n, k) for a multiclass one.
        classes: labels in the order of the scores' columns.
        positive: label that counts as positive in a binary task.
        weights: shape (n,), what each row counts; None for all the same.

    Raises:
        InconclusiveError: as for Sample.
        MeasurementError: as for Sample.
    """
    task = Task(task)
    shares = None if weights is None else as_floats(weights, "weights")
    truth = np.asarray(y_true)
    predicted = None if y_pred is None else np.asarray(y_pred)
    probabilities = None if scores is None else as_floats(scores, "scores")
    if task is Task.REGRESSION:
        values = None if predicted is None else as_floats(predicted, "y_pred")
        return Sample(task, as_floats(truth, "y_true"), values, probabilities, weights=shares)
    if task is Task.MULTICLASS and probabilities is not None and not len(classes):
        raise MeasurementError("multiclass scores without classes", "the labels in the order of the scores' columns")
    known = _natives(classes) if len(classes) else _labels_of(truth, predicted)
    if task is Task.BINARY:
        known, positive = _binary_classes(known, positive)
    return Sample(task, truth, predicted, probabilities, known, positive, shares)


def as_floats(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as finite float64.

    Raises:
        MeasurementError: a value is not a number, NaN or infinite.
    """
    try:
        floats = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MeasurementError(f"{name} holds values that are not numbers", "finite numbers") from error
    bad = floats.size - int(np.count_nonzero(np.isfinite(floats)))
    if bad:
        raise MeasurementError(
            f"{name}: {bad} of {floats.size} values are NaN or infinite",
            "finite numbers in every row",
            "find the rows where the model or the data yields no number; dropping them would hide them",
        )
    return floats


def encode(labels: npt.NDArray[Any], classes: Sequence[Any], name: str) -> IntArray:
    """Return the position in ``classes`` of each label; shape (n,).

    Labels are compared as Python compares them: 1, 1.0 and True are one label, 1 and "1" are two.

    Raises:
        MeasurementError: a label is missing or not among ``classes``.
    """
    if labels.dtype.kind in "biuf" and len(classes) <= FEW_CLASSES:
        codes = _compare(labels, classes)
    else:
        codes = _look_up(labels, classes, name)
    if codes.min(initial=0) < 0:
        unknown = codes < 0
        strange = ", ".join(list(dict.fromkeys(map(repr, labels[unknown].tolist())))[:SHOWN])
        raise MeasurementError(
            f"{name}: {int(unknown.sum())} of {len(labels)} labels are unknown: {strange}",
            f"labels among {', '.join(map(repr, classes[:SHOWN]))}{', ...' if len(classes) > SHOWN else ''}",
            "make data and model speak of the same labels, of the same type",
        )
    return codes


def are_positive(labels: npt.NDArray[Any], classes: Sequence[Any], positive: Any, name: str) -> BoolArray:
    """Return which of two labels each row has, shape (n,): what ``encode`` says, in a byte a row.

    Raises:
        MeasurementError: a label is missing or not among ``classes``.
    """
    if labels.dtype.kind in "biuf" and len(classes) == 2:  # noqa: PLR2004 - the negative and the positive one
        flags, negative = np.empty(len(labels), dtype=np.bool_), next(each for each in classes if each != positive)
        for start in range(0, len(labels), PIECE):
            part = labels[start : start + PIECE]
            flags[start : start + PIECE] = part == positive
            if not (flags[start : start + PIECE] | (part == negative)).all():
                break
        else:
            return flags
    return np.asarray(encode(labels, classes, name) == list(classes).index(positive))


def _compare(labels: npt.NDArray[Any], classes: Sequence[Any]) -> IntArray:
    """Compare numbers with each class, in pieces that stay in the cache; of labels of a byte, all that there can be."""
    if labels.dtype.itemsize == 1 and len(labels) > len(_BYTES):
        octets = np.ascontiguousarray(labels).view(np.uint8)
        # A boolean's bytes are 0 and 1.
        can_be = _BYTES[:2].astype(np.bool_) if labels.dtype.kind == "b" else _BYTES.view(labels.dtype)
        return _compare(can_be, classes)[octets]
    codes = np.empty(len(labels), dtype=np.intp)
    for start in range(0, len(labels), PIECE):
        part, found = labels[start : start + PIECE], codes[start : start + PIECE]
        found.fill(-1)
        for code, label in enumerate(classes):
            np.copyto(found, code, where=part == label)
    return codes


def _look_up(labels: npt.NDArray[Any], classes: Sequence[Any], name: str) -> IntArray:
    table = {label: code for code, label in enumerate(classes)}
    try:
        return np.fromiter((table.get(each, -1) for each in labels.tolist()), dtype=np.intp, count=len(labels))
    except TypeError as error:
        raise MeasurementError(f"{name} holds values that are no labels", "numbers, booleans or text") from error


def _natives(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(each.item() if isinstance(each, np.generic) else each for each in values)


def _labels_of(*arrays: npt.NDArray[Any] | None) -> tuple[Any, ...]:
    try:
        found = set[Any]().union(*(_distinct(array.ravel()) for array in arrays if array is not None))
        return tuple(sorted(found))
    except TypeError as error:
        raise MeasurementError(
            "labels of several types, or missing ones", "labels of one type in y_true and y_pred"
        ) from error


def _distinct(labels: npt.NDArray[Any]) -> list[Any]:
    """Return what a set of the labels is made of: of few numbers each once, as it comes first; else all of them."""
    if labels.dtype.kind not in "biuf" or not len(labels):
        return list(labels.tolist())
    found: list[Any] = []
    left = np.ones(len(labels), dtype=np.bool_)
    while left[place := int(left.argmax())]:
        label = labels[place]
        # NaN is no label, whoever is asked about it then; and many values are not searched for one by one.
        if np.isnan(label) or len(found) == FEW_CLASSES:
            return list(labels.tolist())
        found.append(label.item())
        left &= labels != label
    return found


def _binary_classes(classes: tuple[Any, ...], positive: Any) -> tuple[tuple[Any, ...], Any]:
    """Return (negative, positive) and the positive label, where they can be known."""
    if set(classes) <= {0, 1} and positive in (None, 0, 1):
        # {0, 1} equals {False, True}: one class alone still tells which the other one is.
        return (0, 1), 1 if positive is None else positive
    if len(classes) == 1:
        raise InconclusiveError(f"all rows are of the class {classes[0]!r}", "rows of both classes")
    if positive is None:
        raise MeasurementError(
            f"no positive label for the classes {', '.join(map(repr, classes))}",
            "the label that counts as positive",
            "name it with `positive`",
        )
    return classes, positive


def _demand_rows(y_true: npt.NDArray[Any]) -> None:
    if y_true.ndim != 1:
        raise MeasurementError(f"y_true has the shape {y_true.shape}", "one dimension")
    if not len(y_true):
        raise InconclusiveError(
            "no rows to measure", "at least one row", "look at the filter or the source of the data"
        )


def _demand_length(array: npt.NDArray[Any] | None, rows: int, name: str, *, dimensions: int) -> None:
    if array is not None and (array.ndim != dimensions or len(array) != rows):
        raise MeasurementError(
            f"{name} has the shape {array.shape}", f"{rows} rows like y_true, in {dimensions} dimension(s)"
        )


def _weights(given: FloatArray | None, rows: int) -> FloatArray | None:
    """Return weights whose largest is 1, so that their squares fit a float; None where they do not differ."""
    if given is None:
        return None
    _demand_length(given, rows, "weights", dimensions=1)
    weights = as_floats(given, "weights")
    low, high = float(weights.min()), float(weights.max())
    if low < 0:
        raise MeasurementError(
            f"{int((weights < 0).sum())} of {rows} weights are negative, down to {low:.6g}",
            "weights of 0 or more",
            "correct the column under `data.weights`",
        )
    if high == 0:
        raise InconclusiveError(f"all {rows} rows have the weight 0", "at least one row that counts")
    return None if low == high else weights / high


def _demand_values(sample: Sample) -> None:
    as_floats(sample.y_true, "y_true")
    if sample.y_pred is not None:
        as_floats(sample.y_pred, "y_pred")


def _demand_classes(sample: Sample) -> None:
    classes = sample.classes
    if len(set(classes)) != len(classes) or (sample.task is Task.BINARY and len(classes) != 2):  # noqa: PLR2004
        raise MeasurementError(
            f"classes {classes!r} for a {sample.task} task", "distinct labels, two of them for a binary task"
        )
    if sample.task is Task.BINARY and sample.positive not in classes:
        raise MeasurementError(f"positive label {sample.positive!r}", f"one of {classes!r}")


def _demand_scores(sample: Sample) -> None:
    if sample.scores is None:
        return
    binary = sample.task is Task.BINARY
    _demand_length(sample.scores, len(sample.y_true), "scores", dimensions=1 if binary else 2)
    if not binary and sample.scores.shape[1] != len(sample.classes):
        raise MeasurementError(
            f"scores have {sample.scores.shape[1]} columns", f"one for each of {len(sample.classes)} classes"
        )
    as_floats(sample.scores, "scores")
