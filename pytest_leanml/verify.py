"""``leanml verify``: do the files of a run belong together, and do they say ALLOW?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.deploy.proof import identity_problems, read_files, verdict_problems
from pytest_leanml.errors import ExitStatus
from pytest_leanml.evidence.schema import schema_problems
from pytest_leanml.policy.facts import check_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_leanml.deploy.proof import Files


def verify(folder: Path) -> tuple[str, ExitStatus]:
    """Check decision.json and evidence.json of a folder against each other; no policy is asked.

    Args:
        folder: what ``--gate-output`` named.

    Returns:
        What was found, and 0 for whole files with an ALLOW, else 20: a script that goes on after this command must not
        go on after a DENY.

    Raises:
        GateUsageError: one of them is missing, or no file of the gate.
    """
    files = read_files(folder / "decision.json")
    broken = list(dict.fromkeys(_broken(files)))
    if broken:
        return "".join(f"{folder}: {problem}\n" for problem in broken), ExitStatus.DENY
    decision = files.decision
    denied = list(verdict_problems(decision))
    head = f"{folder}: run {decision['run_id']}, {decision.get('mode')}: decision and evidence belong together"
    if denied:
        return f"{head}\n" + "".join(f"  {problem}\n" for problem in denied), ExitStatus.DENY
    return f"{head}, and the verdict is ALLOW\n", ExitStatus.ALLOW


def _broken(files: Files) -> Iterator[str]:
    yield from identity_problems(files)
    for problem in (*schema_problems(files.evidence), *check_facts(files.evidence)):
        yield f"evidence.json: {problem}"
