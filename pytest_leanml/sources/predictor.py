"""What the checks ask of a model, whatever it is made of, and which way round its scores are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.outputs import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Predictor(Protocol):
    """A model that can be judged.

    Attributes:
        digest: ``sha256:...`` of what was loaded.
        classes: its labels in the order of its scores; None for a regression, a bare score, or where they are known
            only after the first call of ``scores`` (ONNX).
    """

    @property
    def digest(self) -> str:
        """Return ``sha256:...`` of what was loaded."""
        ...

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Return the labels in the order of the scores."""
        ...

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return labels or values of shape (n,), each finite or a known label.

        Raises:
            SourceError: features are missing, the model failed, or its answer has another shape.
            MeasurementError: an answer is missing, NaN or infinite.
            InconclusiveError: the frame has no rows.
        """
        ...

    def scores(self, frame: Any) -> NDArray[np.float64] | None:
        """Return probabilities: (n,) of ``classes[1]`` for two classes, (n, k) for more; None without any.

        With ``classes`` None the scores are (n,) and P(positive), whichever label that is.

        Raises:
            SourceError: as ``predict``.
            MeasurementError: a score is NaN, infinite or no probability.
            InconclusiveError: the frame has no rows.
        """
        ...


def positive_scores(predictor: Predictor, frame: Any, positive: Any) -> NDArray[np.float64] | None:
    """Return P(positive), shape (n,), whichever way round the model's classes are; None without probabilities.

    Raises:
        SourceError: ``positive`` is not one of the model's two classes; else as ``Predictor.scores``.
    """
    scores = predictor.scores(frame)
    classes = predictor.classes  # after scores: an ONNX model's classes are known only then
    if scores is None:
        return None
    if classes is None and scores.ndim == 1:
        return scores
    if scores.ndim != 1 or classes is None or len(classes) != 2:  # noqa: PLR2004 - binary
        raise SourceError(
            f"the model knows the classes {shown(classes or ())}", f"two classes, one of them {positive!r}"
        )
    place = place_of(positive, classes)
    return scores if place == 1 else 1.0 - scores


def class_scores(predictor: Predictor, frame: Any, classes: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return probabilities of shape (n, k) in the order of ``classes``; None without probabilities.

    A class that the model does not know has probability 0.

    Raises:
        SourceError: the model knows a class that is not in ``classes``, or names none; else as ``Predictor.scores``.
    """
    scores = predictor.scores(frame)
    known = predictor.classes
    if scores is None:
        return None
    if known is None:
        raise SourceError("the scores name no classes", f"one score for each of {shown(classes)}")
    columns = np.column_stack([1.0 - scores, scores]) if scores.ndim == 1 else scores
    ordered = np.zeros((len(columns), len(classes)))
    for place, label in enumerate(known):
        ordered[:, place_of(label, classes)] = columns[:, place]
    return ordered


def place_of(label: Any, classes: Sequence[Any]) -> int:
    """Return the place of ``label`` in ``classes``: equal, and text only equals text.

    Raises:
        SourceError: it is not there.
    """
    for place, known in enumerate(classes):
        if known == label and isinstance(known, str) == isinstance(label, str):
            return place
    raise SourceError(
        f"{label!r} is no class of the model",
        f"one of {shown(classes)}",
        "correct `model.positive` or the labels; a quoted number is text in YAML",
    )
