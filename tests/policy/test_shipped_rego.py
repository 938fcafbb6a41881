"""The shipped policies: their own tests in both engines, their METADATA, and the same answers from both engines."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
import regorus
import yaml

from pytest_leanml.policy.builtins import CAPABILITIES
from pytest_leanml.policy.load import load_policies, shipped_folder
from pytest_leanml.rules import SHIPPED

FOLDER = shipped_folder()
NAMES = sorted(SHIPPED)
# What is the same in each of them, so that one file can be copied and changed.
ALIKE = ("behaviour", "comparison", "data_quality", "drift", "fairness", "leakage", "lineage", "serving")
FROM_HERE = "# From here on"
# A number that decides has its home in leanml.yaml. These say what a number can be, or count.
NUMBERS = {"0", "1", "2", "4", "5", "8", "28", "29", "30", "31", "100", "400", "36500", "1e300", "1e301", "1e-6"}
NUMBERS |= {"3339", "86400000000000"}


def text(name, suffix=""):
    return (FOLDER / name / f"{name}{suffix}.rego").read_text(encoding="utf-8")


def loaded(name):
    engine = regorus.Engine()
    for suffix in ("", "_test"):
        engine.add_policy(f"{name}{suffix}.rego", text(name, suffix))
    return engine


def run_opa(binary, *arguments, given=None):
    return subprocess.run(
        [str(binary), *map(str, arguments)], capture_output=True, text=True, input=given, check=False, timeout=120
    )


def rego_value(binary, *arguments, given=None):
    """Ask opa strictly: an error of a built-in ends the evaluation, as it does in the gate."""
    said = run_opa(binary, "eval", "--strict-builtin-errors", "--capabilities", CAPABILITIES, *arguments, given=given)
    answer = json.loads(said.stdout)
    assert "errors" not in answer, answer["errors"]
    return answer["result"][0]["expressions"][0]["value"]


def rego_tests(name):
    return re.findall(r"^(test_\w+) if\b", text(name, "_test"), re.MULTILINE)


def test_every_shipped_package_has_a_folder_with_a_policy_and_a_test():
    assert sorted(each.name for each in FOLDER.iterdir() if each.is_dir()) == NAMES
    for name in NAMES:
        files = {each.name for each in (FOLDER / name).iterdir()}
        assert files == {f"{name}.rego", f"{name}_test.rego"}
        assert len(rego_tests(name)) > 10


@pytest.mark.parametrize("name", NAMES)
def test_rego_tests_pass_embedded(name):
    engine = loaded(name)
    engine.set_input_json("{}")
    failed = [
        rule
        for rule in rego_tests(name)
        if json.loads(engine.eval_rule_as_json(f"data.gate.{name}_test.{rule}")) is not True
    ]
    assert failed == []


@pytest.mark.parametrize("name", NAMES)
def test_rego_tests_pass_in_opa(name, opa_binary):
    answers = rego_value(opa_binary, "-d", FOLDER / name, f"data.gate.{name}_test")
    assert [rule for rule in rego_tests(name) if answers.get(rule) is not True] == []


def test_opa_finds_them_strict_and_formatted(opa_binary):
    checked = run_opa(opa_binary, "check", "--strict", "--capabilities", CAPABILITIES, FOLDER)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert run_opa(opa_binary, "fmt", "--list", FOLDER).stdout == ""


def test_they_load_as_one_set_and_each_decides():
    policies = load_policies([], shipped=SHIPPED, root=FOLDER)
    assert [package.name for package in policies.packages] == [f"gate.{name}" for name in NAMES]
    for package in policies.packages:
        assert (package.decides, package.allow, package.denials) == (True, True, ("deny",))


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name):
    lines = text(name).split(f"package gate.{name}\n")[0].splitlines()
    assert lines[0] == "# METADATA"
    found = yaml.safe_load("\n".join(line.removeprefix("#")[1:] for line in lines[1:]))
    assert set(found) == {"title", "description", "scope", "entrypoint", "related_resources", "custom"}
    assert (found["scope"], found["entrypoint"]) == ("package", True)
    assert found["related_resources"] == [{"ref": f"https://pytest-leanml.readthedocs.io/policies/{name}"}]
    assert set(found["custom"]) == {"id", "severity", "needs"}
    assert (found["custom"]["id"], found["custom"]["severity"]) == (name, "error")
    assert found["custom"]["needs"]
    assert all(found[key].strip() for key in ("title", "description"))


@pytest.mark.parametrize("name", NAMES)
def test_no_limit_stands_in_rego(name):
    code = "\n".join(line for line in text(name).splitlines() if not line.startswith("#"))
    code = re.sub(r'"[^"\n]*"|`[^`]*`', '""', code)
    found = set(re.findall(r"(?<![\w.\[])-?(\d[\d.]*(?:e-?\d+)?)", code))
    assert found <= NUMBERS


def test_what_these_packages_share_is_the_same_text():
    tails = {text(name).partition(FROM_HERE)[2] for name in ALIKE}
    assert len(tails) == 1
    assert len(tails.pop()) > 1000


# Both engines answer alike, also where a fact is absent, mistyped or absurd.

EVIDENCE = {
    "run_id": "run-4",
    "evaluated_at": "2026-11-23T22:10:04Z",
    "subject": {"digest": "sha256:9b1c"},
    "champion": {"version": "6", "digest": "sha256:44aa"},
    "metadata": {"annotations": {"approval": "signed"}},
    "approval": {"by": "r.hopper", "at": "2026-11-23T09:00:00Z", "digest": "sha256:9b1c"},
    "training_date": "2026-11-21T08:00:00Z",
    "data": {"evaluation": {"digest": "sha256:c07b", "rows": 27902}},
    "metrics": {"accuracy": 0.977, "f1_score": 0.86},
    "baseline": {"no_skill": {"accuracy": 0.927, "f1_score": 0.0}},
    "bias": {"demographic_parity": 0.047},
    "drift": {
        "share": 0.5,
        "prediction": 0.02,
        "columns": {
            "dep_delay": {"drifted": False, "effect": 0.03, "method": "ks"},
            "origin": {"drifted": True, "effect": 0.2, "method": "chi_squared"},
        },
        "column": {"dep_delay": 0.03},
        "domain_classifier": 0.55,
        "slices": {
            "night": {"target": 0.05, "share": 0.0, "columns": {"a": {"drifted": False, "effect": 0, "method": "ks"}}}
        },
    },
    "comparison": {
        "f1_score": {"gain": 0.024, "low": 0.021, "high": 0.037, "rows": 27902, "method": "paired bootstrap"},
        "regressions": {"share": 0.01, "low": 0.009, "high": 0.012, "rows": 27902, "method": "wilson"},
        "worst_slice": {
            "gain": -0.01,
            "rows": 900,
            "method": "newcombe-paired, worst of 2",
            "slices": {"day": {"gain": 0.03, "rows": 27002}, "night": {"gain": -0.01, "rows": 900}},
        },
    },
    "lineage": {"training_age_days": 2.59, "data_digests": 1},
    "budget": {"training_minutes": 0.01},
    "history": {"streak": 3, "counted": ["run-1", "run-2", "run-3"]},
    "measurements": {
        "quality.accuracy": {"value": 0.977, "low": 0.9752, "high": 0.9787},
        "quality.f1_score": {"value": 0.86, "comparator": ">=", "threshold": 0.8, "passed": True, "check": "a"},
        "fairness.demographic_parity_difference[origin]": {
            "value": 0.047,
            "low": 0.039,
            "high": 0.055,
            "by": {"EWR": {"value": 0.094, "n": 9802}, "JFK": {"value": 0.056, "n": 9337}},
        },
        "drift.share": {"value": 0.5},
        "drift.prediction": {"value": 0.02},
        "drift.column[dep_delay]": {"value": 0.03},
        "drift.domain_classifier": {"value": 0.55},
        "drift.target[night]": {"value": 0.05},
        "drift.share[night]": {"value": 0.0},
        "comparison.f1_score": {"value": 0.024, "low": 0.021, "high": 0.037},
        "comparison.regressions": {"value": 0.01},
        "comparison.worst_slice": {"value": -0.01},
        "data_quality.rows": {"value": 27902},
        "behaviour.invariance[sex]": {"value": 0.0, "low": 0.0, "high": 0.007, "sampleSize": 500},
        "leakage.overlap": {"value": 0.001, "sampleSize": 27902, "details": {"columns": 3}},
        "leakage.groups": {"value": 0.5, "sampleSize": 27902, "by": {"tail": {"value": 0.5, "n": 27902}}},
        "serving.latency_p95_ms": {"value": 12.5, "low": 11.9, "high": 13.2, "sampleSize": 400, "method": "http"},
        "serving.parity": {"value": 0, "low": 0, "high": 0.019, "sampleSize": 200, "method": "call"},
        "serving.signature": {"value": 0, "sampleSize": 27902},
        "lineage.training_age_days": {"value": 2.59},
        "lineage.training_minutes": {"value": 0.01},
        "lineage.data_digests": {"value": 1, "by": {"train": {"value": 1, "n": 1}}},
    },
    "checks": [{"id": "a", "severity": "warning"}],
}
LEANML = {
    "thresholds": {
        "quality.accuracy": {"min": 0.85},
        "quality.f1_score": {"min": 0.8},
        "fairness.demographic_parity_difference": {"below": 0.1},
        "fairness.group_size": {"min": 30},
        "drift.share": {"max": 0.5},
        "drift.prediction": {"max": 0.1},
        "drift.column": {"max": 0.1},
        "drift.domain_classifier": {"max": 0.6},
        "drift.target": {"max": 0.1},
        "comparison.f1_score": {"min": 0.02},
        "comparison.regressions": {"max": 0.02},
        "comparison.worst_slice": {"min": -0.02},
        "data_quality.rows": {"min": 1},
        "behaviour.invariance": {"max": 0},
        "leakage.overlap": {"max": 0.01},
        "leakage.groups": {"max": 0.5},
        "serving.latency_p95_ms": {"max": 50},
        "serving.parity": {"max": 0.02},
        "serving.signature": {"max": 0},
        "lineage.training_age_days": {"below": 30},
        "lineage.training_minutes": {"max": 15},
        "lineage.data_digests": {"min": 1},
        "history.streak": {"min": 3},
    },
    "judge": {"fairness.demographic_parity_difference": "bound", "comparison.f1_score": "bound"},
    "severity": {"quality.accuracy": "warning"},
    "waived": {"limits.quality.f1_score": {"reason": "known"}},
    "first_release": False,
    "others_decide": False,
    "subject_digest": "sha256:9b1c",
}
VALUES = (None, "x", [], True, -1, 85)
ABSENT = object()


def leaves(value, path=()):
    """Every place in a document, sections too."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in children:
        yield from leaves(each, (*path, key))


def changed(document, path, value):
    new = copy.deepcopy(document)
    *above, last = path
    place = new
    for key in above:
        place = place[key]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return new


CASES = [
    {"input": EVIDENCE, "leanml": LEANML},
    *({"input": value, "leanml": LEANML} for value in VALUES),
    *({"input": EVIDENCE, "leanml": value} for value in VALUES),
    *({"input": changed(EVIDENCE, path, v), "leanml": LEANML} for path in leaves(EVIDENCE) for v in (*VALUES, ABSENT)),
    *({"input": EVIDENCE, "leanml": changed(LEANML, path, v)} for path in leaves(LEANML) for v in (*VALUES, ABSENT)),
]
EACH = "answers := [answer(each.input, each.leanml) | some each in data.cases]\n"
EXPORTS = ("allow", "deny", "warn", "waived")


@cache
def answers_embedded(name):
    """Ask once for both tests that look at the answers."""
    return list(ask_embedded(name))


def ask_embedded(name):
    engine = regorus.Engine()
    engine.add_policy(f"{name}.rego", text(name))
    exported = [each for each in EXPORTS if re.search(rf"^{each}\b", text(name), re.MULTILINE)]
    for case in CASES:
        engine.clear_data()
        engine.add_data_json(json.dumps({"leanml": case["leanml"]}))
        engine.set_input_json(json.dumps(case["input"]))
        yield {each: json.loads(engine.eval_rule_as_json(f"data.gate.{name}.{each}")) for each in exported}


@pytest.fixture(scope="module")
def cases_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("cases") / "cases.json"
    file.write_text(json.dumps({"cases": CASES}), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", NAMES)
def test_engines_agree_on_every_change(name, opa_at_length, cases_file, tmp_path):
    embedded = answers_embedded(name)
    given = "with input as document with data.leanml as leanml"
    lines = [f"    {each} := data.gate.{name}.{each} {given}" for each in embedded[0]]
    answer = "{" + ", ".join(f'"{each}": {each}' for each in embedded[0]) + "}"
    rules = [f"answer(document, leanml) := {answer} if {{", *lines, "}"]
    asking = tmp_path / "asking.rego"
    asking.write_text("\n".join(["package asking", "", *rules, "", EACH]), encoding="utf-8")
    found = rego_value(
        opa_at_length, "-d", FOLDER / name / f"{name}.rego", "-d", cases_file, "-d", asking, "data.asking.answers"
    )
    assert found == embedded


@pytest.mark.parametrize("name", NAMES)
def test_a_denial_has_a_reason_and_an_allowance_has_none(name):
    answers = answers_embedded(name)
    assert answers[0]["allow"] is True
    for answer in answers:
        assert answer["allow"] is (answer["deny"] == [])
        for each in chain(answer["deny"], answer.get("warn", [])):
            assert set(each) == {"rule", "path", "msg"}
            assert each["rule"].startswith(f"{name}.")
    assert sum(answer["allow"] is False for answer in answers) > len(VALUES)


# The user's policy in the docs, and what it misses.

DOCS = Path(__file__).parents[2] / "docs" / "policies.md"
PUBLISHED, MENDED = re.findall(r"```rego\n(package model_policy\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
ANNOTATIONS = {"signed": {"approval": "signed"}, "pending": {"approval": "pending"}, "none": {}}


def passes(engine, policies, rego, annotations):
    [answer] = engine.evaluate(policies(rego), json.dumps({"metadata": {"annotations": annotations}}), {}, 20.0)
    assert answer.error is None
    return answer.deny == () and (answer.allow is True or not answer.has_allow)


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_docs_say_what_a_policy_of_one_rule_misses(engine, policies, name):
    said = re.search(
        rf"^\| `{re.escape(json.dumps(ANNOTATIONS[name]))}` \| (.+) \| (.+) \|$", DOCS.read_text(), re.MULTILINE
    )
    words = ["ALLOW" if passes(engine, policies, rego, ANNOTATIONS[name]) else "DENY" for rego in (PUBLISHED, MENDED)]
    assert words == [each.strip("*") for each in said.groups()]


def test_docs_have_a_section_for_each_package():
    sections = re.findall(r"^## (\w+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [each for each in sections if each in SHIPPED] == sections
    assert set(sections) == set(SHIPPED)
