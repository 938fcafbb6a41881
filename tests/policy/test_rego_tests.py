"""Tests of policies, and the commands that run them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_leanml.errors import ConfigError, EngineError, GateUsageError, PolicyError
from pytest_leanml.policy import commands, rego_tests
from pytest_leanml.policy.load import shipped_folder
from pytest_leanml.policy.rego_tests import discover, run_test
from pytest_leanml.policy.rego_tests import test_files as find_tests
from pytest_leanml.vocabulary import EngineName

DATA = Path(__file__).with_name("data")
POLICY = "package p\n\ndefault allow := false\n\nallow if input.x == 1\n"
TEST = """package p_test

import data.p

test_allows if p.allow with input as {"x": 1}

test_denies if not p.allow with input as {"x": 2}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "p.rego").write_text(POLICY, encoding="utf-8")
    return tmp_path


def written(folder, text, name="p_test.rego"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return discover(path)


@pytest.mark.parametrize("engine", EngineName)
def test_the_reference_policys_own_tests(engine, opa_binary):
    found = discover(DATA / "model_approval_test.rego")
    assert [(each.package, each.name, each.line) for each in found] == [
        ("gate.model_approval_test", "test_allows", 15),
        ("gate.model_approval_test", "test_each_path_is_needed", 17),
        ("gate.model_approval_test", "test_no_limits_denies", 25),
    ]
    for each in found:
        assert run_test(each, engine=engine) is None


@pytest.mark.parametrize("engine", [EngineName.EMBEDDED, EngineName.OPA])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("test_x if false", "is undefined"),
        ("test_x := false", "is not true"),
        ('test_x := "true"', "is not true"),
        ("test_x := 1", "is not true"),
        ("test_x if data.p.allow", "is undefined"),
        ("default test_x := false\n\ntest_x if false", "is a default"),
        ("test_x if abs(input.y) == 1 with input as {}", "is undefined"),
        ('test_x if abs(input.y) == 1 with input as {"y": "1"}', "abs"),
        ("test_x if y == 1", "y"),
    ],
)
def test_only_true_passes(folder, opa_binary, engine, body, said):
    if "default" in body:
        with pytest.raises(PolicyError, match=said):
            written(folder, f"package p_test\n\n{body}\n")
        return
    [each] = written(folder, f"package p_test\n\n{body}\n")
    with pytest.raises(PolicyError) as caught:
        run_test(each, engine=engine)
    assert said in str(caught.value)
    assert (caught.value.file, caught.value.line) == (folder / "p_test.rego", 3)


def test_both_engines_must_pass(folder, opa_binary, monkeypatch):
    run_test(written(folder, TEST)[0], engine=EngineName.BOTH)
    [each, _] = written(folder, TEST)
    monkeypatch.setattr(rego_tests, "_opa", lambda suite, rules, _: {key: {"value": False} for key in rules})
    with pytest.raises(PolicyError, match="is not true"):
        run_test(each, engine=EngineName.BOTH)


def test_an_engine_that_is_absent_is_no_failure_of_the_test(folder, monkeypatch):
    monkeypatch.setenv("LEANML_OPA", "/nowhere/opa")
    with pytest.raises(GateUsageError):
        run_test(written(folder, TEST)[0], engine=EngineName.OPA)


def test_late_is_an_error(folder):
    endless = "count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i == j])"
    [each] = written(folder, f"package p_test\n\ntest_x if {endless} == 0\n")
    with pytest.raises(EngineError, match="in time"):
        run_test(each, timeout=0.3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("helper := 1", "no rule begins with test_"),
        ("test_x contains 1", "test_x is a set"),
        ("test_x(y) := y", "test_x is a function"),
        ("test.x := 1", "no rule begins with test_"),
        ("test_x.y := 1", "test_x is a key of an object"),
        ("test_x if {", "does not parse"),
        ("test_x { true }", "Rego v0"),
        ("import data.q\n\ntest_x if q.allow", "nothing beside or above this test defines data.q"),
        ("import data.p.alow\n\ntest_x if alow", "defines data.p.alow"),
    ],
)
def test_a_file_that_tests_nothing(folder, body, said):
    with pytest.raises(PolicyError) as caught:
        written(folder, f"package p_test\n\n{body}\n")
    assert said in str(caught.value)


def test_policies_are_found_above_and_not_beyond_the_project(folder):
    assert len(written(folder, TEST, "tests/p_test.rego")) == 2
    run_test(discover(folder / "tests" / "p_test.rego")[0])
    (folder / "tests" / "pyproject.toml").write_text("", encoding="utf-8")
    with pytest.raises(PolicyError, match="nothing beside or above"):
        discover(folder / "tests" / "p_test.rego")


def test_without_a_project_nothing_above_is_read(tmp_path):
    (tmp_path / "p.rego").write_text(POLICY, encoding="utf-8")
    with pytest.raises(PolicyError, match="nothing beside or above"):
        written(tmp_path, TEST, "tests/p_test.rego")
    assert len(written(tmp_path, TEST)) == 2


def test_a_policy_that_cannot_be_loaded_fails_its_tests(folder):
    [each, _] = written(folder, TEST)
    broken = replace(each, suite=replace(each.suite, files=(replace(each.suite.files[0], text="package"),), found={}))
    with pytest.raises(PolicyError, match="expecting identifier"):
        run_test(broken)


def test_a_rule_of_two_bodies_is_one_test(folder):
    text = 'package p_test\n\ntest_x if input.a with input as {}\n\ntest_x if input.a with input as {"a": 1}\n'
    [each] = written(folder, text)
    assert (each.line, each.rule) == (3, "data.p_test.test_x")
    run_test(each)


def test_tests_are_found_in_folders(folder):
    written(folder, TEST)
    written(folder, TEST, "deep/q_test.rego")
    assert [path.name for path in find_tests([folder])] == ["q_test.rego", "p_test.rego"]
    for path in (folder / "absent", folder / "absent_test.rego", folder / "p.rego", folder / ".git"):
        with pytest.raises(PolicyError, match="no Rego test here"):
            list(find_tests([path]))


@pytest.mark.parametrize("engine", [EngineName.EMBEDDED, EngineName.BOTH])
@pytest.mark.parametrize("file", sorted(shipped_folder().rglob("*_test.rego")), ids=lambda path: path.stem)
def test_the_shipped_policies_own_tests(engine, request, file):
    if engine is EngineName.BOTH:
        request.getfixturevalue("opa_binary")
    text, passed = commands.test([file], engine)
    assert passed, text


def test_every_shipped_policy_has_tests_and_metadata(tmp_path):
    from pytest_leanml.policy.load import load_policies

    names = sorted(each.name for each in shipped_folder().iterdir() if each.is_dir())
    assert names == [
        "approval", "behaviour", "comparison", "data_quality", "drift", "fairness", "leakage", "limits", "lineage",
        "model_approval", "no_skill", "serving", "streak",
    ]  # fmt: skip
    for name in names:
        assert (shipped_folder() / name / f"{name}_test.rego").is_file()
        [package] = load_policies([], shipped=[name], root=tmp_path).packages
        assert (package.name, package.allow, package.denials) == (f"gate.{name}", True, ("deny",))
        assert package.metadata["custom"]["id"] == name
        assert package.metadata["entrypoint"] is True


def test_the_command_test_counts_failures(folder):
    written(folder, TEST + "\ntest_wrong if false\n")
    text, passed = commands.test([folder], EngineName.EMBEDDED)
    assert not passed
    assert "FAIL" in text
    assert "p_test.rego:9" in text
    assert text.endswith("2 passed, 1 failed\n")


def test_the_command_check_says_what_decides(folder):
    (folder / "lib.rego").write_text(
        "# METADATA\n# custom: {library: true}\npackage lib\n\none := 1\n", encoding="utf-8"
    )
    text = commands.check([folder], folder)
    assert text.splitlines()[:2] == ["lib: does not decide", "p: decides by allow"]
    assert "2 files, sha256:" in text


@pytest.mark.parametrize("engine", EngineName)
def test_the_command_eval_shows_the_answers(folder, opa_binary, engine):
    given, data = folder / "input.json", folder / "data.json"
    given.write_text('{"x": 1, "metrics": {"accuracy": "0.9"}}', encoding="utf-8")
    data.write_text('{"leanml": {"y": 1}}', encoding="utf-8")
    shown = json.loads(commands.evaluate([folder], given, data, engine, folder))
    assert shown["answers"] == {"p": {"allow": True, "deny": [], "warn": [], "waived": [], "error": None}}
    assert shown["facts"] == ['metrics.accuracy is "0.9" (text); expected a number']
    assert shown["engine"].startswith(engine.value)


@pytest.mark.parametrize(
    ("given", "data", "said"),
    [
        ("[]", None, "JSON list"),
        ('{"x": NaN}', None, "NaN"),
        ("{}", '{"leanml": []}', "leanml is a list"),
        ("{}", '{"a": {}}', "one object under"),
        (None, None, "does not exist"),
    ],
)
def test_the_command_eval_refuses_what_is_no_document(folder, given, data, said):
    for name, text in (("input", given), ("data", data)):
        if text is not None:
            (folder / f"{name}.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        commands.evaluate(
            [folder], folder / "input.json", folder / "data.json" if data else None, EngineName.EMBEDDED, folder
        )


def test_the_command_eval_shows_what_a_policy_denies(folder):
    (folder / "p.rego").write_text('package p\n\ndeny contains {"rule": "p.x", "path": "a", "msg": "m"}\n', "utf-8")
    (folder / "input.json").write_text("{}", encoding="utf-8")
    shown = json.loads(commands.evaluate([folder], folder / "input.json", None, EngineName.EMBEDDED, folder))
    assert shown["answers"]["p"]["deny"] == [{"rule": "p.x", "path": "a", "msg": "m"}]
