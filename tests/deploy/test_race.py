"""Two pipelines with hooks and one model: the lock, a lock of a dead run, and releases that overtake each other."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest

from pytest_leanml.deploy.journal import Journal, Release, State
from pytest_leanml.deploy.proof import Action

_SPEC = importlib.util.spec_from_file_location("leanml_tests_hooks", Path(__file__).with_name("test_hooks.py"))
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)

# It waits until it may go on; what it makes is its version's.
SLOW = 'echo >> started; until test -e go; do sleep 0.05; done; printf x >> "$LEANML_VERSION.made"'


def _shell(text):
    return ["sh", "-c", text]


@pytest.fixture
def racing(project):
    text = project.config.read_text().replace("lock_timeout: 20s", "lock_timeout: 500ms")
    project.config.write_text(text)
    settings = {
        "argv": _shell(SLOW),
        "observe": _shell('test -e "$LEANML_VERSION.made"'),
        "undo": _shell('rm -f "$LEANML_VERSION.made"'),
    }
    hooks.configure(project, {"use": "command", "name": "rollout", "with": settings})
    return project


def _started(project, process):
    deadline = time.monotonic() + 60
    while not (project.root / "started").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_wins_and_the_other_one_says_why_and_has_done_nothing(racing):
    first = racing.start(racing.command("2"))
    _started(racing, first)
    second = racing.deploy("3")
    assert (second.status, hooks.made(racing)) == (21, {}), second
    assert "another run holds the lock of the model flights" in second.message
    (racing.root / "go").touch()
    output = first.communicate(timeout=60)[0]
    assert (first.returncode, racing.alias, hooks.made(racing)) == (0, "2", {"2": "x"}), output
    late = racing.deploy("3")
    assert (late.status, hooks.made(racing)) == (20, {"2": "x"}), late
    assert "another one won" in late.message


def test_the_lock_of_a_dead_run_is_free_and_what_it_left_is_named(racing):
    first = racing.start(racing.command("2"))
    _started(racing, first)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)
    (racing.root / "go").touch()
    time.sleep(0.3)  # its program goes on, and makes what it was about to make
    assert hooks.made(racing) == {"2": "x"}
    second = racing.deploy("3")
    assert (second.status, racing.alias) == (0, "3"), second
    assert hooks.made(racing) == {"2": "x", "3": "x"}
    assert "was cut off at hook rollout" in second.message
    for action in (Action.RESUME, Action.UNDO, Action.APPLY):
        first = racing.deploy("2", action)
        assert first.status in {20, 21}, first
        assert (racing.alias, hooks.made(racing)) == ("3", {"2": "x", "3": "x"}), first
    assert racing.deploy("3", Action.UNDO).status == 0
    undone = racing.deploy("2", Action.UNDO)
    assert (undone.status, racing.alias, hooks.made(racing)) == (0, "1", {}), undone


def test_an_earlier_release_is_not_taken_back_under_a_later_one(racing):
    (racing.root / "go").touch()
    assert racing.deploy("2").status == 0
    racing.set_alias("1")
    assert racing.deploy("3").status == 0
    undone = racing.deploy("2", Action.UNDO)
    assert (undone.status, racing.alias, hooks.made(racing)) == (21, "3", {"2": "x", "3": "x"}), undone


@pytest.mark.parametrize(("environment", "status"), [("staging", 0), ("production", 21)])
def test_a_later_release_to_another_environment_covers_nothing(project, environment, status):
    hooks.configure(project, hooks.maker(project.root, "one"))
    assert project.deploy("2").status == 0
    journal = Journal(f"sqlite:///{project.root / 'leanml.db'}")
    other = Release("other", "01OTHER", "flights", {"environment": environment})
    journal.write(other, "hook one", State.DONE)
    journal.close()
    undone = project.deploy("2", Action.UNDO)
    assert (undone.status, hooks.made(project)) == (status, {} if status == 0 else {"one": "x"}), undone
    assert ("01OTHER has used the hook one" in undone.message) == (status == 21)


def test_a_message_of_a_later_release_keeps_nobody_from_taking_back(project):
    hooks.configure(project, hooks.message(project.root))
    assert project.deploy("2").status == 0
    project.set_alias("1")
    assert project.deploy("3").status == 0
    assert project.deploy("3", Action.UNDO).status == 0
    project.set_alias("2")
    assert project.deploy("2", Action.UNDO).status == 0
