"""Studies on small tables whose numbers can be checked by hand or by scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.measurement import Measurement
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.sources.frames import describe


class Told:
    """A model that answers from columns of the frame: `answer` and `score`; counts how often it is asked."""

    def __init__(self, digest="sha256:one", answer="answer", score="score", classes=(0, 1)):
        self.digest, self.answer, self.score, self.classes = digest, answer, score, classes
        self.asked = {"predict": 0, "scores": 0}

    def predict(self, frame):
        self.asked["predict"] += 1
        return np.asarray(frame[self.answer])

    def scores(self, frame):
        self.asked["scores"] += 1
        return None if self.score is None else np.asarray(frame[self.score], dtype=float)


class Ledger(list[MeasurementRecord]):
    """A sink that keeps every record it is sent."""

    def __call__(self, record):
        self.append(record)

    @property
    def comparisons(self):
        return self[-1].comparisons


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def measure(ledger):
    """Make a recorded measurement."""

    def make(value=0.83, **more):
        fields = {"low": 0.80, "high": 0.86, "confidence": 0.95, "interval": "wilson", "n": 600, **more}
        return Measurement(MeasurementRecord("quality.accuracy", "accuracy", value, **fields), ledger)

    return make


def binary_frame(rows=400, seed=0):
    """Rows of two groups and two sites, a truth, a prediction that is mostly right and its score."""
    draw = np.random.default_rng(seed)
    truth = draw.random(rows) < 0.4
    score = np.clip(0.35 * truth + 0.65 * draw.random(rows), 0.0, 1.0)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": draw.normal(size=rows),
            "kind": draw.choice(["a", "b", "c"], rows),
            "sex": draw.choice(["F", "M"], rows),
            "site": draw.choice(["north", "south"], rows),
            "answer": (score > 0.55).astype(int),
            "other": (score > 0.7).astype(int),
            "score": score,
            "late": truth.astype(int),
        }
    )


@pytest.fixture
def frame():
    return binary_frame()


@pytest.fixture
def make_study(ledger):
    """Make a study; tables by name, models, settings."""

    def make(evaluation=None, *, candidate=None, champion=None, train=None, production=None, **settings: Any):
        frames = {"evaluation": evaluation, "train": train, "production": production}
        tables = {name: describe(each, name=name, time=None) for name, each in frames.items() if each is not None}
        return Study(
            StudySettings(**{"target": "late", "root": Path(), **settings}),
            candidate=lambda: candidate if candidate is not None else Told(),
            champion=lambda: champion,
            table=tables.get,
            sink=ledger,
        )

    return make


@pytest.fixture
def told():
    return Told


@pytest.fixture
def rows_like():
    return binary_frame
