"""The main job on real data: `python demo.py [FOLDER]`, or `tox -e demo`.

It prepares the example in FOLDER (by default a new temporary one, which stays), runs `pytest --model-gate` there, and
shows which version is live before and after.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from prepare import live, prepare

# The demo is about the registry in its own folder, whatever the shell around it is set to.
NOT_OURS = {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "LEANML_ENVIRONMENT", "PYTEST_ADDOPTS"}


def gate(folder: Path) -> int:
    """Run the gate as a user would, and return its exit status."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    command = [sys.executable, "-m", "pytest", "--model-gate"]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode  # noqa: S603 - ours


def main() -> int:
    """Prepare, gate, show; returns the gate's exit status, and 1 where an ALLOW has not moved the alias."""
    started = time.perf_counter()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="leanml-flights-"))
    print("Flights that left New York in early 2013: reading them, training four small models ...", flush=True)
    folder = prepare(folder)
    before = live(folder)
    print(f"models:/flights@champion is version {before}.\n\n$ cd {folder}\n$ pytest --model-gate", flush=True)
    status = gate(folder)
    after = live(folder)
    seconds = time.perf_counter() - started
    moved = f"was version {before} and is version {after} now" if after != before else f"is still version {before}"
    print(f"\nmodels:/flights@champion {moved}; exit status {status}, {seconds:.0f} seconds in all.")
    return status or int(after == before)


if __name__ == "__main__":
    sys.exit(main())
