"""Whether the score goes the way it must when a column goes up, or when a row is changed in a known direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.behaviour_flips import LEAST, Finding, told, worst
from pytest_leanml.checks.behaviour_model import ROUNDING, Probe
from pytest_leanml.checks.behaviour_rows import MOST_TIMES, base_rows, demand_number, demand_whole
from pytest_leanml.checks.behaviour_shrink import Case
from pytest_leanml.checks.perturbations import numeric_columns, replaced, shifted, touched
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.violations import demand_trials, violation_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LEAST_STEPS = 2


def monotonic(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Move each column in turn over its range, all else held, and see in which rows the score turns back somewhere."""
    ways = {**dict.fromkeys(settings["increasing"], 1.0), **dict.fromkeys(settings["decreasing"], -1.0)}
    twice = set(settings["increasing"]) & set(settings["decreasing"])
    if not ways or twice:
        raise MeasurementError(
            f"`{min(twice)}` as increasing and as decreasing" if twice else "no column",
            "columns under increasing or decreasing",
            "name each once",
        )
    probe.demand(list(ways))
    probe.demand_scores(settings["tolerance"])
    base = base_rows(probe, settings, "monotonic")
    return worst(
        {
            name: _trend(probe, base, name, sign=sign, settings=settings, confidence=confidence)
            for name, sign in ways.items()
        }
    )


def _trend(  # noqa: PLR0913 - what a trend depends on
    probe: Probe, base: pd.DataFrame, name: str, *, sign: float, settings: Mapping[str, Any], confidence: float
) -> Finding:
    grid = _grid(probe, name, settings["steps"])
    moved = [_at(base, name, value) for value in grid]
    score = probe.signal(probe.ask(pd.concat(moved), scores=True), settings["label"])
    table = sign * score.reshape(len(grid), len(base)).T
    _refuse_flat(table, f"`{name}` goes from {grid[0]:g} to {grid[-1]:g}")
    falls = table[:, :-1] - table[:, 1:]
    broken = falls > _slack(settings["tolerance"])
    estimate = violation_share(
        int(broken.any(axis=1).sum()), len(base), confidence=confidence, least=LEAST, what="rows"
    )
    if not broken.any():
        return Finding(estimate)
    row, step = np.unravel_index(int(np.argmax(falls)), falls.shape)
    rows = [int(row)]
    case = Case(moved[int(step)].iloc[rows], moved[int(step) + 1].iloc[rows])
    before, after = (float(sign * table[row, each]) for each in (step, step + 1))
    return Finding(estimate, told(probe, case, before, after, what="score"))


def _grid(probe: Probe, name: str, steps: Any) -> NDArray[np.float64]:
    if name not in numeric_columns(probe.whole, [name]):
        raise MeasurementError(f"the column `{name}` holds no numbers", "a column of numbers", "leave it out")
    demand_whole("steps", steps, _LEAST_STEPS, MOST_TIMES)
    values = probe.whole[name].dropna().to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    # Values that occur, so that a whole number stays one.
    grid = np.unique(np.quantile(values, np.linspace(0, 1, steps), method="nearest")) if len(values) else values
    if len(grid) < _LEAST_STEPS:
        raise InconclusiveError(
            f"the column `{name}` has {'one value only' if len(grid) else 'no value'}, so that it cannot go up",
            "at least two values in the evaluation data",
            "give data in which it varies, or remove the check",
        )
    return grid


def _at(base: pd.DataFrame, name: str, value: float) -> pd.DataFrame:
    changed = base.copy(deep=False)
    changed[name] = replaced(base[name], np.ones(len(base), dtype=bool), [value] * len(base))
    return changed


def _refuse_flat(table: NDArray[np.float64], when: str) -> None:
    if float(np.ptp(table, axis=1).max()) <= ROUNDING:
        raise InconclusiveError(
            f"no score moves when {when}: a model that ignores it keeps every promise about it",
            "a score that moves in some row",
            "remove the check, or look whether the model reads the column",
        )


def _slack(tolerance: Any) -> float:
    return ROUNDING if tolerance is None else max(demand_number("tolerance", tolerance), ROUNDING)


def directional(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Change each row in a known way, and see in which rows the score does not go with it by at least ``by``."""
    change, sign, least = _direction(settings)
    probe.demand(list(change))
    base = base_rows(probe, settings, "directional")
    changed = shifted(base, change)
    kept = np.asarray(touched(base, changed, list(change)).any(axis=1), dtype=bool)
    base, changed = base.loc[kept], changed.loc[kept]
    demand_trials(len(base), LEAST, "changed rows")
    before = probe.signal(probe.ask(base, scores=True), settings["label"])
    after = probe.signal(probe.ask(changed, scores=True), settings["label"])
    _refuse_flat(np.column_stack([before, after]), f"{', '.join(change)} changes")
    gain = sign * (after - before)
    # By rounding alone, a step of exactly `by` may come out smaller.
    broken = gain < least - ROUNDING
    estimate = violation_share(int(broken.sum()), len(base), confidence=confidence)
    if not broken.any():
        return Finding(estimate)
    row = [int(np.argmin(gain))]
    case = Case(base.iloc[row], changed.iloc[row])
    return Finding(estimate, told(probe, case, float(before[row[0]]), float(after[row[0]]), what="score"))


def _direction(settings: Mapping[str, Any]) -> tuple[dict[str, Any], float, float]:
    """Return the change, 1 for a rise and -1 for a fall, and by how much at least."""
    change, sign = dict(settings["change"] or {}), {"increase": 1.0, "decrease": -1.0}.get(settings["expect"])
    if not change or sign is None:
        raise MeasurementError(
            f"change: {change!r}, expect: {settings['expect']!r}",
            "{column: what is added to it, or the value it is set to}, and increase or decrease",
            "say both",
        )
    return change, sign, demand_number("by", settings["by"])
