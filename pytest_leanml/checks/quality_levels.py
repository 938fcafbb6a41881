"""Columns cut into levels, among which weak slices are looked for."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import column, column_names
from pytest_leanml.stats.weakest import Levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import StudySettings

BINS = 4
MOST_BINS = 20
LEVELS = 20
COLUMNS = 30
FEW_NUMBERS = 12


def levels_of(frame: Any, names: Sequence[str] | None, settings: StudySettings, bins: int = BINS) -> dict[str, Levels]:
    """Return columns with their levels.

    Numbers of more than 12 distinct values are cut at quantiles, missing ones apart; everything else has its 20 commonest
    values as levels, and the others together.

    Args:
        frame: rows.
        names: the columns wanted; None for the first 30 that are neither target, weight, id nor time, and whose texts
            return.
        settings: which columns these are.
        bins: of numbers.

    Raises:
        InconclusiveError: no column that varies.
        MeasurementError: bins that cannot be, or a column named that holds times.
        SourceError: a column named is not there.
    """
    if not 2 <= bins <= MOST_BINS:  # noqa: PLR2004 - one bin is all rows
        raise MeasurementError(f"{bins} bins", f"2 to {MOST_BINS}")
    never = {settings.target, settings.weights, settings.time, *settings.ids}
    wanted = names if names is not None else [each for each in column_names(frame) if each not in never]
    found: dict[str, Levels] = {}
    for name in wanted:
        each = _levels(column(frame, name), name, bins, named=names is not None)
        if each is not None and (names is not None or len(found) < COLUMNS):
            found[name] = each
    if not found:
        raise InconclusiveError("no column to cut slices by", "a column with at least two values", "name some columns")
    return found


def _levels(values: NDArray[Any], name: str, bins: int, *, named: bool) -> Levels | None:
    if values.dtype.kind in "Mm":
        if named:
            raise MeasurementError(f"the column `{name}` holds times", "numbers or categories", "leave it out")
        return None
    if values.dtype.kind in "iuf":
        numbers = np.asarray(values, dtype=np.float64)
        if len(np.unique(numbers[np.isfinite(numbers)])) > FEW_NUMBERS:
            return _binned(numbers, name, bins)
    return _categories(values, name, named=named)


def _binned(numbers: NDArray[np.float64], name: str, bins: int) -> Levels:
    known = np.isfinite(numbers)
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, bins + 1)))
    names = [f"{name} from {low} to {high}" for low, high in pairwise(_shown(edges))]
    codes = np.where(known, np.searchsorted(edges[1:-1], numbers, side="right"), len(names))
    return Levels(codes.astype(np.intp), (*names, f"{name} missing or infinite"))


def _shown(edges: NDArray[np.float64]) -> list[str]:
    """Return numbers with as many digits, from four on, as tell them apart."""
    texts = ([f"{each:.{digits}g}" for each in edges.tolist()] for digits in range(4, 18))
    return next(each for each in texts if len(set(each)) == len(each))


def _categories(values: NDArray[Any], name: str, *, named: bool) -> Levels | None:
    import pandas as pd

    codes, found = pd.factorize(values, use_na_sentinel=False)
    if len(found) < 2 or (not named and len(found) > len(codes) / 2):  # noqa: PLR2004 - one value cuts nothing
        return None
    order = np.argsort(-np.bincount(codes), kind="stable")[:LEVELS]
    place = np.full(len(found), len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    names = tuple(f"{name} = {found[code]}" for code in order.tolist())
    return Levels(place[codes], (*names, f"{name} = others"))
