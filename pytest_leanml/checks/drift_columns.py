"""Columns of two tables, as drift compares them: read once, compared by any method, drawn for reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_leanml.errors import InconclusiveError, LeanmlError, SourceError
from pytest_leanml.sources.columns import array_of, native, require_columns, series
from pytest_leanml.sources.profiles import is_ordered, label_counts
from pytest_leanml.stats.columns import Side, Tally, between, in_order, tally, unsorted
from pytest_leanml.stats.counting import counted, counted_at_once
from pytest_leanml.stats.drift import BY_COUNTS, DriftMethod, compare_labels, compare_numbers, ks_of, resolve
from pytest_leanml.stats.histogram import histogram_of, label_histogram, number_histogram
from pytest_leanml.stats.multiplicity import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.stats.counting import Counts
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.multiplicity import ColumnVerdict
    from pytest_leanml.stats.samples import FloatArray

SHOWN = 6
# Histograms in one document; those of the columns that moved most are kept.
DRAWN = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """The two tables that are compared.

    Attributes:
        old: frame of the reference.
        new: frame of the current rows.
        current: name of the current data, for messages.
    """

    old: Any
    new: Any
    current: str

    def named(self) -> Mapping[str, Any]:
        """Return name -> frame."""
        return {"train": self.old, self.current: self.new}


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """One column of numbers or times, sorted.

    Attributes:
        old: the reference.
        new: the current rows.
        times: whether they are times, in microseconds since 1970.
    """

    old: Side[FloatArray]
    new: Side[FloatArray]
    times: bool = False
    ordered: bool = True

    def compare(self, method: DriftMethod, confidence: float) -> Estimate:
        """Compare both sides."""
        return compare_numbers(self.old, self.new, method, confidence=confidence)

    def histogram(self) -> dict[str, Any]:
        """Return what a report draws."""
        return {"type": "time" if self.times else "number", **number_histogram(self.old, self.new)}


@dataclass(frozen=True, slots=True, eq=False)
class CountedNumbers:
    """One column of many numbers or times, counted: what is told of it is what is told of it sorted.

    Attributes:
        counts: both sides' rows in cells.
        old: the reference, as it came.
        new: the current rows.
        times: whether they are times, in microseconds since 1970.
    """

    counts: Counts
    old: Side[FloatArray]
    new: Side[FloatArray]
    times: bool = False
    ordered: bool = True

    def compare(self, method: DriftMethod, confidence: float) -> Estimate:
        """Compare both sides."""
        if method is DriftMethod.KS:
            return ks_of(self.counts.distance(), self.old, self.new, confidence=confidence)
        if method is DriftMethod.WASSERSTEIN:
            return compare_numbers(in_order(self.old), in_order(self.new), method, confidence=confidence)
        return BY_COUNTS[method](*self._bins(self.counts.decile_edges()), confidence=confidence)

    def histogram(self) -> dict[str, Any]:
        """Return what a report draws."""
        edges = self.counts.bar_edges()
        return {"type": "time" if self.times else "number", **histogram_of(edges, *self._bins(edges))}

    def _bins(self, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
        old, new = self.counts.up_to(edges)
        return between(old, self.old), between(new, self.new)


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """One column of categories, counted.

    Attributes:
        found: both sides' rows in each.
    """

    found: Tally
    ordered: bool = False

    def compare(self, method: DriftMethod, confidence: float) -> Estimate:
        """Compare both sides."""
        return compare_labels(self.found, method, confidence=confidence)

    def histogram(self) -> dict[str, Any]:
        """Return what a report draws."""
        return {"type": "category", **label_histogram(self.found)}


class Sides(Protocol):
    """One column of both tables, however it was read."""

    @property
    def ordered(self) -> bool:
        """Whether it is compared by its order."""
        ...

    def compare(self, method: DriftMethod, confidence: float) -> Estimate:
        """Compare both sides; ``method`` is none but those that ``resolve`` returns."""
        ...

    def histogram(self) -> dict[str, Any]:
        """Return what a report draws."""
        ...


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column as it was compared.

    Attributes:
        method: by which.
        estimate: the effect, its interval and p value.
        histogram: what a report draws.
    """

    method: DriftMethod
    estimate: Estimate
    histogram: Mapping[str, Any]

    def fact(self, verdict: ColumnVerdict, *, drawn: bool) -> dict[str, Any]:
        """Return what the evidence says of the column."""
        details = self.estimate.details
        return {
            "drifted": verdict.verdict is Verdict.DRIFTED,
            "verdict": verdict.verdict.value,
            "effect": float(verdict.effect),
            "limit": float(verdict.limit),
            "p_value": float(verdict.p_value),
            "method": self.method.value,
            **{word: float(details[word]) for word in ("net", "net_high") if word in details},
            **{word: float(end) for word, end in self._ends() if end is not None},
            **({"histogram": dict(self.histogram)} if drawn else {}),
        }

    def _ends(self) -> tuple[tuple[str, float | None], ...]:
        return ("low", self.estimate.low), ("high", self.estimate.high)


def found_in(pair: Pair, name: str) -> Callable[[], Sides]:
    """Find one column of both tables; what is returned counts it in whatever thread, and raises what is wrong with it.

    Raises:
        InconclusiveError: it has no value on a side.
        MeasurementError: infinity, or values that cannot be told apart.
        SourceError: it is on one side only, holds numbers on one side only, or times with a zone on one side only.
    """
    try:
        return _found_in(pair, name)
    except LeanmlError as fault:
        return partial(_refuse, fault)


def _refuse(fault: LeanmlError) -> Sides:
    raise fault


def _found_in(pair: Pair, name: str) -> Callable[[], Sides]:
    for data, frame in pair.named().items():
        require_columns(frame, [name], what=f"the {data} data")
    raws = native(pair.old, name), native(pair.new, name)
    ordered = _alike(raws, pair, name)

    def count() -> Sides:
        try:
            if not ordered:
                return Categories(tally(*(label_counts(raw, name) for raw in raws)))
            return of_numbers(*(array_of(raw) for raw in raws))
        except LeanmlError as fault:
            raise told_of(fault, f"`{name}`") from fault

    return count


def of_numbers(old: NDArray[Any], new: NDArray[Any]) -> Numbers | CountedNumbers:
    """Count two arrays of numbers or times; sort them where that is as quick."""
    times = old.dtype.kind in "mM"
    if old.dtype == np.float64 == new.dtype and (at_once := counted_at_once(old, new)) is not None:
        return CountedNumbers(at_once, Side(old, len(old), 0), Side(new, len(new), 0))
    one, other = unsorted(old, "reference"), unsorted(new, "current")
    counts = counted(one, other)
    if counts is None:
        return Numbers(in_order(one.side), in_order(other.side), times)
    return CountedNumbers(counts, one.side, other.side, times)


def of_labels(old: NDArray[Any], new: NDArray[Any]) -> Categories:
    """Count two arrays of labels."""
    return Categories(tally(old, new))


def told_of(fault: LeanmlError, what: str) -> LeanmlError:
    """Return the same error, naming what was compared."""
    leave = "drop the column from both sides, or list the others under `checks.drift.columns`"
    todo = leave if isinstance(fault, InconclusiveError) else fault.todo
    return type(fault)(f"drift of {what}: {fault.given}", fault.expected, todo)


def ordered_alike(pair: Pair, name: str) -> bool:
    """Tell whether a column is compared by its order; both sides must agree, where they hold anything.

    Raises:
        SourceError: it holds numbers on one side only, or times with a zone on one side only.
    """
    return _alike((native(pair.old, name), native(pair.new, name)), pair, name)


def _alike(raws: tuple[Any, Any], pair: Pair, name: str) -> bool:
    kinds = {is_ordered(raw) for raw in raws}
    hollow = [series(frame, name).isna().all() for frame in (pair.old, pair.new)] if len(kinds) > 1 else []
    if len(kinds) > 1 and not any(hollow):
        raise SourceError(
            f"`{name}` holds numbers or times in one of the train and {pair.current} data only",
            "one type on both sides",
            "read both in the same way",
        )
    zones = {_zoned(raw) for raw in raws} - {None} if True in kinds else set()
    if len(zones) > 1:
        raise SourceError(
            f"`{name}` holds times with a zone in one of the train and {pair.current} data only",
            "a time zone on both sides, or on neither",
            "read both in the same way: a time without a zone may be any of 26 hours",
        )
    return kinds == {True}


def _zoned(raw: Any) -> bool | None:
    """Tell whether times have a zone; None for what are no times."""
    kind = raw.type if hasattr(raw, "type") else raw.dtype
    text = str(kind)
    if not text.lower().startswith(("datetime", "timestamp")):
        return None
    zone = getattr(kind, "tz", None) or getattr(kind, "time_zone", None)
    return zone is not None


def compare(sides: Sides, method: str, confidence: float) -> tuple[DriftMethod, Estimate]:
    """Compare a column by a method, or by that of its type."""
    chosen = resolve(method, numeric=sides.ordered)
    return chosen, sides.compare(chosen, confidence)


def drawn_columns(ratios: Mapping[str, float]) -> set[str]:
    """Return the columns whose histograms are kept: the ``DRAWN`` whose effect is largest beside its limit."""
    return set(sorted(ratios, key=lambda name: -ratios[name])[:DRAWN])


def listed(names: Sequence[str]) -> str:
    """Return names for a message; the first few of many."""
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
