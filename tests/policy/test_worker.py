"""The worker's own loop, spoken to as the supervisor does; not isolated here, so that its coverage is seen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

ALLOW = "package release\n\nallow if input.accuracy >= data.least\n\nbroken := 1 / input.zero\n"
OLD = "package release\n\nallow { input.accuracy >= 0.9 }\n"


def ask(*requests, seconds=5):
    """Send one line per request and hang up; returns the greeting and the answers."""
    lines = [
        json.dumps({"call": call, "arguments": arguments, "seconds": seconds}) + "\n" for call, *arguments in requests
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "from pytest_leanml.policy.worker import main; main()"],
        input="".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.returncode


def test_it_says_which_engine_it_is_and_ends_when_the_other_side_hangs_up():
    answers, status = ask()
    assert status == 0
    assert answers[0]["result"].count(".") == 2


def test_rules_are_values_undefined_or_errors():
    rules = ["data.release.allow", "data.release.broken", "data.release.absent"]
    load = ("load", [["a.rego", ALLOW]])
    (_, loaded, first, again), _ = ask(
        load,
        ("evaluate", '{"accuracy": 0.95, "zero": 0}', '{"least": 0.9}', rules[:2]),
        ("evaluate", '{"accuracy": 0.5, "zero": 1}', '{"least": 0.9}', rules[:2]),
    )
    assert loaded == {"result": ["data.release"]}
    assert first["result"][0] == {"value": True}
    assert again["result"] == [{}, {"value": 1}]
    (_, _, absent), _ = ask(load, ("evaluate", "{}", "{}", rules[2:]))
    assert "error" in absent["result"][0]


def test_slots_are_apart():
    (*_, one, other), _ = ask(
        ("load", [["a.rego", "package a\nx := 1"]], 0),
        ("load", [["a.rego", "package a\nx := 2"]], 1),
        ("evaluate", "{}", "{}", ["data.a.x"], 0),
        ("evaluate", "{}", "{}", ["data.a.x"], 1),
    )
    assert (one, other) == ({"result": [{"value": 1}]}, {"result": [{"value": 2}]})


def test_a_file_that_does_not_parse_says_whether_it_is_of_the_old_language():
    (_, parsed), _ = ask(("parse", [["new.rego", ALLOW], ["old.rego", OLD], ["none.rego", "package\n{"]]))
    new, old, none = parsed["result"]
    assert set(new) == {"ast"}
    assert (old["v0"], none["v0"]) == ("yes", "")


def test_what_cannot_be_loaded_is_an_answer_not_a_death():
    (_, refused, parsed), status = ask(("load", [["a.rego", "nonsense"]]), ("parse", [["a.rego", ALLOW]]))
    assert "nonsense" in refused["error"]
    assert "ast" in parsed["result"][0]
    assert status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="alarms are of POSIX")
def test_an_evaluation_that_is_late_is_ended_by_the_kernel():
    slow = (
        "package slow\n\nx := count([1 | some i in numbers.range(1, 5000); some j in numbers.range(1, 5000); i < j])\n"
    )
    answers, status = ask(("load", [["a.rego", slow]]), ("evaluate", "{}", "{}", ["data.slow.x"]), seconds=0.3)
    assert len(answers) == 2
    assert status == -signal.SIGALRM
