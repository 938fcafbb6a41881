from __future__ import annotations

import json

import pytest

from pytest_leanml.evidence.ledger import LedgerWriter, read_ledger
from pytest_leanml.excuses import Allowance
from pytest_leanml.recorder import Recorder

GOOD = "def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n"


@pytest.fixture
def conftest(pytester):
    """Return a function that gates one good check beside a conftest; returns the decision's own rules."""

    def write(text, test=GOOD):
        pytester.makepyfile(test_it=test)
        pytester.makeconftest(text)

    return write


def messages(decision):
    return " ".join(each["message"] for each in decision["reasons"])


def test_a_good_check_has_nothing_against_it(conftest, shown):
    conftest("")
    result, decision = shown()
    result.assert_outcomes(passed=1)
    assert (decision["own"], int(result.ret)) == (set(), 20)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def pytest_collection_finish(session): session.items.clear()", "G1.not_run"),
        ("def pytest_collection_modifyitems(items): items.clear()", "G1.not_run"),
        ("def pytest_runtest_setup(item): item.session.shouldstop = 'enough'", "G4.stopped"),
        ("def pytest_runtest_setup(item): item.session.shouldfail = 'enough'", "G4.stopped"),
        ("def pytest_runtest_call(item): __import__('pytest').exit('out', 0)", "G4.interrupt"),
        ("def pytest_runtest_logreport(report): raise ValueError('mine')", "G4.internal_error"),
        ("def pytest_runtest_logreport(report): report.outcome = ''", "G1.not_run"),
    ],
)
def test_what_keeps_a_check_from_running_denies(conftest, shown, text, rule):
    conftest(text)
    _, decision = shown()
    assert rule in decision["own"], decision["own"]


def test_a_broken_module_beside_a_check_denies(conftest, shown, pytester):
    conftest("")
    pytester.makepyfile(test_broken="import nowhere\n")
    _, decision = shown("--continue-on-collection-errors")
    assert "G4.collection" in decision["own"]
    assert "test_broken.py could not be collected" in messages(decision)


def test_deselected_checks_are_written_down_and_deny(conftest, shown):
    conftest("", GOOD + "\ndef test_other(evidence):\n    assert evidence.record('other', 3.0) <= 3.5\n")
    result, decision = shown("-k", "cost")
    result.assert_outcomes(passed=1, deselected=1)
    assert decision["own"] == {"G1.not_run"}


def test_a_marker_that_comes_late_makes_a_check(conftest, shown):
    conftest(
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        "    [i.add_marker(pytest.mark.serving_check(id='late')) for i in items if i.name == 'test_late']\n",
        GOOD + "\ndef test_late(): pass\n",
    )
    _, decision = shown()
    assert ("late", "G1.error") in {(each["check"], each["rule"]) for each in decision["reasons"]}


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("evidence.record('x', 1.0)\n    try: evidence.record('x', 2.0)\n    except Exception: pass", "recorded twice"),
    ],
)
def test_a_value_that_was_recorded_twice_denies(conftest, shown, body, note):
    conftest("", f"def test_it(evidence):\n    {body}\n")
    _, decision = shown()
    assert note in messages(decision)


def test_a_fact_goes_into_the_evidence_as_the_users(conftest, shown, pytester, plain):
    conftest("", GOOD + "    evidence.fact('bias.demographic_parity', 0.04)\n")
    plain().assert_outcomes(passed=1)
    _, decision = shown()
    assert decision["own"] == set()
    evidence = json.loads((pytester.path / ".leanml" / "evidence.json").read_text())
    assert evidence["bias"] == {"demographic_parity": 0.04}


class Item:
    """What the recorder reads of an item."""

    def __init__(self):
        self.nodeid, self.stash = "test_it.py::test_it", pytest.Stash()


def test_another_value_of_a_measurement_that_is_not_the_users_is_noted(tmp_path):
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.excuses import take

    recorder, item = Recorder(LedgerWriter(tmp_path, "main"), Allowance()), Item()
    for value in (0.5, 0.6, 0.5):
        made = MeasurementRecord("quality.accuracy", "accuracy", value)
        recorder.measurement(item, made)
        if value == 0.5:
            take(item, made)
    recorder.finish(0)
    seen = read_ledger(tmp_path).processes["main"]
    assert seen.items[item.nodeid].notes == ("quality.accuracy has two values, 0.5 and 0.6",)
    assert seen.final == 0


class Node:
    """An xdist worker, as the controller sees it."""

    class gateway:  # noqa: N801 - as execnet spells it
        id = "gw0"


def test_workers_are_seen_coming_and_going(tmp_path):
    recorder = Recorder(LedgerWriter(tmp_path, "main"), Allowance())
    recorder.pytest_testnodeready(Node)
    recorder.pytest_testnodedown(Node, "crashed")
    seen = read_ledger(tmp_path).processes["main"]
    assert (seen.up, seen.down) == (("gw0",), {"gw0": "crashed"})


def test_workers_of_a_gate_keep_ledgers_of_their_own(gate, pytester):
    pytester.makepyfile(
        test_it=GOOD + "\nimport pytest\n@pytest.mark.parametrize('x', range(6))\n"
        "def test_many(evidence, x):\n    assert evidence.record(f'x{x}', x) < 6\n"
    )
    result, decision = gate("-n2")
    assert (result.ret, decision["verdict"]) == (0, "ALLOW")
    evidence = json.loads((pytester.path / ".leanml" / "evidence.json").read_text())
    assert (evidence["run"]["workers"], len(evidence["checks"])) == (2, 7)


def test_workers_of_a_run_with_plugin_objects_record_and_decide_nothing(pytester):
    pytester.makepyfile(test_it=GOOD)
    script = pytester.makepyfile(
        run="import pytest\nclass P: pass\nif __name__ == '__main__':\n"
        "    print('status', int(pytest.main(['--model-gate', '-n2', '-p', 'no:randomly'], plugins=[P()])))\n"
    )
    result = pytester.runpython(script)
    decision = json.loads((pytester.path / ".leanml" / "decision.json").read_text())
    result.stdout.fnmatch_lines(["*1 passed*", "*status 20"])
    assert [each["rule"] for each in decision["reasons"]] == ["G3.plugin_objects"]
    assert decision["mode"] == "dry-run"
    assert result.stdout.str().count("model gate: ") == 1
