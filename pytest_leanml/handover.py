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
    command = [sys.executable, "-I", "-m", "pytest_leanml.deploy", "--decision", str(decision), "--json"]
    command += ["--config", str(config)] if config is not None else []
    for path in policies or ():
        command += ["--policy", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    try:
        said = json.loads(ended.stdout.splitlines()[-1])
        message = str(said["message"])
    except (IndexError, ValueError, KeyError, TypeError):
        message = "the deployer ended without saying how; next: look into the journal with `leanml history`"
        return Handover(ExitStatus.UNKNOWN, message)
    if ended.returncode < 0 or ended.returncode not in set(ExitStatus) or said.get("status") != ended.returncode:
        return Handover(ExitStatus.UNKNOWN, f"the deployer ended with {ended.returncode}: {message}")
    return Handover(ExitStatus(ended.returncode), message)
