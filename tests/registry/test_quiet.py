from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from pytest_leanml.registry.quiet import quietly


def test_nothing_reaches_the_terminal(capfd):
    with quietly():
        sys.stdout.write("chatter")
        sys.stderr.write("chatter")
        warnings.warn("chatter", UserWarning, stacklevel=1)
    assert capfd.readouterr() == ("", "")


def test_settings_hold_for_the_block_only_and_the_users_own_win(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    before = dict(os.environ)
    with quietly(9):
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "9"
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert dict(os.environ) == before


def test_settings_are_put_back_after_an_error():
    before = dict(os.environ)
    with pytest.raises(ValueError, match="boom"), quietly():
        raise ValueError("boom")
    assert dict(os.environ) == before


def test_importing_the_registry_imports_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from pytest_leanml.registry import Registry\n"
        "Registry(None, root=Path('.'))\n"
        "heavy = {'mlflow', 'sqlalchemy', 'numpy', 'pandas', 'pydantic', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_question_says_nothing_and_starts_no_telemetry(seeded):
    code = (
        "import sys, threading; from pathlib import Path; from pytest_leanml.registry import Registry\n"
        f"registry = Registry({seeded.uri!r}, root=Path('.'))\n"
        "assert registry.version_of_alias('flights', 'champion') == '1'\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "assert get_telemetry_client() is None\n"
        "assert threading.active_count() == 1"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CI"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
