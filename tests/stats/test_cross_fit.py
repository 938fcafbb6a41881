from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.cross_fit import fold_auc
from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import make_sample


def drawn(rows=200, shift=0.7, seed=0):
    draw = np.random.default_rng(seed)
    truth = np.arange(rows) % 2 == 1
    return truth, draw.normal(size=rows) + shift * truth, np.arange(rows) // 2 % 4


def test_it_is_the_mean_of_scikit_learns_areas():
    truth, scores, folds = drawn()
    known = [roc_auc_score(truth[folds == each], scores[folds == each]) for each in range(4)]
    found = fold_auc(truth, scores, folds)
    assert found.value == pytest.approx(np.mean(known), abs=1e-12)
    assert (found.n, found.details["folds"], found.interval) == (200, 4.0, "delong-logit over folds")
    assert found.low < found.value < found.high


def test_scores_of_two_folds_are_not_mixed():
    """A model that scores higher throughout is no worse for it."""
    truth, scores, folds = drawn()
    assert fold_auc(truth, scores + 100 * folds, folds).value == pytest.approx(fold_auc(truth, scores, folds).value)


def test_of_one_fold_the_error_is_delongs():
    truth, scores, _ = drawn()
    found = fold_auc(truth, scores, np.zeros(200, dtype=int))
    known = measure("roc_auc", make_sample("binary", truth.astype(int), scores=scores), confidence=0.95, seed=0)
    assert found.value == pytest.approx(known.value)
    assert found.details["standard_error"] == pytest.approx(known.details["standard_error"])


@pytest.mark.parametrize(
    ("scores", "area"), [(np.arange(40.0) % 2, 1.0), (np.zeros(40), 0.5), (-(np.arange(40.0) % 2), 0.0)]
)
def test_without_scatter_the_interval_has_width(scores, area):
    found = fold_auc(np.arange(40) % 2 == 1, scores, np.arange(40) // 2 % 2)
    assert found.value == area
    assert found.interval == "hanley-mcneil"
    assert found.high - found.low > 0.05


def test_a_fold_of_one_class_is_inconclusive():
    with pytest.raises(InconclusiveError, match="fewer than two rows of a class"):
        fold_auc(np.arange(10) < 5, np.arange(10.0), np.arange(10) // 5)


def test_a_level_out_of_range():
    truth, scores, folds = drawn()
    with pytest.raises(MeasurementError):
        fold_auc(truth, scores, folds, confidence=1.0)
