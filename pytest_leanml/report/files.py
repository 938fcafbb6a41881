"""Write every report that was asked for, and say where it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_leanml.report.ci import dotenv, outputs, workflow_commands, write_github
from pytest_leanml.report.markdown import markdown
from pytest_leanml.strict import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.decision import Decision


def write_reports(  # noqa: PLR0913 - what a report tells
    output: Path,
    decision: Decision,
    document: Mapping[str, Any],
    *,
    promoted: bool,
    status: int,
    github: bool = True,
    gitlab: bool = True,
) -> Sequence[Path]:
    """Write report.md and what the CI runner at hand reads.

    Args:
        output: folder of the files; decision.json and evidence.json are there already.
        decision: the decision.
        document: the evidence.
        promoted: whether the alias was moved.
        status: the run's exit status.
        github: write for a GitHub runner, where there is one.
        gitlab: write for a GitLab runner, where there is one.

    Returns:
        The files that a person may want to open.
    """
    summary = markdown(decision, document, promoted=promoted)
    write_whole(output / "report.md", summary)
    values = outputs(decision, promoted=promoted, status=status)
    if github:
        write_github(os.environ, values, summary)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in workflow_commands(decision):
                print(line, flush=True)  # noqa: T201 - the runner reads stdout
    if gitlab and os.environ.get("GITLAB_CI") == "true":
        write_whole(output / "leanml.env", dotenv(values))
    names = ("decision.json", "evidence.json", "report.md", "junit.xml", "leanml.env")
    return [output / name for name in names if (output / name).exists()]
