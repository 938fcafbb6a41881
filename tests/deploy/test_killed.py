"""SIGKILL before and after every commit of journal and registry, in a release with three hooks: one of two worlds is left.

The points are counted in an undisturbed run, not picked. A process that has loaded everything forks a child for each run.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("leanml_tests_hooks", Path(__file__).with_name("test_hooks.py"))
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)
_SPEC = importlib.util.spec_from_file_location("leanml_tests_deploys", Path(__file__).with_name("conftest.py"))
deploys = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = deploys  # dataclasses look their module up
_SPEC.loader.exec_module(deploys)

SERVER = """
import json, os, signal, sys
import mlflow.store.model_registry.sqlalchemy_store
from sqlalchemy import event
from sqlalchemy.engine import Engine
from pytest_leanml.deploy import proof
from pytest_leanml.deploy.__main__ import main
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.registry import Registry

# The policies are asked again before the journal is opened, which takes ten times as long as all that follows.
proof._ask_again = lambda *_: None
passed = 0

def run(folder, args, point):
    def arrive(*_):
        global passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    write = Journal.write

    def written(self, *args, **kwargs):
        write(self, *args, **kwargs)
        arrive()

    move = Registry.move_alias

    def moved(self, *args, **kwargs):
        told = move(self, *args, **kwargs)
        arrive()
        return told

    event.listen(Engine, "commit", arrive)
    Journal.write = written
    Registry.move_alias = moved
    os.chdir(folder)
    os.dup2(os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    return main(args)

for line in sys.stdin:
    folder, args, point = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = run(folder, args, point)
        finally:
            with open(os.path.join(folder, "passed.txt"), "w") as file:
                file.write(str(passed))
            sys.stdout.flush()
            os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def deployer():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SERVER], env=deploys.environment(), **pipes) as process:

        def run(project, *args, point=0):
            line = [str(project.root), [f"--decision={project.decision('2')}", *args], point]
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.flush()
            status = int(process.stdout.readline())
            return status, (project.root / "said.txt").read_text()

        yield run
        process.stdin.close()


def _world(project):
    return project.alias, hooks.made(project)


def _all_points(project, tmp_path, run):
    """Yield each point with two copies of the project as a kill there has left it."""
    whole = deploys.copied(project.root, tmp_path / "whole")
    hooks.configure(whole, *_three(whole.root, fails=_fails(project)))
    run(whole)
    points = int((whole.root / "passed.txt").read_text())
    for point in range(1, points + 1):
        killed = deploys.copied(project.root, tmp_path / f"at{point}")
        hooks.configure(killed, *_three(killed.root, fails=_fails(project)))
        status, said = run(killed, point=point)
        assert status == -signal.SIGKILL, said
        yield point, killed


def _three(root, *, fails):
    last = hooks.failing() if fails else hooks.message(root)
    return hooks.maker(root, "one"), hooks.maker(root, "two"), last


def _fails(project):
    return (project.root / "fails").exists()


def _begun(project):
    return bool(hooks.journal(project))


def test_killed_anywhere_it_goes_on_to_the_new_world(project, tmp_path):
    new = {"one": "x", "two": "x", "tell": "x"}
    unknown = points = 0
    with deployer() as run:
        for point, killed in _all_points(project, tmp_path, run):
            sent = hooks.made(killed).get("tell")
            status, said = run(killed, *(["--resume"] if _begun(killed) else []))
            if status == 23:
                unknown += 1
                assert _world(killed)[1].get("tell") == sent, said  # never repeated unasked
                status, said = run(killed, "--resume", "--done=tell" if sent else "--repeat=tell")
            assert (status, _world(killed)) == (0, ("2", new)), (point, said)
            points = point
    assert points >= 16
    assert unknown


def test_killed_anywhere_it_goes_back_to_the_old_world(project, tmp_path):
    with deployer() as run:
        for point, killed in _all_points(project, tmp_path, run):
            begun, sent = _begun(killed), hooks.made(killed).get("tell")
            status, said = run(killed, "--undo")
            kept = {"tell": "x"} if sent else {}
            assert _world(killed) == ("1", kept), (point, said)
            assert status in ({0, 23} if begun else {21}), (point, said)
            assert (status == 23) <= ("tell may or may not" in said), said


def test_killed_anywhere_while_it_is_taken_back_ends_in_the_old_world(project, tmp_path):
    """The third hook fails, so that every way leads back."""
    (project.root / "fails").touch()
    with deployer() as run:
        for point, killed in _all_points(project, tmp_path, run):
            how = "--undo" if point % 2 else "--resume"
            status, said = run(killed, *([how] if _begun(killed) else []))
            if status == 23:  # at the kill the program that fails had not said so
                status, said = run(killed, "--resume", "--repeat=boom") if how == "--resume" else (0, said)
            assert _world(killed) == ("1", {}), (point, how, said)
            assert status in {0, 21, 22}, (point, how, said)
