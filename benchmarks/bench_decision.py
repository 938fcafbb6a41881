"""One warm embedded decision against one ``opa eval``: the shipped policies on the reference evidence.

Run: ``python benchmarks/bench_decision.py``. The packages are those that the gate puts in force for this evidence: the
limits, and what comes with the kinds that it measured. Start-up of the embedded engine's process is shown apart; ``opa``
starts anew for each decision, which is what a shell script does. Without an opa only the first figures are printed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.errors import GateUsageError
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.load import load_policies
from pytest_leanml.policy.opa import OpaEngine, find_opa

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_leanml.policy.answers import Engine

REFERENCE = Path(__file__).parents[1] / "tests" / "policy" / "data"
IN_FORCE = ("limits", "no_skill", "fairness")
LIMIT_MS = 1.0


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, in milliseconds, after one that warms it up."""
    call()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def main() -> int:
    """Print the figures; 1 when a warm decision takes a millisecond or more."""
    document = (REFERENCE / "evidence.json").read_text(encoding="utf-8")
    data = json.loads((REFERENCE / "data.json").read_text(encoding="utf-8"))["leanml"]
    data["thresholds"] = {key: data["thresholds"][key] for key in data["thresholds"] if not key.startswith("lineage.")}
    data["thresholds"]["fairness.group_size"] = {"min": 30}
    policies = load_policies([], shipped=IN_FORCE, root=REFERENCE)

    def decide(engine: Engine) -> None:
        answers = engine.evaluate(policies, document, data, 10.0)
        if not all(answer.allow and not answer.deny for answer in answers):
            raise SystemExit(f"the reference evidence is not allowed: {answers}")

    started = time.perf_counter()
    embedded = EmbeddedEngine()
    start_ms = 1000 * (time.perf_counter() - started)
    warm_ms = median_ms(lambda: decide(embedded), 300)
    embedded.close()
    print(f"packages                   {', '.join(IN_FORCE)}")
    print(f"embedded, start            {start_ms:9.2f} ms")
    print(f"embedded, warm decision    {warm_ms:9.3f} ms   (limit {LIMIT_MS:g} ms)")
    try:
        opa = OpaEngine(find_opa())
    except GateUsageError as error:
        print(f"opa eval                   not measured: {error}")
    else:
        once_ms = median_ms(lambda: decide(opa), 20)
        print(f"opa {opa.version} eval, one shot {once_ms:9.2f} ms")
        print(f"ratio                      {once_ms / warm_ms:9.1f}")
    return int(warm_ms >= LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
