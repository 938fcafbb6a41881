"""Where the candidate comes from."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate

if TYPE_CHECKING:
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS_OF_A_DAY = 86_400


class Lineage:
    """Measures what is known of the candidate's training.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def training_age_days(self) -> Measurement:
        """Measure the days from the candidate's training to this run.

        Raises:
            InconclusiveError: the training date is not known.
            MeasurementError: it is no RFC 3339 time, in no calendar, or in the future.
        """
        return self.study.measured(self.study.once("lineage.training_age_days", self._record))

    def _record(self) -> MeasurementRecord:
        trained, judged = self.study.settings.training_date, self.study.settings.evaluated_at
        if trained is None or judged is None:
            absent = "training date" if trained is None else "time of this run"
            raise InconclusiveError(
                f"the candidate's age is not known: there is no {absent}",
                "a model from the registry whose run has an end time",
                "log the model to an MLflow run, or state `evidence.fact('training_date', ...)` and judge that",
            )
        days = (moment(judged) - moment(trained)).total_seconds() / _SECONDS_OF_A_DAY
        if days < 0:
            raise MeasurementError(
                f"the training date {trained} is in the future of this run ({judged})",
                "a time before this run: the future is out of range, not young",
                "correct the clock or the tag it came from",
            )
        # Exact: nothing was sampled, so the interval is the value.
        estimate = Estimate(days, 1, days, days, "exact", unit="day")
        return record_of("lineage.training_age_days", estimate, section={"lineage": {"training_age_days": days}})


def moment(text: str) -> datetime:
    """Read an RFC 3339 time with its offset.

    Raises:
        MeasurementError: it is not one, or not in the calendar.
    """
    try:
        found = datetime.fromisoformat(text.upper()) if _RFC3339.fullmatch(text) else None
    except ValueError:
        found = None  # in no calendar: February 30
    if found is None:
        raise MeasurementError(
            f"{text!r} is no time", "RFC 3339 with an offset, such as 2026-11-21T08:00:00Z", "correct it"
        )
    return found


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    return choose(spec, {"training_age_days": Lineage(study).training_age_days})()
