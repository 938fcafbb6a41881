"""What each row moves a metric by, to first order, for two models at once: the stuff of paired intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.stats.intervals import unvaried
from pytest_leanml.stats.moments import skewness, standard_error
from pytest_leanml.stats.probabilities import LONGEST_LOSS, brier_rows, codes_of, log_loss_rows, placements, scores_of
from pytest_leanml.stats.regression import residuals
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.stats.samples import FloatArray, IntArray, Sample


HALL = "paired-hall-t"


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """Rows drawn alike.

    Attributes:
        pull: shape (2, m), candidate and champion: but for a constant, the mean over the rows is the stratum's part of
            the metric.
        reach: the most by which one row's pulls can differ; infinite where nothing bounds it.
    """

    pull: FloatArray
    reach: float


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """A metric of two models as a sum of means over independent strata.

    Attributes:
        strata: at least one.
        method: name of the interval that follows from them.
        known: rows, at least 2, that the least known scatter is known from.
    """

    strata: tuple[Stratum, ...]
    method: str
    known: int

    def error(self, slopes: tuple[float, float]) -> float | None:
        """Return the standard error of ``slopes`` times both values; None where no row differs from another."""
        errors = [standard_error(np.asarray(slopes) @ each.pull) for each in self.strata]
        known = [error for error in errors if error is not None]
        return math.hypot(*known) if known else None

    def skew(self, slopes: tuple[float, float]) -> float:
        """Return the skewness of ``slopes`` times both values, of rows in one stratum that differ."""
        return skewness(np.asarray(slopes) @ self.strata[0].pull)

    def blind(self, slopes: tuple[float, float], confidence: float) -> float:
        """Return how far rows that were not seen could move the difference in strata where all seen moved it alike."""
        return sum(
            unvaried(0.0, each.pull.shape[1], confidence, (-each.reach, each.reach))[1] * abs(slopes[0])
            for each in self.strata
            if standard_error(np.asarray(slopes) @ each.pull) is None
        )


def influence_of(metric: str, candidate: Sample, champion: Sample) -> Influence | None:
    """Return the influence of each row on a metric of scores or values; None where it has none to first order.

    Args:
        metric: roc_auc, log_loss, brier_score, rmse, mae or r2.
        candidate: the new model's answers.
        champion: the present model's, on the same rows.
    """
    if metric == "roc_auc":
        return _area(candidate, champion) if candidate.task is Task.BINARY else _macro_area(candidate, champion)
    rows, reach, method = _ROWS[metric]
    ours, theirs = rows(candidate), rows(champion)
    if ours is None or theirs is None:
        return None
    if metric == "brier_score" and candidate.task is Task.MULTICLASS:
        reach = 2.0
    pull = np.stack([ours, theirs])
    return Influence((Stratum(pull, reach),), method, max(2, len(candidate)))


def _absolute_rows(sample: Sample) -> FloatArray:
    return np.abs(residuals(sample))


def _root_rows(sample: Sample) -> FloatArray | None:
    """Return e^2 / (2 RMSE): the slope of the root. At 0 it has none."""
    squares = residuals(sample) ** 2
    root = math.sqrt(float(squares.mean()))
    return squares / (2 * root) if root else None


def _r2_rows(sample: Sample) -> FloatArray:
    """Return each row's pull on R2, the quotient of two means: ((1 - R2) v - e^2) / mean(v), v = (y - mean(y))^2."""
    squares = residuals(sample) ** 2
    truth = np.asarray(sample.y_true, dtype=np.float64)
    spread = (truth - truth.mean()) ** 2
    return np.asarray((squares.sum() / spread.sum() * spread - squares) / spread.mean())


_ROWS: dict[str, tuple[Callable[[Sample], FloatArray | None], float, str]] = {
    "log_loss": (log_loss_rows, LONGEST_LOSS, HALL),
    "brier_score": (brier_rows, 1.0, "paired-t"),
    "mae": (_absolute_rows, math.inf, "paired-t"),
    "rmse": (_root_rows, math.inf, "paired-delta"),
    "r2": (_r2_rows, math.inf, "paired-delta"),
}


def _area(candidate: Sample, champion: Sample) -> Influence:
    """DeLong's structural components: the positives' and the negatives', two independent strata."""
    truth = candidate.truth
    parts = [placements(scores[truth], scores[~truth]) for scores in map(scores_of, (candidate, champion))]
    strata = tuple(Stratum(np.stack(pair), 1.0) for pair in zip(*parts, strict=True))
    return Influence(strata, "paired-delong", max(2, min(each.pull.shape[1] for each in strata)))


def _macro_area(candidate: Sample, champion: Sample) -> Influence:
    """Each row's pull on the plain mean of the areas of each class against the rest; all rows are one stratum."""
    codes, classes = codes_of(candidate), len(candidate.classes)
    sizes = np.bincount(codes, minlength=classes)
    pull = np.stack(
        [
            _pulls(scores_of(candidate), codes, sizes),
            _pulls(scores_of(champion), codes_of(champion), np.bincount(codes_of(champion), minlength=classes)),
        ]
    )
    rest = len(codes) / (len(codes) - sizes)
    reach = float((len(codes) / sizes + rest.sum() - rest).max()) / classes
    return Influence((Stratum(pull, reach),), "paired-delong", max(2, int(sizes.min())))


def _pulls(scores: FloatArray, codes: IntArray, sizes: IntArray) -> FloatArray:
    n, k = len(codes), len(sizes)
    pulls = np.zeros(n)
    for code, size in enumerate(sizes.tolist()):
        mine = codes == code
        above, below = placements(scores[mine, code], scores[~mine, code])
        pulls[mine] += (above - above.mean()) * n / size
        pulls[~mine] += (below - below.mean()) * n / (n - size)
    return pulls / k
