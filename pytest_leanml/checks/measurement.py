"""A measured number: a float whose comparisons are written down.

A comparison of a measurement with a number is a limit, wherever it stands: in an assert, in a helper, in an ``if``.
To look at the number without stating a limit, take ``float(measurement)``.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pytest_leanml.checks.wording import explain
from pytest_leanml.errors import MeasurementError
from pytest_leanml.evidence.records import Comparison, MeasurementRecord, holds

if TYPE_CHECKING:
    from collections.abc import Mapping

Sink = Callable[[MeasurementRecord], None]


def discard(_record: MeasurementRecord) -> None:
    """Keep nothing: the sink of a measurement that came from a pickle."""


class _Compared(float):
    """A float that hands each comparison to ``_note``."""

    # NumPy's scalars defer to us, so that `np.float64(0.8) <= m` is recorded as well.
    __array_priority__ = 1000.0
    __slots__ = ()

    @abstractmethod
    def _note(self, comparison: Comparison) -> None: ...

    @abstractmethod
    def _name(self) -> str: ...

    def _against(self, comparator: str, other: object) -> bool:
        if isinstance(other, _Compared):
            # max() and sorted() compare measurements with each other: an order, not a limit.
            return holds(self, comparator, float(other))
        threshold = _limit(self._name(), comparator, other)
        passed = holds(self, comparator, threshold)
        self._note(Comparison(comparator, threshold, passed))
        return passed

    def __ge__(self, other: object) -> bool:
        return self._against(">=", other)

    def __le__(self, other: object) -> bool:
        return self._against("<=", other)

    def __gt__(self, other: object) -> bool:
        return self._against(">", other)

    def __lt__(self, other: object) -> bool:
        return self._against("<", other)

    def __eq__(self, other: object) -> bool:
        return self._equal("==", other)

    def __ne__(self, other: object) -> bool:
        return self._equal("!=", other)

    __hash__ = float.__hash__

    def _equal(self, comparator: str, other: object) -> bool:
        if _asked_by_pytest():
            return bool(holds(self, comparator, other)) if isinstance(other, float | int) else comparator == "!="
        window = _window(other)
        if window is None:
            return self._against(comparator, other)
        inside = window[0] <= float(self) <= window[1]
        if comparator == "==":
            self._against(">=", window[0])
            self._against("<=", window[1])
        return inside is (comparator == "==")

    def __bool__(self) -> NoReturn:
        raise MeasurementError(
            f"{self._name()} was used as true or false",
            "a comparison, since every number but 0 is true",
            "write `>= ...` or `<= ...`",
        )

    def __str__(self) -> str:
        return float.__repr__(self)

    def __copy__(self) -> _Compared:
        return self

    def __deepcopy__(self, _memo: object) -> _Compared:
        return self


class Measurement(_Compared):
    """One measured number, recorded when it is taken and again after each comparison.

    Args:
        record: what was measured.
        sink: where the record goes, now and after each comparison.
        trail: comparisons already made of the same id in the same test; shared, so that none is lost.

    Raises:
        MeasurementError: the value or a limit of its interval is not a finite number.
    """

    __slots__ = ("_record", "_sink", "_trail")

    _record: MeasurementRecord
    _sink: Sink
    _trail: list[Comparison]

    def __new__(cls, record: MeasurementRecord, sink: Sink, trail: list[Comparison] | None = None) -> Self:
        """Make the float and record it."""
        value = finite(record.value, record.id)
        low = None if record.low is None else finite(record.low, f"low of {record.id}")
        high = None if record.high is None else finite(record.high, f"high of {record.id}")
        self = super().__new__(cls, value)
        self._trail = list(record.comparisons) if trail is None else trail
        self._record = replace(record, value=value, low=low, high=high, comparisons=tuple(self._trail))
        self._sink = sink
        sink(self._record)
        return self

    @property
    def record(self) -> MeasurementRecord:
        """The record as it stands, with every comparison made so far."""
        return replace(self._record, comparisons=tuple(self._trail))

    @property
    def id(self) -> str:
        """``kind.metric`` or ``kind.metric[part]``."""
        return self._record.id

    @property
    def n(self) -> int | None:
        """Rows it rests on, None where that is not known."""
        return self._record.n

    @property
    def unit(self) -> str:
        """Unit, "1" for a share."""
        return self._record.unit

    @property
    def interval(self) -> str | None:
        """Named method of the interval, None without one."""
        return self._record.interval

    @property
    def confidence(self) -> float | None:
        """Level of the interval, None without one."""
        return self._record.confidence

    @property
    def by(self) -> Mapping[str, Mapping[str, float | int | None]]:
        """Group, slice or column -> value, n, low and high."""
        return self._record.by

    @property
    def details(self) -> Mapping[str, Any]:
        """Further numbers and short texts that belong to it."""
        return self._record.details

    @property
    def low(self) -> Bound:
        """Lower confidence limit; its comparisons are recorded here, with side ``low``.

        Raises:
            MeasurementError: no interval is defined for it.
        """
        return self._bound("low")

    @property
    def high(self) -> Bound:
        """Upper confidence limit; its comparisons are recorded here, with side ``high``.

        Raises:
            MeasurementError: no interval is defined for it.
        """
        return self._bound("high")

    def explain(self) -> list[str]:
        """Say value, limits held and missed, interval, rows and the groups that differ; one line each."""
        return explain(self.record)

    def note(self, comparison: Comparison) -> None:
        """Append a comparison to the record and send it on."""
        self._trail.append(comparison)
        self._sink(self.record)

    def _note(self, comparison: Comparison) -> None:
        self.note(comparison)

    def _name(self) -> str:
        return self._record.id

    def _bound(self, side: str) -> Bound:
        value = self._record.low if side == "low" else self._record.high
        if value is None:
            raise MeasurementError(
                f"{self.id} has no {side} confidence limit",
                "a measurement with an interval",
                "compare its value, or set `judge: point`",
            )
        return Bound(value, self, side)

    def __repr__(self) -> str:
        """Show what a failing assert should show."""
        record = self._record
        parts = [f"{record.id} = {self}"]
        if record.low is not None or record.high is not None:
            parts.append(f"{record.confidence or 0.95:.0%} interval [{record.low}, {record.high}]")
        return f"<{', '.join(parts + ([f'n = {record.n}'] if record.n is not None else []))}>"

    def __reduce__(self) -> tuple[Callable[[MeasurementRecord], Measurement], tuple[MeasurementRecord]]:
        """Pickle value and record; what is restored elsewhere records nowhere."""
        return restore, (self.record,)


class Bound(_Compared):
    """A confidence limit of a measurement; its comparisons are recorded on the measurement.

    Args:
        value: the limit of the interval.
        parent: the measurement.
        side: "low" or "high".
    """

    __slots__ = ("parent", "side")

    parent: Measurement
    side: str

    def __new__(cls, value: float, parent: Measurement, side: str) -> Self:
        """Make the float."""
        self = super().__new__(cls, value)
        self.parent, self.side = parent, side
        return self

    def _note(self, comparison: Comparison) -> None:
        self.parent.note(replace(comparison, side=self.side))

    def explain(self) -> list[str]:
        """Explain the measurement that it belongs to."""
        return self.parent.explain()

    def _name(self) -> str:
        return f"the {self.side} confidence limit of {self.parent.id}"

    def __repr__(self) -> str:
        """Show which limit of what it is."""
        return f"<{self.side} of {self.parent.id} = {self}>"

    def __reduce__(self) -> tuple[type[Bound], tuple[float, Measurement, str]]:
        """Pickle with the measurement."""
        return Bound, (float(self), self.parent, self.side)


def restore(record: MeasurementRecord) -> Measurement:
    """Rebuild a pickled measurement; nothing is recorded."""
    return Measurement(record, discard)


def finite(value: object, name: str) -> float:
    """Return ``value`` as a float, after NumPy's ``.item()``.

    Raises:
        MeasurementError: it is no exact int or float (bool, text and subclasses are refused), or not finite.
    """
    single = type(value).__module__ == "numpy" and getattr(value, "size", None) == 1
    plain = value.item() if single else value  # type: ignore[attr-defined]  # what NumPy makes of one number
    if type(plain) not in (int, float):
        raise MeasurementError(
            f"{name} is {value!r} of type {type(value).__name__}",
            "an int or a float",
            "convert it with float(...) where that is meant",
        )
    try:
        number = float(plain)  # type: ignore[arg-type]  # an int or a float, by the line above
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise MeasurementError(
            f"{name} is {value!r}", "a finite number", "find out what made it so; it is never a pass"
        )
    return number


def _limit(name: str, comparator: str, other: Any) -> float:
    """Return a limit as a float; NaN would make every comparison false, and infinity would make it empty."""
    number = other.item() if type(other).__module__ == "numpy" and hasattr(other, "item") else other
    if type(number) is bool or not isinstance(number, Real | Decimal) or not _is_finite(number):
        raise MeasurementError(
            f"{name} was compared by `{comparator}` with {other!r}", "a finite number as the limit", "correct the limit"
        )
    return float(number)


def _is_finite(number: Any) -> bool:
    try:
        return isfinite(number)
    except (OverflowError, ValueError):
        return False


def _window(other: object) -> tuple[float, float] | None:
    """Return the range that ``pytest.approx(x)`` stands for; None for anything else."""
    if not type(other).__module__.startswith("_pytest."):
        return None
    expected = getattr(other, "expected", None)
    if not isinstance(expected, Real) or not _is_finite(expected):
        return None
    tolerance: Any = getattr(other, "tolerance", 0.0)
    return float(expected) - float(tolerance), float(expected) + float(tolerance)


def _asked_by_pytest() -> bool:
    """Whether pytest itself compares: inside approx(), or to explain an assertion that already failed."""
    return str(sys._getframe(3).f_globals.get("__name__", "")).startswith("_pytest.")  # noqa: SLF001 - the caller's caller
