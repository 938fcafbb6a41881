"""Each story of the examples is decided by the real opa as by the embedded engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pytest_leanml.errors import LeanmlError
from pytest_leanml.policy.opa import find_opa

STORIES = yaml.safe_load((Path(__file__).parents[1] / "examples" / "stories.yaml").read_text())
MARCH = {"id": "flights-march", "example": "flights", "status": 0}


@pytest.fixture
def opa():
    """The real opa; absent, a skip with its reason, or under LEANML_REQUIRE_SERVICES=1 a failure."""
    try:
        return find_opa()
    except LeanmlError as error:
        if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
            pytest.fail(f"LEANML_REQUIRE_SERVICES=1, and no opa: {error}")
        pytest.skip(str(error))


@pytest.mark.parametrize("story", [MARCH, *STORIES], ids=lambda story: story["id"])
def test_both_engines_decide_alike(tell, opa, story):
    ended = tell(story, "--gate-engine", "both", "--gate-dry-run")

    assert ended.status == story["status"], ended.text
    decision = ended.decision
    assert decision["engine"]["name"] == "both"
    assert decision["verdict"] == ("DENY" if story["status"] else "ALLOW")
    assert sorted({reason["rule"] for reason in decision["reasons"]}) == sorted(story.get("rules", []))
    assert sorted({each["rule"] for each in decision["warnings"]}) == sorted(story.get("warns", []))
    assert ended.aliases == ended.before
