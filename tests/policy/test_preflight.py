"""What a policy set must be before it is believed."""

from __future__ import annotations

import re

import pytest

from pytest_leanml.errors import PolicyError
from pytest_leanml.policy.builtins import arities, refusal

HEAD = "package p\n\n"


def refused(policies, *texts):
    with pytest.raises(PolicyError) as caught:
        policies(*texts)
    return caught.value


CASES = {
    "no syntax": ("allow if { x = }", "does not parse", 3),
    "v0 body": ("allow { input.x == 1 }", "Rego v0", 3),
    "v0 set": ('deny[msg] { msg := "x" }', "Rego v0", 3),
    "template string": ('deny contains $"{input.x}"', "does not parse", 3),
    "unsafe variable": ("allow if true\n\nother if not y", "does not compile", 5),
    "unknown function": ("allow if nofn(1)", "nofn is neither a function", 3),
    "unknown function that is never reached": ("allow if { input.x > 5; foo.bar(1) }", "foo.bar is neither", 3),
    "unknown function of a package": ("allow if data.p.nofn(1)", "neither a function", 3),
    "value called": ("allow if value(1)\n\nvalue := 1", "neither a function", 3),
    "network": ('allow if http.send({"method": "get", "url": "x"}).x', "reads the network", 3),
    "machine": ('allow if opa.runtime().env.X == "1"', "reads the machine", 3),
    "dice": ('allow if rand.intn("x", 2) == 1', "rolls dice", 3),
    "only in opa": ('allow if crypto.sha256("x") == "y"', "both engines", 3),
    "too few arguments": ("allow if abs() == 1", "abs is given 0 arguments", 3),
    "too many arguments": ("allow if abs(1, 2, 3)", "abs is given 3 arguments", 3),
    "clock with argument": ("allow if time.now_ns(1, 2)", "time.now_ns is given 2", 3),
    "second default": ("default allow := false\n\ndefault allow := true", "a second default of p.allow", 5),
    "exception": ('exception contains "x"\n\nallow if true', "`exception` would excuse", 3),
    "exception with suffix": ('exception_x contains "x"\n\nallow if true', "`exception_x` would excuse", 3),
    "deny that is true": ("deny if input.x", "`deny` is a value", 3),
    "deny that is text": ('deny := "x" if input.x', "`deny` is a value", 3),
    "deny that is a conditional set": ('deny := {"x"} if input.x', "`deny` is a value", 3),
    "deny with default": ("default deny := false", "`deny` is a default", 3),
    "deny that is an object": ('deny[x] := 1 if x := "a"', "`deny` is a key of an object", 3),
    "deny below": ('deny.x contains "a"', "`deny` is a set", 3),
    "deny function": ("deny(x) := x", "`deny` is a function", 3),
    "violation that is true": ("violation if input.x", "`violation` is a value", 3),
    "deny_x that is true": ("deny_x if input.x", "`deny_x` is a value", 3),
    "warn that is text": ('allow if true\n\nwarn := "x"', "`warn` is a value", 5),
    "waived that is an object": ("allow if true\n\nwaived := {}", "`waived` is a value", 5),
    "allow that is a set": ('allow contains "x"', "`allow` is a set", 3),
    "allow that is an object": ("allow.x := true", "`allow` is a key of an object", 3),
    "allow function": ("allow(x) := x", "`allow` is a function", 3),
    "nothing defines it": ("allow if not data.q.denied", "nothing defines data.q.denied", 3),
    "unknown rule of a package": ("allow if data.p.alow", "nothing defines data.p.alow", 3),
    "unknown import": ("import data.q\n\nallow if not q.denied", "nothing defines data.q", 3),
    "unknown below an import": ("import data.p as me\n\nallow if not me.denied", "nothing defines data.p.denied", 5),
    "unused import": ("import data.p as me\n\nallow if true", "the import data.p is not used", 3),
    "one alias twice": ("import data.p as x\nimport input.y as x\n\nallow if x", "this import is shadowed", 4),
    "import hides input": ("import data.p as input\n\nallow if input.x", "hides `input`", 3),
    "rule hides data": ("data := 1\n\nallow if true", "data cannot be shadowed", 3),
    "variable hides input": ("allow if { input := 1; input == 1 }", "does not parse: input cannot be shadowed", 3),
    "unused variable": ("allow if { limit := 5; input.x < 6 }", "limit is assigned and never used", 3),
    "unused part of a pattern": ("allow if { [a, b] := input.x; a == 1 }", "b is assigned and never used", 3),
    "unused value of an object": ('allow if { {"k": v} := input.x }', "v is assigned and never used", 3),
    "recursion": ("allow if not other\n\nother if not allow", "a recursion: p.allow -> p.other -> p.allow", 3),
    "recursion of a function": ("allow if f(1) == 1\n\nf(x) := f(x + 1)", "a recursion: p.f -> p.f", 5),
    "recursion over data": ("allow if count(data.p.deny) == 0\n\ndeny contains data.p.allow", "a recursion", 3),
    "recursion over the package": ("allow if count(data.p) == 0", "a recursion: p.allow -> p.allow", 3),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refused_with_its_place(policies, case):
    body, said, line = case
    error = refused(policies, HEAD + body + "\n")
    assert said in str(error)
    assert (error.file, error.line) == ("p0.rego", line)
    assert error.expected
    assert error.todo


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("package leanml\n\nallow if true\n",), "where the harness puts its data"),
        (("package leanml.mine\n\nallow if true\n",), "where the harness puts its data"),
        (("package pytest_leanml_entry\n\nallow if true\n",), "is ours"),
        (("package pytest_leanml_entry_moment\n\nallow if true\n",), "is ours"),
        (("package a\n\nallow if true\n\nb := 1\n", "package a.b\n\nallow if true\n"), "overlaps the rule a.b"),
        (("package a\n\ndefault allow := false\n", "package a\n\ndefault allow := true\n"), "the first is in p0.rego"),
        (("package a\n\nallow if data.b.x\n", "package b\n\nx if data.a.allow\n"), "a recursion"),
        (("# METADATA\n# title: [\npackage a\n\nallow if true\n",), "METADATA"),
        (("package a\n\n# METADATA\n# title: [\nallow if true\n",), "METADATA"),
        (("# METADATA\n# just text\npackage a\n\nallow if true\n",), "METADATA is no mapping"),
    ],
)
def test_refused_over_packages(policies, texts, said):
    assert said in str(refused(policies, *texts))


def test_broken_metadata_says_the_line(policies):
    error = refused(policies, "# a comment\n\n# METADATA\n# title: x\n# title: y\npackage a\n\nallow if true\n")
    assert (error.file, error.line) == ("p0.rego", 5)


GOOD = {
    "imports for older opa": "import future.keywords.if\nimport future.keywords.in\n\nallow if true",
    "the other import for older opa": "import rego.v1\n\nallow if true",
    "an import of the input": "import input.metrics as m\n\nallow if m.accuracy > 0",
    "print": 'allow if { print("x", input.x); input.x == 1 }',
    "locals like rules": "limit := other(1)\n\nother(limit) := limit\n\nallow if limit == 1",
    "every like a rule": "x := 1\n\nallow if every x, y in [1] { y == 1; x >= 0 }",
    "some like a rule": "x := 1\n\nallow if { some x; [1, 2][x] == 2 }",
    "result as last argument": "allow if { some n; count([1], n); n == 1 }",
    "whole sets": 'deny := {"x"}\n\nwarn := set()\n\nwaived := {x | some x in ["a"]}',
    "helper functions": 'deny_text(x) := x\n\ndeny contains deny_text("x")\n\nwarn_text(x) := x',
    "harness data": "allow if data.leanml.thresholds.x.min > 0",
    "any package": "allow if { some name; data.leanml[name] }",
    "else": "allow := true if { input.x } else := false",
    "underscore": "allow if { [_, b] := input.x; _c := b; b == 1 }",
    "objects in brackets": 'allow if {"a": 1}[input.x]',
    "with": "allow if other with input as {}\n\nother if not input.x",
    "function default": "default f(_) := 1\n\nf(x) := 2 if x == 2\n\nallow if f(1) == 1",
    "metadata of a rule": "# METADATA\n# title: x\nallow if true",
    "bracketed rule": 'facts["a b"] := 1\n\nallow if facts["a b"] == 1',
    "not ascii": '# é\nimport input.metrics as m\n\ndeny contains "é" if { some k; m[k] == "é" }',
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD.keys())
def test_accepted_and_opa_agrees(policies, opa, body):
    loaded = policies(HEAD + body + "\n")
    [answer] = opa.evaluate(loaded, '{"metrics": {}}', {}, 20.0)
    assert answer.error is None


def test_a_package_with_a_name_in_brackets(policies, engine):
    loaded = policies('package a["b c"]\n\nallow if true\n')
    [answer] = engine.evaluate(loaded, "{}", {}, 20.0)
    assert (answer.package, answer.allow) == ('a["b c"]', True)


def test_every_rule_that_conftest_would_run_decides(policies):
    [package] = policies(
        'package p\n\nviolation contains {"msg": "v"}\n\ndeny_two contains "x"\n\nwarn_me contains "y"\n'
    ).packages
    assert (package.allow, package.denials, package.warnings) == (False, ("deny_two", "violation"), ("warn_me",))


def test_why_a_builtin_is_refused():
    assert "reads the network" in refusal("net.lookup_ip_addr")
    assert "http.send" not in arities()
    assert arities()["time.now_ns"] == 0
    assert arities()["print"] is None


def test_the_capabilities_hold_nothing_that_answers_differently_twice():
    assert not re.findall(r"http|rand|runtime|lookup|rfc4122", " ".join(arities()))
