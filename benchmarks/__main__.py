"""Run every benchmark and write its table; the status says whether each goal was met.

python -m benchmarks            measure, write results.json and docs/benchmarks.md
python -m benchmarks --print    measure and print alone
"""

from __future__ import annotations

import sys

from benchmarks import bench_decision, bench_gate, bench_hooks, bench_peers, bench_startup
from benchmarks.table import write


def main() -> int:
    """Run them one after the other."""
    results = []
    for module in (bench_startup, bench_decision, bench_hooks, bench_gate, bench_peers):
        for row in module.run():
            print(row, flush=True)
            results.append(row)
    if "--print" not in sys.argv[1:]:
        write(results)
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
