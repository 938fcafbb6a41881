from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GOOD = "def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n"
LEAN = [part for name in ("randomly", "hypothesispytest", "anyio", "typeguard") for part in ("-p", f"no:{name}")]


@pytest.fixture
def good(pytester):
    pytester.makepyfile(test_it=GOOD)
    return pytester.path


def decision_in(root):
    return json.loads((root / ".leanml" / "decision.json").read_text())


def test_the_first_act_replaces_an_older_decision_and_what_speaks_for_it(good, gate, pytester):
    output = good / ".leanml"
    output.mkdir()
    for name in ("decision.json", "evidence.json", "report.md", "leanml.env", "junit.xml"):
        (output / name).write_text("ALLOW")
    pytester.makeconftest("raise SystemExit(0)")
    result, decision = gate()
    assert (decision["verdict"], result.ret != 0) == ("DENY", True)
    assert not any(path.read_text() == "ALLOW" for path in output.iterdir())
    assert not (output / "leanml.env").exists()


def test_an_output_that_is_a_file_is_told(good, pytester):
    (good / "out").write_text("mine")
    result = pytester.runpytest_inprocess("--model-gate", "--gate-output=out", "-p", "no:randomly")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*out: cannot be written*expected: a folder*next: give another one*"])
    assert (good / "out").read_text() == "mine"


def test_plugin_objects_record_show_and_leave_nothing_behind(good, shown, monkeypatch, tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    before = dict(os.environ)
    result, decision = shown()
    assert (int(result.ret), decision["verdict"], decision["mode"]) == (20, "DENY", "dry-run")
    assert decision["own"] == set()
    assert list(private.glob("leanml-*")) == []
    assert {name for name in os.environ if name.startswith("LEANML")} == {n for n in before if n.startswith("LEANML")}


def test_plugin_objects_and_a_conftest_that_fails_leave_nothing_behind(good, pytester, monkeypatch, tmp_path):
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    pytester.makeconftest("raise ValueError('mine')")
    result = pytester.runpytest_inprocess("--model-gate", "-p", "no:randomly")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert list(private.glob("leanml-*")) == []
    assert "LEANML_RUN_ID" not in os.environ
    assert decision_in(good)["verdict"] == "PENDING"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--gate-config=other.yaml"], "*other.yaml*"),
        (["--setup-only"], "*--model-gate together with --setup-only*"),
        (["--gate-engine=prolog"], "*--gate-engine is 'prolog'; expected: one of embedded, opa, both*"),
    ],
)
def test_plugin_objects_and_wrong_use_is_told(good, pytester, args, said):
    result = pytester.runpytest_inprocess("--model-gate", "-p", "no:randomly", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert "Traceback" not in result.stderr.str()


def test_a_gate_inside_a_run_with_plugin_objects_is_refused(pytester, shown, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # that of this test
    command = f"subprocess.run([{sys.executable!r}, '-m', 'pytest', '--model-gate', '-p', 'no:randomly'], cwd=tmp_path)"
    pytester.makepyfile(
        "import subprocess\n\ndef test_inner(tmp_path, evidence):\n"
        "    (tmp_path / 'test_x.py').write_text('def test_x(evidence): evidence.record(\"x\", 1)')\n"
        f"    assert evidence.record('status', {command}.returncode) == 4\n"
        "    assert not (tmp_path / '.leanml').exists()\n"
    )
    _, decision = shown()
    assert decision["own"] == set()


@pytest.mark.parametrize("flag", ["--fixtures", "--markers", "--setup-plan", "--setup-only", "--pdb", "--trace"])
def test_modes_that_run_no_check_are_wrong_use(good, pytester, flag):
    result = pytester.runpytest_inprocess("--model-gate", "-p", "no:randomly", flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--model-gate together with {flag}*", "*expected: a run that measures*", "*next: *"])


def test_optimized_python_is_wrong_use(good, pytester):
    result = pytester.run(sys.executable, "-O", "-m", "pytest", "--model-gate", *LEAN)
    assert (result.ret, decision_in(good)["verdict"]) == (4, "DENY")
    result.stdout.fnmatch_lines(["*python -O*switches asserts off*", "*status 4: nothing was measured*"])


def test_a_rootdir_that_leaves_the_configuration_out_is_wrong_use(good, pytester):
    (good / "leanml.yaml").write_text("version: 1\n")
    (good / "apart").mkdir()
    result = pytester.runpytest_inprocess("--model-gate", "-p", "no:randomly", "--rootdir=apart")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*leanml.yaml: pytest's rootdir is *apart, which has no leanml.yaml*", "*next: give*"])
    result = pytester.runpytest_inprocess(
        "--model-gate", "-p", "no:randomly", "--rootdir=apart", "--gate-config=leanml.yaml", "test_it.py"
    )
    assert int(result.ret) == 20


def test_help_is_answered_and_leaves_nothing_to_promote(good, pytester):
    result = pytester.runpytest_subprocess("--model-gate", "--help")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*--gate-candidate*"])
    assert decision_in(good)["verdict"] == "PENDING"


def test_the_private_folder_is_the_users_alone_and_goes(good, gate, pytester):
    pytester.makepyfile(
        "import os, stat\n\ndef test_folder(evidence):\n    folder = os.environ['LEANML_RUN_FOLDER']\n"
        "    open('where', 'w').write(folder)\n"
        "    assert evidence.record('mode', stat.S_IMODE(os.stat(folder).st_mode)) == 0o700\n"
    )
    result, decision = gate()
    assert (result.ret, decision["verdict"]) == (0, "ALLOW")
    assert not Path((good / "where").read_text()).exists()


def test_a_junit_file_of_the_users_own_is_not_replaced(good, gate):
    result, _ = gate("--junitxml=mine.xml", "-p", "no:cacheprovider")
    assert result.ret == 0
    assert ((good / "mine.xml").exists(), (good / ".leanml" / "junit.xml").exists()) == (True, False)


def test_reports_are_those_of_the_configuration(good, gate):
    (good / "leanml.yaml").write_text("version: 1\nreport: {formats: []}\n")
    result, _ = gate()
    assert result.ret == 0
    assert {path.name for path in (good / ".leanml").iterdir()} == {"decision.json", "evidence.json"}


def ended_by(root, number, *, group=False):
    """Start a gate whose test waits, and send it a signal."""
    (root / "test_slow.py").write_text(
        GOOD
        + "\nimport pathlib, time\ndef test_slow(evidence):\n    pathlib.Path('ready').touch()\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "pytest", "--model-gate", *LEAN]
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + 60
    while not (root / "ready").exists() and time.monotonic() < end:
        time.sleep(0.05)
    (os.killpg if group else os.kill)(process.pid, number)
    return process.wait(60)


@pytest.mark.parametrize(
    ("number", "group", "status", "rule"),
    [
        (signal.SIGTERM, False, 128 + signal.SIGTERM, "G4.signal"),
        (signal.SIGINT, False, 2, "G4.interrupt"),
        (signal.SIGINT, True, 2, "G4.interrupt"),
    ],
    ids=["SIGTERM", "SIGINT", "SIGINT-from-a-terminal"],
)
def test_a_signal_denies_and_tells(tmp_path, number, group, status, rule):
    assert ended_by(tmp_path, number, group=group) == status
    decision = decision_in(tmp_path)
    assert decision["verdict"] == "DENY"
    assert rule in {each["rule"] for each in decision["reasons"]}


def test_a_time_out_of_the_gate_is_no_decision(good, gate, pytester):
    (good / "leanml.yaml").write_text("version: 1\ntimeout: 3s\n")
    pytester.makepyfile(test_slow="import time\ndef test_slow(evidence):\n    time.sleep(60)\n")
    result, decision = gate()
    assert (result.ret, decision["verdict"]) == (21, "DENY")
    assert "G4.late" in {each["rule"] for each in decision["reasons"]}
