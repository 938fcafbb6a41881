"""The journal and the lock of a model, in SQLite."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.deploy.journal import Journal, Release, State, check_url, journal_url, open_journal
from pytest_leanml.deploy.lock import lock_file, model_lock
from pytest_leanml.errors import GateUsageError, StoreError

RELEASE = Release.of("01RUN", "flights", "sha256:aa")


@pytest.fixture
def journal(tmp_path):
    found = Journal(f"sqlite:///{tmp_path / 'leanml.db'}")
    yield found
    found.close()


def _config(tmp_path, journal):
    path = tmp_path / "leanml.yaml"
    path.write_text(f"version: 1\nmodel: flights\nstore: {{journal: '{journal}'}}\n")
    return load_config(path)


def test_lines_come_back_in_order(journal):
    for state in State:
        journal.write(RELEASE, "alias champion", state, f"detail {state}")
    entries = journal.entries(RELEASE)
    assert [entry.state for entry in entries] == list(State)
    assert entries[0].detail == "detail intent"
    assert journal.entries(Release.of("01OTHER", "flights")) == ()


def test_a_long_detail_and_long_names_fit(journal):
    release = Release.of("01RUN", "m" * 256, "a" * 255)
    journal.write(release, f"alias {'a' * 255}", State.DONE, "x" * 5000)
    assert len(journal.entries(release)[0].detail) == 2000


def test_a_release_is_overtaken_by_a_later_end_of_another_one_alone(journal):
    other = Release.of("02RUN", "flights", "sha256:bb")
    journal.write(other, "alias champion", State.DONE)
    journal.write(RELEASE, "alias champion", State.INTENT)
    journal.write(other, "alias champion", State.INTENT)
    journal.write(other, "alias champion", State.FAILED)
    journal.write(other, "alias staging", State.DONE)
    journal.write(Release.of("02RUN", "mortgage"), "alias champion", State.DONE)
    assert not journal.overtaken(RELEASE, "alias champion")
    journal.write(other, "alias champion", State.UNDONE)
    assert journal.overtaken(RELEASE, "alias champion")


@pytest.mark.parametrize(
    "url",
    ["", "leanml.db", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "postgres://h/d"],
)
def test_a_url_that_would_remember_nothing_is_a_usage_error(url):
    with pytest.raises(GateUsageError) as caught:
        Journal(url)
    assert caught.value.status == 4


def test_many_open_one_empty_store_at_once(tmp_path):
    """Each makes the tables that are missing, and none stumbles over another one's."""
    program = f"from pytest_leanml.deploy.journal import Journal; Journal('sqlite:///{tmp_path / 'x.db'}').close()"
    runs = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(4)]
    said = [run.communicate(timeout=60)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said


def test_a_driver_that_is_not_installed_is_named():
    with pytest.raises(GateUsageError, match="needs the module psycopg2"):
        Journal("postgresql+psycopg2://h/d")
    with pytest.raises(GateUsageError):
        Journal("postgresql+nothing://h/d")


@pytest.mark.parametrize("spoil", ["missing folder", "no database", "a folder"])
def test_a_store_that_does_not_answer_is_undecided(tmp_path, spoil):
    path = tmp_path / "leanml.db"
    if spoil == "missing folder":
        path = tmp_path / "no" / "leanml.db"
    elif spoil == "no database":
        path.write_bytes(b"something else" * 100)
    else:
        path.mkdir()
    with pytest.raises(StoreError) as caught:
        Journal(f"sqlite:///{path}")
    assert caught.value.status == 21


def test_a_store_that_goes_away_is_undecided(journal, tmp_path):
    (tmp_path / "leanml.db").write_bytes(b"something else" * 1000)
    for act in (
        lambda: journal.write(RELEASE, "x", State.DONE),
        lambda: journal.entries(RELEASE),
        lambda: journal.overtaken(RELEASE, "x"),
    ):
        with pytest.raises(StoreError, match="does not answer"):
            act()


def test_an_unreachable_server_is_undecided_and_keeps_its_password(monkeypatch):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        Journal("postgresql://leanml:secret@127.0.0.1:1/leanml?sslpassword=hidden")
    assert caught.value.status == 21
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_servers_wait_is_bounded_unless_the_url_has_options_of_its_own():
    from pytest_leanml.deploy.journal import _limits

    assert "statement_timeout" in _limits(check_url("postgresql://h/d"))["options"]
    assert "options" not in _limits(check_url("postgresql://h/d?options=-csearch_path=x"))


def test_the_default_lies_beside_the_registry(tmp_path):
    assert journal_url(None, f"sqlite:///{tmp_path}/mlflow.db") == (f"sqlite:///{tmp_path}/leanml.db", None)


def test_a_relative_journal_starts_from_the_configuration(tmp_path, monkeypatch):
    config = _config(tmp_path, "sqlite:///state/leanml.db")
    monkeypatch.chdir("/")
    assert journal_url(config, "http://h") == (f"sqlite:///{tmp_path}/state/leanml.db", None)
    server = _config(tmp_path, "postgresql://user@host/db")
    assert journal_url(server, "http://h") == ("postgresql+psycopg://user@host/db", None)
    with pytest.raises(GateUsageError):
        journal_url(_config(tmp_path, "sqlite://"), "http://h")


def test_beside_a_server_it_lies_in_the_users_state_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url, warning = journal_url(None, "http://localhost:5000")
    assert url == f"sqlite:///{tmp_path}/state/leanml/leanml.db"
    assert "on this machine alone" in warning
    assert not (tmp_path / "state").exists()
    journal, warned = open_journal(None, "http://localhost:5000")
    journal.close()
    assert warned == warning
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert journal_url(None, "http://h")[0] == f"sqlite:///{tmp_path}/.local/state/leanml/leanml.db"


def test_a_state_folder_that_cannot_be_made_is_undecided(tmp_path, monkeypatch):
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with pytest.raises(StoreError, match="cannot be made"):
        open_journal(None, "http://localhost:5000")


HOLDER = """
import sys, time
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.lock import model_lock
with model_lock(Journal(sys.argv[1]).engine, "flights", 5):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def _held_elsewhere(journal):
    command = [sys.executable, "-c", HOLDER, journal.engine.url.render_as_string()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_another_process_waits_and_a_death_lets_go(journal):
    with _held_elsewhere(journal) as holder:
        with (
            pytest.raises(StoreError, match="another run holds the lock") as caught,
            model_lock(journal.engine, "flights", 0.3),
        ):
            pass
        assert caught.value.status == 21
        with model_lock(journal.engine, "mortgage", 0.3):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        with model_lock(journal.engine, "flights", 5) as held:
            held()


def test_a_path_written_otherwise_is_the_same_lock(journal, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    for way in (tmp_path / "sub" / ".." / "leanml.db", tmp_path / "link" / "leanml.db"):
        other = Journal(f"sqlite:///{way}")
        with (
            model_lock(journal.engine, "flights", 1),
            pytest.raises(StoreError),
            model_lock(other.engine, "flights", 0.2),
        ):
            pass
        other.close()


def test_a_lock_file_that_was_removed_is_no_lock_any_more(journal, tmp_path):
    with model_lock(journal.engine, "flights", 1) as held:
        held()
        path = lock_file(tmp_path / "leanml.db", "flights")
        path.unlink()
        with pytest.raises(StoreError, match="was lost"):
            held()
        path.touch()
        with pytest.raises(StoreError, match="was lost"):
            held()


def test_a_file_that_is_replaced_while_it_is_locked_is_tried_again(journal, tmp_path, monkeypatch):
    real, path = fcntl.flock, lock_file(tmp_path / "leanml.db", "flights")
    times = []

    def flock(descriptor, operation):
        real(descriptor, operation)
        times.append(time.monotonic())
        if len(times) == 1:
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", flock)
    with model_lock(journal.engine, "flights", 5) as held:
        held()
    assert len(times) == 2


def test_a_lock_that_cannot_be_opened_is_undecided(journal, tmp_path):
    lock_file(tmp_path / "leanml.db", "flights").mkdir()
    with pytest.raises(StoreError, match="cannot be taken") as caught, model_lock(journal.engine, "flights", 1):
        pass
    assert caught.value.status == 21


def test_a_file_system_without_locks_is_undecided(journal, monkeypatch):
    def flock(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match="No locks available"), model_lock(journal.engine, "flights", 1):
        pass


def test_nothing_stays_open(journal, tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no /proc on this system")
    path = lock_file(tmp_path / "leanml.db", "flights")
    with model_lock(journal.engine, "flights", 1):
        assert any(each.samefile(path) for each in folder.iterdir() if each.exists())
    assert not any(each.samefile(path) for each in folder.iterdir() if each.exists())
