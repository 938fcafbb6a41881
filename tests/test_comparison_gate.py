"""Candidate against champion by the gate itself: slices, flips, margins and the worst slice, from leanml.yaml to the decision."""

from __future__ import annotations

import json

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

CONFIG = """\
version: 1
model: {name: flights, candidate: new.joblib, champion: old.joblib, trust: true}
data: {evaluation: eval.parquet, target: late, slices: {day: night == 0, night: night == 1}}
checks:
  comparison:
    accuracy: {better_by: 0.02, judge: bound}
    f1_score: {better_by: 0.01, slices: [day, night]}
    log_loss: {within: 0.5}
    regressions: {max: 0.15}
    worst_slice: {metric: accuracy, not_worse_by: 0.02, judge: bound}
"""


@pytest.fixture
def project(registered):
    """A new model that reads a column which the old one does not; at night that column says nothing."""
    source = np.random.default_rng(4)
    rows = 4000
    night = (np.arange(rows) % 4 == 0).astype(int)
    known, hidden = source.normal(size=(2, rows))
    late = (known + np.where(night == 1, 0.0, hidden) + 0.5 * source.normal(size=rows) > 0).astype(int)
    frame = pd.DataFrame({"known": known, "hidden": hidden, "night": night, "late": late})
    frame.to_parquet(registered / "eval.parquet")
    features = frame.drop(columns="late")
    new, old = (LogisticRegression().fit(features, late) for _ in range(2))
    old.coef_, old.intercept_ = np.array([[1.5, 0.0, 0.0]]), np.array([0.0])
    joblib.dump(new, registered / "new.joblib")
    joblib.dump(old, registered / "old.joblib")

    (registered / "leanml.yaml").write_text(CONFIG)
    return registered


def test_one_slice_pays_for_the_gain_of_the_whole(project, shown):
    _, decision = shown()
    assert decision["own"] == {
        "G4.exit_status",
        "comparison.comparison.f1_score[night]",
        "comparison.comparison.worst_slice",
        "limits.comparison.f1_score[night]",
        "limits.comparison.worst_slice",
    }
    evidence = json.loads((project / ".leanml" / "evidence.json").read_text())
    worst = evidence["comparison"]["worst_slice"]
    assert (worst["slice"], set(worst["slices"])) == ("night", {"day", "night"})
    assert worst["gain"] == worst["slices"]["night"]["gain"] < -0.1 < 0.05 < worst["slices"]["day"]["gain"]
    outcomes = {check["id"]: check["outcome"] for check in evidence["checks"]}
    assert outcomes == {
        "comparison.accuracy": "passed",
        "comparison.f1_score[day]": "passed",
        "comparison.f1_score[night]": "failed",
        "comparison.log_loss": "passed",
        "comparison.regressions": "passed",
        "comparison.worst_slice": "failed",
    }
    flips = evidence["comparison"]["regressions"]
    assert flips["share"] == flips["lost"] / flips["rows"]
    assert evidence["measurements"]["comparison.log_loss"]["confidence"] == pytest.approx(0.9)
