"""Make a failing row small: as few changed cells as fail, each changed as little as fails.

Every step asks about all its candidates at once, so that a row is made small in a dozen calls of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from pytest_leanml.checks.perturbations import mixed, numeric_columns, replaced, touched
from pytest_leanml.errors import LeanmlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Fails: TypeAlias = Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.bool_]]

MOST = 16  # failing rows that are made small; the smallest of them is shown
_FRACTIONS = tuple(0.5**power for power in range(8, 0, -1))  # of a numeric change, smallest first


@dataclass(frozen=True, slots=True)
class Case:
    """A failing row before and after its change; frames of one row."""

    base: pd.DataFrame
    changed: pd.DataFrame


def smallest(base: pd.DataFrame, changed: pd.DataFrame, fails: Fails, columns: Sequence[str], *, nearer: bool) -> Case:
    """Return the smallest failing case that is found.

    Args:
        base: rows, at least one.
        changed: the same rows, changed, each of which fails.
        fails: takes both, of any number of rows, and tells which fail.
        columns: those that may differ.
        nearer: bring changed numbers nearer to what they were.
    """
    cells = touched(base, changed, columns)
    fewest = np.argsort(cells.sum(axis=1), kind="stable")[:MOST]
    one, other, cells = base.iloc[fewest], changed.iloc[fewest], cells[fewest]
    case = _single(one, other, cells, fails, columns) or _fewer(one.iloc[[0]], other.iloc[[0]], fails, columns)
    return _nearer(case, fails, columns) if nearer else case


def held(fails: Fails, base: pd.DataFrame, changed: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which fail; where the model cannot answer, none: the row to be shown is one that it did answer."""
    try:
        return np.asarray(fails(base, changed), dtype=bool)
    except LeanmlError:
        return np.zeros(len(base), dtype=bool)


def _single(
    base: pd.DataFrame, changed: pd.DataFrame, cells: NDArray[np.bool_], fails: Fails, columns: Sequence[str]
) -> Case | None:
    """Return a case that fails with one cell changed, the first in the order of rows and columns; None without any."""
    rows, places = np.nonzero(cells)
    keep = np.zeros((len(rows), len(columns)), dtype=bool)
    keep[np.arange(len(rows)), places] = True
    one = base.iloc[rows]
    other = mixed(one, changed.iloc[rows], keep, columns)
    found = np.flatnonzero(held(fails, one, other))
    return Case(one.iloc[found[:1]], other.iloc[found[:1]]) if len(found) else None


def _fewer(base: pd.DataFrame, changed: pd.DataFrame, fails: Fails, columns: Sequence[str]) -> Case:
    """Take back one changed cell after the other, for as long as the row still fails."""
    kept = touched(base, changed, columns)[0]
    while kept.sum() > 1:
        places = np.flatnonzero(kept)
        keep = np.tile(kept, (len(places), 1))
        keep[np.arange(len(places)), places] = False
        many = np.zeros(len(places), dtype=np.intp)
        found = np.flatnonzero(held(fails, base.iloc[many], mixed(base.iloc[many], changed.iloc[many], keep, columns)))
        if not len(found):
            break
        kept = keep[found[0]]
    return Case(base, mixed(base, changed, kept[None, :], columns))


def _nearer(case: Case, fails: Fails, columns: Sequence[str]) -> Case:
    """Bring each changed number as near to what it was as still fails."""
    for name in numeric_columns(case.base, columns):
        for _ in range(2):
            case = _halved(case, name, fails) or case
    return case


def _halved(case: Case, name: str, fails: Fails) -> Case | None:
    if name not in numeric_columns(case.changed, [name]):
        return None
    before, after = (float(frame[name].astype(float).iloc[0]) for frame in (case.base, case.changed))
    if not np.isfinite(before) or not np.isfinite(after) or before == after:
        return None
    many = np.zeros(len(_FRACTIONS), dtype=np.intp)
    base, changed = case.base.iloc[many], case.changed.iloc[many].copy()
    steps: Any = before + np.array(_FRACTIONS) * (after - before)
    whole = pd.api.types.is_integer_dtype(case.changed[name].dtype)
    changed[name] = replaced(changed[name], np.ones(len(many), dtype=bool), np.round(steps) if whole else steps)
    moved = touched(base, changed, [name])[:, 0] & (changed[name].astype(float).to_numpy() != after)
    found = np.flatnonzero(held(fails, base, changed) & moved)
    return Case(base.iloc[found[:1]], changed.iloc[found[:1]]) if len(found) else None
