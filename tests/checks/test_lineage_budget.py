"""What making a candidate cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.lineage import Lineage
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.evidence.runs import RunFacts
from pytest_leanml.sources.frames import describe

NOW = "2026-11-23T22:10:04Z"
NOW_MS = 1_795_471_804_000
STARTED = "LEANML_PIPELINE_STARTED"


@pytest.fixture(autouse=True)
def _no_pipeline(monkeypatch):
    monkeypatch.delenv(STARTED, raising=False)


@pytest.fixture
def cost(make_study):
    """Return the lineage of a candidate whose run says this of itself."""

    def make(judged=NOW, **facts):
        run = RunFacts("run-1", **{"status": "FINISHED", **facts})
        return Lineage(make_study(evaluated_at=judged, subject=SubjectFacts(Path(), "sha256:1", run=run)))

    return make


def no_run(make_study, evaluated_at=NOW):
    return Lineage(make_study(evaluated_at=evaluated_at, subject=SubjectFacts(Path(), "sha256:1")))


def test_the_clock_of_this_file():
    assert pd.Timestamp(NOW_MS, unit="ms", tz="UTC") == pd.Timestamp(NOW)


# --- training ------------------------------------------------------------------------------------


def test_minutes_of_a_run(cost, ledger):
    measured = cost(started=NOW_MS - 3_600_000, ended=NOW_MS - 2_700_000).training_minutes()
    assert (float(measured), measured.unit, measured.details) == (15, "minute", {"source": "run"})
    assert (measured.id, ledger[-1].section) == ("lineage.training_minutes", {"budget": {"training_minutes": 15.0}})
    assert float(measured.low) == float(measured.high) == 15
    assert float(cost(started=NOW_MS, ended=NOW_MS).training_minutes()) == 0


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"started": None, "ended": NOW_MS}, "no start"),
        ({"started": NOW_MS - 1, "ended": None, "status": "RUNNING"}, r"no end \(its status is RUNNING\)"),
        ({"started": None, "ended": None, "status": ""}, "its status is unknown"),
        ({"started": NOW_MS - 1, "ended": NOW_MS, "status": "KILLED"}, "not ended well"),
        ({"started": NOW_MS - 1, "ended": NOW_MS, "status": "FAILED"}, "not ended well"),
    ],
)
def test_a_run_that_has_not_ended_is_inconclusive(cost, facts, match):
    with pytest.raises(InconclusiveError, match=match):
        cost(**facts).training_minutes()


@pytest.mark.parametrize(
    ("started", "ended", "match"),
    [
        (NOW_MS - 1_000, NOW_MS - 2_000, "ends before it starts"),
        (NOW_MS, NOW_MS + 1, "in the future"),
        (1, 10**18, "is no time"),
        (1, 10**30, "is no time"),
    ],
)
def test_times_that_cannot_be_are_errors(cost, started, ended, match):
    with pytest.raises(MeasurementError, match=match):
        cost(started=started, ended=ended).training_minutes()


def test_without_a_run_or_a_clock_nothing_is_known(cost, make_study):
    lineage = no_run(make_study)
    for ask in (lineage.training_minutes, lineage.cost_share):
        with pytest.raises(InconclusiveError, match="names no run"):
            ask()
    with pytest.raises(InconclusiveError, match="this run has no time"):
        cost(judged=None, started=1, ended=2).training_minutes()


# --- pipeline ------------------------------------------------------------------------------------


def test_minutes_since_the_pipeline_began(cost, make_study, monkeypatch):
    monkeypatch.setenv(STARTED, "2026-11-23T23:00:04+01:00")
    measured = no_run(make_study).pipeline_minutes()
    assert (float(measured), measured.details["source"]) == (10, STARTED)
    assert float(Lineage(make_study(evaluated_at=NOW)).pipeline_minutes()) == 10
    assert measured.record.section == {"budget": {"pipeline_minutes": 10.0}}


def test_of_two_pipelines_the_longer_counts(cost, monkeypatch):
    monkeypatch.setenv(STARTED, "2026-11-23T22:00:04Z")
    longer = cost(metrics={"pipeline_minutes": "12.5"}).pipeline_minutes()
    assert (float(longer), longer.details["source"]) == (12.5, "run")
    assert float(cost(metrics={"pipeline_minutes": "2"}).pipeline_minutes()) == 10
    monkeypatch.delenv(STARTED)
    assert float(cost(tags={"pipeline_minutes": "2"}).pipeline_minutes()) == 2


@pytest.mark.parametrize("started", ["yesterday", "2026-11-23T22:00:04", "2026-02-30T00:00:00Z", " "])
def test_a_start_that_is_no_time_is_an_error(cost, monkeypatch, started):
    monkeypatch.setenv(STARTED, started)
    with pytest.raises(MeasurementError, match="is no time"):
        cost(metrics={"pipeline_minutes": "1"}).pipeline_minutes()


def test_a_start_in_the_future_is_an_error(cost, monkeypatch):
    monkeypatch.setenv(STARTED, "2026-11-23T22:10:05Z")
    with pytest.raises(MeasurementError, match="in the future"):
        cost(metrics={"pipeline_minutes": "1"}).pipeline_minutes()


def test_no_pipeline_is_inconclusive(cost, make_study, monkeypatch):
    monkeypatch.setenv(STARTED, "")
    for lineage in (cost(), no_run(make_study), Lineage(make_study(evaluated_at=NOW))):
        with pytest.raises(InconclusiveError, match="nothing says how long the pipeline took"):
            lineage.pipeline_minutes()


# --- data ----------------------------------------------------------------------------------------


@pytest.fixture
def fresh(ledger):
    """Return the lineage over one table with times."""

    def make(times, name="train", judged=NOW, time="when"):
        frame = pd.DataFrame({"when": times})
        table = describe(frame, name=name, time=time)
        return Lineage(
            Study(
                StudySettings(time=time, evaluated_at=judged),
                candidate=lambda: None,
                champion=lambda: None,
                table={name: table}.get,
                sink=ledger,
            )
        )

    return make


def test_hours_since_the_newest_row(fresh, ledger):
    measured = fresh(["2026-11-01T00:00:00Z", "2026-11-22T22:10:04Z"]).data_age_hours()
    assert (float(measured), measured.unit, measured.details) == (24, "hour", {"source": "train"})
    assert ledger[-1].section == {"budget": {"data_age_hours": 24.0}}
    assert float(fresh(pd.to_datetime(["2026-11-23T21:10:04"]), "production").data_age_hours("production")) == 1


def test_a_row_of_the_future_is_not_young(fresh):
    with pytest.raises(MeasurementError, match="in the future"):
        fresh(["2026-11-23T22:10:05Z"]).data_age_hours()


def test_data_of_unknown_age(fresh, make_study, frame):
    with pytest.raises(ConfigError, match="which column holds times"):
        Lineage(make_study(train=frame, evaluated_at=NOW)).data_age_hours()
    with pytest.raises(ConfigError, match="there is no evaluation data"):
        fresh(["2026-11-22T22:10:04Z"]).data_age_hours("evaluation")
    with pytest.raises(ConfigError, match="no table 'test'"):
        fresh(["2026-11-22T22:10:04Z"]).data_age_hours("test")
    with pytest.raises(InconclusiveError, match="no rows"):
        fresh(pd.to_datetime([])).data_age_hours()
    with pytest.raises(InconclusiveError, match="this run has no time"):
        fresh(["2026-11-22T22:10:04Z"], judged=None).data_age_hours()
    with pytest.raises(InconclusiveError, match="no newest time"):
        # A table that was described without its time column.
        Lineage(make_study(train=frame, time="x", evaluated_at=NOW)).data_age_hours()


# --- cost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "share", "source"),
    [
        ({"metrics": {"cost_share": "0.15"}}, 0.15, "cost_share"),
        ({"tags": {"cost_share": "0.15"}}, 0.15, "cost_share"),
        ({"metrics": {"cost_share": "0.2"}, "tags": {"cost_share": "0.1"}}, 0.2, "cost_share"),
        ({"metrics": {"cost": "12.0", "cost_budget": "80.0"}}, 0.15, "cost / cost_budget"),
        ({"metrics": {"cost": "0.0"}, "tags": {"cost_budget": "80"}}, 0, "cost / cost_budget"),
        ({"metrics": {"cost_share": "0.1", "cost": "12", "cost_budget": "80"}}, 0.15, "cost / cost_budget"),
        ({"metrics": {"cost_share": "0.3", "cost": "12", "cost_budget": "80"}}, 0.3, "cost_share"),
        ({"metrics": {"cost": "160", "cost_budget": "80"}}, 2, "cost / cost_budget"),
    ],
)
def test_share_of_the_budget(cost, ledger, facts, share, source):
    measured = cost(**facts).cost_share()
    assert float(measured) == pytest.approx(share, abs=1e-15)
    assert (measured.unit, measured.details) == ("1", {"source": source})
    assert ledger[-1].section == {"budget": {"cost_share": float(measured)}}


@pytest.mark.parametrize("facts", [{}, {"cost": "1"}, {"cost_budget": "1"}])
def test_a_run_that_says_nothing_of_its_cost_is_inconclusive(cost, facts):
    with pytest.raises(InconclusiveError, match="does not say what share"):
        cost(metrics=facts).cost_share()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-0.01", "15 %", "", "1_0e", repr(np.nan)])
def test_a_number_that_is_no_cost_is_an_error(cost, text):
    with pytest.raises(MeasurementError, match="cost_share of the run run-1"):
        cost(metrics={"cost_share": text}).cost_share()
    with pytest.raises(MeasurementError, match="cost of the run run-1"):
        cost(metrics={"cost_share": "0.1", "cost": text, "cost_budget": "1"}).cost_share()


def test_of_nothing_there_are_no_shares(cost):
    with pytest.raises(MeasurementError, match="cost_budget is 0"):
        cost(metrics={"cost": "1", "cost_budget": "0"}).cost_share()
    with pytest.raises(MeasurementError, match="finite number"):
        cost(metrics={"cost": "1e300", "cost_budget": "1e-300"}).cost_share()
