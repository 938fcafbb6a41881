from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.models import as_predictor
from pytest_leanml.sources.predictor import class_scores, place_of, positive_scores


@dataclass
class Given:
    """A Predictor of given answers."""

    answer: list | None
    classes: tuple | None
    digest: str = "sha256:0"
    asked: list = field(default_factory=list)

    def predict(self, frame):
        raise NotImplementedError

    def scores(self, frame):
        return None if self.answer is None else np.array(self.answer)


@pytest.mark.parametrize(
    ("classes", "positive", "expected"),
    [
        (("late", "ok"), "ok", [0.2, 0.9]),
        (("late", "ok"), "late", [0.8, 0.1]),
        ((0, 1), 1, [0.2, 0.9]),
        ((0, 1), 0, [0.8, 0.1]),
        ((False, True), True, [0.2, 0.9]),
        ((0, 1), True, [0.2, 0.9]),
        ((1, 0), 1, [0.8, 0.1]),
        (None, "late", [0.2, 0.9]),
    ],
)
def test_positive_scores(classes, positive, expected):
    np.testing.assert_allclose(
        positive_scores(Given([0.2, 0.9], classes), None, positive), expected, rtol=0, atol=1e-15
    )


@pytest.mark.parametrize(
    ("answer", "classes", "positive"),
    [
        ([0.2], ("late", "ok"), "lat"),
        ([0.2], (0, 1), "1"),
        ([0.2], ("0", "1"), 1),
        ([[0.2, 0.3, 0.5]], ("a", "b", "c"), "a"),
        ([[1.0]], ("a",), "a"),
        ([[0.2, 0.8]], None, "a"),
    ],
)
def test_a_positive_label_that_is_not_one_of_two(answer, classes, positive):
    with pytest.raises(SourceError):
        positive_scores(Given(answer, classes), None, positive)


def test_no_scores():
    assert positive_scores(Given(None, ("a", "b")), None, "a") is None
    assert class_scores(Given(None, ("a", "b")), None, ("a", "b")) is None


def test_class_scores_in_the_order_asked():
    three = Given([[0.2, 0.3, 0.5]], ("a", "b", "c"))
    assert class_scores(three, None, ("c", "a", "b")).tolist() == [[0.5, 0.2, 0.3]]
    assert class_scores(three, None, ("a", "x", "b", "c")).tolist() == [[0.2, 0.0, 0.3, 0.5]]
    np.testing.assert_allclose(class_scores(Given([0.25], ("a", "b")), None, ("b", "a")), [[0.25, 0.75]])
    with pytest.raises(SourceError, match="'c' is no class"):
        class_scores(three, None, ("a", "b"))
    with pytest.raises(SourceError, match="name no classes"):
        class_scores(Given([0.5], None), None, ("a", "b"))


def test_agrees_with_scikit_learn(rows):
    features = rows[["dep_delay", "distance"]]
    two = LogisticRegression().fit(features, rows["late"])
    three = LogisticRegression().fit(features, rows["origin"])
    probabilities = two.predict_proba(features)
    for place, label in enumerate(two.classes_):
        found = positive_scores(as_predictor(two), rows, label)
        np.testing.assert_allclose(found, probabilities[:, place], rtol=0, atol=1e-15)
    found = class_scores(as_predictor(three), rows, ("LGA", "EWR", "JFK"))
    np.testing.assert_array_equal(found, three.predict_proba(features)[:, [2, 0, 1]])


def test_place_of():
    assert place_of("b", ("a", "b")) == 1
    with pytest.raises(SourceError, match="quoted number"):
        place_of("1", (0, 1))
