from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.digest import digest_file
from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.predictions import load_predictions
from pytest_leanml.sources.predictor import class_scores, positive_scores

ROWS = pd.DataFrame({"id": [10, 11, 12], "day": ["a", "a", "b"], "y": [0, 1, 1]})


def write(path, **columns):
    pd.DataFrame(columns).to_csv(path / "p.csv", index=False)
    return path / "p.csv"


def test_in_the_order_of_the_rows(tmp_path):
    path = write(tmp_path, prediction=[0, 1, 1], score=[0.1, 0.8, 0.9])
    found = load_predictions(path)
    assert found.predict(ROWS).tolist() == [0, 1, 1]
    assert positive_scores(found, ROWS, 1).tolist() == [0.1, 0.8, 0.9]
    assert found.classes is None
    assert found.digest == digest_file(path)
    assert load_predictions(path, digest=found.digest).digest == found.digest
    with pytest.raises(SourceError, match="has the digest"):
        load_predictions(path, digest="sha256:0")


def test_columns_of_other_names(tmp_path):
    found = load_predictions(write(tmp_path, guess=["a", "b", "a"]), columns={"prediction": "guess"})
    assert found.predict(ROWS).tolist() == ["a", "b", "a"]
    assert found.scores(ROWS) is None


def test_scores_alone(tmp_path):
    found = load_predictions(write(tmp_path, p=[0.1, 0.8, 0.9]), columns={"score": "p"})
    assert found.scores(ROWS).tolist() == [0.1, 0.8, 0.9]
    with pytest.raises(SourceError, match="no column `prediction`"):
        found.predict(ROWS)


def test_neither(tmp_path):
    with pytest.raises(SourceError, match="no column `prediction`"):
        load_predictions(write(tmp_path, x=[1]))


def test_joined_by_ids_in_any_order(tmp_path):
    path = write(tmp_path, id=[12, 10, 11], day=["b", "a", "a"], prediction=[1, 0, 1], score=[0.9, 0.1, 0.8])
    for ids in (["id"], ["day", "id"]):
        found = load_predictions(path, ids=ids)
        assert found.predict(ROWS).tolist() == [0, 1, 1]
        assert found.scores(ROWS).tolist() == [0.1, 0.8, 0.9]
    assert load_predictions(path).predict(ROWS).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"id": [10, 11, 13], "prediction": [0, 1, 1]}, "no prediction for the row with id = 12"),
        ({"id": [10, 11, 11], "prediction": [0, 1, 1]}, "the ids id repeat"),
        ({"prediction": [0, 1, 1]}, "no column `id`"),
        ({"id": ["10", "11", "x"], "prediction": [0, 1, 1]}, "no prediction for the row with id = 10"),
    ],
)
def test_ids_that_do_not_join(tmp_path, columns, match):
    with pytest.raises(SourceError, match=match):
        load_predictions(write(tmp_path, **columns), ids=["id"]).predict(ROWS)


def test_evaluation_rows_without_ids(tmp_path):
    path = write(tmp_path, id=[10, 11, 12], prediction=[0, 1, 1])
    with pytest.raises(SourceError, match="the evaluation data has no column `id`"):
        load_predictions(path, ids=["id"]).predict(ROWS[["y"]])


@pytest.mark.parametrize("count", [0, 2, 4])
@pytest.mark.parametrize("ids", [[], ["id"]])
def test_another_number_of_rows(tmp_path, count, ids):
    path = write(tmp_path, id=range(10, 10 + count), prediction=[1] * count)
    with pytest.raises(SourceError, match=f"{count} predictions for 3 evaluation rows"):
        load_predictions(path, ids=ids).predict(ROWS)


def test_no_evaluation_rows(tmp_path):
    with pytest.raises(InconclusiveError):
        load_predictions(write(tmp_path, prediction=[1])).predict(ROWS[:0])


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"prediction": [0, None, 1]}, MeasurementError),
        ({"prediction": ["a", "", "b"]}, MeasurementError),
        ({"prediction": [0.5, np.inf, 1]}, MeasurementError),
    ],
)
def test_missing_predictions(tmp_path, columns, error):
    with pytest.raises(error):
        load_predictions(write(tmp_path, **columns)).predict(ROWS)


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        ([0.1, None, 0.9], MeasurementError),
        ([0.1, np.inf, 0.9], MeasurementError),
        ([10, 80, 90], MeasurementError),
        (["low", "high", "high"], SourceError),
        ([True, False, True], SourceError),
    ],
)
def test_wrong_scores(tmp_path, scores, error):
    with pytest.raises(error):
        load_predictions(write(tmp_path, prediction=[0, 1, 1], score=scores)).scores(ROWS)


@pytest.mark.parametrize(
    ("labels", "typed"),
    [(["a", "b", "c"], ("a", "b", "c")), ([0, 1, 2], (0, 1, 2)), ([0.5, 1.0, 2.0], (0.5, 1.0, 2.0))],
)
def test_a_score_for_each_label(tmp_path, labels, typed):
    scores = {f"score_{label}": values for label, values in zip(labels, np.eye(3).tolist(), strict=True)}
    found = load_predictions(write(tmp_path, prediction=labels, **scores))
    assert found.classes == typed
    assert class_scores(found, ROWS, typed[::-1]).tolist() == np.eye(3)[:, ::-1].tolist()


def test_two_labels_with_a_score_each(tmp_path):
    path = write(tmp_path, prediction=[True, False, True], score_False=[0.2, 0.7, 0.1], score_True=[0.8, 0.3, 0.9])
    found = load_predictions(path)
    assert found.classes == (False, True)
    assert positive_scores(found, ROWS, positive=True).tolist() == [0.8, 0.3, 0.9]


def test_labels_without_predictions_are_text(tmp_path):
    found = load_predictions(write(tmp_path, score_0=[0.2, 0.7, 0.1], score_1=[0.8, 0.3, 0.9]))
    assert found.classes == ("0", "1")


def test_labels_of_another_type_than_the_predictions(tmp_path):
    found = load_predictions(write(tmp_path, prediction=[0, 1, 1], score_a=[1, 1, 1], score_b=[0, 0, 0]))
    with pytest.raises(SourceError, match="differs in type"):
        found.scores(ROWS)


def test_the_file_itself(tmp_path):
    with pytest.raises(SourceError, match="the predictions data is not there"):
        load_predictions(tmp_path / "no.parquet")
