"""Two models' labels on the same rows: their joint counts, and what resampling these says of a gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.stats.intervals import critical, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray

RESAMPLES = 2000
FEWEST_RESAMPLES = 400
WORK = 20_000_000
PSEUDO_ROWS = 2.0
MOST_UNDEFINED = 0.05
DENSE = 1_000_000
CHUNK = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The rows of each (true class, candidate's class, champion's class) that occurs; all of shape (c,).

    Attributes:
        truth: position of the true class.
        ours: position of the candidate's class.
        theirs: position of the champion's class.
        rows: how many rows there are of it.
    """

    truth: IntArray
    ours: IntArray
    theirs: IntArray
    rows: FloatArray

    @property
    def n(self) -> int:
        """All rows."""
        return int(self.rows.sum())


def joint_cells(truth: IntArray, ours: IntArray, theirs: IntArray) -> Cells:
    """Count the rows of each combination that occurs.

    Args:
        truth: shape (n,), codes from 0.
        ours: the candidate's, shape (n,).
        theirs: the champion's, shape (n,).
    """
    k = 1 + max(int(codes.max()) for codes in (truth, ours, theirs))
    codes = (truth * k + ours) * k + theirs
    if k**3 <= DENSE:
        rows = np.bincount(codes, minlength=k**3)
        found = np.flatnonzero(rows)
        rows = rows[found]
    else:
        found, rows = np.unique(codes, return_counts=True)
    return Cells(found // k**2, found // k % k, found % k, rows.astype(np.float64))


def newcombe_paired(both: float, ours: float, theirs: float, neither: float, z: float) -> Limits:
    """Limits of the difference of two paired proportions, candidate's minus champion's.

    Newcombe's method 10 (1998, Statistics in Medicine 17, 2635-2650): Wilson's limits of each proportion, squared and
    added with the correlation phi of the pairs, of which n / 2 is taken off its numerator where it is positive.

    Args:
        both: rows that both got right.
        ours: rows that the candidate alone got right.
        theirs: rows that the champion alone got right.
        neither: rows that both got wrong.
        z: two-sided critical value.
    """
    n = both + ours + theirs + neither
    first, second = (both + ours) / n, (both + theirs) / n
    low, high = wilson([both + ours, both + theirs], [n, n], z)
    phi = _phi(both, ours, theirs, neither)

    def margin(mine: float, other: float) -> float:
        return math.sqrt(max(0.0, mine**2 - 2 * phi * mine * other + other**2))

    gap = first - second
    return gap - margin(first - low[0], high[1] - second), gap + margin(second - low[1], high[0] - first)


def _phi(both: float, ours: float, theirs: float, neither: float) -> float:
    margins = (both + ours) * (theirs + neither) * (both + theirs) * (ours + neither)
    if not margins:
        return 0.0
    product = both * neither - ours * theirs
    half = (both + ours + theirs + neither) / 2
    return (max(product - half, 0.0) if product > 0 else product) / math.sqrt(margins)


def accuracy_limits(cells: Cells, confidence: float) -> Limits:
    """Return Newcombe's limits of the gain in accuracy."""
    ours, theirs = cells.ours == cells.truth, cells.theirs == cells.truth

    def count(mask: BoolArray) -> float:
        return float(cells.rows[mask].sum())

    four = count(ours & theirs), count(ours & ~theirs), count(~ours & theirs), count(~ours & ~theirs)
    return newcombe_paired(*four, critical(confidence))


def bootstrap_limits(  # noqa: PLR0913 - keyword only
    metric: str, cells: Cells, labels: tuple[IntArray, IntArray], *, relative: bool, confidence: float, seed: int
) -> Limits | None:
    """Return the percentile limits of a gain over resampled rows, or None where too many resamples are undefined.

    Resampling n rows and counting them again is one multinomial draw over the cells, whatever n is (Efron and
    Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). Disagreements that n rows did not show would never
    be drawn, and two models that agree throughout would get an interval of width zero: so two rows of disagreement are
    added, half of them each way, spread over the true classes, as Agresti and Min add two to paired tables (2005,
    Statistics in Medicine 24, 729-740). The estimate itself is left alone.

    Args:
        metric: accuracy, precision, recall or f1_score.
        cells: joint counts of both models.
        labels: the classes that the candidate's and the champion's metric is a mean over.
        relative: divide by the champion's value.
        confidence: two-sided level.
        seed: of the draws; the same seed gives the same limits.
    """
    padded = _padded(cells)
    gains = np.concatenate(
        [gains_of(metric, padded, draws, labels, relative=relative) for draws in _draws(padded.rows, cells.n, seed)]
    )
    defined = gains[np.isfinite(gains)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(gains):
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]).tolist()
    return low, high


def _padded(cells: Cells) -> Cells:
    """Add two rows of disagreement: in each true class one model is right, the other says the commonest other class."""
    found, position = np.unique(cells.truth, return_inverse=True)
    order = np.argsort(-np.bincount(position, weights=cells.rows), kind="stable")
    other = np.full(len(found), found[order[0]])
    other[order[0]] = found[order[1]]
    share = np.full(2 * len(found), PSEUDO_ROWS / (2 * len(found)))
    return Cells(
        np.concatenate([cells.truth, found, found]),
        np.concatenate([cells.ours, found, other]),
        np.concatenate([cells.theirs, other, found]),
        np.concatenate([cells.rows, share]),
    )


def _draws(weights: FloatArray, n: int, seed: int) -> Iterator[FloatArray]:
    """Yield draws of n rows, in pieces of bounded size; fewer of them where there are more than 10,000 cells."""
    rng = np.random.default_rng(seed)
    resamples = min(RESAMPLES, max(FEWEST_RESAMPLES, WORK // len(weights)))
    step = max(1, CHUNK // len(weights))
    for start in range(0, resamples, step):
        yield rng.multinomial(n, weights / weights.sum(), size=min(step, resamples - start)).astype(np.float64)


def gains_of(
    metric: str, cells: Cells, draws: FloatArray, labels: tuple[IntArray, IntArray], *, relative: bool
) -> FloatArray:
    """Return the gain of each draw, shape (r,); NaN where it is undefined.

    Args:
        metric: accuracy, precision, recall or f1_score.
        cells: what the columns of the draws are.
        draws: rows of each cell, shape (r, c).
        labels: the classes that the candidate's and the champion's metric is a mean over; a draw that has a class
            neither in truth nor in predictions leaves it out, as scikit-learn would.
        relative: divide by the champion's value.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ours = _values(metric, cells.truth, cells.ours, draws, labels[0])
        theirs = _values(metric, cells.truth, cells.theirs, draws, labels[1])
        return (ours - theirs) / theirs if relative else ours - theirs


def _values(metric: str, truth: IntArray, given: IntArray, draws: FloatArray, labels: IntArray) -> FloatArray:
    """Return the metric of each draw; NaN where it is undefined. ``draws`` has the shape (r, c)."""
    right = truth == given
    if metric == "accuracy":
        return np.asarray(draws @ right / draws.sum(axis=1))
    real, guess = truth[:, None] == labels, given[:, None] == labels
    hits, reals, guesses = draws @ (real & right[:, None]), draws @ real, draws @ guess
    below = {"precision": guesses, "recall": reals, "f1_score": (reals + guesses) / 2}[metric]
    met = reals + guesses > 0
    shares = np.where(met, hits / np.where(met, below, 1.0), 0.0)
    return np.asarray(shares.sum(axis=1) / met.sum(axis=1))
