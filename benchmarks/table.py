"""Write what was measured: results.json for programs, docs/benchmarks.md for people."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.pairs import Result

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DOCS = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

Written by `tox -e bench`, which runs both sides in one run, in turns, and compares medians. Data is loaded before the clock starts.
A peer runs in an environment of its own, since peers pin other versions. The frames: 1,000,000 rows of training data and as many of
production, 20 numeric columns, 5 categorical ones, a label, a score, three sensitive attributes of 2, 5 and 8 groups
(`benchmarks/workload.py`). Ours always includes the interval; most peers have none.

"theirs / ours" says how many times as long theirs takes.
"""


def write(results: Sequence[Result]) -> None:
    """Write both files."""
    RESULTS.write_text(json.dumps([row.plain() for row in results], indent=2) + "\n")
    DOCS.write_text("\n".join([INTRODUCTION, _where(results), "", *_rows(results), "", _versions(results), ""]))


def _where(results: Sequence[Result]) -> str:
    met = sum(row.met for row in results)
    return (
        f"Measured on {datetime.now(UTC).date()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; {met} of {len(results)} goals met."
    )


def _rows(results: Sequence[Result]) -> list[str]:
    head = ["| what | ours | theirs | theirs / ours | goal | met |", "|---|---|---|---|---|---|"]
    return head + [
        f"| {row.name}{f' ({row.note})' if row.note else ''} | {_shown(row.ours)} | {_shown(row.theirs)} "
        f"| {row.ratio:.3g} | {row.goal} | {'yes' if row.met else 'no'} |"
        for row in results
    ]


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _versions(results: Sequence[Result]) -> str:
    found = sorted({f"{name} {version}" for row in results for name, version in row.versions.items()})
    return f"Versions: {', '.join(found)}."
