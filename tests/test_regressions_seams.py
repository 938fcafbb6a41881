"""Faults that a hostile reading found where two modules meet; each test lets a bad model through without its mend."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.deploy.proof import _excused
from pytest_leanml.errors import ConfigError
from pytest_leanml.evidence.document import EvidenceContext, build_evidence
from pytest_leanml.evidence.ledger import (
    CheckInfo,
    ItemLedger,
    Ledger,
    LedgerWriter,
    Phase,
    ProcessLedger,
    ReportSeen,
    read_ledger,
)
from pytest_leanml.evidence.outcomes import PHASES
from pytest_leanml.evidence.records import Comparison, MeasurementRecord
from pytest_leanml.judge import ChildEnd, Manifest, judge
from pytest_leanml.policy.answers import Answer
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.waivers import live_waivers
from pytest_leanml.rules import ask, find_rules
from pytest_leanml.strict import dump_json
from pytest_leanml.vocabulary import Severity, Verdict

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CONTEXT = EvidenceContext("01RUN", "2026-11-24T00:00:00Z", "production", harness={"name": "x"})
ALLOWING = Answer("gate.limits", allow=True, has_allow=True, deny=())


def check(name="mine", *, severity="error", compared=True, checked=True):
    comparisons = (Comparison(">", 0.0, passed=True),) if compared else ()
    return ItemLedger(
        nodeid=f"test_mine.py::{name}",
        check=CheckInfo(name, "custom", severity) if checked else None,
        collected=1,
        phases=tuple(Phase(when, None, "", 0.1) for when in PHASES),
        reports=tuple(ReportSeen(when, "passed", xfail=False) for when in PHASES),
        measurements=(MeasurementRecord(name, name, 0.5, comparisons=comparisons, user=True),) if checked else (),
        excused=None,
        notes=(),
    )


def ledger(*items, **more):
    return Ledger({"main": ProcessLedger("main", {each.nodeid: each for each in items}, (), (), (), {}, 0, 0)}, **more)


def evidence(seen):
    return build_evidence(CONTEXT, seen, 0)


def decide(seen, **more):
    manifest = Manifest("01RUN", policies_decide=1, **more)
    return judge(
        manifest=manifest,
        ledger=seen,
        evidence=evidence(seen),
        answers=(ALLOWING,),
        child=ChildEnd(0),
        after=manifest.snapshot,
    )


@pytest.fixture
def policies(tmp_path):
    """Ask the policies of a small project about what one check recorded; returns the rules that deny."""

    def asked(text, seen, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.rego").write_text(content)
        (tmp_path / "leanml.yaml").write_text(f"version: 1\n{text}\n")
        config = load_config(tmp_path / "leanml.yaml")
        target = config.environments["production"]
        own = tuple(config.root / path for path in config.policy.paths)
        rules = find_rules(config, "production", target, own=own, root=tmp_path, evaluated_at=NOW, subject_digest="")
        engine = EmbeddedEngine()
        try:
            found = ask(rules, evidence(seen).document, engine)
        finally:
            engine.close()
        assert found.failure is None
        assert not found.problems
        return {each.rule for answer in found.answers for each in answer.deny}

    return asked


def test_a_run_without_a_limit_is_not_saved_by_naming_limits_under_use(policies):
    bare = ledger(check(compared=False))
    assert policies("policy: {use: [limits]}", bare) == {"limits.declared"}


def test_a_first_release_that_compares_nothing_is_no_other_judge(policies):
    text = "model: {name: flights, first_release: true}\npolicy: {use: [comparison]}"
    assert policies(text, ledger(check(compared=False))) == {"limits.declared"}


def test_a_threshold_of_history_is_a_limit_that_must_be_measured(policies):
    text = "policy: {thresholds: {history.runs: {min: 3}}}"
    assert policies(text, ledger(check())) == {"limits.history.runs"}


def test_a_policy_may_read_a_shipped_package_that_is_not_in_use(policies):
    rego = "package mine\n\nimport data.gate\n\ndeny contains each if some each in gate.approval.deny\n"
    found = policies("policy: {paths: [own.rego]}", ledger(check()), own=rego)
    assert found == {"approval.by", "approval.at", "approval.digest", "approval.annotation"}


@pytest.mark.parametrize("name", ["demographic_parity", "demographic_parity_deviation", "equalized_odds"])
@pytest.mark.parametrize("order", [(-0.9, 0.01), (0.01, -0.9)])
def test_of_two_gaps_the_larger_counts_whatever_its_sign(name, order):
    seen = ledger(check(), facts=tuple(("test_mine.py::mine", f"bias.{name}", value) for value in order))
    assert evidence(seen).document["bias"] == {name: -0.9}


def test_only_a_bias_takes_the_worst_of_two_facts():
    facts = tuple(("test_mine.py::mine", "budget.equalized_odds", value) for value in (0.9, 0.01))
    assert evidence(ledger(check(), facts=facts)).conflicts


def test_a_fact_of_a_test_that_is_no_check_denies():
    told = (("test_mine.py::plain", "bias.demographic_parity", 0.01),)
    found = decide(ledger(check(), check("plain", checked=False), facts=told))
    assert [each.rule for each in found.reasons] == ["G6.no_check"]


def test_a_gate_whose_every_check_is_a_warning_says_so():
    found = decide(ledger(check(severity="warning")))
    assert found.verdict is Verdict.ALLOW
    assert [each.rule for each in found.warnings] == ["G1.warnings_only"]
    assert not decide(ledger(check(severity="warning"), check("other"))).warnings


def test_a_champion_of_the_project_is_told_and_another_one_denies():
    for origin, severity in (("fixture", Severity.WARNING), ("artifact", Severity.ERROR)):
        seen = ledger(check(), models=({"role": "champion", "origin": origin, "digest": "sha256:dd"},))
        found = decide(seen)
        told = found.warnings if severity is Severity.WARNING else found.reasons
        assert [(each.rule, each.severity) for each in told] == [("G10.champion", severity)]


def test_data_of_the_project_instead_of_the_declared_file_is_told():
    seen = ledger(
        check(), data=({"name": "evaluation", "origin": "fixture", "digest": "sha256:dd", "rows": 1, "columns": 1},)
    )
    found = decide(seen, snapshot={"the evaluation data": "sha256:ee"})
    assert found.verdict is Verdict.ALLOW
    assert [each.rule for each in found.warnings] == ["G10.data"]
    assert not decide(seen).warnings


def test_two_environments_cannot_move_one_alias(tmp_path):
    path = tmp_path / "leanml.yaml"
    path.write_text("version: 1\nenvironments:\n  staging: {alias: Champion}\n  production: {}\n")
    with pytest.raises(ConfigError, match="which is also that of") as found:
        load_config(path)
    assert found.value.key == "environments.production.alias"


def test_a_check_id_waives_its_limit_and_not_that_there_is_no_skill(tmp_path):
    (tmp_path / "waivers.yaml").write_text(
        "- {rule: quality.accuracy, model: flights, environment: production, reason: new gate, owner: Ann Lee, "
        "ticket: T-1, approved_by: Bob, expires: '2026-12-01'}\n"
    )
    (tmp_path / "leanml.yaml").write_text("version: 1\nmodel: flights\npolicy: {waivers: waivers.yaml}\n")
    packages = ["gate.limits", "gate.no_skill", "gate.model_approval"]
    config = load_config(tmp_path / "leanml.yaml")
    found = live_waivers(config, "production", evaluated_at=NOW, packages=packages)
    assert set(found.live) == {"quality.accuracy", "limits.quality.accuracy", "model_approval.quality.accuracy"}
    text = (tmp_path / "waivers.yaml").read_text()
    (tmp_path / "waivers.yaml").write_text(text.replace("Bob", "ann  Ｌee"))  # noqa: RUF001 - a wide L
    found = live_waivers(config, "production", evaluated_at=NOW, packages=packages)
    assert not found.live
    assert "its own owner" in found.expired[0].message


def test_half_a_character_costs_neither_line_nor_status(tmp_path):
    writer = LedgerWriter(tmp_path, "main")
    for name in ("a\udc80", "a\udc81"):
        writer.write("collected", nodeid=name)
        writer.write("check", nodeid=name, check={"id": "x", "kind": "custom", "owner": "\ud800"})
    seen = read_ledger(tmp_path)
    assert len(seen.processes["main"].items) == 2
    dump_json(evidence(seen).document)


def test_an_owner_is_text(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quality_check(owner=object())
        def test_accuracy(evidence):
            assert evidence.record("accuracy", 0.9) > 0.8
        """
    )
    ended = pytester.runpytest_subprocess("--model-gate", "-p", "no:randomly")
    assert ended.ret == 4
    assert "expected: text" in ended.stdout.str() + ended.stderr.str()


@pytest.mark.parametrize(
    ("passed", "severity", "stands"), [(False, "warning", True), (False, "error", False), (True, "warning", False)]
)
def test_deploy_excuses_a_limit_not_proven_as_the_judge_does(tmp_path, passed, severity, stands):
    (tmp_path / "leanml.yaml").write_text("version: 1\n")
    config = load_config(tmp_path / "leanml.yaml")
    rules = find_rules(config, "production", None, own=(), root=tmp_path, evaluated_at=NOW, subject_digest="")
    shown = {"id": "mine", "kind": "quality", "outcome": "inconclusive", "severity": severity, "measurements": ["mine"]}
    measured = {"mine": {"check": "mine", "comparator": ">=", "threshold": 0.9, "passed": passed}}
    assert _excused(shown, {"measurements": measured}, rules) is stands
    assert not _excused(shown, {"measurements": {}}, rules)


def test_two_tests_cannot_record_one_name():
    twin = replace(check(), nodeid="test_mine.py::other", check=CheckInfo("other", "custom"))
    (conflict,) = evidence(ledger(check(), twin)).conflicts
    assert conflict.startswith("mine was recorded by test_mine.py::mine and by test_mine.py::other")
    assert not evidence(ledger(check(), check("other"))).conflicts


def test_two_processes_may_train_a_simple_model_to_other_last_digits():
    """Two workers measured the same accuracy, each beside a model of its own: one of them is told, and nothing denies."""

    def measured(worker, simple):
        section = {"metrics": {"accuracy": 0.95}, "baseline": {"simple": {"accuracy": simple}}}
        record = MeasurementRecord("quality.accuracy", "accuracy", 0.95, section=section)
        return replace(check(worker), measurements=(record,))

    found = evidence(ledger(measured("one", 0.9), measured("other", 0.900000001)))
    assert found.conflicts == ()
    assert found.document["baseline"]["simple"]["accuracy"] == pytest.approx(0.9, abs=1e-6)
