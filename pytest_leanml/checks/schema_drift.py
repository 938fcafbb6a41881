"""Schema drift: the columns, types and categories of a table beside those of the training data.

A difference is a column that is gone, one that is new, one whose values are of another kind, and one of categories that
has some which training never saw. Kinds are compared, not types of storage: 32 and 64 bits, a category and its text, a
CSV file and a Parquet file of the same values are the same. Numbers with a fraction where training had whole numbers are
not; whole numbers that a missing value made floating are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.checks.rules import SHOWN, Found, Tally, counted, shortened
from pytest_leanml.checks.rules_rows import Column, Kind, Rows
from pytest_leanml.errors import InconclusiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEVELS = 1000
_NUMBERS = (Kind.WHOLE, Kind.NUMBER)


def schema_differences(train: Rows, rows: Rows, *, apart: Sequence[str] = (), levels: int = LEVELS) -> Found:
    """Count the differences of a table to the training data.

    Args:
        train: the training data.
        rows: the table.
        apart: columns that may be on one side only and whose categories are not compared.
        levels: a column of text with more distinct values in training is free text: its values are not compared.

    Raises:
        InconclusiveError: a side has no rows, or they share no column.
    """
    train.refuse_empty()
    rows.refuse_empty()
    shared = [name for name in train.names if name in rows.names]
    if not shared:
        raise InconclusiveError(f"{rows.name} shares no column with {train.name}", "the same columns", "see the data")
    found = dict(_lonely(train, rows, apart))
    old, new = train.columns(shared), rows.columns(shared)
    hollow = _hollow(train, old), _hollow(rows, new)
    free: list[str] = []
    for before, now in zip(old, new, strict=True):
        empty = [side.name for side, names in zip((train, rows), hollow, strict=True) if before.name in names]
        problem = _other_kind(train, rows, before, now) if not empty else _emptied(empty)
        if problem is None and not empty and before.name not in apart and before.kind in (Kind.TEXT, Kind.MIXED):
            known = train.counts([before], ~before.missing, first=levels + 1)
            if len(known) > levels:
                free.append(before.name)
            else:
                problem = _new_categories(rows, now, {value for value, _ in known})
        if problem is not None:
            found[before.name] = problem
    tallies = {name: Tally(1, 1) for name in found} or {"columns": Tally(1, 0)}
    text = shortened("; ".join(f"{name}: {each}" for name, each in found.items()))
    details = {"free_text": shortened(", ".join(free))} if free else {}
    return Found(rows.count, tallies, text, unit="difference", details={"columns": float(len(shared)), **details})


def _hollow(rows: Rows, columns: Sequence[Column]) -> set[str]:
    """Return the columns without any value, of all of them in one pass."""
    asked = rows.ask(columns, {each.name: each.missing for each in columns})
    return {name for name, missing in asked.items() if int(missing) == rows.count}


def _emptied(empty: Sequence[str]) -> str | None:
    return None if len(empty) > 1 else f"no value in {empty[0]}"


def _lonely(train: Rows, rows: Rows, apart: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in train.names:
        if name not in rows.names and name not in apart:
            yield name, "gone"
    for name in rows.names:
        if name not in train.names and name not in apart:
            yield name, "new"


def _other_kind(train: Rows, rows: Rows, old: Column, new: Column) -> str | None:
    if old.kind is new.kind or ({old.kind, new.kind} == set(_NUMBERS) and _whole(train, old) == _whole(rows, new)):
        return None
    return f"{new.kind}, in training {old.kind}"


def _whole(rows: Rows, column: Column) -> bool:
    """Tell whether all numbers are whole: a missing value makes floating numbers of whole ones in pandas."""
    if column.kind is Kind.WHOLE:
        return True
    broken = rows.ask([column], {"broken": ~column.missing & (column.value.floor() != column.value)})
    return int(broken["broken"] or 0) == 0


def _new_categories(rows: Rows, column: Column, known: set[object]) -> str | None:
    kept = column.value.is_in(sorted(map(str, known)))
    new = rows.counts([column], ~column.missing & ~kept, first=SHOWN + 1)
    if not new:
        return None
    shown = ", ".join(counted(value, count, column) for value, count in new[:SHOWN])
    return f"categories that training never saw: {shown}{', ...' if new[SHOWN:] else ''}"
