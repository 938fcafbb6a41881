"""The gap of any metric between groups: what leaving out one block of rows after the other says of its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.group_gaps import PAIR
from pytest_leanml.stats.intervals import critical_t, ratio_limits

if TYPE_CHECKING:
    from pytest_leanml.stats.intervals import Limits, Triple
    from pytest_leanml.stats.samples import FloatArray, IntArray

BLOCKS = 25
ROUNDING = 1e-10


def blocks_of(codes: IntArray, seed: int) -> IntArray:
    """Return the block of each row, shape (n,): each group is spread over all blocks as evenly as can be.

    Args:
        codes: of the groups, shape (n,).
        seed: of the order; the same seed gives the same blocks.
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    blocks = np.empty(len(codes), dtype=np.intp)
    blocks[order] = np.arange(len(codes)) % BLOCKS
    return blocks


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """A metric of each group, and the same without each block.

    Attributes:
        names: of the k groups.
        rows: of each group, shape (k,).
        values: shape (k,).
        without: shape (blocks, k).
        whole: of all rows, and without each block, shape (1 + blocks,); None where nothing is compared with it.
    """

    names: tuple[str, ...]
    rows: IntArray
    values: FloatArray
    without: FloatArray
    whole: FloatArray | None = None


def gap_of(name: str, value: float, found: Replicates, *, gap: str, confidence: float) -> Estimate:
    """Return the gap with limits from all comparisons at once.

    Standard errors by the delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17, 521-526), which holds
    for smooth metrics; Student's t with Šidák's correction over the comparisons. A group and the whole are correlated,
    and so are their replicates, which are compared block by block.

    Args:
        name: of the metric, for messages.
        value: the gap itself, as fairlearn has it.
        found: the metric with and without each block; with ``whole``, each group is compared with all rows.
        gap: difference or ratio.
        confidence: two-sided level of the interval, which holds for all the groups together.

    Raises:
        InconclusiveError: a metric that does not vary in a group, or a ratio of values that are not above 0.
    """
    least = ROUNDING * float(np.abs(found.values).max())
    errors = jackknife(found.without).tolist()
    still = [repr(each) for each, error in zip(found.names, errors, strict=True) if not error > least]
    if still:
        raise InconclusiveError(
            f"{name} does not vary within the group {still[0]}, so that nothing tells how sure it is",
            "rows in which it varies",
            "judge more rows, or measure a rate that is built in, whose interval needs no variation",
        )
    known = found.values if found.whole is None else np.append(found.values, found.whole[0])
    if gap == "ratio" and not (known.min() >= 0 and known.max() > 0):
        raise InconclusiveError(
            f"{name} goes down to {known.min():g}: a ratio is undefined", "values above 0", "measure its difference"
        )
    low, high = (
        _between(found, gap, confidence) if found.whole is None else _overall(found, found.whole, gap, confidence)
    )
    details = {} if found.whole is None else {"overall": float(found.whole[0])}
    n = int(found.rows.sum())
    return Estimate(value, n, low, high, "jackknife-sidak", confidence, by=_parts(found, confidence), details=details)


def jackknife(without: FloatArray) -> FloatArray:
    """Return the standard errors of statistics from their values without each block; shape (blocks, ...) to (...)."""
    blocks = len(without)
    return np.asarray(np.sqrt((blocks - 1) / blocks * ((without - without.mean(axis=0)) ** 2).sum(axis=0)))


def _comparisons(found: Replicates) -> int:
    return len(found.names) * (len(found.names) - 1) // PAIR


def _critical(confidence: float, comparisons: int) -> float:
    return critical_t(confidence ** (1 / comparisons), BLOCKS - 1)


def _parts(found: Replicates, confidence: float) -> dict[str, Part]:
    half = _critical(confidence, 1) * jackknife(found.without)
    columns = zip(
        found.values.tolist(),
        found.rows.tolist(),
        (found.values - half).tolist(),
        (found.values + half).tolist(),
        strict=True,
    )
    return {name: Part(*column) for name, column in zip(found.names, columns, strict=True)}


def _between(found: Replicates, gap: str, confidence: float) -> Limits:
    t = _critical(confidence, _comparisons(found))
    errors, values = jackknife(found.without), found.values
    first, second = np.nonzero(~np.eye(len(values), dtype=bool))
    if gap == "difference":
        return _spread(values[first] - values[second], t * np.hypot(errors[first], errors[second]))

    def triple(of: IntArray) -> Triple:
        return values[of], np.maximum(values - t * errors, 0.0)[of], (values + t * errors)[of]

    lows, highs = ratio_limits(triple(first), triple(second))
    return float(lows.min()), float(min(highs.min(), 1.0))


def _spread(gaps: FloatArray, halves: FloatArray) -> Limits:
    low = max(float((np.abs(gaps) - halves).max()), 0.0)
    return low, float((np.abs(gaps) + halves).max())


def _overall(found: Replicates, whole: FloatArray, gap: str, confidence: float) -> Limits:
    # As many as there are pairs: for k comparisons alone the tails of a skewed metric are too long.
    t = _critical(confidence, _comparisons(found))
    overall, without = float(whole[0]), whole[1:, None]
    if gap == "difference":
        return _spread(found.values - overall, t * jackknife(found.without - without))
    middle, half = found.values / overall, t * jackknife(found.without / without)
    lows, highs = np.maximum(middle - half, 0.0), middle + half
    across = (lows <= 1) & (highs >= 1)
    worst = np.minimum(_folded(lows), _folded(highs))
    return float(worst.min()), float(np.where(across, 1.0, np.maximum(_folded(lows), _folded(highs))).min())


def _folded(ratios: FloatArray) -> FloatArray:
    return np.where(ratios > 1, 1 / np.maximum(ratios, 1.0), ratios)
