"""Run every benchmark and print its ratios; the status says whether each goal was met."""

from __future__ import annotations

import sys

from benchmarks import bench_decision, bench_gate, bench_startup


def main() -> int:
    """Run them one after the other."""
    results = [row for module in (bench_startup, bench_decision, bench_gate) for row in module.run()]
    print(*results, sep="\n")
    return 0 if all(row.met for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
