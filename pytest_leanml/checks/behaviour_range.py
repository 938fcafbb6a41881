"""Inputs outside of what the model was made for: it must answer, or refuse, as is declared; it may not fall over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.behaviour_flips import Finding
from pytest_leanml.checks.behaviour_rows import demand_whole, named
from pytest_leanml.checks.behaviour_words import shown_row, shown_value
from pytest_leanml.checks.perturbations import missing, replaced, touched, with_column
from pytest_leanml.checks.strategies import allowed, kind_of
from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError
from pytest_leanml.stats.estimate import Part
from pytest_leanml.stats.violations import counted_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from pytest_leanml.checks.behaviour_model import Probe

KINDS = ("below", "above", "huge", "unseen", "empty", "missing")
BY_DEFAULT = ("below", "above", "huge", "unseen", "empty")
EXPECTED = ("answer", "refuse")
# Nobody refuses a row by these: the model fell over.
_ACCIDENTS = (ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, NameError, OSError)
_HUGE = 1e6  # times the width of the range; a unit that is wrong twice over
_LONG = 10_000  # characters


@dataclass(frozen=True, slots=True)
class _Trial:
    """One way to leave the range of one column, on a few rows."""

    column: str
    kind: str
    base: pd.DataFrame
    changed: pd.DataFrame


def out_of_range(probe: Probe, settings: Mapping[str, Any], _confidence: float) -> Finding:
    """Leave the range of one column after the other, and count the cases in which the model does not as declared."""
    _refuse_settings(settings)
    probe.demand(settings["columns"])
    base = probe.sample(demand_whole("rows", settings["rows"]), "range")
    # Asked first about rows as they are: a model that fails on these would seem to refuse.
    probe.ask(base, scores=True)
    columns = tuple(settings["columns"]) or probe.inputs
    trials = list(_trials(probe, base, columns, settings["kinds"]))
    if not trials:
        raise InconclusiveError(
            "no input has a range that could be left", "a number or a text among the columns", "name other kinds"
        )
    wrong = [_wrong(probe, trial, settings["expect"]) for trial in trials]
    return _finding(trials, wrong)


def _refuse_settings(settings: Mapping[str, Any]) -> None:
    unknown = [each for each in settings["kinds"] if each not in KINDS]
    if unknown or not settings["kinds"]:
        raise MeasurementError(f"kinds: {unknown or '[]'}", f"some of {', '.join(KINDS)}", "correct it")
    if settings["expect"] not in EXPECTED:
        raise MeasurementError(f"expect: {settings['expect']!r}", " or ".join(EXPECTED), "correct it")


def _trials(probe: Probe, base: pd.DataFrame, columns: Sequence[str], kinds: Sequence[str]) -> Iterator[_Trial]:
    for name in columns:
        known = probe.whole[name].dropna()
        values = _numbers(probe, name) if kind_of(known) in ("int", "float") else _texts(probe, name, known)
        for kind in kinds:
            changed = missing(base, name) if kind == "missing" else _with(base, name, values.get(kind, ()))
            if touched(base, changed, [name]).any():
                yield _Trial(name, kind, base, changed)


def _with(base: pd.DataFrame, name: str, values: Sequence[Any]) -> pd.DataFrame:
    if not values:
        return base
    new = [values[place % len(values)] for place in range(len(base))]
    return with_column(base, name, replaced(base[name], np.ones(len(base), dtype=bool), new))


def _numbers(probe: Probe, name: str) -> dict[str, Sequence[Any]]:
    domain = probe.domains([name])[name]
    ends = domain["values"] if domain["kind"] == "choice" else [domain["min"], domain["max"]]
    low, high = float(min(ends)), float(max(ends))
    step = np.ceil(max(high - low, 1.0))
    return {"below": [low - step], "above": [high + step], "huge": [high + _HUGE * step, low - _HUGE * step]}


def _texts(probe: Probe, name: str, known: pd.Series[Any]) -> dict[str, Sequence[Any]]:
    if kind_of(known) != "text":
        return {}
    taken = {*known, *allowed(probe.schema, name)}
    fresh = [text for text in probe.texts if text not in taken]
    return {"huge": ["x" * _LONG], "unseen": [*fresh, "?" * (max(map(len, map(str, taken))) + 1)], "empty": [""]}


def _wrong(probe: Probe, trial: _Trial, expect: str) -> str:
    """Return why the model did not as declared, nothing where it did."""
    if expect == "answer":
        fault = _fault(probe, trial.changed)
        return "" if fault is None else f"it gave no answer ({fault[0]})"
    for place in range(len(trial.changed)):
        row = trial.changed.iloc[[place]]
        if not touched(trial.base.iloc[[place]], row, [trial.column]).any():
            continue  # the value it had already lies outside
        fault = _fault(probe, row)
        if fault is None:
            return f"it answered {shown_value(probe.predict(row).labels[0])}"
        if not fault[1]:
            return f"it neither answered nor refused ({fault[0]})"
    return ""


def _fault(probe: Probe, rows: pd.DataFrame) -> tuple[str, bool] | None:
    """Return what went wrong, and whether the model itself refused; None where it answered."""
    try:
        probe.predict(rows, scores=True)
    except (SourceError, MeasurementError) as fault:
        # Only what the model raised is a refusal; NaN, a label out of nowhere, or the end of the process is none.
        cause = fault.__cause__ if isinstance(fault, SourceError) else None
        return " ".join(fault.given.split())[:200], isinstance(cause, Exception) and not isinstance(cause, _ACCIDENTS)
    return None


def _finding(trials: Sequence[_Trial], wrong: Sequence[str]) -> Finding:
    estimate = counted_share(sum(map(bool, wrong)), len(trials))
    columns = dict.fromkeys(trial.column for trial in trials)
    own = {
        name: [bool(why) for each, why in zip(trials, wrong, strict=True) if each.column == name] for name in columns
    }
    by = {name: Part(sum(found) / len(found), len(found)) for name, found in own.items()}
    shown = next(((trial, why) for trial, why in zip(trials, wrong, strict=True) if why), None)
    return Finding(replace(estimate, by=by), "" if shown is None else _told(*shown))


def _told(trial: _Trial, why: str) -> str:
    row = shown_row(trial.changed.iloc[[0]], [trial.column], trial.base.iloc[[0]])
    return f"{named(trial.base.index[0])}, {trial.kind}: {why} with {row}"
