"""Who this process is: a supervisor's child, one of its xdist workers, inside of another gate, or none of them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN_ID = "LEANML_RUN_ID"
RUN_FOLDER = "LEANML_RUN_FOLDER"
SUPERVISOR = "LEANML_SUPERVISOR_PID"


def is_child() -> bool:
    """Whether this process was started by a supervisor that still lives, or is an xdist worker of such a child."""
    if RUN_ID not in os.environ:
        return False
    return os.environ.get(SUPERVISOR) == str(os.getppid()) or "PYTEST_XDIST_WORKER" in os.environ


@contextmanager
def gate_around(run_id: str, folder: Path) -> Iterator[None]:
    """Say that this process itself records: its xdist workers are workers, and a gate in one of its tests is inside.

    Args:
        run_id: id of the run.
        folder: the run's private folder.
    """
    # No process is the child of this one: a process that a test starts must not take itself for the recorder.
    os.environ.update({RUN_ID: run_id, RUN_FOLDER: str(folder), SUPERVISOR: "none"})
    try:
        yield
    finally:
        for name in (RUN_ID, RUN_FOLDER, SUPERVISOR):
            os.environ.pop(name, None)


def inside_gate() -> bool:
    """Whether a gate runs around this process, of which it is not the child."""
    return RUN_ID in os.environ and not is_child()
