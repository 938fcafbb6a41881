"""The rules of data quality, each a condition that a present value keeps or fails; counts are exact.

Missing values (null and NaN) are ignored by every rule but ``not_null``, as pandera and Great Expectations have it; a
column of nothing else is inconclusive. A value fails when it is present and does not keep the condition: what an engine
cannot say of a value is a failure.

What several rules count in one table is asked in one pass (``tallies``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import narwhals as nw

from pytest_leanml.checks.rules_rows import Column, Kind, Rows
from pytest_leanml.errors import InconclusiveError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = 5
_SHOWN_CHARACTERS = 60
_TEXT_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule counts in one pass over the rows.

    Attributes:
        kept: column -> whether a present value keeps the rule, None where no value of its type can.
        missing: whether missing values are what is counted; then each condition is None.
    """

    kept: Mapping[Column, nw.Expr | None]
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule found in one column, or in one combination of columns.

    Attributes:
        present: values that the rule speaks of.
        failing: those that fail it.
    """

    present: int
    failing: int

    @property
    def share(self) -> float:
        """Share of the values that fail."""
        return self.failing / self.present


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found in a table.

    Attributes:
        rows: rows of the table.
        tallies: column, or columns joined by ``+`` -> what was found.
        first: the commonest failing values, as a short harmless text.
        unit: what is counted.
        details: further numbers and short texts.
        number: what was measured, where it is no count.
    """

    rows: int
    tallies: Mapping[str, Tally]
    first: str = ""
    unit: str = "value"
    details: Mapping[str, Any] = field(default_factory=dict)
    number: float | None = None

    @property
    def failing(self) -> int:
        """Number of failing values."""
        return sum(each.failing for each in self.tallies.values())

    @property
    def share(self) -> float:
        """The largest share of failing values of any column: clean columns do not thin out a bad one."""
        return max(each.share for each in self.tallies.values())


def tallies(rows: Rows, questions: Sequence[Question]) -> list[dict[str, Tally]]:
    """Count for each question what fails in each column, all of them in one pass.

    Raises:
        InconclusiveError: no rows.
    """
    rows.refuse_empty()
    columns = {column.name: column for each in questions for column in each.kept}
    flags = {f"missing {name}": column.missing for name, column in columns.items()}
    for place, each in enumerate(questions):
        for column, kept in each.kept.items():
            if kept is not None:
                flags[f"kept {place} {column.name}"] = ~column.missing & kept
    asked = rows.ask(list(columns.values()), flags)
    return [
        {column.name: _tally(rows.count, each.missing, asked, place, column.name) for column in each.kept}
        for place, each in enumerate(questions)
    ]


def _tally(rows: int, missing: bool, asked: Mapping[str, Any], place: int, name: str) -> Tally:  # noqa: FBT001 - of one caller
    absent = int(asked[f"missing {name}"])
    if missing:
        return Tally(rows, absent)
    return Tally(rows - absent, rows - absent - int(asked.get(f"kept {place} {name}") or 0))


def found_by(rows: Rows, question: Question, counted: Mapping[str, Tally]) -> Found:
    """Return what a question found, with the commonest failing values.

    Raises:
        InconclusiveError: a column without any value.
    """
    if question.missing:
        return Found(rows.count, counted)
    for column in question.kept:
        refuse_hollow(rows, column, counted[column.name].present)
    bad = {each: _fails(each, kept) for each, kept in question.kept.items() if counted[each.name].failing}
    return Found(rows.count, counted, _first(rows, bad))


def _fails(column: Column, kept: nw.Expr | None) -> nw.Expr:
    return ~column.missing if kept is None else ~column.missing & ~kept.fill_null(value=False)


def refuse_hollow(rows: Rows, column: Column, present: int) -> None:
    """Refuse a column without any value: a rule that ignores missing values would pass it.

    Raises:
        InconclusiveError: it has none.
    """
    if present == 0:
        raise hollow(rows, column)


def hollow(rows: Rows, column: Column) -> InconclusiveError:
    """Return the error that says that a column has no value."""
    return InconclusiveError(
        f"the column `{column.name}` of {rows.name} has no value in any row",
        "at least one value to check",
        "look at how the data is made, or take the column out of the rule",
    )


def _first(rows: Rows, bad: Mapping[Column, nw.Expr]) -> str:
    """Return the commonest failing values of the first columns."""
    parts = []
    for column, fails in list(bad.items())[:SHOWN]:
        shown = [counted(value, n, column) for value, n in rows.counts([column], fails, first=SHOWN)]
        parts.append(f"{column.name}: {', '.join(shown)}")
    return shortened("; ".join(parts))


def counted(value: Any, rows: int, column: Column) -> str:
    """Say a value, and how often it is there; text is quoted, so that " 1" is not taken for 1."""
    text = str(value).partition(" ")[2] if column.kind is Kind.MIXED else _said(value)
    return shortened(text, _SHOWN_CHARACTERS) + (f" ({rows} rows)" if rows > 1 else "")


def _said(value: Any) -> str:
    return str(value) if isinstance(value, date) else repr(value)


def shortened(text: str, width: int = _TEXT_CHARACTERS) -> str:
    """Return a text in which nothing hides, of at most ``width`` characters."""
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return plain if len(plain) <= width else plain[: width - 1] + "…"


def repeated_values(rows: Rows, columns: Sequence[Column]) -> Found:
    """Count the rows whose value other rows have too, for each column by itself.

    Raises:
        InconclusiveError: no rows, or a column without any value.
    """
    rows.refuse_empty()
    asked = rows.ask(columns, {each.name: each.missing for each in columns})
    distinct = rows.distinct(columns)
    found, parts = {}, []
    for each in columns:
        missing = int(asked[each.name])
        refuse_hollow(rows, each, rows.count - missing)
        repeats = rows.count - missing > distinct[each.name] - (missing > 0)
        failing, shown = _repeats(rows, [each]) if repeats else (0, "")
        found[each.name] = Tally(rows.count - missing, failing)
        parts += [f"{each.name}: {shown}"] if shown else []
    return Found(rows.count, found, shortened("; ".join(parts[:SHOWN])))


def repeated_keys(rows: Rows, columns: Sequence[Column]) -> Found:
    """Count the rows whose combination of values other rows have too; a row that lacks a value is not compared.

    Raises:
        InconclusiveError: no rows, or none that has every value.
    """
    rows.refuse_empty()
    whole = nw.all_horizontal(*(~each.missing for each in columns), ignore_nulls=False)
    name = "+".join(each.name for each in columns)
    present = int(rows.ask(columns, {"present": whole})["present"])
    if present == 0:
        names = ", ".join(each.name for each in columns)
        raise InconclusiveError(f"no row of {rows.name} has a value in all of {names}", "at least one", "see the data")
    failing, shown = _repeats(rows, columns)
    return Found(rows.count, {name: Tally(present, failing)}, f"{name}: {shown}" if shown else "", unit="row")


def _repeats(rows: Rows, columns: Sequence[Column]) -> tuple[int, str]:
    """Return the rows whose values other rows have too, and the commonest of those values."""
    whole = nw.all_horizontal(*(~each.missing for each in columns), ignore_nulls=False)
    failing = rows.repeats(columns, whole)
    if failing == 0:
        return 0, ""
    shown = [_row(row, columns) for row in rows.counts(columns, whole, least=2, first=SHOWN)]
    return failing, shortened(", ".join(shown))


def _row(row: Sequence[Any], columns: Sequence[Column]) -> str:
    values = [counted(value, 1, column) for value, column in zip(row, columns, strict=False)]
    return f"{values[0] if len(values) == 1 else '(' + ', '.join(values) + ')'} ({row[-1]} rows)"


def duplicated_rows(rows: Rows, columns: Sequence[Column]) -> Found:
    """Count the rows that repeat an earlier one in all of some columns; missing values are equal to each other.

    Raises:
        InconclusiveError: no rows.
    """
    rows.refuse_empty()
    surplus = rows.count - rows.combinations(columns)
    return Found(rows.count, {"rows": Tally(rows.count, surplus)}, unit="row")


def constant_columns(rows: Rows, columns: Sequence[Column]) -> Found:
    """Count the columns with at most one value beside missing ones.

    Raises:
        InconclusiveError: fewer than two rows, where every column is constant.
    """
    _refuse_single(rows)
    ordered = [each for each in columns if each.kind is not Kind.OTHER]
    constant = {
        *_without_extent(rows, ordered),
        *_without_choice(rows, [each for each in columns if each not in ordered]),
    }
    return _of_columns(rows, columns, {each.name: 1.0 for each in columns if each.name in constant})


def _without_extent(rows: Rows, columns: Sequence[Column]) -> list[str]:
    """Return the columns whose least value is their greatest, or that have none: cheaper than to tell all values apart."""
    if not columns:
        return []
    least = {f"least {each.name}": each.plain for each in columns}
    most = {f"most {each.name}": each.plain for each in columns}
    asked = rows.ask(columns, {}, least=least, most=most)
    return [each.name for each in columns if asked[f"least {each.name}"] == asked[f"most {each.name}"]]


def _without_choice(rows: Rows, columns: Sequence[Column]) -> list[str]:
    if not columns:
        return []
    missing = rows.ask(columns, {each.name: each.missing for each in columns})
    distinct = rows.distinct(columns)
    return [each.name for each in columns if distinct[each.name] - (int(missing[each.name]) > 0) <= 1]


def near_constant_columns(rows: Rows, columns: Sequence[Column], share: float) -> Found:
    """Count the columns of which one value, or missing, makes up at least ``share`` of the rows.

    Raises:
        InconclusiveError: fewer than two rows, where every column is constant.
    """
    _refuse_single(rows)
    distinct = rows.distinct(columns)
    # Of n rows with d values one value has at most n - d + 1: most columns are told by that alone.
    likely = [each for each in columns if rows.count - distinct[each.name] + 1 >= share * rows.count]
    tops = {each.name: int(rows.counts([each], first=1)[0][-1]) / rows.count for each in likely}
    return _of_columns(rows, columns, {name: top for name, top in tops.items() if top >= share})


def _refuse_single(rows: Rows) -> None:
    rows.refuse_empty()
    if rows.count == 1:
        raise InconclusiveError(f"{rows.name} has one row, where every column is constant", "at least two rows")


def _of_columns(rows: Rows, columns: Sequence[Column], found: Mapping[str, float]) -> Found:
    counted = {each.name: Tally(1, int(each.name in found)) for each in columns}
    first = ", ".join(f"{name} ({share:.4g} of the rows)" if share < 1 else name for name, share in found.items())
    return Found(rows.count, counted, shortened(first), unit="column")
