"""What one model answers for one frame, asked of it once, and the sample that a metric is computed from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.outputs import shown
from pytest_leanml.sources.predictor import class_scores, positive_scores
from pytest_leanml.sources.task import distinct, infer_task
from pytest_leanml.stats.samples import Sample, make_sample
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_leanml.sources.predictor import Predictor

TaskFacts = tuple[Task, tuple[Any, ...], Any]


class Answers:
    """A model's answers for one frame; itself a Predictor that remembers.

    Args:
        predictor: the model.
        frame: the rows.
        role: candidate or champion, for messages.
    """

    def __init__(self, predictor: Predictor, frame: Any, role: str = "candidate") -> None:
        self._predictor, self._frame, self.role = predictor, frame, role

    @property
    def digest(self) -> str:
        """Digest of the model."""
        return self._predictor.digest

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels in the order of the scores, None for a regression or where the model does not say."""
        return self._predictor.classes

    @cached_property
    def labels(self) -> NDArray[Any]:
        """Predicted labels or values, shape (n,)."""
        return self._predictor.predict(self._frame)

    @cached_property
    def probabilities(self) -> NDArray[np.float64] | None:
        """Scores as the model gives them, None without any."""
        return self._predictor.scores(self._frame)

    def predict(self, _frame: Any) -> NDArray[Any]:
        """Return the labels of the frame it was made for."""
        return self.labels

    def scores(self, _frame: Any) -> NDArray[np.float64] | None:
        """Return the scores of the frame it was made for."""
        return self.probabilities

    def known_classes(self) -> tuple[Any, ...] | None:
        """Return the labels the model knows; a model that tells them with its scores is asked for these."""
        if self.classes is None:
            _ = self.probabilities
        return self.classes

    def sample(self, truth: NDArray[Any], facts: TaskFacts, needs: str, weights: NDArray[Any] | None = None) -> Sample:
        """Return truth and answers.

        Args:
            truth: shape (n,).
            facts: task, classes and positive label, of ``task_of``.
            needs: "labels", "scores" or "values".
            weights: what each row counts, shape (n,); None for all the same.

        Raises:
            InconclusiveError: no row counts.
            MeasurementError: a weight is negative or no number.
            SourceError: scores are needed and the model has none.
        """
        task, classes, positive = facts
        if needs != "scores":
            return make_sample(task, truth, self.labels, classes=classes, positive=positive, weights=weights)
        scores = self.scores_for(facts)
        return make_sample(task, truth, scores=scores, classes=classes, positive=positive, weights=weights)

    def scores_for(self, facts: TaskFacts) -> NDArray[np.float64]:
        """Return P(positive) of shape (n,), or (n, k) in the order of the classes.

        Raises:
            SourceError: the model gives no scores.
        """
        task, classes, positive = facts
        scores = (
            positive_scores(self, self._frame, positive)
            if task is Task.BINARY
            else class_scores(self, self._frame, classes)
        )
        if scores is None:
            raise SourceError(
                f"the {self.role} gives no probabilities",
                "a model with `predict_proba`, or a predictions file with a score column",
                "measure a metric of labels instead (accuracy, precision, recall, f1_score)",
            )
        return scores


def task_of(truth: NDArray[Any], models: Sequence[Answers], *, task: str, positive: Any) -> TaskFacts:
    """Infer task, classes and positive label from the target and the labels that the models know.

    The first model says the task; of several classes, those that any of the models knows count.

    Raises:
        ConfigError: leanml.yaml must say the task or the positive label.
        SourceError: a model and the target speak of different labels.
    """
    for each in models:
        _demand_same_labels(truth, each)
    facts = infer_task(truth, task, positive, classes=models[0].known_classes())
    if facts[0] is not Task.MULTICLASS:
        return facts
    labels = {label: None for each in models for label in each.known_classes() or ()}
    return infer_task(truth, Task.MULTICLASS, positive, classes=list(labels))


def _demand_same_labels(truth: NDArray[Any], model: Answers) -> None:
    """Refuse labels that never meet: a champion that is wrong in every row would make any candidate look good."""
    known, found = model.known_classes(), set(distinct(truth))
    if known is None:
        return
    texts = {isinstance(label, str) for label in (*known, *found)}
    if len(texts) > 1 or not found & set(known):
        raise SourceError(
            f"the {model.role} knows the labels {shown(known)}, the target holds {shown(list(found))}",
            "the same labels, of the same type",
            "make data and models speak of the same labels",
        )
