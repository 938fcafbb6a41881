"""The one table of all checks names each that there is, once, with all that it promises to say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from pytest_leanml.checks.comparison import Comparison
from pytest_leanml.config.metrics import BY_KIND, QUALITY

TEXT = (Path(__file__).parents[1] / "docs" / "every-check.md").read_text("utf-8")


def cells_of(line: str) -> list[str]:
    """Split a row of the table; a bar within backticks is text."""
    return [cell.strip() for cell in re.findall(r"((?:`[^`]*`|[^|`])+)(?:\||$)", line.strip().strip("|"))]


ROWS = [cells_of(line) for line in TEXT.splitlines() if line.startswith("| `")]
NAMED = [row[0].strip("`").partition("[")[0] for row in ROWS]
COMPARED = (*QUALITY, "regressions", "worst_slice")
# Gains are measured in the metrics that `stats.paired` knows; leanml.yaml refuses the others by name.
KNOWN = {f"{kind}.{metric}" for kind, metrics in BY_KIND.items() if kind != "comparison" for metric in metrics}


def test_each_has_its_definition_interval_and_cost():
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []


def test_none_is_named_twice():
    assert [name for name, times in Counter(NAMED).items() if times > 1] == []


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_check_is_named(name):
    assert name in NAMED


def test_nothing_is_named_that_is_not_there():
    own = {"quality.<name>", "fairness.by_group.<name>", "custom.<name>"}
    compared = {f"comparison.{metric}" for metric in COMPARED}
    assert {*NAMED} - KNOWN - own - compared == set()
    assert {"comparison.regressions", "comparison.worst_slice"} <= {*NAMED}
    assert all(hasattr(Comparison, name) for name in ("regressions", "worst_slice"))
