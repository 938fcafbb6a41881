"""A minimum functionality table: cases that are written down with the answer that each must get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.behaviour_flips import Finding
from pytest_leanml.checks.behaviour_model import ROUNDING, Probe
from pytest_leanml.checks.behaviour_rows import demand_number
from pytest_leanml.checks.behaviour_words import shown_row, shown_value
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.columns import require_columns, to_pandas
from pytest_leanml.sources.frames import read_table
from pytest_leanml.sources.outputs import shown
from pytest_leanml.stats.estimate import Part
from pytest_leanml.stats.violations import counted_share
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def minimum_functionality(probe: Probe, settings: Mapping[str, Any], _confidence: float) -> Finding:
    """Ask about each case of the table in one call, and count those that get another answer than is written there."""
    table, details = _table(probe, settings["file"])
    expected, by = _columns(probe, table, settings)
    truth = table[expected]
    asked = table.drop(columns=[name for name in (expected, by) if name is not None])
    _refuse_strange(probe, truth)
    labels = probe.ask(asked).labels
    wrong = _wrong(probe, labels, truth, settings["tolerance"])
    estimate = counted_share(int(wrong.sum()), len(table))
    if by is not None:
        estimate = replace(estimate, by=_parts(wrong, table[by]))
    if not wrong.any():
        return Finding(estimate, details=details)
    place = int(np.flatnonzero(wrong)[0])
    answers = f"the answer is {shown_value(labels[place])}, expected {shown_value(truth.iloc[place])}"
    names = [name for name in asked.columns if name in probe.inputs]
    row = f"case {place + 1}: {answers} for {shown_row(asked.iloc[[place]], names)}"
    return Finding(estimate, row, details)


def _table(probe: Probe, given: Any) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the cases, and the digest of the file that they stand in."""
    if isinstance(given, str | Path):
        found = read_table(probe.study.settings.root / given, name="minimum functionality")
        frame, details = found.frame, {"file": found.digest}
    else:
        frame, details = given, {}
    table = to_pandas(frame).reset_index(drop=True)
    if not len(table):
        raise InconclusiveError("the table has no cases", "at least one row", "write some down")
    return table, details


def _columns(probe: Probe, table: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[str, str | None]:
    expected = settings["expected"] or probe.study.settings.target
    if expected is None:
        raise ConfigError(
            "which column holds the expected answers?", "`params: {expected: <column>}`, or data.target", "name it"
        )
    by = settings["by"]
    require_columns(table, [expected, *([by] if by else [])], what="the table of cases")
    if by == expected:
        raise MeasurementError(f"`{by}` as the expected answer and as `by`", "two columns", "name another one")
    return expected, by


def _refuse_strange(probe: Probe, truth: pd.Series[Any]) -> None:
    """Refuse an expected answer that no model could give: it is a slip of the pen in the table."""
    absent = int(truth.isna().sum())
    if absent:
        raise MeasurementError(f"{absent} cases have no expected answer", "one in each row", "fill the column")
    task, classes, _ = probe.facts
    if task is Task.REGRESSION:
        if not pd.api.types.is_numeric_dtype(truth.dtype) or not np.isfinite(truth.astype(float)).all():
            raise MeasurementError("an expected answer is no finite number", "numbers for a regression", "correct it")
        return
    strange = [each for each in dict.fromkeys(truth.tolist()) if not any(_same(each, label) for label in classes)]
    if strange:
        raise SourceError(
            f"{shown_value(strange[0])} is expected, which is no answer of the model",
            f"one of {shown(classes)}",
            "correct it",
        )


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, str) == isinstance(other, str)


def _wrong(probe: Probe, labels: NDArray[Any], truth: pd.Series[Any], tolerance: Any) -> NDArray[np.bool_]:
    if probe.facts[0] is not Task.REGRESSION:
        if tolerance is not None:
            raise MeasurementError(f"tolerance: {tolerance!r} for labels", "a tolerance for a regression", "remove it")
        pairs = zip(labels.tolist(), truth.tolist(), strict=True)
        return np.array([not _same(one, other) for one, other in pairs], dtype=bool)
    numbers = truth.to_numpy(dtype=float)
    allowed = (
        ROUNDING * np.maximum(np.abs(numbers), 1.0) if tolerance is None else demand_number("tolerance", tolerance)
    )
    return np.asarray(np.abs(np.asarray(labels, dtype=float) - numbers) > allowed)


def _parts(wrong: NDArray[np.bool_], groups: pd.Series[Any]) -> dict[str, Part]:
    names = np.array(["" if pd.isna(each) else str(each) for each in groups.astype(object)])
    return {name: Part(float(wrong[names == name].mean()), int((names == name).sum())) for name in dict.fromkeys(names)}
