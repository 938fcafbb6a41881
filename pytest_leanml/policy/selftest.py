"""The built-ins that the shipped policies use, each with an answer that is known.

The embedded engine is maintained by one person; a wheel of it that answers differently must not decide anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.errors import EngineError

if TYPE_CHECKING:
    from pytest_leanml.policy.process import Worker

SECONDS = 10.0
# Each expression is true in Rego v1.
KNOWN = {
    "abs": "abs(-0.5) == 0.5",
    "array.concat": "array.concat([1], [2, 3]) == [1, 2, 3]",
    "concat": 'concat(" and ", ["a", "b"]) == "a and b"',
    "contains": 'contains("abc", "bc")',
    "count": "count({1, 2, 2}) == 2",
    "endswith": 'endswith("abc", "bc")',
    "floor": "floor(1.6) == 1",
    "is_array": 'is_array([]); not is_array("x")',
    "is_boolean": "is_boolean(false); not is_boolean(0)",
    "is_null": "is_null(null); not is_null(0)",
    "is_number": 'is_number(0.5); not is_number("0.5"); not is_number(null)',
    "is_object": "is_object({}); not is_object([])",
    "is_set": "is_set({1}); not is_set([1])",
    "is_string": 'is_string(""); not is_string(0)',
    "json.marshal": 'json.marshal({"min": 0.85}) == `{"min":0.85}`',
    "json.patch": 'json.patch({"a": 1}, [{"op": "remove", "path": "/a"}]) == {}',
    "lower": 'lower("ABC") == "abc"',
    "max": "max([1, 3, 2]) == 3",
    "min": "min([2, 1, 3]) == 1",
    "object.get": 'object.get({"a": {"b": 1}}, ["a", "b"], null) == 1; object.get({}, ["a", "b"], 7) == 7',
    "object.keys": 'object.keys({"a": 1, "b": 2}) == {"a", "b"}',
    "object.remove": 'object.remove({"a": 1, "b": 2}, ["a"]) == {"b": 2}',
    "object.union": 'object.union({"a": 1}, {"b": 2}) == {"a": 1, "b": 2}',
    "object.union_n": 'object.union_n([{"a": 1}, {"b": 2}, {"a": 3}]) == {"a": 3, "b": 2}',
    "regex.match": r"regex.match(`^\d{4}-\d\d$`, `2026-11`); not regex.match(`^\d$`, `x`)",
    "replace": 'replace("a-b", "-", "_") == "a_b"',
    "round": "round(1.6) == 2",
    "split": 'split("a[b", "[") == ["a", "b"]',
    "sprintf": 'sprintf("%s is %v", ["a", 0.5]) == "a is 0.5"',
    "startswith": 'startswith("abc", "ab")',
    "substring": 'substring("abcd", 1, 2) == "bc"; substring("abcd", 2, -1) == "cd"',
    "sum": "sum([1, 2]) == 3",
    "time.now_ns": "time.now_ns() == 7 with time.now_ns as 7",
    "time.parse_rfc3339_ns": 'time.parse_rfc3339_ns("1970-01-02T00:00:00Z") == 86400000000000',
    "to_number": 'to_number("1.5") == 1.5',
    "trim_prefix": 'trim_prefix("gate.x", "gate.") == "x"',
    "trim_suffix": 'trim_suffix("x.rego", ".rego") == "x"',
    "trim_space": 'trim_space(" x ") == "x"',
    "type_name": 'type_name([]) == "array"',
    "upper": 'upper("abc") == "ABC"',
}


def check_builtins(worker: Worker) -> None:
    """Let the embedded engine answer what is known.

    Raises:
        EngineError: it does not; names the built-ins.
    """
    names = list(KNOWN)
    rules = "\n".join(f"known_{index} if {{ {KNOWN[name]} }}" for index, name in enumerate(names))
    worker.call("load", [["selftest.rego", f"package selftest\n\n{rules}\n"]], timeout=SECONDS)
    asked = [f"data.selftest.known_{index}" for index in range(len(names))]
    answers = worker.call("evaluate", "{}", "{}", asked, timeout=SECONDS)
    if len(answers) != len(names):
        raise EngineError(f"the embedded engine gave {len(answers)} answers to {len(names)} questions")
    wrong = [name for name, answer in zip(names, answers, strict=True) if answer.get("value") is not True]
    if wrong:
        raise EngineError(
            f"the embedded engine {worker.version} answers wrongly: {', '.join(wrong)}",
            "the version that pytest-leanml asks for",
            "python -m pip install --force-reinstall pytest-leanml, or --gate-engine opa",
        )
