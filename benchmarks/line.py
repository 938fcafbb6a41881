"""The straight line through seconds by rows: fitted, and drawn as an SVG picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT, EDGE = 640, 400, 60
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Line:
    """seconds = start + slope * millions of rows.

    Attributes:
        start: seconds.
        slope: seconds for a million rows.
        farthest: largest distance of a point from the line, as a share of the line.
    """

    start: float
    slope: float
    farthest: float

    def __str__(self) -> str:
        """Say it."""
        return (
            f"{self.start:.2f} s and {self.slope:.2f} s for each million rows; "
            f"no size is farther from it than {100 * self.farthest:.0f} %"
        )

    def at(self, rows: float) -> float:
        """Return its seconds."""
        return self.start + self.slope * rows / MILLION


def fitted(rows: Sequence[int], seconds: Sequence[float]) -> Line:
    """Fit the line by least squares of relative distances, so that the small sizes count as much as the large ones."""
    times = np.asarray(seconds)
    slope, start = np.polyfit(np.asarray(rows) / MILLION, times, 1, w=1 / times)
    line = Line(float(start), float(slope), 0.0)
    farthest = max(abs(each / line.at(n) - 1) for n, each in zip(rows, seconds, strict=True))
    return Line(line.start, line.slope, farthest)


def drawn(rows: Sequence[int], seconds: Sequence[float], line: Line) -> str:
    """Draw the points and the line, both axes logarithmic."""
    ends = min(rows), max(rows)
    heights = [*seconds, *map(line.at, ends)]
    x, y = _scale(*ends, EDGE, WIDTH - EDGE), _scale(min(heights), max(heights), HEIGHT - EDGE, EDGE)
    steps = np.geomspace(*ends, 40)
    path = " ".join(f"{x(n):.1f},{y(line.at(n)):.1f}" for n in steps)
    points = [
        f'<circle cx="{x(n):.1f}" cy="{y(each):.1f}" r="5"/><text x="{x(n):.1f}" y="{y(each) - 12:.1f}">{each:.3g} s</text>'
        f'<text x="{x(n):.1f}" y="{HEIGHT - EDGE / 2:.0f}">{n / MILLION:g} M</text>'
        for n, each in zip(rows, seconds, strict=True)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
            '<g font-family="sans-serif" font-size="13" text-anchor="middle">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<polyline points="{path}" fill="none" stroke="#888" stroke-width="2"/>',
            *points,
            f'<text x="{WIDTH / 2:.0f}" y="{EDGE / 2:.0f}">seconds of a drift check, by rows of each file</text>',
            "</g></svg>",
            "",
        ]
    )


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """Return where a value stands between two places, by its logarithm."""

    def place(value: float) -> float:
        return first + (last - first) * math.log(value / low) / math.log(high / low)

    return place
