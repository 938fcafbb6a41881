from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import classification
from pytest_leanml.stats.intervals import critical, mover_mean, wilson
from pytest_leanml.stats.quality import measure, no_skill
from pytest_leanml.stats.samples import make_sample

SCORERS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1_score": sk.f1_score}


def binary(tp, fp, fn, tn):
    y = [1] * tp + [0] * fp + [1] * fn + [0] * tn
    p = [1] * tp + [1] * fp + [0] * fn + [0] * tn
    return make_sample("binary", y, p)


def multiclass(table):
    """A sample with this confusion matrix (true class by row)."""
    table = np.asarray(table)
    k = len(table)
    cells = np.repeat(np.arange(k * k), table.ravel())
    return make_sample("multiclass", cells // k, cells % k, classes=range(k))


@given(*[st.integers(0, 40)] * 4)
def test_binary_metrics_agree_with_scikit_learn(tp, fp, fn, tn):
    assume(tp + fn and fp + tn and tp + fp)
    sample = binary(tp, fp, fn, tn)
    assert measure("accuracy", sample).value == pytest.approx(sk.accuracy_score(sample.y_true, sample.y_pred), abs=1e-9)
    for name, scorer in SCORERS.items():
        estimate = measure(name, sample)
        assert estimate.value == pytest.approx(scorer(sample.y_true, sample.y_pred), abs=1e-9)
        assert 0 <= estimate.low <= estimate.value + 1e-12
        assert estimate.value - 1e-12 <= estimate.high <= 1
        assert estimate.high - estimate.low > 0.01
        assert (estimate.interval, estimate.n) == ("wilson", tp + fp + fn + tn)


@given(st.lists(st.integers(1, 12), min_size=16, max_size=16), st.integers(0, 3))
def test_macro_averages_agree_with_scikit_learn(cells, empty):
    table = np.array(cells).reshape(4, 4)
    table[empty, :] = table[:, empty] = 0  # a class that nobody meets is left out, there and here
    sample = multiclass(table)
    for name, scorer in SCORERS.items():
        estimate = measure(name, sample)
        assert estimate.value == pytest.approx(scorer(sample.y_true, sample.y_pred, average="macro"), abs=1e-9)
        assert estimate.low < estimate.value < estimate.high
        assert estimate.interval == "mover"
        assert no_skill(name, sample) == 1 / 3


def test_the_f1_interval_inverts_a_score_test():
    """Its limits are the F1 whose share tp / (tp + fp + fn) lies z standard errors, under itself, from the one seen."""
    tp, errors, z = 37, 11, critical(0.95)
    seen = tp / (tp + errors)

    def distance(f1):
        share = f1 / (2 - f1)
        return abs(seen - share) - z * np.sqrt(share * (1 - share) / (tp + errors))

    value = 2 * seen / (1 + seen)
    estimate = measure("f1_score", binary(tp, 5, 6, 100))
    assert estimate.low == pytest.approx(optimize.brentq(distance, 1e-9, value, xtol=1e-14), abs=1e-9)
    assert estimate.high == pytest.approx(optimize.brentq(distance, value, 1 - 1e-9, xtol=1e-14), abs=1e-9)


@pytest.mark.parametrize("scale", [1, 1000])
def test_in_large_samples_the_f1_interval_is_that_of_the_delta_method(scale):
    """Takahashi et al. 2022 give the delta variance of F1, binary and macro; here by differentiating numerically."""
    table = scale * np.array([[4000, 300, 200], [150, 3000, 100], [80, 60, 900]])
    share = table / table.sum()

    def macro(p):
        return float(np.mean(2 * np.diag(p) / (p.sum(axis=0) + p.sum(axis=1))))

    step = 1e-6
    slopes = np.zeros_like(share)
    for cell in np.ndindex(3, 3):
        nudge = np.zeros_like(share)
        nudge[cell] = step
        slopes[cell] = (macro(share + nudge) - macro(share - nudge)) / (2 * step)
    variance = ((share * slopes**2).sum() - (share * slopes).sum() ** 2) / table.sum()
    values, correlation = _f1(table), classification.f1_correlation(table.astype(float), _f1(table), _margins(table))
    hits = np.diag(table).astype(float)
    low, high = (2 * each / (1 + each) for each in wilson(hits, _margins(table) - hits, critical(0.95)))
    half = critical(0.95) * np.sqrt(variance)
    got_low, got_high = mover_mean(values, low, high, correlation)
    assert (got_high - got_low) / 2 == pytest.approx(half, rel=2e-3)
    assert got_high - values.mean() == pytest.approx(half, rel=5e-2)


def _margins(table):
    return (table.sum(axis=0) + table.sum(axis=1)).astype(float)


def _f1(table):
    return 2 * np.diag(table) / _margins(table)


def test_text_labels_and_a_rare_positive_label():
    y = ["late", "ok", "ok", "ok", "late", "ok"]
    p = ["late", "ok", "late", "ok", "ok", "ok"]
    sample = make_sample("binary", y, p, classes=("late", "ok"), positive="late")
    assert measure("f1_score", sample).value == pytest.approx(sk.f1_score(y, p, pos_label="late"), abs=1e-12)
    counts = classification.counts(sample)
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 1, 1, 3)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1_score"])
@pytest.mark.parametrize("sample", [binary(20, 0, 0, 30), multiclass(np.diag([20, 20, 10]))])
def test_a_perfect_model_is_not_beyond_doubt(name, sample):
    estimate = measure(name, sample)
    assert estimate.value == estimate.high == 1
    assert 0.7 < estimate.low < 0.97


def test_a_hopeless_model_has_an_interval_too():
    estimate = measure("f1_score", binary(0, 10, 10, 30))
    assert estimate.value == estimate.low == 0
    assert 0.1 < estimate.high < 0.4
    assert measure("f1_score", multiclass([[0, 10], [10, 0]])).high > 0.1


def test_counts_of_weights():
    sample = make_sample("binary", [1, 0, 1, 0], [1, 1, 0, 0], weights=[4, 1, 2, 1])
    counts = classification.counts(sample)
    # Of the largest weight.
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 0.25, 0.5, 0.25)
    with pytest.raises(MeasurementError, match="no predicted labels"):
        classification.wrong_rows(make_sample("binary", [0, 1], None, [0.1, 0.9]))


def test_precision_of_nobody_is_undefined():
    with pytest.raises(InconclusiveError, match="precision is undefined: no row was predicted positive"):
        measure("precision", binary(0, 0, 5, 5))
    # F1 is defined there, and 0: it must not be lost among the undefined.
    assert measure("f1_score", binary(0, 0, 5, 5)).value == 0


def test_macro_averages_name_the_class_that_is_missing():
    never_predicted = [[5, 5, 0], [2, 8, 0], [1, 1, 0]]
    with pytest.raises(InconclusiveError, match="precision is undefined: the class 2 was never predicted"):
        measure("precision", multiclass(never_predicted))
    with pytest.raises(InconclusiveError, match="recall is undefined: the class 2 has no row"):
        measure("recall", multiclass(np.transpose(never_predicted)))
    sample = multiclass(never_predicted)
    with warnings.catch_warnings(action="ignore"):
        expected = sk.f1_score(sample.y_true, sample.y_pred, average="macro")
    assert measure("f1_score", sample).value == pytest.approx(expected, abs=1e-9)


def test_undefined_counts_are_inconclusive_even_when_asked_directly():
    for metric in (classification.recall, classification.f1_score):
        with pytest.raises(InconclusiveError, match="undefined"):
            metric(binary(0, 0, 0, 5), 0.95)


def test_predicted_labels_are_needed():
    with pytest.raises(MeasurementError, match="no predicted labels"):
        measure("accuracy", make_sample("binary", [0, 1], None, [0.1, 0.9]))
    with pytest.raises(MeasurementError, match="a regression sample"):
        classification.accuracy_floor(make_sample("regression", [1.0], [1.0]))


@pytest.mark.parametrize("positives", [1, 7, 13, 19])
@pytest.mark.parametrize("name", ["accuracy", "precision", "f1_score", "recall"])
def test_neither_constant_answer_beats_no_skill(name, positives):
    """The model that says the same to everybody must never look like skill, whichever class is the commoner."""
    for answer in (0, 1):
        sample = make_sample("binary", [1] * positives + [0] * (20 - positives), [answer] * 20)
        try:
            value = measure(name, sample).value
        except InconclusiveError:
            assert (name, answer) == ("precision", 0)
            continue
        assert value <= no_skill(name, sample)


def test_blind_answers_do_not_beat_no_skill_on_average():
    rng = np.random.default_rng(11)
    truth = (np.arange(2000) < 600).astype(int)
    gains = {name: [] for name in ("accuracy", "precision", "recall", "f1_score")}
    for rate in rng.uniform(0.05, 0.95, 200):
        sample = make_sample("binary", truth, (rng.random(2000) < rate).astype(int))
        for name, values in gains.items():
            values.append(measure(name, sample).value - no_skill(name, sample))
    for name, values in gains.items():
        assert np.mean(values) < 0.002, name


def test_a_model_with_skill_beats_no_skill():
    sample = binary(60, 20, 30, 200)
    for name in ("accuracy", "precision", "recall", "f1_score"):
        assert measure(name, sample).value > no_skill(name, sample) + 0.1
    assert no_skill("accuracy", sample) == 220 / 310
    assert no_skill("precision", sample) == 90 / 310
    assert no_skill("recall", sample) == 80 / 310
    assert no_skill("f1_score", sample) == pytest.approx(180 / 400, abs=1e-12)


def _coverage(name, truth, draw, runs=400):
    estimates = [measure(name, draw()) for _ in range(runs)]
    return np.mean([each.low <= truth <= each.high for each in estimates])


@pytest.mark.parametrize(("n", "prevalence", "tpr", "fpr"), [(60, 0.5, 0.9, 0.1), (300, 0.15, 0.8, 0.02)])
def test_binary_intervals_cover_as_often_as_they_say(n, prevalence, tpr, fpr):
    rng = np.random.default_rng(4)
    cells = np.array([prevalence * tpr, (1 - prevalence) * fpr, prevalence * (1 - tpr), (1 - prevalence) * (1 - fpr)])

    def draw():
        return binary(*rng.multinomial(n, cells))

    tp, fp, fn, tn = cells
    truths = {"accuracy": tp + tn, "precision": tp / (tp + fp), "recall": tpr, "f1_score": 2 * tp / (2 * tp + fp + fn)}
    for name, truth in truths.items():
        assert 0.925 <= _coverage(name, truth, draw) <= 0.995, name


def test_macro_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(5)
    shares = np.array([[0.34, 0.04, 0.02], [0.03, 0.30, 0.02], [0.02, 0.03, 0.20]])

    def draw():
        return multiclass(rng.multinomial(200, shares.ravel()).reshape(3, 3))

    hits, rows, columns = np.diag(shares), shares.sum(axis=1), shares.sum(axis=0)
    truths = {"precision": hits / columns, "recall": hits / rows, "f1_score": 2 * hits / (rows + columns)}
    for name, truth in truths.items():
        assert 0.925 <= _coverage(name, truth.mean(), draw) <= 0.99, name
