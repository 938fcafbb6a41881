"""Drift of a Parquet file that is never held in memory, from 1,000,000 rows to as many as are asked for; run by hand.

python -m benchmarks.bench_lazy              1,000,000 to 100,000,000 rows: minutes, and some 6 GB of disk
python -m benchmarks.bench_lazy 1000000      one size alone

Each size runs in a process of its own. What is printed: seconds, seconds for each million rows, and the most memory that
the process ever had. Three sizes or more are kept in benchmarks/lazy.json; docs/benchmarks.md shows the line that fits
them best, and docs/benchmarks-lazy.svg draws it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench_peers import CACHE
from benchmarks.pairs import clean_environment
from benchmarks.table import LAZY, machine, write_lazy

SIZES = (1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)
GROUP = 1_000_000
KIB = 1024
GOAL_MIB = 2048
FITTED = 3


def build(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write both sides, a row group at a time, where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"lazy-{rows}-train.parquet", folder / f"lazy-{rows}-production.parquet"
    for seed, path in enumerate(paths):
        if not path.exists():
            _write(path, rows, np.random.default_rng(seed), shift=0.05 * seed)
    return paths


def _write(path: Path, rows: int, random: np.random.Generator, shift: float) -> None:
    part = path.with_suffix(".part")
    writer = None
    for start in range(0, rows, GROUP):
        size = min(GROUP, rows - start)
        table = pa.table(
            {
                "normal": random.normal(shift, 1, size),
                "amount": random.lognormal(0, 1.5, size),
                "count": random.poisson(4, size),
                "code": pa.array(random.integers(0, 50, size)).cast(pa.string()),
            }
        )
        writer = writer or pq.ParquetWriter(part, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    part.rename(path)


def measure(train: str, production: str) -> None:
    """Measure drift in this process, and print what it took."""
    from pytest_leanml.checks.drift import Drift
    from pytest_leanml.checks.study import Study, StudySettings
    from pytest_leanml.sources.frames import read_lazily

    began = time.perf_counter()
    tables = {name: read_lazily(Path(path), name=name) for name, path in (("train", train), ("production", production))}
    digested = time.perf_counter()
    study = Study(StudySettings(), candidate=lambda: None, champion=lambda: None, table=tables.get)
    share = Drift(study).share(settled=False)
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    told = {"digest_s": digested - began, "drift_s": ended - digested, "peak_mib": peak, "share": float(share)}
    print(json.dumps(told))


def main() -> int:
    """Run each size."""
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
        return 0
    found = []
    for rows in [int(each) for each in sys.argv[1:]] or SIZES:
        paths = build(CACHE, rows)
        command = [sys.executable, "-m", "benchmarks.bench_lazy", "--measure", *map(str, paths)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment())
        told = {"rows": rows, **json.loads(ended.stdout)}
        told["drift_s_per_million"] = told["drift_s"] / rows * 1e6
        print(json.dumps(told), flush=True)
        found.append(told)
    if len(found) >= FITTED:
        LAZY.write_text(json.dumps({"machine": machine(), "runs": found}, indent=2) + "\n")
        write_lazy()
    return 0 if all(each["peak_mib"] < GOAL_MIB for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
