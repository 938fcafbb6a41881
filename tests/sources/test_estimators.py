from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.estimators import EstimatorPredictor

DROP = ("late", "row", "origin")
NUMBERS = ["dep_delay", "distance"]


def wrap(model, **settings) -> EstimatorPredictor:
    return EstimatorPredictor(model, "sha256:0", **{"drop": DROP, **settings})


def test_a_regression(rows):
    model = LinearRegression().fit(rows[["distance"]], rows["dep_delay"])
    found = wrap(model)
    np.testing.assert_array_equal(found.predict(rows), model.predict(rows[["distance"]]))
    assert found.scores(rows) is None
    assert found.classes is None


def test_columns_in_another_order_and_more_of_them(rows):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    shuffled = rows[["late", "distance", "origin", "dep_delay", "row"]]
    assert wrap(model).predict(shuffled).tolist() == model.predict(rows[NUMBERS]).tolist()
    assert wrap(model).predict(pl.from_pandas(shuffled)).tolist() == model.predict(rows[NUMBERS]).tolist()


def test_fitted_on_an_array(rows):
    model = LogisticRegression().fit(rows[NUMBERS].to_numpy(), rows["late"])
    assert wrap(model).predict(rows).tolist() == model.predict(rows[NUMBERS].to_numpy()).tolist()
    swapped = wrap(model, names=("dep_delay", "distance"))
    assert swapped.predict(rows[["distance", "dep_delay"]]).tolist() == wrap(model).predict(rows).tolist()
    with pytest.raises(SourceError, match=r"fitted on 2 unnamed features, the data has 3 \(row, dep_delay, distance\)"):
        wrap(model, drop=("late", "origin")).predict(rows)


def test_a_search_is_a_model(rows):
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=2).fit(rows[NUMBERS], rows["late"])
    assert wrap(search).classes == ("late", "ok")
    assert wrap(search).scores(rows).shape == (200,)


def test_no_probabilities(rows):
    model = LinearSVC().fit(rows[NUMBERS], rows["late"])
    assert wrap(model).scores(rows) is None
    assert set(wrap(model).predict(rows)) == {"late", "ok"}


def test_one_class_only(rows):
    model = DummyClassifier().fit(rows[NUMBERS], ["ok"] * 200)
    assert wrap(model).classes == ("ok",)
    assert wrap(model).scores(rows).shape == (200, 1)


def test_classes_are_plain_values(rows):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"] == "late")
    assert [type(label) for label in wrap(model).classes] == [bool, bool]


def test_several_targets(rows):
    model = KNeighborsClassifier().fit(rows[NUMBERS], rows[["late", "origin"]])
    with pytest.raises(SourceError, match="several targets"):
        wrap(model).predict(rows)


def test_missing_features_are_named(rows):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    with pytest.raises(SourceError, match=r"no column `distance` \(did you mean `distances`\?\)"):
        wrap(model).predict(rows.rename(columns={"distance": "distances"}))


def test_a_model_that_was_told_the_answer(rows):
    model = LogisticRegression().fit(rows[[*NUMBERS, "row"]], rows["late"])
    with pytest.raises(SourceError, match="trained on the column `row`"):
        wrap(model).predict(rows)


def test_no_rows(rows):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    with pytest.raises(InconclusiveError, match="no rows"):
        wrap(model).predict(rows[:0])


def test_a_model_that_fails(rows):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    with pytest.raises(SourceError, match="failed in predict: ValueError"):
        wrap(model).predict(rows.assign(distance=np.nan))
    with pytest.raises(SourceError, match="failed in predict: NotFittedError"):
        wrap(LogisticRegression()).predict(rows)


class Answers:
    """A model of given answers."""

    def __init__(self, predictions=None, scores=None, classes=None):
        self.predictions, self.answer = predictions, scores
        if classes is not None:
            self.classes_ = classes

    def predict(self, frame):
        return self.predictions

    def predict_proba(self, frame):
        return self.answer


FOUR = pd.DataFrame({"a": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("predictions", "error"),
    [
        ([0, 1, 0], SourceError),
        ([0, 1, 0, 2], SourceError),
        ([0, 1, 0, np.nan], MeasurementError),
        (None, SourceError),
        ("text", SourceError),
    ],
)
def test_wrong_predictions(predictions, error):
    with pytest.raises(error):
        wrap(Answers(predictions, classes=[0, 1])).predict(FOUR)


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        ([0.1, 0.2, 0.3], SourceError),
        ([0.1, 0.2, 0.3, np.nan], MeasurementError),
        ([0.1, 0.2, 0.3, np.inf], MeasurementError),
        ([0.1, 0.2, 0.3, 85], MeasurementError),
        (["a", "b", "c", "d"], SourceError),
        (np.full((4, 3), 1 / 3), SourceError),
        ([np.full((4, 2), 0.5)] * 2, SourceError),
        (None, SourceError),
    ],
)
def test_wrong_scores(scores, error):
    with pytest.raises(error):
        wrap(Answers(scores=scores, classes=[0, 1])).scores(FOUR)


def test_two_columns_without_classes_are_refused():
    with pytest.raises(SourceError, match="names no classes"):
        wrap(Answers(scores=np.full((4, 2), 0.5))).scores(FOUR)
    assert wrap(Answers(scores=[0.5] * 4)).scores(FOUR).tolist() == [0.5] * 4


def test_a_projects_own_object_gets_the_frame_it_made():
    class Asks(Answers):
        def predict(self, frame):
            self.seen = frame
            return [0] * 4

    model = Asks()
    wrap(model, native=True).predict(pl.from_pandas(FOUR))
    assert isinstance(model.seen, pl.DataFrame)
    wrap(model).predict(pl.from_pandas(FOUR))
    assert isinstance(model.seen, pd.DataFrame)


def test_faults_that_are_no_faults_pass_through():
    class Stops(Answers):
        def predict(self, frame):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wrap(Stops()).predict(FOUR)
