"""What one model answers for one frame, asked of it once, and the sample that a metric is computed from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.predictor import class_scores, positive_scores
from pytest_leanml.sources.task import infer_task
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

    def sample(self, truth: NDArray[Any], facts: TaskFacts, needs: str) -> Sample:
        """Return truth and answers.

        Args:
            truth: shape (n,).
            facts: task, classes and positive label, of ``task_of``.
            needs: "labels", "scores" or "values".

        Raises:
            SourceError: scores are needed and the model has none.
        """
        task, classes, positive = facts
        if needs != "scores":
            return make_sample(task, truth, self.labels, classes=classes, positive=positive)
        return make_sample(task, truth, scores=self.scores_for(facts), classes=classes, positive=positive)

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

    Raises:
        ConfigError: leanml.yaml must say the task or the positive label.
    """
    known = [each.known_classes() for each in models]
    labels = [label for classes in known if classes is not None for label in classes]
    return infer_task(truth, task, positive, classes=labels if any(each is not None for each in known) else None)
