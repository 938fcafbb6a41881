"""DeLong's paired test: whether two areas under the ROC curve on the same rows are one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import special

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.influence import influence_of
from pytest_leanml.stats.pairs import demand_same
from pytest_leanml.stats.quality import measure

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import Sample


def delong_test(candidate: Sample, champion: Sample) -> dict[str, float]:
    """Return z and the two-sided p value of DeLong's test of two correlated areas.

    DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44, 837-845), as R's ``pROC::roc.test``: z is the difference over
    its standard error, referred to the normal distribution. The intervals of ``paired.gain`` refer the same quotient to
    Student's t of the rarest class, which is the more careful with few rows.

    Args:
        candidate: the new model's scores.
        champion: the present model's, on the same rows in the same order.

    Returns:
        ``delong_z`` and ``delong_p``.

    Raises:
        InconclusiveError: a class has no row, or no row moves the areas apart, so that there is no scatter to judge by.
        MeasurementError: other rows, tasks or positive labels; no scores.
    """
    demand_same(candidate, champion)
    ours, theirs = (measure("roc_auc", each).value for each in (candidate, champion))
    influence = influence_of("roc_auc", candidate, champion)
    error = None if influence is None else influence.error((1.0, -1.0))
    if error is None:
        raise InconclusiveError(
            "both models rank the rows alike, so that DeLong's test has no scatter to judge by",
            "models whose scores differ in their order",
        )
    z = (ours - theirs) / error
    return {"delong_z": z, "delong_p": two_sided(z)}


def two_sided(z: float) -> float:
    """Return the two-sided p value of a standard normal deviate."""
    return float(2 * special.ndtr(-math.fabs(z)))
