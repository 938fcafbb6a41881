from __future__ import annotations

import pytest

from pytest_leanml.checks.lineage import Lineage
from pytest_leanml.errors import InconclusiveError, MeasurementError

NOW = "2026-11-23T22:10:04Z"


@pytest.fixture
def age(make_study):
    def make(trained, judged=NOW):
        return Lineage(make_study(training_date=trained, evaluated_at=judged)).training_age_days()

    return make


@pytest.mark.parametrize(
    ("trained", "days"),
    [
        ("2026-11-23T22:10:04Z", 0),
        ("2026-11-22T22:10:04Z", 1),
        ("2026-11-23T10:10:04Z", 0.5),
        ("2026-11-22T23:10:04+01:00", 1),
        ("2026-11-22t22:10:04z", 1),
        ("2026-11-22T22:10:04.000000000Z", 1),
        ("2024-02-29T22:10:04Z", 998),
    ],
)
def test_days_since_training(age, ledger, trained, days):
    measured = age(trained)
    assert float(measured) == pytest.approx(days, abs=1e-9)
    assert float(measured.low) == float(measured) == float(measured.high)
    assert (measured.id, measured.unit, measured.interval) == ("lineage.training_age_days", "day", "exact")
    assert ledger[-1].section == {"lineage": {"training_age_days": float(measured)}}


@pytest.mark.parametrize("trained", ["2026-11-23T22:10:05Z", "2126-01-01T00:00:00Z", "2026-11-23T22:10:04-00:01"])
def test_the_future_is_not_young(age, ledger, trained):
    with pytest.raises(MeasurementError, match="in the future"):
        age(trained)
    assert not ledger


@pytest.mark.parametrize(
    "trained",
    [
        *("", "yesterday", "2026-11-21", "2026-11-21T08:00:00", "2026-02-30T08:00:00Z", "2026-13-01T08:00:00Z"),
        *("2026-11-21 08:00:00Z", "20261121T080000Z", "2026-11-21T25:00:00Z", "٢٠٢٦-11-21T08:00:00Z"),
        *("2026-11-21T08:00:00Z\n", "2026-W47-6T08:00:00Z", "2026-11-21T08:00:00+99:00"),
    ],
)
def test_what_is_no_time(age, trained):
    with pytest.raises(MeasurementError, match="is no time"):
        age(trained)


def test_what_is_not_known(age):
    with pytest.raises(InconclusiveError, match="no training date"):
        age(None)
    with pytest.raises(InconclusiveError, match="no time of this run"):
        age(NOW, None)
