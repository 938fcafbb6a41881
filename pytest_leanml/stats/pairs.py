"""Two models' answers to the same question about the same rows, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import MeasurementError

if TYPE_CHECKING:
    from pytest_leanml.stats.samples import IntArray, Sample


def demand_same(candidate: Sample, champion: Sample) -> None:
    """Refuse to compare different questions, or answers to different rows.

    Raises:
        MeasurementError: another task, positive label, number of rows or true values, or rows that are weighted: the
            paired intervals know no weights, and none is ignored.
    """
    if candidate.weights is not None or champion.weights is not None:
        raise MeasurementError(
            "weighted rows in a paired comparison",
            "rows that count the same",
            "remove `data.weights` where models are compared, or compare weighted metrics in a test of your own",
        )
    if candidate.task is not champion.task or candidate.positive != champion.positive:
        raise MeasurementError(
            f"a {candidate.task} candidate (positive: {candidate.positive!r}) beside a {champion.task} champion "
            f"(positive: {champion.positive!r})",
            "one task and one positive label",
        )
    if not _same_rows(candidate, champion):
        raise MeasurementError(
            f"{len(candidate)} rows for the candidate and {len(champion)} for the champion, with other true values",
            "the same rows in the same order",
            "let both models answer one frame",
        )


def translation(candidate: Sample, champion: Sample) -> IntArray:
    """Return the candidate's code of each of the champion's classes; one that it lacks gets a code of its own."""
    places = {label: code for code, label in enumerate(dict.fromkeys([*candidate.classes, *champion.classes]))}
    return np.array([places[label] for label in champion.classes], dtype=np.intp)


def _same_rows(candidate: Sample, champion: Sample) -> bool:
    if candidate.true_codes is None or champion.true_codes is None:
        return np.array_equal(candidate.y_true, champion.y_true)
    return np.array_equal(candidate.true_codes, translation(candidate, champion)[champion.true_codes])
