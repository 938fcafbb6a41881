from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from pytest_leanml.conclusion import Conclusion, Stopwatch
from pytest_leanml.decision import Decision
from pytest_leanml.errors import ExitStatus, UndecidedError
from pytest_leanml.handover import Handover
from pytest_leanml.vocabulary import Mode, Verdict

GOOD = "def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n"
MODEL = "version: 1\nmodel: flights\nrequire: [test_it.test_cost]\n"


def aliases(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return dict(database.execute("SELECT alias, version FROM registered_model_aliases"))


def recorded(root):
    """The verdicts that the registry remembers of the candidate, version 3."""
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        found = database.execute(
            "SELECT value FROM model_version_tags WHERE version = 3 AND key LIKE 'leanml.decision.%'"
        )
        return [json.loads(value)["verdict"] for (value,) in found]


@pytest.fixture
def promoting(registered, pytester):
    """A project that gates version 3 of the registry's model by one test."""
    (registered / "leanml.yaml").write_text(MODEL)
    pytester.makepyfile(test_it=GOOD)
    return registered


def test_an_allow_moves_the_alias_and_is_recorded(promoting, gate):
    result, decision = gate()
    assert (result.ret, decision["verdict"], aliases(promoting)["champion"]) == (0, "ALLOW", 3)
    assert decision["alias"] == {"name": "champion", "version": "1"}
    assert set(decision["timings"]) >= {"snapshot", "engine start", "tests", "policy", "record", "deploy"}
    assert recorded(promoting) == ["ALLOW"]


def test_a_deny_moves_nothing_and_is_recorded(promoting, gate, pytester):
    pytester.makepyfile(test_it=GOOD.replace("3.5", "2.5"))
    result, decision = gate()
    assert (result.ret, decision["verdict"], aliases(promoting)["champion"]) == (1, "DENY", 1)
    assert recorded(promoting) == ["DENY"]


@pytest.mark.parametrize(
    ("flag", "status"),
    [
        ("--gate-dry-run", 1),
        ("--gate-report-only", 0),
    ],
)
def test_modes_that_act_on_nothing(promoting, gate, pytester, flag, status):
    pytester.makepyfile(test_it=GOOD.replace("3.5", "2.5"))
    result, decision = gate(flag)
    assert (result.ret, decision["mode"], aliases(promoting)["champion"]) == (status, "dry-run", 1)
    assert recorded(promoting) == []


def test_no_deploy_allows_in_full_and_moves_nothing(promoting, gate):
    result, decision = gate("--gate-no-deploy")
    assert (result.ret, decision["verdict"], decision["mode"]) == (0, "ALLOW", "enforce")
    assert aliases(promoting)["champion"] == 1
    assert recorded(promoting) == ["ALLOW"]


def test_a_registry_that_is_gone_when_the_decision_is_recorded_makes_it_no_allow(promoting, gate, pytester):
    pytester.makepyfile(test_it="import pathlib\n" + GOOD + "    pathlib.Path('mlflow.db').write_text('gone')\n")
    result, decision = gate()
    assert (result.ret, decision["verdict"]) == (21, "DENY")
    assert "registry.record" in {each["rule"] for each in decision["reasons"]}


def test_a_champion_that_moved_meanwhile_is_not_beaten(promoting, gate, pytester):
    move = "UPDATE registered_model_aliases SET version = 2 WHERE alias = 'champion'"
    pytester.makepyfile(
        test_it="import sqlite3\n" + GOOD + f'    with sqlite3.connect("mlflow.db") as db: db.execute("{move}")\n'
    )
    result, decision = gate()
    assert (result.ret, decision["verdict"], aliases(promoting)["champion"]) == (20, "DENY", 2)
    assert recorded(promoting) == ["DENY"]


class Screen:
    """Remembers what was said."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda *args, **more: self.said.append((name, *args))


@pytest.fixture
def conclusion(pytester):
    """A conclusion after a snapshot of an empty project, whose engine is closed at the end."""
    from pytest_leanml.options import read_options

    config = pytester.parseconfig()
    folder = pytester.path / "private"
    folder.mkdir()
    with Conclusion.prepare(config, read_options(config, config.option), "01RUN", folder) as made:
        made._screen = Screen()
        (pytester.path / ".leanml").mkdir()
        yield made


DECISION = Decision("01RUN", Verdict.ALLOW, Mode.ENFORCE, "production", "2026-11-24T00:00:00Z")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ExitStatus.ALLOW, (Verdict.ALLOW, 0, True)),
        (ExitStatus.HOOK_FAILED, (Verdict.ALLOW, 22, False)),
        (ExitStatus.UNKNOWN, (Verdict.ALLOW, 23, False)),
        (ExitStatus.USAGE, (Verdict.DENY, 21, False)),
        (ExitStatus.DENY, (Verdict.DENY, 20, False)),
        (ExitStatus.UNDECIDED, (Verdict.DENY, 21, False)),
    ],
)
def test_how_the_deployer_ended_becomes_the_runs_end(conclusion, outcome, expected):
    decision, status, promoted = conclusion._deployed(DECISION, Handover(outcome, "said"))
    assert (decision.verdict, status, promoted) == expected
    told = [each.message for each in (*decision.reasons, *decision.warnings)]
    assert told == ([] if outcome == ExitStatus.ALLOW else ["said"])


@pytest.mark.parametrize(
    ("acted", "known", "status", "left"),
    [(False, 0, 21, "DENY"), (False, 20, 21, "DENY"), (False, 1, 1, "DENY"), (True, 0, 23, "ALLOW")],
)
def test_a_run_that_stops_before_its_end_leaves_no_allow_that_was_not_acted_on(conclusion, acted, known, status, left):
    conclusion._acted, conclusion._status = acted, known
    conclusion._write(DECISION)
    assert conclusion._stopped(UndecidedError("the disk is full")) == status
    path = conclusion.snapshot.options.output / "decision.json"
    assert json.loads(path.read_text())["verdict"] == left
    assert conclusion._screen.said[-1][0] == "stopped"


def test_where_not_even_a_deny_can_be_written_nothing_is_left(conclusion, monkeypatch):
    conclusion._write(DECISION)

    def full(path, text):
        raise UndecidedError("the disk is full")

    monkeypatch.setattr("pytest_leanml.conclusion.write_whole", full)
    assert conclusion._stopped(UndecidedError("the disk is full")) == 21
    assert not (conclusion.snapshot.options.output / "decision.json").exists()


def test_a_report_that_cannot_be_written_changes_nothing(conclusion):
    from pytest_leanml.evidence.document import build_evidence
    from pytest_leanml.evidence.ledger import read_ledger

    (conclusion.snapshot.options.output / "report.md").mkdir()
    evidence = build_evidence(conclusion.snapshot.context, read_ledger(conclusion.snapshot.folder), 0)
    conclusion._report(DECISION, evidence, 0, promoted=False)
    assert [said[0] for said in conclusion._screen.said] == ["trouble", "verdict"]


def test_an_engine_that_fails_is_undecided(conclusion):
    from pytest_leanml.errors import EngineError
    from pytest_leanml.judge import ChildEnd

    class Broken:
        name, version = "broken", "1"

        def evaluate(self, *_args):
            raise EngineError("it broke")

        def close(self):
            pass

    conclusion._engine.close()
    conclusion._engine = Broken()
    assert conclusion.conclude(ChildEnd(0)) == 21
    written = json.loads((conclusion.snapshot.options.output / "decision.json").read_text())
    assert ("G9.engine", "it broke") in {(each["rule"], each["message"]) for each in written["reasons"]}


def test_a_fault_of_our_own_ends_as_one_message(conclusion, monkeypatch):
    from pytest_leanml.judge import ChildEnd

    monkeypatch.setattr("pytest_leanml.conclusion.judge", lambda **_all: 1 / 0)
    assert conclusion.conclude(ChildEnd(0)) == 21
    assert "ZeroDivisionError" in str(conclusion._screen.said[-1][1])


def test_only_a_run_that_may_promote_acts(conclusion):
    assert conclusion.acts
    options = conclusion.snapshot.options
    for change in ({"dry_run": True}, {"report_only": True}):
        conclusion.snapshot = replace(conclusion.snapshot, options=replace(options, **change))
        assert not conclusion.acts


def test_the_stopwatch_adds_up():
    watch = Stopwatch()
    for _ in range(2):
        with watch.phase("x"):
            pass
    assert set(watch.seconds) == {"x"}
    assert watch.seconds["x"] >= 0
