"""A classifier that tells current rows from training rows: drift that no column shows alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.drift_columns import ordered_alike
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import column, row_count
from pytest_leanml.stats.cross_fit import fold_auc
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.probabilities import placements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.drift_columns import Pair
    from pytest_leanml.stats.samples import BoolArray

    Floats = NDArray[np.float64]

LEAST = 10
# What the classifier takes for one category at most, less one for all others.
LEVELS = 254
DRIVERS = 5
SHOWN = 20
TELLING = 0.005
# Of more columns than these one fold is asked which of them drive the area.
WIDE = 40
TREES = {"max_iter": 50, "max_leaf_nodes": 15, "min_samples_leaf": 20, "early_stopping": False}


def classify(  # noqa: PLR0913 - the settings of a cross-validation
    pair: Pair, names: Sequence[str], *, rows: int, folds: int, seed: int, confidence: float
) -> tuple[Estimate, dict[str, Any]]:
    """Return the cross-validated area of gradient-boosted trees that tell current rows from training rows.

    The columns that drive it are found by permutation (Breiman 2001, Machine Learning 45, 5-32): how much of the area
    is lost in the rows of each fold when a column's values are shuffled.

    Args:
        pair: both tables.
        names: columns to look at.
        rows: of either side at most.
        folds: at least 2.
        seed: of sampling, folds, trees and shuffling; the same rows and seed give the same area.
        confidence: level of the interval.

    Returns:
        The estimate, whose ``by`` is the area lost by column, and details for the record.

    Raises:
        InconclusiveError: fewer than ten rows a fold on a side.
        MeasurementError: infinite values, or settings out of range.
        SourceError: a column is on one side only, or of another type on the other side.
    """
    if folds < 2 or rows < LEAST * folds:  # noqa: PLR2004 - one fold tests nothing
        todo = "raise `rows`, or lower `folds`"
        raise MeasurementError(f"{folds} folds of {rows} rows", f"2 folds or more, of {LEAST} rows or more", todo)
    picked = [_picked(row_count(frame), rows, folds, data, seed) for data, frame in pair.named().items()]
    features = [_feature(pair, name, picked) for name in names]
    table = np.column_stack([each.column for each in features])
    truth = np.repeat([False, True], [len(each) for each in picked])
    fold = _folds(truth, folds, seed)
    trees = {**TREES, "categorical_features": [each.categorical for each in features], "random_state": seed}
    scores, lost = _cross_fitted(table, truth, fold, trees)
    estimate = fold_auc(truth, scores, fold, confidence=confidence)
    by = {name: Part(share, len(truth)) for name, share in sorted(zip(names, lost, strict=True), key=_by_loss)[:SHOWN]}
    # A smaller loss of area is what shuffling does to a column that tells nothing.
    least = max(TELLING, estimate.details["standard_error"])
    drivers = [f"{name} ({part.value:.3f})" for name, part in by.items() if part.value >= least][:DRIVERS]
    details = {**estimate.details, "columns": float(len(names)), "rows_each": float(max(map(len, picked)))}
    more = {"drivers": ", ".join(drivers)} if drivers else {}
    return replace(estimate, by=by), {**details, **more, "current": pair.current}


def _by_loss(pair: tuple[str, float]) -> tuple[float, str]:
    return -pair[1], pair[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Feature:
    """One column of both sides' rows: numbers, or codes of categories; NaN where it is missing."""

    column: Floats
    categorical: bool


def _picked(rows: int, most: int, folds: int, data: str, seed: int) -> NDArray[np.intp]:
    if rows < LEAST * folds:
        raise InconclusiveError(
            f"{rows} rows in the {data} data",
            f"at least {LEAST} for each of {folds} folds",
            "compare more rows, or lower `folds`",
        )
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _folds(truth: BoolArray, folds: int, seed: int) -> NDArray[np.intp]:
    """Deal the shuffled rows of either side to the folds in turns."""
    order = np.random.default_rng(seed).permutation(len(truth))
    found = np.empty(len(truth), dtype=np.intp)
    for side in (False, True):
        mine = order[truth[order] == side]
        found[mine] = np.arange(len(mine)) % folds
    return found


def _feature(pair: Pair, name: str, picked: Sequence[NDArray[np.intp]]) -> _Feature:
    ordered = ordered_alike(pair, name)
    old, new = (column(frame, name)[rows] for frame, rows in zip((pair.old, pair.new), picked, strict=True))
    if not ordered:
        return _Feature(_codes(np.concatenate([old.astype(object), new.astype(object)]), name), categorical=True)
    values = np.concatenate([_floats(old), _floats(new)])
    if np.isinf(values).any():
        raise MeasurementError(f"`{name}` holds infinite values", "finite numbers or missing ones")
    return _Feature(values, categorical=False)


def _floats(values: NDArray[Any]) -> Floats:
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.astype(f"{values.dtype.kind}8[us]").astype(np.int64))
    return pd.to_numeric(pd.Series(values)).to_numpy(dtype=float, na_value=np.nan)


def _codes(labels: NDArray[Any], name: str) -> Floats:
    """Number the categories, the most frequent one first; all beyond the trees' capacity are one."""
    try:
        places = pd.factorize(labels, use_na_sentinel=True)[0]
    except TypeError as fault:
        raise MeasurementError(f"`{name}` holds values that are no categories", "numbers, booleans or text") from fault
    rows = np.bincount(places[places >= 0])
    rank = np.empty(len(rows))
    rank[np.argsort(-rows, kind="stable")] = np.arange(len(rows))
    missing = places < 0
    return np.where(missing, np.nan, np.minimum(np.append(rank, np.nan)[places], LEVELS))


def _cross_fitted(
    table: Floats, truth: BoolArray, fold: NDArray[np.intp], trees: dict[str, Any]
) -> tuple[Floats, list[float]]:
    """Return each row's score by the trees of the other folds, and the area that is lost without each column."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    scores = np.empty(len(truth))
    losses: list[list[float]] = []
    # So few rows gain nothing from several threads, which wait for each other on a busy machine.
    with threadpool_limits(1, user_api="openmp"):
        for each in np.unique(fold).tolist():
            inside = fold == each
            fitted = HistGradientBoostingClassifier(**trees).fit(table[~inside], truth[~inside])
            scores[inside] = fitted.decision_function(table[inside])
            if not losses or table.shape[1] <= WIDE:
                rng = np.random.default_rng(trees["random_state"] + each)
                losses.append(_lost(fitted, table[inside], truth[inside], rng))
    return scores, np.mean(losses, axis=0).tolist()


def _lost(fitted: Any, rows: Floats, truth: BoolArray, rng: np.random.Generator) -> list[float]:
    """Return by how much the area falls when one column's values are shuffled, of each column."""
    whole, shuffled, found = _area(fitted, rows, truth), rows.copy(), []
    for place in range(rows.shape[1]):
        shuffled[:, place] = rng.permutation(rows[:, place])
        found.append(whole - _area(fitted, shuffled, truth))
        shuffled[:, place] = rows[:, place]
    return found


def _area(fitted: Any, rows: Floats, truth: BoolArray) -> float:
    scores = fitted.decision_function(rows)
    return float(placements(np.sort(scores[truth]), np.sort(scores[~truth]))[0].mean())
