"""Time two commands in pairs, so that what else the machine does hits both."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table.

    Attributes:
        name: what was timed.
        ours: median seconds with pytest-leanml.
        theirs: median seconds of what it is held against.
        goal: what it must reach, as text.
        met: whether it does.
        note: what else was measured.
        versions: package -> version, of either side.
    """

    name: str
    ours: float
    theirs: float
    goal: str
    met: bool
    note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times as long theirs takes."""
        return self.theirs / self.ours if self.ours else float("inf")

    def plain(self) -> dict[str, Any]:
        """Return what stands in results.json."""
        return {
            "name": self.name,
            "ours_s": round(self.ours, 6),
            "theirs_s": round(self.theirs, 6),
            "ratio": round(self.ratio, 3),
            "goal": self.goal,
            "met": self.met,
            "note": self.note,
            "versions": dict(self.versions),
        }

    def __str__(self) -> str:
        """Return the row."""
        mark = "ok" if self.met else "MISSED"
        note = f"; {self.note}" if self.note else ""
        return (
            f"{self.name}: ours {self.ours * 1000:.1f} ms, theirs {self.theirs * 1000:.1f} ms, "
            f"theirs / ours {self.ratio:.2f}, difference {(self.ours - self.theirs) * 1000:+.1f} ms{note}; "
            f"goal {self.goal}: {mark}"
        )


def clean_environment() -> Mapping[str, str]:
    """Return an environment in which bytecode is cached, as on a user's machine."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed(command: Sequence[str], folder: Path, *, expect: frozenset[int] = frozenset({0})) -> float:
    """Return the wall time of a command, in seconds.

    Raises:
        RuntimeError: it ended with another status than one of ``expect``.
    """
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    if ended.returncode not in expect:
        raise RuntimeError(f"{command} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")
    return elapsed


def paired(first: Callable[[], float], second: Callable[[], float], times: int) -> tuple[float, float]:
    """Return the medians of two measurements that take turns."""
    first(), second()  # the first run compiles and fills caches
    pairs = [(first(), second()) for _ in range(times)]
    return statistics.median(one for one, _ in pairs), statistics.median(two for _, two in pairs)
