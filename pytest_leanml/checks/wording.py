"""What a person reads about a measurement: numbers with as many digits as it takes to tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.evidence.doubts import advice, settled
from pytest_leanml.evidence.records import numeral

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.evidence.records import Comparison, MeasurementRecord

_MOST_GROUPS = 6


def explain(record: MeasurementRecord) -> list[str]:
    """Say limits held and missed, interval, rows and the groups that differ; one line each."""
    return [*_limits(record), *_interval(record), *_doubts(record), *groups(record), *failing_row(record)]


def failing_row(record: MeasurementRecord) -> Iterator[str]:
    """Yield one line that shows the smallest row that was found to fail, where there is one."""
    if "failing_row" in record.details:
        yield f"smallest failing row: {record.details['failing_row']}"


def limit_line(record: MeasurementRecord, comparison: Comparison) -> str:
    """Say one comparison: what was held against which limit, and how it ended."""
    measured = {"low": record.low, "high": record.high}.get(comparison.side, record.value)
    side = "" if comparison.side == "value" else f"'s {comparison.side} confidence limit"
    shown = numeral(record.value if measured is None else measured, comparison.threshold)
    end = "held" if comparison.passed else "missed"
    return f"{record.id}{side} is {shown}; limit {comparison.comparator} {comparison.threshold:g}: {end}"


def _limits(record: MeasurementRecord) -> Iterator[str]:
    if not record.comparisons:
        yield f"{record.id} is {numeral(record.value)}"
    for comparison in sorted(record.comparisons, key=lambda each: each.passed):
        yield limit_line(record, comparison)


def _interval(record: MeasurementRecord) -> Iterator[str]:
    rows = f"{record.n} {'row' if record.n == 1 else 'rows'}" if record.n is not None else ""
    if record.low == record.value == record.high:
        return  # counted, not estimated: the interval would only repeat the value
    if record.low is None and record.high is None:
        if rows:
            yield rows
        return
    low = "" if record.low is None else numeral(record.low)
    high = "" if record.high is None else numeral(record.high)
    level = f" at confidence {record.confidence:.4g}" if record.confidence is not None else ""
    method = f" ({record.interval})" if record.interval else ""
    yield f"interval [{low}, {high}]{level}{method}" + (f", {rows}" if rows else "")


def _doubts(record: MeasurementRecord) -> Iterator[str]:
    """Say of each limit that was held against the value whether chance may have decided it."""
    for each in dict.fromkeys(record.comparisons):
        if each.side == "value" and settled(record, each.comparator, each.threshold) is False:
            todo = advice(record, each.comparator, each.threshold)
            yield f"the interval lies across the limit {each.comparator} {each.threshold:g}: {todo}"


def groups(record: MeasurementRecord) -> Iterator[str]:
    """Yield one line that names the groups, lowest first; of many, the lowest and the highest."""
    ordered = sorted(record.by.items(), key=lambda item: (_value(item[1]), item[0]))
    if not ordered:
        return
    half = _MOST_GROUPS // 2
    cut = len(ordered) > _MOST_GROUPS
    shown = [*ordered[:half], *ordered[-half:]] if cut else ordered
    texts = [_group(name, part) for name, part in shown]
    if cut:
        texts.insert(half, f"... {len(ordered) - _MOST_GROUPS} more ...")
    yield "by group: " + ", ".join(texts)


def _group(name: str, part: Mapping[str, float | int | None]) -> str:
    n = part.get("n")
    return f"{name} {numeral(_value(part))}" + (f" (n {n})" if n is not None else "")


def _value(part: Mapping[str, float | int | None]) -> float:
    value = part.get("value")
    return float("nan") if value is None else float(value)
