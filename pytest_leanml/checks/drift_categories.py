"""Categories that one of both tables alone has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.drift_lazy import read_labels
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.histogram import FEW, shortened
from pytest_leanml.stats.novelty import only_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.checks.drift_columns import Pair
    from pytest_leanml.stats.columns import Tally
    from pytest_leanml.stats.estimate import Estimate

_NAMED = 5


def only_on_one_side(
    pair: Pair, names: Sequence[str], *, current: bool, confidence: float
) -> tuple[Estimate, dict[str, Any]]:
    """Measure the share of rows whose category the other table lacks, and name the worst column and its categories.

    Args:
        pair: both tables.
        names: columns to look at; those of numbers or times are passed over.
        current: whether new categories are meant rather than vanished ones.
        confidence: level of the interval.

    Returns:
        The estimate, and details for the record.

    Raises:
        InconclusiveError: no column holds categories, or a column has no value on a side.
        SourceError: a column is on one side only, or holds numbers on one side only.
    """
    tallies = read_labels(pair, names)
    if not tallies:
        raise InconclusiveError(
            f"none of {len(names)} columns holds categories",
            "at least one column of text, booleans or categories",
            "remove the check, or list such columns under `checks.drift.columns`",
        )
    estimate = only_here(tallies, current=current, confidence=confidence)
    worst = max(estimate.by, key=lambda name: estimate.by[name].value)
    found = _named(tallies[worst], current=current)
    more = {"column": worst[:200], **({"largest": found} if found else {})} if estimate.value else {}
    return estimate, {**estimate.details, **more}


def _named(found: Tally, *, current: bool) -> str:
    """Name the largest of them; one of few rows is not named, since it may tell of a person."""
    here, there = (found.current, found.reference) if current else (found.reference, found.current)
    met = [(rows, name) for name, rows, other in zip(found.names, here, there, strict=False) if rows and not other]
    largest = sorted(((rows, shortened(name)) for rows, name in met if rows >= FEW), key=lambda each: -each[0])
    return ", ".join(name for _, name in largest[:_NAMED])
