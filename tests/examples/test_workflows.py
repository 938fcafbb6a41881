"""The CI files of the flights example: what they run, what they may do, and what the next step waits for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
GATE = "python -m pytest --model-gate"


class _Strict(yaml.SafeLoader):
    """YAML as a runner reads it: `on` is text, and a key stands once."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice the same key among {keys}"
        return super().construct_mapping(node, deep)


_Strict.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(name):
    return yaml.load((FLIGHTS / name).read_text(), _Strict)


@pytest.fixture
def workflow():
    return _read(".github/workflows/model-gate.yml")


@pytest.fixture
def pipeline():
    return _read(".gitlab-ci.yml")


def test_the_workflow_has_what_a_workflow_needs(workflow):
    assert workflow.keys() == {"name", "on", "permissions", "concurrency", "jobs"}
    allowed = {"runs-on", "timeout-minutes", "outputs", "steps", "needs", "if", "permissions"}
    for job in workflow["jobs"].values():
        assert job.keys() <= allowed
        assert int(job["timeout-minutes"]) <= 30
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert step.keys() <= {"uses", "run", "with", "name", "id", "working-directory", "if", "env"}


def test_its_permissions_are_the_least(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["deploy"]["permissions"] == {}
    checkout = workflow["jobs"]["gate"]["steps"][0]
    assert checkout["with"] == {"persist-credentials": "false"}
    assert "pull_request_target" not in workflow["on"]


def test_its_actions_are_pinned_to_a_commit_and_say_which_version_that_is(workflow):
    text = (FLIGHTS / ".github" / "workflows" / "model-gate.yml").read_text()
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    for each in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", each)
        assert re.search(rf"{re.escape(each)} # v\d+\.\d+\.\d+\n", text)


def test_no_text_of_an_event_or_an_output_is_pasted_into_a_script(workflow):
    scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert all("${{" not in script for script in scripts)


def test_the_next_job_waits_for_promoted(workflow):
    gate, deploy = workflow["jobs"]["gate"], workflow["jobs"]["deploy"]
    step = next(step for step in gate["steps"] if step.get("id") == "gate")
    assert step["run"] == GATE
    assert "continue-on-error" not in step
    assert gate["outputs"]["promoted"] == "${{ steps.gate.outputs.promoted }}"
    assert deploy["needs"] == "gate"
    assert deploy["if"] == "needs.gate.outputs.promoted == 'true'"


def test_the_pipeline_hands_its_verdict_on(pipeline):
    gate, after = pipeline["model gate"], pipeline["roll out"]
    assert gate["script"][-1] == GATE
    assert gate["artifacts"]["reports"] == {
        "dotenv": "gate/.leanml/leanml.env",
        "junit": "gate/.leanml/junit.xml",
    }
    assert gate["artifacts"]["when"] == "always"
    assert after["needs"] == ["model gate"]
    assert '[ "$LEANML_PROMOTED" != "true" ]' in after["script"][0]
    assert "exit 1" in after["script"][0]
    assert {gate["stage"], after["stage"]} == set(pipeline["stages"])
