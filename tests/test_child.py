from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time

import pytest

from pytest_leanml.child import run_child
from pytest_leanml.judge import ChildEnd

# A child that is an ordinary pytest: what is tried here is how it is started, watched and ended.
PLAIN = ["-p", "no:leanml", "-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:anyio", "-q"]
SLOW = "import pathlib, time\ndef test_it():\n    pathlib.Path('ready').write_text('x')\n    time.sleep(60)\n"


@pytest.fixture
def child(pytester):
    """Return a function that runs one test file in a child."""

    def run(text, *args, timeout=60.0):
        (pytester.path / "test_it.py").write_text(textwrap.dedent(text))
        folder = pytester.path / "private"
        folder.mkdir(exist_ok=True)
        return run_child([*PLAIN, *args], run_id="01RUN", folder=folder, timeout=timeout)

    return run


@pytest.fixture
def signalled(pytester):
    """Return a function that sends signals to this process when the child's test has begun."""
    started = []

    def send(*numbers, pause=0.0):
        def when_ready():
            end = time.monotonic() + 60
            while not (pytester.path / "ready").exists() and time.monotonic() < end:
                time.sleep(0.05)
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(pause)

        started.append(threading.Thread(target=when_ready))
        started[-1].start()

    yield send
    for thread in started:
        thread.join()


def test_the_childs_own_status_is_told(child):
    assert child("def test_it(): pass") == ChildEnd(0)
    assert child("def test_it(): assert False") == ChildEnd(1)


def test_the_child_is_known_by_its_variables_and_has_none_of_a_runners_files(child, monkeypatch):
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "OTHER"):
        monkeypatch.setenv(name, "here")
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw9")
    text = f"""
    import os, sys

    def test_it():
        assert os.environ["LEANML_RUN_ID"] == "01RUN"
        assert os.environ["LEANML_RUN_FOLDER"].endswith("private")
        assert os.environ["LEANML_SUPERVISOR_PID"] == str(os.getppid()) == "{os.getpid()}"
        assert [name for name in os.environ if name.startswith("GITHUB_")] == []
        assert (os.environ["OTHER"], "PYTEST_XDIST_WORKER" in os.environ) == ("here", False)
        assert "LEANML_SYS_PATH" not in os.environ
        assert sys.argv[0] == {sys.argv[0]!r}
    """
    assert child(text) == ChildEnd(0)


def test_the_child_sees_the_same_sys_path_in_the_same_order(child, monkeypatch):
    monkeypatch.syspath_prepend("first on the path")
    here = [path for path in sys.path if path]
    text = f"import sys\ndef test_it():\n    assert [p for p in sys.path if p in {here!r}] == {here!r}\n"
    assert child(text, "--import-mode=importlib") == ChildEnd(0)


def test_a_child_that_is_killed_tells_its_signal(child):
    text = "import os, signal\ndef test_it(): os.kill(os.getpid(), signal.SIGKILL)\n"
    assert child(text) == ChildEnd(None, signal=signal.SIGKILL)


def test_a_child_that_is_late_is_ended(child):
    assert child(SLOW, timeout=1.0) == ChildEnd(None, late=True)


def test_a_late_child_that_does_not_end_when_asked_is_killed(child, monkeypatch):
    monkeypatch.setattr("pytest_leanml.child._GRACE", 0.5)
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLOW
    started = time.monotonic()
    assert child(deaf, timeout=6.0) == ChildEnd(None, late=True)
    assert time.monotonic() - started < 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_that_ends_the_gate_ends_its_child(child, signalled, number):
    before = signal.getsignal(number)
    signalled(number)
    assert child(SLOW) == ChildEnd(None, signal=number)
    assert signal.getsignal(number) is before


def test_an_interrupt_of_the_gate_alone_is_passed_on(child, signalled):
    signalled(signal.SIGINT)
    assert child(SLOW) == ChildEnd(2)


def test_an_interrupt_that_the_child_has_heard_is_not_passed_on(child, signalled, pytester):
    (pytester.path / "private").mkdir()
    (pytester.path / "private" / "main.jsonl").write_text('{"event": "fault", "fault": "interrupt"}\n')
    signalled(signal.SIGINT)
    assert child(SLOW.replace("60", "3")) == ChildEnd(0)


def test_a_fatal_signal_just_before_the_end_counts(child, signalled, monkeypatch):
    from pytest_leanml.child import _ended, _Signals

    assert _ended(0, _Signals([signal.SIGINT, signal.SIGTERM])) == ChildEnd(0, signal=signal.SIGTERM)
    assert _ended(-9, _Signals([signal.SIGTERM])) == ChildEnd(None, signal=signal.SIGTERM)
    assert _ended(2, _Signals([signal.SIGINT])) == ChildEnd(2)


def test_outside_of_the_main_thread_a_child_runs_all_the_same(child):
    ends = []
    thread = threading.Thread(target=lambda: ends.append(child("def test_it(): pass")))
    thread.start()
    thread.join()
    assert ends == [ChildEnd(0)]


def test_a_github_runner_obeys_nothing_that_the_child_prints(child, capfd, monkeypatch):
    text = "def test_it(): print('::error::mine')"
    child(text, "-s")
    assert "stop-commands" not in capfd.readouterr().out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    child(text, "-s")
    lines = capfd.readouterr().out.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines.index("::error::mine") < lines.index(f"::{token}::") == len(lines) - 1


def test_flags_of_the_interpreter_are_passed_on(pytester):
    flags = "(sys.flags.dont_write_bytecode, sys.flags.dev_mode)"
    pytester.makepyfile(test_it=f"import sys\ndef test_it():\n    assert {flags} == (1, True)\n")
    code = (
        "import pathlib; from pytest_leanml.child import run_child; "
        f"print(run_child({PLAIN!r}, run_id='x', folder=pathlib.Path(), timeout=60))"
    )
    ended = pytester.run(sys.executable, "-B", "-X", "dev", "-W", "ignore", "-c", code)
    ended.stdout.fnmatch_lines(["ChildEnd(status=0,*"])
