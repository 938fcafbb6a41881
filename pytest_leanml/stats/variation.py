"""Total variation: the share of rows by which two distributions over labels differ."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part

if TYPE_CHECKING:
    import numpy.typing as npt


def total_variation(reference: npt.ArrayLike, current: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Compare two samples of labels: half the sum of the absolute differences of their shares.

    The interval is conservative: the L1 distance of n rows' shares from the true ones of k labels is below
    sqrt(2 ln((2^k - 2) / a) / n) with probability 1 - a (Weissman, Ordentlich, Seroussi, Verdu and Weinberger 2003,
    "Inequalities for the L1 deviation of the empirical distribution", HP Labs HPL-2003-97R1), each side with half of
    the doubt. k counts the labels that were met on either side, and all that were not as one more.

    Args:
        reference: shape (n,), labels.
        current: shape (m,), labels.
        confidence: two-sided level of the interval, strictly between 0 and 1.

    Returns:
        Value in [0, 1]; ``by`` is each label's share of the current rows.

    Raises:
        InconclusiveError: a side has no row.
        MeasurementError: the level is out of range.
    """
    if not 0 < confidence < 1:
        raise MeasurementError(f"confidence {confidence!r}", "a number strictly between 0 and 1, such as 0.95")
    old, new = _counts(reference), _counts(current)
    n, m = old.total(), new.total()
    if not n or not m:
        raise InconclusiveError("no rows to compare", "at least one row on either side")
    labels = sorted({*old, *new}, key=str)
    value = sum(abs(old[each] / n - new[each] / m) for each in labels) / 2
    margin = _margin(len(labels) + 1, n, confidence) + _margin(len(labels) + 1, m, confidence)
    low, high = max(0.0, value - margin), min(1.0, value + margin)
    by = {str(each): Part(new[each] / m, m) for each in labels}
    return Estimate(value, n + m, low, high, "weissman", confidence, by=by)


def _counts(labels: npt.ArrayLike) -> Counter[Any]:
    return Counter(np.asarray(labels).tolist())


def _margin(labels: int, rows: int, confidence: float) -> float:
    """Return half the bound on the L1 distance of one side."""
    doubt = (1 - confidence) / 2
    # ln(2^k - 2) without 2^k, which overflows a float beyond 1023 labels.
    tail = labels * math.log(2) + math.log1p(-(2.0 ** (1 - labels)))
    return math.sqrt(2 * (tail - math.log(doubt)) / rows) / 2
