"""Hooks against a real MLflow, a real journal and programs that make real files."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.sequence import Settled
from pytest_leanml.digest import digest_bytes

MAKE = "import sys, pathlib; pathlib.Path(sys.argv[1]).open('a').write('x')"
CHECK = "import sys, pathlib; sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 1)"
DROP = "import sys, pathlib; pathlib.Path(sys.argv[1]).unlink(missing_ok=True)"


def program(text, *args):
    return [sys.executable, "-c", text, *map(str, args)]


def maker(root, name, **more):
    path = root / f"{name}.made"
    settings = {"argv": program(MAKE, path), "undo": program(DROP, path), "observe": program(CHECK, path)}
    settings = {key: value for key, value in {**settings, **more.pop("settings", {})}.items() if value is not None}
    return {"use": "command", "name": name, "with": settings, **more}


def message(root, name="tell", **more):
    """One that cannot be observed or undone."""
    return maker(root, name, settings={"undo": None, "observe": None}, **more)


def failing(name="boom", **more):
    return {"use": "command", "name": name, "with": {"argv": program("import sys; sys.exit('no way')")}, **more}


def configure(project, *hooks):
    """Add hooks as if the decision had been made with them."""
    text = project.config.read_text().partition("deploy:")[0]
    project.config.write_text(f"{text}deploy: {json.dumps(list(hooks))}\n")
    digest = digest_bytes(project.config.read_bytes())
    for version in ("2", "3"):
        project.change(version, lambda decision, _: decision.update(config_digest=digest))


def made(project):
    return {path.stem: path.read_text() for path in project.root.glob("*.made")}


def journal(project):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(project.root / "leanml.db")) as database:
        return list(database.execute("SELECT step, state FROM leanml_steps ORDER BY id"))


def test_hooks_run_in_order_and_the_alias_is_last(project):
    configure(project, maker(project.root, "one"), maker(project.root, "two"))
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (0, "2", {"one": "x", "two": "x"}), done
    assert journal(project) == [
        ("hook one", "intent"),
        ("hook one", "done"),
        ("hook two", "intent"),
        ("hook two", "done"),
        ("alias champion", "intent"),
        ("alias champion", "done"),
    ]
    again = project.deploy()
    assert (again.status, made(project)) == (0, {"one": "x", "two": "x"})
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias, made(project)) == (0, "1", {}), undone
    assert [step for step, state in journal(project) if state == "undone"] == ["alias champion", "hook two", "hook one"]
    assert project.deploy(action=Action.RESUME).status == 21


def test_a_dry_run_says_each_plan_and_touches_nothing(project):
    configure(project, maker(project.root, "one"), message(project.root, secrets=["NOT_SET_AT_ALL"]))
    done = project.deploy(action=Action.PLAN)
    assert done.status == 0, done
    first, second, last = done.message.splitlines()
    assert first.startswith("hook one: would run ")
    assert second.startswith("hook tell: would run ")
    assert last.startswith("would move the alias")
    assert (made(project), project.alias, (project.root / "leanml.db").exists()) == ({}, "1", False)


def test_a_hook_that_fails_takes_those_before_it_back(project):
    configure(project, maker(project.root, "one"), maker(project.root, "two"), failing())
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (22, "1", {}), done
    assert "no way" in done.message
    assert project.deploy().status == 21


def test_a_message_that_was_sent_before_a_failure_stays_and_is_named(project):
    configure(project, message(project.root), failing())
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (22, "1", {"tell": "x"})
    assert "tell stays as it is" in done.message


def test_a_failed_hook_without_anything_before_it_changes_nothing(project):
    configure(project, failing())
    done = project.deploy()
    assert (done.status, project.alias) == (22, "1")


def test_a_failing_undo_needs_a_person_and_can_be_gone_on_with(project):
    allowed = project.root / "allowed"
    text = "import sys, pathlib; sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 'undo says no')"
    stuck = maker(project.root, "stuck", settings={"undo": program(text, allowed)})
    configure(project, maker(project.root, "one"), stuck, failing())
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (23, "1", {"one": "x", "stuck": "x"}), done
    assert "undo says no" in done.message
    allowed.touch()
    (project.root / "stuck.made").unlink()
    resumed = project.deploy(action=Action.RESUME)
    assert (resumed.status, project.alias, made(project)) == (22, "1", {}), resumed
    assert project.deploy(action=Action.UNDO).status == 0


def test_hooks_that_have_changed_since_are_not_gone_on_with(project):
    allowed = project.root / "allowed"
    text = "import sys, pathlib; sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 'undo says no')"
    configure(project, maker(project.root, "stuck", settings={"undo": program(text, allowed)}), failing())
    assert project.deploy().status == 23
    before = journal(project)
    project.config.write_text(project.config.read_text().replace("no way", "another way"))
    allowed.touch()
    resumed = project.deploy(action=Action.RESUME)
    assert (resumed.status, project.alias, made(project), journal(project)) == (20, "1", {"stuck": "x"}, before), (
        resumed
    )
    assert "its hooks may be others" in resumed.message
    assert "--undo" in resumed.message
    assert project.deploy(action=Action.UNDO).status == 0


def test_retries_wait_and_are_counted(project, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.steps._FIRST_PAUSE", 0.05)
    path = project.root / "tries"
    text = (
        "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.open('a').write('x'); sys.exit(p.read_text() != 'xxx')"
    )
    entry = {"use": "command", "name": "flaky", "with": {"argv": program(text, path)}, "retries": 2}
    configure(project, entry)
    done = project.deploy()
    assert (done.status, path.read_text()) == (0, "xxx"), done
    assert [state for step, state in journal(project) if step == "hook flaky"] == ["intent", "failed"] * 2 + [
        "intent",
        "done",
    ]


def test_a_hook_that_is_late_is_ended_with_what_it_started(project):
    text = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-c', 'import time, pathlib, sys; time.sleep(2); pathlib.Path(sys.argv[1]).touch()', "
        "sys.argv[1]]); time.sleep(60)"
    )
    late = project.root / "late.made"
    entry = {"use": "command", "with": {"argv": program(text, late)}, "timeout": "500ms"}
    configure(project, maker(project.root, "one"), entry)
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (23, "1", {"one": "x"}), done
    assert "may or may not have happened" in done.message
    time.sleep(2)
    assert not late.exists()


def test_an_unknown_outcome_is_never_repeated_unasked(project):
    configure(project, message(project.root))
    assert project.deploy().status == 0
    _forget(project, "hook tell", "done")
    for action in (Action.RESUME, Action.APPLY):
        done = project.deploy(action=action)
        assert (done.status, made(project)) == (23, {"tell": "x"}), done
    assert "--done tell" in done.message
    assert _settle(project, Settled(repeat=("tell",))) == 0
    assert made(project) == {"tell": "xx"}
    _forget(project, "hook tell", "done")
    assert _settle(project, Settled(done=("tell",))) == 0
    assert (made(project), project.alias) == ({"tell": "xx"}, "2")
    assert _settle(project, Settled(done=("tell",))) == 21


def test_an_unknown_message_is_taken_back_as_far_as_can_be(project):
    configure(project, maker(project.root, "one"), message(project.root))
    assert project.deploy().status == 0
    _forget(project, "hook tell", "done")
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias, made(project)) == (23, "1", {"tell": "x"}), done
    assert "tell may or may not" in done.message


def _settle(project, settled):
    from pytest_leanml.deploy.runner import deploy

    return deploy(project.decision("2"), project.config, None, Action.RESUME, settled).status


def _forget(project, step, state):
    """As if the run had been killed before this line and all that follow."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(project.root / "leanml.db")) as database, database:
        query = "SELECT min(id) FROM leanml_steps WHERE step = ? AND state = ?"
        (first,) = database.execute(query, (step, state)).fetchone()
        database.execute("DELETE FROM leanml_steps WHERE id >= ?", (first,))
    project.set_alias("1")


@pytest.mark.parametrize("there", [True, False])
def test_what_can_be_observed_is_applied_again_only_where_it_is_absent(project, there):
    configure(project, maker(project.root, "one"))
    project.deploy()
    _forget(project, "hook one", "done")
    if not there:
        (project.root / "one.made").unlink()
    done = project.deploy(action=Action.RESUME)
    assert (done.status, project.alias, made(project)) == (0, "2", {"one": "x"}), done


def test_a_hook_that_left_the_configuration_stops_everything(project):
    configure(project, maker(project.root, "one"))
    project.deploy()
    configure(project)
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias, made(project)) == (21, "2", {"one": "x"})
    assert "put it back" in done.message


def test_a_champion_that_moved_runs_no_hook(project):
    configure(project, maker(project.root, "one"))
    project.set_alias("3")
    assert (project.deploy().status, made(project)) == (20, {})


def test_a_champion_that_moves_meanwhile_takes_the_hooks_back(project):
    configure(project, maker(project.root, "one"), maker(project.root, "two", settings={"argv": _mover(project)}))
    done = project.deploy()
    assert (done.status, project.alias, made(project)) == (20, "3", {}), done
    assert "two is taken back" in done.message


def _mover(project):
    text = (
        "import sqlite3; db = sqlite3.connect('mlflow.db'); "
        "db.execute(\"UPDATE registered_model_aliases SET version = 3 WHERE alias = 'champion'\"); db.commit()"
    )
    return program(text)


def test_a_missing_program_and_a_missing_secret_change_nothing(project):
    configure(project, maker(project.root, "one"), {"use": "command", "with": {"argv": ["no-such-program"]}})
    done = project.deploy()
    assert (done.status, made(project), "No such file" in done.message) == (22, {}, True)
    configure(project, maker(project.root, "one", secrets=["NOT_SET_AT_ALL"]))
    assert (project.deploy("3").status, made(project)) == (4, {})


def test_undo_false_leaves_what_was_done(project):
    configure(project, maker(project.root, "kept", undo=False), maker(project.root, "one"))
    project.deploy()
    done = project.deploy(action=Action.UNDO)
    assert (done.status, project.alias, made(project)) == (0, "1", {"kept": "x"})


def test_a_hook_of_another_environment_or_of_a_deny_does_not_run(project):
    configure(
        project,
        maker(project.root, "there", environments=["staging"]),
        maker(project.root, "denied", on="deny"),
        maker(project.root, "ever", on="always"),
    )
    assert (project.deploy().status, made(project)) == (0, {"ever": "x"})


def test_a_program_gets_the_variables_that_are_named_and_no_others(project, monkeypatch):
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("OTHER", "no")
    monkeypatch.setenv("TOKEN_FILE", str(project.root / "token"))
    (project.root / "token").write_text("hunter2hunter2\n")
    text = "import os, json, pathlib; pathlib.Path('env.json').write_text(json.dumps(dict(os.environ)))"
    configure(project, {"use": "command", "secrets": ["TOKEN"], "with": {"argv": program(text), "env": ["WANTED"]}})
    done = project.deploy()
    assert done.status == 0, done
    found = json.loads((project.root / "env.json").read_text())
    assert (found["WANTED"], found["TOKEN"], "OTHER" in found) == ("yes", "hunter2hunter2", False)
    assert (found["LEANML_VERSION"], found["LEANML_BEFORE"]) == ("2", "1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_hook_and_says_how_to_go_on(project, number):
    started = project.root / "started"
    slow = program("import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)", started)
    configure(project, maker(project.root, "one"), maker(project.root, "slow", settings={"argv": slow}))
    process = project.start(project.command("2"))
    deadline = time.monotonic() + 30
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    output = process.communicate(timeout=30)[0]
    assert (process.returncode, project.alias, made(project)) == (23, "1", {"one": "x"}), output
    assert "stopped as asked" in output
    assert "--resume" in output
    assert project.deploy(action=Action.UNDO).status == 0
    assert made(project) == {}


def test_a_journal_that_dies_while_a_hook_runs_needs_a_person(project):
    text = "import pathlib; pathlib.Path('leanml.db').write_bytes(b'no database any more' * 1000)"
    configure(project, {"use": "command", "name": "spoil", "with": {"argv": program(text)}})
    done = project.deploy()
    assert (done.status, project.alias) == (23, "1")
    assert "could not be written down" in done.message


HOOKS = """
from pydantic import BaseModel
from pytest_leanml.deploy.hook import Applied, Observed


class Settings(BaseModel):
    path: str


def note(context: "HookContext", settings: "Settings"):
    (context.root / settings.path).write_text(context.version)


def bare(context):
    (context.root / "bare.made").write_text(context.key)
    return Applied(observable=False, told="noted")


class Analysis(BaseModel, extra="forbid"):
    every: int


class Watched(BaseModel):
    analysis: Analysis


def watch(context: "HookContext", settings: "Watched"):
    (context.root / "watched.made").write_text(str(settings.analysis.every))


def odd(context: "HookContext"):
    return 3


def untold(context, settings): ...


def leave(context):
    raise SystemExit(0)


class Half:
    def plan(self, context): ...


class Hangs:
    undoable = False

    def plan(self, context):
        raise ValueError("no plan")

    def apply(self, context):
        import time
        time.sleep(60)

    def observe(self, context):
        return Observed.IN_PLACE

    def undo(self, context, detail): ...


number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "leanml_test_hooks_of_mine.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield "leanml_test_hooks_of_mine"
    sys.modules.pop("leanml_test_hooks_of_mine", None)


def test_a_function_is_a_hook_that_runs_at_most_once(project, module):
    note = {"use": f"{module}:note", "with": {"path": "note.made"}}
    configure(project, note, {"use": f"{module}:bare"})
    planned = project.deploy(action=Action.PLAN)
    assert f"hook note: would call {module}:note" in planned.message
    assert (project.deploy().status, made(project)["note"], len(made(project)["bare"])) == (0, "2", 64)
    _forget(project, "hook bare", "done")
    assert project.deploy(action=Action.RESUME).status == 23
    assert project.deploy(action=Action.UNDO).status == 23


@pytest.mark.parametrize("beside", [True, False])
def test_an_analysis_stands_beside_with_or_in_it(project, module, beside):
    analysis = {"analysis": {"every": 3}}
    configure(project, {"use": f"{module}:watch", **(analysis if beside else {"with": analysis})})
    assert (project.deploy().status, made(project)) == (0, {"watched": "3"})


@pytest.mark.parametrize(("name", "told"), [("odd", "returned int"), ("leave", "SystemExit: 0")])
def test_a_function_that_goes_its_own_ways_is_unknown(project, module, name, told):
    configure(project, {"use": f"{module}:{name}"})
    done = project.deploy()
    assert (done.status, project.alias, told in done.message) == (23, "1", True), done


def test_a_hook_that_hangs_is_left_behind_and_not_believed(project, module, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.interrupt.GRACE", 0.2)
    configure(project, {"use": f"{module}:Hangs", "timeout": "200ms"})
    assert "no plan" in project.deploy(action=Action.PLAN).message
    done = project.deploy()
    assert (done.status, project.alias, "did not end within 0.2 s" in done.message) == (23, "1", True), done


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"use": "{0}:Half"}, "has no apply"),
        ({"use": "{0}:number"}, "is no class, and no function"),
        ({"use": "{0}:untold"}, "is no class, and no function"),
        ({"use": "{0}:missing"}, "cannot be imported"),
        ({"use": "{0}:bare", "with": {"x": 1}}, "none: it takes none"),
        ({"use": "{0}:note", "with": {"path": 3}}, "Input should be a valid string"),
        ({"use": "{0}:note"}, "the setting 'path' is missing"),
        ({"use": "comand"}, "did you mean `command`?"),
        ({"use": "rollback"}, "rollback with `on: allow`"),
        ({"use": "http", "with": {"url": "https://x.example/", "bearer": "TOKEN"}}, "add `secrets: [TOKEN]`"),
        ({"use": "slack", "secrets": ["TOKENS"], "with": {"webhook": "TOKEN"}}, "the secret TOKEN is not given"),
        ({"use": "command", "with": {"argv": ["x"]}, "analysis": {}}, "an analysis for command"),
        ({"use": "{0}:bare", "analysis": {}}, "none: it watches nothing"),
        ({"use": "{0}:watch", "analysis": {"every": "soon"}}, "'soon'"),
        ({"use": "{0}:watch", "analysis": {"every": 3, "evry": 3}}, "is no setting here"),
        ({"use": "{0}:watch", "analysis": {"every": 3}, "with": {"analysis": {"every": 4}}}, "one of them"),
        ({"use": "command", "with": {"argv": ["x"], "cwd": "s3://x"}}, "is a URL"),
        ({"use": "command", "with": {"argv": ["x"], "envs": []}}, "did you mean `env`?"),
    ],
)
def test_what_is_wrong_with_a_hook_is_told_with_its_place(project, module, entry, told):
    configure(project, {**entry, "use": entry["use"].format(module)})
    done = project.deploy()
    assert (done.status, told in done.message) == (4, True), done
    assert "leanml.yaml:9:" in done.message


def test_two_hooks_of_one_name_and_an_unknown_environment_are_refused(project):
    configure(project, failing(), failing())
    assert "two hooks are called 'boom'" in project.deploy().message
    configure(project, failing(environments=["stageing"]))
    done = project.deploy()
    assert (done.status, "did you mean `staging`?" in done.message) == (4, True), done
