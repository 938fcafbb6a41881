"""Who this process is: a supervisor's child, one of its xdist workers, inside of another gate, or none of them."""

from __future__ import annotations

import os

RUN_ID = "LEANML_RUN_ID"
RUN_FOLDER = "LEANML_RUN_FOLDER"
SUPERVISOR = "LEANML_SUPERVISOR_PID"


def is_child() -> bool:
    """Whether this process was started by a supervisor that still lives, or is an xdist worker of such a child."""
    if RUN_ID not in os.environ:
        return False
    return os.environ.get(SUPERVISOR) == str(os.getppid()) or "PYTEST_XDIST_WORKER" in os.environ


def inside_gate() -> bool:
    """Whether a gate runs around this process, of which it is not the child."""
    return RUN_ID in os.environ and not is_child()
