"""One warm embedded decision against one ``opa eval``: the shipped policies on the reference evidence.

The packages are those that the gate puts in force for this evidence: the
limits, and what comes with the kinds that it measured. Start-up of the embedded engine's process is shown apart; ``opa``
starts anew for each decision, which is what a shell script does.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.pairs import Result
from pytest_leanml.errors import GateUsageError
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.load import load_policies
from pytest_leanml.policy.opa import OpaEngine, find_opa

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.policy.answers import Engine

REFERENCE = Path(__file__).parents[1] / "tests" / "policy" / "data"
IN_FORCE = ("limits", "no_skill", "fairness")
GOAL_SECONDS = 0.001


def median(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, in seconds, after one that warms it up."""
    call()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def run() -> list[Result]:
    """Time both."""
    document = (REFERENCE / "evidence.json").read_text(encoding="utf-8")
    data = json.loads((REFERENCE / "data.json").read_text(encoding="utf-8"))["leanml"]
    data["thresholds"].pop("lineage.training_age_days")
    data["thresholds"]["fairness.group_size"] = {"min": 30}
    policies = load_policies([], shipped=IN_FORCE, root=REFERENCE)

    def decide(engine: Engine) -> None:
        answers = engine.evaluate(policies, document, data, 10.0)
        if not all(answer.allow and not answer.deny for answer in answers):
            raise SystemExit(f"the reference evidence is not allowed: {answers}")

    started = time.perf_counter()
    embedded = EmbeddedEngine()
    print(f"  start of the embedded engine's process: {time.perf_counter() - started:.3f} s")
    warm = median(lambda: decide(embedded), 300)
    embedded.close()
    try:
        opa = OpaEngine(find_opa())
    except GateUsageError as error:
        print(f"  opa eval is not measured: {error}")
        once = 0.0
    else:
        once = median(lambda: decide(opa), 20)
    return [Result("one warm decision", warm, once, "under 1 ms", warm < GOAL_SECONDS)]


if __name__ == "__main__":
    print(*run(), sep="\n")
