"""The confusion matrix as the list of its cells that occur: as fit for 100,000 classes as for two, weighted or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import critical, critical_t, wilson
from pytest_leanml.stats.moments import effective

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import LimitArrays
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray, Sample

DENSE = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """Rows by (true class, predicted class); of the classes, those that truth or predictions have.

    Attributes:
        labels: the k classes met, in the order of the sample's.
        truth: shape (c,), position of the true class in ``labels``.
        guess: shape (c,), position of the predicted one.
        rows: shape (c,), sum of the weights, which is the number of rows without weights.
        squares: shape (c,), sum of the squared weights.
        n: rows.
        effective: Kish's effective number of them.
        weighted: whether weights differ.
    """

    labels: tuple[Any, ...]
    truth: IntArray
    guess: IntArray
    rows: FloatArray
    squares: FloatArray
    n: int
    effective: float
    weighted: bool

    @property
    def right(self) -> BoolArray:
        """Cells on the diagonal, shape (c,)."""
        return np.asarray(self.truth == self.guess)

    @property
    def share(self) -> FloatArray:
        """Share of the weight in each cell, shape (c,)."""
        return np.asarray(self.rows / self.rows.sum())

    def by_truth(self, values: FloatArray) -> FloatArray:
        """Return the sums of ``values``, shape (c,), over each true class, shape (k,)."""
        return _binned(self.truth, values, len(self.labels))

    def by_guess(self, values: FloatArray) -> FloatArray:
        """Return the sums of ``values``, shape (c,), over each predicted class, shape (k,)."""
        return _binned(self.guess, values, len(self.labels))

    def critical(self, confidence: float) -> float:
        """Return the critical value: the normal one, with weights Student's t of the effective rows."""
        return critical_t(confidence, max(1, int(self.effective) - 1)) if self.weighted else critical(confidence)

    def place(self, label: Any) -> int | None:
        """Return the position of ``label``, None where neither truth nor predictions have it."""
        return self.labels.index(label) if label in self.labels else None


def joint_of(sample: Sample) -> Joint:
    """Count the rows of each pair of true and predicted class that occurs.

    Raises:
        MeasurementError: the sample has no predicted labels.
    """
    if sample.true_codes is None or sample.pred_codes is None:
        raise MeasurementError("no predicted labels", "a classification sample with y_pred")
    met = np.zeros(len(sample.classes), dtype=bool)
    met[sample.true_codes] = met[sample.pred_codes] = True
    place, k = np.cumsum(met) - 1, int(met.sum())
    cells, rows, squares = _sums(place[sample.true_codes] * k + place[sample.pred_codes], k * k, sample.weights)
    labels = tuple(sample.classes[code] for code in np.flatnonzero(met).tolist())
    rows_known = effective(sample.weights, len(sample))
    return Joint(labels, cells // k, cells % k, rows, squares, len(sample), rows_known, sample.weights is not None)


def _sums(codes: IntArray, size: int, weights: FloatArray | None) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the codes that occur, and the sums of weights and squared weights over each."""
    if size <= DENSE:
        found, kept = (np.flatnonzero(np.bincount(codes, minlength=size)),) * 2
    else:
        found, codes = np.unique(codes, return_inverse=True)
        kept = np.arange(len(found))
    if weights is None:
        rows = np.bincount(codes)[kept].astype(np.float64)
        return found, rows, rows
    return found, _binned(codes, weights)[kept], _binned(codes, weights**2)[kept]


def _binned(codes: IntArray, values: FloatArray, size: int = 0) -> FloatArray:
    return np.asarray(np.bincount(codes, weights=values, minlength=size), dtype=np.float64)


def ratio_limits(
    hits: FloatArray, misses: FloatArray, squares: tuple[FloatArray, FloatArray], *, z: float, weighted: bool
) -> LimitArrays:
    """Return Wilson's limits of the ratios hits / (hits + misses), each shape (k,).

    With weights the trials are effective ones, as Korn and Graubard have it (1998, Survey Methodology 24, 193-201): as
    many as would give the linearised variance of the ratio, at most Kish's number (with few rows that variance is often
    far too small), and less by the square of the normal critical value over Student's t.

    Args:
        hits: sums of the weights.
        misses: sums of the weights; no class without either.
        squares: sums of the squared weights of hits and of misses.
        z: critical value of the normal distribution.
        weighted: whether weights differ.
    """
    trials = hits + misses
    if not weighted:
        return wilson(hits, trials, z)
    value = hits / trials
    variance = (squares[0] * (1 - value) ** 2 + squares[1] * value**2) / trials**2
    kish = trials**2 / (squares[0] + squares[1])
    free = np.maximum(kish - 1, 1.0)
    varies = variance > 0
    linear = np.where(varies, value * (1 - value) / np.where(varies, variance, 1) * free / kish, kish)
    rows = np.minimum(linear, kish) * (z / -special.stdtrit(free, special.ndtr(-z))) ** 2
    return wilson(np.where(misses == 0, rows, value * rows), rows, z)


def share_estimate(hits: BoolArray, weights: FloatArray | None, confidence: float) -> Estimate:
    """Return the share of rows that are hits, with Wilson's interval.

    Args:
        hits: shape (n,).
        weights: shape (n,); None for all the same. The trials are then effective ones.
        confidence: two-sided level.
    """
    weight = np.ones(len(hits)) if weights is None else weights
    sums = [np.asarray([(weight**power)[mask].sum()]) for power in (1, 2) for mask in (hits, ~hits)]
    z, weighted = critical(confidence), weights is not None
    low, high = ratio_limits(sums[0], sums[1], (sums[2], sums[3]), z=z, weighted=weighted)
    value = float(sums[0][0] / (sums[0][0] + sums[1][0]))
    method = "wilson" if weights is None else "wilson-effective"
    return Estimate(value, len(hits), float(low[0]), float(high[0]), method, confidence)


def variance_of(joint: Joint, slope: FloatArray) -> float:
    """Return the linearised variance of a function of the cells' shares, by the delta method.

    Args:
        joint: the cells.
        slope: shape (c,), the function's derivative by each cell's share.
    """
    pull = slope - joint.share @ slope
    known = joint.effective / max(joint.effective - 1, 1e-9)
    return float(joint.squares @ pull**2) / float(joint.rows.sum()) ** 2 * known
