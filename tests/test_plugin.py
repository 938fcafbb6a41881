from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

CHECKS = """
def test_cost(evidence):
    assert evidence.record("cost", 3.0) <= 3.5

def test_unit():
    assert True
"""

HEAVY = ("numpy", "pandas", "pydantic", "mlflow", "yaml", "sqlalchemy", "regorus", "sklearn", "scipy", "pyarrow")


@pytest.fixture
def decided(pytester):
    """Return a function that runs the gate in a subprocess and returns the result and the decision."""

    def run(*args, file="test_checks.py", text=CHECKS):
        if text is not None:
            (pytester.path / file).write_text(textwrap.dedent(text))
        result = pytester.runpytest_subprocess("-p", "no:randomly", *args)
        path = pytester.path / ".leanml" / "decision.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    return run


def test_a_run_of_tests_alone_is_gated(decided):
    result, decision = decided("--model-gate")
    assert (result.ret, decision["verdict"], decision["mode"]) == (0, "ALLOW", "enforce")
    result.stdout.fnmatch_lines(["*1 passed, 1 deselected*", "*model gate: ALLOW*"])


def test_loading_the_plugin_imports_nothing_heavy(pytester):
    code = "import sys, pytest; pytest.main(['--collect-only', '-q', '-p', 'no:hypothesispytest', '-p', 'no:anyio', '-p', 'no:randomly'])\n"
    code += f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=pytester.path, capture_output=True, text=True, check=False)
    assert "loaded: []" in ended.stdout, ended.stdout + ended.stderr


def test_without_the_flag_nothing_more_is_collected_and_nothing_is_decided(pytester):
    pytester.makepyfile(test_checks=CHECKS)
    (pytester.path / "leanml.yaml").write_text("version: 1\n")
    (pytester.path / "policy_test.rego").write_text("package p_test\n\ntest_x if true\n")
    listed = [
        sorted(line for line in pytester.runpytest_subprocess("--collect-only", "-q", *args).outlines if "::" in line)
        for args in ((), ("-p", "no:leanml"))
    ]
    assert listed[0] == listed[1] == ["test_checks.py::test_cost", "test_checks.py::test_unit"]
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / ".leanml").exists()


@pytest.mark.parametrize(("flag", "origin"), [("--gate-report-only", "addopts"), ("--gate-policy=p", "PYTEST_ADDOPTS")])
def test_only_the_command_line_may_weaken_a_gate(decided, pytester, monkeypatch, flag, origin):
    if origin == "addopts":
        pytester.makeini(f"[pytest]\naddopts = {flag}\n")
    else:
        monkeypatch.setenv("PYTEST_ADDOPTS", flag)
    result, decision = decided("--model-gate")
    assert (result.ret, decision["verdict"]) == (4, "DENY")
    assert origin in result.stdout.str() + result.stderr.str()


def test_where_each_option_came_from_goes_into_the_decision(decided, monkeypatch, pytester):
    pytester.makeini("[pytest]\naddopts = --model-gate\ngate_engine = embedded\n")
    monkeypatch.setenv("LEANML_ENVIRONMENT", "production")
    _, decision = decided("--gate-dry-run")
    assert decision["options"] == {
        "--gate-dry-run": "command line",
        "--gate-engine": "ini gate_engine",
        "--gate-environment": "LEANML_ENVIRONMENT",
        "--model-gate": "addopts",
    }


def test_dry_run_keeps_the_real_status_and_report_only_ends_with_0(decided):
    failing = CHECKS.replace("<= 3.5", "<= 2.5")
    result, decision = decided("--model-gate", "--gate-dry-run", text=failing)
    assert (result.ret, decision["verdict"], decision["mode"]) == (1, "DENY", "dry-run")
    result, decision = decided("--model-gate", "--gate-report-only", text=failing)
    assert (result.ret, decision["verdict"], decision["mode"]) == (0, "DENY", "dry-run")


def test_collect_only_prints_the_manifest_and_leaves_pending(decided, pytester):
    (pytester.path / "leanml.yaml").write_text("version: 1\nrequire: [test_checks.test_cost]\n")
    result, decision = decided("--model-gate", "--collect-only")
    assert (result.ret, decision["verdict"]) == (0, "PENDING")
    result.stdout.fnmatch_lines(["*test_checks.test_cost (required)*"])


UNRELATED = """
import pytest

@pytest.mark.quality_check(id="soft", severity="warning")
def test_soft(evidence):
    cost = evidence.record("cost", 3.0)
    if cost <= 2.5:
        return
    assert evidence.record("speed", 3.0) >= 2.5
    assert [] == ["rows"]
"""


def test_a_warning_excuses_no_assert_about_something_else(decided):
    result, decision = decided("--model-gate", text=UNRELATED)
    assert (result.ret, decision["verdict"]) == (1, "DENY")


def test_xdist_workers_record_and_the_supervisor_decides(decided, pytester):
    result, decision = decided("--model-gate", "-n2")
    assert (result.ret, decision["verdict"]) == (0, "ALLOW")
    evidence = json.loads((pytester.path / ".leanml" / "evidence.json").read_text())
    assert evidence["run"]["workers"] == 2


def test_pytest_main_returns_a_status_and_goes_on(pytester):
    pytester.makepyfile(test_checks=CHECKS)
    script = pytester.makepyfile(run="import pytest\nprint('status', int(pytest.main(['--model-gate', '-q'])))\n")
    result = pytester.runpython(script)
    result.stdout.fnmatch_lines(["status 0"])


def test_plugin_objects_are_shown_and_never_promoted(pytester):
    pytester.makepyfile(test_checks=CHECKS)
    script = pytester.makepyfile(
        run="import pytest\nclass P: pass\nprint('status', int(pytest.main(['--model-gate', '-q'], plugins=[P()])))\n"
    )
    result = pytester.runpython(script)
    decision = json.loads((pytester.path / ".leanml" / "decision.json").read_text())
    assert decision["verdict"] == "DENY"
    assert [reason["rule"] for reason in decision["reasons"]] == ["G3.plugin_objects"]
    result.stdout.fnmatch_lines(["status 20"])


def test_a_module_can_be_imported_as_it_can_without_the_gate(pytester):
    (pytester.path / "beside.py").write_text("LIMIT = 3.5\n")
    (pytester.path / "tests").mkdir()
    text = "from beside import LIMIT\n\ndef test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= LIMIT\n"
    (pytester.path / "tests" / "test_it.py").write_text(text)
    module = subprocess.run(
        [sys.executable, "-m", "pytest", "--model-gate", "-q"],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert module.returncode == 0, module.stdout


def test_a_github_runner_obeys_no_line_of_a_test(decided, monkeypatch, tmp_path):
    output, summary = tmp_path / "out", tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    text = (
        CHECKS
        + "\ndef test_env():\n    import os\n    print('::error::mine')\n    assert 'GITHUB_OUTPUT' not in os.environ\n"
    )
    result, decision = decided("--model-gate", "-s", "test_checks.py", text=text)
    assert (result.ret, decision["verdict"]) == (0, "ALLOW")
    lines = result.outlines
    begin = next(i for i, line in enumerate(lines) if line.startswith("::stop-commands::"))
    token = lines[begin].removeprefix("::stop-commands::")
    assert begin < next(i for i, line in enumerate(lines) if "::error::mine" in line) < lines.index(f"::{token}::")
    assert "promoted<<" in output.read_text()
    assert "# Model gate: ALLOW" in summary.read_text()


def test_pytest_and_python_m_pytest_see_the_same_path_with_and_without_the_gate(pytester):
    text = "import pathlib, sys\ndef test_path(evidence):\n    evidence.record('x', 1)\n"
    pytester.makepyfile(test_path=text + "    pathlib.Path('seen').write_text(repr(sys.path))\n")
    for command in ([str(Path(sys.executable).parent / "pytest")], [sys.executable, "-m", "pytest"]):
        seen = []
        for gate in ([], ["--model-gate"]):
            pytester.run(*command, *gate, "-q", "-p", "no:randomly")
            seen.append((pytester.path / "seen").read_text())
        assert seen[0] == seen[1]


def test_a_plugin_that_an_ide_names_on_the_command_line_sees_the_childs_reports(decided, pytester, monkeypatch):
    # As the Python extension of VS Code does: -p names a module that lies on PYTHONPATH.
    beside = pytester.path / "ide"
    beside.mkdir()
    (beside / "ide_plugin.py").write_text(
        "def pytest_runtest_logreport(report):\n    print('seen', report.nodeid, report.when, report.outcome)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(beside))
    result, decision = decided("-p", "ide_plugin", "--model-gate", "-s", f"--rootdir={pytester.path}")
    assert (result.ret, decision["verdict"]) == (0, "ALLOW")
    result.stdout.fnmatch_lines(["*seen test_checks.py::test_cost call passed*"])


def test_colours_pass_through(decided):
    result, _ = decided("--model-gate", "--color=yes")
    assert "\x1b[32m" in result.stdout.str().partition("model gate: no model")[2]
    assert "\x1b[" in result.stdout.str().rpartition("model gate: ALLOW")[0].splitlines()[-1]
    result, _ = decided("--model-gate", "--color=no", "-v")
    assert "\x1b[" not in result.stdout.str()


def test_options_of_other_plugins_and_of_the_projects_conftest_work_as_always(decided, pytester):
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--mine', type=int)\n")
    (pytester.path / "beside.py").write_text("LIMIT = 3.5\n")
    text = (
        "import beside\n"
        "def test_cost(evidence, pytestconfig):\n"
        "    assert evidence.record('cost', 3.0) <= pytestconfig.getoption('--mine')\n"
    )
    args = ("--mine=4", "--timeout=60", "--reruns=1", "--cov=beside", "--cov-report=term", "-p", "randomly")
    result, decision = decided("--model-gate", *args, text=text)
    assert (result.ret, decision["verdict"]) == (0, "ALLOW"), result.outlines
    result.stdout.fnmatch_lines(["*beside.py*100%*"])


def test_an_option_that_nobody_knows_is_pytests_own_error(decided):
    result, decision = decided("--model-gate", "--no-such-option")
    assert (result.ret, decision["verdict"]) == (4, "DENY")
    assert "unrecognized arguments: --no-such-option" in result.stdout.str() + result.stderr.str()


def test_without_the_plugin_its_flags_are_unknown(pytester):
    pytester.makepyfile(test_checks="def test_unit(): pass")
    result = pytester.runpytest_subprocess("-p", "no:leanml", "--model-gate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / ".leanml").exists()


def test_a_wrong_environment_tells_what_was_given_what_was_expected_and_what_to_do(flights, gate):
    result, decision = gate("--gate-environment=moon")
    assert (result.ret, decision["verdict"]) == (4, "DENY")
    told = result.stdout.str()
    assert "moon" in told
    assert "expected: " in told
    assert "production" in told
    assert "next: " in told
    assert "Traceback" not in told + result.stderr.str()
    assert "status 4: nothing was measured, and the registry is as it was" in told
