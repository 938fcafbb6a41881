"""Carrying decisions out against a real MLflow in SQLite and a real journal."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.lock import lock_file, model_lock
from pytest_leanml.deploy.runner import Action
from pytest_leanml.errors import RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly


def _state(root: Path) -> dict[str, str]:
    """Every file below a folder, with the digest of its bytes."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_an_allow_moves_the_alias_once(project):
    done = project.deploy()
    assert (done.status, project.alias) == (0, "2")
    assert "from version 1 to 2" in done.message
    assert project.states() == ["intent", "done"]
    again = project.deploy()
    assert (again.status, project.alias) == (0, "2")
    assert "already" in again.message


def test_a_dry_run_touches_nothing(project):
    project.deploy(action=Action.PLAN)  # MLflow makes its files when it is first asked
    before = _state(project.root)
    done = project.deploy(action=Action.PLAN)
    assert done.status == 0
    assert "would move the alias 'champion' of flights from version 1 to 2" in done.message
    assert _state(project.root) == before
    assert not (project.root / "leanml.db").exists()


def test_a_dry_run_says_when_it_would_be_refused(project):
    project.set_alias("3")
    assert project.deploy(action=Action.PLAN).status == 20


def test_a_champion_that_moved_refuses(project):
    project.set_alias("3")
    done = project.deploy()
    assert (done.status, project.alias) == (20, "3")
    assert "another one won" in done.message
    assert project.states() == []


def test_an_alias_that_is_gone_refuses(project):
    with quietly():
        project.client.delete_registered_model_alias("flights", "champion")
    assert (project.deploy().status, project.alias) == (20, None)


def test_an_artifact_that_changed_refuses(project):
    source = next((project.root / "artifacts").rglob("model/data/weights.bin"))
    for path in (project.root / "artifacts").rglob("weights.bin"):
        path.write_text("others")
    done = project.deploy()
    assert source.read_text() == "others"
    assert (done.status, project.alias) == (20, "1")
    assert "which was judged" in done.message


def test_what_was_done_is_undone_once(project):
    project.deploy()
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias) == (0, "1")
    assert project.states() == ["intent", "done", "undoing", "undone"]
    assert project.deploy(action=Action.UNDO).status == 0
    assert project.alias == "1"


@pytest.mark.parametrize("action", [Action.APPLY, Action.RESUME])
def test_what_was_taken_back_is_not_done_again(project, action):
    project.deploy()
    project.deploy(action=Action.UNDO)
    done = project.deploy(action=action)
    assert (done.status, project.alias) == (21, "1")


@pytest.mark.parametrize("action", [Action.APPLY, Action.RESUME])
def test_what_was_rolled_back_is_not_done_again(project, action):
    project.deploy()
    project.set_alias("1")
    assert (project.deploy(action=action).status, project.alias) == (21, "1")


@pytest.mark.parametrize("action", [Action.UNDO, Action.RESUME])
def test_what_was_never_begun_is_neither_undone_nor_resumed(project, action):
    done = project.deploy(action=action)
    assert (done.status, project.alias) == (21, "1")
    assert project.states() == []


def test_undoing_leaves_another_ones_champion_alone(project):
    project.deploy()
    project.set_alias("3")
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias) == (21, "3")
    assert "names version 3 now" in done.message


def _old(decision, evidence):
    decision["decided_at"] = evidence["evaluated_at"] = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("spoil", ["age", "policies", "config"])
def test_what_was_begun_is_undone_and_resumed_whatever_has_changed(project, spoil):
    project.deploy()
    if spoil == "age":
        project.change("2", _old)
    elif spoil == "policies":
        (project.root / "own.rego").write_text("package own\n\nimport rego.v1\n\ndefault allow := false\n")
    else:
        project.config.write_text(project.config.read_text().replace("0.85", "0.95"))
    assert project.deploy().status == 20
    resumed = project.deploy(action=Action.RESUME)
    assert (resumed.status, project.alias) == (0, "2"), resumed
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias) == (0, "1"), undone


def test_a_first_release_gets_the_alias_and_loses_it_again(project):
    # What the gate writes for a first release differs in the alias alone.
    project.change(
        "2", lambda decision, evidence: (decision["alias"].update(version=None), decision.update(champion={}))
    )
    project.change("2", lambda decision, evidence: evidence.pop("champion", None))
    with quietly():
        project.client.delete_registered_model_alias("flights", "champion")
    done = project.deploy()
    assert (done.status, project.alias) == (0, "2"), done
    assert (project.deploy(action=Action.UNDO).status, project.alias) == (0, None)


class _Failing(Registry):
    """A registry whose move fails: before, after, or with somebody else coming between."""

    how = "before"
    looks = 0

    def move_alias(self, name, alias, version, *, expect):
        if self.how == "after":
            super().move_alias(name, alias, version, expect=expect)
        if self.how == "between":
            super().move_alias(name, alias, "3", expect=expect)
        type(self).looks = -1 if self.how == "silent" else 0
        raise RegistryError("the connection was cut")

    def version_of_alias(self, name, alias):
        if self.looks < 0:
            raise RegistryError("no answer")
        return super().version_of_alias(name, alias)


@pytest.fixture(params=["before", "after", "between", "silent"])
def failing(request, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.runner.Registry", _Failing)
    monkeypatch.setattr(_Failing, "how", request.param)
    monkeypatch.setattr(_Failing, "looks", 0)
    return request.param


def test_a_move_that_fails_is_looked_at_and_written_down(project, failing):
    done = project.deploy()
    expected = {
        "before": (21, "1", ["intent", "failed"]),
        "after": (0, "2", ["intent", "done"]),
        "between": (21, "3", ["intent", "failed"]),
        "silent": (23, "1", ["intent", "unknown"]),
    }
    assert (done.status, project.alias, project.states()) == expected[failing], done
    if failing == "between":
        with closing(sqlite3.connect(project.root / "leanml.db")) as database:
            details = [row[0] for row in database.execute("SELECT detail FROM leanml_steps ORDER BY id")]
        assert "the alias names version 3 now" in details[-1]


def test_a_failed_undo_needs_a_person(project, monkeypatch):
    project.deploy()
    monkeypatch.setattr("pytest_leanml.deploy.runner.Registry", _Failing)
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias) == (23, "2")
    assert project.states()[-1] == "unknown"
    monkeypatch.undo()
    assert (project.deploy(action=Action.UNDO).status, project.alias) == (0, "1")


def test_what_failed_and_is_unknown_can_be_resumed(project, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.runner.Registry", _Failing)
    monkeypatch.setattr(_Failing, "how", "silent")
    monkeypatch.setattr(_Failing, "looks", 0)
    assert project.deploy().status == 23
    monkeypatch.undo()
    assert (project.deploy(action=Action.RESUME).status, project.alias) == (0, "2")
    assert project.states() == ["intent", "unknown", "intent", "done"]


def test_a_journal_that_dies_after_the_move_needs_a_person(project, monkeypatch):
    class Dying(Registry):
        def move_alias(self, *args, **kwargs):
            super().move_alias(*args, **kwargs)
            (project.root / "leanml.db").write_bytes(b"no database any more" * 1000)

    monkeypatch.setattr("pytest_leanml.deploy.runner.Registry", Dying)
    done = project.deploy()
    assert (done.status, project.alias) == (23, "2")
    assert "could not be written down" in done.message


def test_a_version_that_is_gone_is_found_before_anything_is_written(project):
    with quietly():
        project.client.delete_model_version("flights", "2")
    done = project.deploy()
    assert (done.status, project.alias) == (4, "1")
    assert project.states() == []


def test_an_unreachable_registry_is_undecided(project):
    (project.root / "mlflow.db").write_bytes(b"no database" * 100)
    assert project.deploy().status == 21


def test_a_held_lock_is_undecided(project):
    text = project.config.read_text().replace("lock_timeout: 20s", "lock_timeout: 200ms")
    project.config.write_text(text)
    project.change("2", lambda decision, evidence: decision.update(config_digest=_digest(project.config)))
    journal = Journal(f"sqlite:///{project.root / 'leanml.db'}")
    with model_lock(journal.engine, "flights", 1):
        done = project.deploy()
    journal.close()
    assert (done.status, project.alias) == (21, "1")
    assert "another run holds the lock" in done.message


def _digest(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_locked_journal_is_undecided(project, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.journal._PATIENCE", 0.2)
    Journal(f"sqlite:///{project.root / 'leanml.db'}").close()
    with closing(sqlite3.connect(project.root / "leanml.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        done = project.deploy()
    assert (done.status, project.alias) == (21, "1")
    assert "does not answer" in done.message


def test_a_lock_that_is_lost_moves_nothing(project, monkeypatch):
    class Slow(Registry):
        def fetch(self, *args, **kwargs):
            lock_file(project.root / "leanml.db", "flights").unlink()
            return super().fetch(*args, **kwargs)

    monkeypatch.setattr("pytest_leanml.deploy.runner.Registry", Slow)
    done = project.deploy()
    assert (done.status, project.alias) == (21, "1")
    assert "was lost" in done.message


DRIVER = """
import os, signal, sys
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.__main__ import main
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

point = int(sys.argv[1])
passed = 0

def counted(owner, name):
    real = getattr(owner, name)
    def step(self, *args, **kwargs):
        arrive()
        result = real(self, *args, **kwargs)
        arrive()
        return result
    setattr(owner, name, step)

def arrive():
    global passed
    passed += 1
    if passed == point:
        os.kill(os.getpid(), signal.SIGKILL)

counted(Journal, "write")
counted(SqlAlchemyStore, "set_registered_model_alias")
counted(SqlAlchemyStore, "set_model_version_tag")
status = main(sys.argv[2:])
print(passed)
sys.exit(status)
"""
# Before and after each of: the line INTENT, the tag that remembers the champion, the alias, the line DONE.
POINTS = 8
# After one is before the next.
DISTINCT = {"begun": 1, "intent": 2, "tag": 4, "moved": 6, "done": 8}


def _killed(project, point):
    command = project.command("2")
    driver = [sys.executable, "-c", DRIVER, str(point), *command[3:]]
    return project.run(driver)


@pytest.mark.parametrize("point", DISTINCT.values(), ids=DISTINCT)
def test_a_killed_deploy_is_resumed_and_undone_to_one_state(project, point, tmp_path, copy_of):
    status, output = _killed(project, point)
    assert status == -signal.SIGKILL, output
    assert project.alias in {"1", "2"}
    other = copy_of(project)
    begun = bool(project.states())
    resumed = project.deploy(action=Action.RESUME if begun else Action.APPLY)
    assert (resumed.status, project.alias) == (0, "2"), resumed
    assert project.states()[-1] == "done"
    undone = other.deploy(action=Action.UNDO)
    assert (undone.status, other.alias) == ((0, "1") if begun else (21, "1")), undone
    assert other.states()[-1:] == (["undone"] if begun else [])
    assert other.deploy().status == (21 if begun else 0)


def test_the_points_are_all_there_are(project):
    status, output = _killed(project, 0)
    assert status == 0, output
    assert output.split()[-1] == str(POINTS)


def _until_they_wait(project, runs):
    """Until both have opened the journal, which they do right before the lock; where that cannot be seen, a while."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        folders = [Path(f"/proc/{run.pid}/fd") for run in runs]
        if all(folder.is_dir() and project.root / "leanml.db" in map(_target, folder.iterdir()) for folder in folders):
            return
        if sys.platform != "linux" and time.monotonic() > deadline - 10:
            return
        time.sleep(0.05)


def _target(link):
    try:
        return link.readlink()
    except OSError:
        return None


def _race(project):
    """Both wait for the lock of the model that this holds, so that they come to it together; winner, loser, output."""
    journal = Journal(f"sqlite:///{project.root / 'leanml.db'}")
    with model_lock(journal.engine, "flights", 1):
        runs = [project.start(project.command(version)) for version in ("2", "3")]
        _until_they_wait(project, runs)
    journal.close()
    output = {version: run.communicate(timeout=60)[0] for version, run in zip(("2", "3"), runs, strict=True)}
    statuses = {version: run.returncode for version, run in zip(("2", "3"), runs, strict=True)}
    assert sorted(statuses.values()) == [0, 20], output
    (winner,) = (version for version, status in statuses.items() if status == 0)
    (loser,) = set(statuses) - {winner}
    assert project.alias == winner
    assert "another one won" in output[loser]
    return winner, loser


def test_of_two_deploys_at_once_exactly_one_wins(project):
    winner, loser = _race(project)
    assert project.states(winner) == ["intent", "done"]
    assert project.states(loser) == []


def test_of_two_deploys_with_hooks_at_once_one_runs_them(project):
    entry = {"use": "command", "with": {"argv": ["sh", "-c", "echo $LEANML_VERSION >> sent"]}}
    project.config.write_text(f"{project.config.read_text()}deploy: {json.dumps([entry])}\n")
    for version in ("2", "3"):
        project.change(version, lambda decision, _: decision.update(config_digest=_digest(project.config)))
    winner, loser = _race(project)
    assert (project.root / "sent").read_text() == f"{winner}\n"
    assert project.states(loser) == []
