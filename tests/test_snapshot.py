from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leanml.decision import Reason
from pytest_leanml.errors import ConfigError, GateUsageError
from pytest_leanml.options import read_options
from pytest_leanml.snapshot import DEFAULT_TIMEOUT, data_paths, digests, harness, take_snapshot
from pytest_leanml.subjects import Subjects
from pytest_leanml.vocabulary import EngineName

REGO = 'package mine\n\ndeny contains "cost" if input.metrics.cost > 5\n'


@pytest.fixture
def snap(pytester):
    """Return a function that takes a snapshot of the project."""

    def take(*flags, text=None, never=()):
        if text is not None:
            (pytester.path / "leanml.yaml").write_text("version: 1\n" + text)
        config = pytester.parseconfig(*flags)
        (pytester.path / "private").mkdir(exist_ok=True)
        return take_snapshot(read_options(config, config.option), "01RUN", pytester.path / "private", never)

    return take


def again(snapshot):
    return digests(snapshot.config, snapshot.subjects, snapshot.own_policies, snapshot.files)


def test_without_leanml_yaml_tests_alone_are_gated(snap):
    found = snap("--gate-environment=staging")
    assert (found.config, found.environment, found.target) == (None, "staging", None)
    assert (found.engine, found.timeout, found.subjects) == (EngineName.EMBEDDED, DEFAULT_TIMEOUT, Subjects())
    assert found.manifest.snapshot == {"leanml.yaml": "absent"}
    assert data_paths(None) == {}


def test_a_config_that_was_named_and_is_not_there_is_wrong_use(snap):
    with pytest.raises(ConfigError, match=r"other\.yaml"):
        snap("--gate-config=other.yaml")


def test_everything_a_decision_rests_on_is_digested(flights, snap):
    (flights / "rules").mkdir()
    (flights / "rules" / "mine.rego").write_text(REGO)
    (flights / "waivers.yaml").write_text("[]\n")
    text = (flights / "leanml.yaml").read_text()
    (flights / "leanml.yaml").write_text(text + "policy: {paths: [rules], waivers: waivers.yaml}\n")
    found = snap()
    names = {"leanml.yaml", "the waivers", "the policies in rules", "the evaluation data", "the predictions"}
    assert set(found.manifest.snapshot) == {*names, "the candidate's artifact"}
    assert again(found) == found.manifest.snapshot
    for name in ("leanml.yaml", "waivers.yaml", "rules/mine.rego", "march.csv"):
        (flights / name).write_text((flights / name).read_text() + "\n")
    changed = {name for name, digest in again(found).items() if digest != found.manifest.snapshot[name]}
    assert changed == names - {"the predictions"}
    (flights / "waivers.yaml").unlink()
    assert again(found)["the waivers"] == "unreadable"


def test_the_files_that_checks_name_are_digested_too(flights, snap):
    (flights / "gx").mkdir()
    (flights / "schema.yaml").write_text("columns: {}\n")
    (flights / "gx/suite.json").write_text("{}\n")
    (flights / "airports.csv").write_text("code\nJFK\n")
    path = flights / "leanml.yaml"
    text = path.read_text().replace("data: {", "data: {schema: schema.yaml, ")
    rules = "  data_quality:\n    suite: {max: 0, params: {path: gx/suite.json}}\n"
    rules += "    references: {max: 0, params: {columns: {origin: {path: airports.csv, column: code}}}}\n"
    path.write_text(text.replace("checks:\n", f"checks:\n{rules}"))
    found = snap()
    named = {"the file schema.yaml", "the file gx/suite.json", "the file airports.csv"}
    assert named <= set(found.manifest.snapshot)
    (flights / "schema.yaml").write_text("columns: {a: {}}\n")
    (flights / "gx/suite.json").unlink()
    changed = {name: digest for name, digest in again(found).items() if digest != found.manifest.snapshot[name]}
    assert set(changed) == {"the file schema.yaml", "the file gx/suite.json"}
    assert changed["the file gx/suite.json"] == "unreadable"


def test_a_schema_that_a_test_makes_up_is_a_change(flights, snap):
    path = flights / "leanml.yaml"
    path.write_text(path.read_text().replace("data: {", "data: {schema: late.yaml, "))
    found = snap()
    assert found.manifest.snapshot["the file late.yaml"] == "unreadable"
    (flights / "late.yaml").write_text("columns: {}\n")
    assert again(found)["the file late.yaml"].startswith("sha256:")


def test_the_manifest_demands_what_is_declared_and_required(flights, snap):
    path = flights / "leanml.yaml"
    path.write_text(path.read_text() + "require: [mine]\npolicy: {shadow: [limits.quality.accuracy]}\n")
    never = (Reason("G3.test", "never"),)
    found = snap(never=never).manifest
    assert (found.declared, found.required) == (("quality.accuracy", "quality.f1_score"), ("mine",))
    assert (found.shadow, found.never, found.run_id) == (("limits.quality.accuracy",), never, "01RUN")
    assert found.thresholds["quality.accuracy"] == {"min": 0.85}


@pytest.mark.parametrize(
    ("flag", "variable", "named"),
    [(None, None, "production"), (None, "staging", "staging"), ("moon", "staging", "moon")],
)
def test_the_flag_wins_over_the_variable_and_that_over_the_config(snap, monkeypatch, flag, variable, named):
    if variable:
        monkeypatch.setenv("LEANML_ENVIRONMENT", variable)
    text = "environments: {production: {alias: champion}, staging: {alias: s}, moon: {alias: m}}\n"
    found = snap(*([f"--gate-environment={flag}"] if flag else []), text=text)
    assert (found.environment, found.context.environment) == (named, named)


def test_an_unknown_environment_names_the_valid_ones(snap):
    with pytest.raises(GateUsageError, match="production"):
        snap("--gate-environment=moon", text="policy: {environment: production}\n")


def test_the_engine_of_the_flag_wins(snap):
    assert snap(text="policy: {engine: opa}\n").engine is EngineName.OPA
    assert snap("--gate-engine=both", text="policy: {engine: opa}\n").engine is EngineName.BOTH


def test_policies_of_the_flag_replace_those_of_the_config(pytester, snap):
    for name in ("a", "b"):
        (pytester.path / name).mkdir()
        (pytester.path / name / "mine.rego").write_text(REGO)
    text = "policy: {paths: [a]}\n"
    assert snap(text=text).own_policies == (pytester.path / "a",)
    assert snap("--gate-policy=b", text=text).own_policies == (pytester.path / "b",)


def test_a_model_without_checks_is_refused(flights, snap):
    text = "model: {predictions: said.csv}\n"
    with pytest.raises(ConfigError) as caught:
        snap(text=text)
    assert caught.value.given == "the gate has a `model:` and neither `checks:` nor `require:`"
    assert snap(text=text + "require: [mine]\n").manifest.required == ("mine",)


def test_the_evidence_names_the_candidate(flights, snap):
    found = snap()
    assert found.context.subject["digest"] == found.rules.data["subject_digest"] == found.subjects.candidate.digest
    assert found.context.champion is None
    assert found.context.history == {}


STREAK = (
    "model: flights\nchecks: {quality: {accuracy: {min: 0.5}}}\ndata: {evaluation: march.csv, target: late}\n"
    "environments: {production: {alias: champion, use: [streak], streak: {count: 3}}}\n"
)


def test_a_registered_model_brings_its_champion_its_tags_and_its_streak(registered, snap):
    found = snap("--gate-candidate=models:/flights/2", text=STREAK)
    context = found.context
    assert (context.subject["version"], context.champion["version"]) == ("2", "1")
    assert context.annotations["approval"] == "signed"
    assert (context.history["streak"], context.history["counted"]) == (0, [])
    assert {"the candidate's artifact", "the champion's artifact"} < set(found.manifest.snapshot)
    assert not replace(found.manifest).first_release


def test_the_harness_is_named_with_a_digest_of_its_code():
    found = harness()
    assert (found["name"], found["digest"][:7], found) == ("pytest-leanml", "sha256:", harness())


@pytest.mark.parametrize("url", ["mysql://host/db", "no url", "sqlite:///:memory:"])
def test_a_journal_that_no_deploy_could_open_is_known_before_a_check_runs(registered, snap, url):
    with pytest.raises(GateUsageError, match=r"store\.journal is not a URL that can be used"):
        snap("--gate-candidate=models:/flights/2", text=STREAK + f"store: {{journal: '{url}'}}\n")
