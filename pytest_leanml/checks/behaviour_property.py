"""A property that must hold for each row: asked of generated rows, and shown on the smallest for which it is false."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.behaviour_flips import LEAST, Finding
from pytest_leanml.checks.behaviour_rows import accepted, generated, named
from pytest_leanml.checks.behaviour_shrink import Case, held, smallest
from pytest_leanml.checks.behaviour_words import shown_row, shown_value
from pytest_leanml.checks.custom import load
from pytest_leanml.errors import ConfigError, MeasurementError
from pytest_leanml.sources.faults import calling, told_as
from pytest_leanml.stats.violations import violation_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from pytest_leanml.checks.behaviour_model import Probe

GIVEN = ("rows", "answers", "scores", "candidate")


def holds(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Ask about generated rows in one call, and see for which the property is false."""
    holding = _property(settings["call"], probe)
    made = generated(probe, settings["rows"], columns=settings["columns"], where=settings["where"])
    broken = ~_evaluated(probe, holding, made.changed)
    estimate = violation_share(
        int(broken.sum()), len(made.changed), confidence=confidence, least=LEAST, what="generated rows"
    )
    if not broken.any():
        return Finding(estimate)

    def fails(_base: pd.DataFrame, changed: pd.DataFrame) -> NDArray[np.bool_]:
        return accepted(probe, changed, settings["where"]) & ~_evaluated(probe, holding, changed)

    base, changed = made.base.loc[broken], made.changed.loc[broken]
    as_it_was = np.flatnonzero(held(fails, base, base))
    if len(as_it_was):  # nothing smaller than a row in which nothing was changed
        row = base.iloc[as_it_was[:1]]
        return Finding(estimate, _told(probe, Case(row, row)))
    return Finding(estimate, _told(probe, smallest(base, changed, fails, probe.inputs, nearer=True)))


def _told(probe: Probe, case: Case) -> str:
    answer = shown_value(probe.predict(case.changed).labels[0])
    row = shown_row(case.changed, probe.inputs, case.base)
    made = "" if case.changed is case.base else "a row made from "
    return f"{made}{named(case.base.index[0])}: the answer is {answer} for {row}"


def _property(call: Any, probe: Probe) -> Callable[..., object]:
    found = load(call, probe.study.settings.root, key="call") if isinstance(call, str) else call
    if not callable(found):
        raise ConfigError(f"{call!r} is no property", "a function, or `module:function`", "correct it")
    names = list(inspect.signature(found).parameters)
    unknown = [name for name in names if name not in GIVEN]
    if unknown or not names:
        raise ConfigError(
            f"the property takes {', '.join(unknown) or 'nothing'}", f"parameters among {', '.join(GIVEN)}", "rename it"
        )
    return found  # type: ignore[no-any-return]  # a callable, by the lines above


def _evaluated(probe: Probe, holding: Callable[..., object], frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Ask the model, then the property; one true or false for each row."""
    wanted = inspect.signature(holding).parameters
    reply = probe.ask(frame, scores="scores" in wanted)
    if "scores" in wanted and reply.scores is None:
        raise MeasurementError("the model gives no scores", "a property of answers", "take `answers` instead")
    known = {"rows": frame.copy(), "answers": reply.labels, "scores": reply.scores, "candidate": probe.predictor}
    with calling("the property raised", "true or false for each row", "return an array instead of asserting"):
        said = holding(**{name: known[name] for name in wanted})
    return _checked(said, len(frame))


def _checked(said: object, rows: int) -> NDArray[np.bool_]:
    with told_as("what the property returned is no array", "true or false for each row"):
        values = np.asarray(said)
    if values.shape != (rows,):
        raise MeasurementError(
            f"the property returned a {type(said).__name__} of shape {values.shape} for {rows} rows",
            "true or false for each row, in their order",
            "compare whole columns, and return the result",
        )
    if values.dtype == object and all(isinstance(each, bool | np.bool_) for each in values):
        values = values.astype(bool)
    if values.dtype != bool:
        raise MeasurementError(
            f"the property returned values of type {values.dtype}, {shown_value(values[0])} the first",
            "true or false for each row",
            "compare with a limit, and say what missing values count as",
        )
    return values
