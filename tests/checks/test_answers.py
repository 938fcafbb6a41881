from __future__ import annotations

import numpy as np

from pytest_leanml.checks.answers import Answers


def test_it_is_the_model_for_one_frame(frame, told):
    model = told("sha256:seven")
    answers = Answers(model, frame, "champion")
    other = frame.iloc[::-1]
    assert (answers.digest, answers.classes, answers.role) == ("sha256:seven", (0, 1), "champion")
    for _ in range(2):
        np.testing.assert_array_equal(answers.predict(other), frame["answer"])
        np.testing.assert_array_equal(answers.scores(other), frame["score"])
    assert model.asked == {"predict": 1, "scores": 1}


def test_scores_are_asked_for_only_where_the_model_does_not_say_its_classes(frame, told):
    model = told()
    assert Answers(model, frame).known_classes() == (0, 1)
    assert model.asked["scores"] == 0
    silent = told(classes=None)
    assert Answers(silent, frame).known_classes() is None
    assert silent.asked["scores"] == 1
