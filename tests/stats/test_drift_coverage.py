"""Do the intervals of drift cover? 2,000 runs each, at settings near zero, away from it, and with many cells.

A naive bootstrap of these distances, which are never negative, covers 0 % where nothing has moved. All of these must
cover 93 % at a nominal 95 %; all that cover more than 97 % are called conservative in the docs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from scipy.spatial.distance import jensenshannon

from pytest_leanml.stats.columns import Side, Tally
from pytest_leanml.stats.cross_fit import fold_auc
from pytest_leanml.stats.drift import ks
from pytest_leanml.stats.drift_counts import (
    chi_squared_counts,
    jensen_shannon_counts,
    kl_counts,
    psi_counts,
    total_variation_counts,
)
from pytest_leanml.stats.novelty import only_here
from pytest_leanml.stats.transport import wasserstein_sides

RUNS = 2000
LEAST = 0.93
TENTH = np.full(10, 0.1)
ZIPF = 1 / np.arange(1, 61) / (1 / np.arange(1, 61)).sum()
# Name -> shares of the reference and of the current rows, rows of either.
SETTINGS = {
    "three cells, nothing moved, 100 rows": ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2], 100, 100),
    "ten cells, nothing moved, 2,000 rows": (TENTH, TENTH, 2000, 2000),
    "ten cells, a little, 1,000 and 400 rows": (TENTH, TENTH * np.repeat([0.8, 1.2], 5), 1000, 400),
    "three cells, much, 200 rows": ([0.6, 0.3, 0.1], [0.2, 0.3, 0.5], 200, 200),
    "sixty cells by Zipf, turned round, 3,000 rows": (ZIPF, ZIPF[::-1], 3000, 3000),
    "a cell that few rows reach, 150 rows": ([0.7, 0.295, 0.005], [0.7, 0.285, 0.015], 150, 150),
}


def floored(old, new, n, m):
    return np.maximum(old, 0.5 / n), np.maximum(new, 0.5 / m)


def true_psi(old, new, n, m):
    p, q = floored(old, new, n, m)
    return float(((q - p) * np.log(q / p)).sum())


def true_kl(old, new, n, m):
    p, q = floored(old, new, n, m)
    return float((q * np.log(q / p) - q + p).sum())


def true_js(old, new, _n, _m):
    return float(np.nan_to_num(jensenshannon(old, new, base=2)))


def true_variation(old, new, _n, _m):
    return float(np.abs(old - new).sum()) / 2


def true_v(old, new, n, m):
    w = n / (n + m)
    return math.sqrt(float((w * (1 - w) * (old - new) ** 2 / (w * old + (1 - w) * new)).sum()))


TRUTHS = {
    psi_counts: true_psi,
    kl_counts: true_kl,
    jensen_shannon_counts: true_js,
    total_variation_counts: true_variation,
    chi_squared_counts: true_v,
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("compare", TRUTHS)
def test_intervals_of_counts_cover(compare, setting):
    old, new, n, m = SETTINGS[setting]
    old, new = np.asarray(old), np.asarray(new)
    draw = np.random.default_rng(2026)
    truth = TRUTHS[compare](old, new, n, m)
    tables = zip(draw.multinomial(n, old, size=RUNS), draw.multinomial(m, new, size=RUNS), strict=True)
    covered = [found.low <= truth <= found.high for found in (compare(*table) for table in tables)]
    assert np.mean(covered) >= LEAST


@pytest.mark.parametrize("n", [30, 600])
@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_ks_covers(n, shift):
    draw = np.random.default_rng(2026)
    truth = 2 * special.ndtr(shift / 2) - 1
    old, new = draw.normal(size=(RUNS, n)), draw.normal(shift, size=(RUNS, n))
    found = [ks(*pair) for pair in zip(old, new, strict=True)]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= LEAST


LAWS = {
    "normal": (stats.norm(), stats.norm()),
    "normal, shifted by 0.3": (stats.norm(), stats.norm(0.3)),
    "exponential, same": (stats.expon(), stats.expon()),
    "exponential, 1.5 times as long": (stats.expon(), stats.expon(scale=1.5)),
    "t of 5": (stats.t(5), stats.t(5, loc=0.5)),
    "uniform": (stats.uniform(), stats.uniform(0.1, 1)),
}
# Each is shifted, or stretched from 0 on: the area between both functions is the difference of the means.


@pytest.mark.parametrize("n", [30, 600])
@pytest.mark.parametrize("law", LAWS)
def test_wasserstein_covers(law, n):
    """The true distance over the true standard deviation: what is left out, the error of the unit, does no harm."""
    first, second = LAWS[law]
    truth = abs(second.mean() - first.mean()) / first.std()
    draw = np.random.default_rng(2026)
    old = np.sort(first.rvs(size=(RUNS, n), random_state=draw), axis=1)
    new = np.sort(second.rvs(size=(RUNS, n), random_state=draw), axis=1)
    pairs = zip(old, new, strict=True)
    found = [wasserstein_sides(Side(one, n, 0), Side(other, n, 0)) for one, other in pairs]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= LEAST


@pytest.mark.parametrize(("shares", "rows"), [((0.0, 0.0), 60), ((0.02, 0.05), 200), ((0.3, 0.3), 500)])
def test_new_categories_cover(shares, rows):
    """Given what the reference has; the largest of two columns."""
    draw = np.random.default_rng(2026)
    counts = np.stack([draw.binomial(rows, share, size=RUNS) for share in shares], axis=1)

    def column(count):
        return Tally(("a", "b"), np.array([50.0, 0.0, 0.0]), np.array([rows - count, count, 0.0]))

    found = [only_here({"x": column(one), "y": column(other)}, current=True) for one, other in counts.tolist()]
    assert np.mean([each.low <= max(shares) <= each.high for each in found]) >= LEAST


@pytest.mark.parametrize(("rows", "shift"), [(60, 0.0), (60, 0.8), (250, 0.2), (250, 1.5)])
def test_the_area_over_folds_covers(rows, shift):
    """Linear discriminants of three columns: the mean area of the five models is known by the normal law."""
    folds, columns = 5, 3
    draw = np.random.default_rng(2026)
    truth, fold = np.repeat([False, True], rows), np.tile(np.arange(rows) % folds, 2)
    table = draw.normal(size=(RUNS, 2 * rows, columns))
    table[:, rows:, 0] += shift
    scores, areas = np.empty((RUNS, 2 * rows)), np.empty((RUNS, folds))
    for each in range(folds):
        inside, side = fold == each, [~truth & (fold != each), truth & (fold != each)]
        means = [table[:, rows_].mean(axis=1) for rows_ in side]
        within = sum(
            np.einsum("rni,rnj->rij", table[:, rows_] - mean[:, None], table[:, rows_] - mean[:, None])
            for rows_, mean in zip(side, means, strict=True)
        )
        weights = np.linalg.solve(within, (means[1] - means[0])[:, :, None])[:, :, 0]
        scores[:, inside] = np.einsum("rni,ri->rn", table[:, inside], weights)
        areas[:, each] = special.ndtr(weights[:, 0] * shift / np.sqrt(2 * (weights**2).sum(axis=1)))
    found = [fold_auc(truth, each, fold) for each in scores]
    covered = [each.low <= area <= each.high for each, area in zip(found, areas.mean(axis=1), strict=True)]
    assert np.mean(covered) >= LEAST
