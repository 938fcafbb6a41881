"""What making the candidate cost: minutes, hours and money, from what its run recorded."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from pytest_leanml.checks.measurement import finite
from pytest_leanml.checks.moments import moment, of_milliseconds, seconds_since
from pytest_leanml.checks.study import record_of
from pytest_leanml.checks.subject import run_of
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate

if TYPE_CHECKING:
    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.evidence.runs import RunFacts

DATA = "train"
STARTED = "LEANML_PIPELINE_STARTED"
_MINUTE, _HOUR = 60, 3600
_ENDED = "FINISHED"


def _record(metric: str, value: float, unit: str, source: str) -> MeasurementRecord:
    # Exact: nothing was sampled, so the interval is the value.
    estimate = Estimate(value, 1, value, value, "exact", unit=unit)
    return record_of(
        f"lineage.{metric}", estimate, section={"budget": {metric: value}}, details={"source": source[:200]}
    )


def training_minutes(study: Study) -> MeasurementRecord:
    """See ``Lineage.training_minutes``."""
    run = run_of(study)
    if run.started is None or run.ended is None or run.status != _ENDED:
        absent = "no start" if run.started is None else "no end" if run.ended is None else "not ended well"
        raise InconclusiveError(
            f"the run {run.run_id} has {absent} (its status is {run.status or 'unknown'})",
            "a run that has ended by itself: one that was killed says nothing of the time it needs",
            "end it with mlflow.end_run(), which `with mlflow.start_run():` does",
        )
    seconds_since(study, of_milliseconds(run.ended), "the end of the training run")
    minutes = (run.ended - run.started) / 1000 / _MINUTE
    if minutes < 0:
        raise MeasurementError(f"the run {run.run_id} ends before it starts", "a start before its end", "correct it")
    return _record("training_minutes", minutes, "minute", "run")


def pipeline_minutes(study: Study) -> MeasurementRecord:
    """See ``Lineage.pipeline_minutes``; where both are there, the larger one counts."""
    found: dict[str, float] = {}
    started = os.environ.get(STARTED)
    if started:
        found[STARTED] = seconds_since(study, moment(started), STARTED) / _MINUTE
    subject = study.settings.subject
    recorded = _recorded(subject.run, "pipeline_minutes") if subject is not None and subject.run is not None else None
    if recorded is not None:
        found["run"] = recorded
    if not found:
        raise InconclusiveError(
            "nothing says how long the pipeline took",
            f"its start in {STARTED} (RFC 3339), or the metric pipeline_minutes of the run",
            f'export {STARTED}="$(date -u +%Y-%m-%dT%H:%M:%SZ)" in the first step of the pipeline',
        )
    source = max(found, key=lambda each: found[each])
    return _record("pipeline_minutes", found[source], "minute", source)


def data_age_hours(study: Study, data: str) -> MeasurementRecord:
    """See ``Lineage.data_age_hours``."""
    if study.settings.time is None:
        raise ConfigError("which column holds times?", "`data: {time: <column>}`", "name it", key="data.time")
    study.rows_of(data)
    newest = study.table(data).newest
    if newest is None:
        raise InconclusiveError(f"the {data} data has no newest time", "times in its rows", "look at how it is made")
    hours = seconds_since(study, moment(newest), f"the newest row of the {data} data") / _HOUR
    return _record("data_age_hours", hours, "hour", data)


def cost_share(study: Study) -> MeasurementRecord:
    """See ``Lineage.cost_share``; where both are there, the larger one counts."""
    run = run_of(study)
    found = {"cost_share": _recorded(run, "cost_share"), "cost / cost_budget": _quotient(run)}
    known = {source: share for source, share in found.items() if share is not None}
    if not known:
        raise InconclusiveError(
            "the run does not say what share of the budget it cost",
            "the metric cost_share, or both cost and cost_budget",
            "mlflow.log_metrics({'cost': 12.5, 'cost_budget': 100})",
        )
    source = max(known, key=lambda each: known[each])
    return _record("cost_share", known[source], "1", source)


def _quotient(run: RunFacts) -> float | None:
    cost, budget = _recorded(run, "cost"), _recorded(run, "cost_budget")
    if cost is None or budget is None:
        return None
    if budget == 0:
        raise MeasurementError("cost_budget is 0", "a budget above 0: of nothing there are no shares", "correct it")
    return finite(cost / budget, "cost / cost_budget")


def _recorded(run: RunFacts, name: str) -> float | None:
    """Return what a run recorded as a metric, else as a tag; None where it has neither.

    Raises:
        MeasurementError: no finite number, or one below 0.
    """
    text = run.metrics.get(name, run.tags.get(name))
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise MeasurementError(
            f"{name} of the run {run.run_id} is {text!r}", "a finite number, 0 or more", "log it again"
        )
    return value
