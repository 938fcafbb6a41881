"""Which rows two models get right: flips between them, and McNemar's test of whether these go both ways alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy import special

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.intervals import critical, wilson
from pytest_leanml.stats.pairs import demand_same
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import BoolArray, Sample


@dataclass(frozen=True, slots=True)
class Agreement:
    """The rows of two models by who is right.

    Attributes:
        both: both are.
        gained: the candidate alone: wrong before, right now.
        lost: the champion alone: right before, wrong now.
        neither: none is.
    """

    both: int
    gained: int
    lost: int
    neither: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.both + self.gained + self.lost + self.neither

    @property
    def flips(self) -> int:
        """Rows on which one is right and the other wrong."""
        return self.gained + self.lost

    def details(self) -> dict[str, float]:
        """Return the flips and McNemar's p values, as details of an estimate."""
        return {
            "gained": float(self.gained),
            "lost": float(self.lost),
            "mcnemar_exact_p": mcnemar_exact(self.gained, self.lost),
            "mcnemar_mid_p": mcnemar_mid(self.gained, self.lost),
        }


def agreement(candidate: Sample, champion: Sample) -> Agreement:
    """Count the rows by who is right.

    Args:
        candidate: the new model's labels.
        champion: the present model's, on the same rows in the same order.

    Raises:
        InconclusiveError: a regression, in which no row is right or wrong.
        MeasurementError: other rows, tasks or positive labels; no labels.
    """
    demand_same(candidate, champion)
    ours, theirs = right(candidate), right(champion)
    both, gained, lost = (int(np.count_nonzero(each)) for each in (ours & theirs, ours & ~theirs, theirs & ~ours))
    return Agreement(both, gained, lost, len(candidate) - both - gained - lost)


def right(sample: Sample) -> BoolArray:
    """Return which rows are answered with their true label; shape (n,).

    Raises:
        InconclusiveError: a regression.
        MeasurementError: no predicted labels.
    """
    if sample.task is Task.REGRESSION:
        raise InconclusiveError(
            "rows of a regression are neither right nor wrong",
            "a classification, whose labels flip",
            "compare mae or rmse instead",
        )
    if sample.pred_codes is None:
        raise MeasurementError("no predicted labels", "a classification sample with y_pred")
    return np.asarray(sample.pred_codes == sample.true_codes)


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the two-sided exact p value: flips that go either way with the same chance.

    McNemar (1947, Psychometrika 12, 153-157), conditional on their number, as ``statsmodels`` and R's ``exact2x2``
    have it; 1 without any flip.
    """
    return min(1.0, 2 * float(special.bdtr(min(gained, lost), gained + lost, 0.5)))


def mcnemar_mid(gained: int, lost: int) -> float:
    """Return the two-sided mid-p value: half of the chance of what was seen, and all of what is more extreme.

    Fagerland, Lydersen and Laake (2013, BMC Medical Research Methodology 13, 91): nearly the size asked for, where the
    exact test is far below it; 1 without any flip.
    """
    if not gained + lost:
        return 1.0
    from scipy.stats import binom  # half a second, and only here

    seen = float(binom.pmf(min(gained, lost), gained + lost, 0.5))
    return 1 - seen / 2 if gained == lost else mcnemar_exact(gained, lost) - seen


def regressions(candidate: Sample, champion: Sample, *, confidence: float = 0.95) -> Estimate:
    """Return the share of all rows that were right and are now wrong, with Wilson's interval.

    Args:
        candidate: the new model's labels.
        champion: the present model's, on the same rows in the same order.
        confidence: two-sided level.

    Returns:
        by: the four kinds of row; details: see ``Agreement.details``.

    Raises:
        InconclusiveError: a regression.
        MeasurementError: as ``agreement``.
    """
    found = agreement(candidate, champion)
    counts = {
        "right to wrong": found.lost,
        "wrong to right": found.gained,
        "right in both": found.both,
        "wrong in both": found.neither,
    }
    lows, highs = wilson(list(counts.values()), [found.n] * len(counts), critical(confidence))
    parts = {
        name: Part(rows / found.n, rows, low, high)
        for (name, rows), low, high in zip(counts.items(), lows.tolist(), highs.tolist(), strict=True)
    }
    lost = parts["right to wrong"]
    low, high = cast("float", lost.low), cast("float", lost.high)
    return Estimate(lost.value, found.n, low, high, "wilson", confidence, by=parts, details=found.details())
