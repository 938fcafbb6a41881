"""What a report draws of a column: both sides' rows in a few bins or categories, of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.stats.columns import Side, Tally, fill

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import FloatArray

BINS = 20
TAIL = 0.005
SHOWN = 10
# A label of fewer rows is not shown: it may tell of a person.
FEW = 10
WIDTH = 80


def number_histogram(old: Side[FloatArray], new: Side[FloatArray], *, bins: int = BINS) -> dict[str, Any]:
    """Count both sides in bins of equal width between the reference's 0.5 % and 99.5 % quantiles.

    Args:
        old: the reference, sorted.
        new: the current rows, sorted.
        bins: between the quantiles; below and above there is one more each.

    Returns:
        ``edges``, at most ``bins`` + 1 of them, and for ``reference`` and ``current`` one count more than edges: up to
        the first, between each and the next (closed on the right), beyond the last; ``missing``: rows of either side.
    """
    edges = edges_between(*np.quantile(old.present, [TAIL, 1 - TAIL]), bins=bins)
    return histogram_of(edges, fill(old, edges), fill(new, edges))


def histogram_of(edges: FloatArray, old: FloatArray, new: FloatArray) -> dict[str, Any]:
    """Return what ``number_histogram`` does, of both sides' rows in each bin, the missing ones last."""
    return {
        "edges": edges.tolist(),
        "reference": _whole(old[:-1]),
        "current": _whole(new[:-1]),
        "missing": [int(old[-1]), int(new[-1])],
    }


def edges_between(first: float, last: float, *, bins: int = BINS) -> FloatArray:
    """Return the edges of bins of equal width between two quantiles, at most ``bins`` + 1 of them."""
    if not last > first:
        return np.array([np.nextafter(last, -np.inf), last])
    # Numbers so close that they cannot be told apart in the middle are one edge.
    return np.unique(np.linspace(first, last, bins + 1))


def label_histogram(found: Tally, *, most: int = SHOWN, few: int = FEW) -> dict[str, Any]:
    """Count both sides in the reference's most frequent categories.

    Args:
        found: both sides' rows in each category.
        most: categories to show by name.
        few: rows of a category on both sides together, below which it is not shown by name.

    Returns:
        ``labels``, as text; ``reference`` and ``current`` with a count of each, then of all others that the reference
        has, then of those that it lacks; ``missing``: rows of either side.
    """
    old, new = found.reference[:-1], found.current[:-1]
    order = np.argsort(-old, kind="stable")
    shown = [at for at in order[:most].tolist() if old[at] and old[at] + new[at] >= few]
    rest = np.ones(len(old), dtype=bool)
    rest[shown] = False
    known = rest & (old > 0)

    def counts(side: FloatArray) -> list[int]:
        return _whole(np.array([*side[shown], side[known].sum(), side[rest & ~known].sum()]))

    return {
        "labels": [shortened(found.names[at]) for at in shown],
        "reference": counts(old),
        "current": counts(new),
        "missing": _whole(np.array([found.reference[-1], found.current[-1]])),
    }


def shortened(label: Any) -> str:
    """Return a label as text that fits a report."""
    text = str(label)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _whole(counts: FloatArray) -> list[int]:
    return [int(each) for each in counts.tolist()]
