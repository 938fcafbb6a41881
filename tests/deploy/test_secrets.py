"""A secret is planted, printed by a program, put into errors and details, and looked for everywhere."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.secret import Redactor, read_secrets
from pytest_leanml.errors import GateUsageError

_SPEC = importlib.util.spec_from_file_location("leanml_tests_hooks", Path(__file__).with_name("test_hooks.py"))
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)

SECRET = 'p4nted/"secret"\\äö+value'
LEAKS = "import os, sys; print('token', os.environ['TOKEN'], repr(os.environ['TOKEN'])); sys.exit(int(sys.argv[1]))"
TALKER = '''
from pytest_leanml.deploy.hook import Applied, Observed


class Talker:
    """Says its secret wherever it can."""

    def plan(self, context):
        return f"talk {context!r}"

    def apply(self, context):
        token = context.secrets["TOKEN"]
        context.progress(f"saying {token}")
        context.audit(f"said {token}", {"token": token, "listed": [token]})
        context.remember({"token": token})
        return Applied({"again": token}, told=f"told {token}")

    def observe(self, context):
        raise RuntimeError(context.secrets["TOKEN"])

    def undo(self, context, detail):
        raise ValueError(f"{context.secrets} {detail}")
'''


def _found(root, *outputs):
    """Where the secret stands, in any of the ways of writing it."""
    forms = [SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], repr(SECRET)[1:-1]]
    texts = {f"output {number}": text.encode() for number, text in enumerate(outputs)}
    texts |= {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return [name for name, data in texts.items() if any(form.encode() in data for form in forms)]


@pytest.fixture
def planted(project, monkeypatch, tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "leanml_test_talker.py").write_text(TALKER)
    monkeypatch.syspath_prepend(str(modules))
    monkeypatch.setenv("TOKEN", SECRET)
    yield project
    sys.modules.pop("leanml_test_talker", None)


@pytest.mark.parametrize("status", [0, 3])
def test_a_program_that_prints_its_secret_gives_it_to_nobody(planted, capfd, status):
    leak = {"use": "command", "name": "leak", "secrets": ["TOKEN"], "with": {"argv": hooks.program(LEAKS, status)}}
    hooks.configure(planted, leak)
    done = planted.deploy()
    assert done.status == (0 if status == 0 else 22), done
    assert "***" in done.message or status == 0
    assert _found(planted.root, done.message, *capfd.readouterr()) == []


def test_a_hook_that_says_its_secret_everywhere_gives_it_to_nobody(planted, capfd):
    talker = {"use": "leanml_test_talker:Talker", "name": "talker", "secrets": ["TOKEN"]}
    hooks.configure(planted, talker, hooks.failing())
    planned = planted.deploy(action=Action.PLAN)
    done = planted.deploy()
    assert (planned.status, done.status) == (0, 23), done
    said = capfd.readouterr()
    assert "saying ***" in said.err
    assert _found(planted.root, planned.message, done.message, *said) == []


def test_a_secret_comes_from_the_environment_or_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("from a file\n")
    monkeypatch.setenv("IN_FILE_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("SET", "from here")
    assert read_secrets(["IN_FILE", "SET"]) == {"IN_FILE": "from a file", "SET": "from here"}


@pytest.mark.parametrize(("value", "told"), [(None, "is not set"), ("abc", "shorter than 6"), ("", "shorter than 6")])
def test_a_secret_that_is_missing_or_cannot_be_hidden_is_a_usage_error(monkeypatch, value, told):
    if value is not None:
        monkeypatch.setenv("TOKEN", value)
    with pytest.raises(GateUsageError, match=told) as caught:
        read_secrets(["TOKEN"])
    assert caught.value.status == 4
    monkeypatch.delenv("TOKEN", raising=False)
    monkeypatch.setenv("TOKEN_FILE", "/no/such/file")
    with pytest.raises(GateUsageError, match="cannot be read from TOKEN_FILE"):
        read_secrets(["TOKEN"])


def test_the_longest_is_hidden_first_and_each_line_of_a_key():
    redact = Redactor(["abcdef", "abcdefgh", "line one\nline two"])
    assert redact("abcdefgh abcdef") == "*** ***"
    assert redact("x line two y %6Cine") == "x *** y %6Cine"
    assert redact("line%20one") == "***"
