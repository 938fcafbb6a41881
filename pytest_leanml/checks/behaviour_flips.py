"""Answers that change when something is changed that should not matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.behaviour_rows import MOST_TIMES, base_rows, demand_number, demand_whole, named
from pytest_leanml.checks.behaviour_shrink import Case, smallest
from pytest_leanml.checks.behaviour_words import shown_row, shown_value
from pytest_leanml.checks.perturbations import (
    missing,
    mistyped,
    noisy,
    numeric_columns,
    others,
    recased,
    rescaled,
    text_columns,
    touched,
)
from pytest_leanml.checks.strategies import allowed, distinct
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.violations import demand_trials, violation_share, worst_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.behaviour_model import Probe, Reply
    from pytest_leanml.stats.estimate import Estimate

LEAST = 20  # rows: with fewer, even no violation at all leaves a tenth and more open


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of behaviour found.

    Attributes:
        estimate: the share.
        row: the smallest failing row as text; empty without one.
        details: short texts that belong to it.
    """

    estimate: Estimate
    row: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def worst(found: Mapping[str, Finding]) -> Finding:
    """Return the finding of the worst column, with every column as a part of it."""
    estimate = worst_share({name: each.estimate for name, each in found.items()})
    rows = [each.row for each in sorted(found.values(), key=lambda each: -each.estimate.value) if each.row]
    return Finding(estimate, rows[0] if rows else "")


def flips(  # noqa: PLR0913 - what a flip depends on, and how it is told
    probe: Probe,
    base: pd.DataFrame,
    variants: Sequence[pd.DataFrame],
    tolerance: float | None,
    confidence: float,
    *,
    what: str = "changed rows",
    nearer: bool = False,
) -> Finding:
    """Return the share of rows whose answer differs for at least one of their variants.

    Rows that no variant changes are left out: an answer that stays when nothing was changed says nothing.

    Args:
        probe: the model.
        base: rows, n.
        variants: the same rows, changed.
        tolerance: see ``Probe.differ``.
        confidence: level of the interval.
        what: what is tried, for messages.
        nearer: a number may be shown changed by less than it was, where that fails as well.

    Raises:
        InconclusiveError: fewer than 20 rows could be changed.
        SourceError: the model fails on a changed row.
        MeasurementError: an answer to a changed row is missing, NaN or infinite.
    """
    columns, scores = probe.inputs, probe.demand_scores(tolerance)
    moved = np.array([touched(base, each, columns).any(axis=1) for each in variants])
    kept = np.asarray(moved.any(axis=0), dtype=bool)
    demand_trials(int(kept.sum()), LEAST, what)
    one = base.loc[kept]
    before = probe.ask(one, scores=scores)
    changed = [each.loc[kept] for each in variants]
    after = probe.ask(pd.concat(changed), scores=scores)
    size = len(one)
    differ = np.array(
        [
            probe.differ(before, after.take(np.arange(place * size, (place + 1) * size)), tolerance)
            for place in range(len(changed))
        ]
    )
    differ &= moved[:, kept]
    estimate = violation_share(int(differ.any(axis=0).sum()), size, confidence=confidence)
    pairs = [(one.loc[rows], each.loc[rows]) for each, rows in zip(changed, differ, strict=True) if rows.any()]
    return Finding(estimate, _smallest(probe, pairs, tolerance, nearer=nearer) if pairs else "")


def _smallest(
    probe: Probe, pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]], tolerance: float | None, *, nearer: bool
) -> str:
    scores = probe.demand_scores(tolerance)

    def fails(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
        return probe.differ(probe.predict(one, scores=scores), probe.predict(other, scores=scores), tolerance)

    before, after = (pd.concat([pair[side] for pair in pairs]) for side in (0, 1))
    case = smallest(before, after, fails, probe.inputs, nearer=nearer)
    answers = [said(probe.predict(each, scores=scores), tolerance) for each in (case.base, case.changed)]
    return told(probe, case, *answers, what="score" if scores else "answer")


def said(reply: Reply, tolerance: float | None) -> Any:
    """Return the first answer as it was compared: a label or a value, or a score."""
    if tolerance is None or reply.scores is None:
        return reply.labels[0]
    return float(reply.scores[0]) if reply.scores.ndim == 1 else float(reply.scores[0].max())


def told(probe: Probe, case: Case, before: Any, after: Any, *, what: str) -> str:
    """Return a failing case as text: which row, what was changed in it, and the answers."""
    row = shown_row(case.changed, probe.inputs, case.base)
    answers = f"the {what} went from {shown_value(before)} to {shown_value(after)}"
    return f"{named(case.base.index[0])}: {answers} with {row}"


def invariance(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Give each row other values of the columns, and see which answers change."""
    columns, tries = settings["columns"], demand_whole("tries", settings["tries"], most=MOST_TIMES)
    if not columns:
        raise MeasurementError("invariance to which column?", "a column, or `columns:`", "name one")
    probe.demand(columns)
    sets = [tuple(columns)] if settings["together"] else [(name,) for name in columns]
    base = base_rows(probe, settings, "invariance")
    found = {
        ".".join(each): flips(
            probe,
            base,
            others(base, each, pool_of(probe, each), tries, probe.rng("invariance", *each)),
            settings["tolerance"],
            confidence,
        )
        for each in sets
    }
    return worst(found)


def pool_of(probe: Probe, columns: Sequence[str]) -> pd.DataFrame:
    """Return the distinct values that columns have together in the evaluation data, at most 500 of them.

    A column alone also takes the values of a set that the schema declares: one that no row has today may come tomorrow.
    """
    alone = [distinct(probe.whole[name].dropna()) for name in columns]
    if len(columns) > 1:
        found = probe.whole[list(columns)].dropna().drop_duplicates()
        return found.iloc[:: max(1, -(-len(found) // 500))].reset_index(drop=True)
    name = columns[0]
    values = [*alone[0], *allowed(probe.schema, name)]
    return pd.DataFrame({name: pd.Series(list(dict.fromkeys(values)), dtype=object)})


def noise(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Add noise to all numbers at once."""
    columns = _chosen(probe, settings["columns"], numeric_columns, "numbers")
    std = demand_number("std", settings["std"], open_end=True)
    scales = {name: float(probe.whole[name].astype(float).std()) for name in columns}
    still = [name for name, scale in scales.items() if not np.isfinite(scale) or scale == 0]
    if still and settings["columns"]:
        raise InconclusiveError(
            f"`{still[0]}` does not vary, so that there is no size for its noise", "columns that vary", "leave it out"
        )
    scales = {name: scale for name, scale in scales.items() if name not in still}
    base, rng = base_rows(probe, settings, "noise"), probe.rng("noise", *columns)
    variants = [noisy(base, scales, std, rng) for _ in range(demand_whole("tries", settings["tries"], most=MOST_TIMES))]
    return flips(probe, base, variants, settings["tolerance"], confidence, nearer=True)


def missing_values(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Take the value of each column away in turn."""
    columns = _chosen(probe, settings["columns"], lambda _frame, names: list(names), "inputs")
    return _each(
        probe,
        settings,
        columns,
        word="missing",
        confidence=confidence,
        perturb=lambda base, name, _rng: missing(base, name),
    )


def typos(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Make a typing mistake in the texts of each column in turn."""
    columns = _chosen(probe, settings["columns"], text_columns, "text")
    return _each(probe, settings, columns, word="typos", confidence=confidence, perturb=mistyped)


def casing(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Write the texts of each column in turn in another case, or with a space around them."""
    columns = _chosen(probe, settings["columns"], text_columns, "text")
    return _each(probe, settings, columns, word="casing", confidence=confidence, perturb=recased)


def units(probe: Probe, settings: Mapping[str, Any], confidence: float) -> Finding:
    """Give the numbers of each column in turn in another unit."""
    columns = _chosen(probe, settings["columns"], numeric_columns, "numbers")
    factor = demand_number("factor", settings["factor"], open_end=True)
    if factor == 1:
        raise MeasurementError("factor: 1", "a factor that changes the numbers, such as 1000", "correct it")
    return _each(
        probe,
        settings,
        columns,
        word="units",
        confidence=confidence,
        perturb=lambda base, name, _rng: rescaled(base, name, factor),
    )


def _each(  # noqa: PLR0913 - what a perturbation depends on
    probe: Probe,
    settings: Mapping[str, Any],
    columns: Sequence[str],
    *,
    word: str,
    confidence: float,
    perturb: Callable[[pd.DataFrame, str, np.random.Generator], pd.DataFrame],
) -> Finding:
    base = base_rows(probe, settings, word)
    found: dict[str, Finding] = {}
    for name in columns:
        changed = perturb(base, name, probe.rng(word, name))
        if name not in settings["columns"] and not touched(base, changed, [name]).any():
            continue  # nobody asked for it by name, and there is nothing in it to change
        what = f"rows with another `{name}`"
        found[name] = flips(probe, base, [changed], settings["tolerance"], confidence, what=what)
    if not found:
        raise InconclusiveError(f"no column could be changed ({word})", "at least one", "name the columns")
    return worst(found)


def _chosen(
    probe: Probe, columns: Sequence[str], fitting: Callable[[pd.DataFrame, Sequence[str]], list[str]], what: str
) -> list[str]:
    probe.demand(columns)
    found = fitting(probe.whole, columns or probe.inputs)
    unfit = [name for name in columns if name not in found]
    if unfit:
        raise MeasurementError(f"the column `{unfit[0]}` holds no {what}", f"columns of {what}", "leave it out")
    if not found:
        raise InconclusiveError(f"the model has no input that holds {what}", f"a column of {what}", "remove the check")
    return found
