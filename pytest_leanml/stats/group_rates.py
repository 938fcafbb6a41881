"""Rates of groups: one count of rows by group, truth and prediction, from which every rate and its doubt follow."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Part
from pytest_leanml.stats.intervals import critical, wilson
from pytest_leanml.stats.samples import PIECE, as_floats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from pytest_leanml.stats.intervals import LimitArrays
    from pytest_leanml.stats.samples import BoolArray, FloatArray, IntArray

Cells: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

SHOWN = 6
EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of some rows, by the cells ((true -, pred -), (true -, pred +)), ((true +, pred -), (true +, pred +)).

    Attributes:
        rows: what the share is of, for messages.
        trials: 1 for the cells that it is a share of.
        hits: 1 for the cells that count.
        good: whether more of it is better; then nobody having any is undefined, and never equal treatment.
    """

    rows: str
    trials: Cells
    hits: Cells
    good: bool


_ALL: Cells = ((1, 1), (1, 1))
_POSITIVE: Cells = ((0, 0), (1, 1))
_NEGATIVE: Cells = ((1, 1), (0, 0))
_SELECTED: Cells = ((0, 1), (0, 1))

RATES: Mapping[str, Rate] = MappingProxyType(
    {
        "selection_rate": Rate("rows", _ALL, _SELECTED, good=True),
        "true_positive_rate": Rate("truly positive rows", _POSITIVE, ((0, 0), (0, 1)), good=True),
        "false_negative_rate": Rate("truly positive rows", _POSITIVE, ((0, 0), (1, 0)), good=False),
        "false_positive_rate": Rate("truly negative rows", _NEGATIVE, ((0, 1), (0, 0)), good=False),
        "true_negative_rate": Rate("truly negative rows", _NEGATIVE, ((1, 0), (0, 0)), good=True),
        "accuracy": Rate("rows", _ALL, ((1, 0), (0, 1)), good=True),
        "error_rate": Rate("rows", _ALL, ((0, 1), (1, 0)), good=False),
        "precision": Rate("selected rows", _SELECTED, ((0, 0), (0, 1)), good=True),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """To which group each row belongs.

    Attributes:
        codes: shape (n,), positions in ``names``.
        names: of the k groups.
    """

    codes: npt.NDArray[np.integer[Any]]
    names: tuple[str, ...]


def grouping(values: npt.ArrayLike) -> Grouping:
    """Number the groups of ``values`` in the order of their names.

    Args:
        values: shape (n,); each becomes its text. Join the columns of an intersection first.

    Raises:
        MeasurementError: a row has no group: None, NaN or an empty text.
    """
    seen: dict[Any, int] = {}
    rows = np.asarray(values).tolist()
    codes = np.fromiter((seen.setdefault(each, len(seen)) for each in rows), dtype=np.intp, count=len(rows))
    refuse_groupless(sum(map(is_missing, rows)), len(rows))
    names = sorted({str(value) for value in seen})
    place = {name: code for code, name in enumerate(names)}
    order = np.asarray([place[str(value)] for value in seen], dtype=np.intp)
    return Grouping(order[codes] if len(rows) else codes, tuple(names))


def is_missing(value: object) -> bool:
    """Tell whether a value names no group: None, NaN, NaT or an empty text."""
    return value is None or value == "" or value != value  # noqa: PLR0124 - NaN and NaT differ from themselves


def refuse_groupless(missing: int, rows: int) -> None:
    """Refuse rows that belong to no group.

    Raises:
        MeasurementError: there is one.
    """
    if missing:
        raise MeasurementError(
            f"{missing} of {rows} rows belong to no group",
            "a group for every row",
            "give the unknown ones a group of their own: leaving them out would hide how they fare",
        )


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """How many rows each group has, by truth and prediction; arrays of shape (k, 2, 2): group, truth, selected.

    Attributes:
        names: of the groups that have rows, sorted.
        rows: rows that count.
        mass: sums of their weights; the rows themselves without weights.
        squares: sums of the squared weights.
    """

    names: tuple[str, ...]
    rows: IntArray
    mass: FloatArray
    squares: FloatArray

    @property
    def n(self) -> int:
        """All rows."""
        return int(self.rows.sum())


def count_groups(
    selected: BoolArray, y_true: BoolArray | None, groups: Grouping, weights: npt.ArrayLike | None = None
) -> GroupCounts:
    """Count rows by group, truth and prediction, in one pass.

    Args:
        selected: shape (n,), rows predicted positive.
        y_true: shape (n,), rows truly positive; None counts all as negative, for rates that do not ask.
        groups: of the n rows; a group without rows is left out.
        weights: shape (n,), what each row counts; a row of weight 0 counts as not there.

    Raises:
        InconclusiveError: a group whose rows all have the weight 0.
        MeasurementError: unequal lengths, no booleans, weights that are negative or no numbers, a row of no group.
    """
    n = len(groups.codes)
    flags = [_flags(selected, "selected", n)]
    flags += [] if y_true is None else [_flags(y_true, "y_true", n)]
    shares = None if weights is None else _weights(weights, n)
    _demand_groups(groups)
    rows, *sums = _tables(groups, flags, shares)
    met = np.asarray(sorted(np.flatnonzero(rows.any(axis=(1, 2))), key=lambda each: groups.names[each]), dtype=np.intp)
    names = tuple(groups.names[each] for each in met)
    if not sums:
        mass = rows[met].astype(np.float64)
        return GroupCounts(names, rows[met], mass, mass)
    counted, mass, squares = (each[met] for each in sums)
    _refuse_weightless(names, counted)
    return GroupCounts(names, counted.astype(np.intp), mass, squares)


def _tables(groups: Grouping, flags: Sequence[BoolArray], weights: FloatArray | None) -> list[npt.NDArray[Any]]:
    """Return rows, and with weights the rows above 0, sums of weights and of their squares; each of shape (k, 2, 2).

    In pieces that stay in the cache: a million rows of codes would be written to memory and read again.
    """
    k = len(groups.names)
    narrow = next((kind for kind in (np.uint8, np.uint16) if 4 * k <= np.iinfo(kind).max + 1), np.intp)
    totals: list[npt.NDArray[Any]] = [np.zeros(4 * k, dtype=np.intp)]
    totals += [] if weights is None else [np.zeros(4 * k) for _ in range(3)]
    for start in range(0, len(groups.codes), PIECE):
        part = slice(start, start + PIECE)
        code = np.multiply(groups.codes[part], 4, dtype=narrow, casting="unsafe")
        for step, each in enumerate(flags, start=1):
            code += np.uint8(step) * each[part].view(np.uint8)
        columns: list[FloatArray | None] = [None]
        if weights is not None:
            share = weights[part]
            columns += [(share > 0).astype(np.float64), share, share**2]
        for total, column in zip(totals, columns, strict=True):
            np.add(total, np.bincount(code, column, minlength=4 * k), out=total)
    return [total.reshape(k, 2, 2) for total in totals]


def _demand_groups(groups: Grouping) -> None:
    """Refuse codes without a name, which would be counted as another group once they are written in a byte."""
    if not len(groups.codes):
        return
    if groups.codes.min() < 0:
        refuse_groupless(int((groups.codes < 0).sum()), len(groups.codes))
    if groups.codes.max() >= len(groups.names):
        raise MeasurementError(f"a row of the group {groups.codes.max()}", f"groups below {len(groups.names)}")


def _flags(values: BoolArray, name: str, rows: int) -> BoolArray:
    flags = np.asarray(values)
    if flags.dtype != np.bool_ or flags.shape != (rows,):
        raise MeasurementError(f"{name}: {flags.dtype} of the shape {flags.shape}", f"{rows} booleans")
    return flags


def _weights(weights: npt.ArrayLike, rows: int) -> FloatArray:
    found = as_floats(weights, "weights")
    if found.shape != (rows,) or (found < 0).any():
        raise MeasurementError(
            f"weights of the shape {found.shape}, {int((found < 0).sum())} of them negative",
            f"{rows} weights of 0 or more",
            "correct the column under `data.weights`",
        )
    # Their scale does not matter, and their squares must fit a float.
    return found / max(float(found.max(initial=0.0)), np.finfo(float).tiny)


def _refuse_weightless(names: tuple[str, ...], rows: IntArray) -> None:
    gone = [repr(name) for name, each in zip(names, rows, strict=True) if not each.any()]
    if gone:
        raise InconclusiveError(
            f"every row has the weight 0 in the group {', '.join(gone[:SHOWN])}",
            "groups that count",
            "correct the weights: leaving the group out would hide how it fares",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Rates of k independent groups as counts; arrays of shape (..., k), so that many draws are one tally.

    Attributes:
        hits: rows that count; with weights, the share of hits times ``trials``.
        trials: rows; with weights, their effective number (Kish 1965, Survey Sampling, section 8.2).
        shares: of the groups in the whole, adding up to 1.
    """

    hits: FloatArray
    trials: FloatArray
    shares: FloatArray

    @property
    def values(self) -> FloatArray:
        """The rates."""
        return np.asarray(self.hits / self.trials)

    def limits(self, z: float) -> LimitArrays:
        """Wilson's limits of each rate."""
        return wilson(self.hits, self.trials, z)


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """One rate of each group.

    Attributes:
        names: of the k groups.
        rows: shape (k,), rows that each rate rests on.
        tally: the rates.
    """

    names: tuple[str, ...]
    rows: IntArray
    tally: Tally

    @property
    def overall(self) -> float:
        """The rate of all rows."""
        return float((self.tally.values * self.tally.shares).sum())

    def parts(self, confidence: float) -> dict[str, Part]:
        """Each group's rate with its own Wilson interval."""
        low, high = self.tally.limits(critical(confidence))
        columns = zip(
            self.names, self.tally.values.tolist(), self.rows.tolist(), low.tolist(), high.tolist(), strict=True
        )
        return {name: Part(value, n, lower, upper) for name, value, n, lower, upper in columns}


def rates_of(counts: GroupCounts, name: str, min_group: int) -> Rates:
    """Return one rate of each group.

    Args:
        counts: rows by group, truth and prediction.
        name: a key of ``RATES``.
        min_group: rows (and effective rows, with weights) that each must rest on.

    Raises:
        InconclusiveError: a rate that rests on too few rows.
    """
    rate = RATES[name]
    trials, hits = np.asarray(rate.trials), np.asarray(rate.hits)
    rows, mass = (counts.rows * trials).sum(axis=(1, 2)), (counts.mass * trials).sum(axis=(1, 2))
    refuse_small(counts.names, rows, rows.astype(np.float64), rate.rows, min_group)
    effective = mass**2 / (counts.squares * trials).sum(axis=(1, 2))
    refuse_small(counts.names, rows, effective, rate.rows, min_group)
    found = (counts.mass * hits).sum(axis=(1, 2))
    return Rates(counts.names, rows, Tally(found * (effective / mass), effective, mass / mass.sum()))


def refuse_small(names: tuple[str, ...], rows: IntArray, effective: FloatArray, what: str, min_group: int) -> None:
    """Refuse groups that rest on too few rows.

    Raises:
        InconclusiveError: there is one.
    """
    demanded = max(min_group, 1)
    small = [
        f"{name!r} has {n}" if n < demanded else f"{name!r} has {n}, worth {worth:.3g} by their weights"
        for name, n, worth in zip(names, rows.tolist(), effective.tolist(), strict=True)
        if worth < demanded - EXACT
    ]
    if small:
        more = f" and {len(small) - SHOWN} more" if small[SHOWN:] else ""
        raise InconclusiveError(
            f"too few {what} to compare: {', '.join(small[:SHOWN])}{more}",
            f"at least {demanded} in every group (data.min_group)",
            "judge more rows, or join small groups",
        )
