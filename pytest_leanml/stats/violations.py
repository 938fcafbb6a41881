"""How often something that should never happen did happen, with the exact interval of that share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scipy import special

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVAL = "clopper-pearson"
COUNTED = "exact"


def clopper_pearson(violations: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934, Biometrika 26, 404-413); it covers at least its level.

    With no violation its upper limit is ``1 - ((1 - confidence) / 2) ** (1 / n)``, about 3.7 / n at 95 %; one-sided,
    that is the rule of three, 3 / n (Hanley and Lippman-Hand 1983, JAMA 249, 1743-1745).

    Args:
        violations: how many, 0 to n.
        n: of how many, above 0.
        confidence: two-sided level.

    Raises:
        MeasurementError: no such counts, or no such level.
    """
    if not 0 < confidence < 1:
        raise MeasurementError(f"confidence {confidence!r}", "a number strictly between 0 and 1, such as 0.95")
    if n < 1 or not 0 <= violations <= n:
        raise MeasurementError(f"{violations} violations of {n}", "0 to n of at least 1")
    tail = (1 - confidence) / 2
    low = 0.0 if violations == 0 else float(special.betaincinv(violations, n - violations + 1, tail))
    high = 1.0 if violations == n else float(special.betaincinv(violations + 1, n - violations, 1 - tail))
    return low, high


def violation_share(
    violations: int, n: int, *, confidence: float = 0.95, least: int = 1, what: str = "rows"
) -> Estimate:
    """Return the share of violations in independent trials, with its Clopper-Pearson interval.

    Args:
        violations: how many.
        n: trials.
        confidence: level of the interval.
        least: trials below which the share says nothing.
        what: what was tried, for messages.

    Raises:
        InconclusiveError: fewer than ``least`` trials, or none.
        MeasurementError: no such counts.
    """
    demand_trials(n, least, what)
    low, high = clopper_pearson(violations, n, confidence)
    return Estimate(violations / n, n, low, high, INTERVAL, confidence, details={"violations": float(violations)})


def demand_trials(n: int, least: int = 1, what: str = "rows") -> None:
    """Refuse what was hardly tried.

    Raises:
        InconclusiveError: fewer than ``least``, or none.
    """
    if n < max(least, 1):
        raise InconclusiveError(
            f"{n} {what} could be tried", f"at least {max(least, 1)}", "give more rows, or columns that can be changed"
        )


def counted_share(hits: int, n: int, *, what: str = "cases") -> Estimate:
    """Return a share of cases that are not a sample but all there are: the interval is the value.

    Raises:
        InconclusiveError: there are none.
    """
    if n < 1:
        raise InconclusiveError(f"there are no {what}", "at least one", "declare some")
    return Estimate(hits / n, n, hits / n, hits / n, COUNTED)


def worst_share(found: Mapping[str, Estimate]) -> Estimate:
    """Return the largest of several shares, each a part of it.

    Its upper limit is the largest of all: whichever part is truly the worst, that limit covers it at least at the level
    of one interval. The lower one is the worst part's own.

    Raises:
        InconclusiveError: there is none.
    """
    if not found:
        raise InconclusiveError("nothing was tried", "at least one column", "name one")
    worst = max(found.values(), key=lambda each: each.value)
    highs = [each.high for each in found.values() if each.high is not None]
    many = "" if len(found) == 1 else f", worst of {len(found)}"
    return replace(
        worst,
        n=min(each.n for each in found.values()),
        high=max(highs) if len(highs) == len(found) else None,
        interval=f"{worst.interval}{many}",
        by={name: Part(each.value, each.n, each.low, each.high) for name, each in found.items()},
    )
