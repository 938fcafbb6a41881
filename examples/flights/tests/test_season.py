"""Worth knowing, and no reason to hold a release back: a missed limit of severity warning denies nothing."""

import pytest


@pytest.mark.drift_check(id="season", severity="warning")
def test_weather_is_like_winter(drift):
    assert drift.column("temp") <= 0.5
