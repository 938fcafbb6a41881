"""Write what was measured: results.json for programs, docs/benchmarks.md for people."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.line import drawn, fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.pairs import Result

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
LAZY = HERE / "lazy.json"
DOCS = HERE.parent / "docs" / "benchmarks.md"
DRAWING = DOCS.with_name("benchmarks-lazy.svg")

INTRODUCTION = """\
# Benchmarks

Written by `tox -e bench`, which runs both sides in one run, in turns, and compares medians. Data is loaded before the clock starts.
A peer runs in an environment of its own, since peers pin other versions. The frames: 1,000,000 rows of training data and as many of
production, 20 numeric columns, 5 categorical ones, a label, a score, three sensitive attributes of 2, 5 and 8 groups
(`benchmarks/workload.py`). Ours always includes the interval; most peers have none.

"theirs / ours" says how many times as long theirs takes.
"""


LAZY_HEADING = "## A file that is never held in memory"
LAZY_INTRODUCTION = """\
Written by `python -m benchmarks.bench_lazy`, by hand, since it takes minutes: drift of a Parquet file of four columns (three of numbers,
one of text) against another of as many rows, read in batches. Memory is the most that the process ever had, Python and all libraries
included.
"""


def write(results: Sequence[Result]) -> None:
    """Write both files."""
    RESULTS.write_text(json.dumps([row.plain() for row in results], indent=2) + "\n")
    DOCS.write_text("\n".join([INTRODUCTION, _where(results), "", *_rows(results), "", _versions(results), ""]))
    if LAZY.exists():
        write_lazy()


def write_lazy() -> None:
    """Write what lazy.json holds to the documentation: the last section of it, and a drawing."""
    told = json.loads(LAZY.read_text())
    runs = told["runs"]
    rows, seconds = ([run[name] for run in runs] for name in ("rows", "drift_s"))
    line = fitted(rows, seconds)
    text = [
        DOCS.read_text().partition(LAZY_HEADING)[0].rstrip() + "\n\n" + LAZY_HEADING,
        "",
        LAZY_INTRODUCTION,
        f"Measured {told['machine']}.",
        "",
    ]
    text += ["| rows | seconds | seconds for a million | most memory |", "|---|---|---|---|"]
    text += [
        f"| {run['rows']:,} | {run['drift_s']:.3g} | {run['drift_s_per_million']:.3g} | {run['peak_mib']:.0f} MiB |"
        for run in runs
    ]
    text += ["", f"![seconds by rows]({DRAWING.name})", "", f"The line: {line}.", ""]
    DOCS.write_text("\n".join(text))
    DRAWING.write_text(drawn(rows, seconds, line))


def machine() -> str:
    """Say when and where."""
    return (
        f"on {datetime.now(UTC).date()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )


def _where(results: Sequence[Result]) -> str:
    met = sum(row.met for row in results)
    return f"Measured {machine()}; {met} of {len(results)} goals met."


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
