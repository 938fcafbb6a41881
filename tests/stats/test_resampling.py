"""The bootstrap of rows: each draw measured by scikit-learn, and against a plain loop over resampled rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from pytest_leanml.stats import resampling
from pytest_leanml.stats.paired import gain
from pytest_leanml.stats.quality import METRICS, measure
from pytest_leanml.stats.resampling import bootstrap_rows
from pytest_leanml.stats.samples import make_sample


def binary(n=150, seed=1, digits=2):
    source = np.random.default_rng(seed)
    truth = (source.random(n) < 0.4).astype(int)
    shared = source.normal(size=n)
    chances = [1 / (1 + np.exp(-(k * (2 * truth - 1) + shared + source.normal(size=n)))) for k in (1.3, 1.0)]
    return [make_sample("binary", truth, None, np.round(p, digits).clip(0.01, 0.99)) for p in chances]


def multiclass(n=150, seed=1):
    source = np.random.default_rng(seed)
    truth = source.integers(0, 3, n)
    logits = [k * np.eye(3)[truth] + source.normal(size=(n, 3)) for k in (1.5, 1.0)]
    chances = [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in logits]
    return [make_sample("multiclass", truth, None, each, classes=(0, 1, 2)) for each in chances]


def regression(n=150, seed=1):
    source = np.random.default_rng(seed)
    truth, shared = source.normal(10, 3, n), source.normal(size=n)
    return [make_sample("regression", truth, truth + shared + k * source.normal(size=n)) for k in (0.5, 0.9)]


ALL = [("roc_auc", binary), ("log_loss", binary), ("brier_score", binary), ("roc_auc", multiclass)]
ALL += [("rmse", regression), ("mae", regression), ("r2", regression)]
SCORED = {
    ("roc_auc", "binary"): lambda s, w: sk.roc_auc_score(s.y_true, s.scores, sample_weight=w),
    ("roc_auc", "multiclass"): lambda s, w: np.mean(
        [sk.roc_auc_score(s.y_true == k, s.scores[:, k], sample_weight=w) for k in range(3)]
    ),
    ("log_loss", "binary"): lambda s, w: sk.log_loss(s.y_true, s.scores, sample_weight=w),
    ("brier_score", "binary"): lambda s, w: sk.brier_score_loss(s.y_true, s.scores, sample_weight=w),
    ("rmse", "regression"): lambda s, w: sk.root_mean_squared_error(s.y_true, s.y_pred, sample_weight=w),
    ("mae", "regression"): lambda s, w: sk.mean_absolute_error(s.y_true, s.y_pred, sample_weight=w),
    ("r2", "regression"): lambda s, w: sk.r2_score(s.y_true, s.y_pred, sample_weight=w),
}


@pytest.mark.parametrize(("metric", "samples"), ALL)
def test_each_draw_is_what_scikit_learn_measures_with_the_draws_as_weights(metric, samples):
    candidate = samples()[0]
    draws = np.random.default_rng(3).multinomial(150, np.full(150, 1 / 150), size=6).astype(float)
    known = [SCORED[metric, str(candidate.task)](candidate, each) for each in draws]
    assert resampling._values(metric, candidate)(draws) == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("metric", "samples"), ALL)
def test_the_limits_are_those_of_a_loop_over_rows(metric, samples, relative):
    candidate, champion = samples()
    source, gains = np.random.default_rng(5), []
    for _ in range(300):
        rows = source.integers(0, 150, 150)
        ours, theirs = (measure(metric, each.take(rows)).value for each in (candidate, champion))
        gains.append((ours - theirs) / (theirs if relative else 1))
    sign = 1 if METRICS[metric].higher_is_better else -1
    tail = stats.norm.cdf(-math.sqrt(150 / 149) * stats.t.ppf(0.975, 149))
    known = np.quantile(sign * np.array(gains), [tail, 1 - tail])
    found = gain(metric, candidate, champion, method="bootstrap", relative=relative)
    assert found.interval == "paired-bootstrap"
    assert (found.low, found.high) == pytest.approx(known, abs=0.45 * np.std(gains))


def limits(metric, samples, seed=0, confidence=0.95):
    sign = 1 if METRICS[metric].higher_is_better else -1
    return bootstrap_rows(metric, *samples, sign=sign, relative=False, confidence=confidence, seed=seed)


def test_the_seed_decides_and_pieces_do_not(monkeypatch):
    samples = regression()
    found = limits("rmse", samples, seed=3)
    assert found == limits("rmse", samples, seed=3)
    assert found != limits("rmse", samples, seed=4)
    monkeypatch.setattr(resampling, "WORK", 1)
    fewer = limits("rmse", samples, seed=3)
    assert fewer == pytest.approx(found, abs=0.5 * (found[1] - found[0]))


def test_a_higher_level_is_wider():
    samples = binary()
    wide, narrow = limits("roc_auc", samples, confidence=0.99), limits("roc_auc", samples, confidence=0.8)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_where_draws_say_nothing_there_are_no_limits():
    same = regression()[0]
    assert limits("mae", (same, same)) is None
    one = [make_sample("regression", [1.0], [value]) for value in (1.1, 1.3)]
    assert limits("mae", one) is None
    truth = np.array([1] + [0] * 19)
    rare = [make_sample("binary", truth, None, np.random.default_rng(k).random(20)) for k in (1, 2)]
    assert limits("roc_auc", rare) is None


def test_a_bootstrap_without_limits_falls_back_to_the_usual_ones():
    same = binary()[0]
    assert gain("log_loss", same, same, method="bootstrap").interval == "binomial-bound"
