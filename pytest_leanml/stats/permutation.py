"""The paired permutation test: were the two models' answers to each row to trade places by the toss of a coin.

The statistic is the gain itself, two-sided. Under the null hypothesis either model could have given either answer, so
that a gain of this size and its opposite are as likely (Fisher 1935, The Design of Experiments, section 21; Good 2005,
Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3).

Where at most ``ARRANGEMENTS`` outcomes are possible each of them counts, with its weight: "exact". Rows of one kind
(true class, both answers) that trade places are told by their number alone, which is what makes this reach further than
rows one by one. Otherwise 9,999 draws with a fixed seed and the correction of Phipson and Smyth (2010, Statistical
Applications in Genetics and Molecular Biology 9, 39): (1 + as extreme) / (1 + draws), never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.joint import Cells, gains_of, joint_cells
from pytest_leanml.stats.pairs import demand_same, translation
from pytest_leanml.stats.probabilities import brier_rows, codes_of, log_loss_rows
from pytest_leanml.stats.quality import Needs, metric_for
from pytest_leanml.stats.regression import residuals
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_leanml.stats.samples import FloatArray, IntArray, Sample

ARRANGEMENTS = 100_000
EXACT_ROWS = 16
DRAWS = 9_999
FEWEST_DRAWS = 999
WORK = 200_000_000
CHUNK = 2_000_000
TIE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Permuted:
    """What trading places does to a gain.

    Attributes:
        gain: the gain that was seen, before rounding.
        gains: shape (k,), those of the arrangements; NaN where the metric is undefined.
        weights: shape (k,), their chances where all arrangements are among them; None for draws.
    """

    gain: float
    gains: FloatArray
    weights: FloatArray | None

    @property
    def p_value(self) -> float:
        """Two-sided; an arrangement that leaves the metric undefined counts as extreme."""
        extreme = ~(np.abs(self.gains) < abs(self.gain) - TIE * max(abs(self.gain), 1e-300))
        if self.weights is not None:
            return min(1.0, float(self.weights[extreme].sum()))
        return (1 + int(np.count_nonzero(extreme))) / (1 + len(self.gains))

    @property
    def error(self) -> float:
        """Return the Monte-Carlo standard error of the p value; 0 where all arrangements were counted."""
        if self.weights is not None:
            return 0.0
        return math.sqrt(self.p_value * (1 - self.p_value) / (1 + len(self.gains)))

    def reach(self, confidence: float) -> float:
        """Return the gain that chance stays below with this confidence: the half-width of the test's own interval."""
        sizes = np.nan_to_num(np.abs(self.gains), nan=np.inf)
        if self.weights is None:
            rank = math.ceil(confidence * (1 + len(sizes))) - 1
            return float(np.sort(sizes)[rank]) if rank < len(sizes) else math.inf
        order = np.argsort(sizes)
        place = int(np.searchsorted(np.cumsum(self.weights[order]), confidence - TIE))
        return float(sizes[order][min(place, len(sizes) - 1)])

    def details(self) -> dict[str, float]:
        """Return p value, its Monte-Carlo error and the number of draws (0 when exact), as details of an estimate."""
        draws = 0.0 if self.weights is not None else float(len(self.gains))
        return {"permutation_p": self.p_value, "permutation_p_error": self.error, "permutation_draws": draws}


def permute(metric: str, candidate: Sample, champion: Sample, *, seed: int = 0) -> Permuted:
    """Let the two models' answers trade places.

    Args:
        metric: accuracy, precision, recall, f1_score, log_loss, brier_score, rmse, mae or r2.
        candidate: the new model's answers.
        champion: the present model's, on the same rows in the same order.
        seed: of the draws; the same seed gives the same p value.

    Raises:
        InconclusiveError: both models answer every row alike, so that nothing can trade places.
        MeasurementError: roc_auc, which compares rows with each other; other rows, tasks or positive labels.
    """
    facts = metric_for(metric, candidate)
    demand_same(candidate, champion)
    if metric == "roc_auc":
        raise MeasurementError(
            "a permutation test of roc_auc, whose scores of two models are on two scales",
            "DeLong's test, whose p value stands in the details",
            "leave the method out",
        )
    if facts.needs is Needs.LABELS:
        return _permute_labels(metric, candidate, champion, seed)
    return _permute_rows(metric, candidate, champion, seed)


def _demand_some(trading: bool) -> None:  # noqa: FBT001 - the one thing it is about
    if not trading:
        raise InconclusiveError(
            "both models answer every row alike, so that a permutation test has nothing to permute",
            "rows on which the models differ",
            "leave the method out: the default interval says what can be said",
        )


def _permute_labels(metric: str, candidate: Sample, champion: Sample, seed: int) -> Permuted:
    truth, ours = codes_of(candidate), cast("IntArray", candidate.pred_codes)
    theirs = translation(candidate, champion)[cast("IntArray", champion.pred_codes)]
    cells = joint_cells(truth, ours, theirs)
    trading = cells.ours != cells.theirs
    _demand_some(bool(trading.any()))
    labels = _labels(candidate, cells)
    counts = cells.rows[trading]
    arranged = Cells(
        np.concatenate([cells.truth, cells.truth[trading]]),
        np.concatenate([cells.ours, cells.theirs[trading]]),
        np.concatenate([cells.theirs, cells.ours[trading]]),
        np.concatenate([cells.rows, np.zeros_like(counts)]),
    )
    base = np.where(trading, 0.0, cells.rows)

    def gains(stay: FloatArray) -> FloatArray:
        draws = np.concatenate([np.tile(base, (len(stay), 1)), counts - stay], axis=1)
        draws[:, np.flatnonzero(trading)] = stay
        return gains_of(metric, arranged, draws, (labels, labels), relative=False)

    seen = float(gains(counts[None, :])[0])
    if np.prod(counts + 1) <= ARRANGEMENTS:
        stay, weights = _all_counts(counts)
        return Permuted(seen, gains(stay), weights)
    rng = np.random.default_rng(seed)
    drawn = [
        gains(rng.binomial(counts.astype(np.int64), 0.5, size=(rows, len(counts))).astype(np.float64))
        for rows in _steps(DRAWS, len(arranged.rows))
    ]
    return Permuted(seen, np.concatenate(drawn), None)


def _labels(candidate: Sample, cells: Cells) -> IntArray:
    if candidate.task is Task.BINARY:
        return np.array([candidate.classes.index(candidate.positive)], dtype=np.intp)
    return np.unique(np.concatenate([cells.truth, cells.ours, cells.theirs]))


def _all_counts(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return every way to split each count in two, shape (k, c), and the chances of coins, shape (k,)."""
    from scipy.stats import binom  # half a second, and only here

    sides = [np.arange(count + 1) for count in counts.tolist()]
    chances = [binom.pmf(side, count, 0.5) for side, count in zip(sides, counts.tolist(), strict=True)]
    stay = np.stack([each.ravel() for each in np.meshgrid(*sides, indexing="ij")], axis=1)
    weights = np.prod(np.stack([each.ravel() for each in np.meshgrid(*chances, indexing="ij")]), axis=0)
    return stay.astype(np.float64), weights


def _steps(draws: int, width: int) -> Iterator[int]:
    step = max(1, CHUNK // max(1, width))
    for start in range(0, draws, step):
        yield min(step, draws - start)


def _permute_rows(metric: str, candidate: Sample, champion: Sample, seed: int) -> Permuted:
    """Each row's difference changes its sign; the gain follows from their sum."""
    ours, theirs = (_ROWS[metric](each) for each in (candidate, champion))
    gaps = np.asarray(theirs - ours)
    moving = gaps[gaps != 0]
    _demand_some(bool(len(moving)))
    to_gain = _to_gain(metric, candidate, float(ours.sum() + theirs.sum()))
    seen = float(to_gain(np.array([moving.sum()]))[0])
    if len(moving) <= EXACT_ROWS:
        codes = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        sums = (1.0 - 2.0 * codes) @ moving
        return Permuted(seen, to_gain(sums), np.full(len(sums), 1 / len(sums)))
    rng = np.random.default_rng(seed)
    draws = min(DRAWS, max(FEWEST_DRAWS, WORK // len(moving)))
    sums = np.concatenate([_signed_sums(rng, moving, rows) for rows in _steps(draws, len(moving))])
    return Permuted(seen, to_gain(sums), None)


def _signed_sums(rng: np.random.Generator, gaps: FloatArray, draws: int) -> FloatArray:
    width = -(-len(gaps) // 8)
    coins = np.unpackbits(rng.integers(0, 256, size=(draws, width), dtype=np.uint8), axis=1, count=len(gaps))
    return np.asarray(gaps.sum() - 2 * (coins.astype(np.float64) @ gaps))


def _to_gain(metric: str, sample: Sample, total: float) -> Callable[[FloatArray], FloatArray]:
    """Return what makes a gain of the sum of the differences of both models' rows, of sum ``total`` together."""
    n = len(sample)
    if metric == "rmse":
        return lambda sums: np.sqrt((total + sums) / (2 * n)) - np.sqrt(np.maximum(total - sums, 0.0) / (2 * n))
    if metric == "r2":
        truth = np.asarray(sample.y_true, dtype=np.float64)
        spread = float(((truth - truth.mean()) ** 2).sum())
        return lambda sums: sums / spread
    return lambda sums: sums / n


_ROWS: dict[str, Callable[[Sample], FloatArray]] = {
    "log_loss": log_loss_rows,
    "brier_score": brier_rows,
    "mae": lambda sample: np.abs(residuals(sample)),
    "rmse": lambda sample: residuals(sample) ** 2,
    "r2": lambda sample: residuals(sample) ** 2,
}
