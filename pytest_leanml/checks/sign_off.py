"""What a comparison proves: margins, and the worst of several slices."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Proven:
    """A claim that the confidence limits of a gain prove. There is no other kind: a claim that fails raises.

    Attributes:
        claim: what is proven.
        measurement: the gain.
    """

    claim: str
    measurement: Measurement


def demand_margin(margin: float) -> float:
    """Return a margin as a float.

    Raises:
        MeasurementError: it is no finite number of at least 0.
    """
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin) or margin < 0:
        raise MeasurementError(f"a margin of {margin!r}", "a finite number of at least 0, in the metric's unit")
    return float(margin)


def equivalence_level(confidence: float) -> float:
    """Return the level of the interval that two one-sided tests at ``1 - confidence`` each stand for.

    Raises:
        MeasurementError: a confidence of one half or less, which leaves no interval.
    """
    if not confidence > 0.5:  # noqa: PLR2004 - see above
        raise MeasurementError(f"a confidence of {confidence:g} for equivalence", "a number above 0.5, such as 0.95")
    return 2 * confidence - 1


def worst_of(alone: Mapping[str, Estimate], at_once: Mapping[str, Estimate]) -> Estimate:
    """Return the smallest gain of several slices.

    The lowest of the lower limits stays below the smallest gain whenever the limit of that one slice does, so that it
    needs no correction: an intersection-union test (Berger 1982, Technometrics 24, 295-300). The lowest of the upper
    limits needs all of them to hold at once.

    Args:
        alone: slice -> gain, each with an interval at the level asked for.
        at_once: the same with intervals that hold at once.

    Returns:
        The worst slice's value and rows; by: every slice with the interval that holds at once. No interval where a
        slice has none.
    """
    worst = min(alone.values(), key=lambda each: each.value)
    by = {name: Part(each.value, each.n, each.low, each.high) for name, each in at_once.items()}
    lows, highs = [each.low for each in alone.values()], [each.high for each in at_once.values()]
    known_lows, known_highs = ([each for each in limits if each is not None] for limits in (lows, highs))
    if len(known_lows) < len(lows) or len(known_highs) < len(highs):
        return replace(worst, low=None, high=None, interval=None, by=by)
    name = f"{worst.interval}, worst of {len(alone)}"
    return replace(worst, low=min(known_lows), high=min(known_highs), interval=name, by=by)


def slice_facts(estimate: Estimate) -> dict[str, dict[str, Any]]:
    """Return gain and rows of each slice, as the evidence shows them."""
    return {name: {"gain": float(part.value), "rows": int(part.n)} for name, part in estimate.by.items()}


@contextmanager
def in_slice(name: str) -> Iterator[None]:
    """Say which slice it was that is inconclusive."""
    try:
        yield
    except InconclusiveError as error:
        given = error.given if name in error.given else f"in the slice {name}: {error.given}"
        raise InconclusiveError(given, error.expected, error.todo) from error
