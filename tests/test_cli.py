"""The ``leanml`` command: statuses, streams, and no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_leanml import __version__
from pytest_leanml.cli import main
from pytest_leanml.errors import RegistryError
from pytest_leanml.unexpected import DETAILS, Net, unforeseen

POLICY = "package mine\n\nimport rego.v1\n\ndefault allow := false\n\nallow if input.metrics.accuracy >= 0.85\n"
TEST = "package mine_test\n\nimport rego.v1\n\nimport data.mine\n\ntest_allows if mine.allow with input as {value}\n"
GOOD, BAD = '{"metrics": {"accuracy": 0.9}}', '{"metrics": {"accuracy": 0.5}}'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.rego").write_text(POLICY)
    (tmp_path / "evidence.json").write_text(GOOD)
    return tmp_path


def test_init(here, capsys):
    assert main(["init", "--model", "flights"]) == 0
    assert capsys.readouterr().out.count("wrote ") == 3
    assert main(["init"]) == 4
    assert "is there already" in capsys.readouterr().err


def test_decide_prints_the_decision_and_ends_with_its_status(here, capsys):
    command = ["decide", "--evidence", "evidence.json", "--policy", "mine.rego"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "ALLOW"
    (here / "evidence.json").write_text(BAD)
    assert main(command) == 20
    assert json.loads(capsys.readouterr().out)["verdict"] == "DENY"
    assert main([*command, "--data", "none.json"]) == 4


def test_policy_check_test_and_eval(here, capsys):
    assert main(["policy", "check", "mine.rego"]) == 0
    assert "mine" in capsys.readouterr().out
    (here / "mine_test.rego").write_text(TEST.replace("{value}", GOOD))
    assert main(["policy", "check", ".", "--test"]) == 0
    assert main(["policy", "test", "."]) == 0
    assert main(["policy", "eval", "--policy", "mine.rego", "--input", "evidence.json"]) == 0
    capsys.readouterr()
    (here / "mine_test.rego").write_text(TEST.replace("{value}", BAD))
    assert main(["policy", "test", "."]) == 20
    (here / "mine.rego").write_text("package mine\n\nallow := ")
    assert main(["policy", "check", "mine.rego"]) == 4
    assert "mine.rego:3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["nothing"],
        ["decide"],
        ["decide", "--evidence", "e", "--policy", "p", "--engine", "v8"],
        ["deploy"],
        ["deploy", "--decision", "d", "--resume", "--undo"],
        ["policy"],
    ],
)
def test_wrong_usage_is_status_4(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 4
    assert "usage: leanml" in capsys.readouterr().err


def test_nothing_to_verify_is_status_4(capsys):
    assert main(["verify"]) == 4
    assert "expected: DIR, or --audit" in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"leanml {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["approve", "models:/flights/1", "--by", "ada"],
        ["history", "flights"],
        ["rollback", "flights"],
    ],
)
def test_without_a_registry_each_says_so(here, command, capsys):
    assert main([*command, "--registry", "sqlite:///none.db"]) == 4
    assert "none.db" in capsys.readouterr().err
    assert not (here / "none.db").exists()
    assert main([*command, "--config", "typo.yaml"]) == 4
    assert "typo.yaml: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (["approve", "models:/flights/1", "--by", "ada"], "approve"),
        (["history", "flights"], "history"),
        (["rollback", "flights", "--to", "3", "--environment", "staging"], "rollback"),
    ],
)
def test_what_was_typed_arrives(here, command, target, capsys, monkeypatch):
    given = []
    monkeypatch.setattr(f"pytest_leanml.deploy.commands.{target}", lambda *args: given.append(args) or "told")
    (here / "leanml.yaml").write_text("version: 1\n")
    assert main([*command, "--config", "leanml.yaml", "--registry", "sqlite:///x.db"]) == 0
    assert capsys.readouterr().out.startswith("told")
    assert [str(each) for each in given[0]][-2:] == ["leanml.yaml", "sqlite:///x.db"]
    assert given[0][0] == command[1]


def test_deploy_of_nothing(here, capsys):
    (here / "leanml.yaml").write_text("version: 1\nmodel: flights\nrequire: [a]\n")
    for action in ([], ["--dry-run"], ["--resume"], ["--undo"], ["--policy", "mine.rego"]):
        assert main(["deploy", "--decision", "decision.json", *action]) == 4
        assert "decision.json: cannot be read" in capsys.readouterr().err
    assert main(["deploy", "--decision", "decision.json", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["status"] == 4


def test_a_fault_of_the_deployer_is_unknown(here, capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("pytest_leanml.deploy.__main__.deploy", broken)
    assert main(["deploy", "--decision", "decision.json"]) == 23
    error = capsys.readouterr().err
    assert "ZeroDivisionError: by nothing at test_cli.py:" in error
    assert "--resume` or `--undo`" in error
    assert "Traceback" not in error


def test_verify(here, capsys):
    assert main(["verify", "."]) == 4
    assert "decision.json: cannot be read" in capsys.readouterr().err
    (here / "decision.json").write_text('{"schema": "leanml.decision/v1", "run_id": "::error::x", "verdict": "ALLOW"}')
    assert main(["verify", "."]) == 20
    assert "rests on another one" in capsys.readouterr().out


def test_opa_install_says_where_it_is(monkeypatch, capsys):
    monkeypatch.setattr("pytest_leanml.policy.install.install_opa", lambda: "/somewhere/opa")
    assert main(["opa", "install"]) == 0
    assert capsys.readouterr().out == "/somewhere/opa\n"


def _broken(error):
    def install():
        raise error

    return install


def test_errors_are_one_message_that_no_terminal_obeys(monkeypatch, capsys):
    hostile = RegistryError("\x1b[31m::error::x\n::set-output name=a::b", "##[x]", "y")
    monkeypatch.setattr("pytest_leanml.policy.install.install_opa", _broken(hostile))
    assert main(["opa", "install"]) == 21
    error = capsys.readouterr().err
    assert error.startswith("leanml: ")
    assert "\x1b" not in error
    assert not [line for line in error.splitlines() if line.strip().startswith("::") or "##[" in line]


def test_a_fault_of_ours_is_one_message_with_a_way_to_its_details(monkeypatch, capsys):
    monkeypatch.setattr("pytest_leanml.policy.install.install_opa", _broken(KeyError("x")))
    assert main(["opa", "install"]) == 21
    error = capsys.readouterr().err
    assert "a fault of the gate's own: KeyError: 'x' at test_cli.py:" in error
    assert f"set {DETAILS}=1" in error
    assert "Traceback" not in error
    monkeypatch.setenv(DETAILS, "1")
    assert main(["opa", "install"]) == 21
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_process_ends_it(monkeypatch, error):
    monkeypatch.setattr("pytest_leanml.policy.install.install_opa", _broken(error))
    with pytest.raises(type(error)):
        main(["opa", "install"])


def test_the_net_is_silent_where_nothing_falls():
    with Net(lambda error: 1) as net:
        pass
    assert net.status == 21
    assert "KeyError" in str(unforeseen(KeyError("x")))


def test_a_reader_that_goes_away_leaves_no_traceback(here):
    (here / "mine.rego").write_text(POLICY + "\n".join(f'warn contains "{"x" * 500}{i}" if true' for i in range(400)))
    script = "import sys; from pytest_leanml.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "decide", "--evidence=evidence.json", "--policy=mine.rego"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=here, env=dict(os.environ))
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 21
    assert error == b""
