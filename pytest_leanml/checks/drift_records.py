"""Records of drift, and how answers and targets are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.drift_columns import compare, told_of
from pytest_leanml.checks.study import record_of
from pytest_leanml.errors import LeanmlError
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_leanml.checks.answers import Answers
    from pytest_leanml.checks.drift_columns import Sides
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate

# For labels: the share of rows whose label changed is easier to read than Cramér's V.
OF_LABELS = "total_variation"


def answered(
    metric: str, sides: Sides, method: str, slice_: str | None, level: float, **details: Any
) -> MeasurementRecord:
    """Compare answers or targets; labels by total variation unless another method is asked for."""
    wanted = OF_LABELS if method == "auto" and not sides.ordered else method
    try:
        chosen, estimate = compare(sides, wanted, level)
    except LeanmlError as fault:
        raise told_of(fault, f"the {metric}") from fault
    more = {"method": chosen.value.replace("_", " "), "details": {**estimate.details, **details}}
    return flat(metric, estimate, slice_, beside={f"{metric}_histogram": sides.histogram()}, **more)


def flat(
    metric: str, estimate: Estimate, slice_: str | None, *, beside: Mapping[str, Any] | None = None, **more: Any
) -> MeasurementRecord:
    """Make a record that the evidence shows flat: under ``drift``, or that of a slice under ``drift.slices``."""
    part = None if slice_ is None else encode_group(slice_)
    found = {metric: float(estimate.value), **(beside or {})}
    section = {"drift": found if part is None else {"slices": {part: found}}}
    return record_of(with_part(f"drift.{metric}", part), estimate, section=section, **more)


def comparable(old: Answers, new: Answers) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """Return both sides' answers, and whether they are numbers: scores of one class or values; else labels."""
    scores = [each.probabilities for each in (old, new)]
    if all(each is not None and each.ndim == 1 for each in scores):
        return scores[0], scores[1], True  # type: ignore[return-value]  # neither is None, by the line above
    values = old.classes is None and all(each.labels.dtype.kind == "f" for each in (old, new))
    return old.labels, new.labels, values
