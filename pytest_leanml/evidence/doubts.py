"""Whether a measurement settles its limit: on which side the whole interval lies, and how many rows would tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_leanml.evidence.records import holds, numeral
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.settle import rows_to_settle
from pytest_leanml.vocabulary import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_leanml.evidence.outcomes import CheckSummary
    from pytest_leanml.evidence.records import Comparison, MeasurementRecord

_ORDERS = (">=", "<=", ">", "<")


@dataclass(frozen=True, slots=True)
class Doubt:
    """A check that passed by its value alone.

    Attributes:
        check: its id.
        message: value, interval and limit, and how many rows would settle it.
        measured: the value.
        limit: what it was held against, such as ``>= 0.85``.
    """

    check: str
    message: str
    measured: float
    limit: str


def settled(record: MeasurementRecord, comparator: str, threshold: float) -> bool | None:
    """Tell whether the whole interval lies on one side of a limit; None without an interval, or for ``==`` and ``!=``."""
    if record.low is None or record.high is None or comparator not in _ORDERS:
        return None
    return holds(record.low, comparator, threshold) is holds(record.high, comparator, threshold)


def rows_needed(record: MeasurementRecord, threshold: float) -> int | None:
    """Return the rows at which the interval would clear a limit, were the value to stay; None where none would do.

    The worst of several slices is settled when each of them is: these are the rows of the slice that needs the most. The
    interval of a share of columns that are unsettled does not shrink as the others do, so that it tells no number.
    """
    if record.n is None or "unsettled" in record.details:
        return None
    if record.id == "comparison.worst_slice":
        parts = [(part.get("value"), part.get("n"), part.get("low"), part.get("high")) for part in record.by.values()]
    else:
        parts = [(record.value, record.n, record.low, record.high)]
    found = [
        rows_to_settle(Estimate(float(value or 0.0), int(n or 0), low, high), threshold)
        for value, n, low, high in parts
    ]
    known = [rows for rows in found if rows is not None]
    return max(known) if known and len(known) == len(found) else None


def advice(record: MeasurementRecord, comparator: str, threshold: float) -> str:
    """Say what would settle a limit that the interval straddles."""
    if "unsettled" in record.details:
        return f"compare more rows, to exclude chance in {record.details['unsettled']}"
    if record.n is None:
        return "record with `n=` on how many rows it rests, to read how many would settle it"
    rows = rows_needed(record, threshold)
    if rows is None:
        return "no number of rows settles a value on the limit itself; move the limit"
    verdict = "hold" if holds(record.value, comparator, threshold) else "miss"
    where = " in its slice that needs the most" if record.id == "comparison.worst_slice" else ""
    return (
        f"about {rows} rows{where} would settle it (to {verdict} the limit, if the value stays {numeral(record.value)})"
    )


def straddles(record: MeasurementRecord, comparator: str, threshold: float) -> str:
    """Say that the interval lies across a limit, in the words of every message about it."""
    low, high = (numeral(each, threshold) for each in (record.low or 0.0, record.high or 0.0))
    level = "" if record.confidence is None else f"{record.confidence:.4g} "
    origin = ", ".join(part for part in (record.interval, "" if record.n is None else f"{record.n} rows") if part)
    told = f" ({origin})" if origin else ""
    return f"its {level}interval [{low}, {high}]{told} lies across the limit {comparator} {threshold:g}"


def doubts(checks: Iterable[CheckSummary]) -> Iterator[Doubt]:
    """Yield each limit that a check passed by its value alone, while its interval holds values that miss it."""
    for summary in checks:
        if summary.outcome is not Outcome.PASSED:
            continue
        for record in summary.measurements:
            for each in dict.fromkeys(record.comparisons):
                if _by_value_alone(record, each):
                    yield Doubt(summary.info.id, _message(record, each), record.value, _limit(each))


def _by_value_alone(record: MeasurementRecord, comparison: Comparison) -> bool:
    unsettled = settled(record, comparison.comparator, comparison.threshold) is False and not _flawless(
        record, comparison
    )
    return comparison.side == "value" and comparison.passed and unsettled


def _flawless(record: MeasurementRecord, comparison: Comparison) -> bool:
    """Tell whether a limit asks for the best that a sample can show, and got it, such as no violation at all.

    A warning about it would stand in every report of every run, whatever the rows.
    """
    end = {"<=": record.low, ">=": record.high}.get(comparison.comparator)
    return record.value == comparison.threshold == end and "unsettled" not in record.details


def _message(record: MeasurementRecord, comparison: Comparison) -> str:
    doubt = straddles(record, comparison.comparator, comparison.threshold)
    todo = advice(record, comparison.comparator, comparison.threshold)
    return (
        f"{record.id} is {numeral(record.value, comparison.threshold)}, and {doubt}: judged by its value alone; {todo}"
    )


def _limit(comparison: Comparison) -> str:
    return f"{comparison.comparator} {comparison.threshold:g}"
