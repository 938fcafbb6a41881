"""Coverage of each paired interval at the settings that docs/checks.md lists: 2,000 runs, 95 % intervals, fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from pytest_leanml.checks.sign_off import equivalence_level, worst_of
from pytest_leanml.stats import joint, resampling
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.joint import Cells, bootstrap_limits, newcombe_paired
from pytest_leanml.stats.paired import gain
from pytest_leanml.stats.samples import make_sample

RUNS = 2000
LEAST = 0.93
Z = stats.norm.ppf(0.975)
# Both right, the candidate alone, the champion alone, both wrong.
OFTEN, SELDOM = (0.70, 0.10, 0.10, 0.10), (0.90, 0.03, 0.02, 0.05)
# Truth, candidate and champion in the order 000, 001, ..., 111.
RARE, EVEN = (0.62, 0.05, 0.04, 0.04, 0.03, 0.04, 0.06, 0.12), (0.35, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.35)


@pytest.mark.parametrize(("n", "chances", "most"), [
    (50, OFTEN, 0.97), (200, OFTEN, 0.97), (1000, OFTEN, 0.97),
    (50, SELDOM, 1.0), (200, SELDOM, 0.975), (1000, SELDOM, 0.97),
])  # fmt: skip
def test_accuracy(n, chances, most):
    tables = np.random.default_rng(1).multinomial(n, chances, size=RUNS)
    truth = chances[1] - chances[2]
    limits = [newcombe_paired(*map(float, table), Z) for table in tables]
    assert LEAST <= np.mean([low <= truth <= high for low, high in limits]) <= most


@pytest.mark.parametrize(("metric", "n", "chances"), [
    ("f1_score", 60, RARE), ("f1_score", 200, RARE), ("f1_score", 1000, RARE), ("f1_score", 200, EVEN),
    ("recall", 200, RARE), ("precision", 200, RARE),
])  # fmt: skip
def test_metrics_of_labels(metric, n, chances, monkeypatch):
    monkeypatch.setattr(joint, "RESAMPLES", 400)  # a fifth of the draws: a little noise more, and no bias
    codes, positive = np.arange(8), np.array([1])
    truth, ours, theirs = codes >> 2, codes >> 1 & 1, codes & 1
    values = [joint._values(metric, truth, each, np.array([chances]), positive)[0] for each in (ours, theirs)]
    hits = []
    for seed, rows in enumerate(np.random.default_rng(1).multinomial(n, chances, size=RUNS)):
        seen = rows > 0
        cells = Cells(truth[seen], ours[seen], theirs[seen], rows[seen].astype(float))
        low, high = bootstrap_limits(metric, cells, (positive, positive), relative=False, confidence=0.95, seed=seed)
        hits.append(low <= values[0] - values[1] <= high)
    assert LEAST <= np.mean(hits) <= 0.975


def covered(truth, pairs, metric, **how):
    found = [gain(metric, *pair, **how) for pair in pairs]
    return np.mean([each.low <= truth <= each.high for each in found])


def normal_scores(n, share, rises, shared):
    """Scores of two models that rise with the truth by so much, and share so much of their noise."""
    source = np.random.default_rng(3)
    truth = (np.arange(n) < share * n).astype(int)
    for _ in range(RUNS):
        noise = source.normal(size=(3, n))
        yield [
            make_sample(
                "binary", truth, None, rise * truth + math.sqrt(shared) * noise[0] + math.sqrt(1 - shared) * own
            )
            for rise, own in zip(rises, noise[1:], strict=True)
        ]


@pytest.mark.parametrize(
    ("n", "share", "ours", "theirs", "shared"),
    [(60, 0.5, 1.2, 1.0, 0.5), (250, 0.12, 1.2, 1.0, 0.5), (120, 0.2, 2.2, 2.0, 0.8)],
)
def test_roc_auc(n, share, ours, theirs, shared):
    truth = stats.norm.cdf(ours / math.sqrt(2)) - stats.norm.cdf(theirs / math.sqrt(2))
    assert LEAST <= covered(truth, normal_scores(n, share, (ours, theirs), shared), "roc_auc") <= 0.97


def known_chances(n, seed=5):
    """Rows of five kinds, each with a chance of the positive class and what both models say of it."""
    source = np.random.default_rng(seed)
    kinds = source.choice(5, (RUNS, n), p=SHARES)
    truths = (source.random((RUNS, n)) < CHANCES[kinds]).astype(int)
    for kind, truth in zip(kinds, truths, strict=True):
        yield [make_sample("binary", truth, None, said[kind], classes=(0, 1), positive=1) for said in (OURS, THEIRS)]


SHARES = np.array([0.4, 0.2, 0.1, 0.1, 0.2])
CHANCES = np.array([0.05, 0.2, 0.5, 0.8, 0.95])
OURS, THEIRS = np.array([0.08, 0.2, 0.45, 0.75, 0.9]), np.array([0.15, 0.3, 0.5, 0.7, 0.8])


def expected(loss):
    rows = CHANCES * (loss(THEIRS) - loss(OURS)) + (1 - CHANCES) * (loss(1 - THEIRS) - loss(1 - OURS))
    return float((SHARES * rows).sum())


@pytest.mark.parametrize("n", [50, 200, 1000])
def test_log_loss(n):
    assert LEAST <= covered(expected(lambda p: -np.log(p)), known_chances(n), "log_loss") <= 0.97


@pytest.mark.parametrize("n", [100, 1000])
def test_brier_score(n):
    assert LEAST <= covered(expected(lambda p: (1 - p) ** 2), known_chances(n), "brier_score") <= 0.97


def normal_errors(n, seed=4):
    source, truth = np.random.default_rng(seed), np.zeros(n)
    for _ in range(RUNS):
        noise = source.normal(size=(3, n)) * math.sqrt(0.5)
        yield [
            make_sample("regression", truth, scale * (noise[0] + own))
            for scale, own in ((1.0, noise[1]), (1.2, noise[2]))
        ]


@pytest.mark.parametrize("n", [30, 100, 400])
@pytest.mark.parametrize(("metric", "truth"), [("rmse", 0.2), ("mae", 0.2 * math.sqrt(2 / math.pi))])
def test_errors(metric, truth, n):
    assert LEAST <= covered(truth, normal_errors(n), metric) <= 0.97


def test_the_bootstrap_of_rows(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 400)
    assert LEAST <= covered(0.2, normal_errors(100), "rmse", method="bootstrap") <= 0.97


@pytest.mark.parametrize("gains", [(0.0, 0.0, 0.0, 0.0), (-0.05, 0.0, 0.0, 0.05)])
def test_the_worst_of_four_slices(gains):
    """Each end of the interval on its own: the lower one needs no correction, the upper one has Bonferroni's."""
    strict = stats.norm.ppf(1 - 0.025 / 4)
    tables = np.random.default_rng(8).multinomial(
        150, [(0.7, 0.1 + each / 2, 0.1 - each / 2, 0.1) for each in gains], size=(RUNS, 4)
    )
    above, below = [], []
    for run in tables:
        levels = [
            {
                str(k): Estimate(
                    (table[1] - table[2]) / 150, 150, *newcombe_paired(*map(float, table), z), "newcombe-paired"
                )
                for k, table in enumerate(run)
            }
            for z in (Z, strict)
        ]
        found = worst_of(*levels)
        above.append(found.low <= min(gains))
        below.append(found.high >= min(gains))
    assert np.mean(above) >= 0.965
    assert np.mean(below) >= 0.965


def paired_values(n=40, seed=3):
    source = np.random.default_rng(seed)
    shared = source.exponential(size=n)
    return shared + 0.2 * source.exponential(size=n), shared + 0.2 * source.exponential(size=n)


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.08, 0.2])
def test_equivalence_is_statsmodels_two_one_sided_tests(margin):
    ours, theirs = paired_values()
    truth = np.zeros(len(ours))
    samples = [make_sample("regression", truth, each) for each in (ours, theirs)]
    found = gain("mae", *samples, confidence=equivalence_level(0.95))
    p_value = ttost_paired(theirs, ours, -margin, margin)[0]
    assert (-margin <= found.low <= found.high <= margin) == (p_value <= 0.05)


def test_the_margin_on_the_limit_has_the_p_value_of_the_level():
    ours, theirs = paired_values()
    truth = np.zeros(len(ours))
    samples = [make_sample("regression", truth, each) for each in (ours, theirs)]
    found = gain("mae", *samples, confidence=equivalence_level(0.95))
    assert ttost_paired(theirs, ours, -9.0, found.high)[0] == pytest.approx(0.05, abs=1e-9)
    assert ttost_paired(theirs, ours, found.low, 9.0)[0] == pytest.approx(0.05, abs=1e-9)
    # Non-inferiority: the two-sided limit at 95 % is a one-sided test at 2.5 %.
    low = gain("mae", *samples).low
    assert stats.ttest_1samp(theirs - ours, low, alternative="greater").pvalue == pytest.approx(0.025, abs=1e-9)


def test_the_published_comparison_of_three_areas():
    """DeLong, DeLong and Clarke-Pearson (1988): ovarian cancer, as SAS/STAT prints it in its user's guide."""
    rows = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    benefit = rows[:, 3].astype(int)
    albumin, protein, score = (
        make_sample("binary", benefit, None, each) for each in (rows[:, 0], rows[:, 1], -rows[:, 2])
    )
    for candidate, area, difference, error, p_value in (
        (albumin, 0.7366, 0.0108, 0.0953, 0.9102),
        (protein, 0.6478, -0.0780, 0.1046, 0.4561),
    ):
        found = gain("roc_auc", candidate, score)
        assert found.value == pytest.approx(difference, abs=5e-5)
        assert found.details["candidate"] == pytest.approx(area, abs=5e-5)
        assert found.details["champion"] == pytest.approx(0.7258, abs=5e-5)
        assert found.details["delong_p"] == pytest.approx(p_value, abs=5e-5)
        assert found.value / found.details["delong_z"] == pytest.approx(error, abs=5e-5)


# Albumin, total protein, K-G score (lower is better), benefit.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
