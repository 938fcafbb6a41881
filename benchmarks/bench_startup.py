"""What loading the plugin costs: ``pytest --collect-only`` in an empty folder, against ``-p no:leanml``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import Result, paired, timed

PAIRS = 30
GOAL_SECONDS = 0.020
NOTHING_COLLECTED = frozenset({5})


def run() -> list[Result]:
    """Time both in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        ours, theirs = paired(
            lambda: timed(base, folder, expect=NOTHING_COLLECTED),
            lambda: timed([*base, "-p", "no:leanml"], folder, expect=NOTHING_COLLECTED),
            PAIRS,
        )
    return [Result("plugin start-up", ours, theirs, "difference at most 20 ms", ours - theirs <= GOAL_SECONDS)]


if __name__ == "__main__":
    print(*run(), sep="\n")
