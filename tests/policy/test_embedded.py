"""The embedded engine's process: late, crashed, killed or wrong, it gives no answer, and the next call works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_leanml.errors import EngineError, ExitStatus
from pytest_leanml.policy import process, selftest
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.load import load_policies
from pytest_leanml.policy.preflight import read_modules
from pytest_leanml.policy.process import Worker
from pytest_leanml.policy.selftest import KNOWN

SIMPLE = "package p\n\nallow if input.x == 1\n"
ENDLESS = """package p

allow if count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i == j; input.x]) == 0
"""
HUGE = "package p\n\nallow if count(numbers.range(1, 1000000000)) == input.x\n"


@pytest.fixture
def own():
    engine = EmbeddedEngine()
    yield engine
    engine.close()


def works(engine, loaded):
    [answer] = engine.evaluate(loaded, '{"x": 1}', {}, 10.0)
    return answer.allow is True


def test_late_is_an_error_and_ends_the_process(own, policies):
    pid, simple = own.pid, policies(SIMPLE)
    endless = policies(ENDLESS)
    started = time.monotonic()
    with pytest.raises(EngineError, match="did not answer in time") as caught:
        own.evaluate(endless, '{"x": 1}', {}, 0.3)
    assert caught.value.status is ExitStatus.UNDECIDED
    assert time.monotonic() - started < 5
    assert gone(pid)
    assert works(own, simple)
    assert own.pid != pid


def test_a_value_that_fills_the_memory_is_an_error(own, policies):
    simple = policies(SIMPLE)
    with pytest.raises(EngineError, match=r"ended by signal|did not answer"):
        own.evaluate(policies(HUGE), '{"x": 1}', {}, 10.0)
    assert works(own, simple)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_killed_between_two_calls(own, policies, how):
    loaded = policies(SIMPLE)
    assert works(own, loaded)
    os.kill(own.pid, how)
    wait_for_end(own)
    assert works(own, loaded)


def test_killed_while_it_works(own, policies):
    loaded = policies(ENDLESS)
    killer = subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(0.5); os.kill({own.pid}, 9)"])
    with pytest.raises(EngineError, match="ended by signal 9"):
        own.evaluate(loaded, '{"x": 1}', {}, 20.0)
    assert killer.wait() == 0
    assert works(own, policies(SIMPLE))


def test_closed_twice_and_then_asked(own, policies):
    loaded = policies(SIMPLE)
    own.close()
    own.close()
    assert own.pid is None
    assert works(own, loaded)


def test_a_forgotten_engine_leaves_no_process():
    engine = EmbeddedEngine()
    pid = engine.pid
    del engine
    assert gone(pid)


def test_the_process_ends_itself_when_its_owner_is_gone():
    text = (
        "import os\n"
        "from pytest_leanml.policy.process import Worker\n"
        "worker = Worker()\n"
        "print(worker.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert gone(int(done.stdout))


def test_a_late_process_ends_itself_when_its_owner_is_gone(monkeypatch):
    """The kernel's alarm: the engine holds the interpreter's lock and cannot see that nobody waits."""
    monkeypatch.setattr(process, "ALARM_AFTER", -9.5)
    with Worker() as worker:
        worker.call("load", [["p.rego", ENDLESS]], timeout=15.0)
        with pytest.raises(EngineError, match="ended by signal 14"):
            worker.call("evaluate", '{"x": 1}', "{}", ["data.p.allow"], timeout=10.0)


def gone(pid):
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def wait_for_end(engine):
    for _ in range(200):
        if not engine._worker.alive:
            return
        time.sleep(0.05)
    pytest.fail("the process lives on")


def test_a_broken_policy_set_is_an_error_and_is_forgotten(own, policies):
    good = policies(SIMPLE)
    bad = type(good)(files=(type(good.files[0])("x", "package", "sha256:0"),), packages=good.packages)
    with pytest.raises(EngineError, match="error: "):
        own.evaluate(bad, '{"x": 1}', {}, 5.0)
    assert works(own, good)


def test_input_that_is_no_json_is_an_error(own, policies):
    with pytest.raises(EngineError):
        own.evaluate(policies(SIMPLE), "{", {}, 5.0)


def worker_of(tmp_path, monkeypatch, text):
    script = tmp_path / "worker.py"
    script.write_text(text, encoding="utf-8")
    monkeypatch.setattr(process, "WORKER", script)


HELLO = 'import sys\nprint(\'{"result": "9"}\', flush=True)\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(3)", "does not start: the embedded engine's process ended with status 3"),
        ("import nowhere_to_be_found", "does not start"),
        ("print('hello', flush=True)", "does not start: the embedded engine's process answered what is no JSON"),
        ("print('[]', flush=True)", "answered what is no JSON"),
        (HELLO + "raise SystemExit(0)", "ended with status 0"),
        (HELLO + "sys.stdin.readline(); print('nonsense', flush=True)", "answered what is no JSON"),
        (HELLO + "sys.stdin.readline(); print('{\"error\": \"odd\"}', flush=True)", "odd"),
        (HELLO + "sys.stdin.readline(); raise SystemExit(7)", "ended with status 7"),
        (HELLO + "sys.stdin.readline(); print('{\"result\": []}', flush=True)\n"
         "sys.stdin.readline(); print('{\"result\": [{}]}', flush=True)", "gave 1 answers to"),
    ],
)  # fmt: skip
def test_a_process_that_cannot_be_believed(tmp_path, monkeypatch, text, said):
    worker_of(tmp_path, monkeypatch, text)
    with pytest.raises(EngineError, match=said):
        EmbeddedEngine()


def test_a_process_that_is_silent(tmp_path, monkeypatch):
    worker_of(tmp_path, monkeypatch, "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(process, "START_SECONDS", 0.3)
    with pytest.raises(EngineError, match="did not answer in time"):
        EmbeddedEngine()


def test_a_process_that_does_not_read(tmp_path, monkeypatch):
    worker_of(tmp_path, monkeypatch, HELLO + "import time\ntime.sleep(60)\n")
    with Worker() as worker, pytest.raises(EngineError, match="did not answer in time"):
        worker.call("load", [["p.rego", "#" * 2**20]], timeout=0.3)


def test_a_process_that_dies_while_it_is_written_to(tmp_path, monkeypatch):
    worker_of(tmp_path, monkeypatch, HELLO + "import os, time\nos.close(0)\ntime.sleep(0.2)\n")
    with Worker() as worker, pytest.raises(EngineError, match="ended with status 0"):
        worker.call("load", [["p.rego", "#" * 2**21]], timeout=10.0)


def test_an_interpreter_that_is_not_there(monkeypatch):
    monkeypatch.setattr(process.sys, "executable", "/nowhere/python")
    with pytest.raises(EngineError, match="process does not start"):
        Worker()


def test_answers_for_other_packages_than_asked(own, policies, monkeypatch):
    loaded = policies(SIMPLE)
    assert works(own, loaded)
    monkeypatch.setattr(own._worker, "call", lambda *_, **__: [])
    with pytest.raises(EngineError, match="0 answers for 1 packages"):
        own.evaluate(loaded, "{}", {}, 5.0)


def test_the_self_test_finds_a_builtin_that_answers_wrongly(monkeypatch):
    monkeypatch.setitem(selftest.KNOWN, "abs", "abs(-1) == -1")
    monkeypatch.setitem(selftest.KNOWN, "count", 'count("x", "y") == 1')
    with pytest.raises(EngineError, match="answers wrongly: abs, count"):
        EmbeddedEngine()


def test_the_self_test_covers_what_the_shipped_policies_use(tmp_path):
    from pytest_leanml.policy.load import shipped_folder

    names = sorted(each.name for each in shipped_folder().iterdir() if each.is_dir())
    loaded = load_policies([], shipped=names, root=tmp_path)
    with Worker() as worker:
        modules = read_modules(loaded.files, worker)
    local = {rule.name for module in modules for rule in module.rules}
    called = {".".join(u.path) for m in modules for r in m.rules for u in r.uses if u.call is not None}
    assert called - local - KNOWN.keys() == set()


def test_the_environment_of_a_project_does_not_reach_it(tmp_path, monkeypatch):
    (tmp_path / "regorus.py").write_text("raise SystemExit(9)", encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(9)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Worker() as worker:
        assert worker.version == "0.13.0"


def test_a_policy_that_prints_does_not_disturb(own, policies):
    loaded = policies('package p\n\nallow if { print("{\\"result\\": 1}"); input.x == 1 }\n')
    assert works(own, loaded)
