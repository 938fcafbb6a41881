"""The gain over a champion: against scipy, scikit-learn, published limits and independent code, and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats import joint, quality
from pytest_leanml.stats.intervals import skewed
from pytest_leanml.stats.joint import bootstrap_limits, joint_cells, newcombe_paired
from pytest_leanml.stats.paired import gain
from pytest_leanml.stats.quality import METRICS, measure
from pytest_leanml.stats.samples import make_sample

Z = stats.norm.ppf(0.975)
CLOSE = {"rel": 1e-9, "abs": 1e-12}
LABELS = ["accuracy", "precision", "recall", "f1_score"]
SCORES = ["roc_auc", "log_loss", "brier_score"]
VALUES = ["rmse", "mae", "r2"]


def binary(n=400, seed=1, prevalence=0.4):
    """Two models that see the same noise, the candidate a little more of the signal."""
    source = np.random.default_rng(seed)
    truth = (source.random(n) < prevalence).astype(int)
    shared = source.normal(size=n)
    chances = [
        1 / (1 + np.exp(-(signal * (2 * truth - 1) + shared + own * source.normal(size=n))))
        for signal, own in ((1.3, 0.5), (1.1, 0.7))
    ]
    return [make_sample("binary", truth, (p > 0.5).astype(int), p) for p in chances]


def multiclass(n=600, seed=1, classes=("a", "b", "c")):
    source = np.random.default_rng(seed)
    truth = source.integers(0, len(classes), n)
    shared = source.normal(size=(n, len(classes)))
    samples = []
    for signal in (1.6, 1.2):
        logits = shared + signal * np.eye(len(classes))[truth] + 0.5 * source.normal(size=shared.shape)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = np.array(classes)
        answers = labels[chances.argmax(axis=1)]
        samples.append(make_sample("multiclass", labels[truth], answers, chances, classes=classes))
    return samples


def regression(n=300, seed=1):
    source = np.random.default_rng(seed)
    truth, shared = source.normal(10, 3, n), source.normal(size=n)
    return [make_sample("regression", truth, truth + shared + k * source.normal(size=n)) for k in (0.5, 0.9)]


ALL = [(name, binary) for name in LABELS + SCORES]
ALL += [(name, multiclass) for name in LABELS + SCORES] + [(name, regression) for name in VALUES]


@pytest.mark.parametrize(("metric", "samples"), ALL)
def test_the_gain_is_the_difference_of_the_values_and_positive_where_better(metric, samples):
    candidate, champion = samples()
    ours, theirs = (measure(metric, each).value for each in (candidate, champion))
    sign = 1 if METRICS[metric].higher_is_better else -1
    found, back = gain(metric, candidate, champion), gain(metric, champion, candidate)
    assert found.value == pytest.approx(sign * (ours - theirs), **CLOSE)
    assert found.value > 0
    assert back.value == pytest.approx(-found.value, **CLOSE)
    assert (found.details["candidate"], found.details["champion"]) == (ours, theirs)
    assert (found.n, found.unit, found.confidence) == (len(candidate), METRICS[metric].unit, 0.95)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("metric", "samples"), ALL)
def test_the_relative_gain_is_divided_by_the_champions_value(metric, samples):
    candidate, champion = samples()
    plain, found = gain(metric, candidate, champion), gain(metric, candidate, champion, relative=True)
    assert found.value == pytest.approx(plain.value / measure(metric, champion).value, **CLOSE)
    assert (found.unit, found.interval) == ("1", RELATIVE[metric])
    assert found.low < found.value < found.high
    # Both intervals speak of the same evidence, so they are about equally sure of the sign.
    assert (found.high - found.low) / found.value == pytest.approx((plain.high - plain.low) / plain.value, rel=0.35)


RELATIVE = dict.fromkeys(LABELS, "paired-bootstrap") | dict.fromkeys([*SCORES, *VALUES], "paired-delta")
RELATIVE["roc_auc"] = "paired-delong"


@pytest.mark.parametrize(
    ("table", "limits"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 2635-2650, table II, method 10.
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        # Cavo et al. (2012) as printed by Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables
        # (2017), chapter 8, and asserted by the tests of their R package contingencytables.
        ((59, 6, 16, 80), (-0.1186, -0.0046)),
    ],
)
def test_newcombes_paired_limits_are_the_published_ones(table, limits):
    assert newcombe_paired(*table, Z) == pytest.approx(limits, abs=5e-5)


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(any))
def test_newcombes_paired_limits_are_odd_and_within_bounds(table):
    both, ours, theirs, neither = table
    low, high = newcombe_paired(both, ours, theirs, neither, Z)
    other_low, other_high = newcombe_paired(both, theirs, ours, neither, Z)
    assert (low, high) == pytest.approx((-other_high, -other_low), **CLOSE)
    assert -1 <= low <= (ours - theirs) / sum(table) <= high <= 1
    assert low < high


def test_accuracy_has_newcombes_interval_of_its_four_counts():
    candidate, champion = binary()
    right = [each.y_pred == each.y_true for each in (candidate, champion)]
    table = [np.count_nonzero((right[0] == a) & (right[1] == b)) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0))]
    found = gain("accuracy", candidate, champion)
    assert (found.low, found.high) == pytest.approx(newcombe_paired(*table, Z), **CLOSE)
    assert found.interval == "newcombe-paired"


def slow_delong(truth, ours, theirs):
    """DeLong's covariance by its definition: every positive against every negative."""
    components = []
    for scores in (ours, theirs):
        gaps = scores[truth == 1][:, None] - scores[truth == 0][None, :]
        kernel = (gaps > 0) + 0.5 * (gaps == 0)
        components.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    parts = [np.cov(np.stack(pair)) / len(pair[0]) for pair in zip(*components, strict=True)]
    return sum(parts)


@pytest.mark.parametrize("digits", [1, 12])
def test_roc_auc_has_delongs_variance(digits):
    candidate, champion = binary(n=150)
    ours, theirs = (np.round(each.scores, digits) for each in (candidate, champion))
    truth = candidate.y_true
    found = gain("roc_auc", *(make_sample("binary", truth, None, scores) for scores in (ours, theirs)))
    covariance = slow_delong(truth, ours, theirs)
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    margin = stats.t.ppf(0.975, truth.sum() - 1) * error
    value = sk.roc_auc_score(truth, ours) - sk.roc_auc_score(truth, theirs)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - margin, value + margin), **CLOSE)
    assert found.interval == "paired-delong"


def test_relative_roc_auc_has_the_delta_of_delongs_covariance():
    candidate, champion = binary(n=150)
    truth = candidate.y_true
    covariance = slow_delong(truth, candidate.scores, champion.scores)
    ours, theirs = sk.roc_auc_score(truth, candidate.scores), sk.roc_auc_score(truth, champion.scores)
    slopes = np.array([1 / theirs, -ours / theirs**2])
    found = gain("roc_auc", candidate, champion, relative=True)
    margin = stats.t.ppf(0.975, truth.sum() - 1) * math.sqrt(slopes @ covariance @ slopes)
    assert found.high - found.value == pytest.approx(margin, **CLOSE)


def test_the_brier_score_has_the_paired_t_interval_of_scipy():
    candidate, champion = binary()

    def rows(chances):
        return (1 - np.where(candidate.y_true == 1, chances, 1 - chances)) ** 2

    known = stats.ttest_rel(rows(champion.scores), rows(candidate.scores)).confidence_interval(0.9)
    found = gain("brier_score", candidate, champion, confidence=0.9)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), **CLOSE)
    assert (found.interval, found.confidence) == ("paired-t", 0.9)


def test_the_log_loss_has_halls_interval_of_its_differences():
    candidate, champion = binary()
    losses = [-np.log(np.where(each.y_true == 1, each.scores, 1 - each.scores)) for each in (champion, candidate)]
    rows = losses[0] - losses[1]
    found = gain("log_loss", candidate, champion, confidence=0.9)
    skew = stats.skew(rows) * (rows.std() / rows.std(ddof=1)) ** 3
    known = skewed(rows.mean(), stats.sem(rows), len(rows), skew, 0.9)
    assert (found.low, found.high) == pytest.approx(known, **CLOSE)
    assert (found.interval, found.confidence) == ("paired-hall-t", 0.9)


def test_mae_has_the_paired_t_interval_of_scipy():
    candidate, champion = regression()
    errors = [abs(each.y_true - each.y_pred) for each in (champion, candidate)]
    known = stats.ttest_rel(*errors).confidence_interval()
    found = gain("mae", candidate, champion)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), **CLOSE)


def jackknife_error(metric, candidate, champion, *, relative):
    n = len(candidate)
    keep = ~np.eye(n, dtype=bool)
    values = [gain(metric, candidate.take(rows), champion.take(rows), relative=relative).value for rows in keep]
    return math.sqrt((n - 1) / n * np.square(values - np.mean(values)).sum())


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("metric", "samples"), [*((name, regression) for name in VALUES), ("roc_auc", multiclass)])
def test_first_order_errors_agree_with_the_jackknife(metric, samples, relative):
    candidate, champion = samples(n=250)
    found = gain(metric, candidate, champion, relative=relative)
    known = min(250, *np.unique(candidate.y_true, return_counts=True)[1]) if metric == "roc_auc" else 250
    error = (found.high - found.value) / stats.t.ppf(0.975, known - 1)
    assert error == pytest.approx(jackknife_error(metric, candidate, champion, relative=relative), rel=0.05)


@pytest.mark.parametrize("metric", LABELS)
@pytest.mark.parametrize("samples", [binary, multiclass])
def test_drawing_counts_is_drawing_rows(metric, samples, monkeypatch):
    """The multinomial over cells against a plain bootstrap of rows, each resample measured by the metric itself."""
    monkeypatch.setattr(joint, "PSEUDO_ROWS", 1e-9)
    candidate, champion = samples(n=300)
    source = np.random.default_rng(5)
    draws = (source.integers(0, 300, 300) for _ in range(600))
    gains = [gain_of(metric, candidate.take(rows), champion.take(rows)) for rows in draws]
    found = gain(metric, candidate, champion, relative=True)
    assert (found.low, found.high) == pytest.approx(np.quantile(gains, [0.025, 0.975]), abs=0.25 * np.std(gains))


def gain_of(metric, candidate, champion):
    ours, theirs = (measure(metric, each).value for each in (candidate, champion))
    return (ours - theirs) / theirs


@pytest.mark.parametrize("metric", ["precision", "recall", "f1_score"])
def test_each_draw_is_scored_as_scikit_learn_scores_it(metric):
    candidate, champion = multiclass(n=200, classes=("a", "b", "c", "d"))
    cells = joint_cells(candidate.true_codes, candidate.pred_codes, champion.pred_codes)
    draws = np.random.default_rng(0).multinomial(200, cells.rows / cells.rows.sum(), size=20).astype(float)
    labels = np.arange(4)
    score = {"precision": sk.precision_score, "recall": sk.recall_score, "f1_score": sk.f1_score}[metric]
    for answers in (cells.ours, cells.theirs):
        known = [score(np.repeat(cells.truth, k), np.repeat(answers, k), average="macro") for k in draws.astype(int)]
        found = joint._values(metric, cells.truth, answers, draws, labels)
        assert found == pytest.approx(known, **CLOSE)


@pytest.mark.parametrize("metric", LABELS)
def test_the_seed_decides_the_bootstrap(metric):
    candidate, champion = binary()
    first, again, other = (gain(metric, candidate, champion, relative=True, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_drawing_in_pieces_changes_nothing(monkeypatch):
    candidate, champion = multiclass()
    whole = gain("f1_score", candidate, champion)
    monkeypatch.setattr(joint, "CHUNK", 1000)
    assert gain("f1_score", candidate, champion) == whole


def test_many_classes_are_counted_without_a_dense_cube(monkeypatch):
    candidate, champion = multiclass()
    dense = gain("f1_score", candidate, champion)
    monkeypatch.setattr(joint, "DENSE", 1)
    assert gain("f1_score", candidate, champion) == dense


COVERED = [("precision", 200), ("recall", 60), ("f1_score", 60), ("f1_score", 500)]


@pytest.mark.parametrize(("metric", "n"), COVERED)
def test_the_bootstrap_covers(metric, n):
    # Truth, candidate and champion in the order 000, 001, ..., 111: rare positives, models that mostly agree.
    chances = np.array([0.62, 0.05, 0.04, 0.04, 0.03, 0.04, 0.06, 0.12])
    codes = np.arange(8)
    truth, ours, theirs = codes >> 2, codes >> 1 & 1, codes & 1
    positive = np.array([1])
    value = np.diff([joint._values(metric, truth, each, chances[None, :], positive)[0] for each in (theirs, ours)])[0]
    source, hits = np.random.default_rng(11), []
    for seed in range(250):
        rows = np.repeat(codes, source.multinomial(n, chances))
        cells = joint_cells(truth[rows], ours[rows], theirs[rows])
        low, high = bootstrap_limits(metric, cells, (positive, positive), relative=False, confidence=0.9, seed=seed)
        hits.append(low <= value <= high)
    assert 0.86 <= np.mean(hits) <= 0.99


@pytest.mark.parametrize(("metric", "samples"), [("roc_auc", binary), ("log_loss", binary), ("r2", regression)])
def test_first_order_intervals_cover(metric, samples):
    truth = gain(metric, *samples(n=300_000, seed=99)).value
    found = [gain(metric, *samples(n=120, seed=seed), confidence=0.9) for seed in range(200)]
    assert 0.85 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.97


@pytest.mark.parametrize("metric", LABELS)
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("samples", [binary, multiclass])
def test_models_that_never_disagree_still_have_an_interval(metric, relative, samples):
    for n, width in ((30, 0.08), (3000, 0.0004)):
        candidate = samples(n=n)[0]
        found = gain(metric, candidate, candidate, relative=relative)
        assert found.value == 0
        assert found.low < 0 < found.high
        assert found.high - found.low > width
    assert found.high - found.low < 0.02


@pytest.mark.parametrize(
    ("metric", "samples", "span"),
    [
        ("log_loss", binary, 36.04),
        ("brier_score", binary, 1),
        ("brier_score", multiclass, 2),
        ("log_loss", multiclass, 36.04),
    ],
)
def test_losses_that_never_differ_are_bounded_by_the_rows_not_seen(metric, samples, span):
    candidate = samples(n=100)[0]
    found = gain(metric, candidate, candidate)
    share = 1 - 0.025 ** (1 / 100)
    assert (found.low, found.high) == pytest.approx((-share * span, share * span), rel=1e-3)
    assert (found.value, found.interval) == (0, "binomial-bound")


@pytest.mark.parametrize("samples", [binary, multiclass])
def test_areas_that_never_differ_are_bounded_by_the_rows_not_seen(samples):
    for n, width in ((100, 0.05), (20_000, 0.0003)):
        candidate = samples(n=n)[0]
        found = gain("roc_auc", candidate, candidate)
        assert (found.value, found.interval) == (0, "binomial-bound")
        assert width < found.high < 20 * width


def test_two_perfect_models_of_few_rows_are_not_proven_equal():
    truth = np.array([0, 1] * 5)
    candidate, champion = (make_sample("binary", truth, truth, np.abs(truth - e)) for e in (0.1, 0.2))
    found = gain("roc_auc", candidate, champion)
    assert (found.value, found.interval) == (0, "binomial-bound")
    assert found.low < -0.5


def test_one_positive_row_leaves_the_area_open():
    truth = np.array([1] + [0] * 20)
    scores = np.random.default_rng(2).random((2, 21))
    found = gain("roc_auc", *(make_sample("binary", truth, None, each) for each in scores))
    assert found.low < found.value - 0.9
    assert found.high > found.value + 0.9


@pytest.mark.parametrize("metric", VALUES)
def test_unbounded_errors_that_never_differ_have_no_interval(metric):
    candidate = regression()[0]
    found = gain(metric, candidate, candidate)
    assert (found.value, found.low, found.high, found.interval) == (0, None, None, None)


def test_a_perfect_regression_has_no_interval_for_its_root():
    champion = regression()[0]
    perfect = make_sample("regression", champion.y_true, champion.y_true)
    found = gain("rmse", perfect, champion)
    assert found.value == measure("rmse", champion).value
    assert (found.low, found.high) == (None, None)
    assert gain("rmse", champion, perfect).low is None
    assert gain("mae", perfect, champion).low > 0


def test_one_row_has_no_interval():
    found = gain("mae", make_sample("regression", [1.0], [1.1]), make_sample("regression", [1.0], [1.3]))
    assert found.value == pytest.approx(0.2)
    assert found.low is None


def test_a_metric_that_many_resamples_leave_undefined_has_no_interval():
    truth = np.array([1, 1, 0, 0] * 10)
    ours, theirs = truth.copy(), np.zeros(40, dtype=int)
    theirs[0] = 1
    found = gain("precision", *(make_sample("binary", truth, each) for each in (ours, theirs)))
    assert (found.value, found.low, found.high) == (0, None, None)


def test_an_undefined_metric_is_inconclusive_for_either_model():
    truth = np.array([1, 1, 0, 0] * 10)
    good, silent = make_sample("binary", truth, truth), make_sample("binary", truth, np.zeros(40, dtype=int))
    for pair in ((good, silent), (silent, good)):
        with pytest.raises(InconclusiveError, match="precision is undefined"):
            gain("precision", *pair)


def test_one_class_alone_is_inconclusive():
    sample = make_sample("binary", [1, 1], [1, 0])
    with pytest.raises(InconclusiveError, match="f1_score is undefined"):
        gain("f1_score", sample, sample)


def test_relative_to_nothing_is_inconclusive():
    truth = np.array([0.0, 1.0, 2.0])
    better, mean, worse = (make_sample("regression", truth, p) for p in ([0.1, 1.0, 2.0], [1.0] * 3, [2.0, 1.0, 0.0]))
    for champion in (mean, worse):
        with pytest.raises(InconclusiveError, match="relative to the champion's"):
            gain("r2", better, champion, relative=True)
    perfect = make_sample("regression", truth, truth)
    with pytest.raises(InconclusiveError, match="relative to the champion's 0"):
        gain("rmse", better, perfect, relative=True)


def test_other_rows_are_refused():
    candidate, champion = binary()
    shuffled = champion.take(np.arange(len(champion))[::-1])
    for other in (shuffled, champion.take(np.arange(10))):
        with pytest.raises(MeasurementError, match="the same rows in the same order"):
            gain("accuracy", candidate, other)
    one, two = (make_sample("regression", truth, [1.0, 2.0]) for truth in ([1.0, 2.0], [1.0, 2.5]))
    with pytest.raises(MeasurementError, match="the same rows in the same order"):
        gain("mae", one, two)


def test_other_questions_are_refused():
    candidate = make_sample("binary", ["n", "y"], ["n", "y"], positive="y")
    champion = make_sample("binary", ["n", "y"], ["n", "y"], positive="n")
    with pytest.raises(MeasurementError, match="one positive label"):
        gain("accuracy", candidate, champion)
    with pytest.raises(MeasurementError, match="multiclass champion"):
        gain("accuracy", candidate, make_sample("multiclass", ["n", "y"], ["n", "y"]))


def test_metrics_that_do_not_fit_are_refused():
    candidate, champion = binary()
    with pytest.raises(MeasurementError, match="rmse of a binary model"):
        gain("rmse", candidate, champion)
    with pytest.raises(MeasurementError, match="'auc'"):
        gain("auc", candidate, champion)
    bare = make_sample("binary", champion.y_true, champion.y_pred)
    with pytest.raises(MeasurementError, match="no scores"):
        gain("roc_auc", candidate, bare)
    silent = make_sample("binary", champion.y_true, None, champion.scores)
    with pytest.raises(MeasurementError, match="no predicted labels"):
        gain("f1_score", candidate, silent)


def test_a_metric_without_a_paired_interval_is_refused(monkeypatch):
    monkeypatch.setattr(quality, "METRICS", {**METRICS, "novel": METRICS["accuracy"]})
    with pytest.raises(MeasurementError, match="a gain in novel"):
        gain("novel", *binary())


def test_overflow_is_refused():
    truth = np.array([0.0, 1.0, 2.0])
    huge = make_sample("regression", truth, [1e200, 1e200, -1e200])
    with pytest.raises(MeasurementError, match="not finite"):
        gain("rmse", make_sample("regression", truth, truth + 0.1), huge)


@pytest.mark.parametrize("metric", LABELS)
def test_classes_in_another_order_are_the_same_classes(metric):
    candidate, champion = multiclass()
    turned = make_sample("multiclass", champion.y_true, champion.y_pred, classes=("c", "a", "b"))
    assert gain(metric, candidate, turned) == gain(metric, candidate, champion)


def test_a_class_that_only_one_model_knows_counts_against_it():
    truth = np.array(["a", "b"] * 50)
    strange = np.where(np.arange(100) < 10, "z", truth)
    champion = make_sample("multiclass", truth, strange, classes=("z", "b", "a"))
    candidate = make_sample("multiclass", truth, truth, classes=("a", "b"))
    found = gain("accuracy", candidate, champion)
    assert found.value == pytest.approx(0.1)
    assert gain("f1_score", candidate, champion).low > 0


def test_many_cells_are_drawn_less_often(monkeypatch):
    candidate, champion = multiclass(n=2000, classes=tuple("abcdefgh"))
    usual = gain("f1_score", candidate, champion)
    monkeypatch.setattr(joint, "WORK", 1)
    quick = gain("f1_score", candidate, champion)
    assert quick != usual
    assert (quick.low, quick.high) == pytest.approx((usual.low, usual.high), abs=0.2 * (usual.high - usual.low))


def test_relative_to_next_to_nothing_is_refused():
    truth = np.array([0.0, 1e-310, 2e-310])
    tiny = make_sample("regression", truth, np.zeros(3))
    with pytest.raises(MeasurementError, match="not finite"):
        gain("mae", make_sample("regression", truth, truth + np.array([1.0, 2.0, 3.0])), tiny, relative=True)
