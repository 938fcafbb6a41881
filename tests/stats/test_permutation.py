"""The paired permutation test: against every arrangement one by one, scipy, and McNemar's exact test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import permutation
from pytest_leanml.stats.agreement import mcnemar_exact
from pytest_leanml.stats.paired import gain
from pytest_leanml.stats.permutation import permute
from pytest_leanml.stats.quality import METRICS, measure
from pytest_leanml.stats.samples import make_sample


def labels(n=40, seed=1, trading=9, classes=2):
    """Two models that give other labels to a few rows."""
    source = np.random.default_rng(seed)
    truth = source.integers(0, classes, n)
    ours = np.where(source.random(n) < 0.8, truth, (truth + 1) % classes)
    theirs = ours.copy()
    theirs[:trading] = (theirs[:trading] + source.integers(1, classes, trading)) % classes
    task = "binary" if classes == 2 else "multiclass"
    return [make_sample(task, truth, each) for each in (ours, theirs)]


def values(n=10, seed=1):
    source = np.random.default_rng(seed)
    truth = source.normal(10, 3, n)
    return [make_sample("regression", truth, truth + k * source.normal(size=n)) for k in (0.5, 0.9)]


def scores(n=12, seed=2):
    source = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    return [
        make_sample("binary", truth, None, np.clip(0.5 * truth + k * source.random(n), 0.01, 0.99)) for k in (0.4, 0.6)
    ]


def one_by_one(metric, candidate, champion, place):
    """Measure the gain of every arrangement of the rows whose answers differ."""
    given = [np.asarray(getattr(each, place)) for each in (candidate, champion)]
    rows = np.flatnonzero(given[0] != given[1])
    gains = []
    for coins in itertools.product([False, True], repeat=len(rows)):
        swap = np.zeros(len(given[0]), dtype=bool)
        swap[rows] = coins
        mixed = np.where(swap, given[1], given[0]), np.where(swap, given[0], given[1])
        ours, theirs = (
            make_sample(
                each.task, each.y_true, **{_ARGUMENT[place]: answers}, classes=each.classes, positive=each.positive
            )
            for each, answers in zip((candidate, champion), mixed, strict=True)
        )
        gains.append(measure(metric, ours).value - measure(metric, theirs).value)
    return np.array(gains)


_ARGUMENT = {"y_pred": "y_pred", "scores": "scores"}

CASES = [(name, labels, "y_pred") for name in ("accuracy", "recall", "f1_score")]
CASES += [(name, values, "y_pred") for name in ("rmse", "mae", "r2")]
CASES += [(name, scores, "scores") for name in ("log_loss", "brier_score")]


@pytest.mark.parametrize(("metric", "samples", "place"), CASES)
def test_every_arrangement_counts_with_its_weight(metric, samples, place):
    candidate, champion = samples()
    known = one_by_one(metric, candidate, champion, place)
    found = permute(metric, candidate, champion)
    assert found.weights is not None
    assert found.weights.sum() == pytest.approx(1)
    assert found.p_value == pytest.approx(np.mean(np.abs(known) >= abs(known[0]) - 1e-12), abs=1e-12)
    sign = 1 if METRICS[metric].higher_is_better else -1
    assert found.gain == pytest.approx(sign * known[0], abs=1e-12)
    assert found.reach(0.9) == pytest.approx(np.quantile(np.abs(known), 0.9, method="inverted_cdf"), abs=1e-9)
    assert found.details() == {"permutation_p": found.p_value, "permutation_p_error": 0.0, "permutation_draws": 0.0}


def test_the_macro_mean_over_several_classes():
    candidate, champion = labels(classes=3)
    known = one_by_one("f1_score", candidate, champion, "y_pred")
    assert permute("f1_score", candidate, champion).p_value == pytest.approx(np.mean(np.abs(known) >= known[0] - 1e-12))


@pytest.mark.parametrize(("gained", "lost"), [(7, 1), (12, 3), (25, 25), (40, 22)])
def test_of_accuracy_it_is_mcnemars_exact_test(gained, lost):
    truth = np.arange(200) % 2
    ours, theirs = truth.copy(), truth.copy()
    theirs[:gained] = 1 - theirs[:gained]
    ours[gained : gained + lost] = 1 - ours[gained : gained + lost]
    found = permute("accuracy", *(make_sample("binary", truth, each) for each in (ours, theirs)))
    assert found.p_value == pytest.approx(mcnemar_exact(gained, lost), abs=1e-9)


def test_of_mean_errors_it_is_scipys():
    candidate, champion = values(n=12)
    rows = [np.abs(each.y_pred - each.y_true) for each in (champion, candidate)]
    known = stats.permutation_test(
        rows,
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert permute("mae", candidate, champion).p_value == pytest.approx(known.pvalue, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "samples"), [("f1_score", lambda: labels(2000, trading=400)), ("mae", lambda: values(500))]
)
def test_many_rows_are_drawn(metric, samples, monkeypatch):
    candidate, champion = samples()
    found, again, other = (permute(metric, candidate, champion, seed=seed) for seed in (3, 3, 4))
    assert found.weights is None
    assert len(found.gains) == permutation.DRAWS
    assert np.array_equal(found.gains, again.gains)
    assert not np.array_equal(found.gains, other.gains)
    assert 0 < found.error < 0.006
    assert found.details()["permutation_draws"] == permutation.DRAWS
    # Under a normal curve of the same scatter, what chance stays below is about two of its deviations.
    assert found.reach(0.95) == pytest.approx(1.96 * found.gains.std(), rel=0.05)
    monkeypatch.setattr(permutation, "CHUNK", 1000)
    assert permute(metric, candidate, champion, seed=3).p_value == pytest.approx(found.p_value, abs=0.03)


def test_a_gain_that_no_draw_reaches_has_a_p_value_above_nought():
    truth = np.zeros(600)
    better, poorer = make_sample("regression", truth, truth + 0.1), make_sample("regression", truth, truth + 0.3)
    found = permute("mae", better, poorer)
    assert found.p_value == pytest.approx(1 / (1 + permutation.DRAWS))
    assert found.reach(1 - 1e-9) == np.inf


def test_an_arrangement_that_leaves_the_metric_undefined_counts_as_extreme():
    truth = np.array([1, 1, 0, 0] * 5)
    ours, theirs = np.zeros(20, dtype=int), np.zeros(20, dtype=int)
    ours[0], theirs[1] = 1, 1
    candidate, champion = (make_sample("binary", truth, each) for each in (ours, theirs))
    found = permute("precision", candidate, champion)
    assert np.isnan(found.gains).sum() == 2
    assert found.p_value == 1
    assert found.reach(0.95) == np.inf
    assert gain("precision", candidate, champion, method="permutation").low is None


def test_the_size_of_the_test():
    """Models that err alike: p <= 0.05 in at most 5 % of 2,000 samples, and not much less."""
    source, hits = np.random.default_rng(7), 0
    for _ in range(2000):
        truth = np.zeros(11)
        ours, theirs = source.exponential(size=(2, 11))
        samples = [make_sample("regression", truth, each) for each in (ours, theirs)]
        hits += permute("mae", *samples).p_value <= 0.05
    assert 0.035 <= hits / 2000 <= 0.06


def test_a_gain_is_proven_only_where_the_test_finds_one():
    found = 0
    for seed in range(60):
        candidate, champion = values(n=14, seed=seed)
        measured = gain("mae", candidate, champion, method="permutation")
        plain = gain("mae", candidate, champion)
        assert measured.interval == "paired-permutation"
        assert measured.low <= plain.low
        assert measured.high >= plain.high
        p_value = measured.details["permutation_p"]
        assert (measured.low > 0) <= (p_value <= 0.05)
        found += measured.low > 0
    assert 5 < found < 55


def test_relative_gains_are_widened_by_the_same_share():
    candidate, champion = labels(200, trading=20)
    plain = gain("accuracy", candidate, champion, method="permutation")
    reach = permute("accuracy", candidate, champion).reach(0.95)
    assert plain.low <= plain.value - reach
    relative = gain("accuracy", candidate, champion, method="permutation", relative=True)
    assert relative.low <= relative.value - reach / sk.accuracy_score(champion.y_true, champion.y_pred)


def test_nothing_to_permute_is_inconclusive():
    for metric, (candidate, _) in (("accuracy", labels()), ("mae", values())):
        with pytest.raises(InconclusiveError, match="nothing to permute"):
            permute(metric, candidate, candidate)


def test_areas_are_not_permuted():
    candidate, champion = scores()
    with pytest.raises(MeasurementError, match="on two scales"):
        permute("roc_auc", candidate, champion)


def test_more_rows_are_drawn_less_often(monkeypatch):
    candidate, champion = values(300)
    monkeypatch.setattr(permutation, "WORK", 1)
    assert len(permute("mae", candidate, champion).gains) == permutation.FEWEST_DRAWS
