"""What the engines read differently is no answer, and what they read alike is one."""

from __future__ import annotations

import json

import pytest

from pytest_leanml.policy.both import BothEngine

# Differ with `input.x` absent: opa leaves the rule undefined, the embedded engine lets it hold.
DIFFER = [
    "not is_number(input.x)",
    "not input.x >= 1",
    'not input.x != "a"',
    "not input.x != `a`",
    "not input.x in {1, 2}",
    "not 1 in input.x",
    'not startswith(input.x, "a")',
    "not f(input.x)",
    "not f(g(input))",
    "not input.x + 1 > 2",
    "not abs(input.x) < 1",
    "not object.get(input.x, 1, 1) == 2",
    "not [input.x]",
    "not [input.x] == [1]",
    "not m.y >= 1",
    "not is_number(data.p.h) ",
    'some k in ["x"]; not is_number(input[k])',
    "y := input; not is_number(y.x)",
    'not is_string(input.x) with input as {"z": "é"}',
    "count([1 | not is_number(input.x)]) == 1",
    "not count([1 | not is_number(input.x)]) == 2; not is_number(input.x)",
]  # fmt: skip
# The same in both, absent or not.
ALIKE = [
    "not input.x",
    "not input.x == 7",
    "not input.x.y.z",
    "not ok",
    "not h == 1",
    'not is_number(object.get(input, "x", null))',
    "not every_one",
    "not count([1 | input.x > 3]) > 0",
    'some y in ["a"]; not is_number(y)',
]  # fmt: skip
HELP = """
f(x) if x == 1

g(x) := x.x

h := input.x

ok if is_number(input.x)

every_one if every x in input.x { x > 1 }
"""


def allow(body):
    return f"package p\n\nimport input as m\n\nallow if {{ {body} }}\n\nm_used if m.x\n{HELP}"


def deny(body):
    return f'package p\n\nimport input as m\n\ndeny contains "é" if {{ {body} }}\n\nm_used if m.x\n{HELP}'


@pytest.mark.parametrize("text", [allow, deny])
@pytest.mark.parametrize("body", DIFFER)
def test_what_differs_is_an_error(embedded, opa, policies, text, body):
    loaded = policies(text(body))
    [reference] = opa.evaluate(loaded, "{}", {}, 20.0)
    [answer] = embedded.evaluate(loaded, "{}", {}, 20.0)
    assert (reference.allow, reference.deny, reference.error) == (None, (), None)
    assert answer.error is not None
    assert "negates a call or comparison of an absent value" in answer.error
    assert (answer.allow, answer.deny) == (None, ())


@pytest.mark.parametrize("body", [body for body in [*DIFFER, *ALIKE] if "with input" not in body])
def test_what_is_there_is_read_alike(embedded, opa, policies, body):
    loaded = policies(deny(body))
    for value in (1, 7, "a", {"y": {"z": 1}}, None):
        document = json.dumps({"x": value, "y": 3})
        [answer] = embedded.evaluate(loaded, document, {}, 20.0)
        [reference] = opa.evaluate(loaded, document, {}, 20.0)
        assert (answer.error is None, answer.deny) == (reference.error is None, reference.deny), value


@pytest.mark.parametrize("body", ALIKE)
def test_what_is_absent_and_read_alike(embedded, opa, policies, body):
    [answer] = BothEngine(embedded, opa).evaluate(policies(deny(body)), "{}", {}, 20.0)
    assert answer.error is None


def test_the_reading_is_kept_for_own_policies_only(policies):
    loaded = policies(deny("not is_number(input.x)"), shipped=("limits",))
    assert [file.logical for file in loaded.files if file.other] == ["p0.rego"]
    [file] = policies(deny("not input.x")).files
    assert file.other is None


def test_one_package_is_not_blamed_for_another(embedded, policies):
    loaded = policies("package a\n\nallow if not is_number(input.x)\n", "package b\n\nallow if not input.x\n")
    first, second = embedded.evaluate(loaded, "{}", {}, 20.0)
    assert first.error is not None
    assert (second.allow, second.error) == (True, None)
