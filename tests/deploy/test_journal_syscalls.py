"""SIGKILL, a full disk and a failing one at each system call by which the journal is written, injected by strace.

The calls are counted in an undisturbed run, not picked. A process that has loaded everything forks a child for each run;
the child calls its hooks in its only thread, so that strace counts every call in one place.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_leanml.deploy.journal import Journal

_SPEC = importlib.util.spec_from_file_location("leanml_tests_hooks", Path(__file__).with_name("test_hooks.py"))
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)
_SPEC = importlib.util.spec_from_file_location("leanml_tests_deploys", Path(__file__).with_name("conftest.py"))
deploys = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = deploys  # dataclasses look their module up
_SPEC.loader.exec_module(deploys)

CALLS = ("openat", "pwrite64", "fdatasync", "unlink")
HOOKS = '''
from pydantic import BaseModel
from pytest_leanml.deploy.hook import Applied, Observed


class File:
    """Each time that it is applied adds a letter, so that twice is seen."""

    class Config(BaseModel):
        name: str

    def __init__(self, config):
        self._name = config.name

    def _file(self, context):
        return context.root / f"{self._name}.made"

    def plan(self, context):
        return "make a file"

    def apply(self, context):
        context.remember({"name": self._name})
        self._file(context).open("a").write("x")
        return Applied()

    def observe(self, context):
        return Observed.IN_PLACE if self._file(context).exists() else Observed.ABSENT

    def undo(self, context, detail):
        self._file(context).unlink(missing_ok=True)


class Message(File):
    undoable = False

    def observe(self, context):
        return Observed.UNKNOWN
'''
SERVER = """
import contextlib, importlib, json, os, sys, time
import mlflow.store.model_registry.sqlalchemy_store
from pytest_leanml.deploy import proof, steps
from pytest_leanml.deploy.__main__ import main

steps.within = lambda work, *_: work()
# The policies are asked again before the journal is opened, which takes ten times as long as all that follows.
proof._ask_again = lambda *_: None

def run(folder, args, traced):
    os.chdir(folder)
    os.dup2(os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    while traced and "TracerPid:\\t0\\n" in open("/proc/self/status").read():
        time.sleep(0.001)
    return main(args)

for line in sys.stdin:
    folder, args, traced = json.loads(line)
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = run(folder, args, traced)
        finally:
            with open(os.path.join(folder, "modules"), "w") as file:
                json.dump(sorted(sys.modules), file)
            sys.stdout.flush()
            os._exit(status)
    print(child, flush=True)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):  # what a child has loaded, the next one need not
        for name in json.load(open(os.path.join(folder, "modules"))):
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
    print(status, flush=True)
"""


class Runs:
    """Runs of ``leanml deploy`` about one project, which is put back before each story."""

    def __init__(self, project, server):
        self.project = project
        self._server = server
        self._journal = project.root / "leanml.db"
        self._registry = (project.root / "mlflow.db").read_bytes()

    def reset(self):
        (self.project.root / "mlflow.db").write_bytes(self._registry)
        for path in (*self.project.root.glob("leanml.db*"), *self.project.root.glob("*.made")):
            path.unlink()

    def __call__(self, *args, inject=()):
        line = [str(self.project.root), [f"--decision={self.project.decision('2')}", *args], bool(inject)]
        self._server.stdin.write(json.dumps(line) + "\n")
        self._server.stdin.flush()
        child = self._server.stdout.readline().strip()
        if inject:
            paths = [part for end in ("", "-journal") for part in ("-P", f"{self._journal}{end}")]
            log = self.project.root / "strace.log"
            command = ["strace", "-qq", "-o", log, *paths, *inject, "-p", child]
            subprocess.run(command, check=False, capture_output=True, timeout=60)
        return int(self._server.stdout.readline()), (self.project.root / "said.txt").read_text()

    def counted(self):
        """How often a whole run makes each call on the journal's files."""
        self.reset()
        status, said = self(inject=["-e", f"trace={','.join(CALLS)}"])
        assert status == 0, said
        return Counter(re.findall(r"^\d* *(\w+)\(", (self.project.root / "strace.log").read_text(), re.MULTILINE))

    @property
    def world(self):
        return self.project.alias, hooks.made(self.project)

    def forward(self):
        """Go on as a person would; the end is the new world, and nothing happened twice."""
        sent = hooks.made(self.project).get("tell")
        status, said = self("--resume")
        if status == 21 and "no deploy of this decision" in said:
            status, said = self()
        if status == 23:
            assert hooks.made(self.project).get("tell") == sent, said
            status, said = self("--resume", "--done=tell" if sent else "--repeat=tell")
        assert (status, self.world) == (0, ("2", {"one": "x", "tell": "x", "two": "x"})), said

    def back(self):
        """Take it back; the end is the old world, but for a message that was sent."""
        sent = hooks.made(self.project).get("tell")
        status, said = self("--undo")
        assert self.world == ("1", {"tell": "x"} if sent else {}), said
        assert status in {0, 21, 23}, said
        assert (status == 21) <= ("no deploy of this decision" in said), said

    def verified(self):
        journal = Journal(f"sqlite:///{self._journal}")
        try:
            return journal.verify()[0]
        finally:
            journal.close()


def missing(what):
    if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
        pytest.fail(f"LEANML_REQUIRE_SERVICES=1, and {what}")
    pytest.skip(what)


@contextmanager
def _folder(tmp_path):
    """In memory where that can be: the calls are the same, and the disk is not waited for."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path / "project"
        return
    with tempfile.TemporaryDirectory(prefix="leanml-", dir=memory) as folder:
        yield Path(folder) / "project"


@pytest.fixture(scope="module")
def runs(judged, tmp_path_factory):
    if shutil.which("strace") is None:
        missing("strace is not installed (apt-get install strace)")
    if subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        missing("strace may not trace here (ptrace is forbidden)")
    modules = tmp_path_factory.mktemp("modules")
    (modules / "leanml_test_files.py").write_text(HOOKS)
    environment = {**deploys.environment(), "PYTHONPATH": str(modules)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with _folder(tmp_path_factory.mktemp("syscalls")) as folder:
        project = deploys.copied(judged, folder)
        use = {
            name: f"leanml_test_files:{kind}" for name, kind in (("one", "File"), ("two", "File"), ("tell", "Message"))
        }
        entries = [{"use": use[name], "name": name, "with": {"name": name}} for name in ("one", "tell", "two")]
        hooks.configure(project, *entries)
        with subprocess.Popen([sys.executable, "-c", SERVER], env=environment, **pipes) as server:
            found = Runs(project, server)
            found()
            yield found
            server.stdin.close()


EVERY = os.environ.get("LEANML_ALL_PROBES") == "1"


def _step(name):
    """Pages are written by the hundred, and any of them is like the next: without LEANML_ALL_PROBES each third is enough."""
    return 3 if name == "pwrite64" and not EVERY else 1


@pytest.mark.parametrize("name", CALLS)
def test_killed_at_each_call_it_goes_on_or_back(runs, name, record_property):
    counts = runs.counted()
    assert counts["pwrite64"] >= 50, counts
    numbers = range(1, counts[name] + 1, _step(name))
    for place, number in enumerate(numbers):
        for way in ("forward", "back") if EVERY else (("forward", "back")[place % 2],):
            runs.reset()
            kill = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"]
            status, said = runs(inject=kill)
            assert status == -signal.SIGKILL, (name, number, said)
            getattr(runs, way)()
            assert runs.verified() == [], (name, number, way)
    record_property("kill_points", {"journal": len(numbers) * (2 if EVERY else 1)})


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("pwrite64", "ENOSPC", "disk is full"),
        ("pwrite64", "EIO", "disk I/O error"),
        ("fdatasync", "EIO", "disk I/O error"),
        ("openat", "EROFS", "readonly database|unable to open database file"),
    ],
)
def test_a_disk_that_fails_from_then_on_is_told_and_gone_on_from(runs, name, error, told):
    count = runs.counted()[name]
    numbers = range(1, count + 1) if EVERY else sorted({1, 2, *range(3, count, max(1, count // 6)), count})
    for number in numbers:
        runs.reset()
        status, said = runs(inject=["-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={number}+"])
        if status == 0:  # the calls after the last commit tidy up
            assert runs.world[0] == "2"
            continue
        assert status in {21, 23}, (number, said)
        assert re.search(told, said), (number, said)
        assert "Traceback" not in said
        getattr(runs, ("forward", "back")[number % 2])()
        assert runs.verified() == [], (number, said)
