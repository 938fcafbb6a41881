"""What one hook has made, another can use: only what is in place, and in a resumed run too."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit

_SPEC = importlib.util.spec_from_file_location("leanml_tests_hooks", Path(__file__).with_name("test_hooks.py"))
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)

MODULE = """\
import json
from pytest_leanml.deploy.hook import Applied, Observed
from pytest_leanml.errors import DeployError

class Maker:
    def plan(self, context):
        return "make"

    def apply(self, context):
        context.remember({"early": context.step})
        return Applied({"reference": f"registry/model@{context.digest}"})

    def observe(self, context):
        return Observed.IN_PLACE

    def undo(self, context, detail):
        (context.root / "undone").write_text(json.dumps({name: dict(told) for name, told in context.done.items()}))

class User(Maker):
    def plan(self, context):
        return f"use {dict(context.done)}"

    def apply(self, context):
        (context.root / "seen").write_text(json.dumps({name: dict(told) for name, told in context.done.items()}))
        if (context.root / "fail").exists():
            raise DeployError("as told")
        return Applied({"own": True})
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "made_for_done.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield "made_for_done"
    sys.modules.pop("made_for_done", None)


def read(root, name):
    return json.loads((root / name).read_text())


def test_a_later_hook_sees_what_earlier_ones_that_are_in_place_have_told(project, module):
    use = [{"use": f"{module}:{name}", "name": name.lower()} for name in ("Maker", "User")]
    hooks.configure(project, *use)
    assert "use {}" in project.deploy(action=Action.PLAN).message
    done = project.deploy()
    assert done.status == 0, done
    told = {"early": "maker", "reference": read(project.root, "seen")["maker"]["reference"]}
    assert told["reference"].startswith("registry/model@sha256:")
    assert read(project.root, "seen") == {"maker": told}
    assert project.deploy(action=Action.UNDO).status == 0
    assert read(project.root, "undone") == {}


def test_a_hook_that_failed_is_not_told(project, module):
    (project.root / "fail").touch()
    hooks.configure(project, *({"use": f"{module}:{name}", "name": name.lower()} for name in ("Maker", "User")))
    assert project.deploy().status == 22
    assert (list(read(project.root, "seen")), read(project.root, "undone")) == (["maker"], {})


def test_the_kit_tells_what_hooks_before_have_made(tmp_path, module):
    world = lambda: (tmp_path / "seen").read_text() if (tmp_path / "seen").exists() else None  # noqa: E731
    kit = HookTestKit(f"{module}:User", tmp_path, world, lambda: None, done={"image": {"reference": "r@sha256:1"}})
    with pytest.raises(AssertionError, match="undone, the world is"):
        kit.check()
    assert read(tmp_path, "seen") == {"image": {"reference": "r@sha256:1"}}
