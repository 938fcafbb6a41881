from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import probabilities
from pytest_leanml.stats.intervals import critical
from pytest_leanml.stats.probabilities import placements
from pytest_leanml.stats.quality import measure, no_skill
from pytest_leanml.stats.samples import make_sample

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=4, max_size=80)


def binary(truth, scores):
    return make_sample("binary", np.asarray(truth, dtype=int), None, scores)


def with_classes(rows, k, seed, pull=1.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, rows - k)])
    raw = rng.standard_normal((rows, k))
    raw[np.arange(rows), y] += pull
    scores = np.exp(raw)
    return make_sample("multiclass", y, None, scores / scores.sum(axis=1, keepdims=True), classes=range(k))


def delong_by_hand(truth, scores):
    """DeLong, DeLong and Clarke-Pearson 1988, word for word: every pair of a positive and a negative row."""
    x, y = scores[truth], scores[~truth]
    kernel = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    v10, v01 = kernel.mean(axis=1), kernel.mean(axis=0)
    return kernel.mean(), math.sqrt(v10.var(ddof=1) / len(x) + v01.var(ddof=1) / len(y)), v10, v01


@given(SCORES)
def test_area_and_standard_error_are_delongs(rows):
    truth, scores = np.array([t for t, _ in rows]), np.array([s for _, s in rows], dtype=float)
    assume(2 <= truth.sum() <= len(truth) - 2)
    area, error, v10, v01 = delong_by_hand(truth, scores)
    estimate = measure("roc_auc", binary(truth, scores))
    assert estimate.value == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-9)
    assert estimate.value == pytest.approx(area, abs=1e-9)
    for got, expected in zip(placements(scores[truth], scores[~truth]), (v10, v01), strict=True):
        assert got == pytest.approx(expected, abs=1e-12)
    assert estimate.low <= area + 1e-12
    assert area - 1e-12 <= estimate.high
    assert estimate.high - estimate.low > 1e-3
    if estimate.interval == "delong-logit":
        assert estimate.details["standard_error"] == pytest.approx(error, abs=1e-9)
        t = stats.t.ppf(0.975, min(truth.sum(), (~truth).sum()) - 1)
        half = t * error / (area * (1 - area))
        expected = [1 / (1 + math.exp(-min(math.log(area / (1 - area)) + each, 700))) for each in (-half, half)]
        assert (estimate.low, estimate.high) == pytest.approx(expected, abs=1e-9)
    else:
        assert error == 0


def test_the_published_standard_error_of_the_ct_images():
    """109 CT images rated 1 to 5 (Hanley and McNeil 1982, Radiology 143, 29-36, table I).

    Stata's manual, `roctab disease rating` on the same images: area 0.8932, DeLong's standard error 0.0307, and the 95 %
    interval 0.83295 to 0.95339 (on the plain scale).
    """
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    scores = np.concatenate([np.repeat(np.arange(1.0, 6.0), normal), np.repeat(np.arange(1.0, 6.0), abnormal)])
    truth = np.repeat([False, True], [58, 51])
    estimate = measure("roc_auc", binary(truth, scores))
    error = estimate.details["standard_error"]
    assert round(estimate.value, 4) == 0.8932
    assert round(error, 4) == 0.0307
    plain = (estimate.value - critical(0.95) * error, estimate.value + critical(0.95) * error)
    assert np.round(plain, 5).tolist() == [0.83295, 0.95339]
    assert (estimate.low, estimate.high) == pytest.approx(plain, abs=0.03)


@pytest.mark.parametrize(
    ("truth", "scores"),
    [
        ([0] * 10 + [1] * 10, [0.0] * 10 + [1.0] * 10),  # perfect
        ([0] * 10 + [1] * 10, np.arange(20)),  # perfect, all different
        ([1] * 10 + [0] * 10, np.arange(20)),  # upside down
        ([0, 1] * 10, [0.5] * 20),  # constant
        ([0] * 19 + [1], np.arange(20) % 19),  # one positive
        ([0, 1], [0.1, 0.9]),  # one of each
    ],
)
def test_areas_without_scatter_keep_a_width(truth, scores):
    estimate = measure("roc_auc", binary(truth, scores))
    assert estimate.value == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-9)
    assert estimate.interval == "hanley-mcneil"
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high - estimate.low > 0.1


def test_constant_scores_have_exactly_the_area_of_no_skill():
    truth = np.arange(1000) % 7 == 0
    assert measure("roc_auc", binary(truth, np.full(1000, 0.1))).value == no_skill("roc_auc", binary(truth, truth))


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "brier_score"])
@pytest.mark.parametrize(("rows", "k"), [(40, 3), (500, 5)])
def test_multiclass_metrics_agree_with_scikit_learn(name, rows, k):
    sample = with_classes(rows, k, seed=rows)
    scorers = {
        "roc_auc": lambda y, s: sk.roc_auc_score(y, s, multi_class="ovr", average="macro"),
        "log_loss": sk.log_loss,
        "brier_score": sk.brier_score_loss,
    }
    estimate = measure(name, sample)
    assert estimate.value == pytest.approx(scorers[name](sample.y_true, sample.scores), abs=1e-9)
    assert estimate.low < estimate.value < estimate.high


def test_the_macro_area_of_two_classes_has_delongs_error():
    sample = with_classes(400, 2, seed=8)
    flags = sample.true_codes == 1
    _, error, _, _ = delong_by_hand(flags, sample.scores[:, 1])
    # The same curve twice; the counts are taken as random there, which is a matter of 1 / n.
    assert measure("roc_auc", sample).details["standard_error"] == pytest.approx(error, rel=0.01)


def test_a_perfect_macro_area_keeps_a_width():
    sample = make_sample("multiclass", np.arange(30) % 3, None, np.eye(3)[np.arange(30) % 3], classes=range(3))
    estimate = measure("roc_auc", sample)
    assert (estimate.value, estimate.high, estimate.interval) == (1.0, 1.0, "hanley-mcneil")
    assert 0.5 < estimate.low < 0.99
    few = make_sample("multiclass", [0, 1, 2, 2], None, np.eye(3)[[0, 1, 2, 1]], classes=range(3))
    assert measure("roc_auc", few).interval == "hanley-mcneil"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=60))
def test_binary_losses_agree_with_scikit_learn(rows):
    truth, chances = np.array([t for t, _ in rows]), np.array([s for _, s in rows])
    assume(0 < truth.sum() < len(truth))
    sample = binary(truth, chances)
    for name, scorer in (("log_loss", sk.log_loss), ("brier_score", sk.brier_score_loss)):
        estimate = measure(name, sample)
        assert estimate.value == pytest.approx(scorer(truth, chances, labels=[False, True]), abs=1e-9)
        assert 0 <= estimate.low <= estimate.value + 1e-12 <= estimate.high + 2e-12
        assert estimate.high - estimate.low > 1e-12


def test_certain_and_right_in_every_row_is_not_beyond_doubt():
    sample = binary([0, 1] * 10, [0.0, 1.0] * 10)
    loss, brier = measure("log_loss", sample), measure("brier_score", sample)
    assert loss.value == pytest.approx(0, abs=1e-12)
    assert (loss.interval, brier.interval) == ("binomial-bound", "binomial-bound")
    assert loss.high > 5
    assert brier.high == pytest.approx(0.1684, abs=1e-4)


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
@pytest.mark.parametrize("shape", ["binary", "multiclass"])
def test_answering_the_prior_is_exactly_no_skill(name, shape):
    truth = np.arange(101) % 3 // (2 if shape == "binary" else 1)
    share = np.bincount(truth) / len(truth)
    if shape == "binary":
        sample = make_sample("binary", truth, None, np.full(101, truth.mean()))
    else:
        sample = make_sample("multiclass", truth, None, np.tile(share, (101, 1)), classes=range(3))
    # Equal to the last bit: a rounding error must not look like skill.
    assert measure(name, sample).value == no_skill(name, sample)
    entropy = -(share * np.log(share)).sum()
    gini = (share * (1 - share)).sum() / (2 if shape == "binary" else 1)
    assert no_skill(name, sample) == pytest.approx(entropy if name == "log_loss" else gini, abs=1e-9)


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
def test_scores_that_are_no_probabilities_are_refused(name):
    with pytest.raises(MeasurementError, match="probabilities within"):
        measure(name, binary([0, 1], [-1.0, 3.0]))
    with pytest.raises(MeasurementError, match="probabilities within"):
        measure(name, binary([0, 1], [0.0, 85.0]))
    with pytest.raises(MeasurementError, match="sum 1"):
        measure(name, make_sample("multiclass", [0, 1], None, [[0.5, 0.6], [0.5, 0.5]], classes=(0, 1)))


def test_probabilities_of_a_32_bit_model_sum_to_one_well_enough():
    sample = with_classes(50, 3, seed=1)
    narrow = make_sample("multiclass", sample.y_true, None, sample.scores.astype(np.float32), classes=range(3))
    assert measure("log_loss", narrow).value == pytest.approx(measure("log_loss", sample).value, rel=1e-6)


def test_any_score_will_do_for_the_area():
    assert measure("roc_auc", binary([0, 1, 0, 1], [-5.0, 9.0, 2.0, 1.0])).value == 0.75


def test_what_is_missing_is_said():
    with pytest.raises(MeasurementError, match="no scores"):
        measure("roc_auc", make_sample("binary", [0, 1], [0, 1]))
    lacking = make_sample(
        "multiclass", [0, 1, 1], None, np.full((3, 3), 1 / 3), classes=("a", "b", "c")[:0] or range(3)
    )
    with pytest.raises(InconclusiveError, match="the class 2 has no row"):
        measure("roc_auc", lacking)
    with pytest.raises(InconclusiveError, match="2 positive and 0 negative rows"):
        probabilities.roc_auc(binary([1, 1], [0.5, 0.6]), 0.95)
    with pytest.raises(MeasurementError, match="a regression sample"):
        probabilities.codes_of(make_sample("regression", [1.0]))


def test_a_million_rows_are_ranked_not_paired():
    rng = np.random.default_rng(0)
    truth = rng.random(1_000_000) < 0.3
    sample = binary(truth, rng.standard_normal(1_000_000) + truth)
    estimate = measure("roc_auc", sample)
    # Every pair would be 2e11 comparisons, which would never end.
    assert estimate.value == pytest.approx(stats.norm.cdf(1 / math.sqrt(2)), abs=0.002)


@pytest.mark.parametrize(("n", "shift", "share"), [(40, 1.0, 0.5), (60, 1.5, 0.2), (300, 2.0, 0.5)])
def test_delongs_interval_covers_as_often_as_it_says(n, shift, share):
    rng = np.random.default_rng(6)
    truth = np.arange(n) < n * share
    area = stats.norm.cdf(shift / math.sqrt(2))
    estimates = [measure("roc_auc", binary(truth, rng.standard_normal(n) + shift * truth)) for _ in range(400)]
    assert 0.925 <= np.mean([each.low <= area <= each.high for each in estimates]) <= 0.995


def test_the_macro_areas_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(7)
    area = stats.norm.cdf(1 / math.sqrt(2))

    def draw():
        y = rng.choice(3, 200, p=[0.5, 0.3, 0.2])
        scores = rng.standard_normal((200, 3))
        scores[np.arange(200), y] += 1
        return make_sample("multiclass", y, None, scores, classes=range(3))

    estimates = [measure("roc_auc", draw()) for _ in range(300)]
    assert 0.925 <= np.mean([each.low <= area <= each.high for each in estimates]) <= 0.99


def test_the_losses_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(9)
    # Of a calibrated model with beta(2, 3) chances: E[p (1 - p)] = 2 * 3 / (5 * 6).
    estimates = []
    for _ in range(400):
        chances = rng.beta(2, 3, 150)
        estimates.append(measure("brier_score", binary(rng.random(150) < chances, chances)))
    assert 0.925 <= np.mean([each.low <= 0.2 <= each.high for each in estimates]) <= 0.985


@pytest.mark.parametrize("n", [30, 100])
def test_the_log_loss_of_few_rows_is_not_taken_for_lower_than_it_is(n):
    rng = np.random.default_rng(10)
    chances = np.clip(rng.beta(0.6, 0.9, 1_000_000), 1e-3, 1 - 1e-3)
    entropy = -(chances * np.log(chances) + (1 - chances) * np.log1p(-chances)).mean()
    found = []
    for _ in range(2000):
        drawn = rng.choice(chances, n)
        found.append(measure("log_loss", binary(rng.random(n) < drawn, drawn)))
    assert {each.interval for each in found} == {"hall-t"}
    assert 0.93 <= np.mean([each.low <= entropy <= each.high for each in found]) <= 0.97
    # Student's t falls short of it in 8 % of samples of 30 rows.
    assert np.mean([each.high < entropy for each in found]) <= 0.05
