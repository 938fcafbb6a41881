"""Write every report that was asked for, and say where it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_leanml.report.ci import dotenv, outputs, workflow_commands, write_github
from pytest_leanml.report.markdown import markdown
from pytest_leanml.strict import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.decision import Decision


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reports are written.

    Attributes:
        markdown: report.md.
        github: outputs, step summary and annotations; "auto" where a GitHub runner is at hand.
        gitlab: the dotenv file; "auto" where a GitLab runner is at hand.
    """

    markdown: bool = True
    github: Literal["auto", True, False] = "auto"
    gitlab: Literal["auto", True, False] = "auto"


def write_reports(  # noqa: PLR0913 - what a report tells
    output: Path,
    decision: Decision,
    document: Mapping[str, Any],
    *,
    promoted: bool,
    status: int,
    wanted: Wanted | None = None,
) -> Sequence[Path]:
    """Write report.md and what the CI runner at hand reads.

    Args:
        output: folder of the files; decision.json and evidence.json are there already.
        decision: the decision.
        document: the evidence.
        promoted: whether the alias was moved.
        status: the run's exit status.
        wanted: which reports; by default each that has a reader.

    Returns:
        The files that a person may want to open.

    Raises:
        UndecidedError: a file cannot be written.
    """
    chosen = wanted or Wanted()
    summary = markdown(decision, document, promoted=promoted, status=status)
    if chosen.markdown:
        write_whole(output / "report.md", summary)
    values = outputs(decision, promoted=promoted, status=status)
    if chosen.github:
        write_github(os.environ, values, summary)
    if chosen.github is True or (chosen.github and os.environ.get("GITHUB_ACTIONS") == "true"):
        for line in workflow_commands(decision):
            print(line, flush=True)  # noqa: T201 - the runner reads stdout
    if chosen.gitlab is True or (chosen.gitlab and os.environ.get("GITLAB_CI") == "true"):
        write_whole(output / "leanml.env", dotenv(values))
    names = ("decision.json", "evidence.json", "report.md", "junit.xml", "leanml.env")
    return [output / name for name in names if (output / name).exists()]
