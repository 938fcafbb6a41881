"""What a CI runner reads: GITHUB_OUTPUT, step summary, annotations, and GitLab's dotenv file."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.errors import UndecidedError
from pytest_leanml.report.escape import command_data, command_property, dotenv_value, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.decision import Decision


def outputs(decision: Decision, *, promoted: bool, status: int) -> dict[str, str]:
    """Return the names that a next step may ask for; ``promoted`` is "true" only after the alias was moved."""
    return {
        "verdict": str(decision.verdict),
        "promoted": "true" if promoted else "false",
        "status": str(status),
        "run_id": decision.run_id,
        "mode": str(decision.mode),
        "environment": decision.environment or "",
        "model": str(decision.subject.get("name", "")),
        "version": str(decision.subject.get("version", "")),
        "reasons": str(len(decision.reasons)),
    }


def write_github(environment: Mapping[str, str], values: Mapping[str, str], summary: str) -> None:
    """Append the outputs and the step summary where the runner says; nothing outside of a runner.

    Raises:
        UndecidedError: a file of the runner cannot be written.
    """
    if target := environment.get("GITHUB_OUTPUT"):
        _append(target, "".join(_heredoc(name, value) for name, value in values.items()))
    if target := environment.get("GITHUB_STEP_SUMMARY"):
        _append(target, summary)


def _append(target: str, text: str) -> None:
    # An earlier command of the same step may have left its last line open; the runner skips an empty one.
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}")
    except OSError as error:
        raise UndecidedError(
            f"{target} cannot be written: {error.strerror}", "the file that the runner made", "look at the runner"
        ) from None


def _heredoc(name: str, value: str) -> str:
    # A random delimiter, so that no value can end its own text and start another name.
    delimiter = f"leanml_{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{one_line(value)}\n{delimiter}\n"


def workflow_commands(decision: Decision, *, limit: int = 10) -> Iterator[str]:
    """Yield one workflow command for each reason and warning, as many as a runner shows."""
    for level, reasons in (("error", decision.reasons), ("warning", decision.warnings)):
        for reason in reasons[:limit]:
            yield f"::{level} title={command_property(f'model gate {reason.rule}')}::{command_data(reason.message)}"


def dotenv(values: Mapping[str, str]) -> str:
    """Write the same outputs as GitLab's dotenv report, with the prefix LEANML_."""
    return "".join(f"LEANML_{name.upper()}={dotenv_value(value)}\n" for name, value in values.items())
