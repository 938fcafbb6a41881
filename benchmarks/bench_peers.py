"""What a check costs, against what a user would pick instead; both sides on the same frames, in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import workload
from benchmarks.pairs import Result, clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "leanml" / "bench"
PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Peer:
    """One comparison.

    Attributes:
        name: of its row.
        ours: script under ours/.
        theirs: script under peers/.
        packages: what the peer's own environment holds.
        least: how many times faster ours must be.
        pairs: how often both are timed.
        mib: most memory that ours may take above its frames; None for no goal.
    """

    name: str
    ours: str
    theirs: str
    packages: tuple[str, ...]
    least: float
    pairs: int = 5
    mib: float | None = None


@dataclass(slots=True)
class Timed:
    """What a script printed, over its runs."""

    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


PEERS = (
    Peer(
        "drift of 25 columns, evidently",
        "drift",
        "evidently_drift",
        ("evidently==0.7.23", "pandas<3", "pyarrow"),
        least=50,
        pairs=1,
        mib=300,
    ),
    Peer(
        "drift of 25 columns, deepchecks",
        "drift",
        "deepchecks_drift",
        ("deepchecks==0.19.1", "scikit-learn<1.6", "numpy<2", "setuptools<81", "pandas<2.3", "pyarrow"),
        least=50,
        pairs=5,
    ),
    Peer("drift of 25 columns, scipy", "drift", "scipy_drift", ("scipy", "pandas", "pyarrow"), least=8, pairs=3),
    Peer("drift of 25 columns, np.sort alone", "drift", "numpy_sort", ("numpy", "pandas", "pyarrow"), least=0.4),
    Peer(
        "fairness, 6 metrics x 3 attributes and their intersection, fairlearn",
        "fairness",
        "fairlearn_fairness",
        ("fairlearn==0.15.0", "pandas", "pyarrow"),
        least=500,
        pairs=1,
    ),
    Peer(
        "fairness, 6 metrics x 3 attributes, aequitas",
        "fairness",
        "aequitas_fairness",
        ("aequitas==1.1.0", "pandas<3", "pyarrow"),
        least=8,
    ),
    Peer("ROC AUC with interval", "roc_auc", "sklearn_auc", ("scikit-learn", "pandas", "pyarrow"), least=1),
    Peer("F1 with interval", "f1_score", "sklearn_f1", ("scikit-learn", "pandas", "pyarrow"), least=1000, pairs=3),
    Peer("ten rules on a polars frame", "validation", "pandera_validation", ("pandera[polars]", "pyarrow"), least=1),
)


def run(peers: Sequence[Peer] = PEERS) -> list[Result]:
    """Time every pair."""
    folder = workload.build(CACHE)
    return [_compared(peer, folder) for peer in peers]


def _compared(peer: Peer, folder: Path) -> Result:
    ours, theirs = Timed(), Timed()
    apart = ["uv", "run", "--quiet", "--no-project", "--python", PYTHON]
    apart += [part for package in peer.packages for part in ("--with", package)]
    for _ in range(peer.pairs):
        _time([sys.executable], HERE / "ours" / f"{peer.ours}.py", folder, ours)
        _time([*apart, "python"], HERE / "peers" / f"{peer.theirs}.py", folder, theirs)
    seconds, others = statistics.median(ours.seconds), statistics.median(theirs.seconds)
    memory = statistics.median(ours.mib)
    met = others / seconds >= peer.least and (peer.mib is None or memory <= peer.mib)
    goal = f"theirs / ours >= {peer.least:g}" + (f", at most {peer.mib:g} MiB" if peer.mib else "")
    note = f"{memory:.0f} MiB against {statistics.median(theirs.mib):.0f} MiB above the frames"
    return Result(peer.name, seconds, others, goal, met, note, {**ours.versions, **theirs.versions})


def _time(python: Sequence[str], script: Path, folder: Path, into: Timed) -> None:
    environment = {**clean_environment(), "PYTHONPATH": os.pathsep.join([str(HERE), str(script.parent)])}
    ended = subprocess.run(
        [*python, str(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=HERE.parent,
    )
    if ended.returncode:
        raise RuntimeError(f"{script.name} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    into.seconds.append(told["seconds"])
    into.mib.append(told["mib"])
    into.versions.update(told["versions"])


if __name__ == "__main__":
    chosen = [peer for peer in PEERS if not sys.argv[1:] or any(word in peer.name for word in sys.argv[1:])]
    print(*run(chosen), sep="\n")
