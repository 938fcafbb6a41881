"""The audit log: any line that is changed, dropped, put in or cut off is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest

from pytest_leanml.cli import main
from pytest_leanml.deploy.audit import chained, who
from pytest_leanml.deploy.commands import verify_audit
from pytest_leanml.deploy.journal import Journal, Release, State
from pytest_leanml.errors import GateUsageError


@pytest.fixture
def store(tmp_path):
    """A journal with events of two models, whose lines lie between each other."""
    journal = Journal(f"sqlite:///{tmp_path / 'leanml.db'}")
    for number in range(3):
        for model in ("flights", "mortgage"):
            release = Release(f"key{number}", f"run{number}", model, {"evidence": "sha256:aa", "decision": "sha256:bb"})
            journal.write(release, "hook one", State.INTENT, "attempt 1 of 1")
            journal.tell(release, "hook one", "traffic split", json.dumps({"canary": 5}))
            journal.write(release, "hook one", State.DONE)
    journal.close()
    return tmp_path / "leanml.db"


def _problems(store):
    journal = Journal(f"sqlite:///{store}")
    try:
        return journal.verify()
    finally:
        journal.close()


def _change(store, *statements):
    with closing(sqlite3.connect(store)) as database, database:
        for statement in statements:
            database.execute(statement)


def _rows(store, query):
    with closing(sqlite3.connect(store)) as database:
        return list(database.execute(query))


def test_a_whole_log_tells_who_did_what_when_and_why(store):
    problems, heads = _problems(store)
    assert problems == []
    assert [(each.model, each.number) for each in heads] == [("flights", 9), ("mortgage", 9)]
    bodies = [json.loads(row[0]) for row in _rows(store, "SELECT body FROM leanml_audit WHERE model = 'flights'")]
    assert {key: bodies[1][key] for key in ("event", "facts", "step", "run_id")} == {
        "event": "traffic split",
        "facts": '{"canary": 5}',
        "step": "hook one",
        "run_id": "run0",
    }
    assert (bodies[0]["evidence"], bodies[0]["decision"]) == ("sha256:aa", "sha256:bb")
    assert bodies[0]["who"] == who()
    assert bodies[0]["at"].endswith("Z")


def test_the_chain_is_plain_sha_256(store):
    """Worked out without our code, as an auditor would."""
    previous = ""
    for body, own in _rows(store, "SELECT body, hash FROM leanml_audit WHERE model = 'mortgage' ORDER BY number"):
        previous = hashlib.sha256(previous.encode() + b"\n" + body.encode()).hexdigest()
        assert own == previous


def _every_spoil():
    where = "WHERE model = 'flights' AND number = {0}"
    for number in range(1, 10):
        at = where.format(number)
        yield f"change {number}", [f"UPDATE leanml_audit SET body = replace(body, 'one', 'two') {at}"]
        yield f"drop {number}", [f"DELETE FROM leanml_audit {at}"]
        yield f"rehash {number}", [f"UPDATE leanml_audit SET hash = '00' {at}"]
    yield (
        "put in",
        ["INSERT INTO leanml_audit (model, number, body, previous, hash) VALUES ('flights', 10, '{}', '', '')"],
    )
    yield "head gone", ["DELETE FROM leanml_audit_heads WHERE model = 'flights'"]
    yield "head back", ["UPDATE leanml_audit_heads SET number = 8 WHERE model = 'flights'"]
    yield "journal line gone", ["DELETE FROM leanml_steps WHERE id = 3"]
    yield "journal tail gone", ["DELETE FROM leanml_steps WHERE id = 12"]
    yield "journal line changed", ["UPDATE leanml_steps SET state = 'undone' WHERE id = 4"]
    yield "log gone", ["DELETE FROM leanml_audit", "DELETE FROM leanml_audit_heads"]
    yield "log of one gone", [f"DELETE FROM leanml_audit{x} WHERE model = 'flights'" for x in ("", "_heads")]


@pytest.mark.parametrize(
    ("name", "spoil"), list(_every_spoil()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_whatever_is_done_to_the_log_is_found(store, name, spoil):
    _change(store, *spoil)
    assert _problems(store)[0], name


def test_a_tail_that_was_cut_with_its_head_is_found_by_the_journal(store):
    (own,) = _rows(store, "SELECT hash FROM leanml_audit WHERE model = 'flights' AND number = 8")
    _change(
        store,
        "DELETE FROM leanml_audit WHERE model = 'flights' AND number = 9",
        f"UPDATE leanml_audit_heads SET number = 8, hash = '{own[0]}' WHERE model = 'flights'",
    )
    assert _problems(store)[0] == ["flights: line 10 of the journal is not in the log"]


def test_a_new_chain_with_its_journal_is_found_by_a_head_that_was_noted(store, tmp_path):
    """What nothing in the store can show: somebody wrote all of it anew."""
    config = tmp_path / "leanml.yaml"
    config.write_text(f"version: 1\nmodel: flights\nstore: {{journal: 'sqlite:///{store}'}}\n")
    text, status = verify_audit([], config, None)
    heads = [line.rpartition(" ")[2] for line in text.splitlines()]
    assert (status, len(heads)) == (0, 2)
    assert verify_audit(heads, config, None)[1] == 0
    body = json.dumps({"number": 1, "model": "flights"})
    _change(
        store,
        "DELETE FROM leanml_audit WHERE model = 'flights'",
        "DELETE FROM leanml_steps WHERE model = 'flights'",
        f"INSERT INTO leanml_audit (model, number, body, previous, hash) VALUES ('flights', 1, '{body}', '', '{chained('', body)}')",
        f"UPDATE leanml_audit_heads SET number = 1, hash = '{chained('', body)}' WHERE model = 'flights'",
    )
    assert verify_audit([], config, None)[1] == 0
    text, status = verify_audit(heads, config, None)
    assert (status, "that was noted is not in the log" in text) == (20, True)
    with pytest.raises(GateUsageError, match="MODEL=NUMBER:HASH"):
        verify_audit(["flights"], config, None)


def test_a_journal_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(GateUsageError, match="there is no journal"):
        verify_audit([], tmp_path / "none.yaml", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not list(tmp_path.iterdir())


def test_lines_from_before_the_log_are_let_be(store):
    _change(store, "DELETE FROM leanml_audit WHERE model = 'flights'", "DELETE FROM leanml_audit_heads")
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM leanml_audit")
    journal = Journal(f"sqlite:///{store}")
    for model in ("flights", "mortgage"):
        journal.write(Release.of("new", model), "hook one", State.INTENT)
    problems, heads = journal.verify()
    journal.close()
    assert problems == []
    assert {each.number for each in heads} == {1}


def test_the_command_tells_and_its_status_is_for_scripts(store, tmp_path, capsys):
    config = tmp_path / "leanml.yaml"
    config.write_text(f"version: 1\nmodel: flights\nstore: {{journal: 'sqlite:///{store}'}}\n")
    assert main(["verify", "--audit", "--config", str(config)]) == 0
    assert "flights: 9 events, head flights=9:" in capsys.readouterr().out
    _change(store, "DELETE FROM leanml_audit WHERE number = 4")
    assert main(["verify", "--audit", "--config", str(config)]) == 20
    assert "flights: event 4 is missing" in capsys.readouterr().out
    assert main(["verify"]) == 4
    assert "DIR, or --audit" in capsys.readouterr().err


def test_ci_says_better_who_it_was(monkeypatch):
    monkeypatch.setenv("GITHUB_ACTOR", "ada")
    monkeypatch.setenv("CI_JOB_URL", "https://ci/7")
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    told = who()
    assert (told["actor"], told["job"]) == ("ada", "https://ci/7")
    monkeypatch.setattr("getpass.getuser", lambda: {}["no such user"])
    assert who()["user"].isdigit()
