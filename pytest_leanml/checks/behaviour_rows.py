"""The rows that are probed: evaluation rows, or rows in which drawn values stand for some of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.perturbations import mixed, touched
from pytest_leanml.checks.strategies import valid_rows
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.filters import mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.behaviour_model import Probe

MOST_ROWS = 100_000  # each is asked several times over, and in one call
MOST_TIMES = 100
EVALUATION, GENERATED = "evaluation", "generated"
_SPARE = 3  # rows made for each row wanted, since a schema or a filter may refuse some


@dataclass(frozen=True, slots=True)
class Rows:
    """Generated rows, and the evaluation rows that they were made from, in the same order."""

    base: pd.DataFrame
    changed: pd.DataFrame


def base_rows(probe: Probe, settings: Mapping[str, Any], word: str) -> pd.DataFrame:
    """Return the rows to start from, as ``data`` says: a seeded sample of the evaluation data, or generated rows.

    Raises:
        MeasurementError: ``data`` or ``rows`` cannot be.
        InconclusiveError: no row could be generated.
    """
    demand_whole("rows", settings["rows"])
    if settings["data"] == EVALUATION:
        return probe.sample(settings["rows"], word)
    if settings["data"] != GENERATED:
        raise MeasurementError(f"data: {settings['data']!r}", f"{EVALUATION} or {GENERATED}", "correct it")
    return generated(probe, settings["rows"]).changed


def demand_whole(name: str, value: Any, least: int = 1, most: int = MOST_ROWS) -> int:
    """Refuse what is no whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MeasurementError(f"{name}: {value!r}", f"a whole number from {least} to {most}", "correct it")
    return value


def demand_number(name: str, value: Any, *, least: float = 0.0, open_end: bool = False) -> float:
    """Refuse what is no finite number of at least ``least``; with ``open_end``, above it."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(value)
    if not number or value < least or (open_end and value == least):
        expected = f"a finite number {'above' if open_end else 'of at least'} {least:g}"
        raise MeasurementError(f"{name}: {value!r}", expected, "correct it")
    return float(value)


def named(label: Any) -> str:
    """Return what a message calls the row that has this index label."""
    return label if isinstance(label, str) else f"evaluation row {label}"


def generated(probe: Probe, rows: int, *, columns: Sequence[str] = (), where: Any = None) -> Rows:
    """Make rows that the schema accepts: in each, one to all of the inputs have a drawn value.

    Args:
        probe: model and evaluation rows.
        rows: how many; fewer where schema and filter refuse more than two of three.
        columns: inputs that may be changed; all of them when empty.
        where: a filter that the rows must match, as in ``data.slices``.

    Raises:
        InconclusiveError: no row is left.
        ConfigError: no values can be drawn, or the filter cannot be read.
    """
    demand_whole("rows", rows)
    probe.demand(columns)
    chosen = tuple(columns) or probe.inputs
    rng = probe.rng("generated", *chosen, str(where))
    many = rows * _SPARE
    base = probe.whole.iloc[rng.integers(0, len(probe.whole), many)]
    drawn = _drawn(probe, base, chosen, rng)
    # One cell in some rows, all in others: both what is nearly usual and what is not at all.
    count = rng.integers(1, len(chosen) + 1, many)
    keep = rng.random((many, len(chosen))).argsort(axis=1).argsort(axis=1) < count[:, None]
    changed = mixed(base, drawn, keep, chosen)
    fits = touched(base, changed, chosen).any(axis=1) & accepted(probe, changed, where)
    places = np.flatnonzero(fits)[:rows]
    if not len(places):
        raise InconclusiveError(
            f"none of {many} generated rows is one that the schema and the filter accept",
            "at least one row",
            "widen the filter, or look whether the evaluation data itself keeps to the schema",
        )
    return Rows(base.iloc[places], _labelled(changed.iloc[places]))


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([f"a row made from evaluation row {label}" for label in frame.index], axis=0)


def _drawn(probe: Probe, base: pd.DataFrame, columns: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    pools = probe.pools(columns)
    values = {name: _picked(pools[name], len(base), rng) for name in columns}
    return pd.DataFrame({name: pd.Series(values[name], dtype=object) for name in columns}).set_index(base.index)


def _picked(pool: list[Any], size: int, rng: np.random.Generator) -> list[Any]:
    return [pool[place] for place in rng.integers(0, len(pool), size)]


def accepted(probe: Probe, frame: pd.DataFrame, where: Any = None) -> NDArray[np.bool_]:
    """Tell which rows the schema accepts and the filter matches, shape (n,)."""
    valid = valid_rows(frame, probe.schema)
    if where is None or not valid.any():
        return valid
    try:
        return np.asarray(valid & mask(frame, where))
    except InconclusiveError:  # it matches none
        return np.zeros(len(frame), dtype=bool)
