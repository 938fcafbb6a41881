"""approve, history and rollback as a person types them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from pytest_leanml.deploy.commands import approve, history, rollback, verify_audit
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.errors import GateUsageError, RegistryError, StoreError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly


def _states(project):
    with closing(sqlite3.connect(project.root / "leanml.db")) as database:
        return list(database.execute("SELECT run_id, step, state FROM leanml_steps ORDER BY id"))


def test_an_approval_names_the_bytes(project):
    text = approve("models:/flights/2", "ada", project.config, None)
    ref = project.registry.fetch("models:/flights/2", project.root / "copy")
    assert ref.digest in text
    assert (ref.approval["by"], ref.approval["digest"]) == ("ada", ref.digest)


def test_history_tells_each_decision_on_one_line(project):
    found = history("flights", project.config, None).splitlines()
    assert len(found) == 2
    assert all("ALLOW" in line and "production" in line for line in found)
    assert history("mortgage", project.config, None) == "no decision about mortgage is recorded\n"


@pytest.mark.parametrize("hostile", ["::set-output name=promoted::true", "##[error]x", "\x1b[31mred", "a\n::error::b"])
def test_history_is_obeyed_by_nobody(project, hostile):
    """Whoever may write tags may write anything into them; of a broken record even the time is theirs."""
    with quietly():
        project.client.set_model_version_tag(
            "flights", "2", "leanml.decision.01AAA", json.dumps({"decided_at": hostile})
        )
        project.client.set_model_version_tag("flights", "2", "leanml.decision.::error::x", "{}")
    text = history("flights", project.config, None)
    assert len(text.splitlines()) == 4
    assert "\x1b" not in text
    assert "##[" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_a_rollback_goes_back_under_the_lock_and_is_written_down(project):
    project.deploy()
    text = rollback("flights", None, None, project.config, None)
    assert project.alias == "1"
    assert "names version 1; it was 2" in text
    assert [row[1:] for row in _states(project)[2:]] == [("alias champion", "intent"), ("alias champion", "done")]
    told, status = verify_audit([], project.config, None)
    assert (status, told.startswith("flights: 4 events")) == (0, True)


def test_a_killed_deploy_is_not_resumed_over_a_later_rollback(project):
    project.set_alias("2")
    rollback("flights", "1", None, project.config, None)
    project.deploy()
    with closing(sqlite3.connect(project.root / "leanml.db")) as database, database:
        database.execute("DELETE FROM leanml_steps WHERE state = 'done' AND run_id NOT LIKE 'rollback%'")
    rollback("flights", "1", None, project.config, None)
    from pytest_leanml.deploy.proof import Action

    done = project.deploy(action=Action.RESUME)
    assert (done.status, project.alias) == (21, "1")
    assert "another one came after it" in done.message


def test_a_rollback_to_a_version(project):
    rollback("flights", "3", "production", project.config, None)
    assert project.alias == "3"


def test_a_rollback_without_a_configuration_names_the_registry(project):
    rollback("flights", "2", None, project.root / "none.yaml", f"sqlite:///{project.root / 'mlflow.db'}")
    assert project.alias == "2"


@pytest.mark.parametrize("to", ["9", None, "1"])
def test_a_rollback_that_cannot_be_is_a_usage_error_and_written_down(project, to):
    with pytest.raises(GateUsageError):
        rollback("flights", to, None, project.config, None)
    assert project.alias == "1"
    assert [row[2] for row in _states(project)] == ["intent", "failed"]


def test_a_rollback_that_fails_in_between_is_unknown(project, monkeypatch):
    class Failing(Registry):
        def rollback(self, *args):
            raise RegistryError("the connection was cut")

    monkeypatch.setattr("pytest_leanml.deploy.commands.Registry", Failing)
    with pytest.raises(RegistryError):
        rollback("flights", "2", None, project.config, None)
    assert [row[2] for row in _states(project)] == ["intent", "unknown"]


def test_a_rollback_waits_for_the_lock(project):
    project.config.write_text(project.config.read_text().replace("20s", "200ms"))
    journal = Journal(f"sqlite:///{project.root / 'leanml.db'}")
    with model_lock(journal.engine, "flights", 1), pytest.raises(StoreError, match="another run holds the lock"):
        rollback("flights", "2", None, project.config, None)
    journal.close()
    assert project.alias == "1"


def test_a_rollback_says_where_its_journal_is_on_one_machine(project, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(Registry, "uri", property(lambda self: "http://elsewhere"))
    text = rollback("flights", "2", None, project.config, None)
    assert "on this machine alone" in text
    assert project.alias == "2"
