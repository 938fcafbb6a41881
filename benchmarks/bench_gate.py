"""What the gate adds to the same tests: ``--model-gate`` against a plain run, without record, report and promotion."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import Result, clean_environment, paired, timed

PAIRS = 5
GOAL_SECONDS = 1.5
FLIGHTS = Path(__file__).resolve().parents[1] / "examples" / "flights"
NOT_COUNTED = ("record", "report", "deploy")


def run() -> list[Result]:
    """Time both in turns on the flights example."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "flights"
        prepare = [sys.executable, str(FLIGHTS / "prepare.py"), str(folder)]
        subprocess.run(prepare, check=True, env=clean_environment(), capture_output=True)
        base = [sys.executable, "-m", "pytest", "-q"]
        ours, theirs = paired(lambda: _gated(base, folder), lambda: timed(base, folder), PAIRS)
        timings = json.loads((folder / ".leanml" / "decision.json").read_text())["timings"]
    print("  timings of the last gate:", ", ".join(f"{phase} {seconds:.3f} s" for phase, seconds in timings.items()))
    return [Result("gate", ours, theirs, "difference at most 1.5 s", ours - theirs <= GOAL_SECONDS)]


def _gated(base: list[str], folder: Path) -> float:
    elapsed = timed([*base, "--model-gate", "--gate-dry-run"], folder)
    timings = json.loads((folder / ".leanml" / "decision.json").read_text())["timings"]
    return elapsed - sum(timings.get(phase, 0.0) for phase in NOT_COUNTED)


if __name__ == "__main__":
    print(*run(), sep="\n")
