"""How far any metric differs between groups, through fairlearn's MetricFrame; its error by leaving out blocks of rows."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.custom import load
from pytest_leanml.checks.measurement import finite
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.sources.faults import calling, told_as
from pytest_leanml.stats.fairness import OVERALL, demand_groups
from pytest_leanml.stats.group_jackknife import BLOCKS, Replicates, blocks_of, gap_of
from pytest_leanml.stats.group_rates import refuse_small
from pytest_leanml.stats.quality import Needs
from pytest_leanml.stats.samples import as_floats
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.group_rates import Grouping
    from pytest_leanml.stats.samples import IntArray, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A metric, and what to compare of it.

    Attributes:
        name: for messages and ids.
        function: of (y_true, y_pred), and of ``sample_weight`` where rows have weights.
        gap: difference or ratio.
        method: between_groups or to_overall.
        on: labels or scores.
    """

    name: str
    function: Callable[..., Any]
    gap: str
    method: str
    on: str


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What the metric is called with; arrays of shape (n,)."""

    y_true: NDArray[Any]
    y_pred: NDArray[Any]
    weights: NDArray[np.float64] | None

    def take(self, kept: NDArray[Any]) -> Rows:
        """Return some of them."""
        return Rows(self.y_true[kept], self.y_pred[kept], None if self.weights is None else self.weights[kept])


def function_of(
    call: str | Callable[..., Any], params: Mapping[str, Any], root: Path
) -> tuple[str, Callable[..., Any]]:
    """Return a metric's name and the function with its further arguments.

    Raises:
        ConfigError: it is no function, or takes no such argument.
        SourceError: its module cannot be imported.
    """
    function = load(call, root, key="checks.fairness.by_group") if isinstance(call, str) else call
    if not callable(function):
        raise ConfigError(f"`{call}` is a {type(function).__name__}", "a function of (y_true, y_pred)", "correct it")
    for name in params:
        if not _takes(function, name):
            raise ConfigError(f"`{call}` has no parameter {name!r}", "one of its own", "correct `params`")
    name = str(getattr(function, "__name__", type(function).__name__))
    return name, partial(function, **params) if params else function


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False  # written in C, without a signature
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def gap_by_group(study: Study, asked: Asked, groups: Grouping, confidence: float) -> Estimate:
    """Measure the gap of a metric between groups, or to all rows.

    The function gets 0 and 1 for a binary model (1 is the positive label), labels for a multiclass one, values for a
    regression; ``on: scores`` gives probabilities of the positive label.

    Raises:
        ConfigError: rows have weights, and the function takes none.
        InconclusiveError: one group only, too few rows in a group, the metric is undefined or does not vary there.
        MeasurementError: it returned something that is no finite number.
        SourceError: it failed, or fairlearn is not installed.
    """
    sample = study.sample(Needs.SCORES if asked.on == "scores" else Needs.LABELS)
    rows = _rows(sample, asked, weights_of(study))
    counts = np.bincount(groups.codes, minlength=len(groups.names))
    met = np.asarray(sorted(np.flatnonzero(counts), key=lambda each: groups.names[each]), dtype=np.intp)
    names = tuple(groups.names[each] for each in met)
    demand_groups(asked.name, names)
    least = max(study.settings.min_group, 2)
    refuse_small(names, counts[met], _effective(groups, rows.weights)[met], "rows", least)
    if sample.task is Task.BINARY:
        _demand_both(sample, groups, met, names)
    place = np.zeros(len(groups.names), dtype=np.intp)
    place[met] = np.arange(len(met))
    codes = place[groups.codes]
    value = _gap(asked, rows, np.asarray(names, dtype=object)[codes])
    found = _replicates(asked, rows, codes, names, study.settings.seed)
    return gap_of(asked.name, value, found, gap=asked.gap, confidence=confidence)


def weights_of(study: Study) -> NDArray[np.float64] | None:
    """Return the weights of the evaluation rows, shape (n,); None without any.

    Raises:
        MeasurementError: one that is no finite number.
    """
    found = study.weights()
    return None if found is None else as_floats(found, "weights")


def _effective(groups: Grouping, weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the effective rows of each group (Kish 1965); shape (k,)."""
    k = len(groups.names)
    if weights is None:
        return np.bincount(groups.codes, minlength=k).astype(np.float64)
    mass, squares = (np.bincount(groups.codes, each, minlength=k) for each in (weights, weights**2))
    return np.asarray(mass**2 / np.maximum(squares, np.finfo(float).tiny))


def _rows(sample: Sample, asked: Asked, weights: NDArray[np.float64] | None) -> Rows:
    if weights is not None and not _takes(asked.function, "sample_weight"):
        raise ConfigError(
            f"rows have weights, and {asked.name} takes none",
            "a metric with the argument `sample_weight`",
            "name another one: leaving the weights out would answer another question",
            key="data.weights",
        )
    answers = sample.scores if asked.on == "scores" else sample.y_pred
    if answers is None or answers.ndim != 1:
        raise MeasurementError(f"{asked.name} on the scores of a {sample.task} model", "one score for each row")
    if sample.task is not Task.BINARY:
        return Rows(sample.y_true, answers, weights)
    return Rows(sample.truth.astype(int), answers if asked.on == "scores" else sample.selected.astype(int), weights)


def _demand_both(sample: Sample, groups: Grouping, met: IntArray, names: tuple[str, ...]) -> None:
    """Refuse groups without positives or negatives: many metrics say 0 there, which reads like a bad or a fair one."""
    width = len(groups.names)
    for label, truth in (("positives", sample.truth), ("negatives", ~sample.truth)):
        found = np.bincount(groups.codes[truth], minlength=width)[met]
        without = [repr(name) for name, rows in zip(names, found.tolist(), strict=True) if not rows]
        if without:
            raise InconclusiveError(
                f"no truly {label[:-1]} rows in the group {', '.join(without[:6])}",
                "rows of both labels in every group",
                "judge more rows, or join small groups",
            )


def _gap(asked: Asked, rows: Rows, groups: NDArray[Any]) -> float:
    with told_as("fairlearn cannot be used", "fairlearn", "python -m pip install 'pytest-leanml[fairlearn]'"):
        from fairlearn.metrics import MetricFrame

    def compute() -> float:
        weights = {} if rows.weights is None else {"sample_weight": rows.weights}
        frame = MetricFrame(
            metrics={asked.name: asked.function},
            y_true=rows.y_true,
            y_pred=rows.y_pred,
            sensitive_features=groups,
            sample_params={asked.name: weights},
        )
        compare = frame.difference if asked.gap == "difference" else frame.ratio
        return finite(compare(method=asked.method)[asked.name], f"the {asked.gap} of {asked.name}")

    return _guarded(asked, compute, "some group")


def _replicates(asked: Asked, rows: Rows, codes: IntArray, names: tuple[str, ...], seed: int) -> Replicates:
    blocks = blocks_of(codes, seed)

    def value(kept: IntArray, where: str) -> float:
        part = rows.take(kept)
        weights = {} if part.weights is None else {"sample_weight": part.weights}
        called = partial(asked.function, part.y_true, part.y_pred, **weights)
        return _guarded(asked, lambda: finite(called(), f"{asked.name} of {where}"), where)

    def series(kept: IntArray, where: str) -> NDArray[np.float64]:
        """Return the value of the rows, and the values without each block."""
        return np.array([value(kept, where), *(value(kept[blocks[kept] != each], where) for each in range(BLOCKS))])

    sizes = np.bincount(codes)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
    found = np.stack([series(each, f"the group {name!r}") for name, each in zip(names, members, strict=True)], axis=-1)
    whole = series(np.arange(len(codes)), "all rows") if asked.method == OVERALL else None
    return Replicates(names, sizes, found[0], found[1:], whole)


def _guarded(asked: Asked, compute: Callable[[], float], where: str) -> float:
    """Compute a metric; that it is undefined there is said, also where scikit-learn would warn and say 0."""
    from sklearn.exceptions import UndefinedMetricWarning

    with calling(f"{asked.name} failed for {where}", "a metric of (y_true, y_pred)"), warnings.catch_warnings():
        warnings.simplefilter("error", UndefinedMetricWarning)
        try:
            return compute()
        except UndefinedMetricWarning as fault:
            raise InconclusiveError(
                f"{asked.name} is undefined in {where}: {fault}", "rows in which it is defined", "join small groups"
            ) from fault
