"""The journal and the model's lock in a real PostgreSQL, and two real deploys that race for one alias through it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import count

import pytest
from sqlalchemy import create_engine, text

from pytest_leanml.deploy.journal import Journal, Release, State, alias_step
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.errors import StoreError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly

NUMBERS = count(1)
CONFIG = """\
version: 1
model: {{name: flights, registry: "{registry}"}}
require: [accuracy]
policy: {{thresholds: {{accuracy: {{min: 0.85}}}}}}
store: {{lock_timeout: 60s, journal: "{journal}"}}
deploy:
  - use: command
    name: rollout
    with:
      argv: [sh, -c, 'printf x >> "$LEANML_VERSION.made"']
      observe: [sh, -c, 'test -e "$LEANML_VERSION.made"']
      undo: [sh, -c, 'rm -f "$LEANML_VERSION.made"']
"""
CHECKS = """\
import pytest

@pytest.mark.quality_check(id="accuracy")
def test_accuracy(evidence):
    assert evidence.record("accuracy", 0.91) >= 0.85
"""
INI = "[pytest]\naddopts = -p no:randomly -p no:hypothesispytest -p no:anyio -p no:typeguard -p no:pytest_cov\n"


@pytest.fixture
def url(postgres):
    return postgres.create(f"journal{next(NUMBERS)}")


@pytest.fixture
def journal(url):
    found = Journal(url)
    yield found
    found.close()


def _sessions(url, where):
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            found = "FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            return [tuple(row) for row in connection.execute(text(f"SELECT {where} {found}"))]
    finally:
        engine.dispose()


def test_lines_come_back_with_every_state_and_long_names(journal):
    release = Release.of("01RUN", "m" * 256, "a" * 255)
    for state in State:
        journal.write(release, alias_step("a" * 255), state, "x" * 3000)
    assert [entry.state for entry in journal.entries(release)] == list(State)
    assert not journal.overtaken(release, alias_step("a" * 255))


def test_the_audit_log_is_whole_until_somebody_changes_it(url, journal):
    for model in ("flights", "m" * 256):
        release = Release.of("01RUN", model)
        release = Release(release.key, "01RUN", model, {"evidence": "sha256:aa"})
        journal.write(release, "hook one", State.INTENT, "\u00e4 attempt", remember='{"a": 1}')
        journal.tell(release, "hook one", "split", "{}")
        journal.write(release, "hook one", State.DONE, "x" * 3000)
    assert journal.remembered(release, "hook one") == ('{"a": 1}',)
    problems, heads = journal.verify()
    assert (problems, [each.number for each in heads]) == ([], [3, 3])
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE leanml_steps SET state = 'undone' WHERE model = 'flights' AND state = 'done'"))
        connection.execute(text("DELETE FROM leanml_audit WHERE model <> 'flights' AND number = 3"))
    engine.dispose()
    problems, _ = journal.verify()
    assert len(problems) == 3
    assert "of the journal was changed" in problems[0]
    assert "the end was cut off" in problems[1]


def test_many_open_one_empty_store_at_once(url):
    """Each makes the tables that are missing, and none stumbles over another one's."""
    program = f"from pytest_leanml.deploy.journal import Journal; Journal({url!r}).close()"
    runs = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(4)]
    said = [run.communicate(timeout=60)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said


def test_a_plain_postgresql_url_works_too(url):
    Journal(url.replace("postgresql+psycopg://", "postgresql://")).close()


def test_another_one_waits_for_the_same_model_alone(url, journal):
    other = Journal(url)
    with model_lock(journal.engine, "flights", 1) as held:
        held()
        with pytest.raises(StoreError, match="another run holds the lock"), model_lock(other.engine, "flights", 0.3):
            pass
        with model_lock(other.engine, "mortgage", 0.3):
            pass
    with model_lock(other.engine, "flights", 0.3):
        pass
    other.close()
    assert _sessions(url, "pid") == []


def test_a_session_that_is_cut_has_lost_its_lock(url, journal):
    with model_lock(journal.engine, "flights", 1) as held:
        assert _sessions(url, "pg_terminate_backend(pid)") == [(True,)]
        with pytest.raises(StoreError):
            held()
    with model_lock(journal.engine, "flights", 1) as held:
        held()


HOLDER = """
import sys, time
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.lock import model_lock
with model_lock(Journal(sys.argv[1]).engine, "flights", 5):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_death_lets_go(url, journal):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGKILL)
        with model_lock(journal.engine, "flights", 10) as held:
            held()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_locked_table_is_undecided_within_its_time(url, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.journal._PATIENCE", 1)
    found = Journal(url)
    engine = create_engine(url)
    started = time.monotonic()
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE leanml_steps IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match="does not answer"):
            found.write(Release.of("01RUN", "flights"), "alias champion", State.INTENT)
    assert time.monotonic() - started < 10
    engine.dispose()
    found.close()


def test_a_database_that_is_not_there_is_undecided(postgres):
    with pytest.raises(StoreError, match="does not answer") as caught:
        Journal(postgres.url("nowhere"))
    assert caught.value.status == 21


def _environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "LEANML_", "GIT"))}


@pytest.fixture
def project(tmp_path, url):
    """Version 1 is champion; a real gate has allowed versions 2 and 3 against it, in ``2/`` and ``3/``."""
    registry = f"sqlite:///{tmp_path / 'mlflow.db'}"
    from mlflow.tracking import MlflowClient

    with quietly():
        client = MlflowClient(tracking_uri=registry, registry_uri=registry)
        client.create_registered_model("flights")
        for version in ("1", "2", "3"):
            folder = tmp_path / "models" / version
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_text("flavors: {}\n")
            (folder / "weights.bin").write_text(f"weights {version}")
            client.create_model_version("flights", str(folder))
        client.set_registered_model_alias("flights", "champion", "1")
    texts = {"leanml.yaml": CONFIG.format(registry=registry, journal=url), "test_checks.py": CHECKS, "pytest.ini": INI}
    for name, content in texts.items():
        (tmp_path / name).write_text(content)
    for version in ("2", "3"):
        gate = [sys.executable, "-m", "pytest", "--model-gate", "--gate-no-deploy", f"--gate-output={version}"]
        gate.append(f"--gate-candidate=models:/flights/{version}")
        ended = subprocess.run(gate, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return tmp_path


def _deploy(project, version):
    """``leanml deploy`` itself, as a runner starts it."""
    command = [sys.executable, "-c", "import sys; from pytest_leanml.cli import main; sys.exit(main())"]
    command += ["deploy", f"--decision={version}/decision.json"]
    sinks = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=project, env=_environment(), text=True, **sinks)


def test_of_two_deploys_at_once_exactly_one_wins(project, url):
    """Both come to the lock while this test holds it, and it lets go of both at once."""
    journal = Journal(url)
    with model_lock(journal.engine, "flights", 5):
        runs = {version: _deploy(project, version) for version in ("2", "3")}
        _until_they_wait(url, 3)
    output = {version: run.communicate(timeout=120)[0] for version, run in runs.items()}
    statuses = {version: run.returncode for version, run in runs.items()}
    assert sorted(statuses.values()) == [0, 20], output
    winner, loser = sorted(statuses, key=statuses.__getitem__)
    named = Registry(f"sqlite:///{project / 'mlflow.db'}", root=project).version_of_alias("flights", "champion")
    assert named == winner
    assert "another one won" in output[loser]
    with journal.engine.connect() as connection:
        rows = connection.execute(text("SELECT step, state, detail FROM leanml_steps ORDER BY id")).all()
    assert [tuple(row[:2]) for row in rows] == [
        (step, state) for step in ("hook rollout", "alias champion") for state in ("intent", "done")
    ]
    assert all(row[2].endswith(f"to {winner}") for row in rows[2:])
    assert {path.name: path.read_text() for path in project.glob("*.made")} == {f"{winner}.made": "x"}
    journal.close()


def _until_they_wait(url, sessions):
    """Until so many sessions have asked for the lock: each keeps its own while it waits."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 90
    try:
        with engine.connect() as connection:
            while connection.execute(text(asked)).scalar() < sessions:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        engine.dispose()
