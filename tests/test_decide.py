"""``leanml decide``: the policies given and nothing else, and never an ALLOW by accident."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_leanml.decide import decide
from pytest_leanml.digest import digest_file
from pytest_leanml.errors import EngineError
from pytest_leanml.vocabulary import EngineName

POLICY = """\
package mine

import rego.v1

default allow := false

allow if input.metrics.accuracy >= data.leanml.thresholds.accuracy.min

deny contains {"rule": "mine.accuracy", "path": "metrics.accuracy", "msg": "accuracy is too low"} if {
	input.metrics.accuracy < data.leanml.thresholds.accuracy.min
}
"""
DATA = {"leanml": {"thresholds": {"accuracy": {"min": 0.85}}}}


@pytest.fixture
def files(tmp_path):
    for name, document in (("evidence.json", {"metrics": {"accuracy": 0.9}}), ("data.json", DATA)):
        (tmp_path / name).write_text(json.dumps(document))
    (tmp_path / "mine.rego").write_text(POLICY)
    return tmp_path


def _decide(folder, data="data.json", policy="mine.rego"):
    path = folder / data if data else None
    return decide(folder / "evidence.json", [folder / policy], path, EngineName.EMBEDDED, folder)


def test_an_allow_is_of_the_policies_alone(files):
    decision, status = _decide(files)
    assert (decision.verdict, decision.mode, status) == ("ALLOW", "policy-only", 0)
    assert decision.evidence == {"digest": digest_file(files / "evidence.json")}
    assert list(decision.policy["files"]) == ["mine.rego"]
    assert decision.environment is None


def test_a_deny_has_its_reason_with_measured_and_limit(files):
    (files / "evidence.json").write_text(
        json.dumps({"run_id": "01RUN", "metrics": {"accuracy": 0.8}, "measurements": {"accuracy": {"value": 0.8}}})
    )
    decision, status = _decide(files)
    assert (decision.verdict, decision.run_id, status) == ("DENY", "01RUN", 20)
    (reason,) = decision.reasons
    assert (reason.rule, reason.measured, reason.limit) == ("mine.accuracy", 0.8, ">= 0.85")


@pytest.mark.parametrize("value", ["0.9", None, [], {}, True])
def test_a_fact_of_another_type_denies(files, value):
    (files / "evidence.json").write_text(json.dumps({"metrics": {"accuracy": value}}))
    decision, status = _decide(files)
    assert (decision.verdict, status) == ("DENY", 20)


@pytest.mark.parametrize("name", ["evidence.json", "data.json"])
@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"a": NaN}', '{"leanml": {}, "leanml": {}}', "1"])
def test_what_is_no_json_object_is_a_usage_error(files, name, text):
    (files / name).unlink() if text is None else (files / name).write_text(text)
    decision, status = _decide(files)
    assert (decision.verdict, status) == ("DENY", 4)
    assert decision.reasons[0].rule == "usage"


@pytest.mark.parametrize("document", [{}, {"leanml": []}, {"leanml": {}, "other": 1}, {"thresholds": {}}])
def test_data_outside_of_its_place_is_a_usage_error(files, document):
    (files / "data.json").write_text(json.dumps(document))
    assert _decide(files)[1] == 4


def test_without_data_nothing_is_allowed(files):
    decision, status = _decide(files, data=None)
    assert (decision.verdict, status) == ("DENY", 20)


@pytest.mark.parametrize(
    "text", ["package mine\n\nallow := ", "package lib\n\nx := 1\n", "package mine\n\nallow { true }\n"]
)
def test_a_policy_that_cannot_be_believed_is_a_usage_error(files, text):
    (files / "mine.rego").write_text(text)
    assert _decide(files)[1] == 4
    assert _decide(files, policy="absent.rego")[1] == 4


def test_an_engine_without_an_answer_is_undecided(files, monkeypatch):
    class Silent:
        name, version = "embedded", "0"

        def evaluate(self, *_):
            raise EngineError("late")

        def close(self):
            pass

    monkeypatch.setattr("pytest_leanml.decide.make_engine", lambda name: Silent())
    decision, status = _decide(files)
    assert (decision.verdict, status) == ("DENY", 21)
    assert decision.reasons[0].rule == "G9.engine"

    def absent(name):
        raise EngineError("the engine does not start")

    monkeypatch.setattr("pytest_leanml.decide.make_engine", absent)
    decision, status = _decide(files)
    assert (decision.verdict, decision.reasons[0].rule, status) == ("DENY", "undecided", 21)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["accuracy", "min", "value", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(thresholds=json_values, metrics=json_values, measurements=json_values)
def test_no_document_crashes_it_or_slips_through(files, thresholds, metrics, measurements):
    (files / "data.json").write_text(json.dumps({"leanml": {"thresholds": thresholds}}))
    (files / "evidence.json").write_text(json.dumps({"metrics": metrics, "measurements": measurements}))
    decision, status = _decide(files)
    assert status in {0, 4, 20, 21}
    assert (status == 0) == (decision.verdict == "ALLOW")
    if status == 0:
        accuracy = metrics["accuracy"]
        assert isinstance(accuracy, int | float)
        assert not isinstance(accuracy, bool)
