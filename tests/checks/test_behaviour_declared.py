"""Behaviour from leanml.yaml, and in a run of pytest: what holds passes, what does not shows its smallest row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.config import CheckSpec, Limit, check_specs, load_config
from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.sources.frames import describe
from pytest_leanml.sources.models import as_predictor
from pytest_leanml.vocabulary import Judge

EVERYTHING = """\
version: 1
seed: 3
model: {name: flights}
data: {evaluation: e.parquet, target: late, ids: [id], schema: schema.yaml}
checks:
  behaviour:
    invariance: {max: 0, params: {columns: [sex], data: generated}}
    directional:
      max: 0
      parts: {richer: {change: {income: 5}, expect: increase}, poorer: {change: {income: -5}, expect: decrease}}
    monotonic: {max: 0, params: {increasing: [income]}}
    minimum_functionality: {max: 0, params: {file: cases.csv, by: skill}}
    noise: {below: 0.1, judge: bound, confidence: 0.9}
    missing: {max: 0.8}
    typos: {max: 0}
    casing: {max: 0}
    units: {max: 0.6, params: {columns: [income], factor: 1000}}
    determinism: {max: 0}
    batch_consistency: {max: 0}
    out_of_range: {max: 0, params: {rows: 2}}
    holds: {max: 0, params: {call: "leanml_behaviour_rules:modest"}}
"""
SCHEMA = """\
columns:
  income: {dtype: float64, checks: {in_range: {min_value: 0, max_value: 100}}}
  sex: {dtype: str, checks: {isin: [F, M, X]}}
"""
CASES = "income,age,sex,late,skill\n90,30,F,1,rich\n95,50,M,1,rich\n2,40,X,0,poor\n"
RULES = "def modest(scores):\n    return scores < 0.9999\n"


class ByIncome:
    """Late where the income is above 30."""

    classes_ = (0, 1)

    def predict_proba(self, frame):
        score = 1 / (1 + np.exp(-np.clip((np.asarray(frame.income.fillna(30), dtype=float) - 30) / 10, -50, 50)))
        return np.column_stack([1 - score, score])

    def predict(self, frame):
        return (self.predict_proba(frame)[:, 1] > 0.5).astype(int)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in (
        ("leanml.yaml", EVERYTHING),
        ("schema.yaml", SCHEMA),
        ("cases.csv", CASES),
        ("leanml_behaviour_rules.py", RULES),
    ):
        (tmp_path / name).write_text(text)
    return load_config(tmp_path / "leanml.yaml")


@pytest.fixture
def study(ledger):
    def make(config, model=None):
        draw = np.random.default_rng(3)
        frame = pd.DataFrame(
            {
                "id": np.arange(300),
                "income": draw.uniform(0, 100, 300),
                "age": draw.integers(18, 80, 300),
                "sex": draw.choice(["F", "M"], 300),
                "late": draw.integers(0, 2, 300),
            }
        )
        table = describe(frame, name="evaluation")
        candidate = as_predictor(model or ByIncome(), drop=("late", "id"))
        return Study(
            StudySettings.of(config),
            candidate=lambda: candidate,
            champion=lambda: None,
            table={"evaluation": table}.get,
            sink=ledger,
        )

    return make


def test_every_metric_of_leanml_yaml_is_measured_and_held_and_can_miss(project, study, ledger):
    whole, specs = study(project), check_specs(project)
    assert len(specs) == 14
    for spec in specs:
        measured = run_spec(spec, whole.at(ledger))
        record = ledger[-1]
        assert (measured.id, record.id, record.metric) == (spec.id, spec.id, spec.metric)
        assert record.low <= record.value <= record.high
        assert record.n > 0
        assert all(each.passed for each in record.comparisons)
        impossible = CheckSpec(spec.kind, spec.metric, spec.part, Limit(min=1.5), settings=spec.settings)
        with pytest.raises(LimitMissedError, match=spec.metric):
            run_spec(impossible, whole.at(ledger))
        assert [each.passed for each in ledger.comparisons] == [False]
    found = {record.id: record for record in ledger}
    assert found["behaviour.minimum_functionality"].by.keys() == {"rich", "poor"}
    assert next(record for record in ledger if record.id == "behaviour.noise").confidence == 0.9


def test_values_that_the_schema_alone_allows_are_tried(project, study):
    class Unkind(ByIncome):
        def predict_proba(self, frame):
            score = np.where(np.asarray(frame.sex) == "X", 0.9, 0.1)
            return np.column_stack([1 - score, score])

    with pytest.raises(LimitMissedError) as missed:
        run_spec(check_specs(project)[0], study(project, Unkind()))
    assert "'X'" in str(missed.value)
    assert "smallest failing row: a row made from evaluation row " in str(missed.value)


def test_a_doubt_shows_the_row_too(project, study):
    spec = next(each for each in check_specs(project) if each.metric == "missing")
    whole = study(project)
    near = Limit(max=float(run_spec(spec, whole)) + 0.01, judge=Judge.BOUND)
    with pytest.raises(InconclusiveError, match="smallest failing row: evaluation row "):
        run_spec(CheckSpec(spec.kind, spec.metric, None, near, settings=spec.settings), whole)


def test_an_unknown_metric(project, study):
    with pytest.raises(ConfigError, match=r"unknown metric behaviour\.speed"):
        run_spec(CheckSpec("behaviour", "speed", None, Limit(max=0)), study(project))


MODEL = """
import numpy as np, pandas as pd, pytest

class Model:
    def __init__(self, cares):
        self.cares = cares
    def predict(self, frame):
        return ((frame.income > 30) ^ (self.cares & (frame.sex == "M"))).astype(int).to_numpy()

@pytest.fixture(scope="session")
def candidate():
    return Model(cares={cares})

@pytest.fixture(scope="session")
def evaluation_data():
    draw = np.random.default_rng(1)
    return pd.DataFrame({{"income": draw.uniform(0, 60, 100), "sex": draw.choice(["F", "M"], 100), "late": [0, 1] * 50}})
"""
TEST = """
import pytest

def test_sex_does_not_matter(behaviour):
    assert behaviour.invariance("sex") == 0

@pytest.mark.behaviour_check(id="steady")
def test_it_is_steady(behaviour):
    assert behaviour.determinism() <= 0
    assert behaviour.invariance("income", name="wealth", tries=1).high < 0.9
"""


@pytest.mark.parametrize("cares", [False, True])
def test_in_a_test_of_pytest(pytester, plain, cares):
    pytester.makeconftest(MODEL.format(cares=cares))
    (pytester.path / "leanml.yaml").write_text("version: 1\ndata: {target: late}\n")
    pytester.makepyfile(TEST)
    result = plain()
    result.assert_outcomes(passed=2 - cares, failed=int(cares))
    if cares:
        assert "smallest failing row: evaluation row " in result.stdout.str()


def test_under_the_gate(pytester, shown):
    pytester.makeconftest(MODEL.format(cares=True))
    (pytester.path / "leanml.yaml").write_text(
        "version: 1\nmodel: {name: houses, predictions: said.csv}\n"
        "data: {evaluation: e.csv, target: late}\n"
        "checks:\n  behaviour: {invariance: {max: 0, params: {columns: [sex]}}, determinism: {max: 0}}\n"
    )
    (pytester.path / "said.csv").write_text("prediction\n" + "0\n1\n" * 50)
    (pytester.path / "e.csv").write_text("income,sex,late\n" + "1,F,0\n2,M,1\n" * 50)
    result, decision = shown()
    assert {each["rule"] for each in decision["reasons"]} >= {
        "limits.behaviour.invariance",
        "behaviour.behaviour.invariance",
    }
    assert "behaviour.behaviour.determinism" not in decision["own"]
    assert "sex 'F' -> 'M'" in result.stdout.str() or "sex 'M' -> 'F'" in result.stdout.str()
