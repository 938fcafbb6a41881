"""The paired bootstrap of metrics of scores and values: rows are drawn again, both models' answers with them.

Limits are the percentiles of the gains of the draws, spread as Student's t asks for few rows (Hesterberg 2015, The
American Statistician 69, 371-386, section 5.3: the expanded percentile interval). For metrics of labels see
``joint.bootstrap_limits``, which needs no row one by one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_leanml.stats.intervals import critical_t
from pytest_leanml.stats.joint import FEWEST_RESAMPLES, MOST_UNDEFINED, RESAMPLES
from pytest_leanml.stats.probabilities import brier_rows, codes_of, log_loss_rows, scores_of
from pytest_leanml.stats.regression import residuals
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import BoolArray, FloatArray, Sample

WORK = 400_000_000
CHUNK = 2_000_000


def bootstrap_rows(  # noqa: PLR0913 - keyword only
    metric: str, candidate: Sample, champion: Sample, *, sign: int, relative: bool, confidence: float, seed: int
) -> Limits | None:
    """Return the limits of a gain; None where too many draws are undefined, or all are alike.

    Args:
        metric: roc_auc, log_loss, brier_score, rmse, mae or r2.
        candidate: the new model's answers.
        champion: the present model's, on the same rows.
        sign: 1 where higher is better, else -1.
        relative: divide by the champion's value.
        confidence: two-sided level.
        seed: of the draws; the same seed gives the same limits.
    """
    n = len(candidate)
    values = [_values(metric, each) for each in (candidate, champion)]
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for draws in _draws(n, seed):
            ours, theirs = (each(draws) for each in values)
            found.append(sign * (ours - theirs) / (theirs if relative else 1.0))
    gains = np.concatenate(found)
    defined = gains[np.isfinite(gains)]
    if n < 2 or len(defined) < (1 - MOST_UNDEFINED) * len(gains):  # noqa: PLR2004 - one row has no scatter
        return None
    tail = float(special.ndtr(-math.sqrt(n / (n - 1)) * critical_t(confidence, n - 1)))
    low, high = np.quantile(defined, [tail, 1 - tail]).tolist()
    return (low, high) if low < high else None


def _draws(n: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each row was drawn, shape (r, n), in pieces of bounded size."""
    rng = np.random.default_rng(seed)
    resamples = min(RESAMPLES, max(FEWEST_RESAMPLES, WORK // n))
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _values(metric: str, sample: Sample) -> Callable[[FloatArray], FloatArray]:
    """Return what computes the metric of each draw, shape (r, n) to (r,)."""
    if metric == "roc_auc":
        return _areas(sample)
    n = len(sample)
    if metric in _MEANS:
        rows = _MEANS[metric](sample)
        return lambda draws: draws @ rows / n
    squares = residuals(sample) ** 2
    if metric == "rmse":
        return lambda draws: np.sqrt(draws @ squares / n)
    truth = np.asarray(sample.y_true, dtype=np.float64)
    centred = truth - truth.mean()  # so that nothing cancels below
    return lambda draws: 1 - (draws @ squares / n) / (draws @ centred**2 / n - (draws @ centred / n) ** 2)


_MEANS: dict[str, Callable[[Sample], FloatArray]] = {
    "log_loss": log_loss_rows,
    "brier_score": brier_rows,
    "mae": lambda sample: np.abs(residuals(sample)),
}


def _areas(sample: Sample) -> Callable[[FloatArray], FloatArray]:
    scores = scores_of(sample)
    if sample.task is Task.BINARY:
        return _area(scores, sample.truth)
    codes = codes_of(sample)
    each = [_area(scores[:, code], codes == code) for code in range(len(sample.classes))]
    return lambda draws: np.mean([area(draws) for area in each], axis=0)


def _area(scores: FloatArray, positive: BoolArray) -> Callable[[FloatArray], FloatArray]:
    """Return what computes the area of each draw: the pairs in order, ties counting half, over all pairs."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    ups = positive[order]

    def area(draws: FloatArray) -> FloatArray:
        sorted_draws = draws[:, order]
        above = np.add.reduceat(sorted_draws * ups, starts, axis=1)
        below = np.add.reduceat(sorted_draws * ~ups, starts, axis=1)
        pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
        return np.asarray(pairs / (above.sum(axis=1) * below.sum(axis=1)))

    return area
