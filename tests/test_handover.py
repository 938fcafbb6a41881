"""How the deployer's end is read: a status counts only where the deployer itself says the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from pytest_leanml import handover
from pytest_leanml.errors import ExitStatus
from pytest_leanml.handover import run_deployer

REAL = subprocess.Popen
SAID = "import json, sys; print('chatter'); print(json.dumps({said})); sys.exit({code})"


@pytest.fixture
def deployer(monkeypatch):
    """Lets a real process of another program end in the deployer's place."""

    def run(program):
        given = []

        def other(command, **options):
            given.append(command)
            return REAL([sys.executable, "-c", program], **options)

        monkeypatch.setattr(handover.subprocess, "Popen", other)
        return given

    return run


def _ended(deployer, tmp_path, program):
    deployer(program)
    return run_deployer(tmp_path / "decision.json", None, None)


@pytest.mark.parametrize("status", list(ExitStatus))
def test_every_status_of_the_contract_is_passed_on(deployer, tmp_path, status):
    program = SAID.format(said={"status": int(status), "message": "so it is"}, code=int(status))
    found = _ended(deployer, tmp_path, program)
    assert (found.status, found.message) == (status, "so it is")


@pytest.mark.parametrize(
    "program",
    [
        "",
        "print('{}')",
        "print('[0]')",
        "print('{\"status\": 0}')",
        SAID.format(said={"status": 0, "message": "done"}, code=1),
        SAID.format(said={"status": 20, "message": "no"}, code=0),
        SAID.format(said={"status": 1, "message": "odd"}, code=1),
        SAID.format(said={"status": "0", "message": "text"}, code=0),
        "import sys; sys.exit('it broke')",
        "raise SystemExit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')",
    ],
)
def test_everything_else_is_unknown_and_a_person_is_told_what_to_do(deployer, tmp_path, program):
    found = _ended(deployer, tmp_path, program)
    assert found.status is ExitStatus.UNKNOWN
    assert "--resume` or `--undo`" in found.message


def test_why_it_ended_is_passed_on(deployer, tmp_path):
    assert "(it broke)" in _ended(deployer, tmp_path, "import sys; sys.exit('it broke')").message
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert f"was ended by {int(signal.SIGTERM)}" in _ended(deployer, tmp_path, killed).message


def test_odd_names_are_no_flags(deployer, tmp_path):
    given = deployer(SAID.format(said={"status": 0, "message": "done"}, code=0))
    run_deployer(tmp_path / "-d.json", tmp_path / "leanml.yaml", [tmp_path / "--undo", tmp_path / "b.rego"])
    (command,) = given
    assert command[1:4] == ["-I", "-m", "pytest_leanml.deploy"]
    assert command[4:] == [
        "--json",
        f"--decision={tmp_path / '-d.json'}",
        f"--config={tmp_path / 'leanml.yaml'}",
        f"--policy={tmp_path / '--undo'}",
        f"--policy={tmp_path / 'b.rego'}",
    ]


def test_ctrl_c_is_the_deployers_to_answer(deployer, tmp_path):
    """The deployer knows what it has begun; ending it, as a plain Ctrl-C would, leaves that in the dark."""
    said = json.dumps({"status": 23, "message": "stopped as asked"})
    program = (
        "import signal, sys, os, time\n"
        f"def end(*_):\n    print({said!r}, flush=True)\n    os._exit(23)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "time.sleep(20)\nsys.exit(1)"
    )
    before = signal.getsignal(signal.SIGINT)
    found = _ended(deployer, tmp_path, program)
    assert (found.status, found.message) == (23, "stopped as asked")
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_is_shown_while_it_goes_on_and_nothing_else(deployer, tmp_path, capfd):
    lines = "[    0.1 s] one: done\\nsome warning\\n::error::[    0.1 s] x\\n"
    program = f"import sys; sys.stderr.write('{lines}'); " + SAID.format(said={"status": 0, "message": "ok"}, code=0)
    assert _ended(deployer, tmp_path, program).status == 0
    assert capfd.readouterr().err == "[    0.1 s] one: done\n"


def test_the_real_deployer_answers(tmp_path):
    found = run_deployer(tmp_path / "decision.json", tmp_path / "leanml.yaml", None)
    assert found.status is ExitStatus.USAGE
    assert json.dumps(str(tmp_path))[1:-1] in found.message
