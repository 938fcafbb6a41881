"""What the scripts under ours/ and peers/ share: time a call, print one line of JSON. Standard library only.

A peer's script runs in an environment of its own, since peers pin other versions of pandas, NumPy and scikit-learn.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024


def folder() -> Path:
    """Return the workload's folder, the script's one argument."""
    return Path(sys.argv[1])


def tell(call: Callable[[], Any], *packages: str, share: float = 1.0) -> None:
    """Time one call and print seconds, the memory it took above what was there, and the packages' versions.

    Args:
        call: what is timed; loading and importing come before.
        packages: whose versions are told.
        share: the part of the whole job that the call does, where the whole would take hours.
    """
    _reset_peak()
    before = _status("VmRSS")
    started = time.perf_counter()
    call()
    seconds = (time.perf_counter() - started) / share
    memory = max(0.0, _status("VmHWM") - before)
    print(json.dumps({"seconds": seconds, "mib": memory, "versions": {name: version(name) for name in packages}}))


def _reset_peak() -> None:
    """Make the peak start from here; Linux only, elsewhere the memory told is 0."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def _status(name: str) -> float:
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) / KIB for line in lines if line.startswith(f"{name}:")), 0.0)
