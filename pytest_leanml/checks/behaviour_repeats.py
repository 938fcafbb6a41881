"""Whether the same rows get the same answers: asked again, asked alone, asked in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.behaviour_flips import LEAST, Finding
from pytest_leanml.checks.behaviour_model import Probe, Reply
from pytest_leanml.checks.behaviour_rows import MOST_TIMES, base_rows, demand_number, demand_whole, named
from pytest_leanml.checks.behaviour_words import shown_row, shown_value
from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.violations import violation_share
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

SHAPES = 1e-6  # what sums of floats may differ by when a batch has another size: relative for values, of a score else


def determinism(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Ask about the same rows again, and see which answers are not the same to the last bit."""
    repeats = demand_whole("repeats", settings["repeats"], 2, MOST_TIMES)
    base = base_rows(probe, settings, "determinism")
    first = other = probe.predict(base, scores=True)
    differ = np.zeros(len(base), dtype=bool)
    for _ in range(repeats - 1):
        again = probe.predict(base, scores=True)
        found = unlike(probe, first, again, settings["tolerance"] or 0.0)
        other = again if found.any() and not differ.any() else other
        differ |= found
    return _finding(probe, base, (first, other), differ, confidence)


def batch_consistency(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Ask about some rows one by one, as a service does, and about all in another order; see which answers differ."""
    singles = demand_whole("singles", settings["singles"], LEAST)
    base = base_rows(probe, settings, "batch")
    tolerance = SHAPES if settings["tolerance"] is None else settings["tolerance"]
    places = np.unique(np.linspace(0, len(base) - 1, singles).astype(int))
    whole = probe.predict(base, scores=True).take(places)
    alone = _joined([probe.ask(base.iloc[[place]], scores=True) for place in places])
    order = probe.rng("order", "of rows").permutation(len(base))
    mixed = probe.predict(base.iloc[order], scores=True).take(np.argsort(order)[places])
    differ, also = (unlike(probe, whole, each, tolerance) for each in (alone, mixed))
    other = alone if differ.any() else mixed
    return _finding(
        probe, base.iloc[places], (whole, other), differ | also, confidence, shown=differ if differ.any() else also
    )


def unlike(probe: Probe, one: Reply, other: Reply, tolerance: float) -> NDArray[np.bool_]:
    """Tell which answers differ, shape (n,): another label, or a value or a score that is further away.

    Args:
        probe: the model.
        one: answers.
        other: answers for the same rows.
        tolerance: relative to a value (of at least 1), absolute for scores; 0 demands the same bits.
    """
    if demand_number("tolerance", tolerance) >= 1:
        # A share of the value, or a distance of probabilities, of which no two are further apart than 1.
        raise MeasurementError(f"tolerance {tolerance!r}", "a number from 0 to below 1", "correct it")
    if probe.facts[0] is Task.REGRESSION:
        a, b = (np.asarray(each.labels, dtype=np.float64) for each in (one, other))
        return np.asarray(np.abs(a - b) > tolerance * np.maximum(np.abs(a), 1.0))
    differ = np.array([a != b for a, b in zip(one.labels.tolist(), other.labels.tolist(), strict=True)], dtype=bool)
    if one.scores is None or other.scores is None:
        return differ
    gap = np.abs(one.scores - other.scores)
    return np.asarray(differ | ((gap if gap.ndim == 1 else gap.max(axis=1)) > tolerance))


def _joined(replies: list[Reply]) -> Reply:
    scores = [each.scores for each in replies if each.scores is not None]
    labels = np.array([each.labels[0] for each in replies], dtype=replies[0].labels.dtype)
    return Reply(labels, np.concatenate(scores) if len(scores) == len(replies) else None)


def _finding(  # noqa: PLR0913 - what a difference is told by
    probe: Probe,
    base: pd.DataFrame,
    replies: tuple[Reply, Reply],
    differ: NDArray[np.bool_],
    confidence: float,
    *,
    shown: NDArray[np.bool_] | None = None,
) -> Finding:
    estimate = violation_share(int(differ.sum()), len(base), confidence=confidence, least=LEAST)
    if not differ.any():
        return Finding(estimate)
    place = int(np.flatnonzero(differ if shown is None else shown)[0])
    answers = " and ".join(_said(each, place) for each in replies)
    row = shown_row(base.iloc[[place]], probe.inputs)
    return Finding(estimate, f"{named(base.index[place])}: the answers were {answers} for {row}")


def _said(reply: Reply, place: int) -> str:
    label = shown_value(reply.labels[place])
    if reply.scores is None:
        return label
    score = np.atleast_1d(reply.scores[place]).max()
    return f"{label} (score {score:.9g})"
