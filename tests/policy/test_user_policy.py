"""A user's own policy of one allow rule, as published ones are written: good evidence passes, and nothing else does."""

from __future__ import annotations

import copy
import json
import math

import pytest

from pytest_leanml.errors import ConfigError
from pytest_leanml.policy.facts import check_facts
from pytest_leanml.strict import load_json

BY_CLOCK = """package model_policy

allow if {
	input.metrics.accuracy >= 0.85
	input.metrics.f1_score >= 0.80
	time.now_ns() - time.parse_rfc3339_ns(input.training_date) < 30 * 24 * 60 * 60 * 1000000000
	abs(input.bias.demographic_parity) < 0.1
}
"""
BY_EVIDENCE = BY_CLOCK.replace("time.now_ns()", "time.parse_rfc3339_ns(input.evaluated_at)")
WITH_DEFAULT = BY_CLOCK.replace("allow if", "default allow := false\n\nallow if")
FACTS = [("metrics", "accuracy"), ("metrics", "f1_score"), ("training_date",), ("bias", "demographic_parity")]
ABSENT = object()
WRONG = {
    "absent": ABSENT,
    "null": None,
    "text": "0.9",
    "text of a low number": "0",
    "empty text": "",
    "empty list": [],
    "list": [0.9],
    "object": {"value": 0.9},
    "empty object": {},
    "true": True,
    "false": False,
    "nan": math.nan,
    "infinite": math.inf,
}


@pytest.fixture(params=[BY_CLOCK, BY_EVIDENCE, WITH_DEFAULT], ids=["clock", "evidence", "default"])
def text(request):
    return request.param


def put(document, path, value):
    changed = copy.deepcopy(document)
    section = changed
    for part in path[:-1]:
        section = section[part]
    if value is ABSENT:
        del section[path[-1]]
    else:
        section[path[-1]] = value
    return changed


def allows(engine, loaded, document):
    """What the harness does: facts first, then the engine, then exactly true."""
    if check_facts(document):
        return False
    answers = engine.evaluate(loaded, json.dumps(document, allow_nan=False), {}, 20.0)
    return all(
        (answer.allow is True or not answer.has_allow) and not answer.deny and answer.error is None
        for answer in answers
    )


def test_good_evidence_is_allowed(engine, policies, evidence, text):
    assert allows(engine, policies(text), evidence)


def test_the_sign_of_a_difference_does_not_matter(engine, policies, evidence, text):
    assert allows(engine, policies(text), put(evidence, FACTS[3], -0.05))
    assert not allows(engine, policies(text), put(evidence, FACTS[3], -0.2))


@pytest.mark.parametrize("path", FACTS, ids=".".join)
def test_every_wrong_fact_denies(engine, policies, evidence, text, path):
    loaded = policies(text)
    allowed = [name for name, value in WRONG.items() if allows(engine, loaded, put(evidence, path, value))]
    assert allowed == []


@pytest.mark.parametrize("section", ["metrics", "bias"])
def test_every_wrong_section_denies(engine, policies, evidence, text, section):
    loaded = policies(text)
    allowed = [name for name, value in WRONG.items() if allows(engine, loaded, put(evidence, (section,), value))]
    assert allowed == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metrics", "accuracy"), 0.8499),
        (("metrics", "f1_score"), 0.7999),
        (("training_date",), "2026-10-24T22:10:03Z"),
        (("training_date",), "2026-11-24T22:10:04Z"),
        (("training_date",), "2026-02-30T00:00:00Z"),
        (("training_date",), "2026-11-21"),
        (("bias", "demographic_parity"), 0.1),
        (("metrics", "accuracy"), 85),
    ],
)
def test_a_bad_fact_denies(  # noqa: PLR0913, PLR0917 - each is a fixture or a parameter
    engine, policies, evidence, text, path, value
):
    assert not allows(engine, policies(text), put(evidence, path, value))


def test_thirty_days_less_a_second_pass(engine, policies, evidence, text):
    assert allows(engine, policies(text), put(evidence, ("training_date",), "2026-10-24T22:10:05Z"))


def test_nan_in_a_file_is_refused_before_anything_else(evidence):
    with pytest.raises(ConfigError, match="NaN"):
        load_json(json.dumps(put(evidence, FACTS[0], math.nan)), file="evidence.json")


@pytest.mark.parametrize("value", ["0.9", [], {}, "x"])
def test_the_engines_alone_would_let_text_through(engine, policies, evidence, value):
    """Why check_facts is needed: Rego orders text, lists and objects above every number."""
    naive = "package naive\n\nallow if input.metrics.accuracy >= 0.85\n"
    document = put(evidence, FACTS[0], value)
    [answer] = engine.evaluate(policies(naive), json.dumps(document), {}, 20.0)
    assert answer.allow is True
    assert check_facts(document) != []


def test_the_approval_policy_of_the_docs(engine, policies, evidence):
    """It denies what is unsigned, and misses what has no annotation at all: documented."""
    text = 'package model_policy\n\ndeny contains "not signed" if input.metadata.annotations["approval"] != "signed"\n'
    loaded = policies(text)
    assert allows(engine, loaded, evidence)
    assert not allows(engine, loaded, put(evidence, ("metadata", "annotations", "approval"), "pending"))
    assert not allows(engine, loaded, put(evidence, ("metadata", "annotations", "approval"), None))
    assert allows(engine, loaded, put(evidence, ("metadata",), {}))


def test_the_clock_of_a_policy_is_the_moment_of_the_evidence(engine, policies, evidence):
    text = 'package clock\n\ndeny contains sprintf("%d", [time.now_ns()])\n'
    [answer] = engine.evaluate(policies(text), json.dumps(evidence), {}, 20.0)
    assert [each.msg for each in answer.deny] == ["1795471804000000000"]


def test_the_clock_reaches_helper_packages(engine, policies, evidence):
    helper = "package helper\n\nnow := time.now_ns()\n"
    text = 'package clock\n\nimport data.helper\n\ndeny contains sprintf("%d", [helper.now])\n'
    [answer] = engine.evaluate(policies(text, helper), json.dumps(evidence), {}, 20.0)
    assert [each.msg for each in answer.deny] == ["1795471804000000000"]


def test_without_a_moment_the_clock_is_the_machines(engine, policies, evidence):
    del evidence["evaluated_at"]
    text = "package clock\n\nallow if time.now_ns() > 1700000000000000000\n"
    [answer] = engine.evaluate(policies(text), json.dumps(evidence), {}, 20.0)
    assert answer.allow is True
