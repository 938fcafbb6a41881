"""The opa binary: absent, old, broken or late, it is an error that says how to get one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_leanml.errors import EngineError, ExitStatus, GateUsageError
from pytest_leanml.policy.opa import OpaEngine, cache_folder, find_opa, opa_value

VERSION = "Version: 1.22.2"


@pytest.fixture
def fake(tmp_path):
    """An executable that answers `version`, and then does as it is told."""

    def make(body, version=VERSION, status=0):
        path = tmp_path / "opa"
        path.write_text(
            f"#!{sys.executable}\nimport os, sys, time\n"
            f"if sys.argv[1] == 'version':\n    print({version!r}); raise SystemExit({status})\n{body}\n",
            encoding="utf-8",
        )
        path.chmod(0o700)
        return path

    return make


@pytest.fixture
def loaded(policies):
    return policies("package a\n\nallow if true\n", "package b\n\nallow if true\n")


@pytest.mark.parametrize(
    ("version", "status", "said"),
    [
        ("Version: 1.21.2", 0, "1.21.3 or newer"),
        ("Version: 0.70.0", 0, "1.21.3 or newer"),
        ("hello", 0, "does not say its version"),
        ("", 0, "does not say its version"),
        ("Version: 1.22.2", 1, "does not say its version"),
        ("Version: dev", 0, "does not say its version"),
    ],
)
def test_a_version_that_is_not_good_enough(fake, version, status, said):
    with pytest.raises(GateUsageError, match=said) as caught:
        OpaEngine(fake("", version, status))
    assert "leanml opa install" in str(caught.value)
    assert caught.value.status is ExitStatus.USAGE


@pytest.mark.parametrize("version", ["Version: 1.21.3", "Version: 1.22.2-dev", "Version: 2.0.0\nBuild Commit: x"])
def test_a_version_that_is(fake, version):
    assert OpaEngine(fake("", version)).version == version.split()[1].removesuffix("-dev")


def test_a_binary_that_cannot_be_run(tmp_path):
    with pytest.raises(GateUsageError, match="cannot be run"):
        OpaEngine(tmp_path / "absent")
    (tmp_path / "opa").write_text("no program", encoding="utf-8")
    (tmp_path / "opa").chmod(0o700)
    with pytest.raises(GateUsageError, match="cannot be run"):
        OpaEngine(tmp_path / "opa")


def test_a_binary_that_does_not_answer(fake, monkeypatch):
    monkeypatch.setattr("pytest_leanml.policy.opa.VERSION_SECONDS", 0.2)
    path = fake("")
    path.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    with pytest.raises(GateUsageError, match="cannot be run"):
        OpaEngine(path)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LEANML_OPA", raising=False)
    return tmp_path


def executable(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o700)
    return path


def test_no_opa_anywhere(nowhere):
    with pytest.raises(GateUsageError, match="leanml opa install") as caught:
        find_opa()
    assert str(nowhere / "cache" / "leanml" / "bin") in str(caught.value)


def test_where_opa_is_looked_for(nowhere, monkeypatch):
    installed = executable(nowhere / "cache" / "leanml" / "bin" / "opa")
    assert find_opa() == installed
    on_path = executable(nowhere / "path" / "opa")
    assert find_opa() == on_path
    named = executable(nowhere / "mine" / "opa-1")
    monkeypatch.setenv("LEANML_OPA", str(named))
    assert find_opa() == named


def test_a_named_opa_is_never_replaced(nowhere, monkeypatch):
    executable(nowhere / "path" / "opa")
    monkeypatch.setenv("LEANML_OPA", str(nowhere / "absent"))
    with pytest.raises(GateUsageError, match="LEANML_OPA is"):
        find_opa()
    named = executable(nowhere / "opa")
    named.chmod(0o600)
    monkeypatch.setenv("LEANML_OPA", str(named))
    with pytest.raises(GateUsageError, match="cannot be run"):
        find_opa()


def test_the_cache_folder_is_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "leanml" / "bin"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "leanml" / "bin"


ONE = '{"expressions": [{"value": %s}]}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('no JSON')", "no JSON: no JSON"),
        ("print('[]')", "and no JSON"),
        ("pass", "ended with 0 and no JSON"),
        ("sys.stderr.write('panic: x'); raise SystemExit(2)", "ended with 2 and no JSON: panic: x"),
        ("os.kill(os.getpid(), 9)", "ended with -9 and no JSON"),
        ("sys.stdout.buffer.write(bytes([255, 254]))", "no UTF-8"),
        ("print('{}')", "left out a package"),
        ("print('{\"result\": []}')", "shape that is not its own"),
        ("print('{\"result\": [1]}')", "shape that is not its own"),
        ('print(\'{"result": [{"expressions": []}]}\')', "shape that is not its own"),
        (f"print('''{{\"result\": [{ONE % 'true'}]}}''')", "left out a package"),
        (f"print('''{{\"result\": [{ONE % '[{}]'}]}}''')", "left out a package"),
        ("time.sleep(60)", "did not answer in time"),
    ],
)
def test_an_answer_that_cannot_be_believed(fake, loaded, body, said):
    engine = OpaEngine(fake(body))
    with pytest.raises(EngineError, match=said) as caught:
        engine.evaluate(loaded, "{}", {}, 1.0)
    assert caught.value.status is ExitStatus.UNDECIDED


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('print(\'{"errors": [{"message": "m", "location": {"row": 3}}]}\'); raise SystemExit(2)', "m (line 3)"),
        ('print(\'{"errors": [{"message": "m"}]}\')', "m"),
        ('print(\'{"errors": ["text"]}\')', "text"),
        ('print(\'{"errors": "text"}\')', "text"),
        (f"print('''{{\"result\": [{ONE % '[{}, {}]'}]}}'''); raise SystemExit(1)", "opa ended with status 1"),
    ],
)
def test_an_error_that_opa_tells(fake, loaded, body, said):
    answers = OpaEngine(fake(body)).evaluate(loaded, "{}", {}, 5.0)
    assert [(answer.allow, answer.error) for answer in answers] == [(None, said), (None, said)]


def test_a_binary_that_goes_away(fake, loaded):
    path = fake("")
    engine = OpaEngine(path)
    path.unlink()
    with pytest.raises(EngineError, match="cannot be run"):
        engine.evaluate(loaded, "{}", {}, 5.0)


def test_late_is_an_error_with_the_real_one(opa, policies):
    endless = """package p

allow if count([1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i == j; input.x]) == 0
"""
    with pytest.raises(EngineError, match="did not answer in time"):
        opa.evaluate(policies(endless), '{"x": 1}', {}, 1.0)
    [answer] = opa.evaluate(policies("package p\n\nallow if true\n"), "{}", {}, 20.0)
    assert answer.allow is True


def test_the_environment_cannot_change_its_answers(opa, policies, monkeypatch):
    monkeypatch.setenv("OPA_EVAL_FORMAT", "raw")
    monkeypatch.setenv("OPA_EVAL_V0_COMPATIBLE", "true")
    [answer] = opa.evaluate(policies("package p\n\nallow if true\n"), "{}", {}, 20.0)
    assert answer.allow is True


def test_one_value(opa_binary):
    files = [("p.rego", "package p\n\nx := input.a\n\ny := input.b\n\nz := abs(input.c)\n")]
    asked = {"document": '{"a": [1], "c": "x"}', "data": "{}", "timeout": 20.0}
    assert opa_value(opa_binary, files, "data.p.x", **asked) == {"value": [1]}
    assert opa_value(opa_binary, files, "data.p.y", **asked) == {}
    assert "abs" in opa_value(opa_binary, files, "data.p.z", **asked)["error"]


def test_the_capabilities_hold_in_the_real_one(opa_binary):
    files = [("p.rego", 'package p\n\nx := http.send({"method": "get", "url": "http://127.0.0.1:1"})\n')]
    found = opa_value(opa_binary, files, "data.p.x", document="{}", data="{}", timeout=20.0)
    assert "undefined function http.send" in found["error"]


def test_the_capabilities_are_a_part_of_opas_own(opa_binary):
    from pytest_leanml.policy.builtins import CAPABILITIES

    said = subprocess.run([opa_binary, "capabilities", "--current"], capture_output=True, check=True)
    theirs = {each["name"]: each for each in json.loads(said.stdout)["builtins"]}
    ours = json.loads(CAPABILITIES.read_text(encoding="utf-8"))["builtins"]
    assert [each["name"] for each in ours if each["name"] not in theirs] == []
    assert [each["name"] for each in ours if theirs[each["name"]].get("deprecated")] == []
    changing = [each["name"] for each in ours if theirs[each["name"]].get("nondeterministic")]
    assert changing == ["time.now_ns"]


def test_every_builtin_is_in_the_embedded_engine_too(embedded):
    from pytest_leanml.policy.builtins import arities

    text = "package q\n\nnames := opa.runtime().builtins\n"
    embedded._worker.call("load", [["q.rego", text]], timeout=5.0)
    [found] = embedded._worker.call("evaluate", "{}", "{}", ["data.q.names"], timeout=5.0)
    embedded._questions = ()
    operators = {"and", "assign", "div", "eq", "equal", "gt", "gte", "lt", "lte", "minus", "mul", "neq", "or", "plus"}
    missing = {name for name in arities() if not name.startswith("internal.")} - set(found["value"]) - operators
    assert missing == {"print", "rem"}
