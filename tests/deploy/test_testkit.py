"""HookTestKit on ``command`` with a program that makes real files; and on hooks that break each promise."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pytest_leanml.deploy.testkit import HookTestKit

MAKE = 'printf x >> "$0"'
MAKE_ONCE = 'printf x > "$0"'
CHECK = 'test -e "$0"'
DROP = 'rm -f "$0"'


@dataclass
class World:
    path: Path

    def look(self) -> str | None:
        return self.path.read_text() if self.path.exists() else None

    def reset(self) -> None:
        self.path.unlink(missing_ok=True)

    def kit(self, second="one", **programs):
        settings = {name: ["sh", "-c", text, str(self.path)] for name, text in programs.items()}
        return HookTestKit("command", self.path.parent, self.look, self.reset, settings, second=second)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "made")


def test_a_command_that_can_be_observed_keeps_every_promise(world, record_property):
    """At each point, and then at one of those of resuming and undoing."""
    kills = world.kit(argv=MAKE_ONCE, observe=CHECK, undo=DROP).check()
    record_property("kill_points", {"command": kills})
    assert kills >= 40
    assert world.look() is None


def test_resuming_and_undoing_in_turns_is_about_half_of_the_kills(world):
    kit = world.kit(second="none", argv=MAKE_ONCE, observe=CHECK, undo=DROP)
    both, turns = kit.check(), replace(kit, turns=True).check()
    assert both / 2 <= turns < both


def test_a_command_that_cannot_be_observed_runs_at_most_once(world, record_property):
    """It appends, so that a second time would be seen."""
    kills = world.kit(argv=MAKE).check()
    record_property("kill_points", {"command": kills})
    assert kills >= 30


def test_one_that_cannot_be_observed_and_can_be_undone(world, record_property):
    kills = world.kit(argv=MAKE, undo=DROP).check()
    record_property("kill_points", {"command": kills})
    assert kills >= 30


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({"argv": MAKE, "observe": CHECK, "undo": DROP}, "applied twice"),
        ({"argv": MAKE_ONCE, "observe": CHECK, "undo": "true"}, "undone, the world is 'x', not None"),
        ({"argv": MAKE_ONCE, "observe": "exit 1"}, "observe answers `absent` right after apply"),
        ({"argv": MAKE_ONCE, "observe": "true"}, "a hook that can be observed|the world is None, not 'x'"),
        ({"argv": MAKE_ONCE, "observe": CHECK, "undo": f'{DROP}; touch "$0"2'}, None),
        ({"argv": "exit 3"}, "apply ended with 22"),
        ({"argv": MAKE_ONCE, "undo": "exit 3"}, "undo after apply ended with 23"),
        ({"argv": MAKE_ONCE, "undo": 'rm "$0"'}, "undo without apply"),
    ],
)
def test_what_breaks_a_promise_is_told(world, programs, told):
    kit = world.kit(second="none", **programs)
    if told is None:  # what the world does not show, the kit does not see
        assert kit.check() > 0
        return
    with pytest.raises(AssertionError, match=told):
        kit.check()


def test_the_hook_that_the_docs_show_keeps_every_promise(tmp_path, monkeypatch):
    """Its text is taken from docs/deploy.md; the file holds something before it."""
    text = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
    shown = text.partition("    from pydantic import BaseModel")[2].partition("Register it")[0]
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "leanml_test_marker.py").write_text(textwrap.dedent(f"    from pydantic import BaseModel{shown}"))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    file = tmp_path / "marker"
    kit = HookTestKit(
        "leanml_test_marker:Marker", tmp_path, file.read_text, lambda: file.write_text("1"), {"file": "marker"}
    )
    assert kit.check() >= 12


def test_a_hook_without_an_end_is_refused(world):
    kit = world.kit(argv=MAKE_ONCE)
    with pytest.raises(AssertionError, match="more than most=2"):
        HookTestKit(kit.use, kit.root, kit.world, kit.reset, kit.settings, most=2).check()
