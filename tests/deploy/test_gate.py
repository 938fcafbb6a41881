"""The whole gate up to the deployer: what that finds must reach every file, and the registry's record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_leanml.deploy.runner import Action, deploy

MOVER = """\
import pytest
from mlflow.tracking import MlflowClient

@pytest.mark.quality_check(id="accuracy")
def test_accuracy(evidence):
    uri = "sqlite:///{root}/mlflow.db"
    MlflowClient(tracking_uri=uri, registry_uri=uri).set_registered_model_alias("flights", "champion", "3")
    assert evidence.record("accuracy", 0.91) >= 0.85
"""


@pytest.fixture
def runner(tmp_path):
    names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
    return {"GITHUB_ACTIONS": "true", "GITLAB_CI": "true", **{name: str(tmp_path / name) for name in names}}


def _outputs(runner):
    lines = Path(runner["GITHUB_OUTPUT"]).read_text().splitlines()
    return {line.split("<<")[0]: lines[i + 1] for i, line in enumerate(lines) if "<<" in line}


def _records(project):
    return [(each.version, each.verdict) for each in project.registry.history("flights")]


def test_an_allow_is_promoted_and_says_so_everywhere(project, runner):
    status, output = project.gate("--gate-candidate=models:/flights/2", env=runner)
    assert (status, project.alias) == (0, "2"), output
    assert _outputs(runner)["promoted"] == "true"
    assert "LEANML_PROMOTED=true\n" in (project.root / ".leanml" / "leanml.env").read_text()
    assert "is promoted for production" in output
    assert _records(project) == [("2", "ALLOW"), ("3", "ALLOW"), ("2", "ALLOW")]


def test_a_champion_that_moves_during_the_tests_is_a_deny_everywhere(project, runner):
    (project.root / "test_checks.py").write_text(MOVER.format(root=project.root))
    status, output = project.gate("--gate-candidate=models:/flights/2", env=runner)
    assert (status, project.alias) == (20, "3"), output
    decision = json.loads((project.root / ".leanml" / "decision.json").read_text())
    assert decision["verdict"] == "DENY"
    assert [reason["rule"] for reason in decision["reasons"]] == ["deploy"]
    assert "another one won" in decision["reasons"][0]["message"]
    assert _outputs(runner)["promoted"] == "false"
    assert _outputs(runner)["verdict"] == "DENY"
    assert "LEANML_PROMOTED=false\n" in (project.root / ".leanml" / "leanml.env").read_text()
    assert "Model gate: DENY" in (project.root / ".leanml" / "report.md").read_text()
    assert _records(project)[-1] == ("2", "DENY")
    assert "Traceback" not in output


def test_a_journal_out_of_reach_is_undecided_and_recorded_as_a_deny(project):
    text = project.config.read_text().replace("lock_timeout: 20s", f"journal: 'sqlite:///{project.root}/no/leanml.db'")
    project.config.write_text(text)
    status, output = project.gate("--gate-candidate=models:/flights/2")
    assert (status, project.alias) == (21, "1"), output
    assert "does not answer" in output
    assert _records(project)[-1] == ("2", "DENY")


def test_reports_that_are_switched_off_and_a_pinned_policy(project, runner):
    """What an earlier run has left does not outlive this one; the digest that one decision shows can be pinned."""
    shown = json.loads(project.decision("3").read_text())["policy"]["digest"]
    assert shown == json.loads(project.decision("2").read_text())["policy"]["digest"]
    text = project.config.read_text().replace("policy: {", f"policy: {{digest: '{shown}', ")
    project.config.write_text(text + "report: {formats: [], github: false, gitlab: false}\n")
    (project.root / ".leanml").mkdir()
    for name in ("report.md", "leanml.env", "junit.xml"):
        (project.root / ".leanml" / name).write_text("LEANML_PROMOTED=true")
    status, output = project.gate("--gate-candidate=models:/flights/2", "--gate-dry-run", env=runner)
    assert (status, project.alias) == (0, "1"), output
    found = {path.name for path in (project.root / ".leanml").iterdir()}
    assert found == {"decision.json", "evidence.json"}
    assert not (project.root.parent / "GITHUB_OUTPUT").exists()
    assert "::error" not in output
    project.config.write_text(project.config.read_text().replace("min: 0.85", "min: 0.8"))
    status, output = project.gate("--gate-candidate=models:/flights/2", "--gate-dry-run")
    assert (status, shown in output, "policy.digest" in output) == (20, True, True)


HOOKED = """\
import pytest

@pytest.mark.quality_check(id="accuracy")
def test_accuracy(evidence):
    assert evidence.record("accuracy", {value}) >= 0.85
{more}
"""


def _made(project, hooks, value, more="", env=None):
    """Run the gate with hooks that leave a file each; the files that are there."""
    project.config.write_text(project.config.read_text() + f"deploy: {json.dumps(hooks)}\n")
    (project.root / "test_checks.py").write_text(HOOKED.format(value=value, more=more))
    status, output = project.gate("--gate-candidate=models:/flights/2", "test_checks.py", env=env)
    return status, output, {path.stem for path in project.root.glob("*.made")}


def _touch(name, on, *, settings=None):
    return {"use": "command", "name": name, "on": on, "with": {"argv": ["touch", f"{name}.made"], **(settings or {})}}


_EACH = [_touch("allowed", "allow"), _touch("denied", "deny"), _touch("ever", "always")]


def test_after_an_allow_the_hooks_run_that_wait_for_one(project):
    status, output, made = _made(project, _EACH, 0.91)
    assert (status, made, project.alias) == (0, {"allowed", "ever"}, "2"), output


def test_after_a_measured_deny_the_hooks_run_that_wait_for_one(project):
    status, output, made = _made(project, _EACH, 0.7)
    assert (status, made, project.alias) == (1, {"denied", "ever"}, "1"), output
    decision = json.loads((project.root / ".leanml" / "decision.json").read_text())
    assert (decision["verdict"], decision["warnings"]) == ("DENY", [])
    path = project.root / ".leanml" / "decision.json"
    (project.root / "ever.made").unlink()
    for action in (Action.APPLY, Action.PLAN, Action.RESUME):  # a job of its own must not go on as after an ALLOW
        done = deploy(path, project.config, None, action)
        assert (done.status, project.alias, "DENY" in done.message or "would" in done.message) == (20, "1", True), done
    assert not (project.root / "ever.made").exists()
    assert deploy(path, project.config, None, Action.UNDO).status == 0


_UNIT = "\ndef test_unit():\n    assert False"
_OTHER = '\n@pytest.mark.quality_check(id="other")\ndef test_other(evidence):\n    '


@pytest.mark.parametrize(
    ("value", "more"),
    [
        (0.91, _UNIT),
        (0.7, _UNIT),
        (0.7, "\nimport no_such_module"),
        (0.7, f'{_OTHER}evidence.record("other", 1 / 0)'),
        (0.7, f'{_OTHER}pytest.skip("today not")'),
    ],
    ids=["unit test alone", "unit test", "import", "error", "skipped"],
)
def test_after_a_deny_of_anything_else_no_hook_runs(project, value, more):
    status, output, made = _made(project, _EACH, value, more)
    assert (status in {1, 2, 20}, made, project.alias) == (True, set(), "1"), output


def test_a_hook_that_fails_after_a_deny_gives_its_status(project):
    hooks = [_touch("denied", "deny", settings={"undo": ["rm", "denied.made"]}), _touch("no/where", "deny")]
    hooks[1]["name"] = "boom"
    status, output, made = _made(project, hooks, 0.7)
    assert (status, made, project.alias) == (22, set(), "1"), output
    decision = json.loads((project.root / ".leanml" / "decision.json").read_text())
    assert (decision["verdict"], decision["warnings"][0]["rule"]) == ("DENY", "deploy")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ({"use": "comand", "with": {"argv": ["x"]}}, "did you mean `command`?"),
        ({"use": "command"}, "'argv' is missing"),
        ({"use": "command", "with": {"argv": ["x"], "shell": True}}, "'shell' is no setting here"),
        ({"use": "no.such:Hook"}, "cannot be imported"),
    ],
)
def test_a_wrong_hook_is_known_before_a_check_runs(project, hook, said):
    status, output, _ = _made(project, [hook], 0.91)
    assert (status, said in output, "leanml.yaml:" in output) == (4, True, True), output
    assert "test_accuracy" not in output


def test_a_hooks_secret_is_the_deployers_alone(project):
    """A test that sees it could send it away; the hook gets it all the same."""
    more = (
        "\ndef test_it_is_gone():\n    import os\n    assert 'TOKEN' not in os.environ\n    assert 'FREE' in os.environ"
    )
    seen = "import os, pathlib; pathlib.Path('seen.made').write_text(str(len(os.environ['TOKEN'])))"
    hook = {"use": "command", "secrets": ["TOKEN"], "with": {"argv": [sys.executable, "-c", seen]}}
    env = {"TOKEN": "a secret of 23 letters.", "FREE": "yes"}
    status, output, made = _made(project, [hook], 0.91, more, env=env)
    assert (status, made, project.alias) == (0, {"seen"}, "2"), output
    assert (project.root / "seen.made").read_text() == "23"
    assert env["TOKEN"] not in output
    assert "] command: done" in output
