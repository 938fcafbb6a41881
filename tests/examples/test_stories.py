"""Every story of the examples, by a real run of the gate: verdict, status, each reason, outcomes, aliases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
STORIES = yaml.safe_load((Path(__file__).parent / "stories.yaml").read_text())


def transcript(story) -> list[str]:
    """Return the lines that the example's README shows of this run."""
    blocks = re.findall(
        r"```console\n(.*?)```", (EXAMPLES / story["example"] / "README.md").read_text("utf-8"), re.DOTALL
    )
    lines = rounded(blocks[story["shown"]]).splitlines()
    return [line for line in lines if line.strip() != "..." and not line.startswith("$")]


def rounded(text: str) -> str:
    """Leave out what a simple model reaches: it is trained anew on each machine, and its last digits are the machine's."""
    return re.sub(r"(simple|simple model reaches) 0\.\d+", r"\1", text)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["id"])
def test_story(tell, story):
    ended = tell(story)

    assert ended.status == story["status"], ended.text
    decision = ended.decision
    assert decision["verdict"] == ("DENY" if story["status"] else "ALLOW")
    assert sorted({reason["rule"] for reason in decision["reasons"]}) == sorted(story.get("rules", []))
    assert sorted({each["rule"] for each in decision["warnings"]}) == sorted(story.get("warns", []))
    outcomes = {check["id"]: check["outcome"] for check in ended.evidence["checks"]}
    assert outcomes.items() >= story.get("outcomes", {}).items()
    assert [text for text in story.get("says", []) if text not in ended.text] == []
    assert [line for line in (transcript(story) if "shown" in story else []) if line not in rounded(ended.text)] == []
    moved = {story["moves"]: int(decision["subject"]["version"])} if "moves" in story else {}
    assert ended.aliases == {**ended.before, **moved}
    assert "Traceback" not in ended.text
    # A limit that is kept, such as accuracy's here, is no part of the reason.
    assert {each["limit"] for each in decision["reasons"] if each["rule"].startswith("no_skill.")} <= {None}
