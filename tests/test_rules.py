"""Which policies are in force, what they read, and what pins them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_leanml.config import environment_of, load_config
from pytest_leanml.errors import EngineError, PolicyError
from pytest_leanml.rules import ask, find_rules, own_policies, select

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OWN = "package own\n\nimport rego.v1\n\ndefault allow := false\n\nallow if input.metrics.accuracy >= 0.85\n"
CONFIG = """\
version: 1
model: flights
require: [accuracy]
data: {train: train.csv, evaluation: eval.csv, target: late, groups: [origin]}
CHECKS
policy: {paths: [own.rego], thresholds: {accuracy: {min: 0.85}}}
environments: {production: {use: [approval]}, staging: {alias: staging}}
"""


@pytest.fixture
def make(tmp_path):
    def rules(config=CONFIG, checks="", environment="production", own=None):
        (tmp_path / "own.rego").write_text(OWN)
        (tmp_path / "leanml.yaml").write_text(config.replace("CHECKS", checks))
        loaded = load_config(tmp_path / "leanml.yaml")
        name, target = environment_of(loaded, environment)
        paths = own_policies(loaded, own)
        return find_rules(
            loaded, name, target, own=paths, root=tmp_path, evaluated_at=NOW, subject_digest="sha256:" + "a" * 64
        )

    return rules


class Recording:
    """An engine that keeps what it was asked."""

    name, version = "embedded", "0"

    def evaluate(self, policies, document, data, timeout):
        self.policies, self.data, self.timeout = policies, data, timeout
        return ()


def _document(*measurements):
    return {
        "schema": "leanml.evidence/v1",
        "run_id": "01RUN",
        "evaluated_at": "2026-11-24T00:00:00Z",
        "subject": {},
        "harness": {},
        "metadata": {"annotations": {}},
        "data": {},
        "metrics": {},
        "baseline": {"no_skill": {}},
        "bias": {},
        "measurements": {name: {"metric": "m", "value": 1.0} for name in measurements},
        "checks": [],
        "run": dict.fromkeys(
            ("collected", "passed", "failed", "errors", "skipped", "xfailed", "deselected", "not_run", "workers"), 0
        )
        | {"exit_status": 0},
    }


def _packages(rules, *measurements):
    engine = Recording()
    asked = ask(rules, _document(*measurements), engine)
    assert not asked.problems, asked.problems
    return {package.name for package in engine.policies.packages if package.decides}


@pytest.mark.parametrize(
    ("checks", "measured", "expected"),
    [
        ("", [], {"gate.limits"}),
        ("", ["quality.accuracy"], {"gate.limits", "gate.no_skill"}),
        ("", ["fairness.demographic_parity_difference[origin]"], {"gate.limits", "gate.fairness"}),
        ("checks: {drift: {share: {max: 0.1}}}", [], {"gate.limits", "gate.drift"}),
        ("checks: {comparison: {f1_score: {better_by: 0.02}}}", [], {"gate.limits", "gate.comparison"}),
        ("checks: {data_quality: {rows: {min: 1}}}", [], {"gate.limits", "gate.data_quality"}),
        ("checks: {behaviour: {noise: {max: 0}}}", [], {"gate.limits", "gate.behaviour"}),
        ("", ["behaviour.invariance[sex]"], {"gate.limits", "gate.behaviour"}),
        ("", ["mine.accuracy"], {"gate.limits"}),
    ],
)
def test_a_shipped_package_comes_with_what_is_declared_or_measured(make, checks, measured, expected):
    assert _packages(make(checks=checks, environment="staging"), *measured) == {"own", *expected}


def test_an_environment_switches_packages_on(make):
    assert "gate.approval" in _packages(make())
    assert "gate.approval" not in _packages(make(environment="staging"))


def test_what_a_policy_reads(make):
    rules = make(checks="checks: {quality: {accuracy: {min: 0.9, judge: bound, severity: warning}}}")
    engine = Recording()
    ask(rules, _document(), engine)
    assert engine.data["thresholds"]["quality.accuracy"] == {"min": 0.9}
    assert engine.data["thresholds"]["accuracy"] == {"min": 0.85}
    assert engine.data["judge"] == {"quality.accuracy": "bound"}
    assert engine.data["severity"] == {"quality.accuracy": "warning"}
    assert engine.data["environment"] == "production"
    assert engine.data["subject_digest"] == "sha256:" + "a" * 64
    assert engine.data["others_decide"] is True
    assert engine.timeout == 10.0


def test_a_package_of_a_projects_own_cannot_replace_a_shipped_one(make, tmp_path):
    (tmp_path / "drift.rego").write_text("package gate.drift\n\nimport rego.v1\n\nallow := true\n")
    with pytest.raises(PolicyError, match=r"gate\.drift"):
        make(own=[tmp_path / "drift.rego"])


def test_without_a_configuration_the_limits_alone_are_in_force(tmp_path):
    rules = find_rules(
        None, None, None, own=own_policies(None, None), root=tmp_path, evaluated_at=NOW, subject_digest=""
    )
    assert _packages(rules) == {"gate.limits"}
    assert rules.data["first_release"] is False
    assert rules.pinned is None
    assert own_policies(None, [tmp_path]) == (tmp_path,)


def _digest(rules):
    return ask(rules, _document(), Recording()).digest


def test_the_digest_covers_rego_limits_and_waivers_and_nothing_of_the_candidate(make, tmp_path):
    first = make()
    other = replace(first, data={**first.data, "subject_digest": "sha256:" + "b" * 64, "first_release": True})
    assert _digest(first) == _digest(other)
    assert _digest(make(config=CONFIG.replace("0.85", "0.86"))) != _digest(first)
    waived = replace(first, data={**first.data, "waived": {"limits.accuracy": {"reason": "x"}}})
    assert _digest(waived) != _digest(first)
    assert _digest(make(environment="staging")) != _digest(first)
    (tmp_path / "other.rego").write_text(OWN + "\n# changed\n")
    assert _digest(make(own=[tmp_path / "other.rego"])) != _digest(first)


def test_a_pinned_digest_holds_this_set_and_refuses_any_other(make):
    pinned = CONFIG.replace("policy: {", f"policy: {{digest: '{_digest(make())}', ")
    engine = Recording()
    assert ask(make(config=pinned), _document(), engine).problems == ()
    assert engine.policies
    engine = Recording()
    asked = ask(make(config=pinned.replace("0.85", "0.1")), _document(), engine)
    assert "`policy.digest` pins" in asked.problems[0]
    assert not hasattr(engine, "policies")


def test_evidence_with_problems_asks_no_engine(make):
    engine = Recording()
    asked = ask(make(), {**_document(), "metrics": {"accuracy": "0.9"}}, engine)
    assert asked.problems
    assert asked.answers == ()
    assert not hasattr(engine, "policies")
    assert asked.deciding == len([package for package in asked.policies.packages if package.decides])


def test_an_engine_that_fails_is_told(make):
    class Failing(Recording):
        def evaluate(self, *_):
            raise EngineError("late")

    assert "late" in ask(make(), _document(), Failing()).failure


def test_what_is_not_in_use_is_left_out_whole(make):
    policies = make().policies
    kept = select(policies, ["limits"])
    assert {file.logical.split("/")[0] for file in kept.files} == {"leanml:limits", "own.rego"}
    assert {package.name for package in kept.packages if package.decides} == {"gate.limits", "own"}
