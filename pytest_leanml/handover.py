"""Hand an ALLOW over to the deployer: a process of its own, without any code of the project in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_leanml.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Handover:
    """How the deployer ended.

    Attributes:
        status: 0 done, 4 or 20 refused, 21 undecided, 22 undone, 23 unknown.
        message: one sentence for a person.
    """

    status: ExitStatus
    message: str


def run_deployer(decision: Path, config: Path | None, policies: Sequence[Path] | None) -> Handover:
    """Run ``leanml deploy`` in isolated mode and read how it ended.

    Args:
        decision: decision.json, with evidence.json beside it.
        config: leanml.yaml.
        policies: what --gate-policy named, None for the config's.
    """
    command = [sys.executable, "-I", "-m", "pytest_leanml.deploy", "--json", f"--decision={decision}"]
    command += [f"--config={config}"] if config is not None else []
    command += [f"--policy={path}" for path in policies or ()]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - our own interpreter
    said = _said(ended.stdout)
    if said is None or said.status != ended.returncode:
        return Handover(ExitStatus.UNKNOWN, _unclear(ended.returncode, said, ended.stderr))
    return said


def _said(text: str) -> Handover | None:
    """Read the deployer's last line; None where it is none of its own."""
    try:
        said = json.loads(text.splitlines()[-1])
        return Handover(ExitStatus(said["status"]), str(said["message"]))
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def _unclear(returncode: int, said: Handover | None, errors: str) -> str:
    last = said.message if said is not None else next(reversed(errors.strip().splitlines()), "")
    how = f"the deployer ended with {returncode}" if returncode >= 0 else f"the deployer was ended by {-returncode}"
    told = f" ({last})" if last else ""
    return f"{how} and did not say how far it came{told}; next: `leanml deploy --resume` or `--undo` with this decision"
