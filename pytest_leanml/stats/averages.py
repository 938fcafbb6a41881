"""Metrics of predicted labels by the delta method: what each cell of the confusion matrix moves them by.

Each is a function of the cells' shares; its derivative by a share, less the mean over all cells, is what one row of the
cell moves it by (the influence function of von Mises 1947), weighted or not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.confusion import joint_of, variance_of
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.stats.intervals import unvaried, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_leanml.stats.confusion import Joint
    from pytest_leanml.stats.intervals import Limits
    from pytest_leanml.stats.samples import FloatArray, Sample

TINY = 1e-24
CORNERS = 20


def averaged(joint: Joint, name: str, method: str, confidence: float) -> Estimate:
    """Return the mean of the classes' precision, recall or F1: plain ("macro") or by their share of rows ("weighted").

    Wilson's interval at as many rows as would give the delta method's variance, which stays within [0, 1] and has a
    width where nothing was wrong.

    Args:
        joint: the cells; every class has what its ratio needs.
        name: precision, recall or f1_score.
        method: macro or weighted.
        confidence: two-sided level.
    """
    share, right = joint.share, joint.right
    real, given, hits = joint.by_truth(share), joint.by_guess(share), joint.by_truth(share * right)
    part = real if method == "weighted" else np.full(len(real), 1 / len(real))
    with np.errstate(divide="ignore", invalid="ignore"):
        bottoms = {"precision": given, "recall": real, "f1_score": (real + given) / 2}[name]
        values = hits / bottoms
    pull = part / bottoms
    lost = {
        "precision": (pull * values)[joint.guess],
        "recall": (pull * values)[joint.truth],
        "f1_score": ((pull * values)[joint.truth] + (pull * values)[joint.guess]) / 2,
    }[name]
    slope = right * pull[joint.truth] - lost + (values[joint.truth] if method == "weighted" else 0)
    value = min(1.0, float(part @ values))
    return Estimate(value, joint.n, *_wilson(joint, value, slope, confidence), "delta-wilson", confidence)


def _wilson(joint: Joint, value: float, slope: FloatArray, confidence: float) -> Limits:
    variance = variance_of(joint, slope)
    rows = value * (1 - value) / variance if variance > TINY and 0 < value < 1 else joint.effective
    low, high = wilson(rows if value == 1 else value * rows, rows, joint.critical(confidence))
    return float(low), float(high)


def matthews_corrcoef(sample: Sample, confidence: float) -> Estimate:
    """Return Matthews' correlation of truth and prediction, for several classes as Gorodkin has it (2004, R_K).

    The delta method on Fisher's z scale (1915), atanh(r).

    Raises:
        InconclusiveError: all rows are predicted alike, so that there is no correlation.
    """
    return _correlation(sample, _matthews, confidence)


def cohen_kappa(sample: Sample, confidence: float) -> Estimate:
    """Return Cohen's kappa (1960), agreement beyond chance.

    Its large-sample variance is that of Fleiss, Cohen and Everitt (1969, Psychological Bulletin 72, 323-327), here on
    Fisher's z scale.
    """
    return _correlation(sample, _kappa, confidence)


def _matthews(joint: Joint, share: FloatArray) -> tuple[float, FloatArray]:
    real, given = joint.by_truth(share), joint.by_guess(share)
    top = float(share @ joint.right - real @ given)
    spread_guess, spread_truth = 1 - float(given @ given), 1 - float(real @ real)
    if spread_guess <= 0 or spread_truth <= 0:
        return math.nan, np.zeros_like(share)
    root = math.sqrt(spread_guess * spread_truth)
    value = max(-1.0, min(1.0, top / root))
    return value, (joint.right - given[joint.truth] - real[joint.guess]) / root + value * (
        given[joint.guess] / spread_guess + real[joint.truth] / spread_truth
    )


def _kappa(joint: Joint, share: FloatArray) -> tuple[float, FloatArray]:
    real, given = joint.by_truth(share), joint.by_guess(share)
    agreed, chance = float(share @ joint.right), float(real @ given)
    if chance >= 1:
        return math.nan, np.zeros_like(share)
    value = (agreed - chance) / (1 - chance)
    moved = given[joint.truth] + real[joint.guess]
    return value, joint.right / (1 - chance) - moved * (1 - agreed) / (1 - chance) ** 2


def _correlation(
    sample: Sample, function: Callable[[Joint, FloatArray], tuple[float, FloatArray]], confidence: float
) -> Estimate:
    joint = joint_of(sample)
    value, slope = function(joint, joint.share)
    if math.isnan(value):
        raise InconclusiveError(
            "the correlation is undefined: every row is predicted to be of one class", "predictions of several classes"
        )
    variance = variance_of(joint, slope)
    if variance <= TINY or abs(value) >= 1:
        limits, method = _unseen(joint, function, value, confidence), "binomial-bound"
    else:
        half = joint.critical(confidence) * math.sqrt(variance) / (1 - value**2)
        middle = math.atanh(value)
        limits, method = (math.tanh(middle - half), math.tanh(middle + half)), "delta-fisher"
    return Estimate(value, joint.n, *limits, method, confidence)


def _unseen(
    joint: Joint, function: Callable[[Joint, FloatArray], tuple[float, FloatArray]], value: float, confidence: float
) -> Limits:
    """Return how far rows of a kind that was not seen could move the value where all seen move it alike.

    With the confidence asked for, at most a share 1 - ((1 - confidence) / 2) ** (1 / n) of rows can be of such a kind;
    they are taken from one cell and given to another, whichever way moves the value most.
    """
    share = unvaried(0.0, max(1, int(joint.effective)), confidence, (0.0, 1.0))[1]
    values = [value, *(function(*moved)[0] for moved in _moved(joint, share))]
    known = [each for each in values if not math.isnan(each)]
    return min(known), max(known)


def _moved(joint: Joint, unseen: float) -> Iterator[tuple[Joint, FloatArray]]:
    """Yield the cells with the share ``unseen`` of all rows moved to a cell of another prediction."""
    order = np.argsort(joint.rows, kind="stable")
    commonest = np.argsort(-joint.by_truth(joint.rows), kind="stable")[:2].tolist()
    for cell in dict.fromkeys([*order[:CORNERS].tolist(), *order[-1:].tolist()]):
        for target in {*commonest, int(joint.truth[cell])} - {int(joint.guess[cell])}:
            yield _shifted(joint, cell, target, unseen)


def _shifted(joint: Joint, cell: int, target: int, unseen: float) -> tuple[Joint, FloatArray]:
    taken = min(unseen, float(joint.share[cell]) / 2)
    share = np.append(joint.share, taken)
    share[cell] -= taken
    truth, guess = np.append(joint.truth, joint.truth[cell]), np.append(joint.guess, target)
    size = np.append(joint.squares, 0.0)
    moved = type(joint)(joint.labels, truth, guess, share, size, joint.n, joint.effective, joint.weighted)
    return moved, share
