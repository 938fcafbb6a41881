"""Both engines give the same answers, in the shapes that policies may have; what means nothing is an error."""

from __future__ import annotations

import json

import pytest

from pytest_leanml.errors import EngineError, GateUsageError
from pytest_leanml.policy import engines, entry
from pytest_leanml.policy.answers import Violation
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.vocabulary import EngineName

SECONDS = 20.0


def ask(engine, loaded, document=None, data=None):
    [answer] = engine.evaluate(loaded, json.dumps(document or {}), data or {}, SECONDS)
    return answer


def test_allow_is_true_false_or_undefined(engine, policies):
    loaded = policies("package p\n\nallow := true if input.x == 1\n\nallow := false if input.x == 2\n")
    found = [ask(engine, loaded, {"x": x}) for x in (1, 2, 3)]
    assert [(each.allow, each.has_allow, each.deny, each.error) for each in found] == [
        (True, True, (), None),
        (False, True, (), None),
        (None, True, (), None),
    ]


def test_a_package_without_allow_answers_none(engine, policies):
    answer = ask(engine, policies('package p\n\ndeny contains "x" if input.x\n'))
    assert (answer.allow, answer.has_allow, answer.deny, answer.error) == (None, False, (), None)


def test_every_kind_of_message(engine, policies):
    text = """package p

deny contains "text"

deny_more contains {"rule": "p.a", "path": "metrics.a", "msg": "object", "details": [1]}

violation contains {"msg": "only a message"}

warn contains "careful"

warn_more contains {"rule": "p.w", "msg": "w"}

waived contains "p.b"
"""
    answer = ask(engine, policies(text))
    assert answer.deny == (
        Violation("p", "", "only a message"),
        Violation("p", "", "text"),
        Violation("p.a", "metrics.a", "object"),
    )
    assert answer.warn == (Violation("p", "", "careful"), Violation("p.w", "", "w"))
    assert answer.waived == ("p.b",)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('allow := "true"', 'allow is "true"; expected true or false'),
        ("allow := 1", "allow is 1; expected true or false"),
        ("allow := {}", "allow is {}; expected true or false"),
        ("deny contains 1", "deny holds 1"),
        ("deny contains true", "deny holds true"),
        ('deny contains ["x"]', "deny holds"),
        ('deny contains {"rule": "x"}', "deny holds"),
        ('deny contains {"msg": 1}', "deny holds"),
        ('deny contains {"msg": "x", "rule": 1}', "expected rule and path as text"),
        ('deny contains {"msg": "x", "path": []}', "expected rule and path as text"),
        ("allow := true\n\nwarn contains 1", "warn holds 1"),
        ("allow := true\n\nwaived contains 1", "waived holds 1"),
        ("allow := true if true\n\nallow := false if true", ""),
        ('allow if abs("x") < 1', ""),
        ('allow if to_number("x") < 1', ""),
        ('allow if time.parse_rfc3339_ns("soon") < 1', ""),
        ("allow if f(1) == 1\n\nf(x) := 1 if x > 0\n\nf(x) := 2 if x > 0", ""),
        ('allow := true\n\ndeny contains "x" if abs("x") < 1', ""),
    ],
)
def test_what_means_nothing_is_an_error(engine, policies, rule, said):
    answer = ask(engine, policies(f"package p\n\n{rule}\n"))
    assert answer.error is not None
    assert said in answer.error
    assert "backtrace" not in answer.error
    assert (answer.allow, answer.deny, answer.warn, answer.waived) == (None, (), (), ())


def test_the_error_of_one_package_is_told_of_it_alone(engine, policies):
    loaded = policies("package a\n\nallow if input.x == 1\n", "package b\n\nallow if abs(input.y) < 1\n")
    first, second = engine.evaluate(loaded, '{"x": 1, "y": "1"}', {}, SECONDS)
    assert (first.package, first.allow, first.error) == ("a", True, None)
    assert second.package == "b"
    assert second.error


def test_answers_come_in_order_of_name_and_libraries_give_none(engine, policies):
    loaded = policies(
        "package z\n\nallow if data.lib.one == 1\n",
        "package a\n\nallow if true\n",
        "# METADATA\n# custom: {library: true}\npackage lib\n\none := 1\n\nallow := false\n",
    )
    assert [each.package for each in engine.evaluate(loaded, "{}", {}, SECONDS)] == ["a", "z"]


def test_data_and_input_are_those_of_the_call(engine, policies):
    loaded = policies("package p\n\nallow if input.x == data.leanml.y\n")
    pairs = [(1, 1), (1, 2), (2, 2), (2, 1), (1, 1)]
    found = [ask(engine, loaded, {"x": x}, {"y": y}).allow for x, y in pairs]
    assert found == [True, None, True, None, True]


def test_another_policy_set_is_another_answer(engine, policies):
    first = policies("package p\n\nallow := true\n")
    second = policies("package p\n\nallow := false\n")
    assert [ask(engine, each).allow for each in (first, second, first)] == [True, False, True]


def test_names_that_json_and_rego_read_differently(engine, policies):
    loaded = policies("package p\n\ndeny contains key if some key in object.keys(input)\n")
    names = ["é", "a b", 'quote"', "new\nline", "\u2028", "<undefined>", "😀"]
    assert sorted(each.msg for each in ask(engine, loaded, dict.fromkeys(names, 1)).deny) == sorted(names)


def test_a_message_of_that_text_is_no_undefined_answer(engine, policies):
    answer = ask(engine, policies('package p\n\ndeny contains "<undefined>"\n'))
    assert [each.msg for each in answer.deny] == ["<undefined>"]


def test_the_engines_say_who_they_are(engine, request):
    kind = request.node.callspec.params["engine"]
    assert engine.name == kind
    assert engine.version == {"embedded": "0.13.0"}.get(kind, engine.version)
    assert engine.version.count(".") == 2


def test_the_reference_policy(engine, policies, evidence, limits):
    from pathlib import Path

    text = Path(__file__).with_name("data").joinpath("model_approval.rego").read_text(encoding="utf-8")
    loaded = policies(text)
    answer = ask(engine, loaded, evidence, limits)
    assert (answer.allow, answer.deny, answer.error) == (True, (), None)
    del evidence["metrics"]["accuracy"]
    answer = ask(engine, loaded, evidence, limits)
    assert (answer.allow, [(each.rule, each.path) for each in answer.deny]) == (
        False,
        [("model_approval.quality.accuracy", "metrics.accuracy")],
    )
    evidence["metrics"]["accuracy"] = 0.5
    waived = {**limits, "waived": {"model_approval.quality.accuracy": {"reason": "x"}}}
    answer = ask(engine, loaded, evidence, waived)
    assert (answer.allow, answer.deny, answer.waived) == (True, (), ("model_approval.quality.accuracy",))


def test_a_moment_that_is_none_is_no_time(engine, policies):
    loaded = policies("package p\n\nallow if time.now_ns() > 0\n")
    with pytest.raises(EngineError, match="evaluated_at is 'soon'"):
        engine.evaluate(loaded, '{"evaluated_at": "soon"}', {}, SECONDS)
    assert entry.moment("[]") > 10**18


@pytest.mark.parametrize("value", [None, 3, {}, {"allow": 1}, {"allow": [1, 2]}, {"allow": [True]}, {"deny": {}}])
def test_an_answer_of_another_shape_is_an_error(policies, value):
    [package] = policies('package p\n\nallow if true\n\ndeny contains "x" if false\n').packages
    assert entry.read_answer(package, value).error is not None


def test_a_set_that_is_no_list_is_an_error(policies):
    [package] = policies('package p\n\ndeny contains "x" if false\n').packages
    assert "expected a set of messages" in entry.read_answer(package, {"deny": [{"a": 1}]}).error


@pytest.mark.parametrize("name", EngineName)
def test_an_engine_by_name(name, opa_binary, policies):
    made = make_engine(name)
    try:
        assert made.name == name.value
        assert ask(made, policies("package p\n\nallow := true\n")).allow is True
    finally:
        made.close()


@pytest.mark.parametrize("name", [EngineName.OPA, EngineName.BOTH])
def test_what_is_absent_is_never_replaced(name, monkeypatch):
    monkeypatch.setattr(engines, "find_opa", _none)
    with pytest.raises(GateUsageError, match="no opa"):
        make_engine(name)


def _none():
    raise GateUsageError("no opa")
