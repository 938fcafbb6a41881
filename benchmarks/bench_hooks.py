"""What the runner adds to a deploy hook: lock held, two lines in a SQLite journal, two in the audit log, one thread.

The hook itself does nothing. "Theirs" is the same hook called straight, without journal, time limit or way back.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.pairs import Result
from pytest_leanml.config import DeployHook
from pytest_leanml.deploy.catalogue import Bound
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.interrupt import Interrupt
from pytest_leanml.deploy.journal import Journal, Release
from pytest_leanml.deploy.lock import model_lock
from pytest_leanml.deploy.progress import Progress
from pytest_leanml.deploy.proof import Proven
from pytest_leanml.deploy.secret import Redactor
from pytest_leanml.deploy.steps import HookStep, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.lock import Held

GOAL_SECONDS = 0.010
RUNS = 200


class Nothing:
    """A hook that does nothing, so that what is left is the runner's."""

    def plan(self, _context: HookContext) -> str:
        """Say so."""
        return "do nothing"

    def apply(self, _context: HookContext | None) -> Applied:
        """Do nothing."""
        return Applied({"before": "a"})

    def observe(self, _context: HookContext) -> Observed:
        """It is as it was."""
        return Observed.ABSENT

    def undo(self, _context: HookContext, _detail: Mapping[str, object]) -> None:
        """Do nothing."""


def _stage(journal: Journal, number: int, held: Held, root: Path) -> Stage:
    proven = Proven({"run_id": "01BENCH"}, {}, "flights", "2", "sha256:00", "champion", "1", "production")
    release = Release(f"bench{number}", "01BENCH", "flights")
    return Stage(
        journal, release, proven, held, Interrupt(), {}, Redactor(), Progress(None), "sqlite:///mlflow.db", root
    )


def run() -> list[Result]:
    """Time one hook of a release after the other, each of a release of its own."""
    hook = Nothing()
    bound = Bound(DeployHook.model_validate({"use": "nothing"}), hook)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        journal = Journal(f"sqlite:///{root / 'leanml.db'}")
        with model_lock(journal.engine, "flights", 1.0) as held:
            for number in range(RUNS):
                step = HookStep(bound, _stage(journal, number, held, root))
                started = time.perf_counter()
                step.apply()
                seconds.append(time.perf_counter() - started)
        journal.close()
    straight = []
    for _ in range(RUNS):
        started = time.perf_counter()
        hook.apply(None)
        straight.append(time.perf_counter() - started)
    ours = statistics.median(seconds)
    note = f"95th percentile {sorted(seconds)[int(0.95 * RUNS)] * 1000:.1f} ms"
    return [
        Result(
            "one deploy hook under the runner",
            ours,
            statistics.median(straight),
            "under 10 ms",
            ours < GOAL_SECONDS,
            note,
        )
    ]


if __name__ == "__main__":
    print(*run(), sep="\n")
